"""One suite for all attention back-ends: documents of a row know nothing of each other, and all agree."""

import functools
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkjax.errors import UserError
from linkjax.model.attention import cudnn, make_attend, reference, splash
from linkjax.training.sharding import MeshSettings, constrain_on, make_mesh, spec

LENGTH, HEADS, KV_HEADS, WIDTH = 256, 4, 2, 64
SIZES = (100, 31, 90)  # documents of a row; the rest is padding


def mesh(**axes):
    devices = int(np.prod(list(axes.values()))) or 1
    return make_mesh(MeshSettings(**{"data": 1, **axes}), jax.devices()[:devices])


BACKENDS = {
    "reference": ({}, lambda mesh: make_attend("reference", mesh, spec)),
    "reference, everything split": ({"sequence": 2, "tensor": 2, "data": 2}, lambda mesh: reference.attend),
    "splash": ({}, lambda mesh: splash.make(mesh, spec, LENGTH, HEADS, interpret=True)),
    "splash, everything split": (
        {"sequence": 2, "tensor": 2, "data": 2},
        lambda mesh: splash.make(mesh, spec, LENGTH, HEADS, interpret=True),
    ),
}
every_backend = pytest.mark.parametrize("backend", list(BACKENDS))


@functools.cache
def inputs():
    q, k, v = (
        jax.random.normal(jax.random.key(i), (2, LENGTH, heads, WIDTH))
        for i, heads in enumerate((HEADS, KV_HEADS, KV_HEADS))
    )
    row = np.repeat([1, 2, 3, 0], [*SIZES, LENGTH - sum(SIZES)])
    return q, k, v, jnp.array(np.stack([row, row]), jnp.int32)


@functools.cache
def run(backend):
    """(q, k, v) -> outputs, and their gradients for a sum over the documents from the second on."""
    axes, make = BACKENDS[backend]
    where, segments = mesh(**axes), inputs()[3]
    attend, constrain = make(where), constrain_on(where)

    def out(q, k, v):
        q = constrain(q, ("batch", "length", "heads", None))
        k, v = (constrain(x, ("batch", None, "kv_heads", None)) for x in (k, v))
        return attend(q, k, v, segments) * (segments > 0)[:, :, None, None]

    def later(q, k, v):
        return (jnp.sin(out(q, k, v)) * (segments > 1)[:, :, None, None]).sum()

    return jax.jit(out), jax.jit(jax.grad(later, argnums=(0, 1, 2)))


@every_backend
def test_another_first_document_moves_no_output_and_no_gradient_of_the_others(backend):
    out, gradient = run(backend)
    q, k, v, segments = inputs()
    first = (segments == 1)[:, :, None, None]
    others = [jnp.where(first, x[:, ::-1] + 1, x) for x in (q, k, v)]
    before, after = out(q, k, v), out(*others)
    later = np.array(segments > 1)
    assert (np.array(before)[later] == np.array(after)[later]).all()
    assert (np.array(before)[~later] != np.array(after)[~later]).any()
    for one, another in zip(gradient(q, k, v), gradient(*others), strict=True):
        assert (np.array(one)[later] == np.array(another)[later]).all()
        assert not np.array(one)[np.array(segments == 1)].any()
        assert np.array(one)[later].any()


@every_backend
def test_outputs_and_gradients_are_those_of_the_reference(backend):
    q, k, v, _ = inputs()
    for found, expected in zip(run(backend), run("reference"), strict=True):
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=2e-5), found(q, k, v), expected(q, k, v))


@every_backend
def test_no_token_sees_a_later_one(backend):
    out, _ = run(backend)
    q, k, v, _ = inputs()
    place = SIZES[0] + 15
    before, after = out(q, k, v), out(q, k.at[:, place + 1 :].add(1), v.at[:, place + 1 :].add(1))
    assert (before[:, : place + 1] == after[:, : place + 1]).all()
    assert (before[:, place + 1 : sum(SIZES)] != after[:, place + 1 : sum(SIZES)]).any()


def device(platform, capability="0", kind="some device"):
    return types.SimpleNamespace(platform=platform, device_kind=kind, compute_capability=capability)


def on(platform, capability="0", sequence=1):
    """A mesh of one described device, as far as the choice of a back-end looks at it."""
    devices = np.array([device(platform, capability)])
    return types.SimpleNamespace(devices=devices, shape={"sequence": sequence, "data": 1})


@pytest.mark.parametrize(
    ("backend", "where", "changes", "says"),
    [
        ("splash", on("cpu"), {}, "model.attention is splash, which is for TPUs, and there is only a CPU: choose ref"),
        ("splash", on("gpu"), {}, "which is for TPUs, and the device is some device: choose auto"),
        ("splash", on("tpu"), {"length": 200}, "rows of a multiple of 128 tokens, not 200"),
        ("splash", on("tpu", sequence=4), {"length": 256}, "rows of a multiple of 512 tokens, not 256"),
        ("splash", on("tpu"), {"width": 24}, "not 24: change model.head_width or choose reference"),
        ("cudnn", on("cpu"), {}, "model.attention is cudnn, which is for NVIDIA GPUs"),
        ("cudnn", on("gpu", "8.0"), {}, "packs documents from Hopper on"),
        ("cudnn", on("gpu", "9.0"), {"dtype": jnp.float32}, "computes in bfloat16, and model.dtype is float32"),
        ("cudnn", on("gpu", "9.0", sequence=2), {}, "needs whole rows, and mesh.sequence is 2"),
        ("cudnn", on("gpu", "9.0"), {"width": 20}, "heads of a multiple of 8 up to 256, not 20"),
        ("cudnn", on("gpu", "9.0"), {"most_segments": 0}, "set most_segments, as to 64"),
    ],
)
def test_what_a_backend_cannot_do_is_said_with_what_to_choose(backend, where, changes, says):
    shape = (1, changes.get("length", 256), 2, changes.get("width", 64))
    x = jnp.zeros(shape, changes.get("dtype", jnp.bfloat16))
    with pytest.raises(UserError, match=says):
        attend = make_attend(backend, where, spec, changes.get("most_segments", 16))
        attend(x, x, x, jnp.zeros(shape[:2], jnp.int32))


@pytest.mark.parametrize(
    ("where", "length", "chosen", "says"),
    [
        (on("cpu"), 256, "reference", ""),
        (on("tpu"), 256, "splash", "attention: splash"),
        (on("tpu"), 100, "reference", "attention: reference; not splash, which takes rows of a multiple of 128 tokens"),
        (on("gpu", "9.0"), 256, "cudnn", "attention: cudnn"),
        (on("gpu", "8.0"), 256, "reference", "attention: reference; not cudnn, which packs documents from Hopper on"),
    ],
)
def test_auto_picks_by_device_and_says_what(monkeypatch, caplog, where, length, chosen, says):
    from linkjax.model import attention

    attention._log.cache_clear()
    called = []
    monkeypatch.setattr(reference, "attend", lambda *args: called.append("reference"))
    monkeypatch.setattr(cudnn, "attend", lambda *args: called.append("cudnn"))
    monkeypatch.setattr(splash, "make", lambda *args: lambda *args: called.append("splash"))
    x = jnp.zeros((1, length, 2, 64), jnp.bfloat16)
    make_attend("auto", where, spec, 16)(x, x, x, None)
    assert called == [chosen]
    assert says in caplog.text
    assert bool(says) == bool(caplog.text)


@given(st.lists(st.lists(st.integers(1, 5), max_size=6).filter(lambda sizes: sum(sizes) <= 16), min_size=1, max_size=4))
def test_cudnn_is_told_where_documents_begin(rows):
    segments = np.zeros((len(rows), 16), np.int32)
    for row, sizes in zip(segments, rows, strict=True):
        row[: sum(sizes)] = np.repeat(np.arange(1, len(sizes) + 1), sizes)
    lengths, offsets = cudnn.lengths_and_offsets(jnp.array(segments), 6)
    for sizes, row_lengths, row_offsets in zip(rows, np.array(lengths), np.array(offsets), strict=True):
        missing = 6 - len(sizes)
        assert row_lengths.tolist() == [*sizes, *[-1] * missing]
        assert row_offsets.tolist() == [*np.cumsum([0, *sizes])[:-1].tolist(), *[-1] * missing, -1]


def test_the_kernel_finds_every_document_of_every_row():
    """By what JAX makes of lengths and offsets for cuDNN: places in the batch laid out as one row."""
    from jax._src.cudnn import fused_attention_stablehlo as fused

    rows, heads = ([5, 3], [2, 4, 2], [3, 4], [8]), 2
    segments = np.zeros((len(rows), 8), np.int32)
    for row, sizes in zip(segments, rows, strict=True):
        row[: sum(sizes)] = np.repeat(np.arange(1, len(sizes) + 1), sizes)
    lengths, offsets = cudnn.lengths_and_offsets(jnp.array(segments), 4)
    x = jax.ShapeDtypeStruct((len(rows), 8, heads, WIDTH), jnp.bfloat16)
    lengths, _, offsets, _ = fused._fix_seqlen_offsets(lengths, lengths, offsets, offsets, x, x)
    found = zip(np.array(offsets).ravel() // (heads * WIDTH), np.array(lengths).ravel(), strict=False)
    expected = [(8 * row + sum(sizes[:at]), size) for row, sizes in enumerate(rows) for at, size in enumerate(sizes)]
    assert [(start, size) for start, size in found if size > 0] == expected
    assert np.array(offsets).ravel()[len(expected)] == 8 * len(rows) * heads * WIDTH  # where all end


def test_cudnn_is_called_for_packed_rows_forward_and_backward(monkeypatch):
    """Lowered for CUDA without one: what the compiler would be given. The kernel itself needs a GPU."""
    from jax._src.cudnn import fused_attention_stablehlo as fused

    monkeypatch.setattr(fused, "check_cudnn_version", lambda: 91000)
    monkeypatch.setattr(fused, "check_compute_capability", lambda capability: True)
    q, kv = (jax.ShapeDtypeStruct((4, LENGTH, heads, WIDTH), jnp.bfloat16) for heads in (HEADS, KV_HEADS))

    def total(q, k, v, segments):
        return cudnn.attend(q, k, v, segments, 16).astype(jnp.float32).sum()

    traced = jax.jit(jax.grad(total, argnums=(0, 1, 2))).trace(q, kv, kv, jax.ShapeDtypeStruct((4, LENGTH), jnp.int32))
    program = traced.lower(lowering_platforms=("cuda",)).as_text()
    for name in ("__cudnn$fmhaSoftmax(", "__cudnn$fmhaSoftmaxBackward("):
        (call,) = (line for line in program.splitlines() if f"custom_call @{name}" in line)
        assert r"\22mask_type\22: \22PADDING_CAUSAL\22" in call
        assert r"\22max_seg_per_batch\22: 16" in call
