"""The documents of all components: read, told apart, and listed."""

import collections
import functools
import hashlib
import pathlib
import sys
from typing import Any, NamedTuple

import ml_collections
import numpy as np

from linkjax import __version__
from linkjax import config as configs
from linkjax.data.documents import Document, Documents
from linkjax.data.jsonl import read_jsonl
from linkjax.data.texts import MET_BEFORE, READ, left_out
from linkjax.errors import UserError
from linkjax.preparation import units
from linkjax.preparation.duplicates import met_before
from linkjax.preparation.runners import Runner
from linkjax.preparation.units import HELDOUT, IDS, Job, Reading
from linkjax.preparation.work import digest


class Corpus(NamedTuple):
    """The documents of a component.

    Attributes:
      files: with the number of documents in each.
      hashes: size and SHA-256 of each file.
      bytes: of the texts.
      documents: of the files.
      heldout: those kept out of training.
    """

    files: dict[pathlib.Path, int]
    hashes: dict[pathlib.Path, dict[str, Any]]
    bytes: int
    documents: Documents
    heldout: list[Document]


def read_corpora(config: ml_collections.ConfigDict, job: Job, runner: Runner, tasks: list) -> dict[str, Corpus]:
    """Reads all components.

    Raises:
      UserError: a source cannot be read, or has no documents.
    """
    readings = {task.name: _readings(config, job, task) for task in tasks}
    runner.run([reading for some in readings.values() for reading in some], "reading")
    return {task.name: _corpus(job, task, readings[task.name]) for task in tasks}


def _readings(config: ml_collections.ConfigDict, job: Job, task) -> list[Reading]:
    from linkjax.data import tasks as seqio_side

    shards = {
        split: seqio_side.shards(task, split) for split in ("train", "heldout") if split in seqio_side.splits(task)
    }
    sources = {split: list(map(_source, names)) for split, names in shards.items()}
    of = digest(__version__, configs.decisive_for_data(config), sources, job.cache_dirs)
    return [
        Reading(task.name, split, first, last, len(names), of)
        for split, names in shards.items()
        for first, last in units.stretches(len(names))
    ]


def _source(shard: str) -> list:
    """A shard's name, and of a file, or a part of one ('FILE, bytes 0 to 9'), its size and time."""
    for path in (pathlib.Path(shard), pathlib.Path(shard.rpartition(", ")[0])):
        if path.is_file():
            about = path.stat()
            return [shard, about.st_size, about.st_mtime_ns]
    return [shard]


def _corpus(job: Job, task, readings: list[Reading]) -> Corpus:
    work = job.work
    found = {split: [one for one in readings if one.split == split] for split in ("train", "heldout")}
    once = units.drops_duplicates(task)
    numbered = (
        ((reading.first, record["place"]), Document(record["id"], record["text"]))
        for reading in found["heldout"]
        for record in read_jsonl(work.path(reading.name) / HELDOUT)
    )
    heldout = _within(units.lowest_ids(numbered, units.HELDOUT_BYTES, once))
    pieces = {reading: reading.name for reading in found["train"]}
    dropped = _drop_duplicates(job, found["train"], {one.id for one in heldout}, pieces) if once else 0
    files, hashes, size = {}, {}, 0
    for name in pieces.values():
        record = work.read(name)
        for file, count in record["files"].items():
            files[work.path(name) / file] = count
            hashes[work.path(name) / file] = record["hashes"][file]
        size += record["bytes"]
    for split, some in found.items():
        _report(task.name, split, [work.read(reading.name) for reading in some], dropped if split == "train" else 0)
    if not files:
        raise UserError(f"the corpus of '{task.name}' has no documents for training: check its files.")
    return Corpus(files, hashes, size, Documents(files), heldout)


def _within(numbered: list[tuple[Any, Document]]) -> list[Document]:
    """What `lowest_ids` found, without the one more; a single document stays, however large."""
    total = sum(len(document.text.encode()) for _, document in numbered)
    if total <= units.HELDOUT_BYTES or len(numbered) == 1:
        return [document for _, document in numbered]
    return sorted(document for _, document in numbered)[:-1]


def _drop_duplicates(job: Job, readings: list[Reading], heldout: set[int], pieces: dict[Reading, str]) -> int:
    """Writes those readings again that have documents met before or held out; names them in `pieces`."""
    work, dropped = job.work, 0
    files = [work.path(reading.name) / IDS for reading in readings]
    for reading, drop in zip(readings, met_before(files, heldout), strict=True):
        if not drop.any():
            continue
        record = work.read(reading.name)
        name = f"{reading.name}-thinned"
        of = digest(record["hashes"], hashlib.sha256(np.packbits(drop)).hexdigest())
        if not work.is_whole(name, of):
            work.make(name, of, functools.partial(units.thin, reading, work.path(reading.name), record["files"], drop))
        pieces[reading] = name
        dropped += int(drop.sum())
    return dropped


def _report(component: str, split: str, records: list[dict], dropped: int) -> None:
    counts: collections.Counter[str] = collections.Counter()
    for record in records:
        counts.update(record["left_out"])
    counts[MET_BEFORE] += dropped
    if READ not in counts:
        counts[READ] = sum(sum(record.get("files", {}).values()) for record in records)
    if line := left_out(counts):
        print(f"{component}, {split}: {line}", file=sys.stderr)
