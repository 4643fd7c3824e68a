"""SIB-200: the topic of a sentence, in 205 languages. Adelani et al., 2024, CC BY-SA 4.0.

Files: https://huggingface.co/datasets/Davlan/sib200 (data/swh_Latn/test.tsv); rows have index_id, category, text. 204
test and 99 dev items, the latter 'validation'. The names of the seven topics are ranked after the English question
that lm-evaluation-harness 0.4.13 calls prompt_1 (lm_eval/tasks/afrobench/sib), there for African languages alone and
beside acc with a weighted F1. Not in TFDS.
"""

from tasks.benchmarks.benchmark import Benchmark, Question, hub, spaced
from tasks.benchmarks.rows import Row

_TOPICS = ("science/technology", "travel", "politics", "sports", "health", "entertainment", "geography")
_ASKED = f"Given the categories {', '.join(_TOPICS[:-1])}, or {_TOPICS[-1]}; what category does the text: '"


def question(row: Row, language: str) -> Question:
    prompt = f"{_ASKED}{row.text('text')}' belong to: \n\n"
    return Question(prompt, spaced(_TOPICS), row.one_of(_TOPICS, "category"), row.identifier("index_id"))


BENCHMARKS = (
    Benchmark(
        "sib200",
        question,
        {
            "test": ("data/{language}/test.tsv", *hub("test")),
            "validation": ("data/{language}/dev.tsv", *hub("validation")),
        },
        languages="[a-z]{3}_[A-Z][a-z]{3}",
    ),
)
