"""A process that reads for this one, some items ahead. It is also the main module of such processes.

A spawned process imports its parent's main module before anything else, so a worker of `linkjax.train`, or of any
program that uses JAX, would begin with that. This one keeps JAX out: Grain imports it where it finds it and does
without where it does not.

Ctrl-C in a terminal, and the SIGTERM of a cluster, come to all processes of a job at once. Workers take no notice, so
that the step at hand is finished and saved; they end when they are closed, or with their parent.
"""

import contextlib
import faulthandler
import importlib
import logging
import multiprocessing
import os
import pickle
import queue
import signal
import sys
import threading
import time
import traceback
import weakref
from collections.abc import Iterable, Iterator
from multiprocessing import connection, resource_tracker, util
from typing import Any

from linkjax.errors import UserError

_WATCHED_EVERY = 0.5  # seconds
_NOT_NOTICED = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1}  # the last is what Slurm may send
_STACKS = signal.SIGUSR2


class Killed(Exception):
    """A worker has ended without a word; the message says how."""


class Worker(Iterator[Any]):
    """What some iterable gives, read in a process of its own."""

    def __init__(self, items: Iterable[Any], ahead: int):
        """Args:
        items: goes to the process by pickle, and what it gives comes back so.
        ahead: items that are read before they are asked for.
        """
        context = multiprocessing.get_context("spawn")
        self._receiver, sender = context.Pipe(duplex=False)
        self._process = context.Process(target=_send, args=(items, sender, ahead), daemon=True)
        with sender, _as_main_module(), _not_noticed():
            self._process.start()
        self.close = util.Finalize(self, _end, [self._process, self._receiver], exitpriority=1)
        self._ended: Exception | None = None
        _workers.add(self)

    def __next__(self) -> Any:
        """Raises what reading raised; Killed where the process is no more."""
        if self._ended:
            raise self._ended
        try:
            item = self._receiver.recv()
        except (EOFError, OSError) as error:  # at the end of an item, or in the middle of one
            _end(self._process, self._receiver)
            code = self._process.exitcode
            raise Killed(f"signal {-code}" if code < 0 else f"exit code {code}") from error
        if isinstance(item, Exception):
            self._ended = item
            raise item
        return item


_workers: weakref.WeakSet[Worker] = weakref.WeakSet()


def dump_stacks() -> None:
    """Makes all workers of this process print the stacks of their threads to standard error."""
    for worker in list(_workers):
        if worker._process.is_alive():
            os.kill(worker._process.pid, _STACKS)


def _end(process: multiprocessing.Process, receiver: connection.Connection) -> None:
    process.kill()  # it has nothing to finish
    process.join()
    receiver.close()


@contextlib.contextmanager
def _as_main_module() -> Iterator[None]:
    """Processes that are spawned meanwhile import this module in place of the program's."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = importlib.import_module("linkjax.data.worker")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


@contextlib.contextmanager
def _not_noticed() -> Iterator[None]:
    """Processes that are spawned meanwhile do not notice signals, from their first moment on."""
    resource_tracker.ensure_running()  # or spawning starts it, and lets the signals in again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _NOT_NOTICED | {_STACKS})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _send(items: Iterable[Any], sender: connection.Connection, ahead: int) -> None:
    read: queue.Queue[Any] = queue.Queue(ahead)
    threading.Thread(target=_read, args=(items, read), daemon=True).start()
    item = None
    while not isinstance(item, Exception):
        item = read.get()
        try:
            sender.send(item)
        except OSError:  # the parent has been killed
            os._exit(1)


def _read(items: Iterable[Any], read: queue.Queue[Any]) -> None:
    try:
        for item in items:
            read.put(item)
        read.put(StopIteration())
    except UserError as error:
        read.put(UserError(str(error)))
    except Exception as error:
        trace = traceback.format_exc()
        try:
            pickle.loads(pickle.dumps(error))
        except Exception:
            error = RuntimeError(f"a worker failed: {error!r}")
        error.add_note(f"in a process that reads data:\n{trace}")
        read.put(error)


def _end_with(parent: int) -> None:
    """A parent that was killed cannot end its workers, and they would wait for it for ever."""
    while os.getppid() == parent:
        time.sleep(_WATCHED_EVERY)
    os._exit(1)


if __name__ == "__mp_main__":
    # Not `faulthandler.register`: it looks at threads while they run, which can kill the process.
    signal.signal(_STACKS, lambda *_: faulthandler.dump_traceback())
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {_STACKS})
    threading.Thread(target=_end_with, args=[os.getppid()], daemon=True).start()
    sys.modules["jax"] = None  # an import of it raises ImportError
    logging.getLogger("absl").setLevel(logging.ERROR)  # Grain warns that it has no profiler
