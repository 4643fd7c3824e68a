"""How much of what the devices can do goes into the model.

Utilisation is the model's floating-point operations a second (see `model.flops`: causal attention counted once, the
vocabulary's projection with the others, nothing that is computed again), of the tokens that are not padding, over the
devices' peak in dense bfloat16 (Chowdhery et al. 2022, appendix B).
"""

import os
import pathlib
from collections.abc import Sequence
from typing import Any

import jax

from linkjax.errors import UserError
from linkjax.model.decoder import ModelSettings
from linkjax.model.flops import training_flops

# Dense bfloat16, in 1e12 a second; device_kind as JAX has it. From cloud.google.com/tpu/docs/system-architecture-tpu-vm
# (a device of a v4 or v5p is a whole chip) and NVIDIA's data sheets of the SXM boards, without sparsity.
PEAK = {
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


_compiling = [0.0]  # seconds, of all programs of this process


def _count(event: str, seconds: float, **_: str) -> None:
    if event == "/jax/core/compile/backend_compile_duration":
        _compiling[0] += seconds


jax.monitoring.register_event_duration_secs_listener(_count)


class Speed:
    """The arithmetic of a model's speed on some devices."""

    def __init__(self, model: ModelSettings, vocabulary: int, length: int, devices: Sequence[jax.Device]):
        """Args: `vocabulary` is the tokenizer's, `length` a row's tokens."""
        self.flops_per_token = training_flops(model, vocabulary, length)
        kind = devices[0].device_kind
        # The longest name that fits: 'TPU v5 lite' before 'TPU v5', 'NVIDIA H100 80GB HBM3' is an H100.
        names = sorted((name for name in PEAK if kind.startswith(name)), key=len)
        self._peak = len(devices) * PEAK[names[-1]] * 1e12 if names else None

    def measured(self, tokens: int, places: int, seconds: float, waited: float) -> dict[str, float]:
        """Of a step of `seconds`, of which `waited` for data, with `tokens` in its rows' `places`.

        `compile_seconds` is the sum over the process, `mfu` and `peak_memory_gib` are there where they are known.
        """
        rate = tokens / seconds
        found = {
            "tokens_per_second": rate,
            "waiting_share": waited / seconds,
            "padding_share": 1 - tokens / places,
            "compile_seconds": _compiling[0],
        }
        utilisation = self.utilisation(rate)
        memory = peak_memory()
        return found | ({"mfu": utilisation} if utilisation else {}) | ({"peak_memory_gib": memory} if memory else {})

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


class Trace:
    """A profile of some steps of a run, for TensorBoard or xprof."""

    def __init__(self, steps: str, folder: pathlib.Path):
        """Args: `steps` as in '20:25', the first and the last one; empty = none.

        Raises:
          UserError: it is not like that.
        """
        self._folder, self._running = folder, False
        self._first, self._last = parse_steps(steps)

    def before(self, step: int, state: Any) -> None:
        """Called before every step; `state` is what the one before returned, and it may still be under way."""
        if self._running and step > self._last:
            jax.block_until_ready(state)
            self.close()
        elif step == self._first:
            jax.block_until_ready(state)
            jax.profiler.start_trace(str(self._folder))
            self._running = True

    def close(self) -> None:
        if self._running:
            jax.profiler.stop_trace()
            self._running = False


def parse_steps(text: str) -> tuple[int, int]:
    """'20:25' -> 20, 25; nothing -> steps that never come."""
    if not text:
        return -1, -1
    first, _, last = text.partition(":")
    if not (first.isdigit() and last.isdigit() and 0 < int(first) <= int(last)):
        raise UserError(f"profile is '{text}': write the first and the last step, as 20:25.")
    return int(first), int(last)


def keep_compiled(folder: str) -> None:
    """Keeps compiled programs for the next start: in `folder`, by default for accelerators only; 'none' = nowhere."""
    if folder == "none" or (not folder and jax.default_backend() == "cpu"):
        return
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "linkjax"
    jax.config.update("jax_compilation_cache_dir", folder or str(cache))
