"""XCOPA: which of two sentences is the cause, or the effect, of a premise. Ponti et al., 2020, CC BY 4.0.

Files: https://github.com/cambridgeltl/xcopa (data/sw/test.sw.jsonl) or
https://huggingface.co/datasets/cambridgeltl/xcopa; rows have premise, choice1, choice2, question ('cause' or 'effect')
and label (0 or 1). 100 validation and 500 test items a language. The prompt, and the words that join premise and
choice, are those of lm-evaluation-harness 0.4.13 (lm_eval/tasks/xcopa/utils.py). Not in TFDS.
"""

from tasks.benchmarks.benchmark import Benchmark, Question, hub, spaced
from tasks.benchmarks.rows import Row

_BECAUSE_SO = {
    "et": ("sest", "seetõttu"),
    "ht": ("poukisa", "donk sa"),
    "id": ("karena", "maka"),
    "it": ("perché", "quindi"),
    "qu": ("imataq", "chaymi"),
    "sw": ("kwa sababu", "kwa hiyo"),
    "ta": ("காரணமாக", "எனவே"),
    "th": ("เพราะ", "ดังนั้น"),
    "tr": ("çünkü", "bu yüzden"),
    "vi": ("bởi vì", "vì vậy"),
    "zh": ("因为", "所以"),
}


def question(row: Row, language: str) -> Question:
    joined_by = _BECAUSE_SO[language][row.one_of(("cause", "effect"), "question")]
    premise = row.text("premise").strip()[:-1]  # less its full stop
    choices = [row.text(column) for column in ("choice1", "choice2")]
    choices = [choice[0].lower() + choice[1:] for choice in choices]
    return Question(f"{premise} {joined_by}", spaced(choices), row.one_of("01", "label"), row.identifier("idx"))


def _files(split: str, short: str) -> tuple[str, ...]:
    name = f"{short}.{{language}}.jsonl"
    return (*hub(split), f"data/{{language}}/{name}", f"{{language}}/{name}", name)


BENCHMARKS = (
    Benchmark(
        "xcopa",
        question,
        {"test": _files("test", "test"), "validation": _files("validation", "val")},
        languages=tuple(_BECAUSE_SO),
    ),
)
