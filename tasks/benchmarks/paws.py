"""PAWS-X: do two sentences of the same words mean the same? Yang et al., 2019, free to use.

Files: https://huggingface.co/datasets/google-research-datasets/paws-x (de/test-00000-of-00001.parquet) or the
original's x-final/de/test_2k.tsv (https://github.com/google-research-datasets/paws/tree/master/pawsx); rows have id,
sentence1, sentence2 and label (1 = the same). 2,000 validation and 2,000 test items, a few of them with no sentence:
those are left out. The sentences joined by yes or no are scored whole, as in lm-evaluation-harness 0.4.13
(lm_eval/tasks/paws-x), which, in ja, ko and zh, keeps those without a sentence. TFDS's `paws_x_wiki`
is read too; it has no ids, and where a sentence begins with a quotation mark it has lost the marks.
"""

import re
from typing import Any

from tasks.benchmarks.benchmark import Benchmark, Question, hub
from tasks.benchmarks.rows import Row
from tasks.benchmarks.tfds_rows import Tfds

# right?, then no, yes
_WORDS = {
    "de": ("richtig", "Nein", "Ja"),
    "en": ("right", "No", "Yes"),
    "es": ("verdad", "No", "Sí"),
    "fr": ("n'est-ce pas", "Non", "Oui"),
    "ja": ("ですね", "いいえ", "はい"),
    "ko": ("맞죠", "아니요", "예"),
    "zh": ("对吧", "不是", "是"),
}
_SPACES = ((" n't", "n't"), (" )", ")"), ("( ", "("), ('" ', '"'), (' "', '"'))  # of the tokenized originals
_BEFORE_MARKS = re.compile(r" (?=['.,])")


def question(row: Row, language: str) -> Question | None:
    first, second = (row.text_or_blank(column) for column in ("sentence1", "sentence2"))
    if language in ("de", "en", "es", "fr"):
        first, second = _without_spaces(first), _without_spaces(second)
        if first.endswith((".", ",", ";")):
            first = first[:-1]
        second = second[:1].lower() + second[1:]
    if not first.strip() or not second.strip():
        return None
    identifier = row.identifier("id") if "id" in row.values else ""
    right, *answers = _WORDS[language]
    choices = [f"{first}, {right}? {answer}, {second}" for answer in answers]
    return Question("", choices, row.one_of("01", "label"), identifier)


def _without_spaces(text: str) -> str:
    for spaced, joined in _SPACES:
        text = text.replace(spaced, joined)
    return _BEFORE_MARKS.sub("", text).strip()


def _of_tfds(values: dict[str, Any], language: str) -> dict[str, Any]:
    return {**values, "label": ("different_meaning", "paraphrase").index(values["label"])}


BENCHMARKS = (
    Benchmark(
        "paws",
        question,
        {
            "test": (*hub("test"), "x-final/{language}/test_2k.tsv", "{language}/test_2k.tsv"),
            "validation": (*hub("validation"), "x-final/{language}/dev_2k.tsv", "{language}/dev_2k.tsv"),
        },
        languages=tuple(_WORDS),
        quoted=False,
        tfds=Tfds("paws_x_wiki/{language}", {"test": "test", "validation": "validation"}, _of_tfds),
    ),
)
