"""Pieces of work, each in a folder of its own that is there whole or not at all.

A piece is known by its name and by what it was made of: settings, sources, hashes of other pieces. Its record
has the size and the SHA-256 of its files, so that what a crash has damaged is made again.
"""

import hashlib
import json
import os
import pathlib
import shutil
import tempfile
from collections.abc import Callable
from typing import Any

from linkjax.files import fingerprint

_RECORD = "record.json"
_UNFINISHED = ".unfinished-"


def digest(*parts: Any) -> str:
    """SHA-256 of plain data."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()


class Work:
    """The pieces in a folder."""

    def __init__(self, folder: pathlib.Path):
        self.folder = folder

    def clear_unfinished(self) -> None:
        """Removes what was begun by processes that are no more."""
        for left in self.folder.glob(f"{_UNFINISHED}*"):
            shutil.rmtree(left, ignore_errors=True)

    def path(self, name: str) -> pathlib.Path:
        return self.folder / name

    def record(self, name: str, of: str) -> dict[str, Any] | None:
        """What a piece says of itself, or None where it is missing or made of something else."""
        try:
            record = self.read(name)
        except (OSError, ValueError):
            return None
        return record if record.get("of") == of else None

    def read(self, name: str) -> dict[str, Any]:
        """What a piece that is there says of itself."""
        return json.loads((self.path(name) / _RECORD).read_text())

    def is_whole(self, name: str, of: str) -> bool:
        """Whether a piece is there and its files are as they were written."""
        record = self.record(name, of)
        try:
            return record is not None and all(
                fingerprint(self.path(name) / file) == about for file, about in record["hashes"].items()
            )
        except OSError:
            return False

    def make(self, name: str, of: str, fill: Callable[[pathlib.Path], dict[str, Any]]) -> None:
        """Makes a piece: `fill` writes its files into a folder and returns the rest of the record."""
        self.folder.mkdir(exist_ok=True)
        unfinished = pathlib.Path(tempfile.mkdtemp(prefix=_UNFINISHED, dir=self.folder))
        try:
            record = fill(unfinished)
            hashes = {path.name: fingerprint(path) for path in sorted(unfinished.iterdir())}
            (unfinished / _RECORD).write_text(json.dumps({**record, "of": of, "hashes": hashes}, ensure_ascii=False))
            shutil.rmtree(self.path(name), ignore_errors=True)
            try:
                os.replace(unfinished, self.path(name))
            except OSError:
                if self.record(name, of) is None:  # or else another worker has made it meanwhile
                    raise
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
