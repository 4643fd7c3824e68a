"""config.json <-> the model's settings, for the families whose layout the decoder has: Llama and Qwen3.

Fields and what they are where they are missing: `LlamaConfig` and `Qwen3Config` of transformers,
https://huggingface.co/docs/transformers/model_doc/llama and .../qwen3. Its version 5 writes the base of the rotary
positions into `rope_parameters`, version 4 as `rope_theta`: both are written and read.
"""

import math
from typing import Any

from linkjax.errors import UserError
from linkjax.model.decoder import ModelSettings

_MOST = 1 << 24
_INTEGERS = {
    "layers": "num_hidden_layers",
    "width": "hidden_size",
    "heads": "num_attention_heads",
    "kv_heads": "num_key_value_heads",
    "head_width": "head_dim",
    "hidden": "intermediate_size",
    "vocabulary": "vocab_size",
}
# What the decoder has not: field -> values with which it is not used.
_OFF: dict[str, tuple[Any, ...]] = {
    "attention_bias": (False,),
    "mlp_bias": (False,),
    "hidden_act": ("silu", "swish"),
    "use_sliding_window": (False,),
    "partial_rotary_factor": (1, 1.0),
    "quantization_config": (),
    "num_experts": (0,),
    "num_local_experts": (0,),
}
_FAMILIES = {"llama": "LlamaForCausalLM", "qwen3": "Qwen3ForCausalLM"}
_ROPE = ("rope_scaling", "rope_parameters")
# The settings that a folder says; the rest of them is how the model is computed.
SHAPE = (*_INTEGERS, "qk_norm", "tied_embeddings", "rope_base", "rope_factor", "rope_low", "rope_high", "rope_length",
         "norm_epsilon", "logit_cap")  # fmt: skip
# Of rotary frequencies as Llama 3.1 divides them.
_SCALING = {"rope_factor": "factor", "rope_low": "low_freq_factor", "rope_high": "high_freq_factor",
            "rope_length": "original_max_position_embeddings"}  # fmt: skip


def to_config(settings: ModelSettings, vocabulary: int, length: int, dtype: str = "float32") -> dict[str, Any]:
    """What config.json says of a model.

    Args:
      vocabulary: rows of the embeddings.
      length: tokens of the rows it was trained on.
      dtype: of the weights as stored.

    Raises:
      UserError: these layouts have no field for it.
    """
    if settings.logit_cap:
        raise UserError(
            f"the model's logits are capped (model.logit_cap {settings.logit_cap}), for which Llama and Qwen3 have no"
            " field: only models without a cap can be exported."
        )
    family = "qwen3" if settings.qk_norm else "llama"
    if family == "llama" and settings.width % settings.heads:
        raise UserError(
            f"the model's width {settings.width} is not a multiple of its {settings.heads} heads: without QK-norm it is"
            " a Llama, where that must be."
        )
    theta = float(settings.rope_base)
    scaling: dict[str, Any] = {"rope_type": "default"}
    if settings.rope_factor != 1:
        scaling = {"rope_type": "llama3"} | {field: getattr(settings, name) for name, field in _SCALING.items()}
    only = (
        {"use_sliding_window": False, "sliding_window": None}
        if family == "qwen3"
        else {"mlp_bias": False, "pretraining_tp": 1}
    )
    return (
        {
            "architectures": [_FAMILIES[family]],
            "model_type": family,
            "vocab_size": vocabulary,
            "hidden_size": settings.width,
            "intermediate_size": settings.hidden,
            "num_hidden_layers": settings.layers,
            "num_attention_heads": settings.heads,
            "num_key_value_heads": settings.kv_heads,
            "head_dim": settings.head_width,
            "hidden_act": "silu",
            "max_position_embeddings": length,
            "rms_norm_eps": settings.norm_epsilon,
            "rope_parameters": {**scaling, "rope_theta": theta},
            "rope_theta": theta,
            "tie_word_embeddings": settings.tied_embeddings,
            "attention_bias": False,
            "attention_dropout": 0.0,
            "initializer_range": 0.02,
            "use_cache": True,
            "torch_dtype": dtype,
        }
        | only
        | ({} if settings.rope_factor == 1 else {"rope_scaling": scaling})
    )


def from_config(config: dict[str, Any], place: str) -> ModelSettings:
    """The settings of a model; those that are not of `SHAPE` are at their defaults.

    Args: `place` is what an error calls the config.

    Raises:
      UserError: it is of another family, uses what the decoder has not, or a field is missing or of another type.
    """
    family = config.get("model_type")
    if not isinstance(family, str) or family not in _FAMILIES:
        known = " and ".join(_FAMILIES)
        raise UserError(f"{place} has the model_type {family!r:.60}: models of the types {known} can be used.")
    named = config.get("architectures") or [_FAMILIES[family]]
    if named != [_FAMILIES[family]]:
        raise UserError(f"{place} has the architectures {named!r:.100}: only {_FAMILIES[family]} can be used.")
    for field, off in _OFF.items():
        if (value := config.get(field)) is not None and value not in off:
            raise _unusable(place, field, value)
    kinds = config.get("layer_types")
    if kinds is not None and not (isinstance(kinds, list) and all(kind == "full_attention" for kind in kinds)):
        raise _unusable(place, "layer_types", kinds)
    filled = {"head_dim": 128, "num_key_value_heads": 32} if family == "qwen3" else {}
    filled |= {"rms_norm_eps": 1e-6, "tie_word_embeddings": False}
    rope = _rope(config, place)
    config = filled | config
    heads = _integer(config, "num_attention_heads", place)
    if config.get("num_key_value_heads") is None:
        config["num_key_value_heads"] = heads
    if config.get("head_dim") is None:
        config["head_dim"], rest = divmod(_integer(config, "hidden_size", place), heads)
        if rest:
            raise UserError(f"{place} has no head_dim, and its hidden_size is not a multiple of its {heads} heads.")
    tied = config["tie_word_embeddings"]
    if not isinstance(tied, bool):
        raise _unusable(place, "tie_word_embeddings", tied)
    try:
        return ModelSettings(
            **{name: _integer(config, field, place) for name, field in _INTEGERS.items()},
            qk_norm=family == "qwen3",
            tied_embeddings=tied,
            **rope,
            norm_epsilon=_number(config["rms_norm_eps"], "rms_norm_eps", place),
        )
    except UserError as error:
        raise UserError(f"{place}: {error}") from error


def _rope(config: dict[str, Any], place: str) -> dict[str, Any]:
    """The settings of the rotary positions."""
    base, found = config.get("rope_theta", 10_000.0), {}
    for field in _ROPE:
        rope = config.get(field) or {}
        if not isinstance(rope, dict):
            raise _unusable(place, field, rope)
        kind = rope.get("rope_type", rope.get("type", "default"))
        nested = any(isinstance(value, dict) for value in rope.values())
        if kind not in ("default", "llama3") or nested or rope.get("partial_rotary_factor", 1) != 1:
            raise _unusable(place, field, rope)
        base = rope.get("rope_theta", base)
        if kind == "llama3":
            found = {name: _number(rope.get(of), f"{field}.{of}", place) for name, of in _SCALING.items()}
            found["rope_length"] = int(found["rope_length"])
    return found | {"rope_base": _number(base, "rope_theta", place)}


def _integer(config: dict[str, Any], field: str, place: str) -> int:
    value = config.get(field)
    if type(value) is not int or not 0 < value <= _MOST:
        raise UserError(f"{place} has {value!r:.40} as {field}: it must be a number of 1 or more.")
    return value


def _number(value: Any, field: str, place: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 2**63 or math.isnan(value):
        raise UserError(f"{place} has {value!r:.40} as {field}: it must be a number above 0.")
    return float(value)


def _unusable(place: str, field: str, value: Any) -> UserError:
    return UserError(f"{place} has {field} {value!r:.100}, which the decoder does not have: choose another model.")
