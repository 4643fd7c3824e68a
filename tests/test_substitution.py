import dataclasses
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkjax.errors import UserError
from linkjax.lexicon import clean_pairs
from linkjax.substitution import WORD, LinkSettings, Substitution

WORDS = [f"{a}{b}" for a in "bcdfghjklm" for b in ("ata", "eto", "ilu", "ona", "uma")]
LEXICON = clean_pairs(
    [(word, f"ψ{word}{'αβγ'[sense]}") for word in WORDS for sense in range(1 + WORDS.index(word) % 3)]
)
SENTENCE = "Bata the beto, BILU (bona): catά-ceto said “cilu’s cona”; 3 bata… ceto!"


def swap(**settings):
    return Substitution(LEXICON, LinkSettings(**settings))


TEXT = st.one_of(
    st.text(), st.lists(st.sampled_from([*WORDS, "the", " ", "  ", ". ", "\n", "Bata", "BETO", "é"])).map("".join)
)


@given(TEXT, st.integers(0, 2**64 - 1), st.integers(0, 5))
def test_any_text_any_id_the_spans_undo(text, document, pass_index):
    done = swap(ratio=0.7)(document, text, pass_index)
    assert done.undo() == text
    assert done == swap(ratio=0.7)(document, text, pass_index)
    done.text.encode()


@given(TEXT, st.integers(0, 2**64 - 1))
def test_ratio_zero_changes_no_byte(text, document):
    done = swap(ratio=0.0)(document, text)
    assert done.text == text
    assert not done.spans


def test_everything_but_the_words_is_kept():
    done = swap(ratio=1.0)(7, SENTENCE)
    assert WORD.sub("_", done.text) == WORD.sub("_", SENTENCE)
    for span in done.spans:
        assert done.text[span.start : span.end].lower().startswith("ψ")
        assert span.original.lower() in LEXICON.entries
    assert [span.original for span in done.spans] == ["Bata", "beto", "bona", "ceto", "cilu", "cona", "bata", "ceto"]
    assert (done.words, done.eligible) == (len(WORD.findall(SENTENCE)), 8)


def test_case_follows_the_word():
    lexicon = clean_pairs([("house", "haus"), ("a", "ein"), ("berlin", "Berlin-stadt")])
    done = Substitution(lexicon, LinkSettings(ratio=1.0, protect=False))(0, "house House HOUSE A BERLIN berlin")
    assert done.text == "haus Haus HAUS Ein BERLIN-STADT Berlin-stadt"


def test_draws_do_not_depend_on_order_or_instance():
    texts = [" ".join(np.random.default_rng(i).choice(WORDS, 30)) for i in range(50)]
    forward = swap(ratio=0.5)
    first = [forward(i, text).text for i, text in enumerate(texts)]
    backward = swap(ratio=0.5)
    second = [backward(i, texts[i]).text for i in reversed(range(50))][::-1]
    assert first == second


def test_document_pass_and_seed_each_change_the_draws():
    text = " ".join(WORDS * 4)
    base = swap(ratio=0.5)(1, text, 0).text
    assert swap(ratio=0.5)(2, text, 0).text != base
    assert swap(ratio=0.5)(1, text, 1).text != base
    assert swap(ratio=0.5, seed=1)(1, text, 0).text != base


@pytest.mark.parametrize("ratio", [0.05, 0.3, 0.8])
def test_realised_ratio_is_the_requested_one(ratio):
    text = " ".join(WORDS)
    done = [swap(ratio=ratio)(document, text) for document in range(400)]
    swapped, eligible = (sum(len(d.spans) for d in done), sum(d.eligible for d in done))
    assert abs(swapped / eligible - ratio) < 4 * (ratio * (1 - ratio) / eligible) ** 0.5
    places = np.bincount([[s.original for s in d.spans].count(WORDS[0]) for d in done], minlength=2)
    assert abs(places[1] / 400 - ratio) < 4 * (ratio * (1 - ratio) / 400) ** 0.5  # at each place, not on average


def test_ratios_are_nested():
    text = " ".join(WORDS * 4)
    low, high = (swap(ratio=ratio)(3, text) for ratio in (0.2, 0.6))

    def places(done):
        shift, result = 0, set()
        for span in done.spans:
            result.add(span.start - shift)
            shift += span.end - span.start - len(span.original)
        return result

    assert places(low) < places(high)


def test_senses_are_uniform():
    text = " ".join([WORDS[2]] * 3000)
    found = swap(ratio=1.0)(0, text).text.split()
    counts = np.unique(found, return_counts=True)[1]
    assert len(counts) == 3
    assert abs(counts - 1000).max() < 4 * (3000 * 2 / 9) ** 0.5


@pytest.mark.parametrize("portion", [0.0, 0.25, 1.0])
def test_portion_is_a_share_of_the_documents(portion):
    text = " ".join(WORDS)
    touched = [bool(swap(ratio=1.0, portion=portion)(document, text).spans) for document in range(2000)]
    assert abs(np.mean(touched) - portion) <= 4 * (portion * (1 - portion) / 2000) ** 0.5


def test_touched_documents_stay_touched_unless_redrawn():
    text = " ".join(WORDS)

    def touched(**settings):
        one = swap(ratio=1.0, portion=0.5, **settings)
        return [[bool(one(document, text, p).spans) for document in range(100)] for p in range(2)]

    first, second = touched()
    assert first == second
    first, second = touched(portion_redraw=True)
    assert first != second


def test_at_most_so_many_swaps_in_a_sentence():
    text = "Bata beto bilu. Bona buma cata!\nCeto cilu? “Cona cuma data.” deto 3.5 dilu dona"
    sentences = re.split(r"(?<=[.!?”])\s", text)
    for limit in (1, 2):
        counts = np.zeros(len(sentences), int)
        for document in range(50):
            done = swap(ratio=1.0, max_swaps_per_sentence=limit)(document, text)
            originals = {span.original for span in done.spans}
            per_sentence = [sum(word in originals for word in WORD.findall(sentence)) for sentence in sentences]
            assert max(per_sentence) <= limit
            counts = np.maximum(counts, per_sentence)
        assert (counts == limit).all()


def test_the_limit_takes_no_side():
    text = "bata beto bilu bona."
    firsts = [swap(ratio=1.0, max_swaps_per_sentence=1)(d, text).spans[0].original for d in range(400)]
    assert np.unique(firsts, return_counts=True)[1].min() > 60


def test_coverage_thins_the_lexicon():
    assert len(swap(coverage=0.5).lexicons[""]) == len(LEXICON) // 2


@pytest.mark.parametrize("control", ["scramble", "random_targets"])
def test_controls_by_frequency_need_statistics(control):
    with pytest.raises(UserError, match=f"{control} needs word statistics"):
        swap(**{control: True})


def test_one_control_at_a_time():
    with pytest.raises(UserError, match="two controls"):
        LinkSettings(scramble=True, random_targets=True)


@pytest.mark.parametrize("field", ["ratio", "portion", "coverage"])
def test_shares_outside_0_to_1_are_refused(field):
    with pytest.raises(UserError, match=rf"link\.{field} is 1\.5"):
        LinkSettings(**{field: 1.5})
    with pytest.raises(UserError, match="max_swaps"):
        LinkSettings(max_swaps_per_sentence=-1)


def test_every_setting_says_what_it_means():
    assert all(field.metadata["help"] for field in dataclasses.fields(LinkSettings))
