"""AdamW or Muon with warm-up, a schedule and clipping, all from optax."""

import dataclasses
import re

import jax
import optax

from linkjax.errors import UserError
from linkjax.settings import setting

_ADAM_RMS = 0.2  # of AdamW's updates before the learning rate, as found in arXiv 2502.16982


@dataclasses.dataclass(frozen=True)
class OptimizerSettings:
    """The optimizer and its learning rate over the run.

    adamw: Loshchilov and Hutter 2019. muon: the matrices of the blocks by Muon (Jordan 2024), with updates as large as
    AdamW's (Liu et al. 2025, arXiv 2502.16982, so that its learning rates fit), all else by AdamW without
    decay.
    """

    kind: str = setting("adamw", "adamw or muon")
    learning_rate: float = setting(4e-3, "peak learning rate")
    final_share: float = setting(0.01, "learning rate at the end, as a share of the peak")
    schedule: str = setting("cosine", "after warm-up: cosine, or wsd (constant, then a linear decay)")
    warmup_share: float = setting(0.05, "share of the steps over which the learning rate rises from zero")
    decay_share: float = setting(0.2, "wsd: share of the steps over which the learning rate falls at the end")
    beta1: float = setting(0.9, "decay of the gradient's mean")
    beta2: float = setting(0.95, "decay of its square's mean")
    muon_beta: float = setting(0.95, "muon: decay of the gradient's mean")
    epsilon: float = setting(1e-8, "added to the root of the square's mean")
    weight_decay: float = setting(0.1, "decoupled weight decay, of matrices only")
    clip_norm: float = setting(1.0, "the gradient's global norm is clipped to this")
    average_decay: float = setting(0.0, "decay of a moving average of all weights so far to evaluate: 0.97 for"
                                        " 1,000 steps, 0.999 for 30,000; 0 = none")  # fmt: skip
    freeze: str = setting("", "regular expression: parameters in whose name it is found are not trained; '' = none")
    z_loss: float = setting(1e-4, "weight of the squared log-normaliser in the loss; 0 = none")

    def __post_init__(self):
        if self.kind not in ("adamw", "muon"):
            raise UserError(f"optimizer.kind is '{self.kind}': choose adamw or muon.")
        if self.schedule not in ("cosine", "wsd"):
            raise UserError(f"optimizer.schedule is '{self.schedule}': choose cosine or wsd.")
        if not 0 <= self.average_decay < 1:
            raise UserError(f"optimizer.average_decay is {self.average_decay}: choose 0 (none) to below 1.")
        try:
            re.compile(self.freeze)
        except re.error as error:
            raise UserError(f"optimizer.freeze '{self.freeze:.100}' is no regular expression: {error}.") from error
        for name in ("final_share", "warmup_share", "decay_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise UserError(f"optimizer.{name} is {getattr(self, name)}: it is a share, choose from 0 to 1.")
        for name in ("learning_rate", "clip_norm"):
            if not 0 < getattr(self, name) < float("inf"):
                raise UserError(f"optimizer.{name} is {getattr(self, name)}: choose a positive number.")


def make_schedule(settings: OptimizerSettings, steps: int) -> optax.Schedule:
    """Learning rate by step."""
    peak, end = settings.learning_rate, settings.learning_rate * settings.final_share
    warmup = max(1, round(settings.warmup_share * steps))
    if settings.schedule == "cosine":
        return optax.warmup_cosine_decay_schedule(0.0, peak, warmup, max(steps, warmup + 1), end)
    decay = max(1, round(settings.decay_share * steps))
    return optax.join_schedules(
        [
            optax.linear_schedule(0.0, peak, warmup),
            optax.constant_schedule(peak),
            optax.linear_schedule(peak, end, decay),
        ],
        [warmup, max(warmup, steps - decay)],
    )


def make_optimizer(settings: OptimizerSettings, steps: int) -> optax.GradientTransformation:
    """The gradient transformation over the decoder's parameters, those that are trained.

    Norm scales are not decayed: they are the parameters named `norm_*`.
    """

    def decayed(params):
        return jax.tree_util.tree_map_with_path(lambda path, _: "norm_" not in jax.tree_util.keystr(path), params)

    schedule = make_schedule(settings, steps)
    if settings.kind == "muon":
        chosen = optax.contrib.muon(
            schedule,
            beta=settings.muon_beta,
            eps=settings.epsilon,
            weight_decay=settings.weight_decay,
            weight_decay_mask=decayed,
            adam_b1=settings.beta1,
            adam_b2=settings.beta2,
            muon_weight_dimension_numbers=_matrices,
            consistent_rms=_ADAM_RMS,
        )
    else:
        chosen = optax.adamw(
            schedule,
            settings.beta1,
            settings.beta2,
            settings.epsilon,
            weight_decay=settings.weight_decay,
            mask=decayed,
        )
    return optax.chain(optax.clip_by_global_norm(settings.clip_norm), chosen)


def _matrices(params):
    """For Muon: which axes of a block's parameters are summed over and which come out; None where it is no matrix.

    A name ends in its axes, one of them D, the model's width; in front is the axis of the layers.
    """

    def of(path, leaf):
        name = path[-1].key
        if path[0].key != "blocks" or name.startswith("norm_"):
            return None
        axes = tuple(range(1, leaf.ndim))
        inwards = name.rpartition("_")[2].endswith("xD")
        summed = axes[:-1] if inwards else axes[:1]
        return optax.contrib.MuonDimensionNumbers(summed, tuple(axis for axis in axes if axis not in summed))

    return jax.tree_util.tree_map_with_path(of, params)
