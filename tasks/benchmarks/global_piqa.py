"""Global PIQA: which of some solutions works, in over 100 languages. Chang, Arnett et al., 2025, CC BY-SA 4.0.

Files: https://huggingface.co/datasets/mrlbenchmarks/global-piqa-nonparallel (two solutions, written in each language)
and .../global-piqa-parallel (four, translated); rows have prompt, solution0, solution1 ..., label, mostly with
example_id. The completion form, as in lm-evaluation-harness 0.4.13 (lm_eval/tasks/global_piqa), which names the tasks
so. The authors do not allow training on it. Not in TFDS.
"""

from tasks.benchmarks.benchmark import Benchmark, Question, hub, spaced
from tasks.benchmarks.rows import Row

_CODE = "[a-z]{3}_[a-z]{4}(_[a-z]{4})?"


def _question(row: Row, count: int) -> Question:
    solutions = [row.text(f"solution{number}") for number in range(count)]
    identifier = row.identifier("example_id") if "example_id" in row.values else ""
    return Question(row.text("prompt"), spaced(solutions), row.one_of("0123"[:count], "label"), identifier)


def of_two(row: Row, language: str) -> Question:
    return _question(row, 2)


def of_four(row: Row, language: str) -> Question:
    return _question(row, 4)


BENCHMARKS = (
    Benchmark("global_piqa_nonparallel_cloze", of_two, {"test": hub("test")}, languages=_CODE),
    Benchmark("global_piqa_parallel_cloze", of_four, {"test": hub("test")}, languages=_CODE),
)
