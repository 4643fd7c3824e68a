"""ARC: science questions of schools, easy ones and challenging ones. Clark et al., 2018, CC BY-SA 4.0.

Files: https://huggingface.co/datasets/allenai/ai2_arc (ARC-Easy/test-00000-of-00001.parquet), whose rows have id,
question, choices {text, label} and answerKey, or the original's ARC-Easy-Test.jsonl, where the choices are within the
question. Easy: 570 validation and 2,376 test items; Challenge: 299 and 1,172.

Translations have the same rows under LANGUAGE/, or those of okapi: id, instruction, option_a to e, answer (A to E), as
in https://huggingface.co/datasets/alexandrainst/m_arc (CC BY-NC 4.0) or sw_test.json; okapi's are of Challenge.
Prompts: lm-evaluation-harness 0.4.13, lm_eval/tasks/arc and lm_eval/tasks/okapi/arc_multilingual, which calls
`arc_challenge_eu` arc_eu. TFDS's `ai2_arc` is read too; there answers are A to E, never 1 to
5.
"""

from tasks.benchmarks.benchmark import LANGUAGE, Benchmark, Question, hub, spaced
from tasks.benchmarks.hellaswag import without_brackets
from tasks.benchmarks.rows import Row
from tasks.benchmarks.tfds_rows import Tfds

_LETTERS = "ABCDE"


def question(row: Row, language: str) -> Question:
    if "instruction" in row.values:
        return _of_okapi(row)
    stem, texts, labels = stem_and_choices(row, "question")
    return Question(f"Question: {stem}\nAnswer:", spaced(texts), row.one_of(labels, "answerKey"), row.text("id"))


def stem_and_choices(row: Row, column: str) -> tuple[str, list[str], list[str]]:
    """The question, its choices and their labels; `column` has the question, or within it all three."""
    inner = row.raw(column, "question")
    if isinstance(inner, dict):
        nested = Row(row.place, inner)
        return nested.text("stem"), *nested.labelled("choices")
    return row.text(column), *row.labelled("choices")


def _of_okapi(row: Row) -> Question:
    columns = [f"option_{letter.lower()}" for letter in _LETTERS]
    options = [row.text_or_blank(column) if column in row.values else "" for column in columns]
    answer = row.one_of(_LETTERS, "answer")
    if not options[answer]:
        raise row.wrong(f"'answer' is {_LETTERS[answer]}, and '{columns[answer]}' is empty")
    kept = [number for number, option in enumerate(options) if option]
    prompt = f"Question: {without_brackets(row.text('instruction'))}\nAnswer:"
    choices = [without_brackets(options[number]) for number in kept]
    return Question(prompt, spaced(choices), kept.index(answer), row.text("id"))


def _benchmark(name: str, config: str) -> Benchmark:
    def english(split: str, short: str) -> tuple[str, ...]:
        return (*hub(split, config), f"{config}-{short}.jsonl", f"{config}/{config}-{short}.jsonl")

    return Benchmark(
        name,
        question,
        {
            "test": (*hub("test"), "{language}_test.json"),
            "validation": (*hub("validation"), "{language}_validation.json"),
        },
        languages=LANGUAGE,
        english=True,
        english_files={"test": english("test", "Test"), "validation": english("validation", "Dev")},
        tfds=Tfds(f"ai2_arc/{config}", {"test": "test", "validation": "validation"}),
    )


BENCHMARKS = (_benchmark("arc_easy", "ARC-Easy"), _benchmark("arc_challenge", "ARC-Challenge"))
