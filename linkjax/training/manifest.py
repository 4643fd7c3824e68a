"""A checkpoint's manifest: size and SHA-256 of each of its files, written last; without it, it is none."""

import json
import os
import pathlib
from typing import Any

from linkjax.errors import UserError
from linkjax.files import fingerprint, inside, parse_json, retried
from linkjax.training.keeping import Saved

MANIFEST = "linkjax_manifest.json"
_MOST_BYTES = 64 * 2**20


def write_manifest(folder: pathlib.Path, step: int, metrics: dict[str, float] | None) -> None:
    """Makes a checkpoint's files durable and lists them."""
    files = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            files[path.relative_to(folder).as_posix()] = fingerprint(path)
        _flush(path)
    about = {"step": step, "metrics": metrics, "files": files}
    (folder / MANIFEST).write_text(json.dumps(about, indent=1))
    _flush(folder / MANIFEST)
    _flush(folder)


def rename_durably(source: pathlib.Path, target: pathlib.Path) -> None:
    source.rename(target)
    _flush(target.parent)


def read_manifest(folder: pathlib.Path) -> dict[str, Any] | None:
    """None where it is missing or no manifest."""
    path = folder / MANIFEST
    try:
        if path.stat().st_size > _MOST_BYTES:
            return None
        about = parse_json(retried(path.read_bytes), str(path))
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError, UserError):
        return None
    return about if isinstance(about, dict) and isinstance(about.get("files"), dict) else None


def saved(folder: pathlib.Path) -> Saved:
    """What decides whether a checkpoint stays."""
    about = read_manifest(folder) or {}
    metrics = about.get("metrics")
    return Saved(int(folder.name), metrics if isinstance(metrics, dict) else None)


def fault(folder: pathlib.Path) -> str | None:
    """What is wrong with a checkpoint's files, or None.

    Raises:
      OSError: the store does not answer, several times over: that says nothing of the files.
    """
    about = read_manifest(folder)
    if about is None:
        return f"{MANIFEST} is missing or no manifest"
    if about.get("step") != int(folder.name):
        return f"{MANIFEST} is that of step {about.get('step')}"
    for name, expected in about["files"].items():
        path = inside(folder, name)
        if not path.is_file():
            return f"{name} is missing"
        if retried(lambda path=path: fingerprint(path)) != expected:
            return f"{name} is damaged"
    return None


def _flush(path: pathlib.Path) -> None:
    """To the disk itself: after a power cut, what was renamed into place must be there in full."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
