import collections
import unicodedata

import pytest

from linkjax.lexicon import Pair, ReadOptions, clean_pairs
from linkjax.lexicon.scripts import ends_unsegmented, script_of, scripts_of, starts_unsegmented


@pytest.mark.parametrize(
    ("raw", "cleaned", "step"),
    [
        ("Ba\u0308r", "Bär", "recomposed (NFC)"),
        ("paka (mnyama)", "paka", "note in brackets removed"),
        ("paka (a (b) [c] d) mwitu", "paka mwitu", "note in brackets removed"),
        ("mtu(m)zima", "mtuzima", "note in brackets removed"),
        ("Hund {m}", "Hund", "note in brackets removed"),
        ("見る（動詞）", "見る", "note in brackets removed"),
        ("bir (ünsüzle başlayan", "bir", "note in brackets removed"),
        ("bak.) bir", "bir", "note in brackets removed"),
        ("mwezi~mpevu", "mwezi mpevu", "'_', '~' or white space made one space"),
        ("mwezi_mpevu", "mwezi mpevu", "'_', '~' or white space made one space"),
        (" mwezi \u00a0 mpevu", "mwezi mpevu", "'_', '~' or white space made one space"),
        ("вода\u0301", "вода", "stress mark removed"),
        ("разре\u0301шить", "разрешить", "stress mark removed"),
        ("мо\u0300жна", "можна", "stress mark removed"),
        ("pa\u200bka", "paka", "invisible characters removed"),
        ("\ufeffpa\u00adka\u200e", "paka", "invisible characters removed"),
        ("pa\ud800ka", "paka", "invisible characters removed"),
        ("ngapi?", "ngapi", "question or exclamation mark at an end removed"),
        ("¿cuántos?", "cuántos", "question or exclamation mark at an end removed"),
        ("eau\u2010de\u2010vie", "eau-de-vie", "typographic hyphen made '-'"),
    ],
)
def test_each_step_changes_a_translation_and_is_counted(raw, cleaned, step):
    lexicon = clean_pairs([("cat", raw)])
    assert lexicon.entries == {"cat": (cleaned,)}
    assert lexicon.cleaning[step] == 1
    assert step not in clean_pairs([("cat", cleaned)]).cleaning


@pytest.mark.parametrize(
    "target",
    [
        "й",
        "ѓавол",
        "ќе",
        "ѝ",
        "ёлка",
        "é",
        "ẹ̀kọ́",
        "ɔ̀kɔ́",
        "می‌خواهم",
        "ක්‍රීඩා",
        "ng'ombe",
        "o-ote",
        "u. a.",
        "ni...ni",
    ],
)
def test_spelling_survives(target):
    target = unicodedata.normalize("NFC", target)
    lexicon = clean_pairs([("word", unicodedata.normalize("NFD", target))])
    assert lexicon.entries == {"word": (target,)}
    assert set(lexicon.cleaning) <= {"pairs read", "pairs kept", "recomposed (NFC)"}


@pytest.mark.parametrize(
    ("pair", "fault"),
    [
        (("Kenya", "KENYA"), "identical sides"),
        (("cat", "?"), "translation without a letter"),
        (("cat", "..."), "translation without a letter"),
        (("9/11", "neno"), "source without a letter"),
        (("cat", ""), "one side empty"),
        (("(archaic)", "neno"), "one side empty"),
    ],
)
def test_unusable_pairs_are_dropped_and_counted(pair, fault):
    lexicon = clean_pairs([pair, ("dog", "mbwa")])
    assert lexicon.entries == {"dog": ("mbwa",)}
    assert lexicon.cleaning[f"dropped: {fault}"] == 1
    assert (lexicon.cleaning["pairs read"], lexicon.cleaning["pairs kept"]) == (2, 1)


def test_brackets_in_thousands_cost_no_time():
    deep = 100_000 * "(" + 100_000 * ")"
    for junk in (deep, 200_000 * ")", 200_000 * "[", 100_000 * "{("):
        assert clean_pairs([("dog", junk), ("cat", "paka")]).entries == {"cat": ("paka",)}


def test_identical_sides_are_kept_on_request():
    assert clean_pairs([("Kenya", "Kenya")], ReadOptions(keep_identical=True)).entries == {"kenya": ("Kenya",)}


def test_sources_of_several_words_and_hyphens_are_kept():
    entries = clean_pairs([("Hot  Dog", "x"), ("ice-cream", "y"), ("United Nations", "z")]).entries
    assert entries == {"hot dog": ("x",), "ice-cream": ("y",), "united nations": ("z",)}


def test_verbs_and_nouns_lose_their_first_word_but_never_all():
    pairs = [("to run", "a"), ("To eat", "b"), ("a dog", "c"), ("an owl", "d"), ("the sun", "e"), ("the", "f")]
    lexicon = clean_pairs([*pairs, ("to", "g"), ("a", "h"), ("to (a place)", "i"), ("token", "j"), ("another", "k")])
    assert list(lexicon.entries) == ["run", "eat", "dog", "owl", "sun", "the", "to", "a", "token", "another"]
    assert lexicon.entries["to"] == ("g", "i")
    assert lexicon.cleaning["'to ', 'a ', 'an ' or 'the ' removed"] == 5


def test_idioms_keep_their_first_word_in_a_list_without_the_habit():
    words = [(f"word{i}", f"neno{i}") for i in range(1000)]
    assert "the finger" in clean_pairs([*words, ("the finger", "x"), ("to boot", "y")]).entries
    verbs = [(f"to verb{i}", f"tenda{i}") for i in range(20)]
    entries = clean_pairs([*words, *verbs, ("the finger", "x"), ("to boot", "y")]).entries
    assert {"verb0", "boot", "the finger"} < set(entries)


def test_doubles_keep_the_first_rank_the_highest_weight_and_all_origins():
    pairs = [
        Pair("dog", "mbwa", 0.2, "a"),
        Pair("dog", "jibwa", 0.5),
        Pair("Dog", "mbwa", 0.3, "b+a"),
        ("dog", "umbwa"),
    ]
    lexicon = clean_pairs(pairs)
    assert lexicon.entries == {"dog": ("jibwa", "mbwa", "umbwa")}
    assert lexicon.weights == {("dog", "mbwa"): 0.3, ("dog", "jibwa"): 0.5}
    assert lexicon.origins == {("dog", "mbwa"): "a+b"}
    assert lexicon.cleaning["dropped: duplicate"] == 1
    unweighted = clean_pairs([("dog", "mbwa"), ("dog", "jibwa"), ("dog", "mbwa")])
    assert unweighted.entries == {"dog": ("mbwa", "jibwa")}
    equal = clean_pairs([Pair("dog", target, 0.5) for target in "cab"])
    assert equal.entries == {"dog": ("c", "a", "b")}


def test_light_pairs_are_dropped_but_not_those_without_a_weight():
    pairs = [Pair("dog", "mbwa", 0.2), Pair("dog", "jibwa", 0.1), Pair("cat", "paka")]
    lexicon = clean_pairs(pairs, ReadOptions(minimum_weight=0.2))
    assert lexicon.entries == {"dog": ("mbwa",), "cat": ("paka",)}
    assert lexicon.cleaning["dropped: weight below the minimum"] == 1


def test_weights_below_zero_are_kept_where_no_minimum_is_asked_for():
    scores = [Pair("dog", "jibwa", -3.0), Pair("dog", "mbwa", -0.5)]
    assert clean_pairs(scores).entries == {"dog": ("mbwa", "jibwa")}


@pytest.mark.parametrize(
    ("language", "printed", "written"),
    [("ar", "كَلْب", "كلب"), ("fa", "سَگ", "سگ"), ("he", "כֶּלֶב", "כלב"), ("yi", "הוּנט", "הוּנט"), ("ks", "کِتاب", "کِتاب")],
)
def test_vowel_points_go_where_texts_have_none(language, printed, written):
    lexicon = clean_pairs([("dog", printed)], ReadOptions(language=language))
    assert lexicon.entries == {"dog": (unicodedata.normalize("NFC", written),)}
    assert lexicon.cleaning.get("vowel points removed", 0) == (printed != written)


def test_capitals_are_noted_where_the_list_writes_nothing_else():
    words = [(f"word{i}", f"neno{i}") for i in range(10)]
    pairs = [("Monday", "a"), ("March", "b"), ("march", "c"), ("USA", "d"), ("I", "e"), ("A", "f"), ("New York", "g")]
    pairs += [("May", "h"), ("the Hague", "i"), ("X-ray", "j"), ("iPhone", "k"), ("Kenya", "Kenya"), ("Kenya", "l")]
    lexicon = clean_pairs([*words, *pairs])
    assert lexicon.capitalised == {"monday", "i", "new york", "may", "hague", "x-ray", "kenya"}
    assert {"usa", "march", "iphone"} < set(lexicon.entries)


def test_capitals_say_nothing_in_a_list_of_capitalised_words():
    assert clean_pairs([("Dog", "a"), ("Cat", "b"), ("Monday", "c"), ("owl", "d")]).capitalised == set()


def test_a_file_in_capitals_is_lowered_and_a_few_acronyms_are_not():
    shouted = [(f"word{i}", f"İSIM{chr(65 + i)}") for i in range(20)]
    lexicon = clean_pairs([*shouted, ("mixed", "Neno")], ReadOptions(language="tr"))
    assert lexicon.entries["word0"] == ("isıma",)
    assert lexicon.entries["mixed"] == ("Neno",)
    assert lexicon.cleaning["translation in capitals lowered"] == 20
    assert clean_pairs([("house", "NYUMBA")] * 12).entries == {"house": ("nyumba",)}
    plain = [(f"word{i}", f"neno{chr(65 + i)}") for i in range(3)]
    assert clean_pairs([*shouted, *plain]).entries["word19"] == ("İSIMT",)
    assert clean_pairs([("united nations", "UNO")]).entries == {"united nations": ("UNO",)}


def test_another_script_is_dropped_where_most_are_right():
    pairs = [("dog", "собака"), ("cat", "кошка"), ("owl", "сова"), ("x-ray", "рентген X"), ("disc", "CD")]
    lexicon = clean_pairs(pairs, ReadOptions(language="ru"))
    assert set(lexicon.entries) == {"dog", "cat", "owl", "x-ray"}
    assert lexicon.cleaning["dropped: translation in another script"] == 1
    for language in ("", "qaa", "sr", "sw"):  # not said, not known, both scripts, most wrong
        assert len(clean_pairs(pairs, ReadOptions(language=language))) == 5


def test_what_a_reader_counted_is_in_the_report():
    counts = collections.Counter({"dropped: malformed line": 3})

    def read():
        yield "dog", "mbwa"
        counts["dropped: late"] += 1

    cleaning = clean_pairs(read(), counts=counts).cleaning
    assert cleaning == {"dropped: malformed line": 3, "dropped: late": 1, "pairs read": 1, "pairs kept": 1}


@pytest.mark.parametrize(
    ("language", "scripts"),
    [
        ("sw", "Latn"),
        ("swh", "Latn"),
        ("ja", "Hira Kana Hani"),
        ("ko", "Hang Hani"),
        ("zh", "Hani Bopo"),
        ("zh-Hant", "Hani Bopo"),
        ("zh_CN", "Hani Bopo"),
        ("sr", "Cyrl Latn"),
        ("sr-Latn", "Latn"),
        ("pa", "Guru Arab"),
        ("pa-PK", "Guru Arab"),
        ("mni-Mtei", "Mtei"),
        ("am", "Ethi"),
        ("ckb", "Arab Latn"),
    ],
)
def test_scripts_of_languages(language, scripts):
    assert scripts_of(language) == set(scripts.split())


@pytest.mark.parametrize("language", ["", "qaa", "qtz", "xx", "und", "mul", "zxx", "tlh", "en swahili", "!!"])
def test_scripts_of_unknown_languages_are_not_known(language):
    assert scripts_of(language) is None


def test_scripts_of_characters():
    characters = "aéɓßdоκבم日ひカ한กກកကहঅአ〆々〇ー"
    codes = "Latn Latn Latn Latn Latn Cyrl Grek Hebr Arab Hani Hira Kana Hang Thai Laoo Khmr Mymr Deva Beng Ethi"
    assert [script_of(character) for character in characters] == [*codes.split(), "Hani", "Hani", "Hani", "Kana"]
    assert {script_of(character) for character in " 1.,-?!'’٣、。\u0301\u200d\x00😀"} == {"Zyyy"}


def test_scripts_of_letters_are_those_of_unicode():
    unicode_script = pytest.importorskip("fontTools.unicodedata").script
    codes = {script_of(chr(point)) for point in range(0x20000)}
    wrong = collections.Counter()
    for point in range(0x20000):
        character = chr(point)
        script = unicode_script(character)
        if unicodedata.category(character)[0] == "L" and script in codes:
            wrong[script_of(character), script] += script_of(character) != script
    assert len(codes) > 60
    assert sum(wrong.values()) < 70, wrong.most_common()  # modifier and common letters, of some 50,000


def test_scripts_without_spaces_at_an_end():
    for text in ("日本", "ひらがな", "コーヒー", "ไทย", "ລາວ", "ខ្មែរ", "မြန်မာ"):
        assert starts_unsegmented(text)
        assert ends_unsegmented(text)
    for text in ("", "paka", "한국", "हिन्दी", "日本。", "。日本"):
        assert not (starts_unsegmented(text) and ends_unsegmented(text))
    assert starts_unsegmented("日本 go")
    assert not ends_unsegmented("日本 go")
    assert not starts_unsegmented("T シャツ")
    assert ends_unsegmented("Tシャツ")


def test_stems_lose_their_hyphen_and_parts_of_words_are_no_sources():
    lexicon = clean_pairs(
        [("big", "-kubwa"), ("off", "ab-"), ("when", "-ki-"), ("off", "ab"), ("-ness", "heit"), ("re-", "x")]
    )
    assert lexicon.entries == {"big": ("kubwa",), "off": ("ab",), "when": ("ki",)}
    assert lexicon.cleaning["hyphen at a translation's end removed"] == 3
    assert lexicon.cleaning["dropped: source that is part of a word"] == 2
