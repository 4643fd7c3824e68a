"""A checkpoint's manifest: size and SHA-256 of each of its files, written last; without it, it is none."""

import json
import os
import pathlib
from typing import Any

from linkjax.errors import UserError
from linkjax.files import fingerprint, inside, parse_json, retried
from linkjax.training.keeping import Saved
from linkjax.training.run_files import sync_folder, write_whole

MANIFEST = "linkjax_manifest.json"
_MOST_BYTES = 64 * 2**20


def write_manifest(folder: pathlib.Path, step: int, metrics: dict[str, float] | None) -> None:
    """Makes a checkpoint's files durable and lists them."""
    files = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            files[path.relative_to(folder).as_posix()] = fingerprint(path)
            with path.open("rb") as file:
                os.fsync(file.fileno())
        else:
            sync_folder(path)
    about = {"step": step, "metrics": metrics, "files": files}
    write_whole(folder / MANIFEST, json.dumps(about, indent=1))


def rename_durably(source: pathlib.Path, target: pathlib.Path) -> None:
    source.rename(target)
    sync_folder(target.parent)


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
