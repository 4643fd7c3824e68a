"""AdamW with warm-up, a schedule and clipping, all from optax."""

import dataclasses

import jax
import optax

from linkjax.errors import UserError
from linkjax.settings import setting


@dataclasses.dataclass(frozen=True)
class OptimizerSettings:
    """AdamW (Loshchilov and Hutter 2019) and its learning rate over the run."""

    learning_rate: float = setting(4e-3, "peak learning rate")
    final_share: float = setting(0.01, "learning rate at the end, as a share of the peak")
    schedule: str = setting("cosine", "after warm-up: cosine, or wsd (constant, then a linear decay)")
    warmup_share: float = setting(0.05, "share of the steps over which the learning rate rises from zero")
    decay_share: float = setting(0.2, "wsd: share of the steps over which the learning rate falls at the end")
    beta1: float = setting(0.9, "decay of the gradient's mean")
    beta2: float = setting(0.95, "decay of its square's mean")
    epsilon: float = setting(1e-8, "added to the root of the square's mean")
    weight_decay: float = setting(0.1, "decoupled weight decay, of matrices only")
    clip_norm: float = setting(1.0, "the gradient's global norm is clipped to this")
    z_loss: float = setting(1e-4, "weight of the squared log-normaliser in the loss; 0 = none")

    def __post_init__(self):
        if self.schedule not in ("cosine", "wsd"):
            raise UserError(f"optimizer.schedule is '{self.schedule}': choose cosine or wsd.")
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
    """The gradient transformation over the decoder's parameters.

    Norm scales are not decayed: they are the parameters named `norm_*`.
    """

    def decayed(params):
        return jax.tree_util.tree_map_with_path(lambda path, _: "norm_" not in jax.tree_util.keystr(path), params)

    return optax.chain(
        optax.clip_by_global_norm(settings.clip_norm),
        optax.adamw(
            make_schedule(settings, steps),
            settings.beta1,
            settings.beta2,
            settings.epsilon,
            weight_decay=settings.weight_decay,
            mask=decayed,
        ),
    )
