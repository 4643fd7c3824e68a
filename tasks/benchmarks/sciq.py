"""SciQ: science questions, mostly with a paragraph that supports the answer. Welbl et al., 2017, CC BY-NC 3.0.

Files: https://huggingface.co/datasets/allenai/sciq (data/test-00000-of-00001.parquet) or the original's test.json
(https://allenai.org/data/sciq); rows have question, distractor1 to 3, correct_answer, support. 1,000 validation and
1,000 test items. Translations have the same rows, under LANGUAGE/. Prompt, and the right answer as the last choice:
lm-evaluation-harness 0.4.13, lm_eval/tasks/sciq. Not in TFDS.
"""

from tasks.benchmarks.benchmark import LANGUAGE, Benchmark, Question, hub, spaced
from tasks.benchmarks.rows import Row


def question(row: Row, language: str) -> Question:
    prompt = f"{row.text_or_blank('support').lstrip()}\nQuestion: {row.text('question')}\nAnswer:"
    answers = [row.text(column) for column in ("distractor1", "distractor2", "distractor3", "correct_answer")]
    return Question(prompt, spaced(answers), 3)


def _english(split: str, original: str) -> tuple[str, ...]:
    return (*hub(split, "default"), *hub(split, "data"), original)


BENCHMARKS = (
    Benchmark(
        "sciq",
        question,
        {"test": hub("test"), "validation": hub("validation")},
        languages=LANGUAGE,
        english=True,
        english_files={"test": _english("test", "test.json"), "validation": _english("validation", "valid.json")},
    ),
)
