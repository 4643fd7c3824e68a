"""Global-MMLU: examination questions of 57 subjects in 42 languages. Singh et al., 2024, Apache-2.0.

Files: https://huggingface.co/datasets/CohereForAI/Global-MMLU, for `global_mmlu_full` and `global_mmlu_text`, and
.../Global-MMLU-Lite, for `global_mmlu` (sw/test-00000-of-00001.parquet); rows have sample_id, question, option_a to d,
answer (A to D). 14,042 test and 285 dev items, the latter 'validation'; of Lite fewer.

As in lm-evaluation-harness 0.4.13 (lm_eval/tasks/global_mmlu) the prompt lists the answers and the letters are ranked:
small models do so at chance. `global_mmlu_text` has the prompt less the list, and ranks the answers. Not in TFDS.
"""

from tasks.benchmarks.benchmark import Benchmark, Question, hub, spaced
from tasks.benchmarks.rows import Row

LETTERS = "ABCD"
_FILES = {"test": hub("test"), "validation": hub("dev")}
_CODE = "[a-z]{2,3}"


def letters(row: Row, language: str) -> Question:
    answers = [row.text(f"option_{letter.lower()}") for letter in LETTERS]
    listed = "\n".join(f"{letter}. {answer}" for letter, answer in zip(LETTERS, answers, strict=True))
    prompt = f"{row.text('question', 'instruction').strip()}\n{listed}\nAnswer:"
    return Question(prompt, spaced(LETTERS), row.one_of(LETTERS, "answer"), row.text("sample_id", "id"))


def texts(row: Row, language: str) -> Question:
    answers = [row.text(f"option_{letter.lower()}") for letter in LETTERS]
    prompt = f"{row.text('question').strip()}\nAnswer:"
    return Question(prompt, spaced(answers), row.one_of(LETTERS, "answer"), row.text("sample_id"))


BENCHMARKS = (
    Benchmark("global_mmlu", letters, _FILES, languages=_CODE),
    Benchmark("global_mmlu_full", letters, _FILES, languages=_CODE),
    Benchmark("global_mmlu_text", texts, _FILES, languages=_CODE, folder="global_mmlu_full"),
)
