"""How much of what the devices can do goes into the model.

Utilisation is the model's floating-point operations a second (see `model.flops`: causal attention counted once, the
vocabulary's projection with the others, nothing that is computed again), of the tokens that are not padding, over the
devices' peak in dense bfloat16 (Chowdhery et al. 2022, appendix B).
"""

from collections.abc import Sequence

import jax

from linkjax.model.decoder import ModelSettings
from linkjax.model.flops import training_flops

# Dense bfloat16, in 1e12 a second; device_kind as JAX has it. From cloud.google.com/tpu/docs/system-architecture-tpu-vm
# (a device of a v4 or v5p is a whole chip) and NVIDIA's data sheets of the SXM boards, without sparsity.
_PEAK = {
    "TPU v4": 275,
    "TPU v5 lite": 197,
    "TPU v5e": 197,
    "TPU v5": 459,
    "TPU v5p": 459,
    "TPU v6 lite": 918,
    "TPU v6e": 918,
    "NVIDIA A100": 312,
    "NVIDIA H100": 989,
    "NVIDIA H200": 989,
    "NVIDIA B200": 2250,
}


class Speed:
    """The arithmetic of a model's speed on some devices."""

    def __init__(self, model: ModelSettings, vocabulary: int, length: int, devices: Sequence[jax.Device]):
        """Args: `vocabulary` is the tokenizer's, `length` a row's tokens."""
        self.flops_per_token = training_flops(model, vocabulary, length)
        kind = devices[0].device_kind
        # The longest name that fits: 'TPU v5 lite' before 'TPU v5', 'NVIDIA H100 80GB HBM3' is an H100.
        names = sorted((name for name in _PEAK if kind.startswith(name)), key=len)
        self._peak = len(devices) * _PEAK[names[-1]] * 1e12 if names else None

    def utilisation(self, tokens_per_second: float) -> float | None:
        """Share of the peak, None where that is not known."""
        return tokens_per_second * self.flops_per_token.total / self._peak if self._peak else None

    @property
    def said(self) -> str:
        """What a token costs, in words."""
        share = self.flops_per_token.vocabulary / self.flops_per_token.total
        return f"{self.flops_per_token.total / 1e9:.3g} GFLOPs a token, {share:.0%} of them the vocabulary's projection"


def peak_memory() -> float | None:
    """GiB that this process's devices held at most, the fullest of them; None where the device does not say."""
    found = [(device.memory_stats() or {}).get("peak_bytes_in_use") for device in jax.local_devices()]
    return max(found) / 2**30 if all(found) else None
