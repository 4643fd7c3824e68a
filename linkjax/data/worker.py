"""The main module of the worker processes: it keeps JAX out of them, and ends them with their parent.

A spawned process imports its parent's main module before anything else, so a worker of `linkjax.train`, or of any
program that uses JAX, would begin with that. Grain imports JAX where it finds it and does without where it does not.
"""

import contextlib
import importlib
import logging
import os
import sys
import threading
import time
from collections.abc import Iterator

_WATCHED_EVERY = 0.5  # seconds


def _end_with(parent: int) -> None:
    """A parent that was killed cannot end its workers, and they would wait for it for ever."""
    while os.getppid() == parent:
        time.sleep(_WATCHED_EVERY)
    os._exit(1)


if __name__ == "__mp_main__":
    threading.Thread(target=_end_with, args=[os.getppid()], daemon=True).start()
    sys.modules["jax"] = None  # an import of it raises ImportError
    logging.getLogger("absl").setLevel(logging.ERROR)  # Grain warns that it has no profiler


@contextlib.contextmanager
def as_main_module() -> Iterator[None]:
    """Processes that are spawned meanwhile import this module in place of the program's."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = importlib.import_module("linkjax.data.worker")
    try:
        yield
    finally:
        sys.modules["__main__"] = main
