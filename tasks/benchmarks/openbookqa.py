"""OpenBookQA: questions on elementary science that take a step of reasoning. Mihaylov et al., 2018, Apache-2.0.

Files: https://huggingface.co/datasets/allenai/openbookqa (main/test-00000-of-00001.parquet), whose rows have id,
question_stem, choices {text, label} and answerKey, or the original's Data/Main/test.jsonl
(https://allenai.org/data/open-book-qa), where the choices are within the question. 500 validation and 500 test items.
Translations have the same rows, under LANGUAGE/. Prompt: lm-evaluation-harness 0.4.13, lm_eval/tasks/openbookqa. Not
read from TFDS (`openbookqa`).
"""

from tasks.benchmarks.arc import stem_and_choices
from tasks.benchmarks.benchmark import LANGUAGE, Benchmark, Question, hub, spaced
from tasks.benchmarks.rows import Row


def question(row: Row, language: str) -> Question:
    stem, texts, labels = stem_and_choices(row, "question_stem")
    return Question(stem, spaced(texts), row.one_of(labels, "answerKey"), row.text("id"))


def _english(split: str, original: str) -> tuple[str, ...]:
    return (*hub(split, "main"), f"Data/Main/{original}", original)


BENCHMARKS = (
    Benchmark(
        "openbookqa",
        question,
        {"test": hub("test"), "validation": hub("validation")},
        languages=LANGUAGE,
        english=True,
        english_files={"test": _english("test", "test.jsonl"), "validation": _english("validation", "dev.jsonl")},
    ),
)
