"""Processes that read: they outlive signals, are replaced where they were killed, and end with their parent."""

import contextlib
import dataclasses
import importlib
import multiprocessing
import os
import pathlib
import pickle
import signal
import subprocess
import sys
import time

import pytest

from linkjax.data.pipeline import Stream
from linkjax.data.worker import Killed, Worker, dump_stacks
from linkjax.errors import UserError
from tests.conftest import ROOT
from tests.test_stream import same, take


@pytest.mark.parametrize(("workers", "length"), [(1, 64), (2, 64), (2, 4096)])
def test_the_batches_go_on_where_a_worker_was_killed(toy, stream_settings, capsys, workers, length):
    """Blocks of 4096 tokens a row are larger than a pipe: the worker dies in the middle of one."""
    settings = dataclasses.replace(stream_settings, sequence_length=length, packing="concatenate")
    expected, states = take(toy, settings, 12)
    with contextlib.closing(Stream(toy, settings, workers=workers)) as stream:
        batches = []
        for step in range(12):
            if step in (0, 1, 6):
                if step:
                    time.sleep(0.5)  # it has read ahead what it may
                multiprocessing.active_children()[0].kill()
            batches.append(next(stream))
        assert stream.states == states
    assert same(batches, expected)
    said = capsys.readouterr().err.splitlines()
    assert [line.rpartition(" ")[0].rpartition(" ")[0].rpartition(", ")[2] for line in said] == ["1", "2", "3"]
    assert all(
        "was killed (signal 9), perhaps for want of memory: another one goes on in its place" in line for line in said
    )


def test_what_is_killed_again_and_again_is_a_sentence(toy, stream_settings):
    with (
        pytest.raises(UserError, match=r"a process that reads data was killed .* after 3 others: start the same"),
        contextlib.closing(Stream(toy, stream_settings, workers=1)) as stream,
    ):
        for _ in range(1000):
            for worker in multiprocessing.active_children():
                worker.kill()
            next(stream)


READ_ON = """
import contextlib, hashlib, pathlib, pickle, signal, sys
from linkjax.data.pipeline import Stream
from linkjax.data.prepared import Prepared

if __name__ == "__main__":
    for one in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
        signal.signal(one, lambda *_: None)
    prepared, settings = Prepared(pathlib.Path(sys.argv[1])), pickle.loads(bytes.fromhex(sys.argv[2]))
    with contextlib.closing(Stream(prepared, settings, workers=2)) as stream:
        print("begun", flush=True)
        for _ in range(2):
            digest = hashlib.sha256()
            for _ in range(40):
                batch = next(stream)
                digest.update(b"".join(batch[name].tobytes() for name in sorted(batch)))
            print(digest.hexdigest(), flush=True)
            sys.stdin.readline()
"""


def test_signals_to_the_whole_job_do_not_stop_its_workers(toy_folder, stream_settings, tmp_path):
    program = tmp_path / "program.py"
    program.write_text(READ_ON)
    arguments = [sys.executable, program, toy_folder, pickle.dumps(stream_settings).hex()]
    found = []
    for disturbed in (False, True):
        with subprocess.Popen(
            arguments,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            start_new_session=True,
        ) as parent:

            def disturb(parent=parent, disturbed=disturbed):
                for one in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1) if disturbed else ():
                    os.killpg(parent.pid, one)

            assert parent.stdout.readline() == "begun\n"
            for _ in range(4):  # while the workers start
                disturb()
                time.sleep(0.1)
            hashes = [parent.stdout.readline()]
            disturb()
            parent.stdin.write("\n")
            parent.stdin.flush()
            hashes.append(parent.stdout.readline())
            _, said = parent.communicate("\n", timeout=30)
            assert (parent.returncode, said) == (0, "")
            found.append(hashes)
        wait_until_gone(parent.pid)
    assert found[0] == found[1]
    assert len(found[0][0]) == 65


def wait_until_gone(group):
    deadline = time.time() + 20
    with contextlib.suppress(ProcessLookupError):
        while time.time() < deadline:
            os.killpg(group, 0)
            time.sleep(0.05)
        pytest.fail("processes are left")


def test_workers_say_where_they_are(toy, stream_settings, capfd):
    with contextlib.closing(Stream(toy, stream_settings, workers=2)) as stream:
        dump_stacks()  # before they can
        batches = [next(stream)]
        dump_stacks()
        deadline, said = time.time() + 20, ""
        while min(said.count("in _send"), said.count("in _read")) < 2 and time.time() < deadline:
            time.sleep(0.5)
            said += capfd.readouterr().err
            dump_stacks()  # lines of two that write at once may be mixed up
        batches.append(next(stream))
    assert min(said.count("in _send"), said.count("in _read")) >= 2  # of each worker
    assert same(batches, take(toy, stream_settings, 2)[0])
    dump_stacks()  # of none


ITEMS = """
class Items:
    def __init__(self, error=None, *arguments):
        self.error, self.arguments = error, arguments

    def __iter__(self):
        yield from range(10)
        if self.error:
            raise self.error(*self.arguments)


class Unpicklable(Exception):
    def __init__(self, one, two):
        super().__init__(one)
"""


@pytest.fixture
def items(tmp_path, monkeypatch):
    """A module that workers can import, which this one is not: it uses JAX."""
    (tmp_path / "things_to_read.py").write_text(ITEMS)
    monkeypatch.syspath_prepend(tmp_path)
    yield importlib.import_module("things_to_read")
    del sys.modules["things_to_read"]


def test_a_worker_gives_what_it_reads_and_raises_what_it_raises(items):
    assert list(Worker(items.Items(), 2)) == list(range(10))
    for expected, *error in ((ValueError, ValueError, "broken"), (RuntimeError, items.Unpicklable, 1, 2)):
        worker = Worker(items.Items(*error), 2)
        assert [next(worker) for _ in range(10)] == list(range(10))
        with pytest.raises(expected) as raised:
            next(worker)
        assert "in __iter__" in raised.value.__notes__[0]
        with pytest.raises(expected):
            next(worker)
    worker = Worker(items.Items(UserError, "do this."), 2)
    with pytest.raises(UserError, match=r"^do this\.$"):
        list(worker)


def test_a_worker_that_nobody_has_any_more_is_ended(items):
    before = set(multiprocessing.active_children())
    worker = Worker(items.Items(), 2)
    (process,) = set(multiprocessing.active_children()) - before
    del worker
    assert process.exitcode == -signal.SIGKILL


def test_how_it_was_killed_is_said(items):
    worker = Worker(items.Items(), 1)
    (process,) = set(multiprocessing.active_children())
    process.kill()
    with pytest.raises(Killed, match=r"^signal 9$"):
        list(worker)


def test_workers_hold_neither_jax_nor_tensorflow(toy, stream_settings):
    with contextlib.closing(Stream(toy, stream_settings, workers=1)) as stream:
        next(stream)
        workers = multiprocessing.active_children()
        assert workers
        for worker in workers:
            libraries = pathlib.Path(f"/proc/{worker.pid}/maps").read_text()
            assert "sentencepiece" in libraries  # the look finds what is there
            assert "jaxlib" not in libraries
            assert "tensorflow" not in libraries


READ_AND_BE_KILLED = """
import multiprocessing, os, pathlib, pickle, signal, sys
from linkjax.data.pipeline import Stream
from linkjax.data.prepared import Prepared

if __name__ == "__main__":
    stream = Stream(Prepared(pathlib.Path(sys.argv[1])), pickle.loads(bytes.fromhex(sys.argv[2])), workers=2)
    next(stream)
    print(*(worker.pid for worker in multiprocessing.active_children()), flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_workers_end_with_a_parent_that_was_killed(toy_folder, stream_settings, tmp_path):
    program = tmp_path / "program.py"
    program.write_text(READ_AND_BE_KILLED)
    arguments = [sys.executable, program, toy_folder, pickle.dumps(stream_settings).hex()]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True, env=environment) as parent:
        workers = [int(worker) for worker in parent.stdout.readline().split()]
    assert len(workers) == 2
    deadline = time.time() + 20
    while any(map(is_running, workers)) and time.time() < deadline:
        time.sleep(0.1)
    left = list(filter(is_running, workers))
    for worker in left:
        os.kill(worker, signal.SIGKILL)
    assert not left


def is_running(process):
    """Whether it is there; what has ended but nobody has asked for is not."""
    status = pathlib.Path(f"/proc/{process}/stat")
    try:
        return status.read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
