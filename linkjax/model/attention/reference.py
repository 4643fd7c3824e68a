"""Plain einsums and an LxL mask, on any device: what the other back-ends are compared with."""

import jax
import jax.numpy as jnp

_MASKED = -1e30  # exp gives exactly 0 beside any real score, and a fully masked row stays finite


def attend(q_BxLxHxK: jax.Array, k_BxLxGxK: jax.Array, v_BxLxGxK: jax.Array, segments_BxL: jax.Array) -> jax.Array:
    """Causal grouped-query attention that never crosses a segment; softmax in float32. Returns BxLxHxK."""
    _, length, heads, width = q_BxLxHxK.shape
    k_BxLxHxK, v_BxLxHxK = (jnp.repeat(x, heads // x.shape[2], axis=2) for x in (k_BxLxGxK, v_BxLxGxK))
    scores_BxHxLxL = jnp.einsum("blhk,bmhk->bhlm", q_BxLxHxK, k_BxLxHxK, preferred_element_type=jnp.float32)
    same_BxLxL = segments_BxL[:, :, None] == segments_BxL[:, None, :]
    causal_LxL = jnp.tril(jnp.ones((length, length), bool))
    allowed_Bx1xLxL = (same_BxLxL & causal_LxL[None])[:, None]
    scores_BxHxLxL = jnp.where(allowed_Bx1xLxL, scores_BxHxLxL * width**-0.5, _MASKED)
    weights_BxHxLxL = jax.nn.softmax(scores_BxHxLxL).astype(v_BxLxGxK.dtype)
    return jnp.einsum("bhlm,bmhk->blhk", weights_BxHxLxL, v_BxLxHxK)
