"""WinoGrande: which of two nouns a pronoun stands for, on a large scale. Sakaguchi et al., 2019, CC BY 4.0.

Files: https://huggingface.co/datasets/allenai/winogrande (winogrande_xl) or the original's dev.jsonl
(https://winogrande.allenai.org); rows as in XWinograd, the original's with qID. The test file has no answers: 1,267
items of `validation` are 'test'. Translations have the same rows, under LANGUAGE/. As lm-evaluation-harness 0.4.13,
lm_eval/tasks/winogrande. TFDS's `winogrande`, read too, calls the answer label.
"""

from tasks.benchmarks.benchmark import LANGUAGE, Benchmark, hub
from tasks.benchmarks.tfds_rows import Tfds
from tasks.benchmarks.xwinograd import question

BENCHMARKS = (
    Benchmark(
        "winogrande",
        question,
        {"test": hub("validation")},
        languages=LANGUAGE,
        english=True,
        english_files={"test": (*hub("validation", "winogrande_xl"), "dev.jsonl")},
        tfds=Tfds("winogrande", {"test": "validation"}, lambda values, _: {**values, "answer": values["label"]}),
    ),
)
