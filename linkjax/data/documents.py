"""Documents: an id, a text, and the ArrayRecord files that hold them."""

import bisect
import functools
import hashlib
import itertools
import pathlib
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from array_record.python import array_record_module

from linkjax.data.damage import Damage, Damaged
from linkjax.errors import UserError

_RECORDS_PER_FILE = 100_000
_GROUP_SIZE = 16  # records compressed together: cheap random reads, small files
_ID = struct.Struct("<Q")
_CORRUPT = "Corrupted"  # in what ArrayRecord says of a checksum that is wrong, and not of a disk that does not answer


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


class Documents(Sequence[Document | int]):
    """The documents of ArrayRecord files, by index; small sets are held in memory.

    In the place of a document that is damaged there is its index, if `damage` allows for any.

    Attributes:
      block: documents to be read together, 1 where all are in memory.
      mean_bytes: of a document, compressed. Both depend on the files alone.
    """

    _MEMORY_BYTES = 64 * 2**20
    _BLOCK_BYTES = 32 * 2**10  # compressed: one record at a time costs far more than a record's share of these
    _OPEN_FILES = 64
    _IN_TURN = 256  # documents that are read ahead where all are wanted

    def __init__(self, files: Mapping[pathlib.Path, int], damage: Damage | None = None):
        """Args:
        files: and how many documents each has.
        damage: where it is counted; by default there may be none.
        """
        self._damage = Damage() if damage is None else damage
        self._paths, counts = list(files), list(files.values())
        self._starts = [0, *itertools.accumulate(counts)]
        self._reader = functools.lru_cache(self._OPEN_FILES)(self._open)
        self._records: list[bytes | None] | None = None
        size = sum(path.stat().st_size for path in self._paths)
        if size <= self._MEMORY_BYTES:
            self._records = [record for file, count in enumerate(counts) for record in self._read(file, 0, count)]
        self.mean_bytes = size / max(len(self), 1)
        self.block = 1
        if self._records is None:
            self.block = min(max(int(self._BLOCK_BYTES / self.mean_bytes), 4), 256)

    def __len__(self) -> int:
        return self._starts[-1]

    def __getitem__(self, index: int) -> Document | int:
        if not 0 <= index < len(self):
            raise IndexError(index)
        return self.read(index, index + 1)[0]

    def __iter__(self) -> Iterator[Document | int]:
        for start in range(0, len(self), self._IN_TURN):
            yield from self.read(start, min(start + self._IN_TURN, len(self)))

    def read(self, start: int, stop: int) -> list[Document | int]:
        """The documents from `start` up to `stop`.

        Raises:
          UserError: a file cannot be read, or more is damaged than may be, by its own checksums.
        """
        if self._records is not None:
            return self._decoded(self._records[start:stop], start)
        found: list[Document | int] = []
        while start < stop:
            file = bisect.bisect_right(self._starts, start) - 1
            end = min(stop, self._starts[file + 1])
            first = self._starts[file]
            found += self._decoded(self._read(file, start - first, end - first), start)
            start = end
        return found

    def _decoded(self, records: Sequence[bytes | None], start: int) -> list[Document | int]:
        try:
            return list(map(decode, records))
        except (TypeError, ValueError, struct.error):  # None, no UTF-8, too short for an id
            return [self._decoded_one(record, start + place) for place, record in enumerate(records)]

    def _decoded_one(self, record: bytes | None, index: int) -> Document | int:
        if record is None:
            return index
        try:
            return decode(record)
        except (ValueError, struct.error) as error:
            file = bisect.bisect_right(self._starts, index) - 1
            place = index - self._starts[file]
            self._damage.add(Damaged(str(self._paths[file]), place, place, f"it is no document: {error}"))
            return index

    def _open(self, file: int) -> array_record_module.ArrayRecordReader:
        path = self._paths[file]
        count = self._starts[file + 1] - self._starts[file]
        try:
            # No read-ahead: records are asked for in shuffled order.
            reader = array_record_module.ArrayRecordReader(str(path), "readahead_buffer_size:0")
            found = reader.num_records()
        except RuntimeError as error:
            raise _damaged(path, error) from error
        if found != count:  # a damaged index reads as an empty one
            raise _damaged(path, f"it has {found:,} records, not {count:,}")
        return reader

    def _read(self, file: int, start: int, stop: int) -> list[bytes | None]:
        """Records of a file, None in place of the damaged ones."""
        reader = self._reader(file)
        try:
            return reader.read(start, stop)
        except RuntimeError as error:
            if _CORRUPT not in str(error):
                raise _damaged(self._paths[file], error, f"records {start:,} to {stop - 1:,}: ") from error
        records: list[bytes | None] = []
        for group in range(start - start % _GROUP_SIZE, stop, _GROUP_SIZE):
            first, end = max(group, start), min(group + _GROUP_SIZE, stop)
            try:
                records += reader.read(first, end)
            except RuntimeError as error:
                self._damage.add(Damaged(str(self._paths[file]), first, end - 1, _why(error)))
                records += [None] * (end - first)
        return records


def _damaged(path: pathlib.Path, error: object, place: str = "") -> UserError:
    return UserError(f"{path} is damaged ({place}{_why(error)}): copy or prepare the folder again.")


def _why(error: object) -> str:
    return str(error).partition("\n")[0].partition(" (")[0].rstrip(".")
