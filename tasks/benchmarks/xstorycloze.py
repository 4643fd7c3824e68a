"""XStoryCloze: which of two sentences ends a story of four. Lin et al., 2022, CC BY-SA 4.0.

Files: https://huggingface.co/datasets/juletxara/xstory_cloze (spring2016.val.sw.tsv.split_20_80_eval.tsv, or Parquet);
rows have story_id, input_sentence_1 to 4, sentence_quiz1 and 2, answer_right_ending (1 or 2); the tables of Story Cloze
itself call them InputStoryid, InputSentence1, RandomFifthSentenceQuiz1, AnswerRightEnding. 1,511 items of `eval` are
'test', 360 of `train` 'validation'. Prompt: lm-evaluation-harness 0.4.13, lm_eval/tasks/xstorycloze. Not in TFDS (only
the English `story_cloze`).
"""

from tasks.benchmarks.benchmark import Benchmark, Question, hub, spaced
from tasks.benchmarks.rows import Row


def question(row: Row, language: str) -> Question:
    story = [row.text(f"input_sentence_{number}", f"InputSentence{number}") for number in (1, 2, 3, 4)]
    endings = [row.text(f"sentence_quiz{number}", f"RandomFifthSentenceQuiz{number}") for number in (1, 2)]
    answer = row.one_of("12", "answer_right_ending", "AnswerRightEnding")
    return Question(" ".join(story), spaced(endings), answer, row.text("story_id", "InputStoryid"))


def _files(split: str) -> tuple[str, ...]:
    return (*hub(split), f"spring2016.val.{{language}}.tsv.split_20_80_{split}.tsv")


BENCHMARKS = (
    Benchmark(
        "xstorycloze",
        question,
        {"test": _files("eval"), "validation": _files("train")},
        languages=("ar", "en", "es", "eu", "hi", "id", "my", "ru", "sw", "te", "zh"),
    ),
)
