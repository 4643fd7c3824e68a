import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from linkjax.model.decoder import Decoder, ModelSettings
from linkjax.model.flops import parameters, training_flops
from linkjax.model.sizes import SIZES

SETTINGS = ModelSettings(layers=3, width=32, heads=4, kv_heads=2, head_width=8, hidden=64, attention="reference")


@pytest.mark.parametrize("changes", [{}, {"qk_norm": False}, {"tied_embeddings": False}, {"kv_heads": 4}])
def test_parameters_are_those_of_the_model(changes):
    settings = dataclasses.replace(SETTINGS, **changes)
    model = nnx.eval_shape(lambda: Decoder(settings, 1000, nnx.Rngs(params=0)))
    leaves = jax.tree.leaves(nnx.state(model, nnx.Param))
    assert parameters(settings, 1000).total == sum(int(np.prod(leaf.shape)) for leaf in leaves)


@pytest.mark.parametrize("length", [64, 256])
def test_flops_are_those_the_compiler_counts(length):
    """One layer without a scan's loop, forward: XLA counts the whole square of scores, twice the causal half."""
    settings = dataclasses.replace(SETTINGS, layers=1, width=256, head_width=64, hidden=512)
    graph, params = nnx.split(Decoder(settings, 1000, nnx.Rngs(params=0)))
    row = jnp.ones((1, length), jnp.int32)

    def forward(params, row):
        model = nnx.merge(graph, params)
        return model.logits(model(row, row, row))

    counted = jax.jit(forward).lower(params, row).compile().cost_analysis()["flops"]
    flops = training_flops(settings, 1000, length)
    assert counted == pytest.approx(length * (flops.total + flops.attention) / 3, rel=0.03)


@pytest.mark.parametrize(
    ("size", "millions"), [("137m", 123), ("350m", 360), ("760m", 756), ("1.3b", 1317), ("2.7b", 2666)]
)
def test_training_costs_about_six_operations_a_weight_and_token(size, millions):
    """Kaplan et al. 2020, with the attention beside it."""
    count = parameters(SIZES[size], 50_000).total
    assert round(count / 1e6) == millions
    assert 6 < training_flops(SIZES[size], 50_000, 1024).total / count < 6.6
