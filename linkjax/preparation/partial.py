"""A folder that appears whole or not at all, filled by one process at a time, that may be stopped and go on.

.OUT.partial/lock     held by the process that fills it
.OUT.partial/folder   what becomes OUT
.OUT.partial/work     what is done already, see `work`
"""

import contextlib
import errno
import os
import pathlib
import shutil
import sys
from collections.abc import Iterator

from linkjax.errors import UserError
from linkjax.lock import locked, locked_when_free

LOCK, FOLDER, WORK = "lock", "folder", "work"


class Stopped(UserError):
    """An error from outside, such as a worker that was killed: what is done is kept."""


class Exists(UserError):
    """The folder is there already."""

    def __init__(self, out: pathlib.Path):
        super().__init__(f"{out} exists already: remove it or choose another --out.")


@contextlib.contextmanager
def whole_or_not_at_all(out: pathlib.Path, wait: bool = False, goes_on: bool = True) -> Iterator[pathlib.Path]:
    """The partial folder beside `out`, whose `folder` is renamed to `out` at the end.

    After a kill, Ctrl-C or `Stopped` the next one goes on with it; after any other error nothing is left.

    Args:
      wait: for another process that fills it, in place of `Held`.
      goes_on: whether what is done is of use to the next one; otherwise nothing is left after any error.

    Raises:
      Exists: `out` is there, perhaps since this waited for it.
      Held: another process fills it.
    """
    created = [folder for folder in out.parents if not folder.exists()]
    partial = out.with_name(f".{out.name}.partial")
    try:
        partial.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{partial} cannot be made: {error.strerror}.") from error
    with contextlib.ExitStack() as held:
        lock = locked_when_free if wait else locked
        held.enter_context(lock(partial / LOCK, f"{out} is being prepared"))
        if out.exists():
            _remove(partial, created)
            raise Exists(out)
        try:
            shutil.rmtree(partial / FOLDER, ignore_errors=True)
            (partial / FOLDER).mkdir()
            yield partial
            (partial / FOLDER).rename(out)
        except Stopped:
            raise
        except Exception as error:
            # ArrayRecord raises a RuntimeError.
            full = any(os.strerror(number) in str(error) for number in (errno.ENOSPC, errno.EDQUOT))
            if full and goes_on:
                raise Stopped(
                    f"no space is left for {partial}: make room and start the same command again, it goes on from"
                    " there."
                ) from error
            _remove(partial, created)
            if full:
                raise UserError(f"no space is left for {out}: make room and start again.") from error
            raise
        except BaseException:
            if not goes_on:
                _remove(partial, created)
                raise
            print(f"what is done of {out} is kept: the same command goes on from there.", file=sys.stderr)
            raise
        shutil.rmtree(partial, ignore_errors=True)  # another one may be about to ask for the lock


def _remove(partial: pathlib.Path, created: list[pathlib.Path]) -> None:
    shutil.rmtree(partial, ignore_errors=True)
    for folder in created:
        with contextlib.suppress(OSError):  # somebody else has put something there
            folder.rmdir()
