"""Attention over packed rows: causal, grouped queries, never across a segment. One interface, three back-ends.

B rows, L tokens, H query heads, G key/value heads, K head width; G divides H.

    reference  any device; scores of all pairs of tokens are held
    splash     TPU: Pallas kernel with segment ids; what it never holds is the scores
    cudnn      NVIDIA Hopper and newer: cuDNN's fused kernel with packed rows

Every back-end passes the same tests: a document's outputs and gradients do not depend on the others in its row.
"""

import functools
import logging
from collections.abc import Callable

import jax
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as P

from linkjax.errors import UserError
from linkjax.model.attention import cudnn, reference, splash

# q_BxLxHxK, k_BxLxGxK, v_BxLxGxK, segments_BxL -> out_BxLxHxK
Attend = Callable[[jax.Array, jax.Array, jax.Array, jax.Array], jax.Array]
BACKENDS = ("auto", "reference", "splash", "cudnn")

attend: Attend = reference.attend


def make_attend(
    backend: str, mesh: Mesh, spec: Callable[[tuple[str | None, ...]], P], most_segments: int = 0
) -> Attend:
    """The attention of a model on a mesh.

    Args:
      backend: of `BACKENDS`; auto takes the fused one of the mesh's devices where it can.
      mesh: its devices may be described only, as in an ahead-of-time compile.
      spec: logical axes -> partition over the mesh; the axes are batch, length, heads.
      most_segments: documents that a row can have; 0 = one a token.

    What comes back raises UserError where the back-end cannot do what is asked; the sentence says which can.
    """
    device = mesh.devices.flat[0]
    split = spec(("batch", "length"))[1]
    length_devices = mesh.shape[split] if split else 1

    def attend(q_BxLxHxK: jax.Array, k_BxLxGxK: jax.Array, v_BxLxGxK: jax.Array, segments_BxL: jax.Array) -> jax.Array:
        _, length, heads, head_width = q_BxLxHxK.shape
        faults = {
            "splash": splash.fault(device, length, length_devices, head_width),
            "cudnn": cudnn.fault(device, str(q_BxLxHxK.dtype), length_devices, head_width, most_segments),
            "reference": None,
        }
        chosen = backend
        if backend == "auto":
            chosen = next(name for name, fault in faults.items() if fault is None)
            _say(chosen, {"tpu": "splash", "gpu": "cudnn"}.get(device.platform), faults)
        if fault := faults[chosen]:
            raise UserError(f"model.attention is {chosen}, {fault}.")
        if chosen == "splash":
            return splash.make(mesh, spec, length, heads)(q_BxLxHxK, k_BxLxGxK, v_BxLxGxK, segments_BxL)
        if chosen == "cudnn":
            return cudnn.attend(q_BxLxHxK, k_BxLxGxK, v_BxLxGxK, segments_BxL, most_segments)
        return reference.attend(q_BxLxHxK, k_BxLxGxK, v_BxLxGxK, segments_BxL)

    return attend


@functools.cache
def _log(line: str) -> None:
    logging.getLogger("linkjax").warning(line)


def _say(chosen: str, fused: str | None, faults: dict[str, str | None]) -> None:
    """On an accelerator, what was picked; a fused kernel that cannot be had is worth a warning."""
    if fused:
        why = f"; not {fused}, {faults[fused]}" if faults[fused] else ""
        _log(f"attention: {chosen}{why}")
