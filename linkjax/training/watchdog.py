"""A run that hangs says so: where it is, since when, and what every thread is doing."""

import faulthandler
import pathlib
import sys
import threading
import time
from collections.abc import Callable

_FIRST = 4  # times as long before the first step: programs are compiled
_GRACE = 10.0  # seconds that the thread gets before the timer of the C library speaks in its place


class Watchdog:
    """Reports a hang on stderr and in `FOLDER/hang-DATE-TIME.txt`, and lets the run be.

    A thread looks at the time of the last beat. It cannot where C code hangs that holds Python's lock; for that case
    it keeps `faulthandler`'s timer, which needs no lock, from running out: that one writes to stderr alone.
    """

    def __init__(
        self,
        minutes: float,
        folder: pathlib.Path,
        also: Callable[[], None] | None = None,
        name: str = "",
        clock: Callable[[], float] = time.monotonic,
    ):
        """A watchdog that looks only when told to.

        Args:
          minutes: without a beat, until a report; then twice as long until the next. Before the first beat, 4 times.
          also: called with each report, e.g. to ask other processes for their stacks.
          name: of this process, where there are several; part of the file's name.
        """
        self._limit, self._folder, self._also, self._name, self._clock = 60 * minutes, folder, also, name, clock
        self._last = (clock(), time.time(), None)
        self._reported = None  # the beat after which a hang was reported
        self._due = 0.0
        self._every = min(self._limit / 10, 15.0)
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)

    def start(self) -> "Watchdog":
        """Looks from now on; 0 minutes are never."""
        if self._limit:
            self._put_off()
            self._thread.start()
        return self

    def beat(self, step: int | None) -> None:
        """Something has moved on: a step, an evaluation, a checkpoint. None: and now something is compiled."""
        self._last = (self._clock(), time.time(), step)

    def close(self) -> None:
        self._done.set()
        if self._thread.is_alive():
            self._thread.join()
            faulthandler.cancel_dump_traceback_later()

    def look(self) -> None:
        """Reports a hang, where there is one that is due; and that it is over, where one was reported."""
        last = self._last
        quiet = self._clock() - last[0]
        if self._reported and self._reported is not last:
            _say(f"going on: step {last[2]}, after {(last[0] - self._reported[0]) / 60:.1f} minutes.")
            self._reported = None
        if not self._reported:
            self._due = self._allowance(last[2])
        if quiet >= self._due:
            self._reported = last
            self._due *= 2
            self._report(quiet, *last[1:])

    def _allowance(self, step: int | None) -> float:
        return self._limit * (_FIRST if step is None else 1)

    def _watch(self) -> None:
        while not self._done.wait(self._every):
            self._put_off()
            self.look()

    def _put_off(self) -> None:
        if (stderr := _descriptor()) is not None:
            faulthandler.dump_traceback_later(self._allowance(self._last[2]) + self._every + _GRACE, file=stderr)

    def _report(self, quiet: float, since: float, step: int | None) -> None:
        where = "before its first step" if step is None else f"after step {step}"
        path = self._folder / time.strftime(f"hang-%Y%m%d-%H%M%S{self._name and '-' + self._name}.txt")
        begun = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(since))
        sentence = (
            f"no step for {quiet / 60:.1f} minutes: the run hangs {where}, since {begun}; what its threads are doing"
            f" follows and is in {path}"
        )
        _say(sentence)
        if (stderr := _descriptor()) is not None:  # first: a disk may be what hangs
            faulthandler.dump_traceback(stderr)
        if self._also:
            try:
                self._also()
            except Exception as error:  # whatever is broken there, the stacks here count
                _say(f"{type(error).__name__}: {error}")
        try:
            with path.open("w") as file:
                file.write(f"{sentence}\n\n")
                for thread in threading.enumerate():
                    file.write(f"0x{thread.ident or 0:016x} is {thread.name}\n")
                file.write("\n")
                file.flush()
                faulthandler.dump_traceback(file)
        except OSError as error:
            _say(f"{path} cannot be written ({error.strerror}): the stacks above are all there is.")


def _descriptor() -> int | None:
    try:
        return sys.stderr.fileno()
    except (AttributeError, OSError, ValueError):  # no file: closed, or replaced by a program that embeds this
        return None


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
