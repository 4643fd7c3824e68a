"""The runs of a study: which are to be made, and making those that are missing, several at a time.

OUT/data/HASH          prepared folders, one for all runs of the same data
OUT/runs/ARM/SEED      a run's folder; what is finished is not run again, what was begun goes on. Its finished.json.gz
                       alone is enough of a finished one (`finished`)
"""

import contextlib
import dataclasses
import hashlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import ml_collections
from tqdm import tqdm

from linkjax import config as configs
from linkjax.data.prepared import Prepared
from linkjax.errors import Interrupted, UserError
from linkjax.files import read_json
from linkjax.initial import with_model
from linkjax.lock import locked_when_free
from linkjax.studies.arms import Arm, Study
from linkjax.training.interruptions import BY_CTRL_C, PREEMPTED
from linkjax.workdir import CONFIG, LOCK, SUMMARY, check_alike, prepare

PROBE, _RECORD = "probe.json", "finished.json.gz"
_MOST_BYTES = 1 << 28
_LOOK_SECONDS = 0.2
_LEAVE_SECONDS = 120  # that runs have to save themselves when the study is stopped


@dataclasses.dataclass(frozen=True)
class Run:
    """One arm with one seed.

    Attributes:
      flags: of `linkjax.train`, without its folders.
      config: what they come to.
      data: the prepared folder.
      tokenizer_of: the run from whose prepared folder the tokenizer is taken.
    """

    arm: Arm
    seed: int
    flags: tuple[str, ...]
    config: ml_collections.ConfigDict
    data: pathlib.Path
    workdir: pathlib.Path
    tokenizer_of: "Run | None" = None

    @property
    def name(self) -> str:
        return f"{self.arm.name}, seed {self.seed}"

    @property
    def record(self) -> pathlib.Path:
        return self.workdir / _RECORD

    @property
    def kept(self) -> dict[str, Any] | None:
        """What the record of a finished run says."""
        return _read_record(self.workdir)

    def commands(self, probe: bool) -> list[list[str]]:
        """What is left to do, in order."""
        commands = []
        if self.record.exists():
            return commands
        if not (self.workdir / SUMMARY).exists():
            folders = [f"--workdir={self.workdir}", f"--config.data={self.data}"]
            commands.append([sys.executable, "-m", "linkjax.train", *self.flags, *folders])
        if probe and not (self.workdir / PROBE).exists():
            asked = [f"--checkpoint={self.workdir}", f"--data={self.data}", f"--out={self.workdir / PROBE}"]
            commands.append([sys.executable, "-m", "linkjax.probe", *asked])
        return commands


def list_runs(study: Study, out: pathlib.Path) -> list[Run]:
    """All runs, seed by seed. An arm on other data than the one that it is compared with takes that one's tokenizer.

    Where that one is compared with another, and so on, it is the last one's: so they may share a prepared folder.

    Raises:
      UserError: the flags of an arm are wrong.
    """
    runs = {}
    baselines_first = sorted(study.arms, key=lambda arm: len(study.chain(arm)))
    for seed in study.seeds:
        for arm in baselines_first:
            if seed in study.seeds_of(arm):
                runs[arm.name, seed] = _run(study, arm, seed, out, runs)
    return list(runs.values())


def _run(study: Study, arm: Arm, seed: int, out: pathlib.Path, before: dict[tuple[str, int], Run]) -> Run:
    seeded = [flag.format(seed=seed) for flag in study.seed_flags]
    flags = (f"--config={arm.base}", *study.flags, *seeded, *arm.flags)
    workdir = out / "runs" / arm.name / str(seed)
    tokenizer_of = None
    try:
        config = _config(flags, workdir)
        data = _data_folder(config, out)
        compared = [before[other.name, seed] for other in study.chain(arm)[1:]]
        # A model to begin from has its tokenizer, which no other fits.
        fitting = [run for run in compared if run.config.init_from == config.init_from]
        if fitting and fitting[-1].data != data:
            tokenizer_of = fitting[-1]
            flags = (*flags, f"--config.tokenizer.path={tokenizer_of.data}")
            config = _config(flags, workdir)
            data = _data_folder(config, out)
            if path := _tokenizer_path(workdir, data):
                flags = (*flags[:-1], f"--config.tokenizer.path={path}")
                config = _config(flags, workdir)
        configs.run_settings(config)
    except UserError as error:
        raise UserError(f"the study's arm '{arm.name}': {error}") from error
    return Run(arm, seed, flags, config, data, workdir, tokenizer_of)


def _tokenizer_path(workdir: pathlib.Path, data: pathlib.Path) -> str:
    """As a run was made, or its data prepared, with: the study may have been moved since. '' where neither was."""
    if kept := _read_record(workdir):
        return kept["config"]["tokenizer"]["path"]
    return Prepared(data).manifest["settings"]["tokenizer"]["path"] if data.exists() else ""


def _read_record(workdir: pathlib.Path) -> dict[str, Any] | None:
    return read_json(workdir / _RECORD, _MOST_BYTES) if (workdir / _RECORD).exists() else None


def _config(flags: Sequence[str], workdir: pathlib.Path) -> ml_collections.ConfigDict:
    argv = ["linkjax.train", *flags]
    config, _ = configs.parse(argv, {})
    return with_model(config, workdir, configs.named(argv))


def check_begun(runs: Sequence[Run], probe: bool = False) -> None:
    """Raises UserError where a run was begun, or finished, with other settings than it would have now, or no probe."""
    for run in runs:
        try:
            if kept := run.kept:
                check_alike(configs.from_dict(kept["config"]), run.config, run.workdir)
            elif (run.workdir / CONFIG).exists():
                check_alike(configs.from_json(run.workdir / CONFIG), run.config, run.workdir)
        except UserError as error:
            raise UserError(str(error).replace("--workdir", "--out")) from error
        if probe and kept and not kept["probed"]:
            raise UserError(f"{run.record} is of a run that was not probed: remove this file, where its checkpoint is.")


def _data_folder(config: ml_collections.ConfigDict, out: pathlib.Path) -> pathlib.Path:
    decisive, tokenizer = configs.decisive_for_data(config), pathlib.Path(config.tokenizer.path)
    if tokenizer.parent == out / "data":  # the same data wherever the study is
        decisive["tokenizer"]["path"] = tokenizer.name
    return out / "data" / hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()[:12]


def carry_out(runs: Sequence[Run], probe: bool, processes: int, done: Callable[[Run], None]) -> None:
    """Makes what is missing, `processes` runs at a time. A line for each, or a bar in a terminal.

    Args: `done` is told of each run that is finished.

    Raises:
      UserError: a run failed; what it said is in `log.txt` of its folder.
      Interrupted: by a signal. Runs save themselves and go on the next time.
    """
    with _stoppable():
        for run in runs:  # an earlier start may have been killed, whose runs go on by themselves
            if run.commands(probe) and (run.workdir / LOCK).exists():
                with locked_when_free(run.workdir / LOCK, f"{run.workdir} is being trained"):
                    pass
    missing = [run for run in runs if run.commands(probe)]
    terminal = sys.stderr.isatty()
    bar = tqdm(total=len(runs), initial=len(runs) - len(missing), unit="run", dynamic_ncols=True, disable=not terminal)
    with _stoppable(), bar:
        checked: set[pathlib.Path] = set()
        # All arms' tokenizers before those that take them; nothing waits for another run's data then.
        for run in missing:
            for needed in (run,) if run.data.exists() else (run.tokenizer_of or run, run):
                if not needed.data.exists():
                    prepare(needed.config, needed.data)
                if needed.data not in checked:
                    _check_prepared_alike(needed.data, runs)
                    checked.add(needed.data)
        slots: list[_Work | None] = [None] * processes
        waiting = list(missing)
        try:
            while waiting or any(slots):
                for slot, work in enumerate(slots):
                    if work and work.is_done():
                        done(work.run)
                        bar.update()
                        slots[slot] = None
                    if not slots[slot] and waiting:
                        run = waiting.pop(0)
                        bar.set_postfix_str(run.name)
                        if not terminal:
                            print(f"{run.name}, {len(waiting)} after it", file=sys.stderr)
                        slots[slot] = _Work(run, probe, slot, processes)
                time.sleep(_LOOK_SECONDS)
        finally:
            _stop([work for work in slots if work])


def _check_prepared_alike(data: pathlib.Path, runs: Sequence[Run]) -> None:
    """Raises UserError where finished runs read other data: files that the study names have changed since."""
    finished = [(run, kept) for run in runs if run.data == data and (kept := run.kept)]
    made_of = Prepared(data).fingerprint if finished else ""
    for run, kept in finished:
        if kept["data_sha256"] != made_of:
            raise UserError(
                f"{data} is not what {run.name} was trained on: put the files it was made of back and remove this"
                " folder, or choose another --out."
            )


class _Work:
    """What a run has left to do, in a process of its own, one command after the other."""

    def __init__(self, run: Run, probe: bool, slot: int, slots: int):
        self.run, self._commands, self._slot, self._slots = run, run.commands(probe), slot, slots
        self._begin()

    def is_done(self) -> bool:
        """Raises UserError where the command failed."""
        code = self.process.poll()
        if code is None:
            return False
        if code:
            said = (self.run.workdir / "log.txt").read_text(errors="replace").strip().splitlines()
            raise UserError(
                f"{self.run.name} ended with code {code}: {said[-1] if said else 'it said nothing'}"
                f" (all of it in {self.run.workdir / 'log.txt'}). Mend that and start the study again."
            )
        if not self._commands:
            return True
        self._begin()
        return False

    def _begin(self) -> None:
        self.run.workdir.mkdir(parents=True, exist_ok=True)
        with (self.run.workdir / "log.txt").open("a") as log, own_cores(self._slot, self._slots):
            self.process = subprocess.Popen(
                self._commands.pop(0), stdout=log, stderr=log, env=_environment(self._slot), start_new_session=True
            )


def _environment(slot: int) -> dict[str, str]:
    """Several runs at a time share the GPUs out among them."""
    visible = [name for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name]
    return dict(os.environ) | ({"CUDA_VISIBLE_DEVICES": visible[slot % len(visible)]} if visible else {})


@contextlib.contextmanager
def own_cores(slot: int, slots: int) -> Iterator[None]:
    """A process begun within has its share of the cores to itself: runs that share them all take longer together."""
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    own = cores[slot * len(cores) // slots : (slot + 1) * len(cores) // slots]
    if own:
        os.sched_setaffinity(0, own)
    try:
        yield
    finally:
        if own:
            os.sched_setaffinity(0, cores)


def _stop(works: Sequence[_Work]) -> None:
    for work in works:
        with contextlib.suppress(ProcessLookupError):
            work.process.send_signal(signal.SIGTERM)
    for work in works:
        try:
            work.process.wait(_LEAVE_SECONDS)
        except subprocess.TimeoutExpired:
            work.process.kill()
            work.process.wait()


@contextlib.contextmanager
def _stoppable() -> Iterator[None]:
    """SIGTERM and Ctrl-C raise `Interrupted`, once."""

    def leave(number, _):
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        code = BY_CTRL_C if number == signal.SIGINT else PREEMPTED
        raise Interrupted("stopped: the same command goes on from here.", code)

    before = {number: signal.signal(number, leave) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
