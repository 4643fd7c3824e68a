"""The training stream: the same batches whoever reads them, nothing lost, nothing mixed up."""

import collections
import contextlib
import dataclasses
import itertools
import json
from types import SimpleNamespace

import numpy as np
import pytest

from linkjax.data.documents import Document
from linkjax.data.encoder import Encoder
from linkjax.data.pipeline import Stream, counters, documents_in_row, make_substitution
from linkjax.data.rows import PackedRows, ShuffledDocuments, Stretches
from linkjax.data.tokenizer import EOS, PAD
from linkjax.errors import UserError
from linkjax.substitution import LinkSettings

TARGETS, TOKENS = 0, 1  # columns of a stretch
FIELDS = {
    "tokens_BxL": np.int32,
    "targets_BxL": np.int32,
    "loss_weights_BxL": np.float32,
    "segments_BxL": np.int32,
    "positions_BxL": np.int32,
    "swapped_BxL": np.uint8,
    "component_B": np.int32,
}


def take(toy, settings, count, **kwargs):
    with contextlib.closing(Stream(toy, settings, **kwargs)) as stream:
        return [next(stream) for _ in range(count)], dict(stream.states)


def same(left, right):
    return all((a[name] == b[name]).all() for a, b in zip(left, right, strict=True) for name in FIELDS)


def test_rows_have_the_fields_of_the_contract(toy, stream_settings):
    (batch,), _ = take(toy, stream_settings, 1)
    assert {name: values.dtype for name, values in batch.items()} == FIELDS
    for name, values in batch.items():
        assert values.shape == ((16, 64) if name.endswith("BxL") else (16,))


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_worker_processes_change_nothing(toy, stream_settings, workers):
    alone, states = take(toy, stream_settings, 6)
    together, other_states = take(toy, stream_settings, 6, workers=workers)
    assert same(alone, together)
    assert states == other_states


@pytest.mark.parametrize("hosts", [2, 4, 8])
def test_hosts_together_read_the_same_batches(toy, stream_settings, hosts):
    alone, states = take(toy, stream_settings, 4)
    parts = [take(toy, stream_settings, 4, host=host, hosts=hosts) for host in range(hosts)]
    for step, batch in enumerate(alone):
        for name, values in batch.items():
            joined = np.concatenate([batches[step][name] for batches, _ in parts])
            assert (joined == values).all()
    assert {shard: state for _, part in parts for shard, state in part.items()} == states


@pytest.mark.parametrize(("before", "after"), [((1, 0), (1, 0)), ((1, 2), (2, 0)), ((2, 0), (1, 1))])
def test_resume_on_other_hosts_and_workers_gives_the_next_batches(toy, stream_settings, before, after):
    falling = LinkSettings(ratio=1.0, schedule="linear", ratio_end=0.0)
    stream_settings = dataclasses.replace(stream_settings, link=falling, steps=12)
    whole, _ = take(toy, stream_settings, 12)
    hosts, workers = before
    states = {}
    for host in range(hosts):
        states |= take(toy, stream_settings, 7, host=host, hosts=hosts, workers=workers)[1]
    states = {int(shard): state for shard, state in json.loads(json.dumps(states)).items()}
    assert sum(map(len, states.values())) < 10_000
    hosts, workers = after
    parts = [
        take(toy, stream_settings, 5, states=states, host=host, hosts=hosts, workers=workers)[0]
        for host in range(hosts)
    ]
    for step, batch in enumerate(whole[7:]):
        for name, values in batch.items():
            assert (np.concatenate([part[step][name] for part in parts]) == values).all()


def test_the_ratio_falls_over_the_documents_of_a_run(toy):
    link = LinkSettings(ratio=1.0, schedule="linear", ratio_end=0.0)
    order = ShuffledDocuments(toy.documents(toy.components[0]), 0, 8, 0)
    stretches = iter(Stretches(order, Encoder(toy.tokenizer, make_substitution(toy, link)), 64, 1000))
    counts = np.array([next(stretches)["counts"] for _ in range(1100)])
    shares = [part[:, 4].sum() / part[:, 3].sum() for part in np.split(counts, 11)]
    assert shares == pytest.approx([*np.arange(0.95, 0, -0.1), 0], abs=0.07)


@pytest.mark.parametrize(
    ("most_segments", "rates", "length"),
    [
        (0, "", 64),
        (1, "", 64),
        (0, "0.4:toy_world_target=0.6", 64),
        (1, "0.4:toy_world_target=0.6", 64),
        (0, "", 8),
    ],
)
def test_the_ratio_falls_with_the_rows_of_a_run(toy, stream_settings, most_segments, rates, length):
    """Also where most of a row is padding, English is read more slowly from a point on, or rows are short."""
    link = LinkSettings(ratio=1.0, schedule="linear", ratio_end=0.0)
    settings = dataclasses.replace(stream_settings, link=link, most_segments=most_segments, rates=rates, steps=80)
    settings = dataclasses.replace(settings, virtual_shards=1, sequence_length=length)  # a shard reads 32 rows ahead
    batches, _ = take(toy, settings, 80)
    swapped = np.array([batch["swapped_BxL"][batch["component_B"] == 0].sum() for batch in batches], float)
    tokens = np.array([(batch["segments_BxL"][batch["component_B"] == 0] > 0).sum() for batch in batches], float)
    shares = swapped.reshape(8, 10).sum(1) / tokens.reshape(8, 10).sum(1)
    assert shares / shares[0] * 15 / 16 == pytest.approx(np.arange(15, 0, -2) / 16, abs=0.08)


def test_the_progress_of_a_schedule_is_measured_on_long_documents_too(toy, stream_settings):
    """Documents of thousands of rows, a few of which stand for all: their number in a row is told from all bytes."""
    link = LinkSettings(ratio=1.0, schedule="linear", ratio_end=0.0)
    settings = dataclasses.replace(stream_settings, link=link, sequence_length=8)
    text = " ".join(document.text for document in itertools.islice(toy.documents(toy.components[0]), 400))
    documents = [Document(number, text * (1 + (number > 2))) for number in range(30)]
    encoder = Encoder(toy.tokenizer, None)
    tokens = sum(len(toy.tokenizer.encode(document.text)) + 1 for document in documents)
    about = {"tokens": tokens, "bytes": sum(len(document.text.encode()) for document in documents)}
    prepared = SimpleNamespace(components=[toy.components[0] | about])
    found = documents_in_row(prepared, settings, documents, encoder, 0)
    assert found == pytest.approx(8 * 30 / tokens, rel=0.01)
    broken = [*range(29), documents[29]]  # a damaged document is a number
    assert documents_in_row(prepared, settings, broken, encoder, 0) == pytest.approx(found, rel=0.01)
    assert documents_in_row(prepared, settings, [0] * 30, encoder, 0) == pytest.approx(8 * 30 / tokens)


def test_segments_are_documents(toy, stream_settings):
    """Each segment is one document after substitution: its text, its end, its flags, its start token."""
    settings = dataclasses.replace(stream_settings, link=LinkSettings(ratio=0.5))
    substitution = make_substitution(toy, settings.link)
    (batch,), _ = take(toy, settings, 1)
    expected = set()
    for document in toy.documents(toy.components[0]):
        done = substitution(document.id, document.text, 0)
        ids, flags = toy.tokenizer.encode_with_spans(done.text, done.spans)
        expected.add((tuple(ids.tolist()), tuple(flags.tolist())))
    for row in range(16):
        if batch["component_B"][row] != 0:
            continue
        for segment in range(1, batch["segments_BxL"][row].max() + 1):
            inside = batch["segments_BxL"][row] == segment
            tokens, targets = batch["tokens_BxL"][row, inside], batch["targets_BxL"][row, inside]
            assert tokens[0] == PAD
            assert targets[-1] == EOS
            assert (tokens[1:] == targets[:-1]).all()
            assert (batch["positions_BxL"][row, inside] == np.arange(inside.sum())).all()
            assert (tuple(targets[:-1].tolist()), tuple(batch["swapped_BxL"][row, inside][:-1].tolist())) in expected


def test_padding_carries_nothing(toy, stream_settings):
    (batch,), _ = take(toy, stream_settings, 1)
    padding = batch["segments_BxL"] == 0
    assert padding.any()
    for name in ("tokens_BxL", "targets_BxL", "loss_weights_BxL", "positions_BxL", "swapped_BxL"):
        assert not batch[name][padding].any()
    assert batch["loss_weights_BxL"][~padding].all()


def test_loss_on_swapped_no_takes_exactly_the_swapped_targets_out(toy, stream_settings):
    settings = dataclasses.replace(stream_settings, link=LinkSettings(ratio=0.5, loss_on_swapped="no"))
    (batch,), _ = take(toy, settings, 1)
    real = batch["segments_BxL"] > 0
    assert (batch["loss_weights_BxL"][real] == 1 - batch["swapped_BxL"][real]).all()
    assert batch["swapped_BxL"].any()


def test_shares_are_in_tokens_and_exact_to_a_row(toy, stream_settings):
    _, states = take(toy, stream_settings, 40)
    for text in states.values():
        tokens = np.array(json.loads(text)["tokens"])
        assert abs(tokens - tokens.sum() * np.array([0.9, 0.1])).max() <= 64
    measured = counters(states, toy.components)
    assert measured["tokens/toy_world_target"] == pytest.approx(0.1 * 40 * 16 * 62, rel=0.05)
    assert measured["link/swapped_share"] == pytest.approx(0.5 * measured["link/eligible_share"], rel=0.05)


def test_counts_are_of_the_rows_given_out(toy, stream_settings):
    batches, states = take(toy, stream_settings, 3)
    measured = counters(states, toy.components)
    for index, component in enumerate(toy.components):
        rows = [row for batch in batches for row in np.flatnonzero(batch["component_B"] == index)]
        segments = sum(
            int(batch["segments_BxL"][row].max())
            for batch in batches
            for row in range(16)
            if batch["component_B"][row] == index
        )
        assert rows
        assert measured[f"source_documents/{component['name']}"] == segments
        read = measured[f"source_bytes/{component['name']}"]
        assert measured[f"passes/{component['name']}"] == read / component["bytes"]
        assert read / segments == pytest.approx(component["bytes"] / component["documents"], rel=0.1)
    tokens = sum(int((batch["segments_BxL"] > 0).sum()) for batch in batches)
    assert tokens == measured["tokens/toy_world_english"] + measured["tokens/toy_world_target"]


def test_small_components_are_spread_over_the_batches(toy, stream_settings):
    batches, _ = take(toy, stream_settings, 40)
    rows = [int(batch["component_B"].sum()) for batch in batches]
    assert max(rows) <= 5


def collect_pass(documents, tokenizer, length, shards):
    """Stretches of one pass over all shards, as lists of targets."""
    found = collections.Counter()
    for shard in range(shards):
        iterator = iter(
            Stretches(ShuffledDocuments(documents, shard, shards, 0), Encoder(tokenizer, None), length, 100)
        )
        while True:
            stretch = next(iterator)
            state = iterator.get_state()
            found[tuple(stretch["columns"][:, TARGETS].tolist())] += 1
            if state["position"] == len(range(shard, len(documents), shards)):
                break
    return found


def test_a_pass_has_every_stretch_once_and_cuts_nothing_off(toy):
    documents = list(toy.documents(toy.components[0]))
    expected = collections.Counter()
    for document in documents:
        ids = [*toy.tokenizer.encode(document.text), EOS]
        expected.update(tuple(ids[start : start + 5]) for start in range(0, len(ids), 5))
    assert collect_pass(documents, toy.tokenizer, 5, 8) == expected


def test_the_next_piece_of_a_long_document_goes_on_from_the_last(toy):
    documents = [Document(1, "Anna keeps goats. " * 20)]
    iterator = iter(Stretches(ShuffledDocuments(documents, 0, 1, 0), Encoder(toy.tokenizer, None), 16, 100))
    first, second = next(iterator), next(iterator)
    assert second["columns"][0, TOKENS] == first["columns"][-1, TARGETS]


def test_a_long_document_is_resumed_in_its_middle(toy):
    documents = [Document(i, "Anna keeps goats. " * 9) for i in range(3)]

    def fresh():
        return iter(Stretches(ShuffledDocuments(documents, 0, 1, 0), Encoder(toy.tokenizer, None), 16, 100))

    iterator = fresh()
    for _ in range(10):
        next(iterator)
        other = fresh()
        other.set_state(json.loads(json.dumps(iterator.get_state())))
        state = iterator.get_state()
        expected, found = next(iterator), next(other)
        assert all(np.array_equal(expected[name], found[name]) for name in expected), state
        iterator.set_state(state)
        next(iterator)


def test_passes_are_shuffled_anew_with_fixed_membership():
    documents = [Document(i, str(i)) for i in range(40)]
    order = ShuffledDocuments(documents, 3, 4, seed=5)
    passes = [[order[p * 10 + i] for i in range(10)] for p in range(2)]
    assert [[p for _, p in one] for one in passes] == [[0] * 10, [1] * 10]
    first, second = ([document.id for document, _ in one] for one in passes)
    assert sorted(first) == sorted(second) == list(range(3, 40, 4))
    assert first != second
    assert [order[i][0].id for i in range(10)] == first  # back again


def test_packing_agrees_with_seqio(toy):
    """Same documents, same order: SeqIO's packer and ours make the same segments of them."""
    import seqio
    import tensorflow as tf

    documents = list(toy.documents(toy.components[1]))[:200]
    stretches = Stretches(ShuffledDocuments(documents, 0, 1, 0), Encoder(toy.tokenizer, None), 64, 100)
    rows = iter(PackedRows(stretches, 0))
    ours = collections.Counter()
    while sum(ours.values()) < 500:  # more than two passes
        row = next(rows)
        for segment in range(1, row["segments_BxL"].max() + 1):
            inside = row["segments_BxL"] == segment
            columns = (row[name][inside] for name in ("tokens_BxL", "targets_BxL", "positions_BxL"))
            ours[tuple(zip(*(column.tolist() for column in columns), strict=True))] += 1
    encoded = [{"targets": [*toy.tokenizer.encode(document.text), EOS]} for document in documents]
    dataset = tf.data.Dataset.from_generator(
        lambda: iter(encoded), output_signature={"targets": tf.TensorSpec([None], tf.int32)}
    )
    dataset = seqio.DecoderFeatureConverter(pack=True)(dataset, {"targets": 64})
    theirs = collections.Counter()
    for row in dataset.as_numpy_iterator():
        for segment in range(1, row["decoder_segment_ids"].max() + 1):
            inside = row["decoder_segment_ids"] == segment
            columns = (row[f"decoder_{name}"][inside] for name in ("input_tokens", "target_tokens", "positions"))
            theirs[tuple(zip(*(column.tolist() for column in columns), strict=True))] += 1
    assert sum(theirs.values()) == 200
    assert not theirs - ours
    assert set(ours) == set(theirs)


def test_impossible_shards_are_refused(toy, stream_settings):
    with pytest.raises(UserError, match="does not divide batch_size"):
        Stream(toy, dataclasses.replace(stream_settings, virtual_shards=5))
    with pytest.raises(UserError, match="not a multiple of the 3 hosts"):
        Stream(toy, stream_settings, hosts=3)
    with pytest.raises(UserError, match="too little for 65536 virtual shards"):
        Stream(toy, dataclasses.replace(stream_settings, batch_size=65536, virtual_shards=65536))
