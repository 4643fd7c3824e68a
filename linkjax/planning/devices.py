"""Devices: what they hold, how fast they are, and what a run takes of them. Estimates, each with where it is from."""

import dataclasses
import math
import os
from typing import NamedTuple

from linkjax.errors import UserError
from linkjax.model.decoder import ModelSettings
from linkjax.model.flops import parameters, training_flops
from linkjax.training.speed import PEAK

GIB = 2**30
MARGIN = 0.85  # of the memory; the estimate is within a quarter, or half a GiB, of what is allocated (docs/sizes.md)
# Of what a GPU has, JAX takes three quarters at its start (docs.jax.dev/en/latest/gpu_memory_allocation.html).
_OF_A_GPU = 0.75
# Tokens a second of one worker process, and floating-point operations of one core in training, 35 to 71 e9 on two
# shared cores: both measured, docs/benchmarks.md.
_WORKER_TOKENS, _CORE_FLOPS = 634_000, 25e9
_UTILISATION, _FULL_WIDTH = 0.35, 768
# Bytes a weight: itself and Adam's two means; what a step holds besides: gradients, their sum, updates.
_STATE_BYTES, _STEP_BYTES = 12, 15
_BLOCK_BYTES = 128  # a token and unit of width inside of a block and around the logits, as fitted to docs/sizes.md
_LOGITS_BYTES = 3 << 28  # of logits that are held at once (`loss_chunks`), their gradient and the softmax


class Device(NamedTuple):
    """A kind of device: memory that can be used in GiB, and its name in `training.speed.PEAK`."""

    memory: float
    kind: str


# TPUs: as libtpu says (tools/compile_topology.py); GPUs: NVIDIA's data sheets of the SXM boards, of an A100 the one
# with 80 GB, less what JAX leaves free.
DEVICES = {
    "h100": Device(80e9 / GIB * _OF_A_GPU, "NVIDIA H100"),
    "h200": Device(141e9 / GIB * _OF_A_GPU, "NVIDIA H200"),
    "a100": Device(80e9 / GIB * _OF_A_GPU, "NVIDIA A100"),
    "v5e": Device(15.75, "TPU v5e"),
    "v5p": Device(95.74, "TPU v5p"),
    "v6e": Device(31.25, "TPU v6e"),
}
CPU = "cpu"


@dataclasses.dataclass(frozen=True)
class Machine:
    """Devices of one kind; of a CPU, its cores.

    Attributes:
      name: of `DEVICES`, or cpu.
      count: how many.
    """

    name: str
    count: int

    def __post_init__(self):
        if self.name != CPU and self.name not in DEVICES:
            raise UserError(f"--device={self.name}: choose one of {', '.join((CPU, *DEVICES))}.")
        if not 1 <= self.count <= 100_000:
            raise UserError(f"--devices={self.count}: choose 1 or more.")

    @property
    def cpu(self) -> bool:
        return self.name == CPU

    @property
    def memory(self) -> float:
        """GiB that a run may take of each device; of a CPU, of the machine."""
        if self.cpu:
            return MARGIN * os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / GIB
        return MARGIN * DEVICES[self.name].memory

    @property
    def parts(self) -> int:
        """Devices as JAX counts them: a CPU is one."""
        return 1 if self.cpu else self.count

    @property
    def workers(self) -> int:
        """Processes that are to prepare batches."""
        return 1 if self.cpu else 4

    @property
    def fused(self) -> bool:
        """Whether there is an attention that never holds the scores of all pairs of tokens."""
        return not self.cpu and self.name != "a100"

    def tokens_per_second(self, model: ModelSettings, vocabulary: int, length: int) -> float:
        """Of training, all devices together."""
        flops = training_flops(model, vocabulary, length).total
        return self._rate(utilisation(model), flops)

    def tokens_per_second_of(self, weights: int) -> float:
        """The same, of a model that is known by its number of weights only: six operations for each."""
        return self._rate(_UTILISATION, 6 * weights)

    def _rate(self, share: float, flops: int) -> float:
        if self.cpu:
            return self.count * _CORE_FLOPS / flops
        rate = self.count * PEAK[DEVICES[self.name].kind] * 1e12 * share / flops
        return min(rate, self.workers * _WORKER_TOKENS)

    def speed_from(self, model: ModelSettings) -> str:
        """Where the speed is from, in words."""
        if self.cpu:
            return (
                f"{_CORE_FLOPS / 1e9:.0f} GFLOP a second and core, as measured on two shared cores (docs/benchmarks.md)"
            )
        peak = PEAK[DEVICES[self.name].kind]
        return (
            f"{utilisation(model):.0%} of a peak of {peak:,} TFLOP a second, an assumption: no accelerator has been"
            f" timed (docs/benchmarks.md); {_WORKER_TOKENS:,} tokens a second at most from each worker, measured"
        )


def utilisation(model: ModelSettings) -> float:
    """Share of the peak that is assumed; narrow models fill no accelerator."""
    return _UTILISATION * min(model.width / _FULL_WIDTH, 1.0)


def memory(model: ModelSettings, vocabulary: int, length: int, rows: int, parts: int, fused: bool = True) -> float:
    """GiB that a step takes of a device, with `rows` at once, and weights split over `parts` devices.

    Weights, optimizer state and gradients lie over all of them. What the forward pass keeps: with `remat` the input
    of each block, or else what is inside. Without fused attention, as in float32 and on GPUs before Hopper, the scores
    of a block, their gradient and what both are made of are there at once, with `remat` too.
    """
    weights = parameters(model, vocabulary)
    tokens, width = rows * length, model.width
    number = 2 if model.dtype == "bfloat16" else 4
    if model.remat == "none":
        scores = 0 if fused and number == 2 else 2 * 4 * model.heads * length
        block = number * (10 * width + 4 * model.hidden) + scores
        activations = tokens * model.layers * block + min(_LOGITS_BYTES, tokens * 3 * 4 * vocabulary)
    else:
        scores = 0 if fused and number == 2 else 4 * 4 * model.heads * length
        activations = tokens * (width * (number * model.layers + _BLOCK_BYTES) + scores)
    gathered = 8 * weights.embeddings  # the embeddings and their gradient are whole on each device
    return (math.ceil((_STATE_BYTES + _STEP_BYTES) * weights.total / parts) + activations + gathered) / GIB


def fitting_weights(machine: Machine) -> int:
    """Weights of the largest model whose state and gradients all devices together hold."""
    return round(machine.memory * machine.parts * GIB / (_STATE_BYTES + _STEP_BYTES))
