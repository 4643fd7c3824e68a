"""Metrics on disk: one JSON object a step, and the same curves for TensorBoard."""

import contextlib
import errno
import json
import math
import os
import pathlib
import shutil
import sys
import time
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from tensorboardX.event_file_writer import EventsWriter
from tensorboardX.proto.event_pb2 import Event
from tensorboardX.proto.summary_pb2 import Summary

from linkjax.errors import UserError
from linkjax.files import open_bytes
from linkjax.training.run_files import sync_folder, write_whole, writing

JSONL = "metrics.jsonl"
_LINE_BYTES = 1 << 20
_BOARD_EVERY = 30.0  # seconds between writes of TensorBoard's file

Record = Mapping[str, float | int | None]


class MetricsLog:
    """Writes `metrics.jsonl` and TensorBoard events into a run's folder; each step exactly once."""

    def __init__(self, folder: pathlib.Path, last_step: int):
        """Keeps what is on disk up to `last_step` and drops the rest: steps that will be run again.

        Damaged lines among them are left out with a warning, and the file as it was is kept beside it.

        Raises:
          UserError: the folder is full, read-only or gone; `write`, `sync` and `close` raise it too.
        """
        self._path = folder / JSONL
        with writing(self._path):
            kept = _cut_back(self._path, last_step)
            self._file = self._path.open("ab", buffering=0)  # a line is on its way to disk once it is written
        sync_folder(folder)
        self._board = _Board(folder / "tensorboard")
        for record in kept:
            self._board.write(record)

    def write(self, step: int, metrics: Record) -> None:
        """Adds a step; values that are not finite become null."""
        record = {"step": step, **{name: finite(value) for name, value in metrics.items()}}
        line = memoryview(json.dumps(record).encode() + b"\n")
        with writing(self._path):
            if not os.path.samestat(os.stat(self._path), os.fstat(self._file.fileno())):
                raise OSError(errno.ESTALE, "another file is in its place")
            while line:  # a disk that is nearly full takes a part
                line = line[self._file.write(line) :]
        self._board.write(record)

    def sync(self) -> None:
        """Puts all that was written on disk: to be called before the checkpoint of its last step is whole."""
        with writing(self._path):
            os.fsync(self._file.fileno())

    def close(self) -> None:
        self._board.close()
        with writing(self._path):
            self._file.close()


def read_metrics(folder: pathlib.Path) -> list[dict]:
    """The records of a run's `metrics.jsonl`; a last line that a crash cut off is left out.

    Raises:
      UserError: another line is damaged.
    """
    path = folder / JSONL
    lines = list(_read(path))
    if lines and lines[-1].record is None:
        lines.pop()
    for number, line in enumerate(lines, start=1):
        if line.record is None:
            raise UserError(f"{path}, line {number} is not a step after the one before: mend it or take it out.")
    return [line.record for line in lines]


def mean_of_last(records: list[dict], name: str, count: int) -> float | None:
    """Mean of a metric over those of the last `count` steps that have it."""
    values = [record[name] for record in records[-count:] if record.get(name) is not None]
    return sum(values) / len(values) if values else None


class _Line(NamedTuple):
    text: bytes
    record: dict[str, Any] | None  # None: damaged


def _read(path: pathlib.Path, last_step: float = math.inf) -> Iterator[_Line]:
    """Steps beyond `last_step` say nothing of those that follow."""
    if not path.exists():
        return
    before = 0
    with open_bytes(path) as file:
        while text := file.readline(_LINE_BYTES):
            record = _parsed(text)
            if record and record["step"] <= before:
                record = None
            if record and record["step"] <= last_step:
                before = record["step"]
            yield _Line(text, record)


def _parsed(text: bytes) -> dict[str, Any] | None:
    try:
        record = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) and type(record.get("step")) is int and _numbers(record) else None


def _numbers(record: dict[str, Any]) -> bool:
    return all(
        name.isprintable()  # half of a surrogate pair is not, and cannot be written
        and (value is None or isinstance(value, float) or (isinstance(value, int) and abs(value) < 2**63))
        for name, value in record.items()
    )


def _cut_back(path: pathlib.Path, last_step: int) -> list[dict[str, Any]]:
    """Leaves the steps up to `last_step` in the file and returns them."""
    lines = list(_read(path, last_step))
    if lines and lines[-1].record is None:
        lines.pop()
    while lines and lines[-1].record and lines[-1].record["step"] > last_step:
        lines.pop()
    kept = [line.record for line in lines if line.record and line.record["step"] <= last_step]
    damaged = [n for n, line in enumerate(lines, start=1) if not line.record or line.record["step"] > last_step]
    if damaged:
        copy = path.with_name(f"{path.name}.broken-{time.strftime('%Y%m%d-%H%M%S')}")
        shutil.copyfile(path, copy)
        write_whole(path, "".join(json.dumps(record) + "\n" for record in kept))
        _warn(f"{path} was damaged (line {damaged[0]}); the lines that are whole were kept, all of it is in {copy}")
    elif path.exists():
        os.truncate(path, sum(len(line.text) for line in lines))
        if lines and not lines[-1].text.endswith(b"\n"):
            with path.open("ab") as file:
                file.write(b"\n")
    # The last one may have been left to be evaluated, and written, by who goes on.
    if missing := sorted(set(range(1, last_step)) - {record["step"] for record in kept}):
        _warn(f"{path} lacks {len(missing)} of the {last_step} steps before, the first is {missing[0]}")
    return kept


class _Board:
    """TensorBoard's copy of the metrics: where it cannot be written, the run goes on without it.

    Written here and not by tensorboardX's `SummaryWriter`: when its thread meets an error, the queue before it fills
    up and the run waits for ever.
    """

    def __init__(self, folder: pathlib.Path):
        self._folder = folder
        self._writer: EventsWriter | None = None
        with self._or_without():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(exist_ok=True)
            self._writer = EventsWriter(str(folder / "events"))
            self._writer.flush()
        self._flushed = time.monotonic()

    def write(self, record: Record) -> None:
        if self._writer is None:
            return
        values = [
            Summary.Value(tag=name, simple_value=value)
            for name, value in record.items()
            if name != "step" and value is not None
        ]
        event = Event(step=record["step"], wall_time=time.time(), summary=Summary(value=values))
        with self._or_without():
            self._writer.write_event(event)
            if time.monotonic() > self._flushed + _BOARD_EVERY:
                self._writer.flush()
                self._flushed = time.monotonic()

    def close(self) -> None:
        if self._writer is not None:
            with self._or_without():
                self._writer.close()

    @contextlib.contextmanager
    def _or_without(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self._writer = None
            _warn(
                f"{self._folder} cannot be written ({error.strerror}): the run goes on without TensorBoard's files,"
                f" {JSONL} has the same numbers"
            )


def _warn(text: str) -> None:
    print(f"warning: {text}", file=sys.stderr, flush=True)


def finite(value: float | int | None) -> float | int | None:
    return None if isinstance(value, float) and not math.isfinite(value) else value
