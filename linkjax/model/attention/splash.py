"""JAX's splash attention for TPU, over a mesh.

Kernel: `jax.experimental.pallas.ops.tpu.splash_attention`. Rows and heads are split over devices as the table has
them; where a row is split, each device has a stretch of the queries and gathers keys and values.
"""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.experimental.pallas.ops.tpu.splash_attention import splash_attention_kernel as kernels
from jax.experimental.pallas.ops.tpu.splash_attention import splash_attention_mask as masks
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

_LANES = 128  # of a TPU's vector unit: blocks are multiples of it
_LARGEST_BLOCK = 512
_HEAD_WIDTHS = (64, 80, 96, 128, 256)


def fault(device: jax.Device, length: int, length_devices: int, head_width: int) -> str | None:
    """Why it cannot be used, or None. In interpretation, on a CPU, it can be tested."""
    if device.platform not in ("tpu", "cpu"):
        return f"which is for TPUs, and the device is {device.device_kind}: choose auto"
    if device.platform == "cpu":
        return "which is for TPUs, and there is only a CPU: choose reference"
    if length % (_LANES * length_devices):
        return (
            f"which takes rows of a multiple of {_LANES * length_devices} tokens, not {length}: change"
            " sequence_length or choose reference"
        )
    if head_width not in _HEAD_WIDTHS:
        return f"which takes heads {_HEAD_WIDTHS} wide, not {head_width}: change model.head_width or choose reference"
    return None


@functools.cache
def make(
    mesh: Mesh, spec: Callable[[tuple[str | None, ...]], P], length: int, heads: int, interpret: bool = False
) -> Callable[..., jax.Array]:
    """The attention of rows of `length` tokens, see `attention.Attend`."""
    batch_axes, length_axis = spec(("batch", "length"))
    (head_axis,) = spec(("heads",))
    head_shards, length_shards = (mesh.shape[axis] if axis else 1 for axis in (head_axis, length_axis))
    block = _LARGEST_BLOCK
    while (length // length_shards) % block:
        block //= 2
    blocks = kernels.BlockSizes(
        block_q=block, block_kv=block, block_kv_compute=block,
        block_q_dkv=block, block_kv_dkv=block, block_kv_dkv_compute=block,
        block_q_dq=block, block_kv_dq=block,
    )  # fmt: skip
    mask = masks.MultiHeadMask([masks.CausalMask((length, length)) for _ in range(heads)])
    with jax.ensure_compile_time_eval():
        kernel = kernels.make_splash_mha(
            mask, block_sizes=blocks, head_shards=head_shards, q_seq_shards=length_shards, interpret=interpret
        )
    kernel_spec = kernel.manual_sharding_spec(NamedSharding(mesh, P(head_axis, length_axis)))
    q_spec = P(batch_axes, head_axis, length_axis, None)
    kv_spec = P(batch_axes, head_axis, None, None)

    @functools.partial(
        jax.shard_map,
        mesh=mesh,
        in_specs=(kernel_spec, q_spec, kv_spec, kv_spec, P(batch_axes, length_axis), P(batch_axes, None)),
        out_specs=q_spec,
        check_vma=False,  # the kernel says nothing of how its outputs vary
    )
    def run(kernel, q_BxHxLxK, k_BxGxLxK, v_BxGxLxK, q_segments_BxL, kv_segments_BxL):
        segments = kernels.SegmentIds(q=q_segments_BxL, kv=kv_segments_BxL)
        return jax.vmap(kernel)(q_BxHxLxK, k_BxGxLxK, v_BxGxLxK, segments)

    def attend(q_BxLxHxK: jax.Array, k_BxLxGxK: jax.Array, v_BxLxGxK: jax.Array, segments_BxL: jax.Array) -> jax.Array:
        q_BxLxHxK = q_BxLxHxK * q_BxLxHxK.shape[-1] ** -0.5
        parts = (jnp.swapaxes(x, 1, 2) for x in (q_BxLxHxK, k_BxLxGxK, v_BxLxGxK))
        return jnp.swapaxes(run(kernel, *parts, segments_BxL, segments_BxL), 1, 2)

    return attend
