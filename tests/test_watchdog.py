"""A hang is reported once, with the stacks, also where C code holds Python's lock."""

import pathlib
import subprocess
import sys
import threading
import timeit

import pytest

from linkjax.training.watchdog import Watchdog

ROOT = pathlib.Path(__file__).parent.parent


class Clock:
    seconds = 0.0

    def __call__(self):
        return self.seconds


@pytest.fixture
def clock():
    return Clock()


def reports(folder):
    return sorted(folder.glob("hang-*.txt"))


def test_a_hang_is_reported_once_then_after_twice_the_time_and_its_end_is_said(tmp_path, clock, capfd):
    asked = []
    watchdog = Watchdog(10, tmp_path, also=lambda: asked.append(clock.seconds), clock=clock)
    watchdog.beat(41)
    for clock.seconds in range(0, 4000, 15):
        watchdog.look()
    assert asked == [600, 1200, 2400]
    said = capfd.readouterr().err
    assert "no step for 10.0 minutes: the run hangs after step 41, since " in said
    assert said.count("the run hangs") == 3
    assert said.count("in test_a_hang_is_reported_once") == 3  # the stacks
    watchdog.beat(42)
    watchdog.look()
    assert capfd.readouterr().err == "going on: step 42, after 66.5 minutes.\n"
    clock.seconds += 599
    watchdog.look()
    assert capfd.readouterr().err == "" and len(asked) == 3
    clock.seconds += 1
    watchdog.look()
    assert len(asked) == 4
    text = reports(tmp_path)[-1].read_text()
    assert "after step 42" in text and "in test_a_hang_is_reported_once" in text
    assert f"0x{threading.get_ident():016x} is MainThread" in text


def test_the_first_step_may_take_four_times_as_long(tmp_path, clock, capfd):
    watchdog = Watchdog(10, tmp_path, clock=clock)
    clock.seconds = 2399
    watchdog.look()
    assert not reports(tmp_path)
    clock.seconds = 2400
    watchdog.look()
    assert len(reports(tmp_path)) == 1
    assert "no step for 40.0 minutes: the run hangs before its first step" in capfd.readouterr().err


def test_each_step_begins_the_time_anew(tmp_path, clock, capfd):
    watchdog = Watchdog(1, tmp_path, clock=clock)
    for step in range(1, 100):
        watchdog.beat(step)
        clock.seconds += 59
        watchdog.look()
    assert capfd.readouterr().err == "" and not reports(tmp_path)


def test_a_report_needs_no_folder_and_no_working_callback(tmp_path, clock, capfd):
    def broken():
        raise ValueError("no workers")

    watchdog = Watchdog(1, tmp_path / "gone", also=broken, clock=clock)
    watchdog.beat(1)
    clock.seconds = 60
    watchdog.look()
    said = capfd.readouterr().err
    assert "in test_a_report_needs_no_folder" in said
    assert "ValueError: no workers" in said
    assert "cannot be written (No such file or directory)" in said


def test_no_minutes_are_never_and_a_beat_is_cheap(tmp_path):
    watchdog = Watchdog(0, tmp_path).start()
    assert not any(thread.name == "watchdog" for thread in threading.enumerate())
    watchdog.close()
    watchdog = Watchdog(10, tmp_path).start()
    assert any(thread.name == "watchdog" for thread in threading.enumerate())
    assert min(timeit.repeat(lambda: watchdog.beat(1), number=1000, repeat=20)) / 1000 < 5e-6
    watchdog.close()
    assert not any(thread.name == "watchdog" for thread in threading.enumerate())


HANGS = """
import ctypes, pathlib, sys, time
from linkjax.training import watchdog
watchdog._GRACE = 0.3
dog = watchdog.Watchdog(0.2 / 60, pathlib.Path(sys.argv[1])).start()
dog.beat(7)
def hang_here():
    {hang}
hang_here()
dog.beat(8)
time.sleep(1)
dog.close()
print("it went on", file=sys.stderr)
"""


@pytest.mark.parametrize(
    ("hang", "holds_the_lock"),
    [("time.sleep(1)", False), ("ctypes.PyDLL(None).sleep(2)", True)],
    ids=["in Python", "in C"],
)
def test_a_process_that_hangs_shows_its_stacks(tmp_path, hang, holds_the_lock):
    done = subprocess.run(
        [sys.executable, "-c", HANGS.format(hang=hang), tmp_path], cwd=ROOT, capture_output=True, text=True,
        timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "in hang_here" in done.stderr
    assert done.stderr.endswith("it went on\n")
    if holds_the_lock:
        assert "Timeout (" in done.stderr
    else:
        assert "the run hangs after step 7" in done.stderr
        assert any("in hang_here" in path.read_text() for path in reports(tmp_path))
