"""What a finished run left, and in what two runs differ."""

import dataclasses
import json
import pathlib
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np

from linkjax.training.checkpoints import Checkpoints
from linkjax.training.step import Trainer

TIMINGS = ("tokens_per_second", "waiting_share", "compile_seconds", "mfu", "peak_memory_gib")


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What a finished run left."""

    arrays: dict[str, np.ndarray]
    position: Any
    metrics: list[dict[str, Any]]
    summary: dict[str, Any]
    items: bytes


def read_outcome(workdir: pathlib.Path, trainer: Trainer) -> Outcome:
    """Reads a run's last checkpoint, verified, and the files beside it."""
    checkpoints = Checkpoints(workdir / "checkpoints")
    restored = checkpoints.restore(checkpoints.newest(), trainer.abstract)
    leaves, _ = jax.tree_util.tree_flatten_with_path(restored.state)
    return Outcome(
        arrays={jax.tree_util.keystr(path): np.asarray(leaf) for path, leaf in leaves},
        position=restored.data["shards"],
        metrics=[json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()],
        summary=json.loads((workdir / "summary.json").read_text()),
        items=(workdir / "items.jsonl").read_bytes(),
    )


def differences(expected: Outcome, found: Outcome) -> list[str]:
    """What is not as in the expected run, in words; empty where all is."""
    return [*of_arrays(expected.arrays, found.arrays), *_of_the_rest(expected, found)]


def of_arrays(expected: dict[str, np.ndarray], found: dict[str, np.ndarray]) -> Iterator[str]:
    for name in sorted(expected.keys() | found.keys()):
        if name not in expected or name not in found:
            yield f"{name} is in one checkpoint only"
            continue
        left, right = expected[name], found[name]
        if (left.dtype, left.shape, left.tobytes()) != (right.dtype, right.shape, right.tobytes()):
            yield f"{name} is not bitwise equal"


def _of_the_rest(expected: Outcome, found: Outcome) -> Iterator[str]:
    steps = [record["step"] for record in found.metrics]
    whole = list(range(1, len(expected.metrics) + 1))
    if steps != whole:
        twice = [step for step in set(steps) if steps.count(step) > 1]
        wrong = sorted(set(whole) ^ set(steps)) or sorted(twice) or steps
        yield f"metrics.jsonl does not hold every step once and in order: {wrong[:10]}"
    for left, right in zip(expected.metrics, found.metrics, strict=False):
        if names := _unequal(left, right):
            yield f"metrics of step {right['step']} differ: {', '.join(names)}"
            break
    if names := _unequal(expected.summary, found.summary):
        yield f"summary.json differs: {', '.join(names)}"
    if expected.position != found.position:
        yield "the data's position differs"
    if expected.items != found.items:
        yield "items.jsonl differs"


def _unequal(left: dict[str, Any], right: dict[str, Any]) -> list[str]:
    names = sorted((left.keys() | right.keys()) - set(TIMINGS))
    return [name for name in names if name not in left or name not in right or left[name] != right[name]]
