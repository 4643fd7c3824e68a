"""Published benchmarks as evaluation tasks: questions whose choices are ranked (docs/evaluation.md).

A task is named BENCHMARK_LANGUAGE (`xcopa_sw`), or BENCHMARK alone for the English ones (`arc_easy`). Each module here
is one benchmark, or a few alike: published files, and prompts. Reading needs no TensorFlow; `register` makes SeqIO
tasks of them.
"""

import difflib
import functools
import pathlib
from collections.abc import Iterator
from typing import Any

from linkjax.errors import UserError
from tasks.benchmarks import (
    arc,
    belebele,
    global_mmlu,
    global_piqa,
    hellaswag,
    m_mmlu,
    multiblimp,
    openbookqa,
    paws,
    piqa,
    sciq,
    sib200,
    winogrande,
    xcopa,
    xnli,
    xstorycloze,
    xwinograd,
)
from tasks.benchmarks.benchmark import Benchmark

_MODULES = (
    xcopa,
    xstorycloze,
    xwinograd,
    xnli,
    paws,
    belebele,
    global_mmlu,
    global_piqa,
    multiblimp,
    sib200,
    arc,
    hellaswag,
    piqa,
    sciq,
    winogrande,
    openbookqa,
    m_mmlu,
)
BENCHMARKS = {benchmark.name: benchmark for module in _MODULES for benchmark in module.BENCHMARKS}

registered: set[str] = set()


def find(name: str) -> tuple[Benchmark, str] | None:
    """The benchmark and the language that a task's name says, if it does; '' for a benchmark's name alone.

    Raises:
      UserError: the benchmark does not have the language.
    """
    named = [known for known in BENCHMARKS if name == known or name.startswith(f"{known}_")]
    if not named:
        return None
    benchmark = BENCHMARKS[max(named, key=len)]
    language = name.removeprefix(benchmark.name).removeprefix("_")
    if not (benchmark.has(language) if language else benchmark.english):
        listed = not isinstance(benchmark.languages, str)
        known = f"it has: {', '.join(benchmark.languages)}" if listed else "docs/evaluation.md says how they are named"
        what = f"'{name}' names '{language}', which is no language of" if language else f"'{name}' names no language of"
        raise UserError(f"{what} {benchmark.name} ({known}): write {benchmark.name}_LANGUAGE.")
    return benchmark, language


def metric(name: str) -> str:
    """What the scores of a task are called: the benchmark's name, to which a score adds the language."""
    found = find(name)
    return found[0].name if found else name


def items(name: str, folder: str) -> Iterator[dict[str, Any]]:
    """The items of a task, from the benchmarks' files under `folder`.

    Raises:
      UserError: there is no such task, no folder, or its files are missing or not as they are published.
    """
    found = find(name)
    if found is None:
        close = difflib.get_close_matches(name, BENCHMARKS, n=1)
        hint = f"did you mean '{close[0]}'?" if close else "docs/evaluation.md lists them."
        raise UserError(f"'{name}' is no benchmark: {hint}")
    if not folder:
        raise UserError(f"{name} needs files: set evaluation_data to the folder of the benchmarks.")
    if not pathlib.Path(folder).is_dir():
        raise UserError(f"the folder of the benchmarks, '{folder}', is none: set evaluation_data to it.")
    benchmark, language = found
    return benchmark.items(pathlib.Path(folder), language)


def register(name: str, folder: str) -> None:
    """Registers a task with SeqIO, which reads its files when it is asked for items; of another name, does nothing.

    Raises:
      UserError: the benchmark does not have the language.
    """
    from linkjax.data import tasks  # TensorFlow

    if find(name) is not None:
        registered.add(name)
        tasks.add_ranking_task(name, functools.partial(items, name, folder), metric=metric(name))
