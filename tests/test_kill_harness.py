"""Runs that are killed at random moments end as the one that was not; and the comparison sees what it should."""

import copy
import dataclasses
import importlib.util
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from tests.disks import plain_environment

ROOT = pathlib.Path(__file__).parent.parent
SMALL = ["--config.world.subjects=80", "--config.model.layers=1", "--config.model.width=16", "--config.model.heads=1",
         "--config.model.kv_heads=1", "--config.model.hidden=16"]  # fmt: skip


def load(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / f"tools/{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


outcomes = load("run_outcome")


def harness(folder, toy_folder, *options):
    options = [f"--folder={folder}", f"--config.data={toy_folder}", *SMALL, *options]
    return subprocess.Popen(
        [sys.executable, "tools/kill_harness.py", *options],
        cwd=ROOT, env=plain_environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def run(tmp_path, toy_folder, *options, limit):
    process = harness(tmp_path / "kills", toy_folder, f"--config.compilation_cache={tmp_path}/programs", *options)
    try:
        out, said = process.communicate(timeout=limit)
    finally:
        process.kill()
    assert process.returncode == 0, out + said
    assert not (tmp_path / "kills").exists()
    return json.loads(out.splitlines()[-1])


def test_five_killed_runs(tmp_path, toy_folder):
    result = run(
        tmp_path, toy_folder, "--trials=5", "--kills=1", "--steps=15", "--jobs=2", "--signals=KILL,TERM", limit=300
    )
    assert (result["trials"], result["bitwise_equal"], result["failed"]) == (5, 5, 0)
    assert result["restarts"] >= result["from_a_checkpoint"] >= 2
    assert sum(result["kills"].values()) == sum(result["signals"].values()) >= 5


@pytest.mark.slow
def test_thirty_killed_runs(tmp_path, toy_folder):
    result = run(tmp_path, toy_folder, "--trials=30", "--seed=1", "--config.workers=1", limit=3000)
    assert (result["trials"], result["bitwise_equal"], result["failed"]) == (30, 30, 0)
    assert result["from_a_checkpoint"] >= 20
    assert all(count for count in result["kills"].values()), result["kills"]


def outcome():
    metrics = [{"step": step, "loss": 1 / step, "tokens_per_second": 100.0} for step in range(1, 6)]
    return outcomes.Outcome(
        arrays={"['params']['w']": np.arange(6, dtype=np.float32), "['step']": np.int32(5)},
        position={"0": "17"},
        metrics=metrics,
        summary={"loss": 0.2, "compile_seconds": 3.0},
        items=b"{}\n",
    )


def test_the_same_run_differs_in_timings_at_most():
    other = outcome()
    other.metrics[2]["tokens_per_second"] = 3.0
    other.summary["compile_seconds"] = 0.1
    assert outcomes.differences(outcome(), other) == []
    nan = dataclasses.replace(outcome(), arrays={"w": np.array([np.nan])})
    assert outcomes.differences(nan, copy.deepcopy(nan)) == []


def one_bit(run):
    run.arrays["['params']['w']"].view(np.uint8)[9] ^= 1


def negative_zero(run):
    run.arrays["['params']['w']"][0] = -0.0


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (one_bit, "['params']['w'] is not bitwise equal"),
        (negative_zero, "['params']['w'] is not bitwise equal"),
        (lambda run: run.arrays.update({"['step']": np.int64(5)}), "['step'] is not bitwise equal"),
        (lambda run: run.arrays.pop("['step']"), "['step'] is in one checkpoint only"),
        (lambda run: run.metrics.pop(2), "every step once and in order: [3]"),
        (lambda run: run.metrics.pop(), "every step once and in order: [5]"),
        (lambda run: run.metrics.append(run.metrics[-1]), "every step once and in order: [5]"),
        (lambda run: run.metrics.append({"step": 6}), "every step once and in order: [6]"),
        (lambda run: run.metrics.reverse(), "every step once and in order"),
        (lambda run: run.metrics[3].update(loss=0.3), "metrics of step 4 differ: loss"),
        (lambda run: run.metrics[3].pop("loss"), "metrics of step 4 differ: loss"),
        (lambda run: run.summary.update(loss=0.3), "summary.json differs: loss"),
        (lambda run: run.position.update({"0": "18"}), "the data's position differs"),
    ],
)
def test_a_difference_is_seen(change, says):
    other = outcome()
    change(other)
    assert any(says in found for found in outcomes.differences(outcome(), other))


def test_stopped_it_leaves_no_process(tmp_path, toy_folder):
    mark = f"--workdir={tmp_path}/kills"

    def running():
        lines = (path.read_bytes() for path in pathlib.Path("/proc").glob("[0-9]*/cmdline") if os.access(path, os.R_OK))
        return sum(mark.encode() in line for line in lines)

    process = harness(tmp_path / "kills", toy_folder, "--trials=1", "--steps=1000000")
    deadline = time.time() + 100
    while not running() and time.time() < deadline:
        time.sleep(0.05)
    assert running()
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=100)
    assert process.returncode == 1 and "Traceback" not in said
    assert not running()
