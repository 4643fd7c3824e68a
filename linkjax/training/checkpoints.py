"""Checkpoints that can be trusted: Orbax writes them, a manifest of hashes says when they are whole.

    checkpoints/STEP/params/    the weights, plain nested dicts
                     average/   their moving average, if the run has one
                     training/  optimizer state and counts, plain nested dicts
                     data/      position of every virtual shard, JSON
                     run/       config, lexicon and tokenizer hashes, code version, JSON
                     tokenizer.model, or tokenizer.json and tokenizer_ids.json
                     linkjax_manifest.json   size and SHA-256 of every other file
    checkpoints/writing/        one on its way in or out

Orbax itself loads a file with a flipped bit as wrong weights; here it is found before anything is loaded.
"""

import contextlib
import dataclasses
import logging
import pathlib
import shutil
import time
from collections.abc import Iterator
from concurrent import futures
from typing import Any

import jax
from flax import serialization
from orbax.checkpoint import v1 as ocp

from linkjax.data.tokenizer import tokenizer_names
from linkjax.errors import UserError
from linkjax.training import processes
from linkjax.training.entries import readable
from linkjax.training.keeping import Keep
from linkjax.training.manifest import fault, rename_durably, saved, write_manifest
from linkjax.training.run_files import MENDS, disk_error, writing

_JSON_ENTRIES = ("data", "run")
_WEIGHTS = ("params", "average")
_WRITING = "writing"  # a checkpoint gets its place only when it is whole: none is ever half there
_WAITS = (1, 2, 4, 8, 16)  # seconds before a checkpoint that could not be written is tried again
_NAMED = 5  # of each kind of difference between a checkpoint and the model


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


@dataclasses.dataclass(frozen=True)
class ToSave:
    """What a checkpoint is made of.

    Attributes:
      state: see `step.State`.
      data: position of every virtual shard.
      run: what is said of the run.
      tokenizer: its model's file.
      metrics: of the evaluation at this step, if there was one.
    """

    state: dict[str, Any]
    data: dict[str, Any]
    run: dict[str, Any]
    tokenizer: pathlib.Path
    metrics: dict[str, float] | None = None


class Checkpoints:
    """The checkpoints of one run."""

    def __init__(self, folder: pathlib.Path, keep: Keep = Keep()):
        """Args: `keep` says which stay when a new one is whole; the others are removed."""
        self.folder, self.keep = folder.absolute(), keep
        self._thread = futures.ThreadPoolExecutor(1, thread_name_prefix="checkpoint")
        self._under_way: futures.Future[None] | None = None
        self._failures = 0
        self._next_try = float("inf")
        # Orbax's threads would print the stack trace of an error that is raised as well.
        logging.getLogger("absl").setLevel(logging.CRITICAL)

    def steps(self) -> list[int]:
        """Steps that have a folder, whole or not, oldest first."""
        if not self.folder.is_dir():
            return []
        names = (path.name for path in self.folder.iterdir())
        return sorted(int(name) for name in names if name.isascii() and name.isdigit() and name == str(int(name)))

    ### Writing

    def save(self, what: ToSave) -> None:
        """Begins to write a checkpoint: the state is copied before this returns, the rest happens meanwhile.

        Of several processes each writes its part of the arrays, the first one the rest. One that cannot be written is
        not lost: see `try_again`.

        Raises:
          UserError: the one before could not be written and never will be.
        """
        if self._under_way:
            self._settle()
        step = int(what.state["step"])
        folder = self.folder / _WRITING / str(step)
        weights, rest = _parts(what.state)
        entries = {**weights, "training": serialization.to_state_dict(rest), "data": what.data, "run": what.run}
        try:
            processes.on_first(self._make_way)  # Orbax hangs where it cannot make its folder
            with self._context():
                response = ocp.save_checkpointables_async(folder, entries)
        except (OSError, ValueError, RuntimeError, UserError) as error:
            self._failed(step, error)
        else:
            self._next_try = float("inf")
            self._under_way = self._thread.submit(self._finish, response, folder, what)

    def save_now(self, what: ToSave) -> None:
        """Writes a checkpoint and returns when it is there; where the store does not answer, several times.

        Raises:
          UserError: it cannot be written.
        """
        self.save(what)
        while not self._settle():
            time.sleep(max(self._next_try - time.monotonic(), 0))
            self.save(what)

    def try_again(self) -> bool:
        """Whether the last one could not be written and it is time to write another, of the state as it is now.

        Raises:
          UserError: it could not be written and never will be.
        """
        if self._under_way and self._under_way.done():
            self._settle()
        return time.monotonic() >= self._next_try

    def close(self) -> None:
        """Waits for what is under way, which then is there or is not."""
        self._thread.shutdown()

    def _finish(self, response: Any, folder: pathlib.Path, what: ToSave) -> None:
        response.result()
        if processes.first():
            self._commit(folder, what)

    def _commit(self, folder: pathlib.Path, what: ToSave) -> None:
        """Gives a checkpoint its manifest and its place."""
        step = int(folder.name)
        for name in tokenizer_names(what.tokenizer):
            shutil.copyfile(what.tokenizer.with_name(name), folder / name)
        write_manifest(folder, step, what.metrics)
        rename_durably(folder, self.folder / str(step))
        try:
            self._remove_old(folder.parent)
        except OSError as error:  # the new one is there, which is what counts
            processes.say(f"warning: old checkpoints in {self.folder} are not all removed: {error}")

    def _remove_old(self, place: pathlib.Path) -> None:
        kept = self.keep.of([saved(self.folder / str(step)) for step in self.steps()])
        for old in set(self.steps()) - kept:
            leaving = place / f"old-{old}"  # it must not be found half removed where it was
            (self.folder / str(old)).rename(leaving)
            shutil.rmtree(leaving)
        place.rmdir()

    def _settle(self) -> bool:
        """Waits for the one under way; whether it is there now."""
        under_way, self._under_way = self._under_way, None
        if under_way is None:
            return False
        try:
            under_way.result()
        except (OSError, ValueError, RuntimeError, UserError) as error:  # TensorStore raises ValueErrors
            self._failed(self._writing_step(), error)
            return False
        self._failures = 0
        return True

    def _failed(self, step: int | str, error: Exception) -> None:
        """Sets the time of the next try.

        Raises:
          UserError: there is none.
        """
        found = disk_error(error)
        if found and found.errno in MENDS:
            with writing(self.folder / str(step)):
                raise found from error
        reason = " ".join(str(found or error).split())[:300]
        cannot = f"the checkpoint of step {step} cannot be written to {self.folder}"
        if self._failures == len(_WAITS) or processes.several():  # others wait for this one's part
            raise UserError(
                f"{cannot}, tried {self._failures + 1} times ({reason}): see that the store answers and start the"
                " same command again, it goes on from the newest checkpoint."
            ) from error
        wait = _WAITS[self._failures]
        self._failures += 1
        self._next_try = time.monotonic() + wait
        processes.say(f"warning: {cannot} ({reason}): trying again in {wait:g} s")

    def _writing_step(self) -> str:
        return ", ".join(path.name.partition(".")[0] for path in (self.folder / _WRITING).glob("[0-9]*")) or "?"

    def _make_way(self) -> None:
        """Removes what a process left that was killed, or failed, while it wrote here."""
        place = self.folder / _WRITING
        place.mkdir(parents=True, exist_ok=True)
        for left in place.glob("*"):
            if not left.name.startswith("old-") and not self._failures:
                processes.say(f"removing the unfinished checkpoint of step {left.name.partition('.')[0]}")
            shutil.rmtree(left, ignore_errors=True)

    ### Reading

    def restore_newest(self, abstract: dict[str, Any]) -> Restored | None:
        """The newest whole checkpoint, or None where there is none at all.

        Args:
          abstract: shapes, types and shardings of the state.

        Newer broken ones are renamed `STEP.broken-TIME` and named in a warning.

        Raises:
          UserError: there are checkpoints but none is whole, or the store does not answer; nothing is changed then.
        """
        step = processes.on_first(self._set_aside_broken)
        return None if step is None else self._load(step, abstract)

    def _set_aside_broken(self) -> int | None:
        """The newest whole step, after newer ones were renamed; see `restore_newest`."""
        broken: dict[int, str] = {}
        for step in reversed(self.steps()):
            found = self.fault(step)
            if found:
                broken[step] = found
                continue
            for bad_step, bad_fault in broken.items():
                renamed = self._set_aside(bad_step, "broken")
                processes.say(f"warning: checkpoint {bad_step} is broken ({bad_fault}); renamed to {renamed}")
            return step
        faults = [f"{step}: {found}" for step, found in broken.items()]
        faults += [f"{path.name}: set aside" for path in sorted(self.folder.glob("[0-9]*.[br]*-*"))]
        if faults:
            raise UserError(
                f"none of the {len(faults)} checkpoints in {self.folder} is whole ({faults[0]}):"
                " repair one, or move the folder away to start over."
            )
        return None

    def fault(self, step: int) -> str | None:
        """What is wrong with a checkpoint's files, or None.

        Raises:
          UserError: they cannot be read now.
        """
        try:
            return fault(self.folder / str(step))
        except OSError as error:
            raise UserError(
                f"checkpoint {step} cannot be read now ({error}): try again when the store answers."
            ) from error

    def set_aside_after(self, which: int) -> int:
        """The step of the newest checkpoint but `which` - 1, or of the oldest there is; 0 where there is none.

        Newer ones are renamed `STEP.rewound-TIME`: the run will pass their steps again.
        """
        if self._under_way:
            self._settle()
        return processes.on_first(lambda: self._set_aside_after(which))

    def _set_aside_after(self, which: int) -> int:
        whole = [step for step in self.steps() if self.fault(step) is None]
        chosen = whole[max(len(whole) - which, 0)] if whole else 0
        for step in reversed(self.steps()):  # the newest first: if this is cut off, the same one is chosen again
            if step > chosen:
                processes.say(f"checkpoint {step} is renamed to {self._set_aside(step, 'rewound')}")
        return chosen

    def _set_aside(self, step: int, why: str) -> str:
        """Renames a checkpoint and returns its new name."""
        stem = f"{step}.{why}-{time.strftime('%Y%m%d-%H%M%S')}"
        number, name = 1, stem
        while (self.folder / name).exists():
            number += 1
            name = f"{stem}-{number}"
        with writing(self.folder / name):
            (self.folder / str(step)).rename(self.folder / name)
        return name

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
          UserError: it is not there or not whole, or is of another model.
        """
        if step not in self.steps():
            raise UserError(f"there is no checkpoint of step {step} in {self.folder}: found {self.steps()}.")
        self._check(step)
        return self._load(step, abstract, weights_only)

    def _check(self, step: int) -> None:
        found = processes.on_first(lambda: self.fault(step))  # one of them reads it all, not each
        if found:
            raise UserError(f"checkpoint {step} in {self.folder} is broken: {found}.")

    def _load(self, step: int, abstract: dict[str, Any], weights_only: bool = False) -> Restored:
        weights, rest = _parts(abstract)
        used = list(weights)[-1]
        arrays = {used: weights[used]} if weights_only else {**weights, "training": serialization.to_state_dict(rest)}
        place = f"checkpoint {step} in {self.folder}"
        with readable(place), self._context():
            held = ocp.checkpointables_metadata(self.folder / str(step)).metadata
            if differences := _differences(arrays, {name: held.get(name, {}) for name in arrays}):
                raise UserError(f"{place} is not of this model or optimizer: {'; '.join(differences)}.")
            loaded = ocp.load_checkpointables(self.folder / str(step), arrays | dict.fromkeys(_JSON_ENTRIES))
        state = None
        if not weights_only:
            state = {name: loaded[name] for name in weights} | serialization.from_state_dict(rest, loaded["training"])
        return Restored(step, loaded[used], state, loaded["data"], loaded["run"])

    def read_run(self, step: int) -> dict[str, Any]:
        """The `run` entry alone: what is needed to build the model before its weights are loaded."""
        self._check(step)
        with readable(f"checkpoint {step} in {self.folder}"), self._context():
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


def _differences(wanted: dict[str, Any], held: dict[str, Any]) -> list[str]:
    """By name, arrays that a checkpoint lacks, has in another shape or type, or has too many; the first of each."""
    wants, has = _arrays(wanted), _arrays(held)
    both = [name for name in wants if name in has]
    kinds = {
        "missing": [name for name in wants if name not in has],
        "different": [f"{n} is {has[n]} there and {wants[n]} here" for n in both if has[n] != wants[n]],
        "not wanted": [name for name in has if name not in wants],
    }
    return [
        f"{len(names)} {kind}: {', '.join(names[:_NAMED])}{', ...' if len(names) > _NAMED else ''}"
        for kind, names in kinds.items()
        if names
    ]


def _arrays(tree: Any) -> dict[str, str]:
    """Path of each array -> its type and shape."""
    return {
        "/".join(str(getattr(key, "key", key)) for key in path): f"{leaf.dtype}{list(leaf.shape)}"
        for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
    }
