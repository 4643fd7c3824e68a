"""A decoder-only transformer in Flax NNX: pre-norm, RMSNorm, RoPE, SwiGLU, grouped queries, QK-norm.

B rows, L tokens, M places of a cache, D model width, H query heads, G key/value heads, K head width, F hidden width,
V vocabulary (padded). Every parameter names its logical axes; which mesh axes those are is decided
elsewhere (`Layout`). The parameters map one to one to Qwen3 (Yang et al. 2025), without QK-norm to Llama.
"""

import dataclasses
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import nnx

from linkjax.errors import UserError
from linkjax.model.attention import BACKENDS, Attend, attend, cached
from linkjax.settings import setting

# (value, logical axis of each dimension) -> the value, laid out over devices as the mesh asks
Constrain = Callable[[jax.Array, tuple[str | None, ...]], jax.Array]
Cache = tuple[jax.Array, jax.Array]  # keys and values of the tokens so far
_MOST_PIECES = 1 << 24
_VOCABULARY_MULTIPLE = 128  # so that the vocabulary divides over devices and tiles well

# What is kept for the backward pass of a block, beside its input.
REMAT = {
    "none": None,
    "dots": jax.checkpoint_policies.dots_with_no_batch_dims_saveable,
    "full": jax.checkpoint_policies.nothing_saveable,
}


@dataclasses.dataclass(frozen=True)
class ModelSettings:
    """Shape and numerics of the decoder. The rows of the vocabulary are padded to a multiple of 128."""

    layers: int = setting(2, "blocks")
    width: int = setting(64, "model width (D)")
    heads: int = setting(4, "query heads (H)")
    kv_heads: int = setting(4, "key and value heads (G); divides heads")
    head_width: int = setting(16, "width of a head (K), even")
    hidden: int = setting(192, "width of the feed-forward layer (F)")
    qk_norm: bool = setting(True, "RMSNorm on queries and keys")
    tied_embeddings: bool = setting(True, "one matrix for input and output embeddings")
    rope_base: float = setting(10_000.0, "base of the rotary position frequencies")
    rope_factor: float = setting(1.0, "the slow rotary frequencies are divided by it, as Llama 3.1's; 1 = none are")
    rope_low: float = setting(1.0, "those with at most so many turns in rope_length tokens are divided by all of it")
    rope_high: float = setting(4.0, "those with at least so many turns in rope_length tokens are left as they are")
    rope_length: int = setting(8192, "tokens of a row before the frequencies were divided")
    norm_epsilon: float = setting(1e-6, "added to the mean square in RMSNorm")
    dtype: str = setting("float32", "of the computation: float32 or bfloat16; weights and loss are float32")
    attention: str = setting("auto", "auto (by device), reference, splash (TPU) or cudnn (Hopper GPUs and newer)")
    remat: str = setting("none", "what the backward pass computes again to save memory: none, dots (all but matrix"
                         " products of the weights), full (a block's inside)")  # fmt: skip
    logit_cap: float = setting(0.0, "logits are c tanh(logits / c), between -c and c; 0 = as they are")
    vocabulary: int = setting(0, "pieces that have embeddings; 0 = as many as the tokenizer has")

    def __post_init__(self):
        for name in ("layers", "width", "heads", "kv_heads", "head_width", "hidden"):
            if getattr(self, name) < 1:
                raise UserError(f"model.{name} is {getattr(self, name)}: choose 1 or more.")
        if self.heads % self.kv_heads:
            raise UserError(f"model.kv_heads {self.kv_heads} does not divide model.heads {self.heads}.")
        if self.head_width % 2:
            raise UserError(f"model.head_width is {self.head_width}: rotary positions need an even number.")
        if self.dtype not in ("float32", "bfloat16"):
            raise UserError(f"model.dtype is '{self.dtype}': choose float32 or bfloat16.")
        for name, known in (("attention", BACKENDS), ("remat", REMAT)):
            if getattr(self, name) not in known:
                raise UserError(f"model.{name} is '{getattr(self, name)}': choose {', '.join(known)}.")
        if not 0 <= self.vocabulary <= _MOST_PIECES:
            raise UserError(f"model.vocabulary is {self.vocabulary}: choose 0 (the tokenizer's) or more.")
        if not (self.rope_factor >= 1 and 0 < self.rope_low < self.rope_high and self.rope_length > 0):
            raise UserError(
                f"model.rope_factor is {self.rope_factor}, rope_low {self.rope_low}, rope_high {self.rope_high},"
                f" rope_length {self.rope_length}: choose a factor of 1 or more, 0 < low < high, and a length above 0."
            )
        if not 0 <= self.logit_cap < float("inf"):
            raise UserError(f"model.logit_cap is {self.logit_cap}: choose 0 (none) or more.")


def padded_vocabulary(size: int) -> int:
    return -(-size // _VOCABULARY_MULTIPLE) * _VOCABULARY_MULTIPLE


@dataclasses.dataclass(frozen=True)
class Layout:
    """How a decoder's arrays lie on a machine. By default there is nothing to say: one device.

    Attributes:
      constrain: lays out an activation.
      attend: see `attention`.
      unroll: blocks that are compiled one after the other in the loop over blocks.
    """

    constrain: Constrain = lambda x, axes: x
    attend: Attend = attend
    unroll: int = 1


class Decoder(nnx.Module):
    """tokens -> the last block's output, normalised, and from it logits over the padded vocabulary."""

    def __init__(self, settings: ModelSettings, vocabulary: int, rngs: nnx.Rngs, layout: Layout = Layout()):
        """Args: `vocabulary` is the tokenizer's size before padding."""
        self.settings, self.layout = settings, layout
        shape_VxD = (padded_vocabulary(vocabulary), settings.width)
        self.embedding_VxD = _weight(rngs, shape_VxD, ("vocabulary", "width"), settings.width**-0.5)
        if not settings.tied_embeddings:
            self.output_VxD = _weight(rngs, shape_VxD, ("vocabulary", "width"), settings.width**-0.5)
        self.norm_D = _scale(settings.width, "width")

        @nnx.split_rngs(splits=settings.layers)
        @nnx.vmap(in_axes=0, out_axes=0)
        def stack(rngs: nnx.Rngs) -> Block:
            return Block(settings, rngs, layout)

        self.blocks = stack(rngs)  # parameters have a leading axis of layers

    def __call__(self, tokens_BxL: jax.Array, segments_BxL: jax.Array, positions_BxL: jax.Array) -> jax.Array:
        """Returns x_BxLxD, what logits are made of."""
        x_BxLxD = self._embed(tokens_BxL)

        def run(block: Block, x_BxLxD: jax.Array) -> jax.Array:
            return block(x_BxLxD, segments_BxL, positions_BxL)

        policy = REMAT[self.settings.remat]
        run = nnx.remat(run, policy=policy) if policy else run
        x_BxLxD = nnx.scan(run, in_axes=(0, nnx.Carry), out_axes=nnx.Carry, unroll=self.layout.unroll)(
            self.blocks, x_BxLxD
        )
        return rms_norm(x_BxLxD, self.norm_D[...], self.settings.norm_epsilon)

    def streams(self, tokens_BxL: jax.Array, segments_BxL: jax.Array, positions_BxL: jax.Array) -> jax.Array:
        """What each block reads and the last one gives, (N+1)xBxLxD of N layers: to look into a model."""
        x_BxLxD = self._embed(tokens_BxL)

        def run(block: Block, x_BxLxD: jax.Array) -> tuple[jax.Array, jax.Array]:
            x_BxLxD = block(x_BxLxD, segments_BxL, positions_BxL)
            return x_BxLxD, x_BxLxD

        _, x_NxBxLxD = nnx.scan(
            run, in_axes=(0, nnx.Carry), out_axes=(nnx.Carry, 0), unroll=self.layout.unroll
        )(self.blocks, x_BxLxD)  # fmt: skip
        return jnp.concatenate([x_BxLxD[None], x_NxBxLxD])

    def extend(self, tokens_BxL: jax.Array, positions_BxL: jax.Array, cache: Cache) -> tuple[jax.Array, Cache]:
        """The same for rows of one document each, whose tokens before these are in the cache; and the cache with them.

        A row's token of position p takes place p of the M of its cache, whatever was there. It sees places 0 to p.
        """

        def run(block: Block, cache: Cache, x_BxLxD: jax.Array) -> tuple[jax.Array, Cache]:
            return block.extend(x_BxLxD, positions_BxL, cache)

        x_BxLxD, cache = nnx.scan(
            run, in_axes=(0, 0, nnx.Carry), out_axes=(nnx.Carry, 0), unroll=self.layout.unroll
        )(self.blocks, cache, self._embed(tokens_BxL))  # fmt: skip
        return rms_norm(x_BxLxD, self.norm_D[...], self.settings.norm_epsilon), cache

    def empty_cache(self, rows: int, places: int) -> Cache:
        """Keys and values of no token: each NxBxMxGxK, of N layers."""
        settings = self.settings
        shape = (settings.layers, rows, places, settings.kv_heads, settings.head_width)
        nothing = self.layout.constrain(
            jnp.zeros(shape, jnp.dtype(settings.dtype)), (None, "batch", None, "kv_heads", None)
        )
        return nothing, nothing

    def _embed(self, tokens_BxL: jax.Array) -> jax.Array:
        dtype = jnp.dtype(self.settings.dtype)
        # A device looks up whole vectors, in its part of the vocabulary; in float32, because the gradient of a frequent
        # piece is a sum over thousands of tokens.
        embedding_VxD = self.layout.constrain(self.embedding_VxD[...], ("vocabulary", None))
        return self.layout.constrain(embedding_VxD[tokens_BxL].astype(dtype), ("batch", "length", None))

    @property
    def projection_VxD(self) -> jax.Array:
        """The output embeddings."""
        return (self.embedding_VxD if self.settings.tied_embeddings else self.output_VxD)[...]

    def logits(self, x_BxLxD: jax.Array) -> jax.Array:
        """logits_BxLxV in float32."""
        logits_BxLxV = logits_of(x_BxLxD, self.projection_VxD, self.settings.logit_cap)
        return self.layout.constrain(logits_BxLxV, ("batch", "length", "vocabulary"))


def logits_of(x_BxLxD: jax.Array, projection_VxD: jax.Array, cap: float) -> jax.Array:
    """logits_BxLxV in float32; V may be a part of the vocabulary."""
    logits_BxLxV = jnp.einsum(
        "bld,vd->blv", x_BxLxD, projection_VxD.astype(x_BxLxD.dtype), preferred_element_type=jnp.float32
    )
    return cap * jnp.tanh(logits_BxLxV / cap) if cap else logits_BxLxV


class Block(nnx.Module):
    """Attention and feed-forward, each after a norm and added to its input."""

    def __init__(self, settings: ModelSettings, rngs: nnx.Rngs, layout: Layout):
        self.settings, self.layout = settings, layout
        width, heads, groups = settings.width, settings.heads, settings.kv_heads
        head, hidden = settings.head_width, settings.hidden
        deep = (2 * settings.layers) ** -0.5  # what is added to the stream shrinks with depth (GPT-2)
        self.norm_attention_D = _scale(width, "width")
        self.query_DxHxK = _weight(rngs, (width, heads, head), ("width", "heads", None), width**-0.5)
        self.key_DxGxK = _weight(rngs, (width, groups, head), ("width", "kv_heads", None), width**-0.5)
        self.value_DxGxK = _weight(rngs, (width, groups, head), ("width", "kv_heads", None), width**-0.5)
        self.out_HxKxD = _weight(rngs, (heads, head, width), ("heads", None, "width"), deep * (heads * head) ** -0.5)
        if settings.qk_norm:
            self.norm_query_K = _scale(head, None)
            self.norm_key_K = _scale(head, None)
        self.norm_hidden_D = _scale(width, "width")
        self.gate_DxF = _weight(rngs, (width, hidden), ("width", "hidden"), width**-0.5)
        self.up_DxF = _weight(rngs, (width, hidden), ("width", "hidden"), width**-0.5)
        self.down_FxD = _weight(rngs, (hidden, width), ("hidden", "width"), deep * hidden**-0.5)

    def __call__(self, x_BxLxD: jax.Array, segments_BxL: jax.Array, positions_BxL: jax.Array) -> jax.Array:
        q_BxLxHxK, k_BxLxGxK, v_BxLxGxK = self._queries_keys_values(x_BxLxD, positions_BxL)
        # Each device asks for its stretch of the row and reads the keys and values of the whole row.
        q_BxLxHxK = self.layout.constrain(q_BxLxHxK, ("batch", "length", "heads", None))
        k_BxLxGxK = self.layout.constrain(k_BxLxGxK, ("batch", None, "kv_heads", None))
        v_BxLxGxK = self.layout.constrain(v_BxLxGxK, ("batch", None, "kv_heads", None))
        return self._add(x_BxLxD, self.layout.attend(q_BxLxHxK, k_BxLxGxK, v_BxLxGxK, segments_BxL))

    def extend(self, x_BxLxD: jax.Array, positions_BxL: jax.Array, cache: Cache) -> tuple[jax.Array, Cache]:
        """See `Decoder.extend`; the cache is this block's, each BxMxGxK."""
        q_BxLxHxK, k_BxLxGxK, v_BxLxGxK = self._queries_keys_values(x_BxLxD, positions_BxL)
        rows_Bx1 = jnp.arange(len(x_BxLxD))[:, None]
        cache = tuple(
            self.layout.constrain(held.at[rows_Bx1, positions_BxL].set(new), ("batch", None, "kv_heads", None))
            for held, new in zip(cache, (k_BxLxGxK, v_BxLxGxK), strict=True)
        )
        return self._add(x_BxLxD, cached.attend(q_BxLxHxK, *cache, positions_BxL)), cache

    def _project(self, equation: str, x: jax.Array, weight: nnx.Param) -> jax.Array:
        return jnp.einsum(equation, x, weight[...].astype(x.dtype))

    def _queries_keys_values(
        self, x_BxLxD: jax.Array, positions_BxL: jax.Array
    ) -> tuple[jax.Array, jax.Array, jax.Array]:
        settings, project = self.settings, self._project
        y_BxLxD = rms_norm(x_BxLxD, self.norm_attention_D[...], settings.norm_epsilon)
        q_BxLxHxK = project("bld,dhk->blhk", y_BxLxD, self.query_DxHxK)
        k_BxLxGxK = project("bld,dgk->blgk", y_BxLxD, self.key_DxGxK)
        v_BxLxGxK = project("bld,dgk->blgk", y_BxLxD, self.value_DxGxK)
        if settings.qk_norm:
            q_BxLxHxK = rms_norm(q_BxLxHxK, self.norm_query_K[...], settings.norm_epsilon)
            k_BxLxGxK = rms_norm(k_BxLxGxK, self.norm_key_K[...], settings.norm_epsilon)
        frequencies_k = rotary_frequencies(settings)
        q_BxLxHxK = rotate(q_BxLxHxK, positions_BxL, frequencies_k)
        return q_BxLxHxK, rotate(k_BxLxGxK, positions_BxL, frequencies_k), v_BxLxGxK

    def _add(self, x_BxLxD: jax.Array, a_BxLxHxK: jax.Array) -> jax.Array:
        """The stream with what attention found and what the feed-forward makes of it."""
        settings, project = self.settings, self._project
        x_BxLxD = x_BxLxD + project("blhk,hkd->bld", a_BxLxHxK, self.out_HxKxD)
        y_BxLxD = rms_norm(x_BxLxD, self.norm_hidden_D[...], settings.norm_epsilon)
        h_BxLxF = jax.nn.silu(project("bld,df->blf", y_BxLxD, self.gate_DxF))
        h_BxLxF = h_BxLxF * project("bld,df->blf", y_BxLxD, self.up_DxF)
        h_BxLxF = self.layout.constrain(h_BxLxF, ("batch", "length", "hidden"))
        x_BxLxD = x_BxLxD + project("blf,fd->bld", h_BxLxF, self.down_FxD)
        return self.layout.constrain(x_BxLxD, ("batch", "length", None))


def rms_norm(x: jax.Array, scale: jax.Array, epsilon: float) -> jax.Array:
    """Over the last axis, in float32 (Zhang and Sennrich 2019)."""
    wide = x.astype(jnp.float32)
    wide = wide * jax.lax.rsqrt(jnp.mean(wide * wide, axis=-1, keepdims=True) + epsilon)
    shape = (1,) * (x.ndim - 1) + scale.shape
    return (wide * scale.reshape(shape)).astype(x.dtype)


def rotary_frequencies(settings: ModelSettings) -> jax.Array:
    """frequencies_k in radians a token, of half of a head's width; slow ones divided as in Llama 3.1.

    That is `_compute_llama3_parameters` of transformers: between rope_low and rope_high turns it goes over linearly.
    """
    half = settings.head_width // 2
    frequencies_k = settings.rope_base ** (-jnp.arange(half, dtype=jnp.float32) / half)
    if settings.rope_factor == 1:
        return frequencies_k
    turns_k = settings.rope_length * frequencies_k / (2 * math.pi)
    kept_k = jnp.clip((turns_k - settings.rope_low) / (settings.rope_high - settings.rope_low), 0, 1)
    return frequencies_k * (kept_k + (1 - kept_k) / settings.rope_factor)


def rotate(x_BxLxHxK: jax.Array, positions_BxL: jax.Array, frequencies_k: jax.Array) -> jax.Array:
    """Rotary positions (Su et al. 2021), halves rotated against each other as in Hugging Face's layout."""
    angles_BxLx1xk = (positions_BxL.astype(jnp.float32)[..., None] * frequencies_k[None, None])[:, :, None]
    cos, sin = jnp.cos(angles_BxLx1xk), jnp.sin(angles_BxLx1xk)
    first, second = jnp.split(x_BxLxHxK.astype(jnp.float32), 2, axis=-1)
    rotated = jnp.concatenate([first * cos - second * sin, second * cos + first * sin], axis=-1)
    return rotated.astype(x_BxLxHxK.dtype)


def _weight(rngs: nnx.Rngs, shape: tuple[int, ...], axes: tuple[str | None, ...], deviation: float) -> nnx.Param:
    value = deviation * jax.random.truncated_normal(rngs.params(), -3, 3, shape, jnp.float32)
    return nnx.Param(value, axes=axes)


def _scale(width: int, axis: str | None) -> nnx.Param:
    return nnx.Param(jnp.ones(width, jnp.float32), axes=(axis,))
