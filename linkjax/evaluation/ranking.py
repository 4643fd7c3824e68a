"""Rank classification: which of a question's endings does the model find most likely?"""

import itertools
from collections.abc import Sequence

import numpy as np

from linkjax.data.tokenizer import Tokenizer
from linkjax.errors import UserError
from linkjax.evaluation.scoring import PackedSequences, ScoreRows


class Ranking:
    """The items of one evaluation task, packed once.

    An ending's score is its summed log-probability given the prompt. Prompt and ending are tokenized as one
    text; where a token spans both, it is scored.
    """

    def __init__(
        self, items: Sequence[dict], tokenizer: Tokenizer, length: int, rows_per_batch: int, most_segments: int = 0
    ):
        self.items = items
        self._sizes = [len(item["choices"]) for item in items]
        sequences = []
        for item in items:
            prompt = tokenizer.encode(item["prompt"])
            for choice in item["choices"]:
                ids = tokenizer.encode(item["prompt"] + choice)
                shared = itertools.takewhile(lambda pair: pair[0] == pair[1], zip(prompt, ids[:-1], strict=False))
                given = sum(1 for _ in shared)  # the last id is always scored
                if len(ids) > length:
                    raise UserError(
                        f"evaluation item {item['id']} has {len(ids)} tokens, more than sequence_length {length}."
                    )
                sequences.append((ids, given))
        self._packed = PackedSequences(sequences, length, rows_per_batch, most_segments)

    def score(self, score_rows: ScoreRows) -> list[dict]:
        """One record per item: id, group, cluster, correct, open (see `judge`)."""
        losses, greedy = self._packed.score(score_rows)
        records, start = [], 0
        for item, size in zip(self.items, self._sizes, strict=True):
            correct, answered = judge(losses[start : start + size], greedy[start : start + size], item["answer"])
            records.append(
                {key: item[key] for key in ("id", "group", "cluster")} | {"correct": correct, "open": answered}
            )
            start += size
        return records


def judge(losses: np.ndarray, greedy: np.ndarray, answer: int) -> tuple[bool, bool]:
    """Whether the answer is ranked first, alone, and whether it is what the model would say unasked.

    Ties and scores that are not finite count as wrong.
    """
    others = np.delete(losses, answer)
    first = bool(np.isfinite(losses).all() and losses[answer] < others.min())
    return first, bool(np.isfinite(losses[answer]) and greedy[answer])


def accuracies(records: Sequence[dict], metric: str) -> dict[str, float]:
    """`METRIC/GROUP` and `METRIC_open/GROUP`: shares of a group's records."""
    result = {}
    for group in dict.fromkeys(record["group"] for record in records):
        of_group = [record for record in records if record["group"] == group]
        result[f"{metric}/{group}"] = float(np.mean([record["correct"] for record in of_group]))
        result[f"{metric}_open/{group}"] = float(np.mean([record["open"] for record in of_group]))
    return result
