"""cuDNN's fused attention over packed rows, NVIDIA Hopper and newer.

`jax.nn.dot_product_attention` has no way to say where documents begin, so this calls what is under it
(https://github.com/jax-ml/jax/pull/25812): lengths and offsets of at most M documents a row, -1 where there are fewer.
"""

import jax
import jax.numpy as jnp

_WIDEST_HEAD = 256
_HOPPER = 9.0  # compute capability


def fault(device: jax.Device, dtype: str, length_devices: int, head_width: int) -> str | None:
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
    lengths_BxM, offsets_BxN = lengths_and_offsets(segments_BxL, most_segments)
    out_BxLxHxK = fused.dot_product_attention(
        q_BxLxHxK,
        k_BxLxGxK,
        v_BxLxGxK,
        q_seqlen=lengths_BxM,
        kv_seqlen=lengths_BxM,
        q_offsets=offsets_BxN,
        kv_offsets=offsets_BxN,
        scale=q_BxLxHxK.shape[-1] ** -0.5,
        mask_type=fused.MaskType.PADDING_CAUSAL,
    )
    return jnp.where(real_BxLx1x1, out_BxLxHxK, 0)


def lengths_and_offsets(segments_BxL: jax.Array, most_segments: int) -> tuple[jax.Array, jax.Array]:
    """Tokens of each of M documents, and where they begin and the last one ends (N = M + 1); -1 where there is none."""
    numbers_M = jnp.arange(1, most_segments + 1)
    lengths_BxM = (segments_BxL[:, :, None] == numbers_M[None, None]).sum(1, dtype=jnp.int32)
    ends_BxM = jnp.cumsum(lengths_BxM, axis=1)
    there_BxM = lengths_BxM > 0
    starts_BxM = ends_BxM - lengths_BxM
    past_BxN = jnp.pad(there_BxM, ((0, 0), (1, 0)))  # one place after each document
    offsets_BxN = jnp.where(jnp.pad(there_BxM, ((0, 0), (0, 1))), jnp.pad(starts_BxM, ((0, 0), (0, 1))), -1)
    offsets_BxN = jnp.where((offsets_BxN < 0) & past_BxN, jnp.pad(ends_BxM, ((0, 0), (1, 0))), offsets_BxN)
    return jnp.where(there_BxM, lengths_BxM, -1), offsets_BxN
