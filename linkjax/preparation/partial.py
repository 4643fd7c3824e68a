"""A folder that appears whole or not at all, filled by one process at a time, that may be stopped and go on.

.OUT.partial/lock     held by the process that fills it
.OUT.partial/folder   what becomes OUT
.OUT.partial/work     what is done already, see `work`
"""

import contextlib
import errno
import fcntl
import os
import pathlib
import shutil
import sys
from collections.abc import Iterator

from linkjax.errors import UserError

LOCK, FOLDER, WORK = "lock", "folder", "work"


class Stopped(UserError):
    """An error from outside, such as a worker that was killed: what is done is kept."""


@contextlib.contextmanager
def whole_or_not_at_all(out: pathlib.Path) -> Iterator[pathlib.Path]:
    """The partial folder beside `out`, whose `folder` is renamed to `out` at the end.

    After a kill, Ctrl-C or `Stopped` the next one goes on with it; after any other error nothing is left.

    Raises:
      UserError: `out` exists, or another process fills it.
    """
    created = [folder for folder in out.parents if not folder.exists()]
    partial = out.with_name(f".{out.name}.partial")
    try:
        partial.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{partial} cannot be made: {error.strerror}.") from error
    with _locked(partial / LOCK, out):
        if out.exists():
            _remove(partial, created)
            raise UserError(f"{out} exists already: remove it or choose another --out.")
        try:
            shutil.rmtree(partial / FOLDER, ignore_errors=True)
            (partial / FOLDER).mkdir()
            yield partial
            (partial / FOLDER).rename(out)
        except Stopped:
            raise
        except Exception as error:
            if os.strerror(errno.ENOSPC) in str(error):  # ArrayRecord raises a RuntimeError
                raise Stopped(
                    f"no space is left for {partial}: make room and start the same command again, it goes on from"
                    " there."
                ) from error
            _remove(partial, created)
            raise
        except BaseException:
            print(f"what is done of {out} is kept: the same command goes on from there.", file=sys.stderr)
            raise
        shutil.rmtree(partial, ignore_errors=True)  # another one may be about to ask for the lock


@contextlib.contextmanager
def _locked(path: pathlib.Path, out: pathlib.Path) -> Iterator[None]:
    with contextlib.ExitStack() as opened:
        try:
            file = opened.enter_context(path.open("w"))
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not os.path.samestat(os.fstat(file.fileno()), path.stat()):
                raise BlockingIOError
        except (BlockingIOError, FileNotFoundError) as error:  # not there: removed by the one that held it
            raise UserError(f"{out} is being made by another process: wait for it, or choose another --out.") from error
        yield


def _remove(partial: pathlib.Path, created: list[pathlib.Path]) -> None:
    shutil.rmtree(partial, ignore_errors=True)
    for folder in created:
        with contextlib.suppress(OSError):  # somebody else has put something there
            folder.rmdir()
