"""Files that a run writes as it goes: errors are sentences with the mend, and a power cut loses none that counts."""

import contextlib
import errno
import os
import pathlib
import re
from collections.abc import Iterator

from linkjax.errors import UserError

MENDS = {  # where trying again does not help
    errno.ENOSPC: "make room",
    errno.EDQUOT: "make room",
    errno.EROFS: "make its folder writable",
    errno.EACCES: "make its folder writable",
    errno.EPERM: "make its folder writable",
    errno.ENOENT: "put its folder back",
    errno.ENOTDIR: "put its folder back",
    errno.ESTALE: "put its folder back",
}
_TENSORSTORE = re.compile(r"\[os_error_code='(\d+)'")


@contextlib.contextmanager
def writing(path: pathlib.Path) -> Iterator[None]:
    """Makes a UserError of a disk's error: it names the path, the reason and the mend."""
    try:
        yield
    except (OSError, ValueError, RuntimeError) as error:
        if (found := disk_error(error)) is None:
            raise
        raise UserError(
            f"{path} cannot be written ({found.strerror or found}): {MENDS.get(found.errno, 'see to its disk')} and"
            " start the same command again, it goes on from its newest checkpoint."
        ) from error


def disk_error(error: BaseException | None) -> OSError | None:
    """The error of a disk behind an exception, or None; TensorStore's have its number in their text."""
    while error is not None:
        if isinstance(error, OSError):
            return error
        if number := _TENSORSTORE.search(str(error)):
            return OSError(int(number[1]), os.strerror(int(number[1])))
        error = error.__cause__ or error.__context__
    return None


def write_whole(path: pathlib.Path, content: str | bytes) -> None:
    """Writes a file that is there whole, after a power cut too, or as it was before.

    Raises:
      UserError: it cannot be written.
    """
    partial = path.with_suffix(".partial")
    with writing(path):
        with partial.open("wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    sync_folder(path.parent)


def sync_folder(folder: pathlib.Path) -> None:
    """Puts the names in a folder on disk, where its file system can."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
