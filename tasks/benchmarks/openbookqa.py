"""OpenBookQA: questions on elementary science that take a step of reasoning. Mihaylov et al., 2018, Apache-2.0.

Files: https://huggingface.co/datasets/allenai/openbookqa (main/test-00000-of-00001.parquet), whose rows have id,
question_stem, choices {text, label} and answerKey, or the original's Data/Main/test.jsonl
(https://allenai.org/data/open-book-qa), where the choices are within the question. 500 validation and 500 test items.
Translations have the same rows, under LANGUAGE/. Prompt: lm-evaluation-harness 0.4.13, lm_eval/tasks/openbookqa.
TFDS's `openbookqa` is read too; it has no ids.
"""

from typing import Any

from tasks.benchmarks.arc import stem_and_choices
from tasks.benchmarks.benchmark import LANGUAGE, Benchmark, Question, hub, spaced
from tasks.benchmarks.rows import Row
from tasks.benchmarks.tfds_rows import Tfds


def question(row: Row, language: str) -> Question:
    stem, texts, labels = stem_and_choices(row, "question_stem")
    identifier = row.text("id") if "id" in row.values else ""
    return Question(stem, spaced(texts), row.one_of(labels, "answerKey"), identifier)


def _of_tfds(values: dict[str, Any], language: str) -> dict[str, Any]:
    question = values["question"]
    choices = {"text": [question[f"choice_{letter}"] for letter in "ABCD"], "label": list("ABCD")}
    return {"question_stem": question["stem"], "choices": choices, "answerKey": values["answerKey"]}


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
        tfds=Tfds("openbookqa", {"test": "test", "validation": "validation"}, _of_tfds),
    ),
)
