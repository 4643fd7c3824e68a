"""Plain einsums and an LxL mask, on any device: what the other back-ends are compared with."""

import jax
import jax.numpy as jnp

_MASKED = -1e30  # exp gives exactly 0 beside any real score, and a fully masked row stays finite


def attend(q_BxLxHxK: jax.Array, k_BxLxGxK: jax.Array, v_BxLxGxK: jax.Array, segments_BxL: jax.Array) -> jax.Array:
    """Causal grouped-query attention that never crosses a segment; softmax in float32. Returns BxLxHxK.

    R = H / G queries share a key.
    """
    batch, length, heads, width = q_BxLxHxK.shape
    groups = k_BxLxGxK.shape[2]
    q_BxLxGxRxK = q_BxLxHxK.reshape(batch, length, groups, heads // groups, width)
    scores_BxGxRxLxL = jnp.einsum("blgrk,bmgk->bgrlm", q_BxLxGxRxK, k_BxLxGxK, preferred_element_type=jnp.float32) * (
        width**-0.5
    )
    same_BxLxL = segments_BxL[:, :, None] == segments_BxL[:, None, :]
    causal_LxL = jnp.tril(jnp.ones((length, length), bool))
    allowed_BxLxL = same_BxLxL & causal_LxL[None]
    scores_BxGxRxLxL = jnp.where(allowed_BxLxL[:, None, None], scores_BxGxRxLxL, _MASKED)
    weights_BxGxRxLxL = jax.nn.softmax(scores_BxGxRxLxL).astype(v_BxLxGxK.dtype)
    out_BxLxGxRxK = jnp.einsum("bgrlm,bmgk->blgrk", weights_BxGxRxLxL, v_BxLxGxK)
    return out_BxLxGxRxK.reshape(batch, length, heads, width)
