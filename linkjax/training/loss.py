"""Next-token cross-entropy, per token and summed by kind of token."""

import jax
import jax.numpy as jnp

Rows = dict[str, jax.Array]  # the fields of `linkjax.data.rows`, on device


def token_losses(logits_BxLxV: jax.Array, targets_BxL: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Cross-entropy in nats and log-normaliser of each token, both BxL in float32."""
    normaliser_BxL = jax.nn.logsumexp(logits_BxLxV, axis=-1)
    target_BxL = jnp.take_along_axis(logits_BxLxV, targets_BxL[..., None], axis=-1)[..., 0]
    return normaliser_BxL - target_BxL, normaliser_BxL


def objective(logits_BxLxV: jax.Array, rows: Rows, z_loss: float, components: int) -> tuple[jax.Array, dict]:
    """The loss to minimise and sums for the report.

    Divided by the global sum of loss weights, so neither packing nor sharding changes it. The z-loss
    (Chowdhery et al. 2022, section 5) is weighted alike.

    Returns:
      loss, and {kind: (sum of cross-entropies in nats, number of tokens)} over *all* real tokens,
      whatever their loss weight, for kinds swapped, unswapped and component/INDEX.
    """
    losses_BxL, normaliser_BxL = token_losses(logits_BxLxV, rows["targets_BxL"])
    weights_BxL = rows["loss_weights_BxL"]
    total = jnp.maximum(weights_BxL.sum(), 1.0)
    cross_entropy = (losses_BxL * weights_BxL).sum() / total
    loss = cross_entropy + z_loss * (jnp.square(normaliser_BxL) * weights_BxL).sum() / total
    real_BxL = rows["segments_BxL"] > 0
    swapped_BxL = rows["swapped_BxL"] > 0
    kinds = {"swapped": real_BxL & swapped_BxL, "unswapped": real_BxL & ~swapped_BxL}
    for index in range(components):
        kinds[f"component/{index}"] = real_BxL & (rows["component_B"] == index)[:, None]
    sums = {kind: (jnp.where(mask, losses_BxL, 0).sum(), mask.sum()) for kind, mask in kinds.items()}
    return loss, {"cross_entropy": cross_entropy, "sums": sums}
