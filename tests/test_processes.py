"""Real processes that train together: the batches and losses of one process, and one end for all."""

import contextlib
import dataclasses
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time

import jax
import numpy as np
import pytest

from linkjax import generate, probe
from linkjax.config import load_config
from linkjax.data.pipeline import Stream
from linkjax.errors import UserError
from linkjax.train import train
from linkjax.training import processes, sharding
from linkjax.training.checkpoints import Checkpoints
from linkjax.training.metrics import read_metrics
from tests.global_batches import BATCHES, SETTINGS, digest, make_trainer

ROOT = pathlib.Path(__file__).parent.parent
DEVICES = 4  # of all processes together
TIMES = ("tokens_per_second", "waiting_share", "compile_seconds")
SIZES = {"world.subjects": 80, "steps": 24, "checkpoint_every": 4, "eval_every": 24, "model.layers": 1}


@contextlib.contextmanager
def together(folder, count, command, *arguments, environment=lambda port, count, index: {}):
    """Starts `count` processes of `command`, and leaves none behind.

    Yields (process, path of what it says) of each.
    """
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    where = f"localhost:{port}"
    flags = f"--xla_force_host_platform_device_count={DEVICES // count} --xla_llvm_disable_expensive_passes=true"
    started = []
    try:
        for index in range(count):
            said = folder / f"said.{count}.{index}"
            with said.open("w") as file:
                process = subprocess.Popen(
                    [sys.executable, *map(str, command(where, count, index)), *map(str, arguments)], cwd=ROOT,
                    env={**os.environ, "JAX_PLATFORMS": "cpu", "XLA_FLAGS": flags, "PYTHONPATH": str(ROOT),
                         **environment(port, count, index)},
                    stdout=file, stderr=subprocess.STDOUT,
                )  # fmt: skip
            started.append((process, said))
        yield started
    finally:
        for process, _ in started:
            process.kill()
            process.wait()


def verb(name):
    return lambda where, count, index: [
        "-m", f"linkjax.{name}", *(f"--coordinator={where}", f"--processes={count}", f"--process={index}")
    ]  # fmt: skip


def finish(started, code=0):
    """Waits for all and returns what they said."""
    deadline = time.time() + 150
    for process, said in started:
        assert process.wait(max(deadline - time.time(), 1)) == code, said.read_text()
    return [said.read_text() for _, said in started]


def observed(folder, count, prepared, states, *meshes):
    """What `tests/global_batches.py` sees in each of `count` processes, for each mesh."""
    out = folder / f"observed.{count}.json"
    arguments = [prepared, json.dumps(states), out, *map(json.dumps, meshes)]

    def command(where, count, index):
        return ["tests/global_batches.py", where, count, index]

    with together(folder, count, command, *arguments) as started:
        finish(started)
    return json.loads(out.read_text())


def test_batches_and_losses_are_those_of_one_process_and_go_on_with_another_number(tmp_path, toy, toy_folder):
    with contextlib.closing(Stream(toy, SETTINGS)) as stream:
        batches = [next(stream) for _ in range(2 * BATCHES)]
    hashes = [digest(batch) for batch in batches]
    one = make_trainer(toy, {})
    state, losses = one.initialise(0), []
    for batch in batches[:BATCHES]:
        state, metrics = one.update(state, one.place(batch))
        losses.append(float(metrics["loss"]))

    def check(of_all, part, blocks):
        for seen, expected in zip(zip(*of_all, strict=True), blocks, strict=True):
            assert [tuple(one_sees["block"][:2]) for one_sees in seen] == expected
            for one_sees in seen:
                assert one_sees["hashes"] == hashes[part]

    by_two = observed(tmp_path, 2, toy_folder, {}, {"data": 4}, {"tensor": 4, "data": 1, "train": True})
    check(by_two, slice(BATCHES), [[(0, 2), (1, 2)], [(0, 1), (0, 1)]])
    for seen in by_two:
        np.testing.assert_allclose(seen[1]["losses"], losses, rtol=2e-6)
    meshes = [{"fsdp": 2, "data": 2}, {"tensor": 2, "data": 2}, {"sequence": 2, "tensor": 2, "data": 1}]
    by_four = observed(tmp_path, 4, toy_folder, by_two[0][0]["states"], *meshes)
    pairs, all_the_same = [(0, 2), (0, 2), (1, 2), (1, 2)], [(0, 1)] * 4
    check(by_four, slice(BATCHES, None), [[(0, 4), (1, 4), (2, 4), (3, 4)], pairs, all_the_same])


@pytest.fixture(scope="module")
def whole_run(tmp_path_factory, toy_folder):
    """The run in one process, from beginning to end."""
    config = load_config(str(ROOT / "configs/base.py") + ":cpu")
    config.update_from_flattened_dict({**SIZES, "data": str(toy_folder)})
    workdir = tmp_path_factory.mktemp("one") / "run"
    return workdir, train(config, workdir)


def arguments(toy_folder, workdir, **more):
    settings = {**SIZES, "data": toy_folder, **more}
    keys = [f"--config.{name}={value}" for name, value in settings.items()]
    return ["--config=configs/base.py:cpu", f"--workdir={workdir}", *keys]


def numbers(record):
    return {name: value for name, value in record.items() if name not in TIMES and value is not None}


def test_killed_and_resumed_on_two_one_and_four_processes_it_is_the_same_run(tmp_path, toy_folder, whole_run):
    """Two that are asked to leave, of which one hears of it; one that is killed; four to the end."""
    workdir = tmp_path / "run"
    by_minutes = arguments(toy_folder, workdir, checkpoint_every=1000, checkpoint_minutes=1e-6)
    for count, until, given in [(2, 6, by_minutes), (1, 14, arguments(toy_folder, workdir))]:
        with together(tmp_path, count, verb("train"), *given) as started:
            deadline = time.time() + 120
            while len(read_metrics(workdir)) < until and time.time() < deadline:
                assert all(process.poll() is None for process, _ in started), started[0][1].read_text()
                time.sleep(0.01)
            if count == 2:
                started[1][0].send_signal(signal.SIGTERM)
                said = finish(started, code=75)
                left = len(read_metrics(workdir))
                assert f"stopped at step {left} of 24" in said[0]
                checkpoints = Checkpoints(workdir / "checkpoints").steps()
                assert checkpoints[-1] == left
                assert len(checkpoints) == 2  # the other by the minutes
        assert until <= len(read_metrics(workdir)) < SIZES["steps"]
    with together(tmp_path, 4, verb("train"), *arguments(toy_folder, workdir)) as started:
        said = finish(started)
    assert left <= int(said[0].partition("going on from step ")[2].partition(" of 24")[0]) <= 16
    assert "fact_accuracy" in said[0]
    assert not any("fact_accuracy" in text or "going on" in text for text in said[1:])
    whole, summary = whole_run
    for name in ("metrics.jsonl", "items.jsonl", "config.json"):
        assert (workdir / name).is_file()
    assert len(list((workdir / "tensorboard").iterdir())) == 1
    expected, found = read_metrics(whole), read_metrics(workdir)
    assert [record["step"] for record in found] == list(range(1, 25))
    for one, other in zip(expected, found, strict=True):
        assert numbers(other) == pytest.approx(numbers(one), rel=1e-4, abs=1e-6)  # the order of sums differs
    counts = [name for name in expected[-1] if name.partition("/")[0] in ("tokens", "source_bytes", "link", "passes")]
    assert len(counts) > 8
    for name in ["padding_share", "swapped_token_share", *counts]:
        assert expected[-1][name] == found[-1][name]
    written = json.loads((workdir / "summary.json").read_text())
    assert written["loss"] == pytest.approx(summary["loss"], rel=1e-5)

    out = tmp_path / "results.json"
    with together(tmp_path, 2, verb("evaluate"), f"--checkpoint={workdir}", f"--data={toy_folder}", f"--out={out}") as (
        started
    ):
        said = finish(started)
    assert ["fact_accuracy" in text for text in said] == [True, False]
    results = json.loads(out.read_text())
    for name in ("bits_per_byte/qaa", "fact_accuracy/english"):
        assert results[name] == pytest.approx(written[name], rel=1e-5)


def test_what_ends_one_process_ends_all(tmp_path):
    """The first one fails to prepare while the other waits for it."""
    mistake = ["--config=configs/base.py:cpu", "--config.lexicon=nowhere.tsv", f"--workdir={tmp_path}/run"]
    with together(tmp_path, 2, verb("train"), *mistake) as started:
        said = finish(started, code=2)
    assert "error: nowhere.tsv cannot be read" in said[0]
    assert "process 1 ends with process 0." in said[1]
    assert "Traceback" not in said[0] + said[1]
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (("node:1", "2", ""), "need --process too"),
        (("", "", "0"), "need --coordinator and --processes too"),
        (("node", "2", "0"), "--coordinator=node is not HOST:PORT"),
        (("node:http", "2", "0"), "is not HOST:PORT"),
        (("node:99999", "2", "0"), "is not HOST:PORT"),
        (("node:1", "two", "0"), "are numbers"),
        (("node:1", "2", "2"), "choose one from 0 to 1"),
        (("node:1", "0", "0"), "--process=0 of --processes=0"),
    ],
    ids=str,
)
def test_contradictory_flags_are_refused(flags, says):
    with pytest.raises(UserError, match=says), processes.joined(*flags):
        pass


@pytest.mark.parametrize(
    ("flag", "environment", "says"),
    [
        ("--processes=2", {}, "error: several processes need --coordinator and --process too"),
        ("--processes=", {"SLURM_STEP_NUM_TASKS": "2"}, "error: this process could not join the others"),
    ],
)
def test_what_cannot_be_joined_is_a_sentence(flag, environment, says):
    done = subprocess.run(
        [sys.executable, "-m", "linkjax.train", "--config=configs/base.py:cpu", flag],
        cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith(says)
    assert "Traceback" not in done.stderr


def test_waiting_for_processes_that_do_not_come_ends_with_a_sentence():
    program = """
from linkjax.training import processes
processes._PATIENCE = 2.0
with processes.joined("localhost:1", "2", "1"):
    print("joined")
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("error: the other processes were not at localhost:1 within 2 s")
    assert len(done.stderr.splitlines()) == 1


SLURM = {"SLURM_JOB_ID": "7", "SLURM_NTASKS": "4", "SLURM_PROCID": "0", "SLURM_LOCALID": "0"}


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, None),
        (SLURM, None),  # in a batch script or an allocation's shell
        ({**SLURM, "SLURM_STEP_NODELIST": "n1", "SLURM_STEP_NUM_TASKS": "1"}, None),  # in a shell that is a step
        (
            {**SLURM, "SLURM_STEP_NODELIST": "n[1-4]", "SLURM_STEP_NUM_TASKS": "4"},
            {"num_processes": 4, "cluster_detection_method": "slurm"},
        ),
        (
            {"OMPI_COMM_WORLD_SIZE": "2", "OMPI_MCA_orte_hnp_uri": "4096.0;tcp://10.0.0.1:3"},
            {"cluster_detection_method": "ompi"},
        ),
        ({"OMPI_COMM_WORLD_SIZE": "1"}, None),
    ],
    ids=str,
)
def test_only_what_was_started_together_is_joined_unasked(monkeypatch, environment, expected):
    for name in list(os.environ):
        if name.startswith(("SLURM_", "OMPI_")):
            monkeypatch.delenv(name)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert processes._from_environment() == expected


def slurm(port, count, index):
    return {
        "SLURM_JOB_ID": "7", "SLURM_STEP_NODELIST": "localhost", "SLURM_NTASKS": str(count),
        "SLURM_STEP_NUM_TASKS": str(count), "SLURM_PROCID": str(index), "SLURM_LOCALID": str(index),
        "JAX_COORDINATOR_PORT": str(port),
    }  # fmt: skip


def open_mpi(port, count, index):
    return {
        "OMPI_MCA_orte_hnp_uri": "4096.0;tcp://127.0.0.1:1", "OMPI_COMM_WORLD_SIZE": str(count),
        "OMPI_COMM_WORLD_RANK": str(index), "OMPI_COMM_WORLD_LOCAL_RANK": str(index),
        "JAX_COORDINATOR_PORT": str(port),
    }  # fmt: skip


@pytest.mark.parametrize("launcher", [slurm, open_mpi])
def test_processes_of_a_launcher_find_each_other(tmp_path, launcher):
    program = """
from linkjax.training.processes import gather, joined
with joined("", "", ""):
    import jax
    print(gather(jax.process_index()), jax.device_count())
"""
    with together(tmp_path, 2, lambda *_: ["-c", program], environment=launcher) as started:
        said = finish(started)
    assert all(f"[0, 1] {DEVICES}" in text for text in said), said


def test_an_mpirun_that_does_not_say_where_is_refused(monkeypatch):
    monkeypatch.setenv("OMPI_COMM_WORLD_SIZE", "2")
    monkeypatch.delenv("OMPI_MCA_orte_hnp_uri", raising=False)
    with pytest.raises(UserError, match="mpirun started several processes"), processes.joined("", "", ""):
        pass


@pytest.mark.parametrize("environment", [slurm(1, 2, 0), open_mpi(1, 2, 0), {"OMPI_COMM_WORLD_SIZE": "2"}])
def test_what_one_process_does_is_refused_to_several(monkeypatch, environment):
    processes.check_alone("linkjax.generate")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    sampled = {"temperature": "0", "top_k": "0", "top_p": "1", "tokens": "1", "seed": "0"}
    with pytest.raises(UserError, match=r"linkjax\.generate runs in one process, and several were started"):
        generate.run(checkpoint="run", prompt="", prompts="", **sampled)
    with pytest.raises(UserError, match=r"linkjax\.probe runs in one process, and several were started"):
        probe.run(checkpoint="run", data="", parallel="", out="")


@pytest.mark.parametrize(
    ("mesh", "process_of_device", "expected"),
    [
        ({"data": 4}, [0, 0, 1, 1], [(0, 2), (1, 2)]),
        ({"data": 4}, [1, 1, 0, 0], [(1, 2), (0, 2)]),
        ({"data": 4}, [0, 1, 1, 0], [(0, 2), (1, 2)]),  # as on a torus: a process's rows lie apart
        ({"tensor": 4}, [0, 0, 1, 1], [(0, 1), (0, 1)]),
        ({"fsdp": 2, "tensor": 4}, [0, 0, 1, 1, 2, 2, 3, 3], [(0, 2), (0, 2), (1, 2), (1, 2)]),
        ({"slice": 2, "sequence": 2}, [0, 1, 2, 3], [(0, 2), (0, 2), (1, 2), (1, 2)]),
    ],
    ids=str,
)
def test_processes_that_share_rows_read_the_same_block(mesh, process_of_device, expected):
    shape = [mesh.get(axis, 1) for axis in sharding.AXES]
    processes_of = np.array(process_of_device).reshape(shape)
    blocks = [sharding._block_of(processes_of, process) for process in range(len(expected))]
    assert [(block.index, block.count) for block in blocks] == expected


@pytest.mark.parametrize("processes", [[0, 0, 1, 1], [0, 1, 1, 0], [1, 0, 0, 1], [0, 1, 0, 1]])
def test_what_is_known_of_rows_finds_its_row_where_a_processs_rows_lie_apart(processes):
    """As `jax.make_array_from_process_local_data` places them: a process's rows, in order, on its own parts."""
    mesh = sharding.make_mesh(sharding.MeshSettings(), jax.devices()[:4])
    rows = np.arange(8)
    found = []
    for process in range(2):
        own = [part for part, of in enumerate(processes) if of == process]
        local = np.concatenate([rows[2 * part : 2 * part + 2] for part in own]).tolist()
        block = sharding._block_of(np.array(processes).reshape(mesh.devices.shape), process)
        found.append([list(block.parts), local])
    assert sharding.in_order(found) == rows.tolist()


@dataclasses.dataclass(frozen=True)
class OfANode:
    """A GPU as JAX describes it."""

    id: int
    platform: str = "gpu"

    @property
    def slice_index(self):
        return self.id // 4


def test_nodes_of_gpus_need_no_slices():
    """JAX calls each of them one."""
    devices = [OfANode(place) for place in (*range(4, 8), *range(4))]
    for settings in ({}, {"slice": 2}, {"data": 1, "fsdp": 0}):
        mesh = sharding.make_mesh(sharding.MeshSettings(**settings), devices)
        assert [device.id for device in mesh.devices.flat] == [*range(8)]


def test_rows_that_overlap_without_being_the_same_are_refused():
    process_of_device = np.repeat([0, 1, 2], 4).reshape(1, 2, 1, 1, 6)
    with pytest.raises(UserError, match=r"across the\s+borders of the 3 processes"):
        sharding._block_of(process_of_device, 0)


def test_one_process_is_the_first_and_gathers_itself():
    assert processes.first()
    assert processes.gather({"a": 1}) == [{"a": 1}]
    assert processes.on_first(lambda: 3) == 3
    assert sharding.row_block(sharding.make_mesh(sharding.MeshSettings(), jax.devices())) == (0, 1, tuple(range(8)))
