"""Units of work that any process can do: a stretch of a source is read, a file of documents is counted."""

import collections
import dataclasses
import functools
import heapq
import io
import pathlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from linkjax import config as configs
from linkjax.data.documents import Document, Documents, write_documents
from linkjax.data.jsonl import write_jsonl
from linkjax.data.tokenizer import load_tokenizer
from linkjax.errors import UserError
from linkjax.lexicon import read_lexicon
from linkjax.lexicon.coverage import count_parts, parts_of
from linkjax.preparation.partial import FOLDER, WORK
from linkjax.preparation.registered import Registered, register
from linkjax.preparation.work import Work
from linkjax.substitution import Substitution

HELDOUT_BYTES = 1_000_000  # of a component, so that evaluating as it goes stays cheap
IDS, HELDOUT = "ids.npy", "heldout.jsonl"
_FEW_UNITS, _SHARDS_PER_UNIT, _MOST_UNITS = 64, 16, 1024
_BLOCK = 1 << 20  # characters counted together

Progress = Callable[[Iterable, str], Iterable]


@dataclasses.dataclass(frozen=True)
class Job:
    """What every worker is told.

    Attributes:
      config: of the run, as JSON.
      partial: the folder that is filled; all workers see it under this path.
      cache_dirs: of SeqIO.
    """

    config: str
    partial: pathlib.Path
    cache_dirs: tuple[str, ...] = ()

    @property
    def work(self) -> Work:
        return Work(self.partial / WORK)

    def register(self) -> Registered:
        return register(configs.from_text(self.config), self.cache_dirs)


@dataclasses.dataclass(frozen=True)
class Reading:
    """Shards `first` to `last` of the `count` of a split, as document files, or as the part of them held out."""

    component: str
    split: str
    first: int
    last: int
    count: int
    of: str

    @property
    def name(self) -> str:
        return f"{self.component}-{self.split}-{self.first:06d}"

    @property
    def stem(self) -> str:
        whole = self.first == 0 and self.last == self.count
        return self.component if whole else f"{self.component}-{self.first:06d}"

    def fill(self, job: Job, registered: Callable[[], Registered], progress: Progress, folder: pathlib.Path) -> dict:
        task = registered().task(self.component)
        counts: collections.Counter[str] = collections.Counter()
        documents = progress(self._documents(task, counts), f"reading {self.component}")
        if self.split == "heldout":
            kept = lowest_ids(enumerate(documents), HELDOUT_BYTES, once=drops_duplicates(task))
            write_jsonl(({"place": place, **one._asdict()} for place, one in kept), folder / HELDOUT)
            return {"left_out": counts}
        ids = _Ids()
        files = write_documents(ids.noted(documents), folder, self.stem)
        stored = io.BytesIO()  # into a file NumPy writes without saying what went wrong
        np.save(stored, ids.array())
        (folder / IDS).write_bytes(stored.getbuffer())
        return {"files": files, "bytes": ids.bytes, "left_out": counts}

    def _documents(self, task: Any, counts: collections.Counter[str]) -> Iterator[Document]:
        from linkjax.data import tasks as seqio_side

        if len(seqio_side.shards(task, self.split)) != self.count:
            raise UserError(f"the source of '{self.component}' has changed while it was read: start again.")
        for shard in range(self.first, self.last):
            yield from seqio_side.documents(task, self.split, shard, self.count, counts)


def thin(reading: Reading, source: pathlib.Path, files: dict[str, int], drop: np.ndarray, folder: pathlib.Path) -> dict:
    """Writes the documents of a reading again, less those that are marked in `drop`."""
    ids = _Ids()
    documents = Documents({source / name: count for name, count in files.items()})
    kept = (document for document, gone in zip(documents, drop.tolist(), strict=True) if not gone)
    return {"files": write_documents(ids.noted(kept), folder, reading.stem), "bytes": ids.bytes}


@dataclasses.dataclass(frozen=True)
class Counting:
    """Tokens of a file of documents, and how often words of the lexicons are in it.

    Attributes:
      path: of the file, within `work`.
      documents: how many it has.
      sha256: of the file.
      tools: hash of the tokenizer and the lexicons.
      swapped: languages whose lexicons are swapped into it.
      written: languages that it is text of, and has a lexicon for.
    """

    component: str
    path: str
    documents: int
    sha256: str
    tools: str
    swapped: tuple[str, ...]
    written: tuple[str, ...]

    @property
    def of(self) -> str:
        return f"{self.sha256} {self.tools}"

    @property
    def name(self) -> str:
        return f"{pathlib.PurePath(self.path).name}-counted"

    def fill(self, job: Job, registered: Callable[[], Registered], progress: Progress, folder: pathlib.Path) -> dict:
        del registered, folder
        tools = _tools(job.partial / FOLDER, self.tools)
        corpus = Documents({job.work.folder / self.path: self.documents})
        tokens = 0
        entries = {language: collections.Counter() for language in self.swapped}
        words = {language: collections.Counter() for language in self.written}
        for texts in _blocks(progress(corpus, f"counting {self.component}")):
            tokens += tools.tokens(texts)
            for language, counts in entries.items():
                counts.update(tools.substitution(language).entry_counts(texts))
            for language, counts in words.items():
                counts.update(count_parts(texts, tools.target_parts(language)))
        return {"tokens": tokens, "entries": entries, "words": words}


class _Tools:
    """Tokenizer and lexicons of the folder that is filled."""

    def __init__(self, folder: pathlib.Path):
        self._folder = folder
        self._tokenizer = load_tokenizer(folder)
        self._lexicon = functools.cache(lambda language: read_lexicon(folder / f"lexicons/{language}.tsv"))
        self.substitution = functools.cache(lambda language: Substitution(self._lexicon(language)))
        self.target_parts = functools.cache(self._target_parts)

    def tokens(self, texts: list[str]) -> int:
        """Tokens of some texts, with an EOS each."""
        return len(texts) + self._tokenizer.count(texts)

    def _target_parts(self, language: str) -> frozenset[str]:
        entries = self._lexicon(language).entries.values()
        return frozenset(part for texts in entries for text in texts for part in parts_of(text))


@functools.lru_cache(maxsize=1)
def _tools(folder: pathlib.Path, versions: str) -> _Tools:
    del versions  # hashes of what is read: a folder filled anew has others
    return _Tools(folder)


class _Ids:
    """Ids and bytes of documents that go by."""

    def __init__(self):
        self._parts: list[np.ndarray] = []
        self._recent: list[int] = []
        self.bytes = 0

    def noted(self, documents: Iterable[Document]) -> Iterator[Document]:
        for document in documents:
            self._recent.append(document.id)
            self.bytes += len(document.text.encode())
            if len(self._recent) == 1 << 16:
                self._settle()
            yield document

    def array(self) -> np.ndarray:
        self._settle()
        return np.concatenate(self._parts)

    def _settle(self) -> None:
        self._parts.append(np.array(self._recent, np.uint64))
        self._recent = []


def lowest_ids(documents: Iterable[tuple[int, Document]], size: int, once: bool = False) -> list[tuple[int, Document]]:
    """Of numbered documents those of the lowest ids (a fair draw) that fit into `size` bytes, and one more, in order.

    The one more tells that there were others. With `once` equal documents count as one.
    """
    heap: list[tuple[int, str, int]] = []  # the highest id first
    total, met = 0, set()
    for place, (identifier, text) in documents:
        if once and identifier in met:
            continue
        met.add(identifier)
        heapq.heappush(heap, (-identifier, text, place))
        total += len(text.encode())
        while total - (highest := len(heap[0][1].encode())) > size:
            total -= highest
            met.discard(-heapq.heappop(heap)[0])
    return sorted((place, Document(-negative, text)) for negative, text, place in heap)


def drops_duplicates(task: Any) -> bool:
    """Whether documents met before are to be left out of a task's."""
    return getattr(task.source, "drop_duplicates", False)


def stretches(count: int) -> list[tuple[int, int]]:
    """How `count` shards are shared out: one a unit, or several where they are many. By their number alone."""
    units = min(count, max(_FEW_UNITS, min(count // _SHARDS_PER_UNIT, _MOST_UNITS)))
    return [(count * unit // units, count * (unit + 1) // units) for unit in range(units)]


def _blocks(documents: Iterable[Document]) -> Iterator[list[str]]:
    texts, size = [], 0
    for document in documents:
        texts.append(document.text)
        size += len(document.text) + 1
        if size >= _BLOCK:
            yield texts
            texts, size = [], 0
    if texts:
        yield texts
