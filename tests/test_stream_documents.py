"""A batch knows its documents: the ids of each row, in the order of its segments, whoever read it."""

import contextlib
import dataclasses
import itertools

import pytest

from linkjax.data.pipeline import Stream
from linkjax.data.rows import PACKINGS
from linkjax.data.tokenizer import EOS
from linkjax.substitution import LinkSettings
from tests.test_stream import FIELDS


@pytest.fixture(params=itertools.product(PACKINGS, [4, 64]), ids=str)
def settings(request, stream_settings):
    """Both packings; rows of 4 tokens are shorter than most documents."""
    packing, length = request.param
    link = LinkSettings(ratio=0.0)
    return dataclasses.replace(stream_settings, packing=packing, sequence_length=length, link=link)


@pytest.fixture(scope="module")
def tokens_of(toy):
    """Id -> component and tokens."""
    return {
        document.id: (index, [*toy.tokenizer.encode(document.text), EOS])
        for index, component in enumerate(toy.components)
        for document in toy.documents(component)
    }


def read(toy, settings, count, **kwargs):
    with contextlib.closing(Stream(toy, settings, **kwargs)) as stream:
        return [(next(stream), stream.documents) for _ in range(count)], dict(stream.states)


def test_every_segment_is_of_the_document_it_is_said_to_be(toy, settings, tokens_of):
    batches, _ = read(toy, settings, 4)
    again = 0
    for batch, documents in batches:
        assert set(batch) == set(FIELDS)
        assert len(documents) == settings.batch_size
        for row, identifiers in enumerate(documents):
            segments_L = batch["segments_BxL"][row]
            assert len(identifiers) == segments_L.max()
            for segment, identifier in enumerate(identifiers, start=1):
                component, tokens = tokens_of[identifier]
                assert component == batch["component_B"][row]
                targets = batch["targets_BxL"][row][segments_L == segment].tolist()
                starts = [at for at in range(len(tokens)) if tokens[at : at + len(targets)] == targets]
                assert starts
                again += starts[0] > 0
    assert again > 20 or settings.sequence_length == 64  # pieces of cut documents that go on


@pytest.mark.parametrize(("before", "after"), [(0, 2), (2, 0)])
def test_they_are_the_same_with_workers_on_hosts_and_after_resuming(toy, settings, before, after):
    whole, _ = read(toy, settings, 4)
    first, states = read(toy, settings, 2, workers=before)
    parts = [read(toy, settings, 2, states=states, workers=after, host=host, hosts=2)[0] for host in range(2)]
    found = [documents for _, documents in first]
    found += [left + right for (_, left), (_, right) in zip(*parts, strict=True)]
    assert found == [documents for _, documents in whole]
    assert all(type(identifier) is int for documents in found for row in documents for identifier in row)
