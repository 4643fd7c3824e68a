"""A prepared folder's text with its words swapped, written out for any other trainer.

FOLDER/COMPONENT.jsonl (or .parquet, .txt) and FOLDER/counts.json: what was swapped, and by which settings.
"""

import contextlib
import dataclasses
import itertools
import json
import pathlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from linkjax.data.documents import Document
from linkjax.data.pipeline import make_substitution, swaps_words
from linkjax.data.prepared import Prepared
from linkjax.errors import UserError
from linkjax.substitution import LinkSettings, Substituted, Substitution

FORMATS = {"jsonl": ".jsonl", "parquet": ".parquet", "text": ".txt"}


def export(
    prepared: Prepared,
    link: LinkSettings,
    folder: pathlib.Path,
    kind: str,
    pass_index: int,
    progress: Callable[[Iterable, str], Iterable],
) -> dict[str, Any]:
    """Writes all components into `folder` and returns the counts.

    Args:
      prepared: where the documents are.
      link: settings of the swaps.
      folder: exists and is empty.
      kind: of `FORMATS`.
      pass_index: which pass over the corpus: each has swaps of its own.
      progress: wraps the documents of a component, named.

    Raises:
      UserError: a document cannot be written in this format.
    """
    substitution = make_substitution(prepared, link)
    counts: dict[str, Any] = {
        "settings": dataclasses.asdict(link),
        "lexicons": prepared.lexicon_hashes,
        "components": {},
    }
    for component in prepared.components:
        name = component["name"]
        documents = progress(prepared.documents(component), f"writing {name}")
        here = substitution if swaps_words(component) else None
        found = _Counts()
        with _WRITERS[kind](folder / f"{name}{FORMATS[kind]}") as write:
            for document, done in _substituted(documents, here, pass_index):
                write(document, done)
                found.add(done)
        counts["components"][name] = {"language": component["language"], **found.report()}
    (folder / "counts.json").write_text(json.dumps(counts, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return counts


def _substituted(
    documents: Iterable[Document], substitution: Substitution | None, pass_index: int
) -> Iterator[tuple[Document, Substituted]]:
    if substitution is None:
        return ((document, Substituted(document.text, (), 0, 0)) for document in documents)
    documents, again = itertools.tee(documents)
    return zip(documents, substitution.documents(again, pass_index), strict=True)


class _Counts:
    def __init__(self):
        self._sums = dict.fromkeys(("documents", "words", "eligible_words", "swaps", "identical_swaps"), 0)
        self._targets: set[str] = set()

    def add(self, done: Substituted) -> None:
        new = [done.text[start:end] for start, end, _ in done.spans]
        self._targets.update(new)
        identical = sum(text == span.original for text, span in zip(new, done.spans, strict=True))
        added = (1, done.words, done.eligible, len(new), identical)
        for name, count in zip(self._sums, added, strict=True):
            self._sums[name] += count

    def report(self) -> dict[str, int]:
        return {**self._sums, "distinct_targets": len(self._targets)}


@contextlib.contextmanager
def _jsonl(path: pathlib.Path):
    with path.open("w", encoding="utf-8") as file:
        yield lambda document, done: file.write(json.dumps(_record(document, done), ensure_ascii=False) + "\n")


@contextlib.contextmanager
def _text(path: pathlib.Path):
    """One document a line."""

    def write(document: Document, done: Substituted) -> None:
        if "\n" in done.text or "\r" in done.text:
            raise UserError(
                f"document {document.id:016x} of {path.stem} has several lines, and text has one document a line:"
                " choose --format=jsonl or parquet."
            )
        file.write(done.text + "\n")

    with path.open("w", encoding="utf-8", newline="\n") as file:
        yield write


@contextlib.contextmanager
def _parquet(path: pathlib.Path):
    try:
        import pyarrow
        import pyarrow.parquet
    except ModuleNotFoundError as error:
        raise UserError("writing Parquet needs pyarrow: pip install pyarrow, or choose --format=jsonl.") from error
    swap = pyarrow.struct([("start", pyarrow.int32()), ("end", pyarrow.int32()), ("original", pyarrow.string())])
    columns = {"id": pyarrow.string(), "text": pyarrow.string(), "swaps": pyarrow.list_(swap)}
    schema = pyarrow.schema(list(columns.items()))
    waiting: list[dict] = []

    def flush() -> None:
        writer.write_table(pyarrow.Table.from_pylist(waiting, schema))
        waiting.clear()

    def write(document: Document, done: Substituted) -> None:
        waiting.append(_record(document, done))
        if len(waiting) == 10_000:
            flush()

    with pyarrow.parquet.ParquetWriter(path, schema) as writer:
        yield write
        flush()


_WRITERS = {"jsonl": _jsonl, "parquet": _parquet, "text": _text}


def _record(document: Document, done: Substituted) -> dict[str, Any]:
    return {"id": f"{document.id:016x}", "text": done.text, "swaps": [span._asdict() for span in done.spans]}
