"""A run's folder: who may write in it, with which settings, and what stands in it at the end.

config.json       the settings, as data
metrics.jsonl     a line per step; tensorboard/ has the same
events.jsonl      restarts, loss spikes, bad gradients, rewinds
checkpoints/      see `training.checkpoints`
data/             the prepared folder, unless --config.data names another
summary.json      once it is finished
.lock             held by the process that trains
"""

import contextlib
import json
import pathlib
import platform
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from typing import Any

import jax
import ml_collections

from linkjax import __version__
from linkjax import config as configs
from linkjax.data.prepared import Prepared
from linkjax.errors import Interrupted, UserError
from linkjax.files import read_json
from linkjax.lock import locked
from linkjax.training.interruptions import PREEMPTED
from linkjax.training.metrics import mean_of_last, read_metrics
from linkjax.training.run_files import write_whole

CONFIG, SUMMARY, LOCK = "config.json", "summary.json", ".lock"
# Without changing the training but for rounding, or what is done when something goes wrong.
_MAY_CHANGE = ("workers", "keep_checkpoints", "keep_every", "keep_best", "checkpoint_every", "checkpoint_minutes",
               "data", "mesh", "microbatches", "loss_chunks", "model.attention", "model.remat", "profile",
               "compilation_cache", "guard", "hang_minutes", "most_damaged")  # fmt: skip
_SUMMARY_BYTES = 64 * 2**20
_RECENT_STEPS = 50  # that the losses of summary.json are the mean of


def new_workdir() -> str:
    """A name that no other run has, even one begun in the same second."""
    stem = f"runs/{time.strftime('%Y%m%d-%H%M%S')}"
    return stem if not pathlib.Path(stem).exists() else f"{stem}-{secrets.token_hex(2)}"


@contextlib.contextmanager
def held(workdir: pathlib.Path) -> Iterator[None]:
    """Nobody else trains in this folder meanwhile. A folder that nothing was put into is removed.

    Raises:
      UserError: another process trains there, or it cannot be written.
    """
    if workdir.exists() and not workdir.is_dir():
        raise UserError(f"--workdir={workdir} is a file: name a folder.")
    created = [folder for folder in (workdir, *workdir.parents) if not folder.exists()]
    with locked(workdir / LOCK, f"{workdir} is being trained"):
        try:
            yield
        finally:
            if created and not (workdir / CONFIG).exists():
                with contextlib.suppress(OSError):  # there is more in it
                    if [path.name for path in workdir.iterdir()] == [LOCK]:
                        (workdir / LOCK).unlink()
                    for folder in created:
                        folder.rmdir()


def finished(workdir: pathlib.Path) -> dict[str, Any] | None:
    """The summary of a run that is finished."""
    path = workdir / SUMMARY
    if not path.exists():
        return None
    summary = read_json(path, _SUMMARY_BYTES)
    print(f"{workdir} holds a finished run:")
    return summary


def write_config(config: ml_collections.ConfigDict, workdir: pathlib.Path) -> None:
    write_whole(workdir / CONFIG, configs.to_json(config))


def begun_alike(config: ml_collections.ConfigDict, workdir: pathlib.Path) -> dict[str, tuple[Any, Any]]:
    """Settings that are not those that the run was begun with and may change, with their values then and now.

    Raises:
      UserError: others have changed, which would change the training.
    """
    path = workdir / CONFIG
    return check_alike(configs.from_json(path), config, workdir) if path.exists() else {}


def check_alike(
    before: ml_collections.ConfigDict, config: ml_collections.ConfigDict, workdir: pathlib.Path
) -> dict[str, tuple[Any, Any]]:
    """`begun_alike`, with the config that the run was begun with."""
    harmless, others = {}, {}
    for key, values in configs.differences(configs.completed(before), config).items():
        may = {key, key.partition(".")[0]} & set(_MAY_CHANGE)
        (harmless if may else others)[key] = values
    if others:
        raise UserError(
            f"{workdir} was begun with other settings: {configs.say_changes(others)}. Choose another --workdir."
        )
    return harmless


def prepare(config: ml_collections.ConfigDict, folder: pathlib.Path) -> None:
    """Makes the prepared folder in a process of its own: this one never imports TensorFlow."""
    print(f"preparing {folder}", file=sys.stderr)
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        file.write(configs.to_json(config))
        file.flush()
        command = [sys.executable, "-m", "linkjax.prepare", f"--config={file.name}", f"--out={folder}"]
        command += ["--wait=yes", *configs.code_options(config)]
        with subprocess.Popen(command) as process:
            try:
                code = process.wait()
            except BaseException:
                process.terminate()
                raise
    if code in (-signal.SIGTERM, 128 + signal.SIGTERM, -signal.SIGUSR1):  # to all processes of a job at once
        raise Interrupted("", PREEMPTED)
    if code < 0:
        raise UserError(f"preparing {folder} was ended by signal {-code}: start it again.")
    if code:
        sys.exit(code)  # it has said why


def check_same_data(run: dict[str, Any], prepared: Prepared) -> None:
    """A checkpoint's data position means something on the data it was made on, and on no other."""
    if run["data_sha256"] != prepared.fingerprint:
        raise UserError(
            f"{prepared.folder} is not the prepared folder that this run was begun on (its files' hashes differ):"
            " name that one in --config.data, or choose another --workdir."
        )


def run_record(config: ml_collections.ConfigDict, prepared: Prepared) -> dict[str, Any]:
    """What a checkpoint says of the run that made it."""
    manifest = prepared.manifest
    return {
        "config": config.to_dict(),
        "linkjax": code_version(),
        "jax": jax.__version__,
        "vocabulary_size": len(prepared.tokenizer),
        "components": [component["name"] for component in prepared.components],
        "data_sha256": prepared.fingerprint,
        "tokenizer_sha256": manifest["files"][prepared.tokenizer_file.name]["sha256"],
        "lexicon_sha256": prepared.lexicon_hashes,
    }


def code_version() -> str:
    """The package's version, and the commit where it is run from a clone of its repository."""
    root = pathlib.Path(__file__).parent.parent
    if not (root / ".git").exists():
        return __version__
    command = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return __version__
    return f"{__version__}+{done.stdout.strip()}" if done.returncode == 0 else __version__


def summarise(steps: int, prepared: Prepared, workdir: pathlib.Path) -> dict[str, Any]:
    """Writes `summary.json` and returns what is in it."""
    records = read_metrics(workdir)
    if not records:
        raise UserError(f"{workdir} has a finished run's checkpoint but no metrics.jsonl: put that file back.")
    summary: dict[str, Any] = {"steps": steps}
    for name in records[-1]:
        recent = name.startswith("loss") or name in ("tokens_per_second", "waiting_share", "padding_share", "mfu")
        if name != "step":
            summary[name] = mean_of_last(records, name, _RECENT_STEPS) if recent else records[-1][name]
    summary |= prepared.yardsticks()
    summary["lexicon_sha256"] = prepared.lexicon_hashes
    summary["versions"] = {
        "linkjax": code_version(),
        "jax": jax.__version__,
        "python": platform.python_version(),
    }
    write_whole(workdir / SUMMARY, json.dumps(summary, indent=2, ensure_ascii=False) + "\n")
    return summary
