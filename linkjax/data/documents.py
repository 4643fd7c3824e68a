"""Documents: an id, a text, and the ArrayRecord files that hold them."""

import bisect
import hashlib
import itertools
import pathlib
import struct
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from array_record.python import array_record_module

_RECORDS_PER_FILE = 100_000
_GROUP_SIZE = 16  # records compressed together: cheap random reads, small files
_ID = struct.Struct("<Q")


class Document(NamedTuple):
    """A text with a 64-bit id that depends on its component's name and its bytes alone."""

    id: int
    text: str


def document_id(component: str, text: bytes) -> int:
    """64-bit id: equal texts of a component share it, moving a file changes nothing."""
    digest = hashlib.blake2b(component.encode() + b"\0" + text, digest_size=8).digest()
    return _ID.unpack(digest)[0]


def encode(document: Document) -> bytes:
    return _ID.pack(document.id) + document.text.encode()


def decode(record: bytes) -> Document:
    return Document(_ID.unpack_from(record)[0], record[_ID.size :].decode())


def write_documents(documents: Iterable[Document], folder: pathlib.Path, stem: str) -> dict[str, int]:
    """Writes ArrayRecord files `STEM-00000.arrayrecord` ... into `folder`; returns their names and counts."""
    counts: dict[str, int] = {}
    name = ""
    writer = None
    for index, document in enumerate(documents):
        if index % _RECORDS_PER_FILE == 0:
            if writer:
                writer.close()
            name = f"{stem}-{len(counts):05d}.arrayrecord"
            counts[name] = 0
            writer = array_record_module.ArrayRecordWriter(str(folder / name), f"group_size:{_GROUP_SIZE}")
        writer.write(encode(document))
        counts[name] += 1
    if writer:
        writer.close()
    return counts


class Documents(Sequence[Document]):
    """Random access to the documents of ArrayRecord files; small sets are held in memory."""

    _MEMORY_BYTES = 64 * 2**20

    def __init__(self, files: Mapping[pathlib.Path, int]):
        """Args: `files` and how many documents each has."""
        paths = list(files)
        # No read-ahead: records are asked for in shuffled order.
        self._readers = [array_record_module.ArrayRecordReader(str(path), "readahead_buffer_size:0") for path in paths]
        self._ends = list(itertools.accumulate(files.values()))
        self._records: list[bytes] | None = None
        if sum(pathlib.Path(path).stat().st_size for path in paths) <= self._MEMORY_BYTES:
            self._records = [record for reader in self._readers for record in reader.read_all()]

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def __getitem__(self, index: int) -> Document:
        if not 0 <= index < len(self):
            raise IndexError(index)
        if self._records is not None:
            return decode(self._records[index])
        file = bisect.bisect_right(self._ends, index)
        first = self._ends[file - 1] if file else 0
        return decode(self._readers[file].read([index - first])[0])
