"""Named sizes.

Layers, width and heads follow arXiv 2411.12986 and the work around it; the hidden width (8/3 D, rounded up to 128) and
as many key/value heads as query heads are our choice: so the sizes come out near what they are called (docs/sizes.md).
"""

from linkjax.model.decoder import ModelSettings


def _large(layers: int, width: int, heads: int) -> ModelSettings:
    hidden = -(-width * 8 // 3 // 128) * 128
    return ModelSettings(
        layers=layers, width=width, heads=heads, kv_heads=heads,
        head_width=width // heads, hidden=hidden, dtype="bfloat16", remat="full",
    )  # fmt: skip


SIZES = {
    "toy": ModelSettings(),
    "137m": _large(12, 768, 12),
    "350m": _large(24, 1024, 16),
    "760m": _large(24, 1536, 16),
    "1.3b": _large(24, 2048, 16),
    "2.7b": _large(32, 2560, 32),
}
