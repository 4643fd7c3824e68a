"""XNLI: does a sentence follow from another, contradict it, or neither? Conneau et al., 2018, CC BY-NC 4.0.

Files: https://huggingface.co/datasets/facebook/xnli (sw/test-00000-of-00001.parquet); rows have premise, hypothesis and
label (0 entailment, 1 neutral, 2 contradiction). 2,490 validation and 5,010 test items. The two sentences joined by a
word for each label are scored whole, with nothing before them, as in lm-evaluation-harness 0.4.13
(lm_eval/tasks/xnli), which reports the validation items. TFDS's `xnli`, read too, has all
languages in one.
"""

from typing import Any

from tasks.benchmarks.benchmark import Benchmark, Question, hub, spaced
from tasks.benchmarks.rows import Row
from tasks.benchmarks.tfds_rows import Tfds

# right?, then yes, also, no
_WORDS = {
    "ar": ("صحيح", "نعم", "لذا", "رقم"),
    "bg": ("правилно", "да", "така", "не"),
    "de": ("richtig", "Ja", "Auch", "Nein"),
    "el": ("σωστός", "Ναί", "Έτσι", "όχι"),
    "en": ("right", "Yes", "Also", "No"),
    "es": ("correcto", "Sí", "Asi que", "No"),
    "fr": ("correct", "Oui", "Aussi", "Non"),
    "hi": ("सही", "हाँ", "इसलिए", "नहीं"),
    "ru": ("правильно", "Да", "Так", "Нет"),
    "sw": ("sahihi", "Ndiyo", "Hivyo", "Hapana"),
    "th": ("ถูกต้อง", "ใช่", "ดังนั้น", "ไม่"),
    "tr": ("doğru", "Evet", "Böylece", "Hayır"),
    "ur": ("صحیح", "جی ہاں", "اس لئے", "نہیں"),
    "vi": ("đúng", "Vâng", "Vì vậy", "Không"),
    "zh": ("正确", "是的", "所以", "不是的"),
}


def question(row: Row, language: str) -> Question:
    right, *labels = _WORDS[language]
    premise, hypothesis = row.text("premise"), row.text("hypothesis")
    choices = [f"{premise}, {right}? {label}, {hypothesis}" for label in labels]
    return Question("", spaced(choices), row.one_of("012", "label"))


def _of_tfds(values: dict[str, Any], language: str) -> dict[str, Any]:
    hypothesis = dict(zip(values["hypothesis"]["language"], values["hypothesis"]["translation"], strict=True))
    label = ("entailment", "neutral", "contradiction").index(values["label"])
    return {"premise": values["premise"][language], "hypothesis": hypothesis[language], "label": label}


BENCHMARKS = (
    Benchmark(
        "xnli",
        question,
        {"test": hub("test"), "validation": hub("validation")},
        languages=tuple(_WORDS),
        tfds=Tfds("xnli", {"test": "test", "validation": "validation"}, _of_tfds),
    ),
)
