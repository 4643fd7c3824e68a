"""When checkpoints are written, and which of them stay."""

import math

import hypothesis
import hypothesis.strategies as st
import pytest

from linkjax.errors import UserError
from linkjax.training.keeping import Keep, Saved, SavingClock


@pytest.mark.parametrize(
    ("keep", "stay"),
    [
        (Keep(newest=1), {50}),
        (Keep(newest=3), {30, 40, 50}),
        (Keep(newest=9), {10, 20, 30, 40, 50}),
        (Keep(newest=1, every=20), {20, 40, 50}),
        (Keep(newest=1, best="bits_per_byte/sw"), {20, 50}),  # the lowest
        (Keep(newest=1, best="fact_accuracy/target"), {30, 50}),  # the highest
        (Keep(newest=2, every=10, best="fact_accuracy/target"), {10, 20, 30, 40, 50}),
        (Keep(newest=1, best="nothing"), {50}),
    ],
    ids=str,
)
def test_which_stay(keep, stay):
    scores = {10: (1.9, 0.2), 20: (1.5, 0.1), 30: (1.6, 0.9), 40: None, 50: (1.7, 0.3)}
    names = ("bits_per_byte/sw", "fact_accuracy/target")
    checkpoints = [
        Saved(step, dict(zip(names, score, strict=True)) if score else None) for step, score in scores.items()
    ]
    assert keep.of(checkpoints) == stay


@hypothesis.given(
    st.sets(st.integers(0, 200), min_size=1), st.integers(1, 5), st.integers(0, 30), st.sampled_from(["", "loss"]),
    st.lists(st.none() | st.floats(0, 9), min_size=201, max_size=201),
)  # fmt: skip
def test_removing_as_they_come_leaves_what_was_promised(steps, newest, every, best, losses):
    """The folder after every save: the newest, every M-th, and the best of all that ever were."""
    keep, there = Keep(newest, every, best), []
    for step in sorted(steps):
        there.append(Saved(step, None if losses[step] is None else {"loss": losses[step]}))
        stay = keep.of(there)
        there = [one for one in there if one.step in stay]
    seen = sorted(steps)
    left = {one.step for one in there}
    assert set(seen[-newest:]) <= left
    assert not every or {step for step in seen if step % every == 0} <= left
    measured = [losses[step] for step in seen if losses[step] is not None]
    assert not (best and measured) or min(measured) in [losses[step] for step in left]
    assert every or len(left) <= newest + bool(best)


def test_what_is_no_number_is_not_the_best():
    scores = {10: math.nan, 20: 1.0, 30: None, 40: 2.0}
    assert Keep(1, best="loss").of([Saved(step, {"loss": score}) for step, score in scores.items()]) == {20, 40}


def test_a_metric_that_is_not_measured_is_refused():
    Keep(best="loss").check_metric({"loss": 1.0})
    Keep().check_metric({})
    with pytest.raises(UserError, match="keep_best is 'los', which is not measured: choose one of loss"):
        Keep(best="los").check_metric({"loss": 1.0})


def test_by_the_minutes():
    now = [100.0]
    clock, never = SavingClock(2.0, lambda: now[0]), SavingClock(0.0, lambda: now[0])
    assert not clock.due()
    now[0] += 119
    assert not clock.due()
    now[0] += 1
    assert clock.due()
    assert not never.due()
