"""Numbers that go wrong: gradients that explode, losses that jump; what is then done, and what is written down."""

import collections
import dataclasses
import json
import math
import os
import pathlib
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from linkjax.errors import UserError
from linkjax.settings import setting
from linkjax.training.run_files import writing

EVENTS = "events.jsonl"
HISTORY = 128  # steps that a loss is compared with
_LEAST = 32  # of them
_ROWS_NAMED = 4  # of a batch, those of the highest loss


@dataclasses.dataclass(frozen=True)
class GuardSettings:
    """What is done where a number goes wrong. A bad gradient is never applied, whatever is chosen here."""

    bad_gradient: str = setting("skip", "skip the step, stop the run, or rewind to an older checkpoint and go past it")
    most_growth: float = setting(30.0, "a gradient's norm above this many times the usual one is bad; 0 = any is good")
    most_in_a_row: int = setting(20, "bad gradients in a row that stop the run")
    rewind_checkpoints: int = setting(1, "rewind: the checkpoint to go back to, 1 = the newest")
    most_rewinds: int = setting(3, "rewind: more of them stop the run")
    spike_deviations: float = setting(6.0, "a loss so many standard deviations above its mean is written down; 0 = off")

    def __post_init__(self):
        if self.bad_gradient not in ("skip", "stop", "rewind"):
            raise UserError(f"guard.bad_gradient is '{self.bad_gradient}': choose skip, stop or rewind.")
        for name, least in (("most_growth", 0), ("spike_deviations", 0), ("most_rewinds", 0)):
            if not least <= getattr(self, name) < math.inf:
                raise UserError(f"guard.{name} is {getattr(self, name)}: choose {least} or more.")
        for name in ("most_in_a_row", "rewind_checkpoints"):
            if getattr(self, name) < 1:
                raise UserError(f"guard.{name} is {getattr(self, name)}: choose 1 or more.")
        if 0 < self.most_growth <= 1:
            raise UserError(f"guard.most_growth is {self.most_growth}: choose more than 1, or 0 for no limit.")


class Events:
    """`events.jsonl`: what happened to a run besides its steps. A history: nothing is ever removed from it."""

    def __init__(self, folder: pathlib.Path):
        self._path = folder / EVENTS

    def write(self, event: str, step: int, **about: Any) -> None:
        record = {"event": event, "step": step, "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"), **about}
        with writing(self._path), self._path.open("ab+") as file:
            torn = file.tell() and (file.seek(-1, os.SEEK_END), file.read(1))[1] != b"\n"  # a disk was full
            file.write((b"\n" if torn else b"") + json.dumps(record).encode() + b"\n")


class Guard:
    """Looks at every step's numbers once they are on the host."""

    def __init__(self, settings: GuardSettings, say: Callable[[str], None], rewinds: int = 0):
        """Args: `say` is a line to the terminal, `rewinds` those of the run so far."""
        self.settings, self.rewinds = settings, rewinds
        self._say = say
        self.remember([])

    def remember(self, records: Sequence[Mapping[str, Any]], skipped: int = 0) -> None:
        """Forgets what it saw; the steps before are these, as far as they are known.

        Args: `skipped` steps of the run so far.
        """
        self._losses: collections.deque[float] = collections.deque(maxlen=HISTORY)
        self._in_a_row, self._skipped = 0, records[0].get("skipped_steps", skipped) if records else skipped
        for record in records:
            self._add(record.get("loss"), record.get("skipped_steps", self._skipped))
        self._skipped = skipped

    def look(
        self,
        step: int,
        metrics: Mapping[str, float],
        row_losses_B: Sequence[float],
        documents: Callable[[], list[list[int]]],
        write: Callable[..., None],
    ) -> bool:
        """Whether to rewind.

        Args:
          row_losses_B: mean cross-entropy of each row of the batch.
          documents: gives the ids of the documents in each of its rows; every process calls it or none does.
          write: of `Events`.

        Raises:
          UserError: the run is to stop.
        """
        before, loss = list(self._losses), metrics["loss"]
        self._add(loss, metrics["skipped_steps"])
        bad, spike = self._in_a_row > 0, self._is_spike(loss, before)
        if not bad and not spike:
            return False
        rows = sorted(range(len(row_losses_B)), key=lambda row: (math.isfinite(row_losses_B[row]), -row_losses_B[row]))
        ids = documents()
        worst = [
            {"row": row, "loss": _number(row_losses_B[row]), "documents": [f"{one:#018x}" for one in ids[row]]}
            for row in rows[:_ROWS_NAMED]
        ]
        kind = "bad gradient" if bad else "loss spike"
        usual = {"usual_loss": statistics.fmean(before)} if before else {}
        about = {"loss": _number(loss), **usual, "gradient_norm": _number(metrics["gradient_norm"])}
        write(kind, step, **about, rows=worst)
        where = f"{kind} at step {step}: loss {loss:.4g}, gradient norm {metrics['gradient_norm']:.4g}"
        if not bad:
            self._say(f"{where}; its documents are in {EVENTS}")
            return False
        return self._act(step, where)

    def _act(self, step: int, where: str) -> bool:
        settings = self.settings
        look = f"its documents are in {EVENTS} (python -m linkjax.data show prints them)"
        stops = settings.bad_gradient == "stop"
        if stops or self._in_a_row >= settings.most_in_a_row:
            many = "" if stops else f", {self._in_a_row} in a row"
            raise UserError(
                f"{where}{many}; no such gradient was applied and {look}: lower --config.optimizer.learning_rate in a"
                " new run, leave these documents out, or go on with --config.guard.bad_gradient=skip or rewind."
            )
        if settings.bad_gradient == "rewind":
            self.rewinds += 1
            if self.rewinds > settings.most_rewinds:
                raise UserError(
                    f"{where}, after {settings.most_rewinds} rewinds, the most allowed (guard.most_rewinds); {look}."
                )
            return True
        self._say(f"{where}; the step is skipped and {look}")
        return False

    def _is_spike(self, loss: float, before: Sequence[float]) -> bool:
        if not self.settings.spike_deviations or len(before) < _LEAST:
            return False
        return loss > statistics.fmean(before) + self.settings.spike_deviations * statistics.stdev(before)

    def _add(self, loss: float | None, skipped: int) -> None:
        if loss is not None and math.isfinite(loss):
            self._losses.append(loss)
        self._in_a_row = self._in_a_row + 1 if skipped > self._skipped else 0
        self._skipped = skipped


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
