"""Documents: an id, a text, and the ArrayRecord files that hold them."""

import hashlib
import pathlib
import struct
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import grain
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


def write_documents(documents: Iterable[Document], folder: pathlib.Path, component: str) -> list[str]:
    """Writes ArrayRecord files `COMPONENT-00000.arrayrecord` ... into `folder`; returns their names."""
    names: list[str] = []
    writer = None
    for index, document in enumerate(documents):
        if index % _RECORDS_PER_FILE == 0:
            if writer:
                writer.close()
            names.append(f"{component}-{len(names):05d}.arrayrecord")
            writer = array_record_module.ArrayRecordWriter(str(folder / names[-1]), f"group_size:{_GROUP_SIZE}")
        writer.write(encode(document))
    if writer:
        writer.close()
    return names


class Documents(Sequence[Document]):
    """Random access to the documents of ArrayRecord files; small sets are held in memory.

    Picklable: a worker process opens the files again.
    """

    _MEMORY_BYTES = 64 * 2**20

    def __init__(self, paths: Sequence[pathlib.Path]):
        self._paths = [str(path) for path in paths]
        self._open()

    def _open(self):
        self._source = grain.sources.ArrayRecordDataSource(self._paths)
        self._records = None
        if sum(pathlib.Path(path).stat().st_size for path in self._paths) <= self._MEMORY_BYTES:
            self._records = self._source.__getitems__(range(len(self._source))) if len(self._source) else []

    def __getstate__(self):
        return {"_paths": self._paths}

    def __setstate__(self, state):
        self._paths = state["_paths"]
        self._open()

    def __len__(self) -> int:
        return len(self._source)

    def __getitem__(self, index: int) -> Document:
        return decode(self._source[index] if self._records is None else self._records[index])

    def __iter__(self) -> Iterator[Document]:
        return (self[index] for index in range(len(self)))
