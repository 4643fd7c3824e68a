"""PIQA: which of two ways reaches a goal. Bisk et al., 2020, AFL 3.0.

Files: https://huggingface.co/datasets/baber/piqa, in Parquet; rows have goal, sol1, sol2 and label (0 or 1). The test
file has no labels: 1,838 items of `validation` are 'test'. Translations have the same rows, under LANGUAGE/. Prompt:
lm-evaluation-harness 0.4.13, lm_eval/tasks/piqa. TFDS's `piqa` is read too.
"""

from tasks.benchmarks.benchmark import LANGUAGE, Benchmark, Question, hub, spaced
from tasks.benchmarks.rows import Row
from tasks.benchmarks.tfds_rows import Tfds


def question(row: Row, language: str) -> Question:
    ways = [row.text("sol1"), row.text("sol2")]
    return Question(f"Question: {row.text('goal')}\nAnswer:", spaced(ways), row.one_of("01", "label"))


BENCHMARKS = (
    Benchmark(
        "piqa",
        question,
        {"test": hub("validation")},
        languages=LANGUAGE,
        english=True,
        english_files={
            "test": (*hub("validation", "plain_text"), *hub("validation", "default"), *hub("validation", "data"))
        },
        tfds=Tfds("piqa", {"test": "validation"}),
    ),
)
