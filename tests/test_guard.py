"""Numbers that go wrong: on the device, and in what is done about them."""

import json
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from linkjax.errors import UserError
from linkjax.model.decoder import ModelSettings
from linkjax.training.guard import EVENTS, Events, Guard, GuardSettings
from linkjax.training.optimizer import OptimizerSettings
from linkjax.training.sharding import MeshSettings, make_mesh
from linkjax.training.step import Trainer

MODEL = ModelSettings(layers=1, width=16, heads=2, kv_heads=2, head_width=8, hidden=32)
ROWS, LENGTH, PIECES = 16, 32, 100


def make_trainer(devices=1, average_decay=0.0, microbatches=1, most_growth=0.0, **mesh):
    mesh = make_mesh(MeshSettings(**mesh), jax.devices()[:devices])
    optimizer = OptimizerSettings(average_decay=average_decay)
    return Trainer(MODEL, optimizer, mesh, PIECES, 1, 100, microbatches=microbatches, most_growth=most_growth)


def batch(seed):
    """Rows of random tokens, the first half of each row in one of two documents."""
    random = np.random.default_rng(seed)
    tokens_BxL, targets_BxL = random.integers(2, PIECES, (2, ROWS, LENGTH), np.int32)
    half_L = np.arange(LENGTH) % (LENGTH // 2)
    return {
        "tokens_BxL": tokens_BxL,
        "targets_BxL": targets_BxL,
        "loss_weights_BxL": random.integers(0, 2, (ROWS, LENGTH)).astype(np.float32),
        "segments_BxL": np.repeat([[1, 2]], LENGTH // 2, axis=1).repeat(ROWS, axis=0).astype(np.int32),
        "positions_BxL": np.tile(half_L, (ROWS, 1)).astype(np.int32),
        "swapped_BxL": np.zeros((ROWS, LENGTH), np.uint8),
        "component_B": np.zeros(ROWS, np.int32),
    }


def looked_at(guard, losses, skipped=None, start=1):
    """What `look` said of steps with these losses, and what it wrote."""
    written, answers = [], []
    for step, loss in enumerate(losses, start=start):
        metrics = {"loss": loss, "gradient_norm": 1.0, "skipped_steps": 0 if skipped is None else skipped[step - start]}
        row_losses = [loss, loss + 1, math.nan if math.isnan(loss) else loss + 2]
        answers.append(
            guard.look(step, metrics, row_losses, lambda: [[1], [2, 3], [2**64 - 1]],
                       lambda event, step, **about: written.append((event, step, about)))
        )  # fmt: skip
    return answers, written


def settled(count=40):
    return [2.0 + 0.01 * (step % 5) for step in range(count)]


def test_a_spike_is_written_down_with_its_documents_and_training_goes_on():
    said = []
    guard = Guard(GuardSettings(), said.append)
    answers, written = looked_at(guard, [*settled(), 3.0, *settled(5)])
    assert not any(answers)
    [(event, step, about)] = written
    assert (event, step) == ("loss spike", 41)
    assert about["loss"] == 3.0
    assert about["usual_loss"] == pytest.approx(2.02)
    assert about["rows"][0] == {"row": 2, "loss": 5.0, "documents": ["0xffffffffffffffff"]}  # the worst first
    assert about["rows"][1]["documents"] == ["0x0000000000000002", "0x0000000000000003"]
    assert "loss spike at step 41" in said[0]


def test_few_losses_are_no_measure_and_none_is_one_with_zero():
    assert looked_at(Guard(GuardSettings(), print), [*settled(20), 30.0])[1] == []
    assert looked_at(Guard(GuardSettings(spike_deviations=0.0), print), [*settled(), 30.0])[1] == []


def test_what_was_before_a_restart_counts():
    records = [{"loss": loss, "skipped_steps": 0} for loss in settled()]
    guard = Guard(GuardSettings(), print)
    guard.remember(records)
    assert len(looked_at(guard, [3.0], start=41)[1]) == 1


def test_skipped_steps_of_before_are_not_new_ones():
    """Where the line of the step before is not there, e.g. because its evaluation was left for later."""
    guard = Guard(GuardSettings(bad_gradient="stop"), print)
    guard.remember([], skipped=3)
    assert looked_at(guard, [2.0], [3])[0] == [False]
    guard.remember([{"loss": 2.0, "skipped_steps": 1}, {"step": 2}], skipped=2)
    assert looked_at(guard, [2.0], [2])[0] == [False]
    with pytest.raises(UserError, match="bad gradient"):
        looked_at(guard, [math.nan], [3])


def test_skip_goes_on_until_too_many_come_in_a_row():
    guard = Guard(GuardSettings(most_in_a_row=3), print)
    answers, written = looked_at(guard, [2.0, math.nan, 2.0, math.nan, math.nan, 2.0], [0, 1, 1, 2, 3, 3])
    assert not any(answers)
    assert [step for event, step, _ in written if event == "bad gradient"] == [2, 4, 5]
    with pytest.raises(UserError, match=r"bad gradient at step 9: loss nan, .* 3 in a row"):
        looked_at(guard, [math.nan] * 3, [4, 5, 6], start=7)


def test_stop_stops_and_says_where_to_look():
    guard = Guard(GuardSettings(bad_gradient="stop"), print)
    with pytest.raises(UserError, match=r"at step 1: .*no such gradient was applied.*linkjax.data show"):
        looked_at(guard, [math.nan], [1])


def test_rewind_asks_for_it_as_often_as_is_allowed():
    guard = Guard(GuardSettings(bad_gradient="rewind", most_rewinds=2), print)
    for _ in range(2):
        guard.remember([])
        assert looked_at(guard, [2.0, math.nan], [0, 1])[0] == [False, True]
    guard.remember([])
    with pytest.raises(UserError, match="after 2 rewinds"):
        looked_at(guard, [2.0, math.nan], [0, 1])


def test_events_are_lines_with_a_time(tmp_path):
    events = Events(tmp_path)
    events.write("loss spike", 3, loss=None)
    with (tmp_path / EVENTS).open("a") as file:
        file.write('{"event": "torn by a full di')
    events.write("rewind", 9, to=4)
    lines = (tmp_path / EVENTS).read_text().splitlines()
    first, second = json.loads(lines[0]), json.loads(lines[2])
    assert (first["event"], first["step"], first["loss"]) == ("loss spike", 3, None)
    assert second["to"] == 4
    assert second["time"].startswith("20")


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"bad_gradient": "panic"}, "choose skip, stop or rewind"),
        ({"most_growth": 0.5}, "choose more than 1, or 0"),
        ({"most_growth": math.nan}, "choose 0 or more"),
        ({"most_in_a_row": 0}, "choose 1 or more"),
    ],
)
def test_settings_are_checked(settings, says):
    with pytest.raises(UserError, match=says):
        GuardSettings(**settings)


def step(trainer, state, rows):
    return trainer.update(state, trainer.place(rows))


@pytest.fixture(scope="module")
def trained():
    """A trainer that averages and knows what norm is usual, and its state on the host."""
    trainer = make_trainer(most_growth=30.0, average_decay=0.9)
    state = trainer.initialise(0)
    for seed in range(25):
        state, metrics = step(trainer, state, batch(seed))
    assert int(metrics["skipped_steps"]) == 0
    return trainer, jax.device_get(state)


@pytest.mark.parametrize("trouble", ["nan", "inf", "explosion"])
def test_a_bad_gradient_changes_nothing_but_counts(trained, trouble):
    trainer, before = trained
    rows = batch(99)
    rows["loss_weights_BxL"] = {
        "nan": rows["loss_weights_BxL"] * np.float32(np.nan),
        "inf": np.full_like(rows["loss_weights_BxL"], np.inf),
        # Weights of both signs add up to nothing, by which the sum of the gradients is divided: it is huge.
        "explosion": np.tile(np.float32([1e3, -1e3]), (ROWS, LENGTH // 2)),
    }[trouble]
    state = jax.device_put(before, trainer.shardings)
    state, metrics = step(trainer, state, rows)
    assert int(metrics["skipped_steps"]) == 1
    assert (trouble == "explosion") == bool(np.isfinite(metrics["gradient_norm"]))
    after = jax.device_get(state)
    assert (after["step"], after["skipped"]) == (before["step"] + 1, before["skipped"] + 1)
    for name in set(before) - {"step", "skipped"}:
        jax.tree.map(np.testing.assert_array_equal, before[name], after[name])
    state, metrics = step(trainer, state, batch(100))  # and the next one is taken
    assert int(metrics["skipped_steps"]) == 1
    assert not jnp.array_equal(state["norm"], after["norm"])


def test_losses_by_row_are_those_of_the_rows_in_their_order():
    rows = batch(3)
    found = [
        jax.device_get(step(trainer, trainer.initialise(0), rows)[1]["row_losses_B"])
        for trainer in (make_trainer(), make_trainer(8, data=2, fsdp=4, microbatches=2))
    ]
    losses_BxL = jax.device_get(
        make_trainer().score(make_trainer().initialise(0)["params"], make_trainer().place(rows))[0]
    )
    weights_BxL = rows["loss_weights_BxL"]
    expected_B = (losses_BxL * weights_BxL).sum(1) / weights_BxL.sum(1)
    assert len(set(expected_B.tolist())) == len(expected_B)
    for row_losses_B in found:
        np.testing.assert_allclose(row_losses_B, expected_B, rtol=1e-5)
