"""Preparing data over Apache Beam, and from what SeqIO has cached with it. Needs the extra `beam`."""

import pytest

from linkjax.errors import UserError
from linkjax.preparation.runners import RunnerSettings
from linkjax.prepare import prepare
from tests.test_prepare_resumed import config, hashes  # noqa: F401


@pytest.fixture
def beam():
    return pytest.importorskip("apache_beam", reason="Apache Beam is not installed: pip install -e '.[beam]'")


def test_beam_gives_the_same_folder(tmp_path, config, beam):  # noqa: F811
    config.drop_duplicates = True
    prepare(config, tmp_path / "one")
    prepare(config, tmp_path / "beam", RunnerSettings(beam_runner="DirectRunner"))
    assert hashes(tmp_path / "one") == hashes(tmp_path / "beam")


def test_an_error_in_a_worker_of_beams_is_a_sentence(tmp_path, config, beam):  # noqa: F811
    (tmp_path / "text/en1.txt").write_bytes(b"fine\n\xff\xfe\n")
    with pytest.raises(UserError, match=r"en1\.txt is not UTF-8 text \(invalid start byte on line 2\)"):
        prepare(config, tmp_path / "out", RunnerSettings(beam_runner="DirectRunner"))
    assert [path.name for path in tmp_path.iterdir()] == ["text"]


def test_a_runner_that_is_none_is_refused(tmp_path, config, beam):  # noqa: F811
    with pytest.raises(UserError, match="Apache Beam does not take --runner=DirektRunner"):
        prepare(config, tmp_path / "out", RunnerSettings(beam_runner="DirektRunner"))


def test_without_beam_there_is_a_sentence(tmp_path, config, monkeypatch):  # noqa: F811
    monkeypatch.setitem(__import__("sys").modules, "apache_beam", None)
    with pytest.raises(UserError, match=r"--runner=DirectRunner needs Apache Beam: pip install 'linkjax\[beam\]'"):
        prepare(config, tmp_path / "out", RunnerSettings(beam_runner="DirectRunner"))
