"""Metrics on disk: one JSON object a step, and the same curves for TensorBoard."""

import json
import math
import pathlib
import shutil
from collections.abc import Mapping
from typing import Any

import tensorboardX

from linkjax.files import open_bytes

JSONL = "metrics.jsonl"
_LINE_BYTES = 1 << 20


class MetricsLog:
    """Writes `metrics.jsonl` and TensorBoard events into a run's folder; each step exactly once."""

    def __init__(self, folder: pathlib.Path, last_step: int):
        """Keeps what is on disk up to `last_step` and drops the rest: steps that will be run again."""
        self._path = folder / JSONL
        kept = [record for record in read_metrics(folder) if record["step"] <= last_step]
        partial = self._path.with_suffix(".partial")
        partial.write_text("".join(json.dumps(record) + "\n" for record in kept))
        partial.rename(self._path)
        self._file = self._path.open("a", buffering=1)  # a line is on its way to disk once it is written
        shutil.rmtree(folder / "tensorboard", ignore_errors=True)
        self._board = tensorboardX.SummaryWriter(str(folder / "tensorboard"))
        for record in kept:
            self._to_board(record)

    def write(self, step: int, metrics: Mapping[str, float | int | None]) -> None:
        """Adds a step; values that are not finite become null."""
        record = {"step": step, **{name: _finite(value) for name, value in metrics.items()}}
        self._file.write(json.dumps(record) + "\n")
        self._to_board(record)

    def close(self) -> None:
        self._file.close()
        self._board.close()

    def _to_board(self, record: Mapping[str, float | int | None]) -> None:
        for name, value in record.items():
            if name != "step" and value is not None:
                self._board.add_scalar(name, value, record["step"])


def read_metrics(folder: pathlib.Path) -> list[dict]:
    """The records of a run's `metrics.jsonl`; a last line that a crash cut off is left out."""
    path = folder / JSONL
    if not path.exists():
        return []
    records = []
    with open_bytes(path) as file:
        while line := file.readline(_LINE_BYTES):
            try:
                record = json.loads(line)
            except (ValueError, RecursionError):
                break
            if not _is_record(record):
                break
            records.append(record)
    return records


def _is_record(record: Any) -> bool:
    numbers = isinstance(record, dict) and type(record.get("step")) is int
    return numbers and all(value is None or isinstance(value, int | float) for value in record.values())


def mean_of_last(records: list[dict], name: str, count: int) -> float | None:
    """Mean of a metric over those of the last `count` steps that have it."""
    values = [record[name] for record in records[-count:] if record.get(name) is not None]
    return sum(values) / len(values) if values else None


def _finite(value: float | int | None) -> float | int | None:
    return None if isinstance(value, float) and not math.isfinite(value) else value
