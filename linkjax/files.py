"""Files of a user's, read with errors as sentences; files of ours, known by their hashes."""

import bz2
import contextlib
import gzip
import hashlib
import io
import lzma
import pathlib
import zlib
from collections.abc import Iterator
from typing import Any, BinaryIO, TextIO

from linkjax.errors import UserError

_OPENERS = {".gz": gzip.open, ".dz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
_ERRORS = (OSError, EOFError, zlib.error, lzma.LZMAError)
_ZSTANDARD = ".zst"


def fingerprint(path: pathlib.Path) -> dict[str, Any]:
    """Size and SHA-256 of a file."""
    with path.open("rb") as file:
        return {"bytes": path.stat().st_size, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}


def is_compressed(path: pathlib.Path) -> bool:
    return path.suffix in (*_OPENERS, _ZSTANDARD)


def content_suffix(path: pathlib.Path) -> str:
    """What a file's name ends in, less the suffix of its compression: '.json' of `a.json.gz`."""
    return pathlib.Path(path.stem).suffix if is_compressed(path) else path.suffix


@contextlib.contextmanager
def open_bytes(path: pathlib.Path) -> Iterator[BinaryIO]:
    """Opens a file, decompressed where its name ends in `.gz`, `.dz`, `.bz2`, `.xz` or `.zst`.

    Raises:
      UserError: here or while reading: missing, cut off, not what its suffix says, or a package is missing.
    """
    opener, errors = _OPENERS.get(path.suffix, open), _ERRORS
    if path.suffix == _ZSTANDARD:
        try:
            from backports import zstd  # raises where a file is cut off, unlike the package zstandard
        except ImportError as error:
            raise UserError(f"{path} needs a package to be decompressed: pip install backports.zstd.") from error
        opener, errors = zstd.open, (*_ERRORS, zstd.ZstdError)
    try:
        with opener(path, "rb") as file:
            yield file
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
