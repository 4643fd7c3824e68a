"""Rows of a benchmark's files: JSON lines, JSON lists, tables with tabs, Parquet. No TensorFlow here."""

import csv
import dataclasses
import pathlib
from collections.abc import Iterator, Sequence
from typing import Any

from linkjax.errors import UserError
from linkjax.files import content_suffix, open_bytes, parse_json, read_whole
from tasks.file_parts import Lines, json_object, parquet

_JSON_BYTES = 1 << 28  # of a list, which is read at once
_MEND = "docs/evaluation.md says which file belongs where"


@dataclasses.dataclass(frozen=True)
class Row:
    """One row, and where it stands."""

    place: str
    values: dict[str, Any]

    def wrong(self, what: str) -> UserError:
        """The error of a row that is not as published."""
        return UserError(f"{self.place}: {what} ({_MEND}).")

    def raw(self, *columns: str) -> Any:
        """The value of the first of some columns that is there."""
        for column in columns:
            if column in self.values:
                return self.values[column]
        found = ", ".join(map(str, self.values))[:200]
        raise self.wrong(f"no column '{columns[0]}' among {found or 'none'}")

    def text(self, *columns: str) -> str:
        """Text that is not blank."""
        text = self.text_or_blank(*columns)
        if not text.strip():
            raise self.wrong(f"'{columns[0]}' is empty")
        return text

    def text_or_blank(self, *columns: str) -> str:
        value = self.raw(*columns)
        return "" if value is None else self._text(value, columns[0])

    def identifier(self, column: str) -> str:
        """A number or text that names the row."""
        value = self.raw(column)
        return str(value) if type(value) is int else self.text(column)

    def texts(self, column: str) -> list[str]:
        """A list of texts."""
        values = self.raw(column)
        if not isinstance(values, list):
            raise self.wrong(f"'{column}' is {values!r:.40}, not a list of texts")
        return [self._text(value, column) for value in values]

    def labelled(self, *columns: str) -> tuple[list[str], list[str]]:
        """Texts and their labels: {'text': [...], 'label': [...]}, or [{'text', 'label'}, ...]."""
        value = self.raw(*columns)
        if isinstance(value, dict):
            inner = Row(self.place, value)
            texts, labels = inner.texts("text"), inner.texts("label")
        elif isinstance(value, list) and all(isinstance(one, dict) for one in value):
            texts = [Row(self.place, one).text_or_blank("text") for one in value]
            labels = [Row(self.place, one).text("label") for one in value]
        else:
            raise self.wrong(f"'{columns[0]}' is {value!r:.40}, not texts with labels")
        if len(texts) != len(labels):
            raise self.wrong(f"'{columns[0]}' has {len(texts)} texts and {len(labels)} labels")
        return texts, labels

    def one_of(self, known: Sequence[str], *columns: str) -> int:
        """The place, among the values a column may have, of the one it has."""
        value = self.raw(*columns)
        said = str(value).strip() if isinstance(value, str | int) and not isinstance(value, bool) else None
        if said not in list(known):
            raise self.wrong(f"'{columns[0]}' is {value!r:.40}, not one of {', '.join(known)}")
        return list(known).index(said)

    def _text(self, value: Any, column: str) -> str:
        if not isinstance(value, str):
            raise self.wrong(f"'{column}' is {value!r:.40}, not text")
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise self.wrong(f"'{column}' has half of a surrogate pair") from error
        return value


def read_rows(path: pathlib.Path, quoted: bool = True) -> Iterator[Row]:
    """The rows of a file, whose name says of which kind it is.

    Args: `quoted`, whether fields of a table may be in quotation marks.

    Raises:
      UserError: the file cannot be read, or is not of its kind.
    """
    kind = content_suffix(path)
    if kind == ".parquet":
        yield from _parquet_rows(path)
    elif kind == ".tsv":
        yield from _table_rows(path, quoted)
    elif kind in (".json", ".jsonl"):
        yield from _list_rows(path) if _begins_with(path, b"[") else _line_rows(path)
    else:
        raise UserError(f"{path} is neither .jsonl, .json, .tsv nor .parquet: {_MEND}.")


def _line_rows(path: pathlib.Path) -> Iterator[Row]:
    lines = Lines(path)
    for number, line in lines:
        yield Row(lines.place(number), json_object(line, lines, number))


def _list_rows(path: pathlib.Path) -> Iterator[Row]:
    values = parse_json(read_whole(path, _JSON_BYTES, "write it as JSON lines"), str(path))
    for number, value in enumerate(values, start=1):
        place = f"{path}, item {number}"
        if not isinstance(value, dict):
            raise UserError(f"{place} is a JSON {type(value).__name__}, no object: {_MEND}.")
        yield Row(place, value)


def _begins_with(path: pathlib.Path, mark: bytes) -> bool:
    with open_bytes(path) as file:
        return file.read(64).removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == mark


def _table_rows(path: pathlib.Path, quoted: bool) -> Iterator[Row]:
    lines = Lines(path)
    number = 0

    def numbered() -> Iterator[str]:
        nonlocal number
        for number, line in lines:  # noqa: B007 (told in errors)
            yield f"{line}\n"

    quoting = csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE
    table = csv.reader(numbered(), delimiter="\t", quoting=quoting)
    columns: list[str] | None = None
    try:
        for fields in table:
            if columns is None:
                columns = fields
            elif len(fields) != len(columns):
                raise UserError(f"{lines.place(number)} has {len(fields)} fields, not {len(columns)}: {_MEND}.")
            else:
                yield Row(lines.place(number), dict(zip(columns, fields, strict=True)))
    except csv.Error as error:
        raise UserError(f"{lines.place(number)} is no row of a table ({error}): {_MEND}.") from error


def _parquet_rows(path: pathlib.Path) -> Iterator[Row]:
    with parquet(path) as reading:
        for batch in reading.file.iter_batches(batch_size=256):
            try:
                values = batch.to_pylist()
            except UnicodeDecodeError as error:
                place = f"{path}, rows {reading.row + 1} to {reading.row + batch.num_rows}"
                raise UserError(f"{place} are not UTF-8 text ({error.reason}): write them as UTF-8.") from error
            for value in values:
                reading.row += 1
                yield Row(f"{path}, row {reading.row}", value)
