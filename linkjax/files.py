"""Files of a user's, read with errors as sentences; files of ours, known by their hashes."""

import contextlib
import gzip
import hashlib
import pathlib
import zlib
from collections.abc import Iterator
from typing import Any, TextIO

from linkjax.errors import UserError


def fingerprint(path: pathlib.Path) -> dict[str, Any]:
    """Size and SHA-256 of a file."""
    with path.open("rb") as file:
        return {"bytes": path.stat().st_size, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}


@contextlib.contextmanager
def open_text(path: pathlib.Path) -> Iterator[TextIO]:
    """Opens UTF-8 text, plain or `.gz`; a byte-order mark is left out, line ends are kept as they are.

    Raises:
      UserError: here or while reading: missing, cut off, not UTF-8.
    """
    try:
        with (gzip.open if path.suffix == ".gz" else open)(path, "rt", encoding="utf-8-sig", newline="\n") as file:
            yield file
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8 text ({error.reason}): convert it to UTF-8.") from error
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}.") from error
