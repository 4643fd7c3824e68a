import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as array_strategies

from linkjax.vocabulary.clp import clp_rows
from linkjax.vocabulary.focus import focus_rows
from linkjax.vocabulary.mean import mean_rows
from linkjax.vocabulary.normal import normal_rows
from linkjax.vocabulary.salt import salt_rows
from linkjax.vocabulary.similarity import cosine_blocks, sparsemax, unit_rows
from linkjax.vocabulary.translation import piece_weights, translated_rows
from linkjax.vocabulary.wechsel import rotation, wechsel_rows

SCORES = array_strategies.arrays(
    np.float64,
    st.tuples(st.integers(1, 4), st.integers(1, 12)),
    elements=st.floats(-50, 50, allow_subnormal=False).map(lambda value: round(value, 3)),
)


def random(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape)


@given(SCORES)
def test_sparsemax_is_the_nearest_point_of_the_simplex(scores_NxS):
    weights_NxS = sparsemax(scores_NxS)
    assert np.all(weights_NxS >= 0)
    np.testing.assert_allclose(weights_NxS.sum(axis=1), 1, atol=1e-9)
    for scores, weights in zip(scores_NxS, weights_NxS, strict=True):
        # The conditions of the minimum: score - weight is one constant on the support, and no less off it.
        threshold = (scores - weights)[weights > 0]
        np.testing.assert_allclose(threshold, threshold[0], atol=1e-9)
        assert np.all(scores[weights == 0] <= threshold[0] + 1e-9)


@given(SCORES, st.floats(-100, 100))
def test_sparsemax_keeps_the_order_and_ignores_a_shift(scores_NxS, shift):
    weights_NxS = sparsemax(scores_NxS)
    np.testing.assert_allclose(sparsemax(scores_NxS + shift), weights_NxS, atol=1e-9)
    order = np.argsort(scores_NxS, axis=1)
    assert np.all(np.diff(np.take_along_axis(weights_NxS, order, axis=1), axis=1) >= 0)


def test_sparsemax_of_examples_worked_by_hand():
    np.testing.assert_allclose(
        sparsemax(np.array([[0.0, 0.0], [2.0, 0.0], [0.5, 0.1]])), [[0.5, 0.5], [1, 0], [0.7, 0.3]]
    )


def test_cosines_of_blocks_are_those_of_all_at_once(monkeypatch):
    ours, theirs = random(7, 3), random(5, 3, seed=1)
    ours[2] = 0
    monkeypatch.setattr("linkjax.vocabulary.similarity._BLOCK_VALUES", 11)
    blocks = list(cosine_blocks(ours, theirs))
    assert len(blocks) == 4
    expected = [[a @ b / (np.linalg.norm(a) * np.linalg.norm(b)) if a.any() else 0 for b in theirs] for a in ours]
    np.testing.assert_allclose(np.concatenate([found for _, found in blocks]), expected, atol=1e-12)


def direct_salt(vectors, shared_vectors, target, shared_target, shared_rows):
    """As the paper writes it: a pseudo-inverse and a matrix for each token."""
    rows, counts = [], []
    for vector, row in zip(unit_rows(vectors), target, strict=True):
        weights = sparsemax(vector[None] @ unit_rows(shared_vectors).T)[0]
        chosen = weights > 0
        a, b = shared_target[chosen], shared_rows[chosen]
        rows.append(row @ (np.linalg.pinv(a, rcond=1e-12) @ b))
        counts.append(int(chosen.sum()))
    return np.array(rows), counts


@pytest.mark.parametrize("width", [2, 6, 40])
def test_salt_is_the_direct_computation(width):
    shapes = [(9, 5), (30, 5), (9, width), (30, width), (30, 8)]
    arrays = [random(*shape, seed=seed) for seed, shape in enumerate(shapes)]
    expected, counts = direct_salt(*arrays)
    assert 2 < min(counts) < max(counts) < 40  # more neighbours than numbers, and fewer
    np.testing.assert_allclose(salt_rows(*arrays), expected, rtol=1e-9, atol=1e-9)


def test_salt_with_neighbours_that_are_linearly_dependent():
    vectors, shared_vectors, target = random(4, 5), random(20, 5, seed=1), random(4, 6, seed=2)
    shared_target = random(20, 2, seed=3) @ random(2, 6, seed=4)  # of rank 2
    shared_rows = random(20, 8, seed=5)
    shared_target[::2] = shared_target[1::2]
    found = salt_rows(vectors, shared_vectors, target, shared_target, shared_rows)
    expected, _ = direct_salt(vectors, shared_vectors, target, shared_target, shared_rows)
    np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-8)


def test_salt_with_one_neighbour_scales_its_row():
    vectors, shared_vectors = np.array([[1.0, 0.0]]), np.array([[1.0, 0.0], [-1.0, 0.0]])  # cosines 1 and -1
    target, shared_target, rows = random(1, 6), random(2, 6, seed=1), random(2, 8, seed=2)
    along = target[0] @ shared_target[0] / (shared_target[0] @ shared_target[0])
    np.testing.assert_allclose(salt_rows(vectors, shared_vectors, target, shared_target, rows), along * rows[:1])


def test_salt_gives_back_what_a_linear_map_made():
    """Where the old model's rows are one linear map of the target model's, so are the new rows."""
    shared_vectors = np.zeros((20, 4)) + random(1, 4) + 0.01 * random(20, 4, seed=1)  # all alike: all are neighbours
    shared_target, map_ = random(20, 6, seed=2), random(6, 8, seed=3)
    target = random(3, 6, seed=4)
    found = salt_rows(shared_vectors[:3], shared_vectors, target, shared_target, shared_target @ map_)
    np.testing.assert_allclose(found, target @ map_, rtol=1e-8)


def test_focus_weighs_shared_rows_by_the_sparsemax_of_cosines():
    angles = np.radians([0, 30, 80, 180])
    shared = np.stack([np.cos(angles), np.sin(angles)], axis=1) * np.array(
        [[1], [5], [0.1], [2]]
    )  # lengths say nothing
    rows = np.eye(4)
    cosines = np.cos(angles)
    # By hand: 1 + 2 * 0.866 > 1.866, but 1 + 3 * 0.174 < 2.04, so that two are in the support.
    first = (1 + cosines[0] - cosines[1]) / 2
    np.testing.assert_allclose(focus_rows(np.array([[3.0, 0.0]]), shared, rows), [[first, 1 - first, 0, 0]])


def test_clp_weighs_all_shared_rows_by_cosine():
    shared = np.array([[1.0, 0.0], [1.0, 1.0], [0.0, 2.0], [-1.0, 0.0]])
    rows, known = clp_rows(np.array([[2.0, 0.0], [0.0, 0.0]]), shared, np.eye(4))
    weights = np.array([1, 0.5**0.5, 0, 0])
    np.testing.assert_allclose(rows[0], weights / weights.sum(), atol=1e-12)
    assert known.tolist() == [True, False]


def test_alignment_recovers_a_planted_rotation():
    turn = np.linalg.qr(random(6, 6))[0]
    source = random(40, 6, seed=1)
    np.testing.assert_allclose(rotation(source, source @ turn), turn, atol=1e-12)
    noisy = rotation(source, source @ turn + 0.01 * random(40, 6, seed=2))
    np.testing.assert_allclose(noisy @ noisy.T, np.eye(6), atol=1e-12)
    assert np.abs(noisy - turn).max() < 0.05


def test_wechsel_is_the_softmax_over_the_nearest():
    vectors, source, rows = random(3, 4), random(15, 4, seed=1), random(15, 5, seed=2)
    found = wechsel_rows(vectors, source, rows)
    for index, vector in enumerate(unit_rows(vectors)):
        cosines = unit_rows(source) @ vector
        nearest = np.argsort(-cosines)[:10]
        weights = np.exp(cosines[nearest] / 0.1)
        np.testing.assert_allclose(found[index], weights / weights.sum() @ rows[nearest], rtol=1e-9)
    assert wechsel_rows(vectors, source[:2], rows[:2]).shape == (3, 5)  # fewer than ten there


def test_means_of_pieces():
    rows = random(6, 3).astype(np.float32)
    found = mean_rows(rows, [[2], [0, 5, 5]])
    np.testing.assert_array_equal(found[0], rows[2])
    np.testing.assert_allclose(found[1], (rows[0] + 2.0 * rows[5]) / 3, rtol=1e-6)


def test_random_rows_are_like_the_old_ones():
    rows = random(500, 3) * np.array([[1.0, 5.0, 0.0]]) + np.array([[0.0, 2.0, 7.0]])
    drawn = normal_rows(rows, 4000, seed=0)
    np.testing.assert_allclose(drawn.mean(axis=0), rows.mean(axis=0), atol=0.25)
    np.testing.assert_allclose(drawn.std(axis=0), rows.std(axis=0), rtol=0.05, atol=1e-9)
    np.testing.assert_array_equal(drawn, normal_rows(rows, 4000, seed=0))
    assert not np.array_equal(drawn, normal_rows(rows, 4000, seed=1))


def test_translation_counts_pieces_of_translations():
    """mbwa (seen 3 times) is dog, of pieces 1 and 2; mbwe (once) is pebble (weight 3) or dog (weight 1)."""
    new = {"mbwa": [10, 11], "mbwe": [10, 12]}
    old = {"dog": [1, 2], "pebble": [3]}
    translations = {"mbwa": {"dog": 1.0}, "mbwe": {"pebble": 3.0, "dog": 1.0}}
    weights = piece_weights({"mbwa": 3, "mbwe": 1, "paka": 9}, translations, new.get, old.get)
    assert weights == {
        10: pytest.approx({1: 1.625, 2: 1.625, 3: 0.75}),
        11: pytest.approx({1: 1.5, 2: 1.5}),
        12: pytest.approx({1: 0.125, 2: 0.125, 3: 0.75}),
    }
    rows = random(4, 3)
    np.testing.assert_allclose(translated_rows(rows, [weights[11]])[0], (rows[1] + rows[2]) / 2)
