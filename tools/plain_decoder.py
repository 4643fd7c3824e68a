"""The yardstick of `bench_step.py`: the same decoder and step written out by hand for one device, to be fast.

No sharding, no settings but the shape, layers in a Python loop, one `jax.jit`. AdamW, clipping, warm-up and cosine,
cross-entropy with z-loss in float32. It is kept as it is: changing it would move the yardstick.
"""

import functools

import jax
import jax.numpy as jnp


def initialise(key, layers, width, heads, head_width, hidden, vocabulary):
    """State: weights, their two moments, and the number of the step."""
    keys = iter(jax.random.split(key, 1 + 7 * layers))

    def matrix(*shape):
        return shape[0] ** -0.5 * jax.random.normal(next(keys), shape)

    blocks = [
        {
            "norm1": jnp.ones(width),
            "norm2": jnp.ones(width),
            "norm_q": jnp.ones(head_width),
            "norm_k": jnp.ones(head_width),
            "q": matrix(width, heads * head_width),
            "k": matrix(width, heads * head_width),
            "v": matrix(width, heads * head_width),
            "o": matrix(heads * head_width, width),
            "gate": matrix(width, hidden),
            "up": matrix(width, hidden),
            "down": matrix(hidden, width),
        }
        for _ in range(layers)
    ]
    weights = {"embedding": matrix(vocabulary, width), "norm": jnp.ones(width), "blocks": blocks}
    zeros = jax.tree.map(jnp.zeros_like, weights)
    return {"weights": weights, "mean": zeros, "square": jax.tree.map(jnp.copy, zeros), "step": jnp.zeros((), int)}


def norm(x, scale):
    wide = x.astype(jnp.float32)
    return (wide * jax.lax.rsqrt(jnp.mean(wide * wide, -1, keepdims=True) + 1e-6) * scale).astype(x.dtype)


def loss_of(weights, tokens, targets, loss_weights, segments, positions, heads, dtype, z_loss):
    length = tokens.shape[1]
    embedding = weights["embedding"].astype(dtype)
    x = embedding[tokens]
    allowed = (segments[:, None, :, None] == segments[:, None, None, :]) & jnp.tril(jnp.ones((length, length), bool))
    head_width = weights["blocks"][0]["norm_q"].shape[0]
    angles = positions[..., None] * 10_000.0 ** (-jnp.arange(head_width // 2) / (head_width // 2))
    cos, sin = jnp.cos(angles)[:, :, None], jnp.sin(angles)[:, :, None]

    def rotate(x):
        a, b = jnp.split(x.astype(jnp.float32), 2, -1)
        return jnp.concatenate([a * cos - b * sin, b * cos + a * sin], -1).astype(dtype)

    for block in weights["blocks"]:
        w = {name: value.astype(dtype) for name, value in block.items() if value.ndim == 2}
        y = norm(x, block["norm1"])
        q, k, v = ((y @ w[name]).reshape(*x.shape[:2], heads, head_width) for name in "qkv")
        q, k = rotate(norm(q, block["norm_q"])), rotate(norm(k, block["norm_k"]))
        scores = jnp.einsum("blhk,bmhk->bhlm", q, k, preferred_element_type=jnp.float32) * head_width**-0.5
        share = jax.nn.softmax(jnp.where(allowed, scores, -1e30)).astype(dtype)
        x = x + jnp.einsum("bhlm,bmhk->blhk", share, v).reshape(*x.shape[:2], -1) @ w["o"]
        y = norm(x, block["norm2"])
        x = x + (jax.nn.silu(y @ w["gate"]) * (y @ w["up"])) @ w["down"]
    x = norm(x, weights["norm"])
    logits = jnp.einsum("bld,vd->blv", x, embedding, preferred_element_type=jnp.float32)
    normaliser = jax.nn.logsumexp(logits, -1)
    losses = normaliser - jnp.take_along_axis(logits, targets[..., None], -1)[..., 0]
    total = loss_weights.sum()
    return ((losses + z_loss * normaliser**2) * loss_weights).sum() / total, (losses * loss_weights).sum() / total


@functools.partial(jax.jit, donate_argnums=0, static_argnames=("heads", "dtype", "steps", "rate", "decay", "z_loss"))
def update(state, rows, *, heads, dtype, steps, rate=4e-3, decay=0.1, z_loss=1e-4):
    """One step -> state, loss, norm of the gradient."""
    names = ("tokens_BxL", "targets_BxL", "loss_weights_BxL", "segments_BxL", "positions_BxL")
    arguments = (*(rows[name] for name in names), heads, dtype, z_loss)
    gradients, loss = jax.grad(loss_of, has_aux=True)(state["weights"], *arguments)
    size = jnp.sqrt(sum(jnp.vdot(g, g) for g in jax.tree.leaves(gradients)))
    gradients = jax.tree.map(lambda g: g * jnp.minimum(1, 1 / size), gradients)
    step = state["step"] + 1
    warm = max(steps // 20, 1)
    falling = 0.5 * (1 + jnp.cos(jnp.pi * jnp.clip((step - warm) / max(steps - warm, 1), 0, 1)))
    now = rate * jnp.where(step <= warm, step / warm, 0.01 + 0.99 * falling)
    mean = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, state["mean"], gradients)
    square = jax.tree.map(lambda s, g: 0.95 * s + 0.05 * g * g, state["square"], gradients)

    def moved(weight, m, s):
        direction = m / (1 - 0.9**step) / (jnp.sqrt(s / (1 - 0.95**step)) + 1e-8)
        return weight - now * (direction + (decay * weight if weight.ndim == 2 else 0))

    weights = jax.tree.map(moved, state["weights"], mean, square)
    return {"weights": weights, "mean": mean, "square": square, "step": step}, loss, size
