"""Rank classification: which of a question's endings does the model find most likely?"""

import itertools
import random
from collections.abc import Sequence
from typing import Any

import numpy as np

from linkjax.data.tokenizer import AnyTokenizer
from linkjax.errors import UserError
from linkjax.evaluation.scoring import ALIGNED, PackedSequences, ScoreRows

_BETWEEN = "\n\n"  # examples: lm-evaluation-harness's fewshot_delimiter


class Ranking:
    """The items of one evaluation task, packed once.

    An ending's score is its summed log-probability given the prompt (`encode_pair`).
    """

    def __init__(
        self,
        items: Sequence[dict],
        tokenizer: AnyTokenizer,
        length: int,
        rows_per_batch: int,
        most_segments: int = 0,
        multiple: int = ALIGNED,
    ):
        self.items = items
        sequences = [
            encode_pair(tokenizer, prompt, choice)
            for item in items
            for prompt, choice in zip(prompts(item), item["choices"], strict=True)
        ]
        self._packed = PackedSequences(
            sequences, length, rows_per_batch, most_segments, multiple, start=tokenizer.start
        )

    def __len__(self) -> int:
        """Batches."""
        return len(self._packed)

    def score(self, score_rows: ScoreRows) -> list[dict]:
        """One record per item: id, group, cluster, and what `judge` says."""
        losses, greedy = self._packed.score(score_rows)
        records, start = [], 0
        for item in self.items:
            end = start + len(item["choices"])
            verdict = judge(losses[start:end], greedy[start:end], item["choices"], item["answer"])
            about = {key: item[key] for key in ("id", "group", "cluster")}
            records.append(about | verdict | {"truncated": bool(self._packed.truncated[start:end].any())})
            start = end
        return records


def encode_pair(tokenizer: AnyTokenizer, prompt: str, choice: str) -> tuple[list[int], int]:
    """Ids of a prompt with its ending, and how many of them are given.

    They are tokenized as one text. White space at the prompt's end belongs to the ending, as in lm-evaluation-harness
    (`TemplateLM._encode_pair`, github.com/EleutherAI/lm-evaluation-harness, lm_eval/api/model.py). A token that spans
    both is scored; there the harness, which counts the prompt's tokens alone, leaves it out.
    """
    context, ids = tokenizer.encode(prompt.rstrip()), tokenizer.encode(prompt + choice)
    shared = itertools.takewhile(lambda pair: pair[0] == pair[1], zip(context, ids[:-1], strict=False))
    return ids, sum(1 for _ in shared)  # the last id is always scored


def prompts(item: dict) -> list[str]:
    """What stands before each of an item's choices."""
    return item["prompts"] if "prompts" in item else [item["prompt"]] * len(item["choices"])


def of_split(items: Sequence[dict], split: str, task: str) -> list[dict]:
    """The items of a split; those that name none are of 'test'.

    Raises:
      UserError: there are none.
    """
    if found := [item for item in items if item.get("split", "test") == split]:
        return found
    there = ", ".join(sorted({item.get("split", "test") for item in items})) or "no items"
    raise UserError(f"task '{task}' has no items of split '{split}' (it has: {there}): choose another --split.")


def with_examples(items: Sequence[dict], pool: Sequence[dict], shots: int, seed: int, task: str) -> list[dict]:
    """Items whose prompts begin with `shots` solved examples of their group from `pool`.

    Drawn and laid out as lm-evaluation-harness does for a task of one group with `fewshot_random_seed` = `seed`: so
    much of one generator for each item, in the items' order.

    Raises:
      UserError: a group has fewer examples.
    """
    if not shots:
        return list(items)
    draws = {group: random.Random(seed) for group in dict.fromkeys(item["group"] for item in items)}
    pools = {group: [example for example in pool if example["group"] == group] for group in draws}
    result = []
    for item in items:
        mine = [example for example in pools[item["group"]] if example["id"] != item["id"]]
        if len(mine) < shots:
            raise UserError(
                f"task '{task}' has {len(mine)} validation items in '{item['group']}' to show, too few for"
                f" --shots={shots}: choose fewer, or prepare the task with its validation file."
            )
        chosen = draws[item["group"]].sample(mine, shots)
        before = "".join(prompts(one)[one["answer"]] + one["choices"][one["answer"]] + _BETWEEN for one in chosen)
        result.append({**item, "prompts": [before + prompt for prompt in prompts(item)]})
    return result


def judge(losses: np.ndarray, greedy: np.ndarray, choices: Sequence[str], answer: int) -> dict[str, Any]:
    """What the losses (nats) of an item's choices say of it.

    Ties and scores that are not finite count as wrong, but in correct_harness, which is numpy's argmax: there the
    first of what ties, or is not a number, is chosen.

    Returns:
      answer, log_likelihoods (nats; None where not finite); correct by their sums, correct_norm by character,
      correct_bytes by UTF-8 byte, correct_harness; open: whether the answer is what the model would say unasked; margin
      of the answer over the best other choice in bits, or None; tie: whether the best is not alone; nan.
    """
    finite = bool(np.isfinite(losses).all())
    endings = [choice.removeprefix(" ") for choice in choices]  # without the harness's target_delimiter
    characters = np.array([max(len(ending), 1) for ending in endings])
    sizes = np.array([max(len(ending.encode()), 1) for ending in endings])
    others = np.delete(losses, answer)

    def first(scores: np.ndarray) -> bool:
        return finite and bool(scores[answer] < np.delete(scores, answer).min())

    return {
        "answer": answer,
        "log_likelihoods": [-float(loss) if np.isfinite(loss) else None for loss in losses],
        "correct": first(losses),
        "correct_norm": first(losses / characters),
        "correct_bytes": first(losses / sizes),
        "correct_harness": bool(np.argmax(-losses) == answer),
        "open": bool(np.isfinite(losses[answer]) and greedy[answer]),
        "margin": float((others.min() - losses[answer]) / np.log(2)) if finite else None,
        "tie": finite and bool((losses == losses.min()).sum() > 1),
        "nan": not finite,
    }


def accuracies(records: Sequence[dict], metric: str) -> dict[str, float]:
    """`METRIC/GROUP` and `METRIC_open/GROUP`: shares of a group's records; `METRIC_margin/GROUP`: bits, their mean."""
    result = {}
    for group in dict.fromkeys(record["group"] for record in records):
        of_group = [record for record in records if record["group"] == group]
        result[f"{metric}/{group}"] = float(np.mean([record["correct"] for record in of_group]))
        result[f"{metric}_open/{group}"] = float(np.mean([record["open"] for record in of_group]))
        if margins := [record["margin"] for record in of_group if record["margin"] is not None]:
            result[f"{metric}_margin/{group}"] = float(np.mean(margins))
    return result
