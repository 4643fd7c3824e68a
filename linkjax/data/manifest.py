"""The manifest of a prepared folder, which may come from anywhere: read within bounds and checked piece by piece."""

import math
import pathlib
from collections.abc import Callable
from typing import Any

from linkjax.data.special_ids import IDS
from linkjax.errors import UserError
from linkjax.files import inside, read_json

MANIFEST = "manifest.json"
FORMAT = 3
_MOST_BYTES = 1 << 26
_EACH = object()  # every key of an object, whatever its name


def read_manifest(folder: pathlib.Path) -> dict[str, Any]:
    """The manifest, whose names are names within `folder` and whose numbers are numbers.

    Raises:
      UserError: there is none, or it is broken or of another format.
    """
    try:
        manifest = read_json(folder / MANIFEST, _MOST_BYTES)
    except UserError as error:
        raise UserError(f"{folder} is not a prepared folder: {error}") from error
    found = manifest.get("format") if isinstance(manifest, dict) else None
    if found != FORMAT:
        raise UserError(f"{folder} has format {found!r:.40}, this version reads {FORMAT}: prepare it again.")
    if wrong := _wrong(manifest, _FORM):
        raise UserError(f"{folder / MANIFEST} is damaged ({wrong:.200}): copy or prepare the folder again.")
    components = manifest["components"]
    names = [component["name"] for component in components]
    if not components or len(set(names)) < len(names):
        raise UserError(f"{folder / MANIFEST} has no components or two of one name: copy or prepare the folder again.")
    for component in components:
        if sum(component["files"].values()) != component["documents"]:
            raise UserError(
                f"{folder / MANIFEST} counts {component['documents']:,} documents of '{component['name']}', but its"
                f" files have {sum(component['files'].values()):,}: copy or prepare the folder again."
            )
    for name in manifest["files"]:
        inside(folder, name)
    for name in _used(manifest):
        if name not in manifest["files"]:
            raise UserError(f"{folder / MANIFEST} has no hash of {name!r:.100}: copy or prepare the folder again.")
    return manifest


def read_evaluations(path: pathlib.Path) -> dict[str, Any]:
    """The evaluation tasks and their files' hashes, of a folder that has nothing else.

    Raises:
      UserError: there are none, or the file is broken.
    """
    try:
        content = read_json(path, _MOST_BYTES)
    except UserError as error:
        raise UserError(f"{path.parent} is not a folder of evaluation items: {error}") from error
    if wrong := _wrong(content, {key: _FORM[key] for key in ("evaluations", "files")}):
        raise UserError(f"{path} is damaged ({wrong:.200}): copy or prepare the folder again.")
    for task in content["evaluations"]:
        inside(path.parent, task["name"])
    return content


def _used(manifest: dict[str, Any]) -> list[str]:
    """The files that are read for what the manifest says."""
    used = ["tokenizer.json", IDS] if "tokenizer.json" in manifest["files"] else ["tokenizer.model"]
    for component in manifest["components"]:
        used += [f"documents/{name}" for name in component["files"]]
        used.append(f"heldout/{component['name']}.jsonl")
    used += [f"evaluation/{task['name']}.jsonl" for task in manifest["evaluations"]]
    used += [f"{kind}/{language}.tsv" for kind in ("lexicons", "statistics") for language in manifest["lexicons"]]
    return used


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= 1000


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63


def _is_positive(value: Any) -> bool:
    return _is_count(value) and value > 0


def _is_number(value: Any) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and abs(value) < 2**63 and math.isfinite(value)


def _is_share(value: Any) -> bool:
    return _is_number(value) and 0 <= value <= 1


def _is_number_or_none(value: Any) -> bool:
    return value is None or _is_number(value)


_HASH = {"bytes": _is_count, "sha256": _is_text}
_HELDOUT = {"documents": _is_count, "bytes": _is_count, "byte_trigram_bits_per_byte": _is_number_or_none}
_COMPONENT = {
    "name": _is_text,
    "language": _is_text,
    "rate": _is_share,
    "files": {_EACH: _is_count},
    "operations": [{"operation": _is_text}],
    "documents": _is_positive,
    "bytes": _is_positive,
    "tokens": _is_positive,
    "heldout": _HELDOUT,
}
_FORM = {
    "settings": {},
    "components": [_COMPONENT],
    "evaluations": [{"name": _is_text, "metric": _is_text, "chance": _is_number}],
    "lexicons": {_EACH: {"sha256": _is_text}},
    "files": {_EACH: _HASH},
}


def _wrong(value: Any, form: dict | list | Callable[[Any], bool], place: str = "") -> str:
    """What is not as it should be, or ''."""
    if isinstance(form, list):
        if not isinstance(value, list):
            return f"{place} is no list"
        parts = ((item, form[0], f"{place}[{index}]") for index, item in enumerate(value))
    elif isinstance(form, dict):
        if not isinstance(value, dict):
            return f"{place} is no object"
        if missing := [key for key in form if key is not _EACH and key not in value]:
            return f"{place or 'it'} has no '{missing[0]}'"
        wanted = [(key, form[_EACH]) for key in value] if _EACH in form else form.items()
        parts = ((value[key], inner, f"{place}.{key}".lstrip(".")) for key, inner in wanted)
    else:
        return "" if form(value) else f"{place} is {value!r:.40}"
    return next(filter(None, (_wrong(*part) for part in parts)), "")
