"""A user's own text files: which they are, and their documents. No TensorFlow here."""

import collections
import dataclasses
import glob
import json
import pathlib
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from tqdm import tqdm

from linkjax.data.documents import document_id
from linkjax.errors import UserError
from linkjax.files import content_suffix, open_bytes, open_text
from linkjax.settings import setting

_LINE_BYTES = 1 << 26
_BUFFER_BYTES = 1 << 20


@dataclasses.dataclass(frozen=True)
class LocalTextSettings:
    """Files of a run on a user's own text. Paths are globs; several are separated by commas."""

    english: str = setting("", "English text files (docs/data.md), e.g. 'en/*.txt,more.jsonl.gz,web/*.parquet'")
    target: str = setting("", "target-language text files, e.g. 'sw/*.txt' or '{language}/*.txt'")
    target_language: str = setting("", "code of the target language, e.g. sw; several are separated by commas")
    target_rate: float = setting(0.1, "share of the training tokens that is target-language text, of all languages")
    document: str = setting("line", "what is a document of plain text: a line or a file")
    text_column: str = setting("text", "column of JSON lines and Parquet files that has the text")
    minimum_characters: int = setting(0, "shorter documents are left out")
    maximum_characters: int = setting(0, "longer documents are left out; 0 = no limit")
    drop_duplicates: bool = setting(False, "leave out texts met before; takes about 100 bytes of memory a document")
    heldout_share: float = setting(0.02, "share of the documents kept for bits per byte, where no files are given")
    english_heldout: str = setting("", "English files for bits per byte, in place of a share")
    target_heldout: str = setting("", "target-language files for bits per byte, in place of a share")
    lexicon: str = setting("", "bilingual word list of any format of docs/lexicons.md, e.g. 'en-{language}.tsv'")

    def __post_init__(self):
        for name in ("english", "target", "target_language", "lexicon"):
            if not getattr(self, name):
                raise UserError(f"{name} is not given: set --config.{name}=...")
        if self.document not in ("line", "file"):
            raise UserError(f"document is '{self.document}': choose line or file.")
        if not self.text_column:
            raise UserError("text_column is empty: name the column that has the text.")
        if self.minimum_characters < 0:
            raise UserError(f"minimum_characters is {self.minimum_characters}: choose 0 or more.")
        if self.maximum_characters and self.maximum_characters < max(self.minimum_characters, 1):
            raise UserError(
                f"maximum_characters is {self.maximum_characters}: choose 0 (no limit) or at least"
                f" minimum_characters ({self.minimum_characters})."
            )
        if not 0 < self.target_rate < 1:
            raise UserError(f"target_rate is {self.target_rate}: it is a share, choose between 0 and 1.")
        if not 0 <= self.heldout_share < 1:
            raise UserError(f"heldout_share is {self.heldout_share}: it is a share, choose from 0 to below 1.")
        if "en" in self.languages:
            raise UserError("target_language is 'en': name the language of --config.target.")
        if len(self.languages) > 1:
            for name in ("target", "lexicon", "target_heldout"):
                if getattr(self, name) and "{language}" not in getattr(self, name):
                    raise UserError(
                        f"{name} is '{getattr(self, name)}' for the languages {self.target_language}: write"
                        " '{language}' where their paths differ."
                    )

    @property
    def languages(self) -> list[str]:
        """The target languages."""
        return [language.strip() for language in self.target_language.split(",") if language.strip()]


@dataclasses.dataclass(frozen=True)
class LocalText:
    """The documents of some files, split by their ids or by file. The fields are those of `LocalTextSettings`."""

    name: str
    files: Sequence[pathlib.Path]
    heldout_files: Sequence[pathlib.Path]
    document: str
    heldout_share: float
    text_column: str = "text"
    minimum_characters: int = 0
    maximum_characters: int = 0
    drop_duplicates: bool = False

    def documents(self, split: str) -> Iterator[str]:
        """Documents with something in them. A text that is held out is nowhere in training, whatever the file.

        What is left out is counted, and told on standard error at the end.
        """
        counts: collections.Counter[str] = collections.Counter()
        if not self.heldout_files:
            for identifier, text in self._chosen(self.files, counts):
                if (identifier < self.heldout_share * 2**64) == (split == "heldout"):
                    yield text
        elif split == "heldout":
            yield from (text for _, text in self._chosen(self.heldout_files, counts))
        else:
            heldout = {identifier for identifier, _ in self._chosen(self.heldout_files, collections.Counter())}
            for identifier, text in self._chosen(self.files, counts):
                if identifier in heldout:
                    counts["held out"] += 1
                else:
                    yield text
        if self.heldout_files or split == "train":  # a share is of the same files, whose counts were told
            self._report(split, counts)

    def _chosen(self, files: Sequence[pathlib.Path], counts: collections.Counter[str]) -> Iterator[tuple[int, str]]:
        """Ids and texts of the documents that the settings let in; the rest is counted by reason."""
        met: set[int] = set()
        for text in (text for path in files for text in _texts(path, self.document, self.text_column)):
            counts["read"] += 1
            identifier = document_id(self.name, text.encode())
            if not text.strip():
                counts["without text"] += 1
            elif len(text) < self.minimum_characters:
                counts[f"shorter than {self.minimum_characters:,} characters"] += 1
            elif 0 < self.maximum_characters < len(text):
                counts[f"longer than {self.maximum_characters:,} characters"] += 1
            elif identifier in met:
                counts["met before"] += 1
            else:
                if self.drop_duplicates:
                    met.add(identifier)
                yield identifier, text

    def _report(self, split: str, counts: collections.Counter[str]) -> None:
        read = counts.pop("read", 0)
        if counts:
            reasons = ", ".join(f"{count:,} {reason}" for reason, count in counts.items())
            line = f"{self.name}, {split}: {counts.total():,} of {read:,} documents left out ({reasons})"
            tqdm.write(line, file=sys.stderr)  # beside the progress bar of `prepare`


def _texts(path: pathlib.Path, document: str, column: str) -> Iterator[str]:
    """The documents of one file, of the kind that its name says; a blank line is none."""
    kind = content_suffix(path)
    if kind == ".parquet":
        yield from _parquet_texts(path, column)
    elif kind in (".jsonl", ".json"):
        yield from _json_texts(path, column)
    elif document == "line":
        yield from (line for _, line in _lines(path))
    else:
        with open_text(path) as file:
            yield file.read()


def _lines(path: pathlib.Path) -> Iterator[tuple[int, str]]:
    """Number and text, without its end, of all lines with something in them."""
    with open_bytes(path) as file:
        number = 0
        while raw := file.readline(_LINE_BYTES + 1):
            number += 1
            if len(raw) > _LINE_BYTES:
                raise UserError(f"{path}, line {number} is longer than {_LINE_BYTES:,} bytes: write a document a line.")
            try:
                line = raw.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
            except UnicodeDecodeError as error:
                raise UserError(
                    f"{path} is not UTF-8 text ({error.reason} on line {number}): convert it to UTF-8."
                ) from error
            if line.strip():
                yield number, line


def _json_texts(path: pathlib.Path, column: str) -> Iterator[str]:
    for number, line in _lines(path):
        place = f"{path}, line {number}"
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            what = f"{error.msg} at character {error.colno}" if isinstance(error, json.JSONDecodeError) else error
            raise UserError(f"{place} is not JSON ({what}): write one object a line.") from error
        if not isinstance(record, dict):
            raise UserError(f"{place} is a JSON {type(record).__name__}, no object: write one object a line.")
        if column not in record:
            raise _no_column(place, column, record)
        text = _checked(record[column], place, column)
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise UserError(f"{place}: '{column}' has half of a surrogate pair: write it as UTF-8.") from error
        yield text


def _parquet_texts(path: pathlib.Path, column: str) -> Iterator[str]:
    """Reads the one column, about a megabyte at a time."""
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
            if column not in file.schema_arrow.names:
                raise _no_column(str(path), column, file.schema_arrow.names)
            for batch in file.iter_batches(batch_size=256, columns=[column]):
                for value in batch.column(0):
                    row += 1
                    yield _checked(value.as_py(), f"{path}, row {row}", column)
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path}, row {row}: '{column}' is not UTF-8 text ({error.reason}): write it as UTF-8."
        ) from error
    except (OSError, pyarrow.ArrowException) as error:
        what = str(error).partition("\n")[0].rstrip(".")
        raise UserError(f"{path} cannot be read after row {row} ({what}): fetch or write it again.") from error


def _no_column(place: str, column: str, columns: Sequence[str]) -> UserError:
    found = ", ".join(columns)[:200] or "none"
    return UserError(f"{place} has no column '{column}' (it has: {found}): set --config.text_column.")


def _checked(value: Any, place: str, column: str) -> str:
    """A text; a missing value is an empty one."""
    if value is not None and not isinstance(value, str):
        raise UserError(
            f"{place}: '{column}' is no text but {type(value).__name__} {repr(value)[:40]}: set --config.text_column to"
            " the column of the text."
        )
    return value or ""


def find_files(patterns: str, name: str) -> tuple[pathlib.Path, ...]:
    """Files of comma-separated globs, sorted.

    Raises:
      UserError: a pattern matches no file.
    """
    found: dict[pathlib.Path, None] = {}
    for pattern in filter(None, patterns.split(",")):
        paths = [pathlib.Path(path) for path in sorted(glob.glob(pattern.strip(), recursive=True))]
        files = [path for path in paths if path.is_file()]
        if not files:
            raise UserError(f"no file matches '{pattern.strip()}' (for {name}): check the path.")
        found |= dict.fromkeys(files)
    return tuple(found)
