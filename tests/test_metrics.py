"""The metrics of every step, once, whatever happens to the disk or to the file."""

import json
import struct

import hypothesis
import hypothesis.strategies as st
import pytest
from tensorboardX.proto.event_pb2 import Event

from linkjax.errors import UserError
from linkjax.training.metrics import JSONL, MetricsLog, read_metrics
from tests.disks import failed, failing_disk, on_read_only, on_small_disk, run_python

AGAIN = "start the same command again, it goes on from its newest checkpoint."
LOGS = """
import pathlib, sys
from linkjax.errors import errors_as_sentences
from linkjax.training.metrics import MetricsLog
folder, steps = pathlib.Path(sys.argv[1]), int(sys.argv[2])
with errors_as_sentences():
    log = MetricsLog(folder, 0)
    try:
        for step in range(1, steps + 1):
            log.write(step, {"loss": 1 / step, **{f"loss/{name}": step / 7 for name in range(40)}})
            if step % 100 == 0:
                log.sync()
    finally:
        log.close()
print("all written")
"""


def write(folder, steps, last=0):
    log = MetricsLog(folder, last)
    for step in range(last + 1, steps + 1):
        log.write(step, {"loss": 1 / step, "count": step, "none": float("nan")})
    log.close()


def steps(folder):
    return [record["step"] for record in read_metrics(folder)]


def on_board(folder):
    """(step, tag, value) of every number in TensorBoard's file, which is in TFRecord format."""
    (path,) = (folder / "tensorboard").iterdir()
    data, found = path.read_bytes(), []
    while data:
        (length,) = struct.unpack("<Q", data[:8])
        event = Event.FromString(data[12 : 12 + length])
        found += [(event.step, value.tag, value.simple_value) for value in event.summary.value]
        data = data[16 + length :]
    return found


def test_cut_back_to_a_step_it_goes_on_from_there(tmp_path, capfd):
    write(tmp_path, 9)
    before = (tmp_path / JSONL).read_bytes()
    write(tmp_path, 6, last=4)
    assert steps(tmp_path) == [1, 2, 3, 4, 5, 6]
    assert before.startswith((tmp_path / JSONL).read_bytes())
    assert read_metrics(tmp_path)[4] == {"step": 5, "loss": 0.2, "count": 5, "none": None}
    assert [(step, value) for step, tag, value in on_board(tmp_path) if tag == "count"] == [(s, s) for s in range(1, 7)]
    assert {tag for _, tag, _ in on_board(tmp_path)} == {"loss", "count"}
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("left", range(0, 60, 7))
def test_a_line_that_a_crash_cut_off_is_harmless(tmp_path, left, capfd):
    write(tmp_path, 5)
    path = tmp_path / JSONL
    whole = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(whole[:4]) + whole[4][:left])
    seen = 5 if left >= len(whole[4]) - 1 else 4
    assert steps(tmp_path) == list(range(1, seen + 1))
    write(tmp_path, 6, last=4)
    assert steps(tmp_path) == [1, 2, 3, 4, 5, 6]
    assert capfd.readouterr().err == ""


def test_a_last_line_without_its_end_is_whole(tmp_path):
    write(tmp_path, 3)
    path = tmp_path / JSONL
    path.write_bytes(path.read_bytes()[:-1])
    write(tmp_path, 4, last=3)
    assert steps(tmp_path) == [1, 2, 3, 4]


@pytest.mark.parametrize(
    "damage",
    [
        b"  ",
        b"\0\0\0\0",
        b"{}",
        b"[3]",
        b'{"step": "3"}',
        b'{"step": 2}',
        b"\xff\xfe",
        b"[" * 200_000,
        b'{"step": 3',
        b'{"step": 3, "loss": "low"}',
        b'{"step": 3, "loss": 1' + b"0" * 400 + b"}",
        b" " * (3 << 20),
    ],
    ids=lambda damage: repr(damage[:12]),
)
def test_a_damaged_line_is_named_and_the_rest_kept(tmp_path, damage, capfd):
    write(tmp_path, 5)
    path = tmp_path / JSONL
    lines = path.read_bytes().splitlines()
    path.write_bytes(b"\n".join([*lines[:2], damage, *lines[3:]]) + b"\n")
    as_it_was = path.read_bytes()
    with pytest.raises(UserError, match="line 3 is not a step after the one before"):
        read_metrics(tmp_path)
    write(tmp_path, 6, last=5)
    assert steps(tmp_path) == [1, 2, 4, 5, 6]
    said = capfd.readouterr().err
    assert "was damaged (line 3)" in said and "lacks 1 of the 5 steps before, the first is 3" in said
    (copy,) = tmp_path.glob("metrics.jsonl.broken-*")
    assert copy.read_bytes() == as_it_was


@hypothesis.given(noise=st.binary(max_size=40), place=st.integers(0, 400), last=st.integers(0, 6))
@hypothesis.settings(max_examples=150)
def test_whatever_is_in_the_file_the_steps_after_a_checkpoint_are_written_once(tmp_path_factory, noise, place, last):
    folder = tmp_path_factory.mktemp("noise")
    path = folder / JSONL
    text = "".join(json.dumps({"step": step, "loss": 1 / step}) + "\n" for step in range(1, 7)).encode()
    path.write_bytes(text[:place] + noise + text[place:])
    write(folder, 9, last)
    found = steps(folder)
    assert found == sorted(set(found)) and found[-(9 - last) :] == list(range(last + 1, 10))


def test_a_file_that_is_gone_or_another_stops_the_run(tmp_path):
    log = MetricsLog(tmp_path, 0)
    log.write(1, {"loss": 1.0})
    (tmp_path / JSONL).rename(tmp_path / "elsewhere")
    with pytest.raises(UserError, match=r"put its folder back and start the same command again"):
        log.write(2, {"loss": 1.0})
    MetricsLog(tmp_path, 0).close()
    with pytest.raises(UserError, match="another file is in its place"):
        log.write(2, {"loss": 1.0})
    log.close()
    assert len((tmp_path / "elsewhere").read_text().splitlines()) == 1


def test_a_full_disk_is_one_sentence_and_the_steps_before_are_whole(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    done = on_small_disk(folder, "1m", ["-c", LOGS, folder, 4000], keep="metrics.jsonl")
    assert done.returncode == 2, done.stderr
    said = done.stderr.splitlines()
    assert (
        said[-1] == f"error: {folder}/metrics.jsonl cannot be written (No space left on device): make room and {AGAIN}"
    )
    assert all(line.startswith("warning: ") and "TensorBoard" in line for line in said[:-1]) and len(said) <= 2
    found = steps(tmp_path / "run.kept")
    assert found == list(range(1, len(found) + 1)) and len(found) > 100


def test_a_read_only_folder_is_one_sentence(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    write(folder, 3)
    done = on_read_only(folder, ["-c", LOGS, folder, 5])
    assert done.returncode == 2
    reason = "Read-only file system"
    assert done.stderr == (
        f"error: {folder}/metrics.jsonl cannot be written ({reason}): make its folder writable and {AGAIN}\n"
    )
    assert steps(folder) == [1, 2, 3]


def test_without_room_for_tensorboard_the_run_goes_on(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    environment = failing_disk(tmp_path, "tfevents", 10**6, "write")
    done = run_python(["-c", LOGS, folder, 500], environment)
    assert done.returncode == 0 and done.stdout == "all written\n"
    assert failed(tmp_path) > 0
    assert done.stderr == (
        f"warning: {folder}/tensorboard cannot be written (Input/output error): the run goes on without TensorBoard's"
        " files, metrics.jsonl has the same numbers\n"
    )
    assert steps(folder) == list(range(1, 501))


@pytest.mark.parametrize(("call", "says"), [("write", "Input/output error"), ("fsync", "Input/output error")])
def test_a_disk_that_fails_is_one_sentence(tmp_path, call, says):
    folder = tmp_path / "run"
    folder.mkdir()
    done = run_python(["-c", LOGS, folder, 500], failing_disk(tmp_path, JSONL, 1, call))
    assert done.returncode == 2
    assert done.stderr == f"error: {folder}/metrics.jsonl cannot be written ({says}): see to its disk and {AGAIN}\n"


def test_a_partial_write_is_finished(tmp_path, monkeypatch):
    log = MetricsLog(tmp_path, 0)
    real = log._file

    class Slow:
        def write(self, data):
            return real.write(data[:5])

        def __getattr__(self, name):
            return getattr(real, name)

    log._file = Slow()
    for step in range(1, 4):
        log.write(step, {"loss": 1.0})
    log.close()
    assert steps(tmp_path) == [1, 2, 3]
