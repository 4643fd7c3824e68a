"""Trains a model: one run, from a config to a table of scores.

    python -m linkjax.train --config=configs/base.py
    python -m linkjax.train --config=configs/local_text.py --config.english='en/*.txt' \\
        --config.target='sw/*.txt' --config.lexicon=en-sw.tsv --config.target_language=sw --workdir=runs/swahili

The same command on the same --workdir goes on where it stopped; a finished run is reported and left alone.
On several machines: the same command on each, with --coordinator, --processes and --process where neither Slurm nor a
TPU pod says it, and with a --workdir that all of them see (docs/scaling.md).
"""

import contextlib
import json
import pathlib
import platform
import signal
import subprocess
import sys
import tempfile
import time
from typing import Any

import jax
import ml_collections
from tqdm import tqdm

from linkjax import __version__, report
from linkjax import config as configs
from linkjax.data.pipeline import Stream, StreamSettings, counters, expected_passes, pass_limits
from linkjax.data.prepared import Prepared, write_jsonl
from linkjax.errors import UserError
from linkjax.evaluation.suite import Suite
from linkjax.training.checkpoints import Checkpoints
from linkjax.training.metrics import MetricsLog, mean_of_last, read_metrics
from linkjax.training.processes import OPTIONS, first, gather, joined, on_first, say
from linkjax.training.sharding import make_mesh, row_block, rows_divide
from linkjax.training.speed import Speed, Trace, keep_compiled
from linkjax.training.step import Trainer, weights

# Without changing the training but for rounding.
_MAY_CHANGE = ("workers", "keep_checkpoints", "checkpoint_every", "data", "mesh", "microbatches", "loss_chunks",
               "model.attention", "model.remat", "profile", "compilation_cache")  # fmt: skip
_RECENT_STEPS = 50  # that the losses of summary.json are the mean of


def train(config: ml_collections.ConfigDict, workdir: pathlib.Path) -> dict[str, Any]:
    """Runs to the end and returns the summary that is also in `workdir/summary.json`."""
    ### Settings and folders
    settings = configs.run_settings(config)
    mesh = make_mesh(settings.mesh)
    rows_divide(mesh, settings.rows_at_once, settings.sequence_length)
    keep_compiled(settings.compilation_cache)
    block = row_block(mesh)
    if settings.virtual_shards % block.count:
        raise UserError(
            f"virtual_shards {settings.virtual_shards} is not a multiple of {block.count}, the processes that read"
            " different rows: change it, or the number of processes."
        )
    folder = pathlib.Path(settings.data) if settings.data else workdir / "data"
    finished = on_first(lambda: _finished_or_prepared(config, workdir, folder))
    if finished:
        return finished

    ### Data, model, checkpoint
    prepared = Prepared(folder)
    configs.check_prepared_so(config, prepared)
    trainer = Trainer.of(settings, mesh, len(prepared.tokenizer), len(prepared.components))
    speed = Speed(settings.model, len(prepared.tokenizer), settings.sequence_length, mesh.devices.ravel().tolist())
    stream_settings = StreamSettings.of(settings)
    if first():
        _warn_of_repetition(prepared, stream_settings)
    suite = Suite.of(settings, prepared)
    checkpoints = Checkpoints(workdir / "checkpoints", settings.keep_checkpoints)
    restored = checkpoints.restore_newest(trainer.abstract)
    if restored:
        _check_same_data(restored.run, prepared)
        state, start = restored.state, restored.step
        states = {int(shard): position for shard, position in restored.data["shards"].items()}
        say(f"going on from step {start} of {settings.steps}")
    else:
        state, start, states = trainer.initialise(settings.seed), 0, {}
    stream = Stream(
        prepared, stream_settings, states=states, workers=settings.workers, host=block.index, hosts=block.count
    )
    logs = _open_logs(config, workdir, start) if first() else []
    trace = Trace(settings.profile if first() else "", workdir / "profile")

    ### Loop
    def evaluate() -> dict[str, float]:
        metrics, items = suite.run(trainer.scorer(weights(state)))
        if first():
            write_jsonl(items, workdir / "items.jsonl")
        return metrics | counters(states_of_all_shards(), prepared.components)

    def states_of_all_shards() -> dict[int, str]:
        parts = gather(list(stream.states.items()))
        return {shard: where for part in parts for shard, where in part}

    def finish(step: int, device_metrics: Any, seconds: float, waited: float, more: dict[str, float]) -> None:
        metrics = _readable(jax.device_get(device_metrics), prepared)
        # Tokens are the global batch's, counted on the devices; the seconds are the first process's own.
        timing = speed.measured(metrics.pop("tokens"), settings.batch_size * settings.sequence_length, seconds, waited)
        for log in logs:
            log.write(step, metrics | timing | more)

    last = None  # step k is logged once step k + 1 is on its way, so that the device never waits for the log
    mark = time.perf_counter()
    with contextlib.ExitStack() as open_things:
        for thing in [*logs, stream, trace]:
            open_things.enter_context(contextlib.closing(thing))
        for step in range(start + 1, settings.steps + 1):
            trace.before(step)
            rows = next(stream)
            waited = time.perf_counter() - mark
            with jax.transfer_guard("disallow"):
                state, device_metrics = trainer.update(state, trainer.place(rows))
            if last:
                finish(*last, {})
            now = time.perf_counter()
            mark, last = now, (step, device_metrics, now - mark, waited)
            at_end = step == settings.steps
            save = at_end or step % settings.checkpoint_every == 0
            if save or step % settings.eval_every == 0:
                measured = evaluate() if at_end or step % settings.eval_every == 0 else {}
                finish(*last, measured)
                last = None
                if save:
                    run = _run_record(config, prepared)
                    position = {"shards": {str(shard): where for shard, where in states_of_all_shards().items()}}
                    checkpoints.save(state, position, run, prepared.folder / "tokenizer.model")
                mark = time.perf_counter()

    ### Summary
    return on_first(lambda: _summarise(settings, prepared, workdir))


def _finished_or_prepared(
    config: ml_collections.ConfigDict, workdir: pathlib.Path, folder: pathlib.Path
) -> dict[str, Any] | None:
    """The summary of a run that is finished; otherwise its prepared folder is there after this."""
    if workdir.exists() and not workdir.is_dir():
        raise UserError(f"--workdir={workdir} is a file: name a folder.")
    _check_unchanged(config, workdir)
    if (workdir / "summary.json").exists():
        print(f"{workdir} holds a finished run:")
        return _read_json(workdir / "summary.json")
    if not folder.exists():
        _prepare(config, folder)
    return None


def _open_logs(config: ml_collections.ConfigDict, workdir: pathlib.Path, start: int) -> list["MetricsLog | _Progress"]:
    """What writes of the run as it goes: on disk and in the terminal."""
    workdir.mkdir(parents=True, exist_ok=True)
    (workdir / "config.json").write_text(configs.to_json(config))
    return [MetricsLog(workdir, start), _Progress(config.steps, start)]


def _warn_of_repetition(prepared: Prepared, settings: StreamSettings) -> None:
    limits = pass_limits(prepared, settings)
    for name, passes in expected_passes(prepared, settings).items():
        if passes > limits.get(name, float("inf")):
            print(
                f"warning: at its rate '{name}' would be read {passes:.1f} times, more than its limit of"
                f" {limits[name]:g}: from about step {settings.steps * limits[name] / passes:.0f} on, the others have"
                " its share",
                file=sys.stderr,
            )


def _prepare(config: ml_collections.ConfigDict, folder: pathlib.Path) -> None:
    """Makes the prepared folder in a process of its own: this one never imports TensorFlow."""
    print(f"preparing {folder}", file=sys.stderr)
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        file.write(configs.to_json(config))
        file.flush()
        command = [sys.executable, "-m", "linkjax.prepare", f"--config={file.name}", f"--out={folder}"]
        command += ["--wait=yes", *configs.code_options(config)]
        with subprocess.Popen(command) as process:
            before = signal.signal(signal.SIGTERM, lambda *_: process.terminate())
            try:
                code = process.wait()
            except BaseException:
                process.terminate()
                raise
            finally:
                signal.signal(signal.SIGTERM, before)
    if code < 0:
        raise UserError(f"preparing {folder} was ended by signal {-code}: start it again.")
    if code:
        sys.exit(code)  # it has said why


def _check_unchanged(config: ml_collections.ConfigDict, workdir: pathlib.Path) -> None:
    """A run is continued with the settings that it was begun with."""
    path = workdir / "config.json"
    if not path.exists():
        return
    changed = {
        key: values
        for key, values in configs.differences(configs.from_json(path), config).items()
        if not {key, key.partition(".")[0]} & set(_MAY_CHANGE)
    }
    if changed:
        raise UserError(
            f"{workdir} was begun with other settings: {configs.say_changes(changed)}. Choose another --workdir."
        )


def _check_same_data(run: dict[str, Any], prepared: Prepared) -> None:
    """A checkpoint's data position means something on the data it was made on, and on no other."""
    if run["data_sha256"] != prepared.fingerprint:
        raise UserError(
            f"{prepared.folder} is not the prepared folder that this run was begun on (its files' hashes differ):"
            " name that one in --config.data, or choose another --workdir."
        )


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


def _run_record(config: ml_collections.ConfigDict, prepared: Prepared) -> dict[str, Any]:
    """What a checkpoint says of the run that made it."""
    manifest = prepared.manifest
    return {
        "config": config.to_dict(),
        "linkjax": __version__,
        "jax": jax.__version__,
        "vocabulary_size": len(prepared.tokenizer),
        "components": [component["name"] for component in prepared.components],
        "data_sha256": prepared.fingerprint,
        "tokenizer_sha256": manifest["files"]["tokenizer.model"]["sha256"],
        "lexicon_sha256": prepared.lexicon_hashes,
    }


def _summarise(settings: configs.RunSettings, prepared: Prepared, workdir: pathlib.Path) -> dict[str, Any]:
    records = read_metrics(workdir)
    summary: dict[str, Any] = {"steps": settings.steps}
    for name in records[-1]:
        recent = name.startswith("loss") or name in ("tokens_per_second", "waiting_share", "padding_share", "mfu")
        if name != "step":
            summary[name] = mean_of_last(records, name, _RECENT_STEPS) if recent else records[-1][name]
    summary |= prepared.yardsticks()
    summary["lexicon_sha256"] = prepared.lexicon_hashes
    summary["versions"] = {
        "linkjax": __version__,
        "jax": jax.__version__,
        "python": platform.python_version(),
    }
    _write_json(summary, workdir / "summary.json")
    return summary


class _Progress:
    """A bar in a terminal; where output is piped, a line at each evaluation."""

    def __init__(self, steps: int, start: int):
        self._steps = steps
        self._terminal = sys.stderr.isatty()
        self._bar = tqdm(total=steps, initial=start, unit="step", disable=not self._terminal, dynamic_ncols=True)
        self._begun = time.perf_counter(), start

    def write(self, step: int, metrics: dict[str, float]) -> None:
        self._bar.set_postfix_str(f"loss {metrics['loss']:.3f}, {metrics['tokens_per_second']:,.0f} tokens/s", False)
        self._bar.update(step - self._bar.n)
        scores = report.one_line(metrics)
        if scores:
            seconds, start = self._begun
            left = (time.perf_counter() - seconds) / (step - start) * (self._steps - step)
            line = f"step {step}/{self._steps}  loss {metrics['loss']:.3f}  {scores}"
            self._bar.write(line) if self._terminal else print(
                f"{line}  {left:.0f} s left", file=sys.stderr, flush=True
            )

    def close(self) -> None:
        self._bar.close()


def _read_json(path: pathlib.Path) -> Any:
    return json.loads(path.read_text())


def _write_json(value: Any, path: pathlib.Path) -> None:
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n")
    partial.rename(path)


def run(config: ml_collections.ConfigDict, workdir: str, coordinator: str, processes: str, process: str) -> None:
    with joined(coordinator, processes, process):
        folder = pathlib.Path(on_first(lambda: workdir or f"runs/{time.strftime('%Y%m%d-%H%M%S')}"))
        summary = train(config, folder)
        if first():
            print(report.table(summary))
            print(f"\nall of it in {folder}: metrics.jsonl, summary.json, tensorboard, checkpoints")


if __name__ == "__main__":
    options = {"workdir": ("", "folder of the run, continued if it holds an unfinished one; default runs/DATE-TIME")}
    configs.main(run, __doc__, options | OPTIONS, sys.argv)
