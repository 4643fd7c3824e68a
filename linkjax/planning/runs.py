"""A model size and a number of steps that fit the text, the devices and the time."""

import dataclasses
import math
from collections.abc import Sequence
from typing import NamedTuple

from linkjax.errors import UserError
from linkjax.model.decoder import ModelSettings
from linkjax.model.flops import parameters
from linkjax.model.sizes import SIZES
from linkjax.planning.devices import Machine, fitting_weights, memory

# arXiv 2203.15556: about 20 tokens a weight make the best model of a given compute. The runs that LINK's authors
# follow (arXiv 2411.12986) read 80 to 120.
FEWEST_TOKENS, MOST_TOKENS = 20, 100
# arXiv 2605.12715: scarce target text bears 15 to 20 repetitions. arXiv 2305.16264: up to four passes over a text are
# nearly as good as new text.
TARGET_PASSES, ENGLISH_PASSES = 15, 4
TARGET_RATE, MOST_RATE = 0.1, 0.5
_SHARDED_WEIGHTS = 300_000_000
_STEPS = 8000  # that a batch is chosen for
# As in configs/continued.py, whose settings are customary ones.
CONTINUED_RATE, CONTINUED_LENGTH, _CONTINUED_STEPS = 0.5, 1024, 1000
_BATCH_TOKENS = (4096, 1 << 20)
SHARDS = 8  # virtual shards, which divide the batch


@dataclasses.dataclass(frozen=True)
class Size:
    """A model and what a run of it is told besides.

    Attributes:
      config: the config file that has it, or that `model` changes.
      own: whether the config has the model as it is.
    """

    name: str
    config: str
    model: ModelSettings
    length: int
    vocabulary: int
    learning_rate: float
    own: bool = True

    @property
    def is_small(self) -> bool:
        return self.config == _LOCAL

    @property
    def weights(self) -> int:
        """Of the blocks: a small model may have as many in the embeddings."""
        return parameters(self.model, self.vocabulary).blocks


def _small(layers: int, width: int, head_width: int) -> ModelSettings:
    heads, hidden = width // head_width, -(-width * 8 // 3 // 128) * 128
    return ModelSettings(
        layers=layers, width=width, heads=heads, kv_heads=heads, head_width=head_width, hidden=hidden
    )  # fmt: skip


_LOCAL = "configs/local_text.py"
LADDER = (
    Size("0.9m", _LOCAL, _small(4, 128, 32), 128, 8192, 3e-3),
    Size("5m", _LOCAL, _small(6, 256, 64), 256, 16_384, 2e-3, own=False),
    Size("26m", _LOCAL, _small(8, 512, 64), 512, 32_000, 1e-3, own=False),
    Size("137m", "configs/link_137m.py", SIZES["137m"], 1024, 50_000, 3e-4),
    Size("350m", "configs/link_350m.py", SIZES["350m"], 1024, 50_000, 3e-4),
    Size("760m", "configs/link_760m.py", SIZES["760m"], 1024, 50_000, 2.5e-4),
    Size("1.3b", "configs/link_1b.py", SIZES["1.3b"], 1024, 50_000, 2e-4),
    Size("2.7b", "configs/link_3b.py", SIZES["2.7b"], 2048, 50_000, 1.6e-4),
)


class Reach(NamedTuple):
    """A size for which there is not enough text: English tokens that it would take."""

    size: str
    tokens: int


@dataclasses.dataclass(frozen=True)
class Run:
    """What is proposed.

    Attributes:
      tokens: of the whole run.
      rate: share of them that is target text.
      target_passes: over the language with the least text.
      memory: GiB of a device.
      hours: of training alone.
      limit: what kept the model from being larger: text, time, memory or the sizes there are.
      enough: English tokens that the next size needs; 0 where it is the last.
      reach: the largest size that devices and time would do for.
    """

    size: Size
    steps: int
    batch_size: int
    microbatches: int
    tokens: int
    rate: float
    english_passes: float
    target_passes: float
    tokens_per_second: float
    memory: float
    hours: float
    limit: str
    enough: int
    reach: Reach | None


def choose(english: int, targets: Sequence[int], machine: Machine, hours: float) -> Run:
    """The largest model that has `FEWEST_TOKENS` to read for each weight, in the text and in the time.

    The smallest is proposed with less as well.

    Args:
      english, targets: tokens, of each language.

    Raises:
      UserError: not even the smallest fits the devices.
    """
    limit, reach = "size", None
    for place, size in reversed(list(enumerate(LADDER))):
        model = for_machine(size, machine)
        speed = machine.tokens_per_second(model, size.vocabulary, size.length)
        in_text = _tokens_in(english, targets)
        rate = _rate(english, targets, in_text)
        fewest = FEWEST_TOKENS * size.weights
        in_time = round(speed * hours * 3600)
        tokens = min(in_text, in_time, MOST_TOKENS * size.weights)
        if place and tokens < fewest:
            limit = "text" if in_text <= in_time else "time"
            if reach is None and in_time >= fewest and _batch(size, model, machine, fewest)[2] <= machine.memory:
                reach = Reach(size.name, _english(fewest, rate))
            continue
        batch, microbatches, needed = _batch(size, model, machine, tokens)
        if needed > machine.memory:
            limit = "memory"
            continue
        steps = _rounded_down(tokens // (batch * size.length))
        tokens = steps * batch * size.length
        rate = _rate(english, targets, tokens)
        larger = LADDER[place + 1] if place + 1 < len(LADDER) else None
        return Run(
            size=dataclasses.replace(size, model=model),
            steps=steps,
            batch_size=batch,
            microbatches=microbatches,
            tokens=tokens,
            rate=rate,
            english_passes=(1 - rate) * tokens / english,
            target_passes=rate * tokens / len(targets) / min(targets),
            tokens_per_second=speed,
            memory=needed,
            hours=tokens / speed / 3600,
            limit=limit,
            enough=_english(FEWEST_TOKENS * larger.weights, rate) if larger else 0,
            reach=reach,
        )
    raise UserError(f"no model fits {machine.memory:.1f} GiB of a device of kind {machine.name}: name another.")


@dataclasses.dataclass(frozen=True)
class Continuation:
    """A run that goes on from a finished model.

    Attributes:
      tokens, rate, target_passes, english_passes: as in `Run`.
      most_weights: of a model that fits the devices, about.
    """

    steps: int
    batch_size: int
    microbatches: int
    tokens: int
    rate: float
    target_passes: float
    english_passes: float
    most_weights: int


def choose_continuation(english: int, targets: Sequence[int], machine: Machine) -> Continuation:
    """Half of the tokens English, so that it is not forgotten; no text read more than four times.

    What text there is decides alone: how long a step takes is the model's to say. One row of 1024 goes through it at a
    time.
    """
    least = len(targets) * min(targets)
    tokens = ENGLISH_PASSES * min(least / CONTINUED_RATE, english / (1 - CONTINUED_RATE))
    unit = math.lcm(SHARDS, machine.parts)
    wanted = 2 ** round(math.log2(max(tokens / _CONTINUED_STEPS, 1)))
    batch = max(min(wanted, _BATCH_TOKENS[1]) // CONTINUED_LENGTH // unit, 1) * unit
    steps = _rounded_down(int(tokens / (batch * CONTINUED_LENGTH)))
    tokens = steps * batch * CONTINUED_LENGTH
    return Continuation(
        steps=steps,
        batch_size=batch,
        microbatches=batch // machine.parts,
        tokens=tokens,
        rate=CONTINUED_RATE,
        target_passes=CONTINUED_RATE * tokens / least,
        english_passes=(1 - CONTINUED_RATE) * tokens / english,
        most_weights=fitting_weights(machine),
    )


def _english(tokens: int, rate: float) -> int:
    """English tokens that a run of so many needs."""
    return math.ceil((1 - rate) * tokens / ENGLISH_PASSES)


def weight_parts(size: Size, devices: int) -> int:
    """Devices that the weights of a model are split over: all where there are many weights, if it divides, or one."""
    return devices if size.weights >= _SHARDED_WEIGHTS and size.model.width % devices == 0 else 1


def for_machine(size: Size, machine: Machine) -> ModelSettings:
    """Small models compute in float32 on CPUs and in bfloat16 elsewhere; large ones always in bfloat16."""
    if machine.cpu or not size.is_small:
        return size.model
    return dataclasses.replace(size.model, dtype="bfloat16")


def _rounded_down(number: int) -> int:
    """To two digits, 1 at least: nobody's text or time is known better."""
    unit = 10 ** max(len(str(number)) - 2, 0)
    return max(number // unit * unit, 1)


def _rate(english: int, targets: Sequence[int], tokens: int) -> float:
    """A tenth, or the target text's own share where that is more; less where it would be read too often."""
    return float(f"{min(_wanted_rate(english, targets), _target_tokens(targets) / tokens):.2g}")


def _tokens_in(english: int, targets: Sequence[int]) -> int:
    """Of the longest run that reads no text too often."""
    most = ENGLISH_PASSES * english
    return round(min(most / (1 - _wanted_rate(english, targets)), most + _target_tokens(targets)))


def _wanted_rate(english: int, targets: Sequence[int]) -> float:
    return min(max(TARGET_RATE, sum(targets) / (english + sum(targets))), MOST_RATE)


def _target_tokens(targets: Sequence[int]) -> int:
    """All that the languages may have in a run: equal shares, and the smallest text is not read too often."""
    return TARGET_PASSES * len(targets) * min(targets)


def _batch(size: Size, model: ModelSettings, machine: Machine, tokens: int) -> tuple[int, int, float]:
    """Rows of a batch, the parts it goes through the model in, and the GiB that this takes."""
    wanted = 2 ** round(math.log2(max(tokens / _STEPS, 1)))
    least, most = _BATCH_TOKENS
    unit = math.lcm(SHARDS, machine.parts)
    batch = max(min(max(wanted, least), most) // size.length // unit, 1) * unit
    for microbatches in range(1, batch // machine.parts + 1):
        if batch % (microbatches * machine.parts) == 0:
            rows = batch // microbatches // machine.parts
            parts = weight_parts(size, machine.parts)
            needed = memory(model, size.vocabulary, size.length, rows, parts, machine.fused)
            if needed <= machine.memory:
                break
    return batch, microbatches, needed
