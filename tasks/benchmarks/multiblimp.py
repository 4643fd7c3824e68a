"""MultiBLiMP: a grammatical sentence against one that is not, in 101 languages. Jumelet et al., 2025, CC BY 4.0.

Files: https://huggingface.co/datasets/jumelet/multiblimp (eng/data.tsv); rows have sen and wrong_sen. Both are scored
whole, with nothing before them, as in lm-evaluation-harness 0.4.13 (lm_eval/tasks/multiblimp). Not in TFDS.
"""

from tasks.benchmarks.benchmark import Benchmark, Question, hub
from tasks.benchmarks.rows import Row


def question(row: Row, language: str) -> Question:
    return Question("", [row.text("sen"), row.text("wrong_sen")], 0)


BENCHMARKS = (
    Benchmark("multiblimp", question, {"test": ("{language}/data.tsv", *hub("train"))}, languages="[a-z]{3}"),
)
