import contextlib
import dataclasses
import itertools
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from linkjax.data.pipeline import Stream
from linkjax.errors import UserError
from linkjax.model.decoder import ModelSettings
from linkjax.training.loss import objective, token_losses
from linkjax.training.optimizer import OptimizerSettings, make_optimizer, make_schedule
from linkjax.training.sharding import AXES, MeshSettings, make_mesh, spec
from linkjax.training.step import Trainer, weights

MODEL = ModelSettings(layers=2, width=32, heads=4, kv_heads=4, head_width=8, hidden=64)
STEPS = 20
GOLDEN = pathlib.Path(__file__).parent / "golden_losses.txt"


@pytest.fixture(scope="module")
def batches(toy):
    from linkjax.data.pipeline import StreamSettings
    from linkjax.substitution import LinkSettings

    settings = StreamSettings(
        batch_size=16, sequence_length=64, virtual_shards=8, data_seed=0, link=LinkSettings(), steps=100
    )
    with contextlib.closing(Stream(toy, settings)) as stream:
        return [next(stream) for _ in range(STEPS)]


def trainer(toy, devices=1, optimizer=OptimizerSettings(), model=MODEL, microbatches=1, loss_chunks=0, **mesh):
    mesh = make_mesh(MeshSettings(**mesh), jax.devices()[:devices])
    sizes = len(toy.tokenizer), len(toy.components), STEPS
    return Trainer(model, optimizer, mesh, *sizes, microbatches=microbatches, loss_chunks=loss_chunks)


def losses(one, batches):
    state, result = one.initialise(0), []
    for batch in batches:
        state, metrics = one.update(state, one.place(batch))
        result.append(float(metrics["loss"]))
    return np.array(result)


@pytest.fixture(scope="module")
def reference(toy, batches):
    result = losses(trainer(toy), batches)
    assert result[-1] < result[0] - 0.5
    return result


def test_the_losses_are_those_on_record(reference):
    """20 steps on the toy world. Where they are meant to change: `np.savetxt` what stands here into the file."""
    np.testing.assert_allclose(reference, np.loadtxt(GOLDEN), rtol=1e-5)


# Each axis alone and every two, and in turn what else must not change a loss.
MESHES = [{axis: 8} for axis in AXES if axis != "tensor"] + [{"tensor": 4, "data": 2}]
MESHES += [{one: 2, other: 4} for one, other in itertools.combinations(AXES, 2)]
VARIANTS = {
    "plain": {},
    "chunks": {"loss_chunks": 4},
    "microbatches": {"microbatches": 2},
    "dots": {"model": dataclasses.replace(MODEL, remat="dots")},
    "all": {"model": dataclasses.replace(MODEL, remat="full"), "microbatches": 2, "loss_chunks": 2},
}


@pytest.mark.parametrize(("mesh", "variant"), zip(MESHES, itertools.cycle(VARIANTS), strict=False), ids=str)
def test_eight_devices_give_the_losses_of_one(toy, batches, reference, mesh, variant, capfd):
    one = trainer(toy, 8, **{"data": 1, **mesh}, **VARIANTS[variant])
    np.testing.assert_allclose(losses(one, batches), reference, rtol=1e-5)
    assert "full rematerialization" not in capfd.readouterr().err  # a layout that costs more than it should


@pytest.mark.parametrize("variant", list(VARIANTS)[1:])
def test_saving_memory_changes_no_loss(toy, batches, reference, variant):
    np.testing.assert_allclose(losses(trainer(toy, **VARIANTS[variant]), batches), reference, rtol=1e-5)


def test_parameters_and_optimizer_state_are_split_as_the_table_says(toy):
    one = trainer(toy, 8, fsdp=2, tensor=4, data=1)
    state = one.initialise(0)
    hidden = state["params"]["blocks"]["gate_DxF"]
    assert hidden.shape == (2, 32, 64)
    assert hidden.addressable_shards[0].data.shape == (2, 16, 16)
    moment = state["optimizer"][1][0].mu["blocks"]["gate_DxF"]
    assert moment.addressable_shards[0].data.shape == (2, 16, 16)


@pytest.mark.parametrize("bad", [{"data": 3}, {"data": 0, "fsdp": 0}, {"tensor": -1}])
def test_impossible_meshes_are_refused(bad):
    with pytest.raises(UserError, match="mesh"):
        make_mesh(MeshSettings(**bad), jax.devices())


def test_a_dimension_that_does_not_divide_is_named(toy):
    mesh = make_mesh(MeshSettings(tensor=8, data=1), jax.devices())
    one = Trainer(MODEL, OptimizerSettings(), mesh, len(toy.tokenizer), 2, STEPS)
    with pytest.raises(UserError, match=r"blocks/key_DxGxK has 4 along 'kv_heads'.*8 devices"):
        one.initialise(0)


def test_mesh_axes_are_those_of_the_design():
    assert AXES == ("slice", "data", "fsdp", "sequence", "tensor")
    assert dict(make_mesh(MeshSettings(), jax.devices()).shape) == dict(zip(AXES, (1, 8, 1, 1, 1), strict=True))


def test_loss_is_over_the_sum_of_weights():
    x, projection = jax.random.normal(jax.random.key(0), (2, 6, 8)), jax.random.normal(jax.random.key(1), (128, 8))
    rows = {
        "targets_BxL": jnp.array(np.random.default_rng(0).integers(0, 100, (2, 6)), jnp.int32),
        "loss_weights_BxL": jnp.array([[1, 1, 1, 0, 1, 0], [1, 0, 0, 0, 0, 0]], jnp.float32),
        "segments_BxL": jnp.array([[1, 1, 1, 1, 1, 0], [1, 1, 0, 0, 0, 0]], jnp.int32),
        "swapped_BxL": jnp.array([[0, 0, 1, 1, 0, 0], [0, 1, 0, 0, 0, 0]], jnp.uint8),
        "component_B": jnp.array([0, 1], jnp.int32),
    }
    mesh = make_mesh(MeshSettings(), jax.devices()[:1])
    found = token_losses(x, projection, rows["targets_BxL"], mesh=mesh, spec=spec, vocabulary=100)
    logits = jnp.einsum("bld,vd->blv", x, projection[:100])  # the others are padding
    loss, report = objective(found, rows, rows["loss_weights_BxL"].sum(), 0.0, 2)
    each = -np.take_along_axis(np.array(jax.nn.log_softmax(logits)), np.array(rows["targets_BxL"])[..., None], -1)[
        ..., 0
    ]
    weights = np.array(rows["loss_weights_BxL"])
    assert float(loss) == pytest.approx((each * weights).sum() / weights.sum(), rel=1e-5)
    sums = {kind: (float(total), int(count)) for kind, (total, count) in report["sums"].items()}
    assert sums["swapped"] == (pytest.approx(each[0, 2] + each[0, 3] + each[1, 1], rel=1e-5), 3)
    assert sums["unswapped"][1] == 4
    assert sums["component/0"] == (pytest.approx(each[0, :5].sum(), rel=1e-5), 5)
    assert sums["component/1"][1] == 2
    assert float(objective(found, rows, rows["loss_weights_BxL"].sum(), 0.1, 2)[0]) > float(loss)


def test_padding_of_the_vocabulary_has_no_probability_on_any_mesh():
    """Here 100 of 256 pieces are real: some of the eight devices hold nothing else than padding."""
    x, projection = jax.random.normal(jax.random.key(0), (2, 6, 8)), jax.random.normal(jax.random.key(1), (256, 8))
    targets = jnp.array(np.random.default_rng(0).integers(0, 100, (2, 6)), jnp.int32)
    mesh = make_mesh(MeshSettings(tensor=8, data=1), jax.devices())
    loss = jax.jit(lambda *values: token_losses(*values, targets, mesh=mesh, spec=spec, vocabulary=100).losses_BxL)
    with jax.set_mesh(mesh):
        found = loss(x, projection)
        gradient = jax.grad(lambda values: loss(x, values).sum())(projection)
    real = jax.nn.logsumexp(x @ projection[:100].T, axis=-1)
    np.testing.assert_allclose(found, real - (x * projection[targets]).sum(-1), rtol=1e-5)
    assert np.isfinite(gradient).all() and (gradient[100:] == 0).all() and (gradient[:100] != 0).any()


def test_splitting_a_batch_unevenly_does_not_change_its_loss(toy, batches):
    """Sums over weights add up: two halves with different numbers of tokens make the whole."""
    one = trainer(toy)
    params = one.initialise(0)["params"]
    batch = {name: np.array(values) for name, values in batches[0].items()}
    batch["loss_weights_BxL"][:3] = 0
    whole, _ = one.score(params, one.place(batch))
    weights = batch["loss_weights_BxL"]
    total = (np.array(whole) * weights).sum()
    halves = [(np.array(whole)[half] * weights[half]).sum() for half in (slice(0, 8), slice(8, 16))]
    loss = float(one.update(one.initialise(0), one.place(batch))[1]["loss"])
    assert loss == pytest.approx(sum(halves) / weights.sum(), rel=1e-5)
    assert loss == pytest.approx(total / weights.sum(), rel=1e-5)


def test_a_gradient_that_is_not_finite_changes_no_weight(toy, batches):
    one = trainer(toy)
    state = one.initialise(0)
    before = jax.device_get(state)
    poisoned = {**batches[0], "loss_weights_BxL": batches[0]["loss_weights_BxL"] * np.float32(np.nan)}
    state, metrics = one.update(state, one.place(poisoned))
    assert int(metrics["skipped_steps"]) == 1
    assert int(state["step"]) == 1
    for key in ("params", "optimizer"):
        jax.tree.map(np.testing.assert_array_equal, before[key], jax.device_get(state[key]))
    state, metrics = one.update(state, one.place(batches[0]))
    assert np.isfinite(float(metrics["loss"]))
    assert int(metrics["skipped_steps"]) == 1


@pytest.mark.parametrize("schedule", ["cosine", "wsd"])
def test_schedules(schedule):
    settings = OptimizerSettings(
        learning_rate=1.0, final_share=0.1, schedule=schedule, warmup_share=0.1, decay_share=0.2
    )
    rate = make_schedule(settings, 1000)
    assert float(rate(0)) == 0
    assert float(rate(50)) == pytest.approx(0.5)
    assert float(rate(100)) == pytest.approx(1)
    assert float(rate(1000)) == pytest.approx(0.1, abs=1e-6)
    assert float(rate(700)) == pytest.approx(1.0 if schedule == "wsd" else 0.325, abs=0.01)


def test_norms_are_not_decayed_and_gradients_are_clipped():
    params = {"norm_D": jnp.ones(4), "blocks": {"norm_query_K": jnp.ones(4), "gate_DxF": jnp.ones((4, 4))}}
    nothing = jax.tree.map(jnp.zeros_like, params)
    tx = make_optimizer(OptimizerSettings(warmup_share=0.0), 100)
    state = tx.init(params)
    for _ in range(2):
        updates, state = tx.update(nothing, state, params)
    assert not updates["norm_D"].any()
    assert not updates["blocks"]["norm_query_K"].any()
    assert (updates["blocks"]["gate_DxF"] < 0).all()


@pytest.mark.parametrize("bad", [{"schedule": "step"}, {"warmup_share": 2.0}, {"learning_rate": 0.0}])
def test_impossible_optimizers_are_refused(bad):
    with pytest.raises(UserError, match=next(iter(bad))):
        dataclasses.replace(OptimizerSettings(), **bad)


def test_the_average_follows_the_weights(toy, batches):
    one = trainer(toy, optimizer=OptimizerSettings(average_decay=0.9))
    state = one.initialise(0)
    expected = jax.device_get(state["params"])
    for batch in batches[:3]:
        state, _ = one.update(state, one.place(batch))
        expected = jax.tree.map(lambda old, new: 0.9 * old + 0.1 * new, expected, jax.device_get(state["params"]))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), expected, jax.device_get(weights(state)))
    poisoned = {**batches[0], "loss_weights_BxL": batches[0]["loss_weights_BxL"] * np.float32(np.nan)}
    state, _ = one.update(state, one.place(poisoned))
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(jax.device_get(weights(state))))


@pytest.mark.parametrize("mesh", [{}, {"fsdp": 2, "tensor": 2, "data": 2}], ids=str)
def test_muon_moves_matrices_by_as_much_in_every_direction(toy, batches, mesh):
    """Its updates have singular values near one another; vectors and embeddings are AdamW's."""
    settings = OptimizerSettings(kind="muon", weight_decay=0.0, learning_rate=0.01, warmup_share=0.0)
    one = trainer(toy, 8 if mesh else 1, optimizer=settings, **mesh)
    state = one.initialise(0)
    for batch in batches[:2]:
        before = jax.device_get(state["params"])
        state, _ = one.update(state, one.place(batch))
    moved = jax.tree.map(np.subtract, jax.device_get(state["params"]), before)
    for name, inwards in (("gate_DxF", 1), ("down_FxD", 1), ("query_DxHxK", 1), ("out_HxKxD", 2)):
        for layer in moved["blocks"][name]:
            sizes = np.linalg.svd(layer.reshape(np.prod(layer.shape[:inwards]), -1), compute_uv=False)
            assert np.median(sizes) > 0.5 * sizes[0], name
    sizes = np.linalg.svd(moved["embedding_VxD"], compute_uv=False)
    assert np.median(sizes) < 0.3 * sizes[0]


def test_muon_learns(toy, batches):
    settings = OptimizerSettings(kind="muon")
    result = losses(trainer(toy, optimizer=settings), batches)
    assert result[-1] < result[0] - 0.5
