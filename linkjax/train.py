"""Trains a model: one run, from a config to a table of scores.

    python -m linkjax.train --config=configs/base.py
    python -m linkjax.train --config=configs/local_text.py --config.english='en/*.txt' \\
        --config.target='sw/*.txt' --config.lexicon=en-sw.tsv --config.target_language=sw --workdir=runs/swahili

The same command on the same --workdir goes on where it stopped; a finished run is reported and left alone.
SIGTERM (or SIGUSR1) saves and leaves with exit code 75, Ctrl-C with 130; Ctrl-C twice leaves at once.
On several machines: the same command on each, with --coordinator, --processes and --process where neither Slurm nor a
TPU pod says it, and with a --workdir that all of them see (docs/scaling.md).
"""

import contextlib
import functools
import pathlib
import sys
from collections.abc import Collection
from typing import Any

import jax
import ml_collections

from linkjax import config as configs
from linkjax import report
from linkjax import workdir as folders
from linkjax.data.pipeline import Stream, StreamSettings, expected_passes, pass_limits
from linkjax.data.prepared import Prepared
from linkjax.data.worker import dump_stacks
from linkjax.errors import UserError, outlive_the_terminal
from linkjax.initial import with_model
from linkjax.loop import Loop
from linkjax.training.interruptions import Interruptions
from linkjax.training.processes import OPTIONS, first, joined, leave_now, on_first, say
from linkjax.training.sharding import make_mesh, row_block, rows_divide
from linkjax.training.speed import keep_compiled
from linkjax.training.step import Trainer
from linkjax.training.watchdog import Watchdog


def train(config: ml_collections.ConfigDict, workdir: pathlib.Path, named: Collection[str] = ()) -> dict[str, Any]:
    """Runs to the end and returns the summary that is also in `workdir/summary.json`.

    Args: `named`, the settings that the user named, which a model to begin from may not contradict.

    Raises:
      UserError: something in the settings, the data or the disk is in the way; what was saved is still there.
      Interrupted: a signal asked the process to leave; what was trained is saved.
    """
    with contextlib.ExitStack() as opened:
        interruptions = opened.enter_context(Interruptions(leave_now, say))

        ### Settings and folders
        config = with_model(config, workdir, named)
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
        finished = on_first(lambda: _finished_or_prepared(config, workdir, folder, opened))
        if finished:
            return finished

        ### Data and model
        prepared = Prepared(folder)
        configs.check_prepared_so(config, prepared)
        stream_settings = StreamSettings.of(settings)
        if first():
            _warn_of_repetition(prepared, stream_settings)
        trainer = Trainer.of(settings, mesh, len(prepared.tokenizer), len(prepared.components))

        def stream_from(states: dict[int, str]) -> Stream:
            own = {"workers": settings.workers, "host": block.index, "hosts": block.count}
            return Stream(prepared, stream_settings, states=states, **own)

        ### Loop
        interruptions.listen()
        name = "" if first() else f"process-{jax.process_index()}"
        watchdog = Watchdog(settings.hang_minutes, workdir, also=dump_stacks, name=name)
        opened.enter_context(contextlib.closing(watchdog.start()))
        with contextlib.closing(Loop(config, workdir, prepared, trainer, stream_from, interruptions, watchdog)) as loop:
            loop.finish_evaluation()
            while loop.step < settings.steps:
                loop.take_step()
                loop.evaluate_and_save()

        ### Summary
        return on_first(lambda: folders.summarise(settings.steps, prepared, workdir))


def _finished_or_prepared(
    config: ml_collections.ConfigDict, workdir: pathlib.Path, folder: pathlib.Path, opened: contextlib.ExitStack
) -> dict[str, Any] | None:
    """The summary of a run that is finished; otherwise its prepared folder is there after this, and its folder held."""
    changed = folders.begun_alike(config, workdir)
    if finished := folders.finished(workdir):
        return finished
    opened.enter_context(folders.held(workdir))
    if changed:
        print(f"other settings than when {workdir} was begun: {configs.say_changes(changed)}", file=sys.stderr)
    if not folder.exists():
        folders.prepare(config, folder)
    return None


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


def run(
    config: ml_collections.ConfigDict,
    workdir: str,
    coordinator: str,
    processes: str,
    process: str,
    named: Collection[str] = (),
) -> None:
    outlive_the_terminal()  # a closed window is no reason to lose a run
    with joined(coordinator, processes, process):
        folder = pathlib.Path(on_first(lambda: workdir or folders.new_workdir()))
        summary = train(config, folder, named)
        if first():
            print(report.table(summary))
            print(f"\nall of it in {folder}: metrics.jsonl, summary.json, tensorboard, checkpoints")


if __name__ == "__main__":
    options = {"workdir": ("", "folder of the run, continued if it holds an unfinished one; default runs/DATE-TIME")}
    configs.main(functools.partial(run, named=configs.named(sys.argv)), __doc__, options | OPTIONS, sys.argv)
