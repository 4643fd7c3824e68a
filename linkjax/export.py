"""Writes a checkpoint's model for Hugging Face: a folder that transformers and others load.

    python -m linkjax.export --checkpoint=runs/swahili --out=swahili-base
    python -m linkjax.export --checkpoint=runs/swahili@2000 --out=swahili-base --dtype=bfloat16

With QK-norm it is a Qwen3 there, without a Llama. README.md in the folder is a model card to be completed. The weights
are the moving average, where the run has one (optimizer.average_decay). The same checkpoint gives the same bytes.
`linkjax.train --config.init_from=FOLDER` goes on from such a folder (docs/models.md).
"""

import pathlib
import sys
from collections.abc import Iterable

import jax
import numpy as np
from tqdm import tqdm

from linkjax import config as configs
from linkjax.data.tokenizer import tokenizer_file
from linkjax.errors import UserError
from linkjax.files import parse_json
from linkjax.huggingface import parameters, tokenizer
from linkjax.huggingface.card import card
from linkjax.huggingface.folder import DTYPES, json_text, write_folder
from linkjax.huggingface.settings import to_config
from linkjax.model.decoder import padded_vocabulary
from linkjax.training.load import Loaded, load

_DTYPES = {"float32": DTYPES["F32"], "bfloat16": DTYPES["BF16"]}


def export(
    model: Loaded, out: pathlib.Path, dtype: str = "float32", padded: bool = False, length: int = 0, shard_gb: float = 5
) -> None:
    """Writes a model's folder.

    Args:
      out: must not be there, or be empty.
      dtype: of the weights as written.
      padded: write the rows that pad the vocabulary as well.
      length: tokens of a row that the folder says the model is for; 0 = those it was trained on.
      shard_gb: 10^9 bytes of a file of weights, at most.

    Raises:
      UserError: `out` is in use, or the layout has no field for what the model does.
    """
    settings, length = model.settings, length or model.settings.sequence_length
    vocabulary = padded_vocabulary(model.trainer.vocabulary) if padded else model.trainer.vocabulary
    config = to_config(settings.model, vocabulary, length, dtype)
    described, start, eos = _tokenizer(model)
    ids = {"bos_token_id": start, "eos_token_id": eos, "pad_token_id": eos}
    names = [None if number is None else model.tokenizer.piece(number) for number in (start, eos)]
    of_tokenizer = tokenizer.to_config(*names, tokenizer.unknown(parse_json(described, "tokenizer.json")), length)
    files = {
        "generation_config.json": json_text({name: number for name, number in ids.items() if number is not None}),
        tokenizer.TOKENIZER: described,
        tokenizer.TOKENIZER_CONFIG: json_text(of_tokenizer),
        "README.md": card(model, out.absolute().name),
    }
    tensors = parameters.to_tensors(model.params, settings.model, vocabulary, _DTYPES[dtype])

    def progress(names: Iterable[str]) -> Iterable[str]:
        return tqdm(names, "writing", len(tensors), unit="tensor", disable=not sys.stderr.isatty())

    write_folder(out, config | ids, tensors, files, int(shard_gb * 1e9), progress)


def _tokenizer(model: Loaded) -> tuple[bytes, int | None, int]:
    """tokenizer.json, the id that it puts before every text, if one, and that of a text's end."""
    file = tokenizer_file(model.run / "checkpoints" / str(model.step))
    described, eos = file.read_bytes(), model.tokenizer.eos
    start = None if model.tokenizer.start == eos else model.tokenizer.start
    if file.suffix != ".json":
        described = json_text(tokenizer.to_json(described)).encode()
    name = None if start is None else model.tokenizer.piece(start)
    return tokenizer.beginning_with(described, start, name), start, eos


def run(checkpoint: str, out: str, dtype: str, padded: str, length: str, shard_gb: str) -> None:
    for name, value in (("checkpoint", checkpoint), ("out", out)):
        if not value:
            raise UserError(f"--{name} is missing: --checkpoint=RUN or RUN@STEP, --out=the folder to write.")
    if dtype not in _DTYPES:
        raise UserError(f"--dtype is '{dtype}': choose {' or '.join(_DTYPES)}.")
    if padded not in ("yes", "no"):
        raise UserError(f"--padded is '{padded}': choose yes or no.")
    if not length.isdecimal() or int(length) >= 2**31:
        raise UserError(f"--length is '{length}': choose 0 (that of the training) or more.")
    try:
        most = float(shard_gb)
    except ValueError:
        most = 0.0
    if not 0 < most < float("inf"):
        raise UserError(f"--shard_gb is '{shard_gb}': choose a number above 0.")
    if jax.process_count() > 1:
        raise UserError("a model is exported by one process: start it without --processes.")
    folder = pathlib.Path(out)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"--out={out} is there already: remove it or choose another one.")
    model = load(checkpoint)
    export(model, folder, dtype, padded == "yes", int(length), most)
    size = sum(np.prod(shape) for shape in parameters.shapes(model.settings.model, model.trainer.vocabulary).values())
    print(f"{size:,} weights of step {model.step} in {folder}: complete the card in {folder / 'README.md'}")


if __name__ == "__main__":
    options = {
        "checkpoint": ("", "a run's folder, RUN for its newest checkpoint or RUN@STEP"),
        "out": ("", "folder to write; must not be there, or be empty"),
        "dtype": ("float32", "of the weights as written: float32, or bfloat16 (half the size, rounded)"),
        "padded": ("no", "yes: write the rows that pad the vocabulary to a multiple of 128 as well"),
        "length": ("0", "max_position_embeddings, tokens that a text may have; 0 = a row of the training"),
        "shard_gb": ("5", "gigabytes of a file of weights at most; more are written as several, with an index"),
    }
    configs.main_without_config(run, __doc__, options, sys.argv)
