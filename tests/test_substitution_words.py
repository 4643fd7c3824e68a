"""Which words are swapped, and for what: phrases, lemmas, case, protected text, scripts, senses."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linkjax.errors import UserError
from linkjax.lexicon import Pair, clean_pairs
from linkjax.substitution import LinkSettings, Substitution
from linkjax.substitution.word_lists import NAMED, read_word_list
from linkjax.substitution.words import WordFinder

PAIRS = [
    ("dog", "mbwa"), ("cat", "paka"), ("house", "nyumba"), ("go", "enda"), ("be", "kuwa"), ("ice", "barafu"),
    ("cream", "krimu"), ("ice cream", "aiskrimu"), ("ice cream parlour", "duka la aiskrimu"), ("known", "julikana"),
    ("well-known", "mashuhuri"), ("Monday", "jumatatu"), ("America", "Marekani"), ("it", "hiyo"), ("us", "sisi"),
    ("we", "sisi wenyewe"), ("May", "Mei"),
]  # fmt: skip
LEXICON = clean_pairs(PAIRS)


def swapped(text, lexicon=LEXICON, **settings):
    return Substitution(lexicon, LinkSettings(**{"ratio": 1.0, **settings}))(0, text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("dog", "mbwa"),
        ("(dog), “cat”; house...", "(mbwa), “paka”; nyumba..."),
        ("Dog dog's dogs' DOGS", "Mbwa mbwa's mbwa' DOGS"),  # the 's is grammar of the English; lemma; acronym-like
        ("dogs going went Houses", "mbwa enda enda Nyumba"),  # by their lemmas
        ("don't it's cat's", "don't it's paka's"),  # contractions are no forms of their parts
        ("dog-house cat–dog cat/dog dog—cat", "mbwa-nyumba paka–mbwa paka/mbwa mbwa—paka"),
        ("a well-known dog, a Well-Known cat", "a mashuhuri mbwa, a Mashuhuri paka"),
        ("well known", "well julikana"),  # the entry has a hyphen
        ("an ice cream parlour", "an duka la aiskrimu"),  # the longest entry
        ("(Ice cream)! ice, cream", "(Aiskrimu)! barafu, krimu"),
        ("ice  cream ice\ncream", "barafu  krimu barafu\nkrimu"),  # an entry's words stand next to each other
        ("ice cream parlours", "aiskrimu parlours"),
        ("on Monday in America", "on jumatatu in Marekani"),  # a capital that is no sentence's
        ("HE SAW A DOG AND CAT", "HE SAW A MBWA AND PAKA"),
        ("the US and IT of NASA", "the US and IT of NASA"),
        ("the US IT and the IT US of it", "the US IT and the IT US of hiyo"),  # two of them are no shouting
        ("the dog. I SAW A CAT! the dog", "the mbwa. I SAW A PAKA! the mbwa"),
        ("he may see May, on Monday, not monday", "he may see Mei, on jumatatu, not monday"),  # it has the month
        ("3rd dog2 cat_dog MP3 dog", "3rd dog2 cat_dog MP3 mbwa"),
        (
            "www.dog.com http://cat.org/dog dog@cat.com #dog @cat",
            "www.dog.com http://cat.org/dog dog@cat.com #dog @cat",
        ),
        ("dog() `dog cat` <b>dog</b> <a href='dog cat'> cat", "dog() `dog cat` <b>dog</b> <a href='dog cat'> paka"),
        ("dogHouse DogHouse cat.dog $cat \\dog /usr/dog", "dogHouse DogHouse cat.dog $cat \\dog /usr/dog"),
        ("```\ndog\ncat\n``` dog", "```\ndog\ncat\n``` mbwa"),
        ("do\u0301g cat\u0301 dog", "do\u0301g cat\u0301 mbwa"),  # decomposed letters are not cut apart
        ("sen\u0303it us\u00addog dog", "sen\u0303it us\u00addog mbwa"),  # nor after the mark; a soft hyphen
        ("dog\r\ncat\tdog\n\n dog", "mbwa\r\npaka\tmbwa\n\n mbwa"),
        ("", ""),
        ("  ", "  "),
    ],
)
def test_words_in_text(text, expected):
    done = swapped(text)
    assert done.text == expected
    assert done.undo() == text


@pytest.mark.parametrize(
    ("settings", "text", "expected"),
    [
        ({"protect": False}, "DOG IT www.dog.com dog()", "MBWA HIYO www.mbwa.com mbwa()"),
        ({"lemmas": False}, "dogs dog", "dogs mbwa"),
        ({"multiword_sources": False}, "ice cream well-known", "barafu krimu well-julikana"),
        ({"multiword_targets": False}, "we ice cream parlour us", "we aiskrimu parlour sisi"),
        ({"case": "lexicon"}, "Dog Ice cream", "mbwa aiskrimu"),
    ],
)
def test_settings_of_words(settings, text, expected):
    assert swapped(text, **settings).text == expected


def test_phrases_are_one_swap_of_several_words():
    done = swapped("an ice cream parlour for a dog")
    assert [span.original for span in done.spans] == ["ice cream parlour", "dog"]
    assert (done.words, done.eligible) == (7, 4)
    rare = swapped("an ice cream for a dog " * 500, ratio=0.5)
    assert {span.original for span in rare.spans} == {"ice cream", "dog"}  # no half of a phrase, though an entry


def test_entries_with_spaces_and_hyphens():
    lexicon = clean_pairs([("double-edged sword", "upanga"), ("in-depth", "kina"), ("x-ray machine", "mashine")])
    done = swapped("(A double-edged sword), in-depth; X-ray machine. double-edged swords", lexicon)
    assert done.text == "(A upanga), kina; Mashine. double-edged swords"
    assert (done.words, done.eligible) == (12, 8)


def test_a_phrase_in_capitals_stands_among_others():
    assert swapped("HE SAW A DOG ICE CREAM").text == "HE SAW A MBWA AISKRIMU"
    assert swapped("the ICE CREAM for you").text == "the AISKRIMU for you"


def test_words_by_the_count_of_the_plain_pattern():
    text = "The dog's well-known ice-cream, 3 cats—and O'Neill's don’t."
    assert swapped(text, ratio=0.0).words == 10


def test_a_capital_is_the_title_case_of_the_letter():
    lexicon = clean_pairs([("dog", "ძაღლი"), ("cat", "ǆ"), ("house", "ﬁ")])
    assert swapped("Dog Cat House", lexicon).text == "ძაღლი ǅ Fi"  # Georgian writes no capitals in sentences


FINDER = WordFinder(LEXICON, LinkSettings())
CHUNK = st.one_of(
    st.text(alphabet="dogs DOG.,;:!?…()[]\"'“”‘’«»—–-\r\n\t$@#/<`_1é\u0301猫", max_size=8).map(
        lambda text: text.replace(" ", "")
    ),
    st.tuples(
        st.text(alphabet="([\"'“‘—\n$#@<", max_size=2),
        st.sampled_from(["dog", "Dogs", "DOG", "I", "ice", "x", "dogHouse", "ﬁ", "don’t", "us"]),
        st.text(alphabet=".,;:!?…)]\"'”’s—\r1_(-", max_size=3),
    ).map("".join),
)


@settings(max_examples=2000)
@given(CHUNK)
def test_the_short_way_to_look_at_a_chunk_sees_the_same(chunk):
    assert FINDER.analyse(chunk) == FINDER.analyse_anything(chunk)


def test_turkish_capitals():
    lexicon = clean_pairs([("work", "iş"), ("light", "ışık"), ("people", "insanlar")])
    done = Substitution({"tr": lexicon}, LinkSettings(ratio=1.0))(0, "Work Light HARD WORK PEOPLE")
    assert done.text == "İş Işık HARD İŞ İNSANLAR"


@pytest.mark.parametrize(
    ("text", "expected", "originals"),
    [
        ("a big dog ran", "a 大きい犬 ran", ["big dog"]),
        ("(Big dog) big, dog", "(大きい犬) 大きい, 犬", ["Big dog", "big", "dog"]),
        ("big\ndog dog", "大きい\n犬犬", ["big", "dog dog"]),
        ("big dog house-dog", "大きい犬家-犬", ["big dog house", "dog"]),
    ],
)
def test_no_spaces_between_words_of_a_script_without_them(text, expected, originals):
    lexicon = clean_pairs([("big", "大きい"), ("dog", "犬"), ("house", "家")])
    done = swapped(text, lexicon)
    assert done.text == expected
    assert [span.original for span in done.spans] == originals
    stretches = re.findall(r"[\u3040-\u30ff\u4e00-\u9fff]+", expected)
    assert [done.text[span.start : span.end] for span in done.spans] == stretches
    assert done.undo() == text


@pytest.mark.parametrize("translation", ["หมา", "ໝາ", "ឆ្កែ", "ခွေး", "狗"])
def test_other_unsegmented_scripts(translation):
    assert swapped("a dog dog!", clean_pairs([("dog", translation)])).text == f"a {translation}{translation}!"


def test_right_to_left_words_keep_their_place_in_memory():
    done = swapped("The dog, the house.", clean_pairs([("dog", "كلب"), ("house", "בית")]))
    assert done.text == "The كلب, the בית."
    assert done.undo() == "The dog, the house."


@pytest.mark.parametrize(
    "unit", ["a-", ".", "dog-", "/", "<", "`", "'", "a'", "dog", "1a", "猫", "ice cream ", "\n", "A_"]
)
def test_text_of_one_thing_over_and_over_takes_no_time_to_speak_of(unit):
    text = unit * (300_000 // len(unit)) + "x"  # what is quadratic takes minutes here
    done = swapped(text, max_swaps_per_sentence=3)
    assert done.undo() == text


def test_many_swaps_in_one_chunk_take_memory_for_one():
    text = ",".join(["dog", "cat"] * 20_000)  # a copy of the text for each swap would be 6 GB
    done = swapped(text, ratio=0.5)
    assert done.undo() == text
    assert 15_000 < len(done.spans) < 25_000


SENSES = clean_pairs([Pair("bank", "a", 6.0), Pair("bank", "b", 3.0), Pair("bank", "c", 1.0), Pair("dog", "d")])


def senses(count=3000, **settings):
    found = swapped("bank " * count, SENSES, **settings).text.split()
    return {sense: found.count(sense) / len(found) for sense in "abc"}


def test_which_sense():
    assert senses(sense="first") == {"a": 1, "b": 0, "c": 0}
    for sense, expected in (("uniform", (1 / 3,) * 3), ("weighted", (0.6, 0.3, 0.1))):
        shares = senses(sense=sense)
        for share, chance in zip(shares.values(), expected, strict=True):
            assert abs(share - chance) < 4 * (chance * (1 - chance) / 3000) ** 0.5


def test_one_sense_per_document_and_all_over_the_documents():
    lexicon = clean_pairs([("bank", "a"), ("bank", "b"), ("dog", "c"), ("dog", "d")])
    substitution = Substitution(lexicon, LinkSettings(ratio=1.0, sense="per_document"))
    texts = [substitution(document, "bank dog bank dog").text.split() for document in range(400)]
    assert all(text[0] == text[2] and text[1] == text[3] for text in texts)
    both = np.array([[text[0] == "a", text[1] == "c"] for text in texts])
    assert (abs(both.mean(0) - 0.5) < 0.1).all()
    assert abs((both[:, 0] == both[:, 1]).mean() - 0.5) < 0.1  # each word on its own
    again = [substitution(document, "bank dog", 1).text for document in range(400)]
    assert again != [" ".join(text[:2]) for text in texts]


def test_excluded_words_and_domain_words(tmp_path):
    (tmp_path / "words.txt").write_text("DOG\n\ncat \n")
    path = str(tmp_path / "words.txt")
    text = "dog dogs cat house"
    assert swapped(text, exclude=path).text == "dog dogs cat nyumba"
    assert swapped(text, select="domain", domain_words=path).text == "mbwa mbwa paka house"
    assert swapped(text, select="non_domain", domain_words=path).text == "dog dogs cat nyumba"
    (tmp_path / "forms.txt").write_text("houses\n")
    assert swapped(text, select="domain", domain_words=str(tmp_path / "forms.txt")).text == "dog dogs cat nyumba"
    assert swapped("it is us", exclude="english_function_words").text == "it is us"
    assert {"the", "of", "and"} <= NAMED["english_function_words"]
    with pytest.raises(UserError, match=r"neither a file nor one of english_function_words"):
        read_word_list("stopwords")
    (tmp_path / "empty.txt").write_text("\n")
    with pytest.raises(UserError, match="empty"):
        read_word_list(str(tmp_path / "empty.txt"))


MANY = clean_pairs([(f"w{a}{b}", f"v{a}{b}") for a in "abcdefghij" for b in "klmnopqrst"])
MANY_TEXT = " ".join(sorted(MANY.entries))


def test_heldout_entries_are_never_swapped():
    substitution = Substitution(MANY, LinkSettings(ratio=1.0, holdout=0.3))
    assert len(substitution.heldout[""]) == 30
    done = substitution(0, MANY_TEXT)
    assert {span.original for span in done.spans} == set(substitution.lexicons[""].entries)
    assert not {span.original for span in done.spans} & set(substitution.heldout[""].entries)


def test_a_form_that_the_controls_took_out_is_not_swapped_by_its_lemma():
    lexicon = clean_pairs([("dogs", "x"), ("dog", "y")])
    thin = next(
        found for seed in range(50)
        if list((found := Substitution(lexicon, LinkSettings(ratio=1.0, coverage=0.5, seed=seed))).lexicons[""].entries)
        == ["dog"]
    )  # fmt: skip
    assert thin(0, "dogs dog").text == "dogs y"


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"schedule": "linear", "ratio": 0.8, "ratio_end": 0.2}, [0.8, 0.65, 0.5, 0.35, 0.2]),
        ({"schedule": "cosine", "ratio": 0.8, "ratio_end": 0.2}, [0.8, 0.712, 0.5, 0.288, 0.2]),
        ({"schedule": "steps", "ratio": 0.8, "ratio_steps": "0.25:0.5,0.9:0"}, [0.8, 0.5, 0.5, 0.5, 0]),
        ({"schedule": "constant", "ratio": 0.3}, [0.3] * 5),
    ],
)
def test_the_ratio_follows_its_schedule(settings, expected):
    found = LinkSettings(**settings).ratios(np.array([0, 0.25, 0.5, 0.75, 1.0]))
    assert found == pytest.approx(expected, abs=1e-3)
    substitution = Substitution(MANY, LinkSettings(**settings))
    counts = [sum(len(substitution(d, MANY_TEXT, 0, p).spans) for d in range(30)) for p in (0, 0.25, 0.5, 0.75, 1.0)]
    for count, ratio in zip(counts, expected, strict=True):
        assert abs(count / 3000 - ratio) <= 4 * (ratio * (1 - ratio) / 3000) ** 0.5
    late = substitution(3, MANY_TEXT, 0, 7.0)  # past the expected end
    assert late == substitution(3, MANY_TEXT, 0, 1.0)


def test_a_share_of_all_words():
    text = MANY_TEXT + " other" * 100  # half of the words are eligible
    shares = Substitution(MANY, LinkSettings()).eligible_shares([text])
    assert shares == {"": 0.5}
    of_words = Substitution(MANY, LinkSettings(ratio=0.4, ratio_of="words"), eligible_shares=shares)
    swaps = sum(len(of_words(document, text).spans) for document in range(50))
    assert abs(swaps / (50 * 200) - 0.4) < 4 * (0.8 * 0.2 / 5000) ** 0.5
    with pytest.raises(UserError, match=r"link\.ratio 0\.6 of all words is out of reach: only 0\.500"):
        Substitution(MANY, LinkSettings(ratio=0.6, ratio_of="words"), eligible_shares=shares)
    with pytest.raises(UserError, match="how many words are eligible"):
        Substitution(MANY, LinkSettings(ratio_of="words"))


def test_languages_share_the_documents_by_their_weights():
    lexicons = {"sw": clean_pairs([("dog", "mbwa")]), "de": clean_pairs([("dog", "Hund")])}
    substitution = Substitution(lexicons, LinkSettings(ratio=1.0, language_weights="sw:3,de:1"))
    texts = [substitution(document, "dog dog").text for document in range(1000)]
    assert set(texts) == {"mbwa mbwa", "Hund Hund"}
    assert abs(texts.count("mbwa mbwa") / 1000 - 0.75) < 4 * (0.75 * 0.25 / 1000) ** 0.5
    assert texts == [substitution(document, "dog dog", 1).text for document in range(1000)]  # at every pass
    with pytest.raises(UserError, match=r"language_weights names fr, sw, the lexicons are for de, sw"):
        Substitution(lexicons, LinkSettings(language_weights="sw:1,fr:1"))


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"sense": "best"}, r"link\.sense is 'best': choose one of uniform, first, weighted, per_document"),
        ({"select": "domain"}, "needs a word list"),
        ({"ratio_of": "words", "max_swaps_per_sentence": 1}, "set one"),
        ({"schedule": "steps"}, "go together"),
        ({"ratio_steps": "0.5:0"}, "go together"),
        ({"schedule": "steps", "ratio_steps": "0.5"}, "write it like"),
        ({"schedule": "steps", "ratio_steps": "0.5:half"}, "'half' where a number"),
        ({"schedule": "steps", "ratio_steps": "0.5:0,0.2:0.1"}, "must rise"),
        ({"language_weights": "sw:0"}, "not all 0"),
        ({"language_weights": "sw:nan,de:1"}, "'nan' where a finite number"),
        ({"language_weights": "sw:1,sw:2"}, "named twice"),
        ({"holdout": -0.1}, r"link\.holdout is -0\.1"),
        ({"loss_on_swapped": False}, "choose one of yes, no, original"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, says):
    with pytest.raises(UserError, match=says):
        LinkSettings(**settings)
