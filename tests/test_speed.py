import types

import pytest

from linkjax.errors import UserError
from linkjax.model.flops import training_flops
from linkjax.model.sizes import SIZES
from linkjax.training.speed import Speed, Trace, parse_steps

MODEL, VOCABULARY, LENGTH = SIZES["1.3b"], 50_000, 1024


def speed(kind, count=1):
    return Speed(MODEL, VOCABULARY, LENGTH, [types.SimpleNamespace(device_kind=kind)] * count)


@pytest.mark.parametrize(
    ("kind", "peak"),
    [("TPU v5 lite", 197e12), ("TPU v5", 459e12), ("TPU v6 lite", 918e12), ("NVIDIA H100 80GB HBM3", 989e12)],
)
def test_utilisation_is_the_models_operations_over_the_peak(kind, peak):
    tokens = 0.5 * 4 * peak / training_flops(MODEL, VOCABULARY, LENGTH).total
    assert speed(kind, 4).utilisation(tokens) == pytest.approx(0.5)


def test_an_unknown_device_has_no_utilisation():
    assert speed("cpu").utilisation(1e6) is None
    assert "mfu" not in speed("cpu").measured(100, 128, 0.5, 0.1)


def test_padding_and_waiting_are_told():
    measured = speed("TPU v5").measured(96, 128, 0.5, 0.1)
    assert measured["tokens_per_second"] == 192
    assert measured["padding_share"] == 0.25
    assert measured["waiting_share"] == pytest.approx(0.2)
    assert measured["mfu"] == speed("TPU v5").utilisation(192)


@pytest.mark.parametrize("text", ["5", "5:4", "0:3", "a:b", ":", "3:"])
def test_steps_to_trace_are_two_numbers(text):
    with pytest.raises(UserError, match="write the first and the last step, as 20:25"):
        parse_steps(text)


def test_a_trace_holds_the_steps_asked_for(monkeypatch, tmp_path):
    calls = []
    monkeypatch.setattr("jax.profiler.start_trace", lambda folder: calls.append("start"))
    monkeypatch.setattr("jax.profiler.stop_trace", lambda: calls.append("stop"))
    trace = Trace("3:4", tmp_path)
    for step in range(1, 8):
        trace.before(step, ())
        calls.append(step)
    trace.close()
    assert calls == [1, 2, "start", 3, 4, "stop", 5, 6, 7]
    ended = Trace("3:10", tmp_path)
    ended.before(3, ())
    ended.close()
    assert calls[-2:] == ["start", "stop"]
