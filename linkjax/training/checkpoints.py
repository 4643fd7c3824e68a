"""Checkpoints that can be trusted: Orbax writes them, a manifest of hashes says when they are whole.

    checkpoints/STEP/params/    the weights, plain nested dicts
                     average/   their moving average, if the run has one
                     training/  optimizer state and counts, plain nested dicts
                     data/      position of every virtual shard, JSON
                     run/       config, lexicon and tokenizer hashes, code version, JSON
                     tokenizer.model
                     linkjax_manifest.json   size and SHA-256 of every other file

Orbax itself loads a file with a flipped bit as wrong weights; here it is found before anything is loaded.
"""

import contextlib
import dataclasses
import json
import logging
import pathlib
import shutil
import time
from collections.abc import Iterator
from typing import Any

from flax import serialization
from orbax.checkpoint import v1 as ocp

from linkjax.errors import UserError
from linkjax.files import fingerprint
from linkjax.training import processes

MANIFEST = "linkjax_manifest.json"
_JSON_ENTRIES = ("data", "run")
_WEIGHTS = ("params", "average")
_WRITING = "writing"  # a checkpoint gets its place only when it is whole: none is ever half there


@dataclasses.dataclass(frozen=True)
class Restored:
    """What a checkpoint holds.

    Attributes:
      weights: to evaluate and generate with.
      state: None where only the weights were asked for.
    """

    step: int
    weights: Any
    state: dict[str, Any] | None
    data: dict[str, Any]
    run: dict[str, Any]


class Checkpoints:
    """The checkpoints of one run."""

    def __init__(self, folder: pathlib.Path, keep: int = 2):
        """Args: `keep` newest checkpoints stay, older ones are removed when a new one is whole."""
        self.folder, self._keep = folder.absolute(), keep

    def steps(self) -> list[int]:
        """Steps that have a folder, whole or not, oldest first."""
        if not self.folder.is_dir():
            return []
        return sorted(int(path.name) for path in self.folder.iterdir() if path.name.isdigit())

    def save(self, state: dict[str, Any], data: dict[str, Any], run: dict[str, Any], tokenizer: pathlib.Path) -> None:
        """Writes the checkpoint of `state` (see `step.State`) and, when all of it is on disk, its manifest.

        Of several processes each writes its part of the arrays, the first one the rest.
        """
        step = int(state["step"])
        weights, rest = _parts(state)
        writing = self.folder / _WRITING
        folder = writing / str(step)
        processes.on_first(lambda: shutil.rmtree(writing, ignore_errors=True))  # left by a process that was killed here
        with self._context():
            ocp.save_checkpointables(
                folder,
                {**weights, "training": serialization.to_state_dict(rest), "data": data, "run": run},
            )
        processes.on_first(lambda: self._commit(folder, tokenizer))

    def _commit(self, folder: pathlib.Path, tokenizer: pathlib.Path) -> None:
        """Gives a checkpoint its manifest and its place."""
        step = int(folder.name)
        shutil.copyfile(tokenizer, folder / "tokenizer.model")
        files = {
            str(path.relative_to(folder)): fingerprint(path) for path in sorted(folder.rglob("*")) if path.is_file()
        }
        (folder / MANIFEST).write_text(json.dumps({"step": step, "files": files}, indent=1))
        folder.rename(self.folder / str(step))
        for old in self.steps()[: -self._keep]:
            shutil.rmtree(self.folder / str(old))

    def fault(self, step: int) -> str | None:
        """What is wrong with a checkpoint's files, or None."""
        folder = self.folder / str(step)
        try:
            files = json.loads((folder / MANIFEST).read_text())["files"]
        except (OSError, ValueError, KeyError, TypeError):
            return f"{MANIFEST} is missing or unreadable"
        for name, expected in files.items():
            path = folder / name
            if not path.is_file():
                return f"{name} is missing"
            if fingerprint(path) != expected:
                return f"{name} is damaged"
        return None

    def restore_newest(self, abstract: dict[str, Any]) -> Restored | None:
        """The newest whole checkpoint, or None where there is none at all.

        Args:
          abstract: shapes, types and shardings of the state.

        Newer broken ones are renamed `STEP.broken-TIME` and named in a warning.

        Raises:
          UserError: there are checkpoints but none is whole; nothing is changed then.
        """
        step = processes.on_first(self._set_aside_broken)
        return None if step is None else self._load(step, abstract)

    def _set_aside_broken(self) -> int | None:
        """The newest whole step, after newer ones were renamed; see `restore_newest`."""
        broken: dict[int, str] = {}
        for step in reversed(self.steps()):
            fault = self.fault(step)
            if fault:
                broken[step] = fault
                continue
            for bad_step, bad_fault in broken.items():
                renamed = self.folder / f"{bad_step}.broken-{time.strftime('%Y%m%d-%H%M%S')}"
                (self.folder / str(bad_step)).rename(renamed)
                logging.warning("checkpoint %s is broken (%s); renamed to %s", bad_step, bad_fault, renamed.name)
            return step
        faults = [f"{step}: {fault}" for step, fault in broken.items()]
        faults += [f"{path.name}: set aside as broken" for path in sorted(self.folder.glob("*.broken-*"))]
        if faults:
            raise UserError(
                f"none of the {len(faults)} checkpoints in {self.folder} is whole ({faults[0]}):"
                " repair one, or move the folder away to start over."
            )
        return None

    def newest(self) -> int:
        """The newest step that is whole.

        Raises:
          UserError: there is none.
        """
        whole = processes.on_first(lambda: next((s for s in reversed(self.steps()) if self.fault(s) is None), None))
        if whole is None:
            raise UserError(f"{self.folder} holds no whole checkpoint.")
        return whole

    def restore(self, step: int, abstract: dict[str, Any], weights_only: bool = False) -> Restored:
        """Loads one checkpoint, verified.

        Raises:
          UserError: it is not there or not whole.
        """
        if step not in self.steps():
            raise UserError(f"there is no checkpoint of step {step} in {self.folder}: found {self.steps()}.")
        self._check(step)
        return self._load(step, abstract, weights_only)

    def _check(self, step: int) -> None:
        fault = processes.on_first(lambda: self.fault(step))  # one of them reads it all, not each
        if fault:
            raise UserError(f"checkpoint {step} in {self.folder} is broken: {fault}.")

    def _load(self, step: int, abstract: dict[str, Any], weights_only: bool = False) -> Restored:
        weights, rest = _parts(abstract)
        used = list(weights)[-1]
        wanted: dict[str, Any] = dict.fromkeys(_JSON_ENTRIES)
        if weights_only:
            wanted[used] = weights[used]
        else:
            wanted |= {**weights, "training": serialization.to_state_dict(rest)}
        with self._context():
            loaded = ocp.load_checkpointables(self.folder / str(step), wanted)
        state = None
        if not weights_only:
            state = {name: loaded[name] for name in weights} | serialization.from_state_dict(rest, loaded["training"])
        return Restored(step, loaded[used], state, loaded["data"], loaded["run"])

    def read_run(self, step: int) -> dict[str, Any]:
        """The `run` entry alone: what is needed to build the model before its weights are loaded."""
        self._check(step)
        with self._context():
            return ocp.load_checkpointables(self.folder / str(step), {"run": None})["run"]

    @contextlib.contextmanager
    def _context(self) -> Iterator[None]:
        registry = ocp.handlers.local_registry()
        for name in _JSON_ENTRIES:
            registry.add(ocp.handlers.JsonHandler, checkpointable_name=name)
        context = ocp.Context()
        context.checkpointables.registry = registry
        with context:
            yield


def _parts(state: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The weights, the ones to use last; and the rest."""
    weights = {name: state[name] for name in _WEIGHTS if name in state}
    return weights, {name: value for name, value in state.items() if name not in _WEIGHTS}
