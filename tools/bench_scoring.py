"""How much faster packed scoring is than one item at a time, with the same numbers.

    python tools/bench_scoring.py [--items=FILE.jsonl] [--count=200] [--width=64] [--length=512] [--vocabulary=2000]

Ranks items (by default made-up ones, of 5 to 60 words) with a model of random weights: all of them packed, in length
buckets; and one item at a time, its choices as the rows of a batch, which are as long as the model's; and, harder to
beat, one item at a time in the shortest bucket that holds it. They take turns; compared are medians after a warm-up.
The last line is JSON.
"""

import json
import pathlib
import statistics
import sys
import time

import jax
import numpy as np

from linkjax import config as configs
from linkjax.data.jsonl import read_jsonl
from linkjax.data.tokenizer import Tokenizer, train_tokenizer
from linkjax.errors import UserError
from linkjax.evaluation.ranking import Ranking
from linkjax.model.decoder import ModelSettings
from linkjax.training.optimizer import OptimizerSettings
from linkjax.training.sharding import MeshSettings, make_mesh
from linkjax.training.step import Trainer

_TURNS = 3
_LEAST = 32  # tokens of the shortest rows
_ROWS = 4


def made_up_items(count: int) -> list[dict]:
    """Prompts of 5 to 60 words, as benchmarks have them, with two to four choices."""
    rng = np.random.default_rng(0)
    words = ["".join(rng.choice(list("aeiklmnorstu"), rng.integers(2, 8))) for _ in range(2000)]
    items = []
    for index in range(count):
        prompt = " ".join(rng.choice(words, rng.integers(5, 60)))
        choices = [" " + " ".join(rng.choice(words, rng.integers(1, 10))) for _ in range(rng.integers(2, 5))]
        items.append({"id": str(index), "cluster": str(index), "group": "", "prompt": prompt, "choices": choices,
                      "answer": 0})  # fmt: skip
    return items


def one_at_a_time(items: list[dict], tokenizer: Tokenizer, length: int, least: int) -> list[Ranking]:
    """Each item alone: a row for each of its choices, of the shortest length from `least` on that holds them."""
    rankings = []
    for item in items:
        longest = max(len(tokenizer.encode(item["prompt"] + choice)) for choice in item["choices"])
        size = least
        while size < min(longest, length):
            size *= 2
        rankings.append(Ranking([item], tokenizer, size, len(item["choices"]), most_segments=1, multiple=size))
    return rankings


def run(items: str, count: str, width: str, length: str, vocabulary: str) -> None:
    if not all(number.isdecimal() for number in (count, width, length, vocabulary)):
        raise UserError("--count, --width, --length and --vocabulary are numbers.")
    asked = read_jsonl(pathlib.Path(items))[: int(count)] if items else made_up_items(int(count))
    texts = [item["prompt"] + choice for item in asked for choice in item["choices"]]
    tokenizer = Tokenizer(train_tokenizer(texts, 2000, "unigram"))
    heads = max(int(width) // 16, 1)
    model = ModelSettings(width=int(width), heads=heads, kv_heads=heads, head_width=16, hidden=3 * int(width))
    pieces = max(int(vocabulary), len(tokenizer))
    trainer = Trainer(model, OptimizerSettings(), make_mesh(MeshSettings(), jax.devices()[:1]), pieces, 1, 1)
    score = trainer.scorer(trainer.initialise(0)["params"])
    ways = {
        "packed": [Ranking(asked, tokenizer, int(length), _ROWS, multiple=_LEAST)],
        "one_at_a_time": one_at_a_time(asked, tokenizer, int(length), int(length)),
        "one_at_a_time_in_short_rows": one_at_a_time(asked, tokenizer, int(length), _LEAST),
    }

    def measure(rankings: list[Ranking]) -> tuple[float, list[float]]:
        start = time.perf_counter()
        records = [record for ranking in rankings for record in ranking.score(score)]
        seconds = time.perf_counter() - start
        return seconds, [loss for record in records for loss in record["log_likelihoods"]]

    runs = [{way: measure(rankings) for way, rankings in ways.items()} for _ in range(_TURNS + 1)]
    seconds = {way: statistics.median(run[way][0] for run in runs[1:]) for way in ways}
    losses = [runs[0][way][1] for way in ways]
    result = {
        "items": len(asked),
        "sequences": len(texts),
        "tokens": sum(len(tokenizer.encode(text)) for text in texts),
        "row_length": int(length),
        "vocabulary": pieces,
        "seconds": {way: round(value, 4) for way, value in seconds.items()},
        "ratio": round(seconds["one_at_a_time"] / seconds["packed"], 2),
        "ratio_short_rows": round(seconds["one_at_a_time_in_short_rows"] / seconds["packed"], 2),
        "greatest_difference_nats": float(np.ptp(losses, axis=0).max()),
        "device": jax.devices()[0].device_kind,
        "jax": jax.__version__,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    options = {
        "items": ("", "items to rank (evaluation/NAME.jsonl of a prepared folder); default: made-up ones"),
        "count": ("200", "items"),
        "width": ("64", "of the model"),
        "length": ("512", "tokens of the model's rows, a power of two from 32 on"),
        "vocabulary": ("2000", "pieces that the model knows, at least"),
    }
    configs.main_without_config(run, __doc__, options, sys.argv)
