"""The lock on a folder: one holder at a time, named to the others, and free again however it ended."""

import errno
import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

from linkjax import lock
from linkjax.errors import UserError
from linkjax.lock import Held, locked
from tests.conftest import ROOT

HOLD = """
import errno, pathlib, sys, time
from linkjax import lock
if sys.argv[2] == "alive":
    def refuse(*_):
        raise OSError(errno.ENOSYS, "Function not implemented")
    lock.fcntl.flock = refuse
    lock._BEAT = 0.1
with lock.locked(pathlib.Path(sys.argv[1]), "it is used"):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture(params=["flock", "alive"])
def kind(request, monkeypatch):
    """With locks of the operating system, and on a file system that has none."""
    if request.param == "alive":

        def refuse(file, flags):
            raise OSError(errno.ENOSYS, "Function not implemented")

        monkeypatch.setattr(fcntl, "flock", refuse)
        monkeypatch.setattr(lock, "_BEAT", 0.1)
        monkeypatch.setattr(lock, "_STALE", 1.5)
        monkeypatch.setattr(lock, "_SETTLED", 0.2)
    return request.param


@pytest.fixture
def holder(tmp_path, kind):
    """Another process that holds the lock."""
    command = [sys.executable, "-c", HOLD, str(tmp_path / "lock"), kind]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(ROOT)}) as process:
        assert process.stdout.readline() == b"held\n"
        yield process
        process.kill()


def test_the_holder_is_named(tmp_path, holder):
    path = tmp_path / "lock"
    with pytest.raises(Held) as refused, locked(path, f"{tmp_path} is in use"):
        pytest.fail("two have it")
    said = str(refused.value)
    assert said.startswith(f"{tmp_path} is in use by process {holder.pid} on {socket.gethostname()}, for ")
    assert said.endswith(" s: wait until it ends, or choose another folder.")


def test_a_lock_is_kept_for_as_long_as_its_holder_lives(tmp_path, holder):
    time.sleep(2)
    with pytest.raises(Held), locked(tmp_path / "lock", "it is used"):
        pytest.fail("two have it")


def test_a_killed_holder_holds_nothing(tmp_path, holder, kind):
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    if kind == "alive":
        with pytest.raises(Held), locked(tmp_path / "lock", "it is used"):
            pytest.fail("it may still live")
        time.sleep(1.6)
    with locked(tmp_path / "lock", "it is used"), pytest.raises(Held), locked(tmp_path / "lock", "it is used"):
        pytest.fail("two have it")


def test_it_is_free_after_its_end_and_after_an_error(tmp_path, kind):
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), locked(tmp_path / "new/lock", "it is used"):
            raise ZeroDivisionError
    assert not (tmp_path / "new/lock.alive").exists()


def test_of_many_that_come_at_once_one_has_it(tmp_path, kind):
    path = tmp_path / "lock"
    if kind == "alive":  # all find the same stale file
        stale = tmp_path / "lock.alive"
        stale.write_text("{}")
        os.utime(stale, (1, 1))
    had, refused, everyone, others = [], [], threading.Barrier(8), threading.Semaphore(0)

    def take():
        everyone.wait()
        try:
            with locked(path, "it is used"):
                had.append(1)
                for _ in range(7):
                    assert others.acquire(timeout=20)
        except Held as error:
            refused.append(error)
            others.release()

    threads = [threading.Thread(target=take) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(had), len(refused)) == (1, 7)


def test_a_lock_whose_folder_was_removed_is_made_anew(tmp_path, monkeypatch):
    path, real = tmp_path / "folder/lock", fcntl.flock

    def removed_first(file, flags):
        monkeypatch.setattr(fcntl, "flock", real)
        path.unlink()
        path.parent.rmdir()
        real(file, flags)

    monkeypatch.setattr(fcntl, "flock", removed_first)
    with locked(path, "it is used"):
        assert json.loads(path.read_text())["pid"] == os.getpid()


@pytest.mark.parametrize("content", ["", "{", "[1]", '{"pid": "\\u001b", "host": 3, "since": "x"}', "9" * 10_000])
def test_a_file_with_anything_in_it_is_another_process(tmp_path, monkeypatch, content):
    monkeypatch.setattr(lock, "_mark", lambda: content)
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    with (
        locked(tmp_path / "lock", "it is used"),
        pytest.raises(Held, match="it is used by another process: wait"),
        locked(tmp_path / "lock", "it is used"),
    ):
        pytest.fail("two have it")


def test_a_folder_that_cannot_be_written_is_a_sentence(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot be written: "), locked(tmp_path / "file/lock", "it is used"):
        pytest.fail("no such folder")


@pytest.mark.parametrize(
    ("seconds", "said"), [(-3, "0 s"), (119, "119 s"), (600, "10 min"), (9000, "2 h"), (4e5, "5 days")]
)
def test_ages_are_said_in_fitting_units(seconds, said):
    assert lock._said(seconds) == said
