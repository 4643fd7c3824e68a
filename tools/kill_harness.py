"""Kills `train` at random moments, starts it again until it ends, and compares with a run that nobody disturbed.

    python tools/kill_harness.py --trials=30 --seed=0
    python tools/kill_harness.py --trials=30 --signals=KILL,TERM --config.workers=1

A trial is one run in a folder of its own with one to three kills: while it starts, between steps, in a save, in the
last save, before the summary. At its end every array of the last checkpoint must be bitwise equal to the undisturbed
run's, `metrics.jsonl` must hold every step once and in order with the same values, and `summary.json` and
`items.jsonl` must be the same; all but timings. No start may end with a stack trace or an unexpected exit code.

Prints a line for each trial and one of JSON at the end; the exit code is 1 if a trial failed, whose folder is kept
then. Settings (`--config.KEY=VALUE`) are passed on to `train`. Linux, on CPUs unless JAX_PLATFORMS says otherwise.
"""

import argparse
import collections
import concurrent.futures
import contextlib
import dataclasses
import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from typing import Any

os.environ.setdefault("JAX_PLATFORMS", "cpu")

from run_outcome import differences, of_arrays, read_outcome
from run_start import LIMIT, PHASES, ROOT, Start

from linkjax import config as configs
from linkjax.data.prepared import Prepared
from linkjax.training.sharding import MeshSettings, make_mesh
from linkjax.training.step import Trainer

_STOPPED = 75  # of a run that saved and left
_EXPECTED = {"KILL": (-signal.SIGKILL,), "TERM": (_STOPPED, -signal.SIGTERM)}
_LOOK_EVERY = 0.003  # seconds
_TRIES = 5  # of a trial whose runs end before they are killed


@dataclasses.dataclass(frozen=True)
class Pace:
    """How quick the undisturbed run was, in seconds."""

    step: float
    save: float
    end: float  # from the last step


class Trials:
    """Runs and their comparison."""

    def __init__(self, folder: pathlib.Path, options: list[str], arguments: argparse.Namespace):
        self._folder, self._options, self._signals = folder, options, arguments.signals.split(",")
        self._steps, self._seed, self._most_kills = arguments.steps, arguments.seed, arguments.kills
        self.kills, self.sent = collections.Counter(), collections.Counter()
        self.restarts = self.resumed = self.equal = 0
        self._living: set[Start] = set()
        self._stopped = False

    def disturb_nothing(self, data: pathlib.Path) -> None:
        """The run that the others are compared with."""
        workdir = self._folder / "whole"
        first = last = saving = 0.0
        with self._start(workdir) as start:
            before = start.seconds()
            while start.running() and start.seconds() < LIMIT:
                time.sleep(_LOOK_EVERY)
                now, logged = start.seconds(), start.logged()
                first = first or (logged > 0) * now
                last = last or (logged == self._steps) * now
                saving += start.saving() * (now - before)
                before = now
            seconds, said = start.seconds(), start.end()
        if start.process.returncode or not last:
            raise SystemExit(f"the undisturbed run ended with {start.process.returncode}:\n{said}")
        config = configs.from_json(workdir / "config.json")
        saves = -(-self._steps // config.checkpoint_every)
        self._quickest_start = first
        self._pace = Pace((last - first) / self._steps, max(saving / saves, 0.01), seconds - last)
        prepared = Prepared(data)
        settings = configs.run_settings(config)
        components = len(prepared.components)
        self._trainer = Trainer.of(settings, make_mesh(MeshSettings()), len(prepared.tokenizer), components)
        self._expected = read_outcome(workdir, self._trainer)

    def trial(self, index: int) -> list[str]:
        """One run with kills; returns what was wrong."""
        draw = random.Random(f"{self._seed}/{index}")
        workdir = self._folder / f"trial{index}"
        for _ in range(_TRIES):
            story, wrong = self._killed_until_it_ends(workdir, index, draw)
            if story or wrong:
                break
            shutil.rmtree(workdir)
        else:
            wrong = [f"ended before its kill {_TRIES} times"]
        if not wrong:
            found = read_outcome(workdir, self._trainer)
            wrong = differences(self._expected, found)
            self.equal += not any(of_arrays(self._expected.arrays, found.arrays))
        print(f"trial {index}: {', '.join(story)}: {'; '.join(wrong) or 'equal'}", flush=True)
        if not wrong:
            shutil.rmtree(workdir)
        return wrong

    def _killed_until_it_ends(
        self, workdir: pathlib.Path, index: int, draw: random.Random
    ) -> tuple[list[str], list[str]]:
        """What was done and what was wrong."""
        phases = [PHASES[index % len(PHASES)], *draw.choices(PHASES, k=draw.randrange(self._most_kills))]
        story, wrong = [], []
        for phase in [*sorted(phases, key=PHASES.index), None]:
            name, expected = draw.choice(self._signals), (0,)
            self.restarts += bool(story)
            with self._start(workdir) as start:
                self.resumed += start.restored > 0
                if phase and self._wait_until(phase, start, draw):
                    found = start.phase(self._steps)
                    story.append(f"{name} in {found} ({start.logged()} steps, {start.seconds():.1f} s)")
                    start.process.send_signal(signal.Signals[f"SIG{name}"])
                    self.kills[found] += 1
                    self.sent[name] += 1
                    expected = (0, *_EXPECTED[name])
                said = start.end()
            code = start.process.returncode
            if code not in expected or "Traceback" in said:
                wrong.append(f"exit code {code}: {said[-3000:]}")
            if code == 0 or wrong:
                break
        return story, wrong

    def _wait_until(self, phase: str, start: Start, draw: random.Random) -> bool:
        """Returns at a random moment of a phase, or False when the run ends first."""
        pace, steps = self._pace, self._steps
        at = steps if phase in ("last save", "summary") else 0
        if phase in ("training", "saving") and start.logged() < steps:
            at = max(draw.randrange(start.logged(), steps) for _ in range(2))  # late: more is there to go on from
        moments = {"start-up": self._quickest_start, "training": pace.step, "saving": pace.save, "last save": pace.save}
        late = draw.uniform(0, moments.get(phase, pace.end / 2))
        there = {
            "start-up": lambda: start.seconds() > late or start.logged() > start.restored,
            "training": lambda: start.logged() >= max(at, 1) and not start.saving(),
            "saving": start.saving,
            "summary": lambda: start.phase(steps) == "summary",
        }.get(phase, lambda: True)
        while start.running() and start.seconds() < LIMIT:
            if start.logged() > start.restored:  # quicker than the first, where compiled programs are kept
                self._quickest_start = min(self._quickest_start, start.seconds())
            if start.logged() >= at and there():
                break
            time.sleep(_LOOK_EVERY)
        if phase != "start-up":
            with contextlib.suppress(subprocess.TimeoutExpired):
                start.process.wait(late)
        return start.running()

    @contextlib.contextmanager
    def _start(self, workdir: pathlib.Path) -> Iterator[Start]:
        if self._stopped:
            raise SystemExit
        start = Start(workdir, self._options)
        self._living.add(start)
        try:
            yield start
        finally:
            self._living.discard(start)
            start.end_group()

    def stop(self, *_: Any) -> None:
        """Leaves no process behind."""
        self._stopped = True
        for start in list(self._living):
            start.end_group()
        raise SystemExit("stopped.")


def prepare(options: list[str], folder: pathlib.Path) -> pathlib.Path:
    """The prepared folder that all runs share: the one in the options, or one that is made."""
    for option in options:
        if option.startswith("--config.data="):
            return pathlib.Path(option.partition("=")[2])
    command = [sys.executable, "-m", "linkjax.prepare", *options, f"--out={folder}"]
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL, timeout=LIMIT)
    options.append(f"--config.data={folder}")
    return folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=30)
    parser.add_argument("--kills", type=int, default=3, help="most of a trial; each has one at least")
    parser.add_argument("--seed", type=int, default=0, help="of the moments and signals")
    parser.add_argument("--signals", default="KILL", help="KILL, TERM or both, separated by a comma; default KILL")
    parser.add_argument("--folder", type=pathlib.Path, help="does not exist; default a temporary one")
    parser.add_argument("--jobs", type=int, default=1, help="trials at a time")
    parser.add_argument("--steps", type=int, default=60, help="steps of a run")
    parser.add_argument("--config", default="configs/base.py:cpu", help="default configs/base.py:cpu")
    arguments, more = parser.parse_known_args()
    if unknown := [option for option in more if not option.startswith("--config.")]:
        parser.error(f"{unknown[0]} is not known")
    if not set(arguments.signals.split(",")) <= set(_EXPECTED):
        parser.error(f"--signals={arguments.signals}: KILL, TERM or KILL,TERM")
    folder = arguments.folder or pathlib.Path(tempfile.mkdtemp(prefix="linkjax-kills-"))
    folder.mkdir(parents=True, exist_ok=not arguments.folder)
    options = [f"--config={arguments.config}", f"--config.steps={arguments.steps}",
               "--config.checkpoint_every=3", "--config.eval_every=10", *more]  # fmt: skip
    begun = time.perf_counter()
    data = prepare(options, folder / "data")
    trials = Trials(folder, options, arguments)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, trials.stop)
    trials.disturb_nothing(data)
    with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
        failed = sum(map(bool, pool.map(trials.trial, range(arguments.trials))))
    result = {
        "trials": arguments.trials,
        "restarts": trials.restarts,
        "from_a_checkpoint": trials.resumed,
        "bitwise_equal": trials.equal,
        "failed": failed,
        "kills": {phase: trials.kills[phase] for phase in PHASES},
        "signals": dict(trials.sent),
        "seconds": round(time.perf_counter() - begun),
    }
    if failed:
        print(f"what the failed trials left is in {folder}", file=sys.stderr)
    else:
        shutil.rmtree(folder)
    print(json.dumps(result))
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
