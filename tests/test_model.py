import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from linkjax.errors import UserError
from linkjax.model.attention import attend
from linkjax.model.decoder import Decoder, ModelSettings, padded_vocabulary, rotary_frequencies, rotate
from linkjax.model.sizes import SIZES

SETTINGS = ModelSettings(layers=2, width=32, heads=4, kv_heads=2, head_width=8, hidden=64)
VOCABULARY = 100


def make(**changes):
    """tokens, segments, positions -> logits."""
    decoder = Decoder(dataclasses.replace(SETTINGS, **changes), VOCABULARY, nnx.Rngs(params=0))
    return lambda *rows: decoder.logits(decoder(*rows))


def rows(seed=0, length=24):
    """One row: segments of 7, 10 and 4 tokens and padding."""
    sizes = [7, 10, 4]
    segments = np.repeat([1, 2, 3, 0], [*sizes, length - sum(sizes)])
    positions = np.concatenate([np.arange(size) for size in [*sizes, length - sum(sizes)]])
    tokens = np.random.default_rng(seed).integers(3, VOCABULARY, length)
    return [jnp.array(values[None], jnp.int32) for values in (tokens, segments, positions)]


@pytest.mark.parametrize(
    "changes", [{}, {"remat": "full"}, {"remat": "dots"}, {"qk_norm": False, "tied_embeddings": False}]
)
def test_documents_in_a_row_do_not_see_each_other(changes):
    model = make(**changes)
    tokens, segments, positions = rows()
    other = tokens.at[0, :7].set((tokens[0, :7] + 1) % VOCABULARY)  # document 1 is another
    before, after = model(tokens, segments, positions), model(other, segments, positions)
    assert (before[0, 7:21] == after[0, 7:21]).all()
    assert (before[0, :7] != after[0, :7]).any()


def test_a_document_scores_the_same_wherever_it_is_packed():
    model = make()
    tokens, segments, positions = rows()
    packed = model(tokens, segments, positions)[0, 7:17]
    alone = model(tokens[:, 7:17], jnp.ones((1, 10), jnp.int32), jnp.arange(10)[None])[0]
    np.testing.assert_allclose(packed, alone, atol=1e-5)


def test_grouped_queries_equal_repeated_keys():
    _, segments, _ = rows()
    q, k, v = (jax.random.normal(jax.random.key(i), (1, 24, heads, 8)) for i, heads in enumerate((4, 2, 2)))
    grouped = attend(q, k, v, segments)
    repeated = attend(q, jnp.repeat(k, 2, axis=2), jnp.repeat(v, 2, axis=2), segments)
    np.testing.assert_allclose(grouped, repeated, atol=1e-6)


def test_attention_equals_jax_own():
    _, segments, _ = rows()
    q, k, v = (jax.random.normal(jax.random.key(i), (1, 24, heads, 8)) for i, heads in enumerate((4, 2, 2)))
    mask = (segments[:, None, :, None] == segments[:, None, None, :]) & jnp.tril(jnp.ones((24, 24), bool))[None, None]
    np.testing.assert_allclose(attend(q, k, v, segments), jax.nn.dot_product_attention(q, k, v, mask=mask), atol=1e-5)


def test_rotation_makes_scores_depend_on_distance_alone():
    x, y = (jax.random.normal(jax.random.key(i), (1, 1, 1, 8)) for i in range(2))

    frequencies = rotary_frequencies(ModelSettings(head_width=8))

    def score(i, j):
        return float((rotate(x, jnp.array([[i]]), frequencies) * rotate(y, jnp.array([[j]]), frequencies)).sum())

    assert score(3, 1) == pytest.approx(score(12, 10), abs=1e-5)
    assert score(3, 1) != pytest.approx(score(3, 2), abs=1e-3)


def test_remat_changes_no_gradient():
    tokens, segments, positions = rows()

    def gradient(remat):
        settings = dataclasses.replace(SETTINGS, remat=remat)
        graph, params = nnx.split(Decoder(settings, VOCABULARY, nnx.Rngs(params=0)))
        return jax.grad(lambda p: jnp.square(nnx.merge(graph, p)(tokens, segments, positions)[..., 0]).mean())(params)

    exact = gradient("none")
    assert any(leaf.any() for leaf in jax.tree.leaves(exact))
    for remat in ("dots", "full"):
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), exact, gradient(remat))


def test_logits_are_capped():
    tokens, segments, positions = rows()
    plain, capped = (make(logit_cap=cap)(tokens, segments, positions) for cap in (0.0, 0.5))
    assert jnp.abs(plain).max() > 0.5
    np.testing.assert_allclose(capped, 0.5 * np.tanh(plain / 0.5), atol=1e-6)


def test_bfloat16_gives_float32_logits_near_the_exact_ones():
    tokens, segments, positions = rows()
    exact, rough = (make(dtype=dtype)(tokens, segments, positions) for dtype in ("float32", "bfloat16"))
    assert rough.dtype == jnp.float32
    np.testing.assert_allclose(exact, rough, atol=0.1)


def test_vocabulary_is_padded():
    assert [padded_vocabulary(size) for size in (1, 128, 129)] == [128, 128, 256]


@pytest.mark.parametrize(
    ("name", "millions"), [("137m", 137), ("350m", 350), ("760m", 760), ("1.3b", 1300), ("2.7b", 2700)]
)
def test_sizes_are_what_they_are_called(name, millions):
    model = nnx.eval_shape(lambda: Decoder(SIZES[name], 50_000, nnx.Rngs(params=0)))
    count = sum(np.prod(leaf.shape) for leaf in jax.tree.leaves(nnx.state(model, nnx.Param)))
    assert count / 1e6 == pytest.approx(millions, rel=0.12)


@pytest.mark.parametrize(
    "bad",
    [
        {"kv_heads": 3},
        {"head_width": 7},
        {"dtype": "float16"},
        {"layers": 0},
        {"remat": "some"},
        {"attention": "x"},
        {"logit_cap": -1},
    ],
)
def test_impossible_shapes_are_refused(bad):
    with pytest.raises(UserError, match=next(iter(bad))):
        dataclasses.replace(SETTINGS, **bad)


def test_a_frequent_piece_gets_its_whole_gradient_in_bfloat16():
    """Its gradient is a sum over many tokens; in bfloat16 it stops growing at a few hundred of them."""
    rows_16x64 = jnp.full((16, 64), 7, jnp.int32)
    alone_16x64 = jnp.ones_like(rows_16x64).cumsum(axis=1)  # each token a document: all have the same gradient

    settings = dataclasses.replace(SETTINGS, layers=1)
    graph, params = nnx.split(Decoder(settings, VOCABULARY, nnx.Rngs(params=0)), nnx.Param)
    direction_D = jax.random.normal(jax.random.key(1), (SETTINGS.width,))

    @functools.partial(jax.jit, static_argnums=0)
    def gradient(dtype):
        def along(params):
            decoder = nnx.merge(graph, params)
            decoder.settings = dataclasses.replace(settings, dtype=dtype)
            x_BxLxD = decoder(rows_16x64, alone_16x64, jnp.zeros_like(rows_16x64))
            return (x_BxLxD.astype(jnp.float32) * direction_D[None, None]).sum()

        return jax.grad(along)(params)["embedding_VxD"][...][7]

    wide, narrow = gradient("float32"), gradient("bfloat16")
    assert np.linalg.norm(narrow - wide) < 0.05 * np.linalg.norm(wide)
