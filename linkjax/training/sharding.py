"""The mesh, and the one table from logical axes to mesh axes."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.experimental import mesh_utils
from jax.sharding import AxisType, Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from linkjax.errors import UserError
from linkjax.settings import setting

AXES = ("slice", "data", "fsdp", "sequence", "tensor")

# Parameters: `width` over fsdp, one other axis over tensor. Activations: rows over all data axes, a
# stretch of each row per `sequence` device.
TABLE: dict[str, str | tuple[str, ...]] = {
    "batch": ("slice", "data", "fsdp"),
    "length": "sequence",
    "width": "fsdp",
    "heads": "tensor",
    "kv_heads": "tensor",
    "hidden": "tensor",
    "vocabulary": "tensor",
}


@dataclasses.dataclass(frozen=True)
class MeshSettings:
    """Devices along each axis of the mesh; 0 for one axis = all that are left."""

    slice: int = setting(1, "groups of devices joined by a slow network; rows are split, weights repeated")
    data: int = setting(0, "rows are split, weights repeated; 0 = all devices that are left")
    fsdp: int = setting(1, "rows and weights are split")
    sequence: int = setting(1, "each row is split")
    tensor: int = setting(1, "heads, hidden width and vocabulary are split")

    def __post_init__(self):
        sizes = [getattr(self, axis) for axis in AXES]
        if min(sizes) < 0 or sizes.count(0) > 1:
            raise UserError(f"mesh {dict(zip(AXES, sizes, strict=True))}: sizes are 1 or more, at most one is 0.")


def make_mesh(settings: MeshSettings, devices: Any = None) -> Mesh:
    """The mesh over `devices`, all there are by default, with automatic sharding on every axis."""
    devices = jax.devices() if devices is None else devices
    sizes = [getattr(settings, axis) for axis in AXES]
    known = math.prod(size for size in sizes if size)
    if 0 in sizes:
        sizes[sizes.index(0)] = max(len(devices) // known, 1)
    if math.prod(sizes) != len(devices):
        raise UserError(
            f"mesh {dict(zip(AXES, sizes, strict=True))} takes {math.prod(sizes)} devices, there are {len(devices)}."
        )
    kinds = (AxisType.Auto,) * len(AXES)
    if devices[0].platform != "tpu":  # JAX calls each node of GPUs a slice; what is joined faster is next to each other
        in_order = sorted(devices, key=lambda device: device.id)
        return Mesh(np.asarray(in_order).reshape(sizes), AXES, axis_types=kinds)
    slices = len({getattr(device, "slice_index", 0) for device in devices})
    if slices == 1:
        laid_out = mesh_utils.create_device_mesh(sizes, devices, allow_split_physical_axes=True)
        return Mesh(laid_out, AXES, axis_types=kinds)
    if sizes[0] != slices:
        raise UserError(f"the TPUs are in {slices} slices, and mesh.slice is {sizes[0]}: set it to {slices}.")
    within, between = (1, *sizes[1:]), (slices, *(1 for _ in sizes[1:]))
    laid_out = mesh_utils.create_hybrid_device_mesh(within, between, devices, allow_split_physical_axes=True)
    return Mesh(laid_out, AXES, axis_types=kinds)


def row_parts(mesh: Mesh) -> int:
    """Parts that the mesh cuts the rows of a batch into: their number must be a multiple of it."""
    return math.prod(mesh.shape[axis] for axis in TABLE["batch"])


def rows_divide(mesh: Mesh, batch_size: int, sequence_length: int) -> None:
    """Raises UserError where a batch cannot be split evenly over the mesh."""
    sharding(mesh, (batch_size, sequence_length), ("batch", "length"), "the batch")


class RowBlock(NamedTuple):
    """The part of every batch's rows that a process reads: block `index` of `count` equal ones.

    Its rows go, in order, to `parts`, of `row_parts` equal ones: these may lie apart, as the mesh orders the devices.
    """

    index: int
    count: int
    parts: tuple[int, ...]


def row_block(mesh: Mesh) -> RowBlock:
    """This process's part of the rows.

    Processes whose devices share rows, over the axes `tensor` and `sequence`, have the same block and read the same.

    Raises:
      UserError: the processes' rows overlap without being the same.
    """
    process_of_device = np.vectorize(lambda device: device.process_index)(mesh.devices)
    return _block_of(process_of_device, jax.process_index())


def _block_of(processes: np.ndarray, process: int) -> RowBlock:
    """Args: `processes`, of the mesh's shape, has the process of each device."""
    by_rows = processes.reshape(math.prod(processes.shape[: len(TABLE["batch"])]), -1)
    rows_of = {one: frozenset(np.flatnonzero((by_rows == one).any(1)).tolist()) for one in np.unique(by_rows).tolist()}
    blocks = sorted(set(rows_of.values()), key=min)
    if sum(map(len, blocks)) != len(by_rows) or len({len(block) for block in blocks}) > 1:
        raise UserError(
            f"mesh {dict(zip(AXES, processes.shape, strict=True))} cuts the rows in {len(by_rows)} parts across the"
            f" borders of the {len(rows_of)} processes, so that some share a part of their rows: choose tensor *"
            " sequence so that it divides the devices of a process, or is a multiple of them."
        )
    return RowBlock(blocks.index(rows_of[process]), len(blocks), tuple(sorted(rows_of[process])))


def in_order(blocks: Sequence[tuple[Sequence[int], Sequence[Any]]]) -> list[Any]:
    """Something for each row of the global batch, from processes' `RowBlock.parts` and rows; some share theirs."""
    of_part = {}
    for parts, rows in blocks:
        size = len(rows) // len(parts)
        of_part |= {part: rows[place * size : (place + 1) * size] for place, part in enumerate(parts)}
    return [row for part in sorted(of_part) for row in of_part[part]]


def spec(axes: tuple[str | None, ...]) -> P:
    """The partition of an array whose dimensions have these logical axes."""
    return P(*(TABLE.get(axis) if axis else None for axis in axes))


def sharding(mesh: Mesh, shape: tuple[int, ...], axes: tuple[str | None, ...], name: str = "") -> NamedSharding:
    """Where an array of `shape` lives.

    Raises:
      UserError: a dimension does not divide over its mesh axes.
    """
    result = NamedSharding(mesh, spec(axes))
    for size, axis, parts in zip(shape, axes, result.spec, strict=True):
        count = math.prod(mesh.shape[part] for part in ((parts,) if isinstance(parts, str) else parts or ()))
        if size % count:
            raise UserError(
                f"{name or 'an array'} has {size} along '{axis}', which does not divide over {count} devices ({parts}):"
                " change the mesh or the shape."
            )
    return result


def constrain_on(mesh: Mesh):
    """The model's hook: lays an activation out over `mesh` by its logical axes."""

    def constrain(x: jax.Array, axes: tuple[str | None, ...]) -> jax.Array:
        return jax.lax.with_sharding_constraint(x, NamedSharding(mesh, spec(axes)))

    return constrain
