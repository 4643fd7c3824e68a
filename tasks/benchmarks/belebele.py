"""Belebele: a question on a passage, with four answers, in 122 languages. Bandarkar et al., 2023, CC BY-SA 4.0.

Files: https://huggingface.co/datasets/facebook/belebele (data/swh_Latn.jsonl); rows have link, question_number,
flores_passage, question, mc_answer1 to 4, correct_answer_num. 900 items. Questions on one passage are a cluster.

Here the texts of the answers are ranked, which says something of small models too. lm-evaluation-harness 0.4.13
(lm_eval/tasks/belebele) lists the answers in the prompt and ranks the letters A to D: the prompt here is its prompt
less these four lines, and its numbers do not compare. Not in TFDS.
"""

from tasks.benchmarks.benchmark import Benchmark, Question, hub, spaced
from tasks.benchmarks.rows import Row


def question(row: Row, language: str) -> Question:
    prompt = f"P: {row.text('flores_passage')}\nQ: {row.text('question').strip()}\nAnswer:"
    answers = [row.text(f"mc_answer{number}") for number in (1, 2, 3, 4)]
    passage = row.text("link")
    identifier = f"{passage}#{row.identifier('question_number')}"
    return Question(prompt, spaced(answers), row.one_of("1234", "correct_answer_num"), identifier, passage)


BENCHMARKS = (
    Benchmark(
        "belebele", question, {"test": ("data/{language}.jsonl", *hub("test"))}, languages="[a-z]{3}_[A-Z][a-z]{3}"
    ),
)
