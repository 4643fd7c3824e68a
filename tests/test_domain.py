import collections
import math

import pytest

from linkjax.lexicon.__main__ import main
from linkjax.lexicon.domain import domain_words


def test_frequent_differences_come_first_and_equal_shares_not_at_all():
    domain = collections.Counter({"the": 500, "artery": 80, "vein": 20, "and": 200, "once": 1})
    general = collections.Counter({"the": 5000, "artery": 10, "vein": 5, "and": 2000, "goal": 300})
    found = domain_words(domain, general, 10)
    assert [word for word, _ in found] == ["artery", "vein"]
    assert domain_words(domain, general, 1) == found[:1]
    other = [word for word, _ in domain_words(general, domain, 10)]
    assert "goal" in other
    assert {"artery", "vein", "once"}.isdisjoint(other)


def test_the_score_is_that_of_the_paper():
    domain, general = {"a": 30, "b": 70}, {"a": 10, "b": 190}
    (word, score), *_ = domain_words(domain, general, 5)
    odds = [math.log((30 + 40) / (100 + 300 - 70)), math.log((10 + 40) / (200 + 300 - 50))]
    assert word == "a"
    assert score == pytest.approx((odds[0] - odds[1]) / math.sqrt(1 / 70 + 1 / 50))


def test_domain_command(tmp_path, capsys):
    (tmp_path / "d.txt").write_text("The artery is red. An artery! The vein.\n" * 50)
    (tmp_path / "g.txt").write_text("The ball is red. A ball! The goal.\n" * 200)
    arguments = ["domain", f"--domain={tmp_path}/d.txt", f"--general={tmp_path}/g.txt", f"--out={tmp_path}/w.txt"]
    assert main(arguments) == 0
    assert (tmp_path / "w.txt").read_text().splitlines()[0] == "artery"
    assert "ball" not in (tmp_path / "w.txt").read_text()
    assert main(arguments) == 2
    assert "exists" in capsys.readouterr().err
    same = [*arguments[:1], f"--domain={tmp_path}/d.txt", f"--general={tmp_path}/d.txt", f"--out={tmp_path}/x.txt"]
    assert main(same) == 2
    assert "has no word more often" in capsys.readouterr().err
    assert not (tmp_path / "x.txt").exists()
