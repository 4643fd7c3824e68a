"""The Swahili study: its files from real data, their alignment, and its config."""

import collections
import math
import re
import subprocess
import sys
from itertools import pairwise

import pytest

from linkjax.config import load_config
from linkjax.data.jsonl import read_jsonl
from linkjax.lexicon.readers import read_lexicon
from linkjax.preparation import cloze
from linkjax.studies.arms import read_study
from linkjax.studies.runs import list_runs
from linkjax.study import declared_late
from linkjax.workdir import CONFIG
from tests.conftest import ROOT

sys.path.append(str(ROOT / "tools"))  # its scripts import each other so
from split_verses import read_verses
from swahili_study import is_withheld, lines_sharing
from web_bible import TITLES, verse_lines

_WORD = re.compile(r"[^\W\d_]+")
_NAME = re.compile(r"\b[A-Z][a-z]{3,}")


@pytest.fixture(scope="module")
def files(tmp_path_factory, real_data):
    out = tmp_path_factory.mktemp("swahili") / "files"
    command = [sys.executable, "tools/swahili_study.py", f"--real_data={real_data}", f"--out={out}", "--seeds=2"]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True, timeout=100)
    assert "4794 Swahili verses to train on, 2806 held out, 2800 to ask of" in done.stdout
    return out


@pytest.fixture(scope="module")
def bible(real_data):
    return (real_data / "en/web_bible.txt").read_text().splitlines()


@pytest.fixture(scope="module")
def verses(real_data):
    return read_verses(real_data / "sw/new_testament.tsv")


def lines_of(path):
    return path.read_text().splitlines()


def windows(texts, length):
    found = set()
    for text in texts:
        words = re.findall(r"\w+", text.lower())
        found |= {tuple(words[start : start + length]) for start in range(len(words) - length + 1)}
    return found


def test_no_held_out_verse_shares_five_words_in_a_row_with_training(files):
    train, heldout = (lines_of(files / f"sw/{name}.txt") for name in ("train", "heldout"))
    assert len(train) == 4794 and len(heldout) > 2500
    assert windows(train, 5).isdisjoint(windows(heldout, 5))
    assert set(train).isdisjoint(heldout)


def test_withheld_verses_are_nowhere_in_the_english_and_read_ones_are(files, bible, verses):
    english = lines_of(files / "1/en.txt")
    there, eights = set(english), windows(english, 8)
    read, withheld = (lines_of(files / f"1/{name}.txt") for name in ("read", "withheld"))
    assert 0.45 < len(withheld) / len(read + withheld) < 0.55
    assert set(read).isdisjoint(withheld) and set(read + withheld) <= set(lines_of(files / "sw/heldout.txt"))
    for name, swahili in (("read", read), ("withheld", withheld)):
        assert len(lines_of(files / f"1/en_{name}.txt")) == len(swahili)
    assert set(lines_of(files / "1/en_read.txt")) <= there and there.isdisjoint(lines_of(files / "1/en_withheld.txt"))
    line_of = {verses[place]: bible[number] for place, number in verse_lines(bible, verses).items()}
    for text in read:
        assert line_of[text] in there
    whole = [line_of[text] for text in withheld]
    assert there.isdisjoint(whole) and eights.isdisjoint(windows(whole, 8))
    apart = lines_of(files / "en_heldout.txt")
    assert there.isdisjoint(apart) and len(apart) == pytest.approx(len(english) / 199, rel=0.1)
    assert set(apart).isdisjoint(line_of[text] for text in read + withheld)


def test_each_seed_draws_its_own_half(files):
    halves = [set(lines_of(files / f"{seed}/withheld.txt")) for seed in (0, 1)]
    assert 0.4 < len(halves[0] & halves[1]) / len(halves[0]) < 0.6
    assert sum(is_withheld(f"JOH.1.{verse}", 3) for verse in range(1000)) == pytest.approx(500, abs=60)


def test_half_of_the_verses_and_each_word_list_stand_beside(files):
    assert lines_of(files / "sw/half.txt") == lines_of(files / "sw/train.txt")[::2]
    assert lines_of(files / "sw/measured.txt") == lines_of(files / "sw/heldout.txt")[::2]
    merged, *parts = (read_lexicon(files / f"{name}.tsv").entries for name in ("en-sw", "lexicons/wiktionary",
                                                                              "lexicons/freedict"))  # fmt: skip
    assert all(0.15 * len(merged) < len(part) < len(merged) for part in parts)
    assert set(merged) <= set().union(*parts)


def test_words_typical_of_the_bible_are_told(files, bible):
    words = lines_of(files / "bible_words.txt")
    assert len(words) == 2000 and {"yahweh", "jesus", "king", "said"} <= {*words}
    assert {*words}.isdisjoint({"file", "software", "university", "click"})
    text = "\n".join(bible).lower().replace("’", "'")
    assert all(word in text for word in words)


def test_the_verses_of_both_languages_are_the_same(files, bible, verses):
    """By the lexicon and by names: each chapter as a whole, and nearly four verses in five by themselves."""
    lexicon, places = read_lexicon(files / "en-sw.tsv"), verse_lines(bible, verses)
    assert len(places) == len(verses) - 4 - 4  # those that the English leaves out, and those it has in one line
    english = {place: translations(bible[number], lexicon) for place, number in places.items()}
    swahili = {place: words_and_names(verses[place]) for place in places}
    weights = collections.Counter(part for parts in swahili.values() for part in parts)
    ordered = list(places)

    def alike(place, other):
        return math.fsum(math.log(len(ordered) / weights[part]) for part in english[place] & swahili[other])

    beside = [(before, place, after) for (before, place), (_, after) in pairwise(pairwise(ordered))]
    passed = [
        place for before, place, after in beside if alike(place, place) > max(alike(place, before), alike(place, after))
    ]
    assert len(passed) == 6122 and len(beside) == 7843
    shifted: dict[str, collections.Counter[int]] = {}
    for number, place in enumerate(ordered):
        for shift in range(-4, 5):
            other = ordered[min(max(number + shift, 0), len(ordered) - 1)]
            shifted.setdefault(place.rpartition(".")[0], collections.Counter())[shift] += alike(place, other)
    assert len(shifted) == 256
    for chapter, sums in shifted.items():
        assert sums[0] > 1.7 * max(sums[shift] for shift in sums if shift), chapter


def translations(line, lexicon):
    words = {word.lower() for word in _WORD.findall(line)}
    return {target.lower() for word in words for target in lexicon.entries.get(word, ())} | names(line)


def words_and_names(line):
    return {word.lower() for word in _WORD.findall(line)} | names(line)


def names(line):
    return {f"{name[:4]}..." for name in _NAME.findall(line)}  # Abraham, Abrahamu


def small_bible():
    """Two verses a book, after a preface that talks of the books."""
    lines = ["Preface", "The Good News According to Matthew is a book."]
    for name, title in TITLES.items():
        lines += [f" {title} ", f"{name} one.", f"{name} two."]
    return lines


def test_verses_are_counted_from_their_books_title():
    lines = small_bible()
    found = verse_lines(lines, ["MAR.1.1", "MAR.1.2", "ACT.8.36", "ACT.8.37", "ACT.8.38"])
    assert {place: lines[number] for place, number in found.items()} == {
        "MAR.1.1": "MAR one.",
        "MAR.1.2": "MAR two.",
        "ACT.8.36": "ACT one.",
        "ACT.8.38": "ACT two.",
    }
    of_romans = verse_lines(lines, ["ROM.14.22", "ROM.14.23", "ROM.16.25", "ROM.16.26", "ROM.16.27"])
    assert {place: lines[number] for place, number in of_romans.items()} == {"ROM.14.22": "ROM one."}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda lines: lines[:-1], "REV has 1 verses in English and 2 here"),
        (lambda lines: [*lines, "more"], "REV has 3 verses"),
        (lambda lines: lines[:-3], "The Revelation to John"),
        (lambda lines: [*lines, TITLES["MAT"]], "the title 'The Good News According to Matthew' again"),
        (lambda lines: lines[5:8] + lines[2:5] + lines[8:], "one after another"),
    ],
)
def test_another_edition_is_told(change, said):
    with pytest.raises(SystemExit, match=re.escape(said)):
        verse_lines(change(small_bible()), ["REV.1.1", "REV.1.2"])
    with pytest.raises(SystemExit, match="no book XYZ"):
        verse_lines(small_bible(), ["XYZ.1.1"])


def test_lines_that_quote_a_verse_are_found():
    lines = [
        "The word that he spoke to them was not his own .",
        "He said: “The WORD that he spoke to them was no more.”",
        "the word that he spoke to them",
        "Jesus wept .",
        "Then Jesus wept bitterly.",
        "Jesus wept!",
    ]
    assert lines_sharing(lines, {"a": 0, "b": 3}) == {0: {"a"}, 1: {"a"}, 3: {"b"}, 5: {"b"}}


@pytest.mark.parametrize("argument", ["", ":cpu", ":claim", ":gpu"])
def test_the_config_is_a_study_whose_files_are_in_one_folder(tmp_path, argument):
    config = load_config(f"configs/studies/swahili.py{argument}")
    config.evaluation_data = "elsewhere"
    study = read_study(config)
    runs = list_runs(study, tmp_path)
    assert len({run.data for run in runs}) == {":cpu": 1, ":claim": 5 + 3}.get(argument, 5 + 6 * 3)
    for run in runs:
        settings = run.config
        half, one_list = run.arm.name.endswith("_half"), run.arm.name in ("link_wiktionary", "link_freedict")
        lists = f"lexicons/{run.arm.name[5:]}" if one_list else "en-sw"
        assert settings.target == f"elsewhere/sw/{'half' if half else 'train'}.txt"
        assert settings.target_heldout == "elsewhere/sw/measured.txt"
        assert settings.lexicon == f"elsewhere/{lists}.tsv"
        chosen = "elsewhere/bible_words.txt" if run.arm.name in ("link_domain", "link_non_domain") else ""
        assert settings.link.domain_words == chosen
        assert settings.english == f"elsewhere/{run.seed}/en.txt" and settings.link.holdout == 0.1
        asked = settings.evaluations.split(",")
        assert asked[0] == "xcopa_sw" and settings.evaluation_data == "elsewhere"
        assert [cloze.parse(name) for name in asked[1:]] == [
            (f"sw_{half}", f"elsewhere/{run.seed}/{half}.txt") for half in ("read", "withheld")
        ]
    assert [(factor, arm, metric) for factor, arm, metric in study.contrasts["knowledge"].terms] == [
        (1, "link", "cloze/sw_read"),
        (-1, "scramble", "cloze/sw_read"),
        (-1, "link", "cloze/sw_withheld"),
        (1, "scramble", "cloze/sw_withheld"),
    ]
    if argument != ":cpu":
        assert all(study.arm(name).seeds == 5 for name in ("baseline", "link", "scramble"))
        assert {arm.seeds for arm in study.arms} == {3, 5}


def test_the_claim_is_declared_as_the_whole_study_is(tmp_path):
    claim, whole = (load_config(f"configs/studies/swahili.py{argument}") for argument in (":claim", ""))
    assert len(list_runs(read_study(claim), tmp_path)) == 24 and len(list_runs(read_study(whole), tmp_path)) == 54
    declared_late(claim, tmp_path)
    (tmp_path / "runs/link/0").mkdir(parents=True)
    (tmp_path / "runs/link/0" / CONFIG).touch()
    assert declared_late(whole, tmp_path) == ""


def test_xcopa_is_asked_with_its_test_items(files):
    from tasks import benchmarks

    items = list(benchmarks.items("xcopa_sw", str(files)))
    assert len(items) == len(list(read_jsonl(files / "xcopa/test.sw.jsonl"))) == 500
    assert {item["split"] for item in items} == {"test"}
