"""The SeqIO tasks of a config."""

import contextlib
import dataclasses
import importlib
import os
import pathlib
from collections.abc import Iterator, Sequence
from typing import Any

import ml_collections

from linkjax import config as configs
from linkjax.errors import UserError
from linkjax.preparation import cloze
from tasks import benchmarks


@dataclasses.dataclass(frozen=True)
class Registered:
    """Tasks of the mixture, their shares of its tokens by name, the evaluation tasks, and clozes of held-out text."""

    tasks: list[Any]
    rates: dict[str, float]
    evaluations: list[Any]
    clozes: list[str]

    def task(self, name: str) -> Any:
        return next(task for task in self.tasks if task.name == name)


def register(config: ml_collections.ConfigDict, cache_dirs: Sequence[str] = ()) -> Registered:
    """Imports the task module, lets it read the config, and looks up the mixture's tasks.

    Args: `cache_dirs` are folders in which `seqio_cache_tasks` may have cached the tasks.

    Raises:
      UserError: SeqIO is missing, or the module, the mixture, an evaluation or a cache folder is not there.
    """
    settings = configs.run_settings(config)
    # Text only: TensorFlow shall neither take a GPU nor talk of its absence.
    os.environ |= {"CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    try:
        with _without_chatter():
            import seqio  # costs seconds: not at the top, so that --help and errors come at once
    except ModuleNotFoundError as error:
        raise UserError(
            "preparing data needs SeqIO: pip install 'linkjax[seqio]', or train on a folder prepared elsewhere."
        ) from error
    for folder in cache_dirs:
        if not pathlib.Path(folder).is_dir():
            raise UserError(
                f"--cache_dir names '{folder}', which is no folder: name one that seqio_cache_tasks filled."
            )
    try:
        module = importlib.import_module(settings.task_module)
    except (ModuleNotFoundError, TypeError, ValueError) as error:
        if not isinstance(error, ModuleNotFoundError) or (error.name and settings.task_module.startswith(error.name)):
            raise UserError(
                f"task_module '{settings.task_module}' is not a Python module that can be found."
            ) from error
        raise
    if hasattr(module, "configure"):
        module.configure(config)
    seqio.set_global_cache_dirs(list(cache_dirs))
    evaluations = list(dict.fromkeys(filter(None, map(str.strip, settings.evaluations.split(",")))))
    clozes = [name for name in evaluations if cloze.parse(name) and name not in seqio.TaskRegistry.names()]
    evaluations = [name for name in evaluations if name not in clozes]
    for name in evaluations:
        if name in benchmarks.registered or name not in seqio.TaskRegistry.names():
            benchmarks.register(name, settings.evaluation_data)
    for name in (settings.mixture, *evaluations):
        if name not in {*seqio.TaskRegistry.names(), *seqio.MixtureRegistry.names()}:
            raise UserError(f"'{name}' is no task or mixture that {settings.task_module} registers.")
    mixture = seqio.get_mixture_or_task(settings.mixture)
    tasks = list(seqio.get_subtasks(mixture))
    weights = {task.name: mixture.get_rate(task) if hasattr(mixture, "get_rate") else 1.0 for task in tasks}
    if min(weights.values()) < 0 or not sum(weights.values()) > 0:
        raise UserError(f"the rates of {settings.mixture} are {weights}: none may be below 0, nor all be 0.")
    rates = {name: weight / sum(weights.values()) for name, weight in weights.items()}
    return Registered(tasks, rates, [seqio.get_mixture_or_task(name) for name in evaluations], clozes)


@contextlib.contextmanager
def _without_chatter() -> Iterator[None]:
    """Silences what TensorFlow's C++ side writes to standard error on import; exceptions still come through."""
    standard_error = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(standard_error, 2)
        os.close(standard_error)
        os.close(nowhere)
