"""What is in text files, from a sample: seconds, however large they are.

Up to 32 MB of a language are read, beyond that stretches from all over the files, and numbers are scaled up by the
share of the files' bytes that was read.
"""

import bz2
import collections
import dataclasses
import lzma
import pathlib
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence

from linkjax.data.ids import IdSet
from linkjax.data.texts import left_out
from linkjax.errors import UserError
from tasks.file_parts import Lines, has_places, parquet, texts_of_lines
from tasks.text_files import LocalText

READ_BYTES = 32_000_000
_MOST_FILES = 256
_STRETCH_BYTES = 1 << 17
_KEPT_CHARACTERS = 1_000_000
_SHOWN_CHARACTERS = 1 << 16  # of a document that is a whole book
_PACKED: dict[str, Callable[[bytes], bytes]] = {
    ".gz": zlib.compress, ".dz": zlib.compress, ".bz2": bz2.compress, ".xz": lzma.compress,
}  # fmt: skip
_ZSTANDARD_RATIO = 3.5  # of text, about; what packs it need not be installed


@dataclasses.dataclass(frozen=True)
class Sample:
    """The documents that a run would train on.

    Attributes:
      files: how many there are.
      documents, bytes: of text; estimated where `read` is less than 1.
      read: share of the files' bytes that was read.
      texts: documents from all over them, a million characters at most.
      note: what of the sample was left out, in words.
    """

    files: int
    documents: int
    bytes: int
    read: float
    texts: tuple[str, ...]
    note: str


def sample(text: LocalText, most_bytes: int = READ_BYTES) -> Sample:
    """Reads some of the documents.

    Raises:
      UserError: a file cannot be read, or is not what its name says.
    """
    counts: collections.Counter[str] = collections.Counter()
    met = IdSet() if text.drop_duplicates else None
    groups: dict[str, list[pathlib.Path | str]] = {}
    for file in text.files:
        groups.setdefault("" if isinstance(file, str) else "".join(file.suffixes[-2:]), []).append(file)
    documents = size = held = covered = 0.0
    kept: list[str] = []
    for files in groups.values():
        opened = files[:: -(-len(files) // _MOST_FILES)]
        share = most_bytes // len(groups) // len(opened)
        of_group: list[str] = []
        disk = 0.0
        for file in opened:
            texts, bytes_of_it = _read(file, share, text)
            of_group += [one.text for one in text.chosen("train", texts, counts, met)]
            disk += bytes_of_it
        whole = sum(_disk_bytes(file, text) for file in files)
        scale = max(whole / disk, 1.0) if disk else 1.0
        documents += scale * len(of_group)
        size += scale * sum(len(one.encode()) for one in of_group)
        held, covered = held + whole, covered + min(disk, whole)
        kept += of_group
    read = covered / held if held else 1.0
    return Sample(len(text.files), round(documents), round(size), read, tuple(_spread(kept)), left_out(counts))


def _read(file: pathlib.Path | str, most: int, text: LocalText) -> tuple[list[str], float]:
    """Texts of a file, and how many of its bytes they take there."""
    size = _disk_bytes(file, text)
    if isinstance(file, pathlib.Path) and file.suffix == ".parquet":
        with parquet(file) as reading:
            rows = reading.file.metadata.num_rows
        texts, ended = _begin(_texts(file, text), most)
        return texts, size if ended or not rows else size * min(len(texts) / rows, 1.0)
    if isinstance(file, str) or not has_places(file, text.document):
        texts, ended = _begin(_texts(file, text), most)
        return texts, size if ended else min(_packed_bytes(file, texts), size)
    if size <= most:
        return list(_texts(file, text)), size
    count = max(most // _STRETCH_BYTES, 1)
    stretches = [Lines(file, size * index // count, size * index // count + _STRETCH_BYTES) for index in range(count)]
    return [one for lines in stretches for one in texts_of_lines(lines, text.text_column)], count * _STRETCH_BYTES


def _texts(file: pathlib.Path | str, text: LocalText) -> Iterator[str]:
    alone = dataclasses.replace(text, files=(file,), heldout_files=())
    return (one for part in alone.parts("train") for one in part.texts())


def _begin(texts: Iterable[str], most: int) -> tuple[list[str], bool]:
    """The first texts, of so many bytes, and whether there are no more."""
    found, size = [], 0
    for one in texts:
        if size >= most:
            return found, False
        found.append(one)
        size += len(one.encode())
    return found, True


def _disk_bytes(file: pathlib.Path | str, text: LocalText) -> int:
    if isinstance(file, str):  # of TFDS: the files of its parts
        alone = dataclasses.replace(text, files=(file,), heldout_files=())
        paths = {pathlib.Path(part.name.partition(", from record")[0]) for part in alone.parts("train")}
        return sum(_disk_bytes(path, text) for path in paths)
    try:
        return file.stat().st_size
    except OSError as error:
        raise UserError(f"{file} cannot be read: {error.strerror}.") from error


def _packed_bytes(file: pathlib.Path | str, texts: Sequence[str]) -> float:
    raw = "\n".join(texts).encode()
    suffix = pathlib.Path(file).suffix
    if suffix == ".zst":
        return len(raw) / _ZSTANDARD_RATIO
    return len(_PACKED.get(suffix, bytes)(raw[: 1 << 20])) * max(len(raw) / (1 << 20), 1.0)


def _spread(texts: Sequence[str]) -> Iterator[str]:
    """Some from all over, none longer than a chapter."""
    total = sum(min(len(one), _SHOWN_CHARACTERS) for one in texts)
    for one in texts[:: max(-(-total // _KEPT_CHARACTERS), 1)]:
        yield one[:_SHOWN_CHARACTERS]
