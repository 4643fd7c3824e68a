"""results.json: what was measured of a checkpoint, piece by piece, so that an evaluation can be stopped and goes on."""

import json
import math
import pathlib
from typing import Any

from linkjax.errors import UserError
from linkjax.evaluation.statistics import paired
from linkjax.files import read_json
from linkjax.training.run_files import write_whole

_MOST_BYTES = 1 << 30
_PAIRED = {"acc": "correct", "acc_norm": "correct_norm"}


class Results:
    """A results file under way. It is written after every piece.

    Attributes:
      content: settings (what decides the numbers), versions, tasks, languages, swapped_text, and by metric's name the
        numbers that a run's metrics.jsonl has too.
    """

    def __init__(self, path: pathlib.Path, about: dict[str, Any]):
        """Goes on with the file at `path`, where there is one. `about`: settings and versions.

        Raises:
          UserError: it has results of other settings, or is no results file.
        """
        self.path = path
        self.content: dict[str, Any] = {**about, "tasks": {}, "languages": {}}
        if not path.exists():
            return
        before = read_results(path)
        changed = [
            f"{name} was {before['settings'].get(name)!r} and is {value!r}"
            for name, value in about["settings"].items()
            if before["settings"].get(name) != value
        ]
        if changed:
            raise UserError(f"{path} has results of other settings ({', '.join(changed)}): choose another --out.")
        self.content = before

    def add(self, kind: str, name: str, value: dict[str, Any], metrics: dict[str, float]) -> None:
        """A task ('tasks') or language ('languages') that is done, with the metrics that a run knows it by."""
        self.content[kind][name] = value
        self.content |= metrics

    def write(self) -> None:
        """Whole, or as the file was before."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(self.path, json.dumps(_finite(self.content), indent=1, ensure_ascii=False) + "\n")


def _finite(value: Any) -> Any:
    """None in place of what JSON has no number for."""
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def read_results(path: pathlib.Path) -> dict[str, Any]:
    """Raises UserError where the file cannot be read or is not of results."""
    content = read_json(path, _MOST_BYTES)
    parts = ("settings", "tasks", "languages")
    if not isinstance(content, dict) or not all(isinstance(content.get(part), dict) for part in parts):
        raise UserError(f"{path} is no results file of linkjax.evaluate: name another.")
    return content


def compare(first: pathlib.Path, second: pathlib.Path) -> dict[str, dict[str, Any]]:
    """What a second run scores better or worse on the same items: task -> measure -> see `statistics.paired`.

    Raises:
      UserError: they share no task, or scored one of them differently or on other items.
    """
    one, other = read_results(first)["tasks"], read_results(second)["tasks"]
    shared = [name for name in one if name in other]
    if not shared:
        raise UserError(f"{first} and {second} share no task: score both on the same --tasks.")
    result: dict[str, dict[str, Any]] = {}
    for name in shared:
        try:
            result[name] = _compared(one[name], other[name], f"task '{name}' in {first} and {second}")
        except (KeyError, TypeError, AttributeError) as error:
            raise UserError(f"task '{name}' in {first} or {second} is damaged: score it again.") from error
    return result


def _compared(one: dict[str, Any], other: dict[str, Any], place: str) -> dict[str, Any]:
    for setting in ("split", "shots", "seed"):
        if one[setting] != other[setting]:
            raise UserError(f"{place} has {setting} {one[setting]} and {other[setting]}: score both alike.")
    before, after = ([(item["id"], item["answer"]) for item in run["items"]] for run in (one, other))
    if before != after:
        raise UserError(f"{place} is of other items: score both on the same --data.")
    clusters = [item["cluster"] for item in one["items"]]
    result: dict[str, Any] = {"n": len(clusters), "chance": one["chance"], "split": one["split"]}
    for measure, field in _PAIRED.items():
        hits = ([float(item[field]) for item in run["items"]] for run in (one, other))
        result[measure] = {"first": one[measure], "second": other[measure], **paired(clusters, *hits)}
        known = "at_chance_norm" if measure == "acc_norm" else "at_chance"
        result[measure]["at_chance"] = bool(one[known] and other[known])
    return result
