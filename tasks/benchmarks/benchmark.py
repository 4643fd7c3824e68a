"""What a benchmark is: which files it reads, and how a row becomes an item to rank."""

import dataclasses
import glob
import pathlib
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from linkjax.errors import UserError
from tasks.benchmarks.rows import Row, read_rows
from tasks.benchmarks.tfds_rows import Tfds

LANGUAGE = "[a-z]{2,3}(_[A-Z][a-z]{3})?"  # of data sets that anybody may translate


@dataclasses.dataclass(frozen=True)
class Question:
    """A row as a question to rank.

    Attributes:
      prompt: what all choices follow, or where the context differs, one for each choice.
      choices: what is scored, with its leading space.
      answer: index of the right one.
      id: the benchmark's own, where it has one; unique within its split.
      cluster: questions of one cluster are not independent; '' = each is.
    """

    prompt: str | Sequence[str]
    choices: Sequence[str]
    answer: int
    id: str = ""
    cluster: str = ""


@dataclasses.dataclass(frozen=True)
class Benchmark:
    """A benchmark of one or more languages.

    Attributes:
      name: its tasks are NAME_LANGUAGE, or NAME alone for `english`.
      question: makes one of a row and the language; None leaves the row out.
      files: 'test', and 'validation' for tuning and for examples -> the names its files may have, as globs with
        {language}; the first that is there is read. The first split has to be there.
      languages: those it has, or a pattern of their codes; '' = none but English.
      english: whether NAME alone is a task too.
      english_files: as `files`, for NAME alone, where they differ.
      folder: that its files are in, if not NAME.
      quoted: whether fields of its .tsv files may be in quotation marks.
      tfds: what is read where there are no such files: of NAME alone, or where that is no task, of all languages.
    """

    name: str
    question: Callable[[Row, str], Question | None]
    files: Mapping[str, Sequence[str]]
    languages: Sequence[str] | str
    english: bool = False
    english_files: Mapping[str, Sequence[str]] | None = None
    folder: str = ""
    quoted: bool = True
    tfds: Tfds | None = None

    def has(self, language: str) -> bool:
        if not isinstance(self.languages, str):
            return language in self.languages
        return re.fullmatch(self.languages, language) is not None

    def items(self, folder: pathlib.Path, language: str) -> Iterator[dict[str, Any]]:
        """The items of all splits, from the files under FOLDER/NAME; '' is the language of NAME alone.

        Raises:
          UserError: a file is missing, or not as it is published.
        """
        files = self.english_files if not language and self.english_files else self.files
        found = {split: self._find(folder, language, patterns) for split, patterns in files.items()}
        if found[next(iter(files))]:
            for split, paths in found.items():
                if paths:
                    rows = (row for path in paths for row in read_rows(path, self.quoted))
                    yield from self._split_items(rows, str(paths[0]), split, language)
            return
        tfds = self.tfds if not language or not self.english else None
        if built := tfds and tfds.find(folder, language):
            for split in tfds.splits:
                yield from self._split_items(tfds.rows(built, split, language), str(built), split, language)
            return
        task = f"{self.name}_{language}".rstrip("_")
        known = " or ".join(pattern.format(language=language) for pattern in files[next(iter(files))])
        known += f"; or ../{tfds.folder.format(language=language)} of TFDS" if tfds else ""
        raise UserError(
            f"{folder / (self.folder or self.name)} has no file for {task} (looked for {known}): set evaluation_data to"
            " the folder above it; docs/evaluation.md says where the files come from."
        )

    def _find(self, folder: pathlib.Path, language: str, patterns: Sequence[str]) -> list[pathlib.Path]:
        root = glob.escape(str(folder / (self.folder or self.name)))
        for pattern in patterns:
            if paths := sorted(glob.glob(f"{root}/{pattern.format(language=language)}")):
                return [pathlib.Path(path) for path in paths]
        return []

    def _split_items(self, rows: Iterable[Row], where: str, split: str, language: str) -> Iterator[dict[str, Any]]:
        places: dict[str, str] = {}
        count = equal = blank = 0
        for row in rows:
            count += 1
            question = self.question(row, language)
            if question is None:
                blank += 1
                continue
            item = _item(question, row, split, language or "en", count)
            if item["id"] in places:
                raise row.wrong(f"the id {question.id!r:.80} is already that of {places[item['id']]}")
            places[item["id"]] = row.place
            if len(set(zip(_prompts(item), item["choices"], strict=True))) < len(item["choices"]):
                equal += 1  # nobody can tell them apart
                continue
            yield item
        if count == equal + blank:
            raise UserError(f"{where} has no question in it: fetch it again (docs/evaluation.md).")
        if equal or blank:
            print(
                f"{self.name}, {split}: {equal + blank:,} of {count:,} rows left out ({equal:,} with equal choices,"
                f" {blank:,} without text): {where}",
                file=sys.stderr,
            )


def hub(split: str, config: str = "{language}") -> tuple[str, ...]:
    """Names of a data set's files: Parquet that the Hugging Face hub converts to, or stores; else CONFIG/SPLIT.KIND."""
    named = (f"{config}/{split}{kind}" for kind in (".jsonl", ".json", ".tsv"))
    return f"{config}/{split}/*.parquet", f"{config}/{split}-*.parquet", *named


def spaced(choices: Sequence[str]) -> list[str]:
    """Choices after lm-evaluation-harness's usual delimiter."""
    return [f" {choice}" for choice in choices]


def _item(question: Question, row: Row, split: str, group: str, number: int) -> dict[str, Any]:
    shared = isinstance(question.prompt, str)
    for choice in question.choices:
        if not choice.strip():
            raise row.wrong("a choice is empty")
    if len(question.choices) < 2 or not 0 <= question.answer < len(question.choices):
        raise row.wrong(f"answer {question.answer} is none of {len(question.choices)} choices")
    identifier = f"{split}-{question.id or number}"
    return {
        "id": identifier,
        "group": group,
        "cluster": question.cluster or identifier,
        "split": split,
        **({"prompt": question.prompt} if shared else {"prompts": list(question.prompt)}),
        "choices": list(question.choices),
        "answer": question.answer,
    }


def _prompts(item: dict[str, Any]) -> list[str]:
    return item.get("prompts") or [item["prompt"]] * len(item["choices"])
