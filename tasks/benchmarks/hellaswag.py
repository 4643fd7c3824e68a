"""HellaSwag: which of four endings continues a description. Zellers et al., 2019, MIT.

Files: https://huggingface.co/datasets/Rowan/hellaswag (data/validation-00000-of-00001.parquet) or the original's
hellaswag_val.jsonl (https://github.com/rowanz/hellaswag/tree/master/data); rows have activity_label, ctx_a, ctx_b,
endings and label. The test file has no labels: 10,042 items of `validation` are 'test'. Okapi's translations have the
same rows: https://huggingface.co/datasets/alexandrainst/m_hellaswag (CC BY-NC 4.0) or sw_validation.json. As
lm-evaluation-harness 0.4.13, lm_eval/tasks/hellaswag and lm_eval/tasks/okapi/hellaswag_multilingual: marks of WikiHow
are taken out, and of the second part all letters but the first are lower-cased. Translations
have rows with an empty ending, which are left out as in lighteval (github.com/huggingface/lighteval,
src/lighteval/tasks/templates/hellaswag.py). TFDS's `hellaswag` has the two parts joined and cannot be read.
"""

import re

from tasks.benchmarks.benchmark import LANGUAGE, Benchmark, Question, hub, spaced
from tasks.benchmarks.rows import Row

_BRACKETS = re.compile(r"\[.*?\]")


def question(row: Row, language: str) -> Question | None:
    context = f"{row.text_or_blank('ctx_a')} {row.text_or_blank('ctx_b').capitalize()}"
    prompt = without_brackets(f"{row.text('activity_label')}: {context}")
    endings = [without_brackets(ending) for ending in row.texts("endings")]
    if language and not all(ending.strip() for ending in endings):
        return None
    return Question(prompt, spaced(endings), row.one_of([str(n) for n in range(len(endings))], "label"))


def without_brackets(text: str) -> str:
    """Text less the marks of WikiHow's titles and steps."""
    return _BRACKETS.sub("", text.strip().replace(" [title]", ". ")).replace("  ", " ")


BENCHMARKS = (
    Benchmark(
        "hellaswag",
        question,
        {"test": (*hub("val"), *hub("validation"), "{language}_validation.json")},
        languages=LANGUAGE,
        english=True,
        english_files={
            "test": (*hub("validation", "default"), "data/validation-*.parquet", "hellaswag_val.jsonl"),
        },
    ),
)
