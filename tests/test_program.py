"""The reading of compiled programs, on programs compiled for the CPU."""

import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import PartitionSpec as P

from linkjax.model.decoder import Layout, ModelSettings
from linkjax.training import step
from linkjax.training.optimizer import OptimizerSettings
from linkjax.training.program import Array, Program
from linkjax.training.sharding import MeshSettings, make_mesh

SIDE = 32
PRODUCT = 2 * SIDE**3
SQUARE = jax.ShapeDtypeStruct((SIDE, SIDE), jnp.float32)


def compiled(function, *shapes):
    return jax.jit(function).lower(*shapes).compile()


def nested(x, w, outer=3, inner=5):
    """Products: inner + 1 in each of outer runs."""

    def step(x, _):
        x, _ = jax.lax.scan(lambda x, _: (jnp.sin(x @ w), None), x, None, length=inner)
        return jnp.cos(x @ w), None

    return jax.lax.scan(step, x, None, length=outer)[0]


@pytest.mark.parametrize("annotated", [True, False])
def test_a_loop_counts_as_often_as_it_runs(annotated):
    """Also where only the loop's condition says how often, as on TPU."""
    text = compiled(nested, SQUARE, SQUARE).as_text()
    assert "known_trip_count" in text
    if not annotated:
        text = re.sub(r'"known_trip_count":\{[^}]*\}', '"other":{}', text)
    program = Program.parse(text)
    assert program.unknown_loops() == 0
    assert program.product_flops() == 3 * 6 * PRODUCT


def test_a_loop_that_ends_by_its_values_is_named_and_counted_once():
    def halve(x, w):
        return jax.lax.while_loop(lambda x: x.sum() > 1, lambda x: x @ w, x)

    program = Program.parse(compiled(halve, SQUARE, SQUARE).as_text())
    assert program.unknown_loops() == 1
    assert program.product_flops() == PRODUCT


def test_the_costliest_branch_of_a_conditional_counts():
    def either(which, x, w):
        return jax.lax.switch(which, [lambda x: x, lambda x: jnp.sin(x @ w) @ w @ jnp.cos(w), lambda x: x @ w], x)

    program = Program.parse(compiled(either, jax.ShapeDtypeStruct((), jnp.int32), SQUARE, SQUARE).as_text())
    assert program.product_flops() == 3 * PRODUCT


@pytest.mark.parametrize("equation", ["ab,bc->ac", "nab,nbc->nac", "abn,cbn->nac", "nab,cab->nc"])
def test_products_are_counted_as_xla_counts_them(equation):
    letters = {"n": 3, "a": 5, "b": 7, "c": 11}
    shapes = [
        jax.ShapeDtypeStruct(tuple(letters[letter] for letter in side), jnp.float32)
        for side in equation.partition("->")[0].split(",")
    ]
    one = compiled(functools.partial(jnp.einsum, equation), *shapes)
    assert Program.parse(one.as_text()).product_flops() == 2 * np.prod(
        [letters[x] for x in set(equation) & set("nabc")]
    )


@pytest.mark.parametrize(
    "options",
    [
        {"padding": "SAME"},
        {"padding": "VALID", "window_strides": (2, 3)},
        {"padding": [(15, 15), (0, 4)]},
        {"padding": "SAME", "rhs_dilation": (2, 1)},
        {"padding": [(2, 2), (3, 3)], "lhs_dilation": (3, 2)},
        {"padding": "SAME", "feature_group_count": 4},
    ],
    ids=str,
)
def test_convolutions_are_counted_as_xla_counts_them(options):
    """The compiler for TPU writes matrix products as convolutions, with windows that lie mostly in the padding."""
    options = {"window_strides": (1, 1), "dimension_numbers": ("NHWC", "HWIO", "NHWC"), **options}
    groups = options.get("feature_group_count", 1)
    x = jax.ShapeDtypeStruct((2, 16, 12, 8), jnp.float32)
    w = jax.ShapeDtypeStruct((5, 3, 8 // groups, 12), jnp.float32)
    lowered = jax.jit(lambda x, w: jax.lax.conv_general_dilated(x, w, **options)).lower(x, w)
    text = lowered.compile(compiler_options={"xla_backend_optimization_level": 0}).as_text()
    assert "convolution(" in text
    assert Program.parse(text).product_flops() == lowered.cost_analysis()["flops"]


@pytest.mark.parametrize("layers", [2, 4])
def test_the_step_with_a_loop_over_blocks_counts_as_without(layers, monkeypatch):
    """Without a loop XLA's own count is right; it has what is no matrix product besides."""
    model = ModelSettings(
        layers=layers, width=256, heads=2, kv_heads=2, head_width=128, hidden=512, attention="reference", remat="full"
    )  # fmt: skip
    mesh = make_mesh(MeshSettings(), jax.devices()[:1])
    compiled = []
    for unroll in (1, layers):
        monkeypatch.setattr(
            step, "Layout", lambda constrain, attend, _, unroll=unroll: Layout(constrain, attend, unroll)
        )
        trainer = step.Trainer(model, OptimizerSettings(), mesh, 2048, 2, 10, loss_chunks=1)
        compiled.append(trainer.lower(4, 256).compile(compiler_options={"xla_backend_optimization_level": 0}))
    loop, plain = (Program.parse(one.as_text()) for one in compiled)
    assert " while(" in compiled[0].as_text()
    assert " while(" not in compiled[1].as_text()
    assert loop.product_flops() == plain.product_flops()
    assert loop.product_flops() == pytest.approx(compiled[1].cost_analysis()["flops"], rel=0.05)
    assert loop.product_flops() > 1.3 * compiled[0].cost_analysis()["flops"]


def test_collectives_are_counted_with_their_bytes():
    mesh = jax.make_mesh((8,), ("x",), axis_types=(jax.sharding.AxisType.Auto,))

    @functools.partial(jax.shard_map, mesh=mesh, in_specs=P("x"), out_specs=P("x"), check_vma=False)
    def run(part):  # 4 of 32 rows
        def step(part, _):
            mean = jax.lax.pmean(part, "x")
            whole = jax.lax.all_gather(mean * part, "x", tiled=True)
            return jax.lax.ppermute(jnp.tanh(whole)[:4], "x", [(i, (i + 1) % 8) for i in range(8)]), None

        part = jax.lax.scan(step, part, None, length=6)[0]
        return jax.lax.psum_scatter(jnp.tile(part, (8, 1)), "x", tiled=True)

    program = Program.parse(compiled(run, SQUARE).as_text())
    part = 4 * SIDE * 4
    found = {one.kind: (one.times, one.bytes) for one in program.collectives()}
    assert found == {
        "all-reduce": (6, part),
        "all-gather": (6, 8 * part),
        "collective-permute": (6, part),
        "reduce-scatter": (1, 8 * part),
    }


def test_a_collective_that_runs_beside_others_counts_once():
    """As XLA for TPU writes it: in each fusion that it runs beside, here within a loop of 8 runs by steps of 2."""
    text = """\
HloModule m

%begin (p: bf16[2,4]) -> bf16[8,4] {
  %p = bf16[2,4]{1,0:T(8,128)(2,1)} parameter(0)
  ROOT %ag.1 = bf16[8,4]{1,0:T(8,128)(2,1)S(1)} all-gather(%p), channel_id=7, frontend_attributes={chain_id="0"}
}

%beside (q: bf16[2,4]) -> bf16[8,4] {
  %q = bf16[2,4]{1,0} parameter(0)
  ROOT %ag.2 = bf16[8,4]{1,0} all-gather(%q), channel_id=7, frontend_attributes={chain_id="0"}
}

%body (t: (u32[], bf16[2,4])) -> (u32[], bf16[2,4]) {
  %t = (u32[]{:T(128)}, bf16[2,4]{1,0}) parameter(0)
  %i = u32[]{:T(128)} get-tuple-element(%t), index=0
  %two = u32[] constant(2)
  %next = u32[]{:T(128)} add(%i, %two)
  %x = bf16[2,4]{1,0} get-tuple-element(%t), index=1
  %f = bf16[8,4]{1,0} fusion(%x), kind=kCustom, calls=%beside
  ROOT %r = (u32[]{:T(128)}, bf16[2,4]{1,0}) tuple(%next, %x)
}

%condition (t.1: (u32[], bf16[2,4])) -> pred[] {
  %t.1 = (u32[]{:T(128)}, bf16[2,4]{1,0}) parameter(0)
  %i.1 = u32[]{:T(128)} get-tuple-element(%t.1), index=0
  %bound = u32[] constant(15)
  ROOT %less = pred[]{:T(512)} compare(%i.1, %bound), direction=LT
}

ENTRY %main (a: bf16[2,4]) -> (u32[], bf16[2,4]) {
  %a = bf16[2,4]{1,0} parameter(0)
  %zero = u32[] constant(0)
  %g = bf16[8,4]{1,0} fusion(%a), kind=kCustom, calls=%begin
  %permute = (bf16[2,4]{1,0}, bf16[2,4]{1,0}, u32[]{:S(2)}, u32[]{:S(2)}) collective-permute-start(%a), channel_id=8
  %permuted = bf16[2,4]{1,0} collective-permute-done(%permute)
  %start = (u32[], /*index=1*/bf16[2,4]{1,0}) tuple(%zero, %permuted)
  ROOT %loop = (u32[], bf16[2,4]{1,0}) while(%start), condition=%condition, body=%body
}
"""
    program = Program.parse(text)
    assert program.unknown_loops() == 0
    assert [(one.kind, one.times, one.bytes) for one in program.collectives()] == [
        ("all-gather", 1, 64),
        ("collective-permute", 1, 16),
    ]
    apart = Program.parse(text.replace(', frontend_attributes={chain_id="0"}', ""))
    assert [one.times for one in apart.collectives()] == [1, 1, 8]


def test_arrays_are_those_of_the_program():
    arrays = Program.parse(compiled(nested, SQUARE, SQUARE).as_text()).arrays()
    assert Array("f32", (SIDE, SIDE)) in arrays
    assert max(array.elements for array in arrays) == SIDE * SIDE


def test_text_that_is_no_program_is_refused():
    with pytest.raises(ValueError, match="no HLO module"):
        Program.parse("def f(x):\n  return x\n")
