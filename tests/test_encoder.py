"""The fast way from documents to tokens says what the plain way says: substitute the text, then tokenize it."""

import io
import re

import numpy as np
import pytest
import sentencepiece
from hypothesis import given
from hypothesis import strategies as st

from linkjax.data.documents import Document
from linkjax.data.encoder import COUNTS, Encoder
from linkjax.data.tokenizer import EOS, Tokenizer, train_tokenizer
from linkjax.lexicon import clean_pairs
from linkjax.substitution import WORD, LinkSettings, Substitution

WORDS = ["dog", "cat", "house", "free", "of", "charge", "big", "red", "well", "known", "ice", "cream"]
LEXICON = clean_pairs(
    [
        ("dog", "mbwa"),
        ("dog", "jibwa kubwa"),
        ("cat", "猫"),
        ("house", "家"),
        ("free of charge", "bure"),
        ("big", "大きい"),
        ("ice cream", "アイス クリーム"),
        ("well-known", "maarufu"),
        ("red", "dog"),
    ]
)
SIGNS = [" ", " ", "  ", ". ", ", ", "\n", "\n\n", "\t", " \n", "-", "(", "Dog", "CAT", "é", "\u200d"]
TEXT = st.one_of(st.text(), st.lists(st.sampled_from([*WORDS, *SIGNS])).map("".join))
SAMPLE = [
    "the dog and the cat in the big red house",
    "free of charge, well-known ice cream",
    "mbwa 猫 家 大きい bure",
] * 20


@pytest.fixture(scope="module")
def tokenizer():
    return Tokenizer(train_tokenizer(SAMPLE, 350, "bpe"))


@pytest.fixture(scope="module")
def tab_tokenizer():
    """A user's own that has pieces across tabs and line ends."""
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(SAMPLE), model_writer=model, vocab_size=350, model_type="bpe", hard_vocab_limit=False,
        normalization_rule_name="identity", remove_extra_whitespaces=False, byte_fallback=True, pad_id=0, eos_id=1,
        unk_id=2, bos_id=-1, minloglevel=2, user_defined_symbols=["g\tc", "\n\n"],
    )  # fmt: skip
    found = Tokenizer(model.getvalue())
    assert not found.cuts_before("\t")
    assert not found.cuts_before("\n")
    return found


def documents_of(texts):
    return [Document(index * 7919, text) for index, text in enumerate(texts)]


def encode(encoder, texts):
    return encoder.encode(documents_of(texts), [1] * len(texts), [0.0] * len(texts))


@given(texts=st.lists(TEXT, min_size=1, max_size=5), loss=st.sampled_from(["yes", "no"]))
@pytest.mark.parametrize("which", ["tokenizer", "tab_tokenizer"])
def test_tokens_and_flags_are_those_of_the_new_text(which, request, texts, loss):
    tokenizer = request.getfixturevalue(which)
    substitution = Substitution(LEXICON, LinkSettings(ratio=0.7, loss_on_swapped=loss))
    found = encode(Encoder(tokenizer, substitution), texts)
    for document, encoded in zip(documents_of(texts), found, strict=True):
        done = substitution(document.id, document.text, 1)
        ids, flags = tokenizer.encode_with_spans(done.text, done.spans)
        assert encoded.tokens_T.tolist() == [*ids.tolist(), EOS]
        assert encoded.swapped_T.tolist() == [*flags.tolist(), 0]
        assert encoded.targets_T.tolist() == encoded.tokens_T.tolist()
        assert encoded.loss_weights_T.tolist() == [1 - (flag if loss == "no" else 0) for flag in [*flags.tolist(), 0]]
        counts = dict(zip(COUNTS, encoded.counts.tolist(), strict=True))
        size = len(document.text.encode("utf-8", "surrogatepass"))
        identical = sum(done.text[span.start : span.end] == span.original for span in done.spans)
        assert counts == {
            "documents": 1,
            "bytes": size,
            "words": done.words,
            "eligible": done.eligible,
            "swapped": sum(len(WORD.findall(span.original)) for span in done.spans),
            "swaps": len(done.spans),
            "identical": identical,
        }
        assert counts["swapped"] <= done.eligible


@given(texts=st.lists(TEXT, min_size=1, max_size=3))
def test_without_substitution_the_ids_are_the_tokenizers(tokenizer, texts):
    for text, encoded in zip(texts, encode(Encoder(tokenizer, None), texts), strict=True):
        assert encoded.tokens_T.tolist() == [*tokenizer.encode(text), EOS]
        assert not encoded.swapped_T.any()
        assert encoded.counts[2:].tolist() == [0] * 5


def test_original_asks_for_the_english_words_first_piece_once(tokenizer):
    substitution = Substitution(LEXICON, LinkSettings(ratio=1.0, loss_on_swapped="original", sense="first"))
    (encoded,) = encode(Encoder(tokenizer, substitution), ["the (dog, free of charge"])
    text = "the (mbwa, bure"
    assert tokenizer.decode(encoded.tokens_T[:-1]) == text
    pieces = [tokenizer.piece(token) for token in encoded.targets_T]
    weights = encoded.loss_weights_T
    swapped = encoded.swapped_T.astype(bool)
    assert (weights[~swapped] == 1).all()
    assert (encoded.targets_T[~swapped] == encoded.tokens_T[~swapped]).all()
    asked = [piece for piece, weight, flag in zip(pieces, weights, swapped, strict=True) if flag and weight]
    original = [tokenizer.piece(token) for token in tokenizer.encode("the (dog, free of charge")]
    assert len(asked) == 2  # one for each swap
    assert set(asked) <= set(original)
    assert [piece.strip("▁(")[0] for piece in asked] == ["d", "f"]
    assert encoded.targets_T[-1] == EOS


def test_original_is_linear_in_the_text(tab_tokenizer):
    substitution = Substitution(LEXICON, LinkSettings(ratio=1.0, loss_on_swapped="original"))
    text = "the dog in\tthe house\n" * 3000  # encoding it all for each swap takes an hour
    (encoded,) = encode(Encoder(tab_tokenizer, substitution), [text])
    assert encoded.counts[5] == 6000


def test_the_sign_that_stands_for_a_space_shifts_no_flag(tokenizer):
    substitution = Substitution(LEXICON, LinkSettings(ratio=1.0))
    (encoded,) = encode(Encoder(tokenizer, substitution), ["▁▁cat here a▁house▁red"])
    pieces = [tokenizer.piece(token) for token, flag in zip(*encoded[::3], strict=True) if flag]
    text = "".join(pieces).replace("▁", "")
    assert bytes.fromhex("".join(re.findall("<0x(..)>", text))).decode() or text
    decoded = tokenizer.decode([token for token, flag in zip(*encoded[::3], strict=True) if flag])
    assert decoded.split() == ["猫", "家", "dog"] or "".join(decoded.split()) == "猫家dog"


def test_a_document_is_the_same_in_any_company(tokenizer):
    random = np.random.default_rng(0)
    texts = [" ".join(random.choice(WORDS, 12)) for _ in range(60)]
    substitution = Substitution(LEXICON, LinkSettings(ratio=0.5))
    together = encode(Encoder(tokenizer, substitution), texts)
    encoder = Encoder(tokenizer, Substitution(LEXICON, LinkSettings(ratio=0.5)))
    for document, expected in reversed(list(zip(documents_of(texts), together, strict=True))):
        (alone,) = encoder.encode([document], [1], [0.0])
        assert all((a == b).all() for a, b in zip(alone, expected, strict=True))


def test_a_table_begun_anew_changes_nothing(tokenizer, monkeypatch):
    texts = [" ".join(np.random.default_rng(i).choice(WORDS, 12)) for i in range(20)]
    expected = encode(Encoder(tokenizer, Substitution(LEXICON, LinkSettings())), texts)
    monkeypatch.setattr("linkjax.substitution.engine._MOST_ROWS", 5)
    encoder = Encoder(tokenizer, Substitution(LEXICON, LinkSettings()))
    for document, one in zip(documents_of(texts), expected, strict=True):
        (alone,) = encoder.encode([document], [1], [0.0])
        assert all((a == b).all() for a, b in zip(alone, one, strict=True))
    assert len(encoder._tables) == 1  # the old ones are gone


def test_what_recurs_is_known_in_a_table_begun_anew(tokenizer, monkeypatch):
    monkeypatch.setattr("linkjax.substitution.engine._MOST_ROWS", 100)
    substitution = Substitution(LEXICON, LinkSettings())
    for number in range(60):
        substitution(number, f"the dog sees {number} other{number} things{number}")
    known = substitution._swappers[0]._chunks.strings
    assert {"the", "dog", "sees"} <= set(known)
    assert len(known) < 100


def test_languages_have_their_own_words(tokenizer):
    other = clean_pairs([("dog", "Hund"), ("cat", "Katze")])
    substitution = Substitution({"sw": LEXICON, "de": other}, LinkSettings(ratio=1.0))
    texts = ["dog cat"] * 40
    found = encode(Encoder(tokenizer, substitution), texts)
    decoded = {tokenizer.decode(encoded.tokens_T[:-1]) for encoded in found}
    assert "Hund Katze" in decoded
    assert decoded - {"Hund Katze"} <= {"mbwa 猫", "jibwa kubwa 猫"}
    assert len(decoded) >= 2
