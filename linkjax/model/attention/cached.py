"""Attention of new tokens to those before them, whose keys and values are kept: for writing text token by token."""

import jax
import jax.numpy as jnp

_MASKED = -1e30  # exp gives exactly 0 beside any real score


def attend(q_BxLxHxK: jax.Array, k_BxMxGxK: jax.Array, v_BxMxGxK: jax.Array, positions_BxL: jax.Array) -> jax.Array:
    """A query of position p sees places 0 to p of its row's cache of M; softmax in float32. Returns BxLxHxK."""
    rows, length, heads, width = q_BxLxHxK.shape
    groups = k_BxMxGxK.shape[2]
    q_BxLxGxRxK = q_BxLxHxK.reshape(rows, length, groups, heads // groups, width)
    scores_BxGxRxLxM = jnp.einsum("blgrk,bmgk->bgrlm", q_BxLxGxRxK, k_BxMxGxK, preferred_element_type=jnp.float32)
    allowed_BxLxM = jnp.arange(k_BxMxGxK.shape[1])[None, None] <= positions_BxL[..., None]
    scores_BxGxRxLxM = jnp.where(allowed_BxLxM[:, None, None], scores_BxGxRxLxM * width**-0.5, _MASKED)
    weights_BxGxRxLxM = jax.nn.softmax(scores_BxGxRxLxM).astype(v_BxMxGxK.dtype)
    a_BxLxGxRxK = jnp.einsum("bgrlm,bmgk->blgrk", weights_BxGxRxLxM, v_BxMxGxK)
    return a_BxLxGxRxK.reshape(rows, length, heads, width)
