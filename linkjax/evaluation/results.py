"""results.json: what was measured of a checkpoint, piece by piece, so that an evaluation can be stopped and goes on."""

import json
import math
import pathlib
from typing import Any

from linkjax.errors import UserError
from linkjax.evaluation.statistics import paired, paired_texts
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


def compare(first: pathlib.Path, second: pathlib.Path) -> dict[str, Any]:
    """What a second run scores better or worse on the same items and texts.

    Returns:
      tasks: task -> measure -> see `statistics.paired`; languages: language -> documents, first, second (bits per
      byte) and, where both files have those of each document, see `statistics.paired_texts`; other_text: languages
      whose held-out text is not the same in both.

    Raises:
      UserError: they share nothing, or scored a task differently or on other items.
    """
    one, other = read_results(first), read_results(second)
    result: dict[str, Any] = {"tasks": {}, "languages": {}, "other_text": []}
    for kind, compared in (("tasks", _compared), ("languages", _compared_texts)):
        for name in one[kind]:
            if name not in other[kind]:
                continue
            try:
                found = compared(one[kind][name], other[kind][name], f"'{name}' of the {kind} in {first} and {second}")
            except (KeyError, TypeError, AttributeError, ValueError) as error:
                raise UserError(f"'{name}' of the {kind} in {first} or {second} is damaged: score it again.") from error
            if found:
                result[kind][name] = found
            else:
                result["other_text"].append(name)
    if not any(result.values()):
        raise UserError(f"{first} and {second} share no task and no language: score both on the same --tasks.")
    return result


def _compared_texts(one: dict[str, Any], other: dict[str, Any], place: str) -> dict[str, Any]:
    """Nothing where the documents are not the same."""
    sizes, bits = ([run.get(f"{what}_by_document") for run in (one, other)] for what in ("bytes", "bits_per_byte"))
    if any(one[what] != other[what] for what in ("bytes", "documents")) or (all(sizes) and sizes[0] != sizes[1]):
        return {}
    result = {"documents": one["documents"], "first": one["bits_per_byte"], "second": other["bits_per_byte"]}
    finite = all(value is not None for run in bits for value in run)
    return result | (paired_texts(*bits, sizes[0]) if finite and all(sizes) else {})


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
