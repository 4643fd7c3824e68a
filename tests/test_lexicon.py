import functools
import gzip
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkjax.errors import UserError
from linkjax.lexicon import (
    Lexicon,
    Pair,
    ReadOptions,
    clean_pairs,
    read_lexicon,
    write_lexicon,
)


def write(path, text):
    path.write_bytes(text.encode())
    return path


def assert_same(one, other):
    assert list(one.entries.items()) == list(other.entries.items())
    assert (one.weights, one.origins, one.capitalised) == (other.weights, other.origins, other.capitalised)
    assert one.fingerprint == other.fingerprint


def test_reads_tabs_bom_crlf_and_cleans(tmp_path):
    path = write(
        tmp_path / "x.tsv",
        "\ufeffdog\tmbwa\r\nDog\tmbwa\r\nto eat\tkula\r\ncat\tpaka (mnyama)\r\nhot_dog\tx\r\nsame\tsame\r\n"
        "empty\t\r\nwhat\t?\r\nmoon\tmwezi~mpevu\r\n",
    )
    lexicon = read_lexicon(path)
    assert lexicon.entries == {
        "dog": ("mbwa",),
        "eat": ("kula",),
        "cat": ("paka",),
        "hot dog": ("x",),
        "moon": ("mwezi mpevu",),
    }
    assert lexicon.cleaning == {
        "pairs read": 9,
        "note in brackets removed": 1,
        "'_', '~' or white space made one space": 2,
        "'to ', 'a ', 'an ' or 'the ' removed": 1,
        "dropped: duplicate": 1,
        "dropped: identical sides": 1,
        "dropped: one side empty": 1,
        "dropped: translation without a letter": 1,
        "pairs kept": 5,
    }


def test_reads_muse_spaces_and_gz_and_keeps_sense_order(tmp_path):
    path = tmp_path / "en-de.txt.gz"
    path.write_bytes(gzip.compress(b"bank bank\nbank Ufer\nbank Kreditinstitut\n"))
    assert read_lexicon(path).entries == {"bank": ("Ufer", "Kreditinstitut")}


def test_cleaning_is_done_once_and_for_all(tmp_path):
    lexicon = clean_pairs([("Ǆ (a (b) c)", "x (y (z))"), ("J\u030c", "hacek"), ("to run", "kimbia")])
    write_lexicon(lexicon, tmp_path / "out.tsv")
    assert_same(read_lexicon(tmp_path / "out.tsv"), lexicon)


def test_a_written_lexicon_reads_back_equal_whatever_the_options(tmp_path):
    pairs = [
        Pair("dog", "mbwa", 0.25, "a"),
        Pair("dog", "jibwa", 0.1 + 0.2, "a+b"),
        Pair("ice cream", "aiskrimu"),
        Pair("Monday", "Jumatatu"),
        Pair("Kenya", "Kenya"),
        Pair("to", "kwa"),
        Pair("the", "the (x)"),
    ]
    lexicon = clean_pairs(pairs, ReadOptions(keep_identical=True))
    assert lexicon.capitalised == {"monday", "kenya"}
    path = tmp_path / "out.tsv"
    write_lexicon(lexicon, path)
    assert path.read_text().splitlines()[:2] == [
        "source\ttarget\tweight\torigin",
        "dog\tjibwa\t0.30000000000000004\ta+b",
    ]
    assert "Monday\tJumatatu\t\t" in path.read_text().splitlines()
    for options in (ReadOptions(), ReadOptions(target_first=True, language="ru", format="csv")):
        assert_same(read_lexicon(path, options), lexicon)
    heavy = read_lexicon(path, ReadOptions(minimum_weight=0.3))
    assert heavy.entries["dog"] == ("jibwa",) and heavy.entries["ice cream"] == ("aiskrimu",)
    assert heavy.cleaning["dropped: weight below the minimum"] == 1
    (tmp_path / "out.tsv.gz").write_bytes(gzip.compress(path.read_bytes()))
    assert_same(read_lexicon(tmp_path / "out.tsv.gz"), lexicon)


@given(
    st.lists(
        st.tuples(
            st.text(max_size=6),
            st.text(max_size=6),
            st.none() | st.floats(allow_nan=False, allow_infinity=False),
            st.sampled_from(["", "a", "b"]),
        ),
        max_size=8,
    )
)
def test_any_cleaned_lexicon_reads_back_equal(tmp_path_factory, rows):
    lexicon = clean_pairs([Pair(*row) for row in rows], ReadOptions(minimum_weight=-float("inf")))
    path = tmp_path_factory.getbasetemp() / "any.tsv"
    write_lexicon(lexicon, path)
    if lexicon.entries:
        assert_same(read_lexicon(path), lexicon)
    else:
        with pytest.raises(UserError, match="no usable line"):
            read_lexicon(path)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("dog\tmbwa\n", "line 3: expected the columns"),
        ("dog\t\t\t\n", "line 3: expected the columns"),
        ("dog\tmbwa\tbig\t\n", "line 3: the weight 'big'"),
        ("dog\tmbwa\tnan\t\n", "line 3: the weight 'nan'"),
        ("Cat\tpaka\t\t\n", "line 3: the pair 'cat' - 'paka' comes twice"),
    ],
)
def test_a_written_lexicon_that_was_edited_wrongly_names_the_line(tmp_path, line, says):
    path = write(tmp_path / "x.tsv", "source\ttarget\tweight\torigin\ncat\tpaka\t\t\n" + line)
    with pytest.raises(UserError, match=says) as error:
        read_lexicon(path)
    assert str(path) in str(error.value)
    lexicon = read_lexicon(path, ReadOptions(keep_good_lines=True))
    assert lexicon.entries == {"cat": ("paka",)}
    assert lexicon.cleaning["dropped: malformed line"] == 1


def test_the_fingerprint_tells_entries_weights_and_capitals_apart():
    lexicon = Lexicon({"dog": ("mbwa",)})
    others = [
        Lexicon({"dog": ("jibwa",)}),
        Lexicon({"dog": ("mbwa",)}, weights={("dog", "mbwa"): 0.5}),
        Lexicon({"dog": ("mbwa",)}, capitalised=frozenset({"dog"})),
    ]
    assert len({lexicon.fingerprint, *(other.fingerprint for other in others)}) == 4


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "No such file"),
        (b"", "no usable line"),
        (b"dog\n", "line 1: expected two words"),
        (b"d\xff\tx\n", "line 1: not UTF-8"),
        (b"dog\tdog\n", "no usable line .*identical sides: 1"),
    ],
)
def test_unusable_files_are_named(tmp_path, content, says):
    path = tmp_path / "bad.tsv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=says) as error:
        read_lexicon(path)
    assert str(path) in str(error.value)


def test_a_format_that_is_not_known_is_named(tmp_path):
    with pytest.raises(UserError, match=r"'babel' is not known: choose one of .*tsv"):
        read_lexicon(write(tmp_path / "x", "dog\tmbwa\n"), ReadOptions(format="babel"))


def test_truncated_gzip_is_a_sentence(tmp_path):
    path = tmp_path / "cut.gz"
    path.write_bytes(gzip.compress(b"dog\tmbwa\n" * 1000)[:40])
    with pytest.raises(UserError, match=r"cut\.gz"):
        read_lexicon(path)


# Entries, those of one word, pairs.
REAL_COUNTS = {
    "sw": (4170, 3721, 5304),
    "de": (38160, 24603, 57614),
    "tr": (8139, 6934, 10884),
    "et": (3991, 3457, 4811),
    "ja": (29491, 18581, 62976),
}


@functools.cache
def read_real(folder, language):
    return read_lexicon(folder / f"lexicons/wiktionary.en-{language}.tsv")


@pytest.mark.parametrize("language", REAL_COUNTS)
def test_real_lists(real_data, tmp_path, language):
    lexicon = read_real(real_data, language)
    single = sum(" " not in source for source in lexicon.entries)
    assert (len(lexicon), single, len(list(lexicon.pairs()))) == REAL_COUNTS[language]
    dropped = sum(count for step, count in lexicon.cleaning.items() if step.startswith("dropped"))
    assert lexicon.cleaning["pairs read"] == lexicon.cleaning["pairs kept"] + dropped
    write_lexicon(lexicon, tmp_path / "out.tsv")
    assert_same(read_lexicon(tmp_path / "out.tsv"), lexicon)


def test_known_entries_of_real_lists(real_data):
    swahili = read_real(real_data, "sw")
    assert swahili.entries["dog"] == ("mbwa",)
    assert swahili.entries["water"] == ("maji", "nywesha")
    assert swahili.entries["member of parliament"] == ("mbunge",)
    assert swahili.entries["a lot"] == ("sana",)
    assert {"monday", "sunday", "swedish"} <= swahili.capitalised
    assert swahili.capitalised.isdisjoint({"dog", "march"})  # the list has march and March
    german = read_real(real_data, "de")
    assert "Stinkefinger" in german.entries["the finger"]
    assert "Stinkefinger" not in german.entries["finger"]


def test_letters_of_another_script_are_dropped_from_a_real_list(real_data):
    lexicon = read_lexicon(real_data / "lexicons/wiktionary.en-ja.tsv", ReadOptions(language="ja"))
    gone = {tuple(pair) for pair in read_real(real_data, "ja").pairs()} - {tuple(pair) for pair in lexicon.pairs()}
    assert lexicon.cleaning["dropped: translation in another script"] == len(gone) == 182
    assert not any(re.search("[\u3041-\u30fa\u4e00-\u9fff]", target) for _, target, _, _ in gone)
