"""Writes text with a checkpoint's model.

    python -m linkjax.generate --checkpoint=runs/toy --prompt='Anna keeps' --temperature=0
    python -m linkjax.generate --checkpoint=runs/swahili --prompts=prompts.txt --top_p=0.9 --tokens=100

One prompt is written as it comes; several, a line of a file each, are written together and printed at the end.
"""

import functools
import pathlib
import sys
from collections.abc import Callable, Sequence

import jax
import numpy as np
from tqdm import tqdm

from linkjax import config as configs
from linkjax.errors import UserError
from linkjax.files import open_text
from linkjax.model.sampling import Sampling, draw
from linkjax.training.load import Loaded, load
from linkjax.training.processes import check_alone
from linkjax.training.sharding import row_parts

_PROMPT_MULTIPLE = 32  # prompts are read in rows of such lengths, so that few programs are compiled
_MOST_PROMPTS = 4096


def generate(
    model: Loaded,
    prompts: Sequence[str | list[int]],
    sampling: Sampling,
    tokens: int,
    seed: int = 0,
    on_step: Callable[[list[list[int]]], None] = lambda written: None,
    stop: Callable[[int, list[int]], bool] = lambda prompt, written: False,
) -> list[list[int]]:
    """Continues each prompt until its document ends, `tokens` are written or the model's row is full.

    What a prompt becomes depends on its place among the prompts, and on nothing of the others.

    Args:
      prompts: texts, or their pieces.
      on_step: gets the pieces written so far, by prompt, after every step.
      stop: whether the prompt of this place, with these pieces, is done before its document ends.

    Returns the pieces written, by prompt, without the document's end.

    Raises:
      UserError: a prompt fills the model's row.
    """
    tokenizer = model.tokenizer
    encoded = [tokenizer.encode(prompt) if isinstance(prompt, str) else prompt for prompt in prompts]
    given = [[tokenizer.start, *ids] for ids in encoded]
    places = model.settings.sequence_length
    if (longest := max(map(len, given))) > places:
        raise UserError(f"a prompt has {longest - 1} tokens, the model's rows have {places}: shorten it.")
    several = row_parts(model.trainer.mesh)
    rows = -(-len(given) // several) * several
    given += [[tokenizer.start]] * (rows - len(given))
    lengths_B = np.array([len(ids) for ids in given], np.int32)
    width = min(-(-longest // _PROMPT_MULTIPLE) * _PROMPT_MULTIPLE, places)
    tokens_BxL = np.array([ids + [tokenizer.pad] * (width - len(ids)) for ids in given], np.int32)
    positions_BxL = np.tile(np.arange(width, dtype=np.int32), (rows, 1))
    # What stands behind a shorter prompt takes places in the cache that nothing sees before they are taken again.
    cache = model.trainer.empty_cache(rows, places)
    logits_BxV, cache = model.trainer.extend(model.params, tokens_BxL, positions_BxL, lengths_B - 1, cache)
    next_piece = jax.jit(functools.partial(_draw, sampling=sampling))
    written: list[list[int]] = [[] for _ in prompts]
    ended = [False] * len(prompts)
    for _ in range(tokens):
        pieces_B = np.asarray(next_piece(logits_BxV, seed, lengths_B))
        for row, piece in enumerate(pieces_B[: len(prompts)].tolist()):
            ended[row] = ended[row] or piece == tokenizer.eos or lengths_B[row] > places
            if not ended[row]:
                written[row].append(piece)
                ended[row] = stop(row, written[row])
        on_step(written)
        if all(ended):
            break
        # A row that is full goes on in its last place, for nobody.
        places_Bx1 = np.minimum(lengths_B, places - 1)[:, None]
        lengths_B = lengths_B + 1
        logits_BxV, cache = model.trainer.extend(
            model.params, pieces_B[:, None].astype(np.int32), places_Bx1, np.zeros(rows, np.int32), cache
        )
    return written


def _draw(logits_BxV: jax.Array, seed: int, lengths_B: jax.Array, sampling: Sampling) -> jax.Array:
    """A piece for each row, by a key of the row's own: neither the number of rows nor their lengths matter."""

    def of_row(row: jax.Array, length: jax.Array, logits_V: jax.Array) -> jax.Array:
        key = jax.random.fold_in(jax.random.fold_in(jax.random.key(seed), row), length)
        return draw(logits_V[None], key, sampling)[0]

    rows_B = jax.numpy.arange(len(logits_BxV))
    return jax.vmap(of_row)(rows_B, lengths_B, logits_BxV)


class _Typewriter:
    """Prints the text of one prompt as it grows; the half of a letter waits for the other."""

    def __init__(self, model: Loaded, prompt: str):
        self._tokenizer, self._given, self._shown = model.tokenizer, model.tokenizer.encode(prompt), 0

    def __call__(self, written: list[list[int]]) -> None:
        text = self._tokenizer.decode(self._given + written[0])
        self._show(text[: len(text.rstrip("\ufffd"))])

    def end(self, written: list[list[int]]) -> None:
        self._show(self._tokenizer.decode(self._given + written[0]))
        print()

    def _show(self, text: str) -> None:
        print(text[self._shown :], end="", flush=True)
        self._shown = max(self._shown, len(text))


def run(
    checkpoint: str, prompt: str, prompts: str, temperature: str, top_k: str, top_p: str, tokens: str, seed: str
) -> None:
    if not checkpoint:
        raise UserError("--checkpoint is missing: name a run's folder, RUN or RUN@STEP.")
    if prompt and prompts:
        raise UserError("--prompt and --prompts are both given: choose one.")
    try:
        sampling = Sampling(float(temperature), int(top_k), float(top_p))
        most, seed_number = int(tokens), int(seed)
    except ValueError as error:
        raise UserError(f"--temperature, --top_k, --top_p, --tokens and --seed are numbers: {error}.") from error
    if most < 0 or not 0 <= seed_number < 2**31:
        raise UserError("--tokens and --seed are 0 or more, the seed below 2^31.")
    texts = _lines(pathlib.Path(prompts)) if prompts else [prompt]
    check_alone("linkjax.generate")
    model = load(checkpoint)
    if not prompts:
        typewriter = _Typewriter(model, prompt)
        typewriter.end(generate(model, texts, sampling, most, seed_number, typewriter))
        return
    with tqdm(total=most, unit="token", disable=not sys.stderr.isatty()) as bar:
        written = generate(model, texts, sampling, most, seed_number, lambda _: bar.update(1))
    for text, pieces in zip(texts, written, strict=True):
        print(model.tokenizer.decode(model.tokenizer.encode(text) + pieces))


def _lines(path: pathlib.Path) -> list[str]:
    with open_text(path) as file:
        lines = [line.rstrip("\r\n") for line, _ in zip(file, range(_MOST_PROMPTS + 1), strict=False)]
    if not lines or len(lines) > _MOST_PROMPTS:
        raise UserError(f"{path} has {'no' if not lines else 'too many'} prompts: 1 to {_MOST_PROMPTS}, a line each.")
    return lines


if __name__ == "__main__":
    options = {
        "checkpoint": ("", "a run's folder, RUN for its newest checkpoint or RUN@STEP"),
        "prompt": ("", "how the text begins; empty = the model begins it"),
        "prompts": ("", "a file of prompts, one a line, to be gone on with together"),
        "temperature": ("1.0", "logits are divided by it; 0 = the most likely piece each time"),
        "top_k": ("0", "draw from so many of the most likely pieces; 0 = all"),
        "top_p": ("1.0", "draw from the most likely pieces that have this probability together; 1 = all"),
        "tokens": ("64", "pieces to write, at most"),
        "seed": ("0", "seed of the draws"),
    }
    configs.main_without_config(run, __doc__, options, sys.argv)
