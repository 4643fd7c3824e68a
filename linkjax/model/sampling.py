"""Which piece comes next, drawn from logits.

B rows, V pieces.
"""

import dataclasses

import jax
import jax.numpy as jnp

from linkjax.errors import UserError


@dataclasses.dataclass(frozen=True)
class Sampling:
    """How a piece is drawn.

    Attributes:
      temperature: logits are divided by it; 0 = always the most likely piece.
      top_k: only so many of the most likely pieces; 0 = all.
      top_p: only the most likely pieces that together have this probability, the last of them included (Holtzman et
        al. 2020); 1 = all.
    """

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0

    def __post_init__(self):
        if not 0 <= self.temperature < float("inf"):
            raise UserError(f"--temperature={self.temperature}: choose 0 (the most likely piece) or more.")
        if self.top_k < 0:
            raise UserError(f"--top_k={self.top_k}: choose 0 (all pieces) or more.")
        if not 0 < self.top_p <= 1:
            raise UserError(f"--top_p={self.top_p}: choose more than 0, up to 1 (all pieces).")


def draw(logits_BxV: jax.Array, key: jax.Array, sampling: Sampling) -> jax.Array:
    """A piece for each row."""
    if sampling.temperature == 0:
        return jnp.argmax(logits_BxV, axis=-1)
    return jax.random.categorical(key, allowed(logits_BxV / sampling.temperature, sampling))


def allowed(logits_BxV: jax.Array, sampling: Sampling) -> jax.Array:
    """Logits with those of pieces that may not be drawn at -inf; of equal ones all may, or none."""
    sorted_BxV = jnp.sort(logits_BxV, axis=-1, descending=True)
    least_B = jnp.full(len(logits_BxV), -jnp.inf)
    if sampling.top_k:
        least_B = sorted_BxV[:, min(sampling.top_k, logits_BxV.shape[1]) - 1]
    if sampling.top_p < 1:
        kept_BxV = jnp.where(sorted_BxV >= least_B[:, None], sorted_BxV, -jnp.inf)
        before_BxV = jnp.cumsum(jax.nn.softmax(kept_BxV), axis=-1) - jax.nn.softmax(kept_BxV)
        last_B = (before_BxV < sampling.top_p).sum(-1) - 1
        least_B = jnp.maximum(least_B, jnp.take_along_axis(sorted_BxV, last_B[:, None], axis=-1)[:, 0])
    return jnp.where(logits_BxV >= least_B[:, None], logits_BxV, -jnp.inf)
