"""Files of text in parts: lines, JSON lines, Parquet or whole files, as their names say. No TensorFlow here."""

import contextlib
import dataclasses
import functools
import itertools
import json
import pathlib
import types
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO

from linkjax.data.texts import Part
from linkjax.errors import UserError
from linkjax.files import content_suffix, is_compressed, open_bytes, read_text

_PART_BYTES = 1 << 26
_LINE_BYTES = 1 << 26
_DOCUMENT_CHARACTERS = 1 << 30
_BUFFER_BYTES = 1 << 20
_JSON = (".jsonl", ".json")


def file_parts(path: pathlib.Path, document: str, column: str) -> list[Part]:
    """The parts of a file, of about 64 MB where it can be cut; a blank line is no document.

    Args:
      document: what is one in plain text: 'line' or 'file'.
      column: the column of JSON lines, Parquet and TFRecord files that has the text.
    """
    kind = content_suffix(path)
    if is_tfrecord(path):
        from tasks.tfrecord_files import tfrecord_texts  # TensorFlow only where it is needed

        return [Part(str(path), functools.partial(tfrecord_texts, path, column))]
    if kind == ".parquet":
        return _parquet_parts(path, column)
    if document == "line" or kind in _JSON:
        return [Part(str(lines), functools.partial(texts_of_lines, lines, column)) for lines in _line_ranges(path)]
    return [Part(str(path), functools.partial(_whole, path))]


def is_tfrecord(path: pathlib.Path) -> bool:
    return ".tfrecord" in path.name


def has_places(path: pathlib.Path, document: str) -> bool:
    """Whether a file can be read from any place on: uncompressed lines, plain or JSON."""
    if is_compressed(path) or is_tfrecord(path) or path.suffix == ".parquet":
        return False
    return document == "line" or path.suffix in _JSON


@dataclasses.dataclass(frozen=True)
class Lines:
    """The lines of a file that begin at the bytes `start` to `end`; 0 = to the end of the file."""

    path: pathlib.Path
    start: int = 0
    end: int = 0

    def __str__(self):
        return f"{self.path}, bytes {self.start} to {self.end}" if self.end else str(self.path)

    def __iter__(self) -> Iterator[tuple[int, str]]:
        """Number within these, and text without its end, of all lines with something in them."""
        with open_bytes(self.path) as file:
            position, number = _seek_line(file, self.start, self.end), 0
            while (not self.end or position < self.end) and (raw := file.readline(_LINE_BYTES + 1)):
                position += len(raw)
                number += 1
                if len(raw) > _LINE_BYTES:
                    raise UserError(
                        f"{self.place(number)} is longer than {_LINE_BYTES:,} bytes: write a document a line."
                    )
                try:
                    line = raw.decode("utf-8-sig" if number == 1 and not self.start else "utf-8").rstrip("\r\n")
                except UnicodeDecodeError as error:
                    place = f"{error.reason} on line {self._before() + number}"
                    raise UserError(f"{self.path} is not UTF-8 text ({place}): convert it to UTF-8.") from error
                if line.strip():
                    yield number, line

    def place(self, number: int) -> str:
        return f"{self.path}, line {self._before() + number}"

    def _before(self) -> int:
        """Lines before these: counted only when an error is to be told."""
        if not self.start:
            return 0
        with open_bytes(self.path) as file:
            left, count = _seek_line(file, self.start, self.end), 0
            file.seek(0)
            while left and (block := file.read(min(left, _BUFFER_BYTES))):
                left -= len(block)
                count += block.count(b"\n")
        return count


def _seek_line(file: BinaryIO, start: int, end: int) -> int:
    """Goes to the first line that begins at byte `start` or after it and says where, or to `end` or beyond."""
    position = max(start - 1, 0)
    file.seek(position)
    while start and position < end and (piece := file.readline(_BUFFER_BYTES)):
        position += len(piece)
        if piece.endswith(b"\n"):
            break
    return position


def _line_ranges(path: pathlib.Path) -> list[Lines]:
    try:
        size = 0 if is_compressed(path) else path.stat().st_size
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from error
    count = -(-size // _PART_BYTES)
    if count < 2:
        return [Lines(path)]
    ends = [size * index // count for index in range(count + 1)]
    return [Lines(path, start, end) for start, end in itertools.pairwise(ends)]


def texts_of_lines(lines: "Lines", column: str) -> Iterator[str]:
    """The documents of a stretch of a file of lines, plain or JSON."""
    if content_suffix(lines.path) in _JSON:
        yield from _json_texts(lines, column)
    else:
        yield from (line for _, line in lines)


def _whole(path: pathlib.Path) -> Iterator[str]:
    mend = "too long for one document, so cut it into several files, or set --config.document=line"
    yield read_text(path, _DOCUMENT_CHARACTERS, mend)


def json_object(line: str, lines: Lines, number: int) -> dict[str, Any]:
    """What a line of JSON lines holds."""
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        what = f"{error.msg} at character {error.colno}" if isinstance(error, json.JSONDecodeError) else error
        raise UserError(f"{lines.place(number)} is not JSON ({what}): write one object a line.") from error
    if not isinstance(record, dict):
        kind = type(record).__name__
        raise UserError(f"{lines.place(number)} is a JSON {kind}, no object: write one object a line.")
    return record


def _json_texts(lines: Lines, column: str) -> Iterator[str]:
    for number, line in lines:
        record = json_object(line, lines, number)
        if column not in record:
            raise no_column(lines.place(number), column, list(record))
        text = record[column]
        if type(text) is not str:
            text = checked(text, lines.place(number), column)
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise UserError(
                f"{lines.place(number)}: '{column}' has half of a surrogate pair: write it as UTF-8."
            ) from error
        yield text


def _parquet_parts(path: pathlib.Path, column: str) -> list[Part]:
    """Runs of row groups."""
    runs: list[list[int]] = []
    size = _PART_BYTES
    with parquet(path) as reading:
        for group in range(reading.file.num_row_groups):
            if size >= _PART_BYTES:
                runs.append([])
                size = 0
            runs[-1].append(group)
            size += reading.file.metadata.row_group(group).total_byte_size
    names = [f"{path}, row groups {run[0]} to {run[-1]}" for run in runs] if len(runs) > 1 else [str(path)]
    return [
        Part(name, functools.partial(_parquet_texts, path, column, run))
        for name, run in zip(names, runs or [[]], strict=True)
    ]


def _parquet_texts(path: pathlib.Path, column: str, groups: Sequence[int]) -> Iterator[str]:
    """Reads the one column, about a megabyte at a time."""
    with parquet(path) as reading:
        file = reading.file
        if column not in file.schema_arrow.names:
            raise no_column(str(path), column, file.schema_arrow.names)
        reading.row = sum(file.metadata.row_group(group).num_rows for group in range(min(groups, default=0)))
        try:
            for batch in file.iter_batches(batch_size=256, columns=[column], row_groups=list(groups)):
                for value in batch.column(0):
                    reading.row += 1
                    text = value.as_py()
                    yield text if type(text) is str else checked(text, f"{path}, row {reading.row}", column)
        except UnicodeDecodeError as error:
            raise UserError(
                f"{path}, row {reading.row}: '{column}' is not UTF-8 text ({error.reason}): write it as UTF-8."
            ) from error


@contextlib.contextmanager
def parquet(path: pathlib.Path) -> Iterator[types.SimpleNamespace]:
    """An open Parquet `file`; an error names the `row` that was reached."""
    if path.suffix != ".parquet":
        raise UserError(f"{path} is a compressed Parquet file, which cannot be read in pieces: decompress it.")
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise UserError(f"{path} is Parquet, which needs a package to be read: pip install pyarrow.") from error
    row = 0
    try:
        # By default the column is read in whole before the first row is there.
        with pyarrow.parquet.ParquetFile(path, pre_buffer=False, buffer_size=_BUFFER_BYTES) as file:
            reading = types.SimpleNamespace(file=file, row=0)
            try:
                yield reading
            finally:
                row = reading.row
    except (OSError, pyarrow.ArrowException, UnicodeDecodeError) as error:
        what = str(error).partition("\n")[0].rstrip(".")
        raise UserError(f"{path} cannot be read after row {row} ({what}): fetch or write it again.") from error


def no_column(place: str, column: str, columns: Sequence[str]) -> UserError:
    """The error of a record that has other columns."""
    found = ", ".join(columns)[:200] or "none"
    return UserError(f"{place} has no column '{column}' (it has: {found}): set --config.text_column.")


def checked(value: Any, place: str, column: str) -> str:
    """A text; a missing value is an empty one."""
    if value is not None and not isinstance(value, str):
        raise UserError(
            f"{place}: '{column}' is no text but {type(value).__name__} {repr(value)[:40]}: set --config.text_column to"
            " the column of the text."
        )
    return value or ""
