import gzip

import pytest

from linkjax.errors import UserError
from linkjax.lexicon import WordStatistics, read_lexicon, scramble, thin, write_lexicon
from linkjax.lexicon.readers import clean_pairs


def write(path, text):
    path.write_bytes(text.encode())
    return path


def test_reads_tabs_bom_crlf_and_cleans(tmp_path):
    path = write(
        tmp_path / "x.tsv",
        "\ufeffdog\tmbwa\r\nDog\tmbwa\r\nto eat\tkula\r\ncat\tpaka (mnyama)\r\nhot_dog\tx\r\nsame\tsame\r\n"
        "empty\t\r\nwhat\t?\r\nmoon\tmwezi~mpevu\r\n",
    )
    lexicon = read_lexicon(path)
    assert lexicon.entries == {"dog": ("mbwa",), "eat": ("kula",), "cat": ("paka",), "moon": ("mwezi mpevu",)}
    assert lexicon.cleaning["pairs read"] == 9
    assert lexicon.cleaning["dropped: duplicate"] == 1
    assert lexicon.cleaning["dropped: identical sides"] == 1
    assert lexicon.cleaning["dropped: one side empty"] == 1
    assert lexicon.cleaning["dropped: source of several words"] == 1
    assert lexicon.cleaning["dropped: translation without a letter"] == 1


def test_reads_muse_spaces_and_gz_and_keeps_sense_order(tmp_path):
    path = tmp_path / "en-de.txt.gz"
    path.write_bytes(gzip.compress(b"bank bank\nbank Ufer\nbank Kreditinstitut\n"))
    assert read_lexicon(path).entries == {"bank": ("Ufer", "Kreditinstitut")}


def test_further_columns_are_left_out_and_a_stray_tab_decides_nothing(tmp_path):
    path = write(tmp_path / "x", "dog\tmbwa\tnoun\ncat\tpaka\t0.93\n")
    assert read_lexicon(path).entries == {"dog": ("mbwa",), "cat": ("paka",)}
    path = write(tmp_path / "y", "dog mbwa\ncat paka\nwater\tmaji\n")
    assert read_lexicon(path).entries == {"dog": ("mbwa",), "cat": ("paka",), "water": ("maji",)}


def test_cleaning_is_done_once_and_for_all(tmp_path):
    lexicon = clean_pairs([("Ǆ (a (b) c)", "x (y (z))"), ("J\u030c", "hacek"), ("to run", "kimbia")])
    write_lexicon(lexicon, tmp_path / "out.tsv")
    assert read_lexicon(tmp_path / "out.tsv").fingerprint == lexicon.fingerprint


def test_decomposed_letters_become_one(tmp_path):
    assert read_lexicon(write(tmp_path / "x", "bear\tBa\u0308r\n")).entries == {"bear": ("Bär",)}


def test_written_lexicon_reads_back_with_the_same_fingerprint(tmp_path):
    lexicon = clean_pairs([("dog", "mbwa"), ("cat", "paka"), ("dog", "jibwa")])
    write_lexicon(lexicon, tmp_path / "out.tsv")
    assert read_lexicon(tmp_path / "out.tsv").fingerprint == lexicon.fingerprint
    assert clean_pairs([("dog", "mbwa")]).fingerprint != lexicon.fingerprint


@pytest.mark.parametrize(
    ("content", "says"),
    [(None, "No such file"), (b"", "no usable line"), (b"dog\n", "no usable line"), (b"d\xff\tx\n", "not UTF-8")],
)
def test_unusable_files_are_named(tmp_path, content, says):
    path = tmp_path / "bad.tsv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=says) as error:
        read_lexicon(path)
    assert str(path) in str(error.value)


def test_truncated_gzip_is_a_sentence(tmp_path):
    path = tmp_path / "cut.gz"
    path.write_bytes(gzip.compress(b"dog\tmbwa\n" * 1000)[:40])
    with pytest.raises(UserError, match=r"cut\.gz"):
        read_lexicon(path)


def make(count):
    return clean_pairs([(f"word{i}x", f"neno{i}y") for i in range(count)])


def test_thinned_lexicons_are_nested_and_exact():
    lexicon = make(200)
    half, tenth = thin(lexicon, 0.5, seed=1), thin(lexicon, 0.1, seed=1)
    assert len(half) == 100
    assert len(tenth) == 20
    assert set(tenth.entries) < set(half.entries)
    assert set(thin(lexicon, 0.5, seed=2).entries) != set(half.entries)


def test_scramble_is_a_matched_derangement():
    lexicon = make(300)
    statistics = {
        word: WordStatistics(2 ** (i % 5), 3 * (i % 2), 1 + i % 3) for i, word in enumerate(sorted(lexicon.entries))
    }
    scrambled = scramble(lexicon, statistics, seed=0)
    owner = {targets: word for word, targets in lexicon.entries.items()}
    assert sorted(scrambled.entries.values()) == sorted(lexicon.entries.values())
    for word, targets in scrambled.entries.items():
        assert targets != lexicon.entries[word]
        assert statistics[owner[targets]] == statistics[word]


def test_scramble_gives_no_word_a_synonyms_translation():
    pairs = [(f"a{i}", f"t{i // 2}") for i in range(40)]  # every translation belongs to two words
    lexicon = clean_pairs(pairs)
    statistics = dict.fromkeys(lexicon.entries, WordStatistics(1, 1, 1))
    for seed in range(20):
        scrambled = scramble(lexicon, statistics, seed)
        assert all(set(scrambled.entries[word]).isdisjoint(lexicon.entries[word]) for word in lexicon.entries)


def test_real_lists(real_data):
    swahili = read_lexicon(real_data / "lexicons/wiktionary.en-sw.tsv")
    assert swahili.entries["dog"] == ("mbwa",)
    assert swahili.entries["water"] == ("maji", "nywesha")
    assert len(swahili) == REAL_ENTRIES["sw"]
    for language, count in REAL_ENTRIES.items():
        assert len(read_lexicon(real_data / f"lexicons/wiktionary.en-{language}.tsv")) == count


REAL_ENTRIES = {"sw": 3724, "de": 24706, "tr": 6952, "et": 3469, "ja": 18632}
