"""A run under way: what a step, an evaluation, a checkpoint and a rewind of it are."""

import contextlib
import pathlib
import time
from collections.abc import Callable, Mapping
from typing import Any

import jax
import ml_collections

from linkjax import config as configs
from linkjax import workdir as folders
from linkjax.data.jsonl import write_jsonl
from linkjax.data.pipeline import Stream, counters
from linkjax.data.prepared import Prepared
from linkjax.errors import Interrupted, UserError
from linkjax.evaluation.suite import Suite
from linkjax.initial import begin
from linkjax.report import Progress
from linkjax.training.checkpoints import Checkpoints, ToSave
from linkjax.training.entries import check_data, check_run
from linkjax.training.guard import HISTORY, Events, Guard
from linkjax.training.interruptions import Interruptions
from linkjax.training.keeping import Keep, SavingClock
from linkjax.training.metrics import MetricsLog, finite, read_metrics
from linkjax.training.processes import Agreed, first, gather, on_first, say
from linkjax.training.run_files import writing
from linkjax.training.sharding import in_order, row_block
from linkjax.training.speed import Speed, Trace
from linkjax.training.step import Trainer, weights
from linkjax.training.watchdog import Watchdog


class _AskedToLeave(Exception):
    """In the middle of an evaluation."""


class Loop:
    """The moving part of a run: all of its processes call the same methods in the same order.

    Attributes:
      step: taken so far.
    """

    def __init__(
        self,
        config: ml_collections.ConfigDict,
        workdir: pathlib.Path,
        prepared: Prepared,
        trainer: Trainer,
        stream_from: Callable[[dict[int, str]], Stream],
        interruptions: Interruptions,
        watchdog: Watchdog,
    ):
        """Goes on from the newest checkpoint in `workdir`, or begins.

        Args: `stream_from` opens the stream from the shards' positions on.

        Raises:
          UserError: the checkpoints there are broken, or of other data.
        """
        self._settings = settings = configs.run_settings(config)
        self._config, self._workdir, self._prepared, self._trainer = config, workdir, prepared, trainer
        self._interruptions, self._watchdog = interruptions, watchdog
        devices = trainer.mesh.devices.ravel().tolist()
        self._speed = Speed(settings.model, trainer.vocabulary, settings.sequence_length, devices)
        self._suite = Suite.of(settings, prepared)
        keep = Keep(settings.keep_checkpoints, settings.keep_every, settings.keep_best)
        self._checkpoints = Checkpoints(workdir / "checkpoints", keep)
        self._leave, self._saves = Agreed("leave"), 0
        self._restart_clock()

        self._stepped = False

        restored = self._checkpoints.restore_newest(trainer.abstract)
        data: dict[str, Any] = {}
        if restored:
            place = f"checkpoint {restored.step} of '{workdir}'"
            data = check_data(restored.data, place)
            run = check_run(restored.run, place)
            folders.check_same_data(run, prepared)
            folders.check_alike(configs.from_dict(run["config"]), config, workdir)  # its config.json may be lost
            say(f"going on from step {restored.step} of {settings.steps}")
            self._state, self.step = restored.state, restored.step
        else:
            self._state, self.step = begin(settings, trainer), 0
        self._unlogged = data.get("unlogged")  # metrics of a step whose evaluation was left for later
        self._stream = stream_from({int(shard): where for shard, where in data.get("shards", {}).items()})
        self._guard = Guard(settings.guard, say, data.get("rewinds", 0))
        # Step k is logged once step k + 1 is on its way, so that the device never waits for the log.
        self._last: tuple[Any, ...] | None = None
        self._seconds: float | None = None  # that it took, once it is done
        self._logs: list[Any] = []
        if first():
            folders.write_config(config, workdir)
            self._events = Events(workdir)
            self._events.write("restored" if restored else "begun", self.step)
        self._open_logs()
        self._trace = Trace(settings.profile if first() else "", workdir / "profile")
        self._mark = time.perf_counter()

    def close(self) -> None:
        """Waits for a checkpoint that is being written."""
        with contextlib.ExitStack() as opened:
            for thing in (*self._logs, self._checkpoints, self._stream, self._trace):
                opened.enter_context(contextlib.closing(thing))

    def finish_evaluation(self) -> None:
        """Does what an interruption cut off at the step that was restored."""
        if self._unlogged:
            measured = self._evaluate()
            if measured is None:
                self._depart()
            self._write(self._unlogged | measured)
            self._unlogged = None

    def take_step(self) -> None:
        """The next step; in the one before, a bad gradient may have made it one some steps back."""
        step = self.step + 1
        self._trace.before(step, self._state)
        self._watchdog.beat(self.step if self._stepped else None)  # the first one is compiled
        asked = time.perf_counter()
        rows = next(self._stream)
        waited = time.perf_counter() - asked
        with jax.transfer_guard("disallow"):
            self._state, metrics = self._trainer.update(self._state, self._trainer.place(rows))
        if self._last and not self._log({}):
            return
        self.step, self._stepped = step, True
        self._interruptions.anything_to_save()
        self._last, self._seconds = (metrics, self._stream.documents, waited), None

    def evaluate_and_save(self) -> None:
        """What is due after the step.

        Raises:
          Interrupted: the run was asked to leave; it is saved.
        """
        settings, at_end = self._settings, self.step == self._settings.steps
        leaving, save = self._asked_to_leave(), self._is_time_to_save() or at_end
        evaluate = at_end or self.step % settings.eval_every == 0 or (save and settings.keep_best != "")
        if not self._last or not (leaving or save or evaluate):
            return
        self._await_step()
        measured = {} if not evaluate else None if leaving else self._evaluate()
        leaving = leaving or measured is None
        if self._log(measured) and (save or leaving):
            self._save(measured or None, wait=leaving or at_end)
        if leaving:
            self._depart()
        self._mark = time.perf_counter()

    def _await_step(self) -> None:
        """Until the last step is done, which is when its time is known: dispatching it takes none."""
        if self._seconds is None:
            jax.block_until_ready(self._last[0])
            self._seconds, self._mark = time.perf_counter() - self._mark, time.perf_counter()

    def _asked_to_leave(self) -> bool:
        return self._leave(bool(self._interruptions.asked))

    def _is_time_to_save(self) -> bool:
        """By the steps, by the minutes, or because the last one could not be written."""
        by_minutes = self._by_minutes(self._clock.due())
        return self.step % self._settings.checkpoint_every == 0 or by_minutes or self._checkpoints.try_again()

    def _evaluate(self) -> dict[str, float] | None:
        """None where the run was asked to leave meanwhile."""
        score = self._trainer.scorer(weights(self._state))

        def score_or_leave(rows: dict[str, Any]) -> Any:
            self._watchdog.beat(self.step)
            if self._asked_to_leave():
                raise _AskedToLeave
            return score(rows)

        settings = self._settings
        every = settings.eval_every * settings.rank_every
        rank = settings.rank_every == 1 or self.step == settings.steps or self.step % every == 0
        try:
            metrics, items = self._suite.run(score_or_leave, rank)
        except _AskedToLeave:
            return None
        if first() and rank:
            with writing(self._workdir / "items.jsonl"):
                write_jsonl(items, self._workdir / "items.jsonl")
        metrics |= counters(self._positions(), self._prepared.components)
        damaged = sum(value for name, value in metrics.items() if name.startswith("damaged/"))
        if damaged > settings.most_damaged:  # each process has kept to it for what it reads
            raise UserError(
                f"{damaged} documents of {self._prepared.folder} are damaged, more than most_damaged"
                f" {settings.most_damaged}: copy or prepare the folder again."
            )
        self._checkpoints.keep.check_metric(metrics)
        return metrics

    def _log(self, measured: dict[str, float] | None) -> bool:
        """Writes of the last step, or keeps it for later where its evaluation is; False where it led to a rewind."""
        self._await_step()
        (device_metrics, documents, waited), seconds = self._last, self._seconds
        self._last = None
        on_host = jax.device_get(device_metrics)
        metrics = _readable(on_host, self._prepared)
        if self._guard.look(
            self.step, metrics, on_host["row_losses_B"].tolist(), lambda: self._of_all_rows(documents), self._note
        ):
            self._rewind()
            return False
        # Tokens are the global batch's, counted on the devices; the seconds are the first process's own.
        places = self._settings.batch_size * self._settings.sequence_length
        metrics |= self._speed.measured(metrics.pop("tokens"), places, seconds, waited)
        if measured is None:
            self._unlogged = {name: finite(value) for name, value in metrics.items()}
        else:
            self._write(metrics | measured)
        return True

    def _write(self, metrics: dict[str, float]) -> None:
        for log in self._logs:
            log.write(self.step, metrics)

    def _note(self, event: str, step: int, **about: Any) -> None:
        if first():
            self._events.write(event, step, **about)

    def _save(self, measured: Mapping[str, float] | None, wait: bool) -> None:
        shards = {str(shard): where for shard, where in self._positions().items()}
        data = {"shards": shards, "rewinds": self._guard.rewinds, "unlogged": self._unlogged}
        if first():
            self._logs[0].sync()  # before the checkpoint is whole, which says that all steps to it are logged
        run = folders.run_record(self._config, self._prepared)
        what = ToSave(self._state, data, run, self._prepared.tokenizer_file, measured)
        (self._checkpoints.save_now if wait else self._checkpoints.save)(what)
        self._restart_clock()

    def _restart_clock(self) -> None:
        self._clock, self._saves = SavingClock(self._settings.checkpoint_minutes), self._saves + 1
        self._by_minutes = Agreed(f"save/{self._saves}")

    def _rewind(self) -> None:
        """Back to an older checkpoint, with the data that follows now."""
        at, self._state = self.step, None  # there is room for one state
        step = self._checkpoints.set_aside_after(self._settings.guard.rewind_checkpoints)
        if step:
            self._state = self._checkpoints.restore(step, self._trainer.abstract).state
        else:
            self._state = begin(self._settings, self._trainer)
        self.step = step
        say(f"rewound from step {at} to step {step}; the data read since is left out")
        self._note("rewind", at, to=step)
        self._open_logs()
        self._mark = time.perf_counter()

    def _history(self) -> list[dict[str, Any]]:
        """Of the last steps."""
        unlogged = [self._unlogged] if self._unlogged else []
        return read_metrics(self._workdir)[-HISTORY:] + unlogged

    def _open_logs(self) -> None:
        """What writes of the run as it goes, from the present step on; what was written beyond it is dropped."""
        for log in self._logs:
            log.close()
        if first():
            logged = self.step - 1 if self._unlogged else self.step
            self._logs = [MetricsLog(self._workdir, logged), Progress(self._settings.steps, self.step)]
        self._guard.remember(on_first(self._history), int(self._state["skipped"]))

    def _positions(self) -> dict[int, str]:
        """Where all shards stand, those of the other processes too."""
        parts = gather(list(self._stream.states.items()))
        return {shard: where for part in parts for shard, where in part}

    def _of_all_rows(self, documents: list[list[int]]) -> list[list[int]]:
        """By row of the global batch, from those of this process's."""
        return in_order(gather([row_block(self._trainer.mesh).parts, documents]))

    def _depart(self) -> None:
        """Leaves together with the others: one that is still writing would be taken along by one that has left."""
        heard = gather([self._interruptions.asked, self._interruptions.code])
        by, code = next(signal for signal in heard if signal[0])
        self._note("interrupted", self.step, by=by)
        said = f"stopped at step {self.step} of {self._settings.steps}: the same command goes on from there."
        raise Interrupted(said if first() else "", code)


def _readable(metrics: dict[str, Any], prepared: Prepared) -> dict[str, float]:
    """Metrics of a step by name: means over kinds of tokens, components joined by language."""
    sums = {kind: (float(total), int(count)) for kind, (total, count) in metrics["sums"].items()}
    groups = {"swapped": [sums["swapped"]], "unswapped": [sums["unswapped"]]}
    for index, component in enumerate(prepared.components):
        groups.setdefault(component["language"], []).append(sums[f"component/{index}"])
    result = {"loss": float(metrics["loss"])}
    for name, parts in groups.items():
        count = sum(count for _, count in parts)
        result[f"loss/{name}"] = sum(total for total, _ in parts) / count if count else float("nan")
    for name in ("gradient_norm", "learning_rate"):
        result[name] = float(metrics[name])
    result["swapped_token_share"] = sums["swapped"][1] / max(sums["swapped"][1] + sums["unswapped"][1], 1)
    result["skipped_steps"] = int(metrics["skipped_steps"])
    result["tokens"] = sums["swapped"][1] + sums["unswapped"][1]
    return result
