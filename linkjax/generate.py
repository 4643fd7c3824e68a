"""Samples text from a checkpoint.

python -m linkjax.generate --checkpoint=runs/toy --prompt='Anna keeps' --temperature=0
"""

import sys

import jax
import jax.numpy as jnp
import numpy as np

from linkjax import config as configs
from linkjax.data.tokenizer import EOS, PAD
from linkjax.errors import UserError
from linkjax.training.load import Loaded, load


def generate(model: Loaded, prompt: str, temperature: float, tokens: int, seed: int) -> str:
    """Continues `prompt` until the document ends, `tokens` are written or the row is full.

    `temperature` 0 takes the most likely token. Each step reads the whole row again.
    """
    length = model.settings.sequence_length
    rows = model.trainer.mesh.devices.size  # one row a device: the least that every mesh can split
    given = model.tokenizer.encode(prompt)
    if len(given) >= length:
        raise UserError(f"the prompt has {len(given)} tokens, the model's rows have {length}: shorten it.")
    ids = np.full((rows, length), PAD, np.int32)
    ids[:, 1 : len(given) + 1] = given
    written: list[int] = []
    key = jax.random.key(seed)
    for place in range(len(given), min(len(given) + tokens, length)):
        batch = model.trainer.place(
            {
                "tokens_BxL": ids,
                "segments_BxL": np.ones_like(ids),
                "positions_BxL": np.broadcast_to(np.arange(length, dtype=np.int32), ids.shape),
            }
        )
        logits_V = model.trainer.logits(model.params, batch)[0, place]
        if temperature == 0:
            token = int(jnp.argmax(logits_V))
        else:
            token = int(jax.random.categorical(jax.random.fold_in(key, place), logits_V / temperature))
        if token == EOS:
            break
        written.append(token)
        if place + 1 < length:
            ids[:, place + 1] = token
    return model.tokenizer.decode(given + written)


def run(checkpoint: str, prompt: str, temperature: str, tokens: str, seed: str) -> None:
    if not checkpoint:
        raise UserError("--checkpoint is missing: name a run's folder, RUN or RUN@STEP.")
    try:
        numbers = float(temperature), int(tokens), int(seed)
    except ValueError as error:
        raise UserError(f"--temperature, --tokens and --seed are numbers: {error}.") from error
    if min(numbers) < 0:
        raise UserError("--temperature, --tokens and --seed are 0 or more.")
    print(generate(load(checkpoint), prompt, *numbers))


if __name__ == "__main__":
    options = {
        "checkpoint": ("", "a run's folder, RUN for its newest checkpoint or RUN@STEP"),
        "prompt": ("", "how the text begins; empty = the model begins it"),
        "temperature": ("1.0", "0 = the most likely token each time"),
        "tokens": ("64", "tokens to write, at most"),
        "seed": ("0", "seed of the sampling"),
    }
    configs.main_without_config(run, __doc__, options, sys.argv)
