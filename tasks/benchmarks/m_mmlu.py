"""MMLU as the Okapi project translated it to 34 languages. Lai et al., 2023, CC BY-NC 4.0.

Files: https://huggingface.co/datasets/alexandrainst/m_mmlu or okapi's own sw_test.json
(https://github.com/nlp-uoregon/Okapi); rows have id, instruction, option_a to d, answer (A to D). The letters are
ranked after a list of the answers, as in lm-evaluation-harness 0.4.13 (lm_eval/tasks/okapi/mmlu_multilingual). Not in
TFDS.
"""

from tasks.benchmarks.benchmark import LANGUAGE, Benchmark, hub
from tasks.benchmarks.global_mmlu import letters

BENCHMARKS = (
    Benchmark(
        "m_mmlu",
        letters,
        {"test": (*hub("test"), "{language}_test.json"), "validation": (*hub("val"), "{language}_val.json")},
        languages=LANGUAGE,
    ),
)
