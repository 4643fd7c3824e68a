"""Good lists pass; a fault of each kind planted in each of them is found, and named."""

import dataclasses
import functools
import random
import sys
import unicodedata

import pytest

from linkjax.lexicon import Lexicon, ReadOptions, clean_pairs, read_lexicon, thin
from linkjax.lexicon.identification import find_label, rank_languages
from linkjax.lexicon.lint import hubs, identical_share, lint, script_mix

REAL = {
    "wiktionary.en-sw.tsv": "sw",
    "wiktionary.en-de.tsv": "de",
    "wiktionary.en-tr.tsv": "tr",
    "wiktionary.en-et.tsv": "et",
    "wiktionary.en-ja.tsv": "ja",
    "freedict-eng-swh.index": "swh",
    "freedict-eng-tur.index": "tur",
}
CYRILLIC = dict(zip("abcdefghijklmnopqrstuvwxyz", "абцдефгхийклмнопярстувжхыз", strict=True))

real_lists = pytest.mark.parametrize(("name", "language"), REAL.items())


@functools.cache
def read(path, language):
    return read_lexicon(path, ReadOptions(language=language))


@pytest.fixture
def real(real_data, name, language):
    return read(real_data / "lexicons" / name, language)


@pytest.fixture
def sample(real):
    return thin(real, 1000 / len(real), seed=0)


@real_lists
def test_good_lists_are_fit_for_use(real, language):
    findings = lint(real, language, coverage=0.3)
    assert (findings.faults, findings.warnings, findings.notes) == ((), (), ())


@real_lists
def test_good_lists_are_fit_for_use_when_they_are_short(real, language):
    for size in (40, 100, 300):
        assert lint(thin(real, size / len(real), seed=size), language).faults == ()


@real_lists
def test_a_list_of_another_language_is_found(sample, language):
    for other in {"sw", "de", "tr", "et", "ja", "sv", "quz"} - {language, {"swh": "sw", "tur": "tr"}.get(language)}:
        (fault,) = lint(sample, other).faults
        assert f"'{other}'" in fault


@real_lists
def test_reversed_columns_are_found(sample, language):
    swapped = clean_pairs([(pair.target, pair.source) for pair in sample.pairs()], ReadOptions(language=language))
    for stated in (language, ""):
        (fault,) = lint(swapped, stated).faults
        assert "reversed" in fault
        assert "--target_first" in fault


@real_lists
def test_a_junk_word_for_two_thirds_of_the_entries_is_found(sample, language):
    junk = random.Random(0).sample(sorted(sample.entries), round(0.68 * len(sample)))
    planted = dataclasses.replace(sample, entries={**sample.entries, **dict.fromkeys(junk, ("taco",))})
    fault = lint(planted, language).faults[0]
    assert f"'taco' ({len(junk):,})" in fault
    assert "68%" in fault or "69%" in fault  # with the translations that are common by right


@real_lists
def test_a_transliterated_list_is_found(sample, language):
    (fault,) = lint(respell(sample, romanise if language == "ja" else cyrillise), language).faults
    assert "not in a script" in fault
    assert ("Latn" if language == "ja" else "Cyrl") in fault


def respell(lexicon, spell):
    spelt = {source: tuple(map(spell, targets)) for source, targets in lexicon.entries.items()}
    return Lexicon({source: targets for source, targets in spelt.items() if all(targets)}, lexicon.cleaning)


def cyrillise(text):
    return "".join(CYRILLIC.get(letter, letter) for letter in text.lower())


def romanise(text):
    """Kana by their Unicode names; other letters are left out."""
    names = (unicodedata.name(letter, "") for letter in text)
    return "".join(name.split(" ")[-1].lower() for name in names if name.startswith(("HIRAGANA", "KATAKANA")))


def words(count, targets=None):
    return Lexicon({f"word{i}": (f"neno{i if targets is None else i % targets}",) for i in range(count)})


def test_a_short_list_has_no_hubs_unless_a_word_translates_ten_entries():
    assert hubs(words(40, targets=20))[1] == 0.5
    assert lint(words(40, targets=20)).faults == ()
    assert lint(words(40, targets=5)).faults == ()
    (fault,) = lint(words(40, targets=4)).faults
    assert "'neno0' (10)" in fault


def test_hubs_that_together_hold_a_fifth_are_a_fault():
    common = {f"c{i}": (f"hub{i % 10}",) for i in range(100)}
    assert lint(Lexicon({**words(400).entries, **common})).faults == ()  # exactly a fifth
    assert lint(Lexicon({**words(399).entries, **common})).faults


def test_an_entry_with_two_hubs_counts_once():
    lexicon = Lexicon({f"w{i}": ("x", "y") for i in range(10)} | words(30).entries)
    assert hubs(lexicon)[1] == (10 + 8) / 40


def test_half_the_targets_in_another_script_is_no_fault_more_is():
    latin = {f"a{i}": ("neno",) for i in range(50)}
    greek = {f"b{i}": ("λέξη",) for i in range(50)}
    assert script_mix(Lexicon(latin | greek)) == {"Latn": 50, "Grek": 50}
    assert not any("script" in fault for fault in lint(Lexicon(latin | greek), "sw").faults)
    more = Lexicon(latin | greek | {"c": ("λέξη",)})
    assert any("not in a script of 'sw'" in fault for fault in lint(more, "sw").faults)


def test_what_cannot_be_checked_is_said():
    assert "--language" in lint(words(100)).notes[0]
    assert "only 0 translations" in lint(Lexicon({"kenya": ("Kenya",)}), "sw").notes[0]
    notes = lint(
        Lexicon({f"w{i}": (f"neno{'abcdefghij'[i % 10]}{'klmnopqrst'[i // 10]}",) for i in range(99)}), "xx"
    ).notes
    assert len(notes) == 2
    assert "'xx'" in notes[0]
    assert "'xx'" in notes[1]


@pytest.mark.parametrize(("name", "language"), [("wiktionary.en-de.tsv", "de")])
def test_without_the_library_the_language_is_not_checked(real, monkeypatch):
    monkeypatch.setitem(sys.modules, "py3langid", None)
    findings = lint(real, "sw")
    assert findings.faults == ()
    assert findings.notes == ("language not checked: pip install py3langid",)


@pytest.mark.parametrize(
    ("place", "behind", "wrong"),
    [
        (1, 0.0, False),
        (2, 0.9, False),
        (3, 0.9, False),
        (3, 1.1, True),
        (2, 1.1, True),
        (4, 0.25, False),
        (4, 0.35, True),
    ],
)
def test_relatives_may_come_first_but_not_by_far(monkeypatch, place, behind, wrong):
    others = [("xa", 0.0), ("xb", -behind / 2), ("xc", -behind / 2), ("xd", -9.0)]
    ranked = [*others[: place - 1], ("sw", -behind), *others[place - 1 :]]
    monkeypatch.setattr("linkjax.lexicon.lint.rank_languages", lambda words: ranked)
    assert bool(lint(words(100), "sw").faults) == wrong


def test_identical_pairs_few_covered_words_and_capitals_are_warnings():
    pairs = [(f"dog{i}", f"dog{i}") for i in range(41)] + [(f"cat{i}", f"PAKA{i}") for i in range(59)]
    pairs = [(source, target.upper()) for source, target in pairs]
    lexicon = clean_pairs(pairs)
    assert identical_share(lexicon) == 0.41
    warnings = lint(lexicon, coverage=0.09).warnings
    assert len(warnings) == 3
    assert "41% of the pairs" in warnings[0]
    assert "9.0%" in warnings[1]
    assert "capitals" in warnings[2]
    assert identical_share(clean_pairs(pairs, ReadOptions(keep_identical=True))) == 0.41
    few = clean_pairs(pairs[1:41] + [(f"w{i}", f"neno{i}") for i in range(60)])
    assert lint(few, coverage=0.1).warnings == ()


def test_languages_are_ranked_by_their_words():
    swahili = ["mbwa", "paka", "maji", "nyumba", "mtoto", "mwalimu", "kitabu", "chakula", "barabara", "rafiki"]
    ranked = rank_languages(swahili)
    assert ranked[0] == ("sw", 0.0)
    assert [score for _, score in ranked] == sorted((score for _, score in ranked), reverse=True)
    assert dict(ranked)["de"] < -1


def test_labels_are_found_by_any_code_of_a_language():
    labels = {"sw", "de", "no", "tl", "zh", "qu"}
    codes = {"sw": "sw", "swa": "sw", "swh": "sw", "de-AT": "de", "nb": "no", "fil": "tl", "zh-Hant": "zh", "quy": "qu"}
    assert {code: find_label(code, labels) for code in codes} == codes
    assert find_label("yo", labels) is find_label("", labels) is find_label("!?", labels) is None
