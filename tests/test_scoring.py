"""Neither how sequences lie in rows nor who computes them changes a score."""

import itertools

import hypothesis
import jax
import numpy as np
import pytest
from hypothesis import strategies as st

from linkjax.data.tokenizer import PAD
from linkjax.evaluation.scoring import PackedSequences
from linkjax.model.decoder import ModelSettings
from linkjax.training.optimizer import OptimizerSettings
from linkjax.training.sharding import MeshSettings, make_mesh
from linkjax.training.step import Trainer

VOCABULARY = 300
MODEL = ModelSettings(layers=1, width=32, heads=4, kv_heads=4, head_width=8, hidden=64)


def make_scorer(mesh=MeshSettings(data=1), devices=1, **settings):
    mesh = make_mesh(mesh, jax.devices()[:devices])
    trainer = Trainer(MODEL, OptimizerSettings(), mesh, VOCABULARY, 1, 10, **settings)
    # Larger weights than at the start of a training: scores that differ.
    params = jax.tree.map(lambda values: 3 * values, trainer.initialise(0)["params"])
    return trainer.scorer(params)


@pytest.fixture(scope="module")
def score_rows():
    return make_scorer()


def some_sequences(seed, count, longest):
    rng = np.random.default_rng(seed)
    sizes = rng.integers(2, longest, count)
    return [(rng.integers(3, VOCABULARY, size).tolist(), int(rng.integers(0, size))) for size in sizes]


@pytest.fixture(scope="module")
def alone(score_rows):
    """Each of some sequences in a row of its own."""
    sequences = some_sequences(0, 40, 60)
    found = [PackedSequences([one], 64, 1, start=PAD).score(score_rows) for one in sequences]
    return sequences, np.array([losses[0] for losses, _ in found]), [bool(hits[0]) for _, hits in found]


@hypothesis.settings(max_examples=12)
@hypothesis.given(
    length=st.sampled_from([64, 96]),
    rows=st.sampled_from([1, 6]),
    most_segments=st.sampled_from([0, 2]),
    multiple=st.sampled_from([16, 96]),
    order=st.permutations(range(40)),
)
def test_batches_rows_and_order_change_no_score(alone, score_rows, length, rows, most_segments, multiple, order):
    sequences, expected, greedy = alone
    packed = PackedSequences([sequences[index] for index in order], length, rows, most_segments, multiple, start=PAD)
    losses, hits = packed.score(score_rows)
    np.testing.assert_allclose(losses, expected[order], rtol=1e-5, atol=1e-5)
    assert hits.tolist() == [greedy[index] for index in order]
    fours = lambda values: np.reshape(values, (10, 4)).argmin(1).tolist()  # noqa: E731
    assert fours(losses) == fours(expected[order])


def test_what_is_beside_a_sequence_changes_no_bit_of_its_score(score_rows):
    mine, others = some_sequences(1, 1, 20), some_sequences(2, 12, 60)
    size = sorted(len(ids) for ids, _ in others)
    rng = np.random.default_rng(3)
    changed = [(rng.integers(3, VOCABULARY, len(ids)).tolist(), given) for ids, given in others]
    assert sorted(len(ids) for ids, _ in changed) == size
    first, second = (PackedSequences(mine + some, 64, 4, start=PAD).score(score_rows)[0] for some in (others, changed))
    assert first[0] == second[0] and not np.any(first[1:] == second[1:])


@pytest.mark.parametrize(
    ("mesh", "chunks"), [({"data": 1}, 4), ({"data": 1, "fsdp": 4, "tensor": 2}, 0), ({"data": 1, "sequence": 2}, 0)]
)
def test_logits_of_what_is_scored_alone_change_no_score(score_rows, mesh, chunks):
    """Endings of prompts: the rest of a row is left out, and what is said of the scored places is the same."""
    rng = np.random.default_rng(7)
    sizes = rng.integers(24, 40, 60)
    sequences = [(rng.integers(3, VOCABULARY, size).tolist(), size - int(rng.integers(1, 6))) for size in sizes]
    scorer = make_scorer(MeshSettings(**mesh), int(np.prod(list(mesh.values()))), loss_chunks=chunks)
    looked_at = []

    def whole(rows):
        looked_at.append(rows["places_BxM"].shape[1] / rows["tokens_BxL"].shape[1])
        return score_rows({name: values for name, values in rows.items() if name != "places_BxM"})

    packed = PackedSequences(sequences, 64, 8, start=PAD)
    (losses, hits), (expected, greedy) = packed.score(scorer), packed.score(whole)
    np.testing.assert_allclose(losses, expected, rtol=1e-5)
    assert hits.tolist() == greedy.tolist()
    assert set(looked_at) == {0.25}
    places = packed._batches[0].rows["places_BxM"]
    found, _ = scorer(packed._batches[0].rows)
    if "sequence" not in mesh:  # there all are
        unseen = np.ones(found.shape, bool)
        unseen[np.arange(len(places))[:, None], places] = False
        assert unseen.any() and (found[unseen] == 0).all()


def test_rows_that_are_scored_whole_name_no_places():
    everything = [(ids, 0) for ids, _ in some_sequences(8, 40, 60)]
    assert all("places_BxM" not in rows for rows in rows_of(PackedSequences(everything, 64, 4, multiple=16, start=PAD)))


@pytest.mark.parametrize("mesh", [{"data": 8}, {"fsdp": 4, "tensor": 2}, {"sequence": 2, "fsdp": 4}])
def test_the_mesh_changes_no_score(alone, mesh):
    sequences, expected, greedy = alone
    scorer = make_scorer(MeshSettings(**mesh), 8)
    losses, hits = PackedSequences(sequences, 64, 8, multiple=32, start=PAD).score(scorer)
    np.testing.assert_allclose(losses, expected, rtol=1e-5, atol=1e-5)
    assert hits.tolist() == greedy
    assert np.reshape(losses, (10, 4)).argmin(1).tolist() == np.reshape(expected, (10, 4)).argmin(1).tolist()


def rows_of(packed):
    seen = []

    def score(rows):
        seen.append(rows)
        return np.zeros(rows["targets_BxL"].shape), np.ones(rows["targets_BxL"].shape, bool)

    packed.score(score)
    return seen


@hypothesis.settings(max_examples=30)
@hypothesis.given(
    sizes=st.lists(st.integers(1, 300), min_size=1, max_size=60),
    rows=st.integers(1, 5),
    most_segments=st.sampled_from([0, 1, 3]),
)
def test_every_token_is_scored_once_and_batches_have_one_size(sizes, rows, most_segments):
    """A token's loss is its id here, and ids are numbered through."""
    ends = list(itertools.accumulate(sizes))
    sequences = [(list(range(end - size, end)), 0) for size, end in zip(sizes, ends, strict=True)]
    packed = PackedSequences(sequences, 64, rows, most_segments, 16, start=PAD)
    for batch in rows_of(packed):
        assert batch["tokens_BxL"].size == rows * 64
        assert batch["segments_BxL"].max() <= (most_segments or 64)
    losses, _ = packed.score(lambda rows: (rows["targets_BxL"].astype(float), np.ones(rows["targets_BxL"].shape, bool)))
    assert losses.tolist() == [sum(ids) for ids, _ in sequences]


def test_short_sequences_are_in_short_rows():
    sequences = some_sequences(0, 400, 30)
    shapes = [
        batch["tokens_BxL"].shape for batch in rows_of(PackedSequences(sequences, 512, 4, multiple=32, start=PAD))
    ]
    assert shapes[0] == (64, 32)
    assert sum(shape[1] == 512 for shape in shapes) <= 1  # at most one that is not full


def test_equal_sequences_tie_whatever_is_beside_them(score_rows):
    sequences = some_sequences(5, 30, 60)
    losses, _ = PackedSequences([*sequences, *sequences[::-1]], 64, 4, multiple=32, start=PAD).score(score_rows)
    assert losses.tolist() == losses[::-1].tolist()


def test_losses_by_token_add_up(score_rows):
    sequences = some_sequences(6, 20, 200)  # longer than a row, too
    packed = PackedSequences(sequences, 64, 4, start=PAD)
    losses, _ = packed.score(score_rows)
    parts = packed.token_losses(score_rows)
    assert [part.sum() for part in parts] == pytest.approx(losses.tolist())
    for part, (ids, given) in zip(parts, sequences, strict=True):
        cut = len(ids) - 64 if given and len(ids) > 64 >= len(ids) - given else 0
        assert len(part) == len(ids) and (part[: max(given, cut)] == 0).all() and (part[max(given, cut) :] > 0).all()
