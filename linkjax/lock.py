"""A lock on a folder: one process at a time, and the others are told which one and for how long.

The operating system gives the lock up with the process, however it ends. Where the file system has no such locks
(flock(2): some kinds of Lustre and FUSE), the holder touches `PATH.alive` every few seconds instead, and a file that
nobody has touched for a minute is stale.
"""

import contextlib
import errno
import fcntl
import json
import os
import pathlib
import secrets
import socket
import sys
import threading
import time
from collections.abc import Iterator

from linkjax.errors import UserError

_NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)
_BEAT, _STALE = 10.0, 60.0  # seconds
_SETTLED = 1.0  # after which of several that found the same stale file the last one has it
_ASKED_EVERY = 0.5  # seconds
_MOST_BYTES = 4096  # that are read of a lock's file


class Held(UserError):
    """Another process has the lock: the message says which, where and for how long.

    Attributes:
      what: what it does, as given to `locked`.
      owner: 'process 7 on HOST, for 12 s'.
    """

    def __init__(self, what: str, owner: str, mend: str = "wait until it ends, or choose another folder"):
        super().__init__(f"{what} by {owner}: {mend}.")
        self.what, self.owner = what, owner


@contextlib.contextmanager
def locked(path: pathlib.Path, what: str) -> Iterator[None]:
    """Holds the lock whose file is `path`; its folder is made. The file stays, and says who had it last.

    Args: `what` is done by who has it, as the sentence of `Held` begins: 'runs/x is being trained'.

    Raises:
      Held: another process has it, or another thread of this one.
      UserError: the file cannot be written.
    """
    with contextlib.ExitStack() as held:
        try:
            while not _flocked(path, what, held):
                pass
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise UserError(f"{path} cannot be written: {error.strerror}.") from error
            held.enter_context(_kept_alive(path.with_name(f"{path.name}.alive"), what))
        yield


@contextlib.contextmanager
def locked_when_free(path: pathlib.Path, what: str) -> Iterator[None]:
    """`locked`, after waiting for whoever has the lock."""
    with contextlib.ExitStack() as held:
        said = False
        while True:
            try:
                held.enter_context(locked(path, what))
                break
            except Held as error:
                if not said:
                    print(f"{error.what} by {error.owner}: waiting for it", file=sys.stderr)
                said = True
            time.sleep(_ASKED_EVERY)
        yield


def _flocked(path: pathlib.Path, what: str, held: contextlib.ExitStack) -> bool:
    """Whether the lock could be had; not where its file was removed meanwhile."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as opened:
        try:
            file = opened.enter_context(path.open("a"))
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not os.path.samestat(os.fstat(file.fileno()), path.stat()):
                return False
        except BlockingIOError as error:
            raise Held(what, _owner(path)) from error
        except FileNotFoundError:
            return False
        file.truncate(0)
        file.write(_mark())
        file.flush()
        held.enter_context(opened.pop_all())
        return True


@contextlib.contextmanager
def _kept_alive(path: pathlib.Path, what: str) -> Iterator[None]:
    mark = _mark()
    try:
        if not _taken(path, mark):
            raise Held(what, _owner(path))
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror}.") from error
    ended = threading.Event()

    def beat() -> None:
        while not ended.wait(_BEAT):
            with contextlib.suppress(OSError):  # a file system that is away for a while
                if _read(path) == mark:
                    os.utime(path)

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        with contextlib.suppress(OSError):
            if _read(path) == mark:
                path.unlink()


def _taken(path: pathlib.Path, mark: str) -> bool:
    """Whether the file is ours now: it was not there, or nobody had touched it for long."""
    with contextlib.suppress(FileExistsError), path.open("x") as file:
        file.write(mark)
        return True
    mine = path.with_name(f".{path.name}-{secrets.token_hex(4)}")
    try:
        mine.write_text(mark)
        with contextlib.suppress(FileNotFoundError):  # or it was given up this moment
            age = mine.stat().st_mtime - path.stat().st_mtime  # by the clock of the file system
            if age <= _STALE:
                return False
        os.replace(mine, path)
    finally:
        mine.unlink(missing_ok=True)
    time.sleep(_SETTLED)
    return _read(path) == mark


def _mark() -> str:
    who = {"pid": os.getpid(), "host": socket.gethostname(), "since": time.time(), "token": secrets.token_hex(4)}
    return json.dumps(who)


def _owner(path: pathlib.Path) -> str:
    for _ in range(20):  # the owner writes its name right after it has the lock
        try:
            who = json.loads(_read(path))
            host = "".join(filter(str.isprintable, str(who["host"])))
            return f"process {int(who['pid'])} on {host}, for {_said(time.time() - float(who['since']))}"
        except (OSError, ValueError, TypeError, KeyError, OverflowError):
            time.sleep(0.01)
    return "another process"


def _read(path: pathlib.Path) -> str:
    with path.open("rb") as file:
        return file.read(_MOST_BYTES).decode(errors="replace")


def _said(seconds: float) -> str:
    for size, unit in ((86400, "days"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"
