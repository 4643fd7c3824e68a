"""cuDNN's fused attention over packed rows, NVIDIA Hopper and newer.

`jax.nn.dot_product_attention` has no way to say where documents begin, so this calls what is under it
(https://github.com/jax-ml/jax/pull/25812): lengths and offsets of at most M documents a row, -1 where there are fewer.
"""

import jax
import jax.numpy as jnp

_WIDEST_HEAD = 256
_HOPPER = 9.0  # compute capability


def fault(device: jax.Device, dtype: str, length_devices: int, head_width: int, most_segments: int) -> str | None:
    """Why it cannot be used, or None."""
    if device.platform not in ("gpu", "cuda"):
        return f"which is for NVIDIA GPUs, and the device is {device.device_kind}: choose auto"
    if float(getattr(device, "compute_capability", "0")) < _HOPPER:
        return f"which packs documents from Hopper on, and the device is {device.device_kind}: choose reference"
    if dtype != "bfloat16":
        return f"which computes in bfloat16, and model.dtype is {dtype}: set model.dtype, or choose reference"
    if length_devices > 1:
        return f"which needs whole rows, and mesh.sequence is {length_devices}: set it to 1, or choose reference"
    if head_width % 8 or head_width > _WIDEST_HEAD:
        return (
            f"which takes heads of a multiple of 8 up to {_WIDEST_HEAD}, not {head_width}: change model.head_width"
            " or choose reference"
        )
    if not most_segments:  # its statistics take as much memory as the scores would, were there a document a token
        return "which holds something for each document that a row can have: set most_segments, as to 64"
    return None


def attend(
    q_BxLxHxK: jax.Array,
    k_BxLxGxK: jax.Array,
    v_BxLxGxK: jax.Array,
    segments_BxL: jax.Array,
    most_segments: int,
) -> jax.Array:
    """See `attention.Attend`. Segments are 1, 2, ... up to `most_segments` in a row, each in one piece."""
    from jax._src.cudnn import fused_attention_stablehlo as fused

    real_BxLx1x1 = (segments_BxL > 0)[:, :, None, None]
    # What the kernel leaves undefined in padding reaches neither outputs nor gradients.
    q_BxLxHxK, k_BxLxGxK, v_BxLxGxK = (jnp.where(real_BxLx1x1, x, 0) for x in (q_BxLxHxK, k_BxLxGxK, v_BxLxGxK))
    # With fewer heads of keys JAX 0.10 gives the kernel wrong places for them (jax-ml/jax#39521).
    queries = q_BxLxHxK.shape[2] // k_BxLxGxK.shape[2]
    k_BxLxHxK, v_BxLxHxK = (jnp.repeat(x, queries, axis=2) for x in (k_BxLxGxK, v_BxLxGxK))
    lengths_BxM, offsets_BxN = lengths_and_offsets(segments_BxL, most_segments)
    out_BxLxHxK = fused.dot_product_attention(
        q_BxLxHxK,
        k_BxLxHxK,
        v_BxLxHxK,
        q_seqlen=lengths_BxM,
        kv_seqlen=lengths_BxM,
        q_offsets=offsets_BxN,
        kv_offsets=offsets_BxN,
        scale=q_BxLxHxK.shape[-1] ** -0.5,
        mask_type=fused.MaskType.PADDING_CAUSAL,
    )
    return jnp.where(real_BxLx1x1, out_BxLxHxK, 0)


def lengths_and_offsets(segments_BxL: jax.Array, most_segments: int) -> tuple[jax.Array, jax.Array]:
    """Tokens of each of M documents and where they begin in their row; -1 where there is none, and in the last of N.

    N = M + 1: room for where all end, which the kernel's caller fills in for the batch. A row's own end in it would
    count as one more document, and move the places of all rows after it.
    """
    numbers_M = jnp.arange(1, most_segments + 1)
    lengths_BxM = (segments_BxL[:, :, None] == numbers_M[None, None]).sum(1, dtype=jnp.int32)
    ends_BxM = jnp.cumsum(lengths_BxM, axis=1)
    there_BxM = lengths_BxM > 0
    starts_BxM = ends_BxM - lengths_BxM
    offsets_BxN = jnp.pad(jnp.where(there_BxM, starts_BxM, -1), ((0, 0), (0, 1)), constant_values=-1)
    return jnp.where(there_BxM, lengths_BxM, -1), offsets_BxN
