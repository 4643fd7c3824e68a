"""Both packings: whole documents, whole passes, and rows that know nothing of other documents."""

import collections
import dataclasses
import itertools
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linkjax.data.cutting import at_least
from linkjax.data.documents import Document
from linkjax.data.encoder import Encoder
from linkjax.data.pipeline import counters, make_substitution
from linkjax.data.rows import PACKINGS, ShuffledDocuments, Stretches
from linkjax.data.tokenizer import EOS, PAD
from linkjax.errors import UserError
from linkjax.substitution import LinkSettings
from tests.test_stream import FIELDS, same, take

LENGTH = 16
both = pytest.mark.parametrize("packing", list(PACKINGS))
texts = st.lists(
    st.lists(st.sampled_from(["Anna", "keeps", "goats", "and", "talu", "mirok"]), max_size=40).map(" ".join),
    min_size=1,
    max_size=30,
)


def rows_of(documents, toy, packing, shard=0, shards=1, link=None, passes=1.0):
    substitution = make_substitution(toy, link) if link else None
    order = ShuffledDocuments(documents, shard, shards, 0)
    stretches = Stretches(order, Encoder(toy.tokenizer, substitution), LENGTH, 100, passes)
    return PACKINGS[packing](stretches, 0)


def segments(row):
    for segment in range(1, row["segments_BxL"].max() + 1):
        inside = row["segments_BxL"] == segment
        yield {name: row[name][inside] for name in FIELDS if name.endswith("BxL")}


@both
@settings(max_examples=40)
@given(texts=texts, shards=st.integers(1, 3))
def test_a_pass_has_every_token_once(toy, packing, texts, shards):
    documents = [Document(i, text) for i, text in enumerate(texts)]
    found, source_bytes = collections.Counter(), 0
    for shard in range(shards):
        if shard >= len(documents):
            continue
        open_document = []
        for row in rows_of(documents, toy, packing, shard, shards):
            source_bytes += int(row["counts"][1])
            for segment in segments(row):
                expected_start = PAD if not open_document or packing == "best_fit" else open_document[-1]
                if packing == "concatenate":
                    assert segment["tokens_BxL"][0] == expected_start
                    open_document += segment["targets_BxL"].tolist()
                    if open_document[-1] == EOS:
                        found[tuple(open_document)] += 1
                        open_document = []
                else:
                    found[tuple(segment["targets_BxL"].tolist())] += 1
        assert not open_document
    expected = collections.Counter()
    for text in texts:
        ids = [*toy.tokenizer.encode(text), EOS]
        step = LENGTH if packing == "best_fit" else len(ids)
        expected.update(tuple(ids[start : start + step]) for start in range(0, len(ids), step))
    assert found == expected
    assert source_bytes == sum(len(text) for text in texts)


@both
@settings(max_examples=40)
@given(texts=texts)
def test_rows_are_well_formed(toy, packing, texts):
    documents = [Document(i, text) for i, text in enumerate(texts)]
    rows = list(rows_of(documents, toy, packing, link=LinkSettings(ratio=0.5)))
    for row in rows:
        assert {name: row[name].dtype for name in FIELDS} == FIELDS
        real = row["segments_BxL"] > 0
        size = int(real.sum())
        assert real[:size].all()  # padding is at the end
        assert (np.diff(row["segments_BxL"][:size]) >= 0).all()
        for name in ("tokens_BxL", "targets_BxL", "loss_weights_BxL", "positions_BxL", "swapped_BxL"):
            assert not row[name][~real].any()
        for segment in segments(row):
            assert (segment["positions_BxL"] == np.arange(len(segment["positions_BxL"]))).all()
            assert (segment["tokens_BxL"][1:] == segment["targets_BxL"][:-1]).all()
    if packing == "concatenate":
        assert all((row["segments_BxL"] > 0).all() for row in rows[:-1])


@both
@settings(max_examples=40)
@given(texts=texts, data=st.data())
def test_another_document_changes_nothing_of_this_one(toy, packing, texts, data):
    """A document with its words in another order: every other segment stays what it was, where it was."""
    changed = data.draw(st.integers(0, len(texts) - 1))
    reversed_words = " ".join(reversed(texts[changed].split(" ")))
    other = [*texts[:changed], reversed_words, *texts[changed + 1 :]]
    before, after = (
        list(rows_of([Document(i, text) for i, text in enumerate(version)], toy, packing)) for version in (texts, other)
    )
    size = len(toy.tokenizer.encode(texts[changed])) + 1
    differing = 0
    for old, new in zip(before, after, strict=True):
        assert (old["segments_BxL"] == new["segments_BxL"]).all()
        for one, another in zip(segments(old), segments(new), strict=True):
            differing += any((one[name] != another[name]).any() for name in one)
    assert differing <= -(-size // LENGTH) + (packing == "concatenate")


@settings(max_examples=40)
@given(texts=texts, data=st.data())
def test_another_document_changes_no_swaps_of_this_one(toy, texts, data):
    changed = data.draw(st.integers(0, len(texts) - 1))
    other = [*texts[:changed], "keeps keeps goats", *texts[changed + 1 :]]
    link = LinkSettings(ratio=0.5)
    before, after = (
        contents(rows_of([Document(i, text) for i, text in enumerate(version)], toy, "best_fit", link=link))
        for version in (texts, other)
    )
    for lost, version in ((before - after, texts), (after - before, other)):
        of_this = contents(rows_of([Document(changed, version[changed])], toy, "best_fit", link=link))
        assert lost <= of_this


def contents(rows):
    found = itertools.chain.from_iterable(map(segments, rows))
    return collections.Counter(
        (tuple(segment["targets_BxL"].tolist()), tuple(segment["swapped_BxL"].tolist())) for segment in found
    )


@both
def test_a_run_is_resumed_at_every_row(toy, packing):
    documents = [Document(i, "Anna keeps goats. " * (i % 7)) for i in range(50)]
    link = LinkSettings(ratio=0.5)
    rows = list(rows_of(documents, toy, packing, link=link, passes=2.0))
    iterator = iter(rows_of(documents, toy, packing, link=link, passes=2.0))
    for place in range(len(rows)):
        other = iter(rows_of(documents, toy, packing, link=link, passes=2.0))
        other.set_state(json.loads(json.dumps(iterator.get_state())))
        for expected, found in zip(rows[place : place + 3], other, strict=False):
            assert all(np.array_equal(expected[name], found[name]) for name in expected)
        next(iterator)


def test_concatenated_rows_have_no_padding_on_any_host(toy, stream_settings):
    settings = dataclasses.replace(stream_settings, packing="concatenate")
    alone, states = take(toy, settings, 6)
    assert all((batch["segments_BxL"] > 0).all() for batch in alone)
    parts = [take(toy, settings, 6, host=host, hosts=2, workers=host)[0] for host in range(2)]
    joined = [
        {name: np.concatenate([one[name], other[name]]) for name in one} for one, other in zip(*parts, strict=True)
    ]
    assert same(alone, joined)
    measured = counters(states, toy.components)
    assert measured["tokens/toy_world_target"] == pytest.approx(0.1 * 6 * 16 * 64, rel=0.15)


@pytest.mark.parametrize("shards", [2, 8, 64])
def test_a_book_is_cut_up_for_the_shards(shards):
    book = Document(7, "".join(f"word{i} " for i in range(1000)) + "\n" + "Ohne Ende" * 3)
    pieces = at_least([book], shards, "book")
    assert shards <= len(pieces) <= 5 * shards
    assert "".join(piece.text for piece in pieces) == book.text
    assert all(piece.text.endswith((" ", "\n")) for piece in pieces[:-1])
    assert len({piece.id for piece in pieces}) == len(pieces)
    lengths = [len(piece.text) for piece in pieces[:-1]]
    assert max(lengths) <= min(lengths) + 9
    assert at_least([book], shards, "book") == pieces
    several = [Document(i, "a b") for i in range(shards)]
    assert at_least(several, shards, "book") is several


def test_text_without_spaces_is_cut_at_sentences():
    pieces = at_least([Document(1, "私は山羊を飼っています。" * 30)], 4, "book")
    assert len(pieces) >= 4
    assert all(piece.text.endswith("。") for piece in pieces)


@pytest.mark.parametrize("text", ["", "word", "a b c"])
def test_too_few_words_are_refused(text):
    with pytest.raises(UserError, match="'book' has 1 documents and few words, too little for 8 virtual shards"):
        at_least([Document(1, text)], 8, "book")


def test_one_book_is_read_as_often_as_it_says(toy, stream_settings, monkeypatch):
    """The passes and the limit are those of the book, whatever it is cut into."""
    component = toy.components[1]
    book = Document(1, " ".join(document.text for document in toy.documents(component)))
    about = {
        **component,
        "documents": 1,
        "bytes": len(book.text.encode()),
        "tokens": len(toy.tokenizer.encode(book.text)) + 1,
    }
    monkeypatch.setitem(toy.manifest, "components", [toy.components[0], about])
    monkeypatch.setitem(toy._documents, component["name"], [book])
    monkeypatch.setattr("linkjax.data.pipeline.Prepared", lambda *_: toy)
    settings = dataclasses.replace(
        stream_settings, most_passes=f"{component['name']}=2", rates=f"0:{component['name']}=0.5"
    )
    _, states = take(toy, settings, 60)
    assert counters(states, toy.components)[f"passes/{component['name']}"] == 2.0
