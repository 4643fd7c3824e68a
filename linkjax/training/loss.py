"""Next-token cross-entropy, per token and summed by kind of token, without ever holding all logits.

B rows, L tokens, D model width, V vocabulary (padded); b, l, v, d what one device has of them, C chunks.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as P

from linkjax.model.decoder import logits_of

Rows = dict[str, jax.Array]  # the fields of `linkjax.data.rows`, on device


class TokenLosses(NamedTuple):
    """Of every token, each BxL in float32.

    Attributes:
      losses_BxL: cross-entropy in nats.
      normaliser_BxL: the logarithm of the sum of all exponentiated logits.
      greatest_BxL: the greatest logit less the target's: 0 where the target is the most likely token.
    """

    losses_BxL: jax.Array
    normaliser_BxL: jax.Array
    greatest_BxL: jax.Array


def token_losses(
    x_BxLxD: jax.Array,
    projection_VxD: jax.Array,
    targets_BxL: jax.Array,
    *,
    mesh: Mesh,
    spec: Callable[[tuple[str | None, ...]], P],
    vocabulary: int,
    chunks: int = 1,
    logit_cap: float = 0.0,
) -> TokenLosses:
    """The losses of a decoder's output, with the vocabulary and the tokens split over the mesh.

    Each device gathers its part of the vocabulary once, goes through its tokens in `chunks`, whose logits are
    computed again in the backward pass, and sums the projection's gradient up before it is sent anywhere.

    Args:
      spec: logical axes -> partition over the mesh.
      vocabulary: pieces of the tokenizer; the projection's rows beyond are padding, and no piece that could come next.
      chunks: must divide the tokens of a row on a device.
    """
    tokens_spec, projection_spec = spec(("batch", "length")), spec(("vocabulary", "width"))
    vocabulary_axis, width_axis = projection_spec
    token_axes = tuple(axis for axes in tokens_spec if axes for axis in ((axes,) if isinstance(axes, str) else axes))

    @functools.partial(
        jax.shard_map,
        mesh=mesh,
        in_specs=(P(*tokens_spec, None), projection_spec, tokens_spec),
        out_specs=TokenLosses(tokens_spec, tokens_spec, tokens_spec),
    )
    def run(x_bxlxD, projection_vxd, targets_bxl):
        projection_vxD = projection_vxd
        if mesh.shape[width_axis] > 1:
            projection_vxD = jax.lax.all_gather(projection_vxd, width_axis, axis=1, tiled=True)
        # The sum of its gradient over devices belongs out here, not into every chunk.
        others = tuple(axis for axis in token_axes if axis not in projection_spec)
        projection_vxD = jax.lax.pcast(projection_vxD, others, to="varying")
        first = jax.lax.axis_index(vocabulary_axis) * len(projection_vxD)

        def of_chunk(x_bxcxD, targets_bxc):
            logits_bxcxv = logits_of(x_bxcxD, projection_vxD, logit_cap)
            if vocabulary < len(projection_VxD):
                real_v = first + jnp.arange(len(projection_vxD)) < vocabulary
                logits_bxcxv = jnp.where(real_v[None, None], logits_bxcxv, -jnp.inf)
            greatest_bxc = jax.lax.pmax(jax.lax.stop_gradient(logits_bxcxv.max(-1)), vocabulary_axis)
            sum_bxc = jax.lax.psum(jnp.exp(logits_bxcxv - greatest_bxc[..., None]).sum(-1), vocabulary_axis)
            normaliser_bxc = greatest_bxc + jnp.log(sum_bxc)
            here_bxc = targets_bxc - first
            inside_bxc = (here_bxc >= 0) & (here_bxc < len(projection_vxD))
            here_bxc = jnp.clip(here_bxc, 0, len(projection_vxD) - 1)
            target_bxc = jnp.take_along_axis(logits_bxcxv, here_bxc[..., None], axis=-1)[..., 0]
            target_bxc = jax.lax.psum(jnp.where(inside_bxc, target_bxc, 0), vocabulary_axis)
            return TokenLosses(normaliser_bxc - target_bxc, normaliser_bxc, greatest_bxc - target_bxc)

        if chunks == 1:
            return of_chunk(x_bxlxD, targets_bxl)
        parts = (jnp.stack(jnp.split(values, chunks, axis=1)) for values in (x_bxlxD, targets_bxl))
        found = jax.lax.map(lambda part: jax.checkpoint(of_chunk)(*part), tuple(parts))
        return jax.tree.map(lambda values_Cxbxc: jnp.concatenate(list(values_Cxbxc), axis=1), found)

    return run(x_BxLxD, projection_VxD, targets_BxL)


def objective(
    found: TokenLosses, rows: Rows, total: jax.Array, z_loss: float, components: int
) -> tuple[jax.Array, dict]:
    """The loss to minimise and sums for the report.

    Divided by `total`, the sum of loss weights of the whole batch, so neither packing, sharding nor microbatches
    change it. The z-loss (Chowdhery et al. 2022, section 5) is weighted alike.

    Returns:
      loss, and a report: cross_entropy; row_losses_B, the mean of each row; and in sums {kind: (sum of cross-entropies
      in nats, number of tokens)} over *all* real tokens, whatever their loss weight, for kinds swapped, unswapped and
      component/INDEX.
    """
    losses_BxL, weights_BxL = found.losses_BxL, rows["loss_weights_BxL"]
    cross_entropy = (losses_BxL * weights_BxL).sum() / total
    loss = cross_entropy + z_loss * (jnp.square(found.normaliser_BxL) * weights_BxL).sum() / total
    real_BxL = rows["segments_BxL"] > 0
    swapped_BxL = rows["swapped_BxL"] > 0
    kinds = {"swapped": real_BxL & swapped_BxL, "unswapped": real_BxL & ~swapped_BxL}
    for index in range(components):
        kinds[f"component/{index}"] = real_BxL & (rows["component_B"] == index)[:, None]
    sums = {kind: (jnp.where(mask, losses_BxL, 0).sum(), mask.sum()) for kind, mask in kinds.items()}
    row_losses_B = (losses_BxL * weights_BxL).sum(1) / jnp.maximum(weights_BxL.sum(1), 1)
    return loss, {"cross_entropy": cross_entropy, "row_losses_B": row_losses_B, "sums": sums}
