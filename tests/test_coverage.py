import gzip

import pytest

from linkjax.errors import UserError
from linkjax.lexicon.coverage import Corpus, count_english, count_targets, measure
from linkjax.lexicon.lemmas import english_lemma


@pytest.mark.parametrize(
    ("word", "lemma"),
    [
        ("dogs", "dog"),
        ("ran", "run"),
        ("dog's", "dog"),
        ("dog’s", "dog"),
        ("women's", "woman"),
        ("moses's", "moses"),
        ("dog", None),
        ("well-known", None),
        ("it's", None),
        ("don't", None),
        ("o'clock", None),
        ("'s", None),
        ("", None),
        ("x" * 100_000, None),
    ],
)
def test_lemmas_are_of_the_same_word(word, lemma):
    assert english_lemma(word) == lemma


def test_words_are_counted_in_lower_case_with_their_apostrophes_and_hyphens():
    counts = count_english(["The dog’s well-known bark, 3 times: THE bark_42."])
    assert counts == {"the": 2, "dog's": 1, "well-known": 1, "bark": 2, "times": 1}


def test_the_longest_source_of_several_words_is_counted_as_one():
    text = ["New York City is not new York. New. York\nhot\ndog hot dogs"]
    counts = count_english(text, ["new york", "new york city", "hot dog", "dog", "mr. x"])
    assert counts == {
        "new york city": 1, "new york": 1, "is": 1, "not": 1, "new": 1, "york": 1, "hot dog": 1, "hot": 1, "dogs": 1
    }  # fmt: skip


def test_coverage_by_running_words_and_types():
    counts = {"dog": 4, "dogs": 2, "hot dog": 1, "of": 2}
    coverage = measure(counts, {"dog", "hot dog"})
    assert coverage.words == 10
    assert (coverage.running, coverage.running_lemmas) == (0.6, 0.8)
    assert (coverage.types, coverage.types_lemmas) == (0.5, 0.75)
    assert coverage.uncovered == (("of", 2),)


def test_uncovered_words_come_by_frequency_then_alphabet_and_are_few():
    coverage = measure({"b": 1, "a": 1, "c": 5, "d": 1}, set(), uncovered=3)
    assert coverage.uncovered == (("c", 5), ("a", 1), ("b", 1))
    assert coverage.running_lemmas == 0


def test_text_without_words_is_an_error():
    with pytest.raises(UserError, match="no word"):
        measure(count_english(["1 2 3"]), {"dog"})


def test_targets_of_several_words_count_as_their_rarest():
    counts = count_targets(["Mwezi mpevu na mwezi.", "Na"], ["mwezi mpevu", "Mwezi", "na", "nyota", "mwezi nyota"])
    assert counts == {"mwezi mpevu": 1, "Mwezi": 2, "na": 2}


def test_targets_with_vowel_signs_are_words():
    assert count_targets(["यह हिन्दी है"], ["हिन्दी", "हि", "न"]) == {"हिन्दी": 1}


def test_targets_without_spaces_are_found_anywhere():
    assert count_targets(["大きな木と大木", "木"], ["木", "大木", "大きな木", "水"]) == {
        "木": 3,
        "大木": 1,
        "大きな木": 1,
    }


def test_corpus_files_are_read_once_with_gz_and_bound(tmp_path):
    (tmp_path / "a.txt").write_text("one\n")
    (tmp_path / "b.txt.gz").write_bytes(gzip.compress(b"two\n" * 10))
    corpus = Corpus(f"{tmp_path}/*.txt*, {tmp_path}/a.txt")
    assert "".join(corpus.blocks()) == "one\n" + "two\n" * 10
    assert (corpus.characters, corpus.cut, len(corpus.files)) == (44, False, 2)


def test_a_bounded_corpus_has_some_of_every_file_in_whole_lines(tmp_path):
    for name in "abc":
        (tmp_path / name).write_text(f"{name}23456789\n" * 100)
    corpus = Corpus(f"{tmp_path}/*", limit=95)
    text = "".join(corpus.blocks())
    assert corpus.cut
    assert text.endswith("\n")
    assert len(text) == corpus.characters < 130
    assert [text.count(name) for name in "abc"] == [4, 3, 3]


def test_corpus_mistakes_are_named(tmp_path):
    with pytest.raises(UserError, match="matches no file"):
        Corpus(f"{tmp_path}/none*.txt")
    with pytest.raises(UserError, match="names no file"):
        Corpus(" , ")
    (tmp_path / "latin1.txt").write_bytes(b"caf\xe9")
    with pytest.raises(UserError, match="latin1"):
        list(Corpus(f"{tmp_path}/latin1.txt").blocks())
