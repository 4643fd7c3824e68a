"""XWinograd: which of two nouns a pronoun stands for. Tikhonov and Ryabinin, 2021, CC BY 4.0.

Files: https://huggingface.co/datasets/Muennighoff/xwinograd (test/en.jsonl); rows have sentence with a blank _,
option1, option2 and answer (1 or 2). What follows the blank is scored after either filling, as in
lm-evaluation-harness 0.4.13 (lm_eval/tasks/xwinograd/utils.py). There acc_norm would divide by the filled beginnings,
and is not reported; here what is scored is the same for both. Not in TFDS.
"""

from tasks.benchmarks.benchmark import Benchmark, Question, hub
from tasks.benchmarks.rows import Row


def question(row: Row, language: str) -> Question:
    before, blank, after = row.text("sentence").partition("_")
    if not blank:
        raise row.wrong("'sentence' has no blank _")
    fillings = [before + row.text(column) for column in ("option1", "option2")]
    return Question(fillings, [f" {after.strip()}"] * 2, row.one_of("12", "answer"))


BENCHMARKS = (
    Benchmark(
        "xwinograd",
        question,
        {"test": ("test/{language}.jsonl", *hub("test"))},
        languages=("en", "fr", "jp", "pt", "ru", "zh"),
    ),
)
