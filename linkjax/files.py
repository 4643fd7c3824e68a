"""Files of a user's, read with errors as sentences and within bounds; files of ours, known by their hashes."""

import bz2
import contextlib
import gzip
import hashlib
import io
import json
import lzma
import pathlib
import stat
import sys
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, BinaryIO, TextIO

from linkjax.errors import UserError

_OPENERS = {".gz": gzip.open, ".dz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
_ERRORS = (OSError, EOFError, zlib.error, lzma.LZMAError)
_ZSTANDARD = ".zst"
_BUFFER_BYTES = 1 << 18
_BOMB_BYTES, _BOMB_RATIO = 1 << 30, 250  # text compresses to a third or a twentieth, hardly ever to a hundredth
JSON_BYTES = 1 << 20  # of a config and the like


def fingerprint(path: pathlib.Path) -> dict[str, Any]:
    """Size and SHA-256 of a file."""
    with path.open("rb") as file:
        return {"bytes": path.stat().st_size, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}


def retried(work: Callable[[], Any], waits: Sequence[float] = (1, 2, 4)) -> Any:
    """What `work` returns; where the store does not answer it is asked again, after so many seconds each.

    Raises:
      OSError: the last one; at once where asking again cannot help: nothing is there, or it is not allowed.
    """
    for wait in waits:
        try:
            return work()
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError, PermissionError):
            raise
        except OSError as error:
            print(f"warning: {error}: trying again in {wait:g} s", file=sys.stderr)
            time.sleep(wait)
    return work()


def is_compressed(path: pathlib.Path) -> bool:
    return path.suffix in (*_OPENERS, _ZSTANDARD)


def content_suffix(path: pathlib.Path) -> str:
    """What a file's name ends in, less the suffix of its compression: '.json' of `a.json.gz`."""
    return pathlib.Path(path.stem).suffix if is_compressed(path) else path.suffix


@contextlib.contextmanager
def open_bytes(path: pathlib.Path) -> Iterator[BinaryIO]:
    """Opens a file, decompressed where its name ends in `.gz`, `.dz`, `.bz2`, `.xz` or `.zst`.

    Raises:
      UserError: here or while reading: missing, no file but a device or a pipe, cut off, not what its suffix says,
        too large for its compressed size, or a package is missing.
    """
    opener, errors = _OPENERS.get(path.suffix, open), _ERRORS
    if path.suffix == _ZSTANDARD:
        try:
            from backports import zstd  # raises where a file is cut off, unlike the package zstandard
        except ImportError as error:
            raise UserError(f"{path} needs a package to be decompressed: pip install backports.zstd.") from error
        opener, errors = zstd.open, (*_ERRORS, zstd.ZstdError)
    try:
        size = regular_size(path)
        with opener(path, "rb") as file:
            yield io.BufferedReader(_Decompressed(file, path, size), _BUFFER_BYTES) if opener is not open else file
    except errors as error:
        raise UserError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}.") from error


@contextlib.contextmanager
def open_text(path: pathlib.Path) -> Iterator[TextIO]:
    """Opens UTF-8 text, decompressed as `open_bytes` does; a byte-order mark is left out, line ends are kept.

    Raises:
      UserError: here or while reading: as `open_bytes`, or not UTF-8.
    """
    try:
        with open_bytes(path) as file:
            yield io.TextIOWrapper(file, encoding="utf-8-sig", newline="\n")
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8 text ({error.reason}): convert it to UTF-8.") from error


def read_whole(path: pathlib.Path, most: int, mend: str) -> bytes:
    """All bytes of a file that has `most` at most. `mend` is what an error advises.

    Raises:
      UserError: as `open_bytes`, or there are more.
    """
    with open_bytes(path) as file:
        return b"".join(_pieces(file, path, most, "bytes", mend))


def read_text(path: pathlib.Path, most: int, mend: str) -> str:
    """All of a text that has `most` characters at most, as `read_whole`."""
    with open_text(path) as file:
        return "".join(_pieces(file, path, most, "characters", mend))


def _pieces(file: BinaryIO | TextIO, path: pathlib.Path, most: int, unit: str, mend: str) -> Iterator[Any]:
    """What a file holds; room for all of it would be made at once if it were read at once."""
    count = 0
    while piece := file.read(_BUFFER_BYTES):
        count += len(piece)
        if count > most:
            raise UserError(f"{path} is longer than {most:,} {unit}: {mend}.")
        yield piece


def read_json(path: pathlib.Path, most_bytes: int = JSON_BYTES) -> Any:
    """What a JSON file of at most `most_bytes` holds.

    Raises:
      UserError: it is missing, no file but a device or a pipe, too large, or not JSON.
    """
    return parse_json(read_whole(path, most_bytes, "that is not what is expected there, name another file"), str(path))


def parse_json(raw: bytes | str, place: str) -> Any:
    """What a piece of JSON says. `place` is what an error calls it.

    Raises:
      UserError: it is not JSON, or nested too deeply.
    """
    try:
        return json.loads(raw)
    except (ValueError, RecursionError) as error:
        what = f"{error.msg} at line {error.lineno}" if isinstance(error, json.JSONDecodeError) else error
        raise UserError(f"{place} is not JSON that can be read ({what}): fetch or write it again.") from error


def inside(folder: pathlib.Path, name: Any) -> pathlib.Path:
    """The path of a file that data names, within `folder`.

    Raises:
      UserError: the name leads out of the folder, or is none.
    """
    parts = name.split("/") if isinstance(name, str) else [""]
    if any(part in ("", ".", "..") or not part.isprintable() or "\\" in part for part in parts):
        raise UserError(f"{folder} names the file {name!r:.100}, which is no name within it: do not trust this folder.")
    return folder.joinpath(*parts)


def regular_size(path: pathlib.Path) -> int:
    """Bytes of a file.

    Raises:
      OSError: it is missing.
      UserError: it is a device or a pipe, which may never end.
    """
    status = path.stat()
    if not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):  # opening a folder has its own error
        raise UserError(f"{path} is a device or a pipe, not a file: write it to a file first.")
    return status.st_size


class _Decompressed(io.RawIOBase):
    """What a decompressor gives, as long as that is in proportion to the file."""

    def __init__(self, file: BinaryIO, path: pathlib.Path, size: int):
        super().__init__()
        self._file, self._path, self._most = file, path, max(_BOMB_BYTES, _BOMB_RATIO * size)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:
        count = self._file.readinto(buffer)
        if self._file.tell() > self._most:
            raise UserError(
                f"{self._path} holds more than {self._most:,} bytes, {_BOMB_RATIO} times its size: if that is meant,"
                " decompress it."
            )
        return count

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Forward by reading, so that the bound holds."""
        if whence != io.SEEK_SET or offset < self._file.tell():
            return self._file.seek(offset, whence)
        waste = memoryview(bytearray(_BUFFER_BYTES))
        while (left := offset - self._file.tell()) and self.readinto(waste[: min(left, _BUFFER_BYTES)]):
            pass
        return self._file.tell()

    def tell(self) -> int:
        return self._file.tell()
