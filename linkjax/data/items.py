"""Items to rank: evaluation/NAME.jsonl for each evaluation task, in a prepared folder or in one for them alone.

An item has: id, unique within its task; group, the score it counts in; cluster, items of one are not independent;
split, 'test' or 'validation'; prompt, or where the context differs by choice, prompts, one for each; choices, the
texts that are scored after the prompt, with their leading space; answer, the index of the right one.
"""

import json
import pathlib
from collections.abc import Iterable
from typing import Any

from linkjax.data.jsonl import is_text, read_jsonl, write_jsonl
from linkjax.data.manifest import MANIFEST, read_evaluations, read_manifest
from linkjax.errors import UserError
from linkjax.files import fingerprint

EVALUATIONS = "evaluations.json"  # what stands for the manifest in a folder of items alone
SPLITS = ("test", "validation")


def write_items(folder: pathlib.Path, name: str, metric: str, chance: float | None, items: Iterable[dict]) -> dict:
    """Writes the items of a task and returns what a manifest says of it.

    Args: `chance` of guessing; None = one over the number of an item's choices, on average.

    Raises:
      UserError: there are no items.
    """
    rates: list[float] = []

    def counted():
        for item in items:
            rates.append(1 / len(item["choices"]))
            yield item

    write_jsonl(counted(), folder / "evaluation" / f"{name}.jsonl")
    if not rates:
        raise UserError(f"evaluation task {name} has no items: check its source.")
    by_items = sum(rates) / len(rates)
    return {"name": name, "metric": metric, "chance": by_items if chance is None else chance, "items": len(rates)}


def write_evaluations(folder: pathlib.Path, evaluations: list[dict]) -> None:
    """Writes what stands for the manifest in a folder of items alone."""
    files = {f"evaluation/{about['name']}.jsonl" for about in evaluations}
    content = {"evaluations": evaluations, "files": {name: fingerprint(folder / name) for name in sorted(files)}}
    (folder / EVALUATIONS).write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n")


class ItemFolder:
    """The evaluation tasks of a prepared folder, or of a folder of items alone.

    Attributes:
      evaluations: what the manifest says of each task: name, metric, chance, items.
    """

    def __init__(self, folder: pathlib.Path):
        """Raises UserError where it is neither."""
        self.folder = folder
        alone = (folder / EVALUATIONS).exists() or not (folder / MANIFEST).exists()
        manifest = read_evaluations(folder / EVALUATIONS) if alone else read_manifest(folder)
        self.evaluations: list[dict[str, Any]] = manifest["evaluations"]
        self._files = manifest["files"]

    def items(self, name: str) -> list[dict]:
        """Raises UserError where the file is missing, damaged, or not of items."""
        path = self.folder / "evaluation" / f"{name}.jsonl"
        if not path.is_file() or fingerprint(path) != self._files.get(f"evaluation/{name}.jsonl"):
            raise UserError(f"{path} is missing or damaged: copy or prepare the folder again.")
        return read_items(path)


def read_items(path: pathlib.Path) -> list[dict]:
    """The items of a file.

    Raises:
      UserError: it cannot be read, or is not of items.
    """
    items = read_jsonl(path)
    lines: dict[str, int] = {}
    for number, item in enumerate(items, start=1):
        if not _is_item(item):
            raise UserError(f"{path}, line {number} is no item to rank: prepare the folder again.")
        before = lines.setdefault(item["id"], number)
        if before != number:
            raise UserError(f"{path}, line {number} has the id of line {before}: prepare the folder again.")
    return items


def _is_item(item: dict) -> bool:
    choices, answer, prompts = item.get("choices"), item.get("answer"), item.get("prompts")
    if not _are_texts(choices) or len(choices) < 2 or not all(map(str.strip, choices)):
        return False
    if "prompts" in item:
        known = "prompt" not in item and _are_texts(prompts) and len(prompts) == len(choices)
    else:
        known = is_text(item.get("prompt"))
    known = known and all(is_text(item.get(key)) for key in ("id", "group", "cluster"))
    return known and item.get("split", "test") in SPLITS and type(answer) is int and 0 <= answer < len(choices)


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and all(map(is_text, value))
