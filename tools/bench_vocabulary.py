"""How well methods start the rows of a new vocabulary: loss at once, and after some steps of continued training.

    python tools/bench_vocabulary.py --english='en/*.txt' --target=sw/train.txt --heldout=sw/heldout.txt \\
        --lexicon=en-sw.tsv --language=sw --out=runs/vocabulary [--methods=...] [--seeds=3] [--steps=200]

For each seed a source model is trained on the English text and a smaller one on the target text, each with a tokenizer
of its own language. The source model then gets the target model's tokenizer by `linkjax.vocabulary replace`, once with
each method, and is trained on the target text, in the same order. Bits per byte are of the held-out text; the tokenizer
is the same for all, so that they compare as losses do. A seed is that of the models, of random rows and of word
vectors. In OUT stand the models' folders, which a second run does not make again, and result.json.
"""

import functools
import json
import pathlib
import statistics
import sys
import time
from collections.abc import Iterator, Sequence

import jax
import numpy as np

from linkjax import __version__
from linkjax import config as configs
from linkjax.data.tokenizer import EOS, PAD, UNK, Tokenizer, train_tokenizer
from linkjax.errors import UserError
from linkjax.huggingface import parameters
from linkjax.huggingface.folder import DTYPES, ModelFolder, json_text, write_folder
from linkjax.huggingface.settings import from_config, to_config
from linkjax.huggingface.tokenizer import to_config as tokenizer_config
from linkjax.huggingface.tokenizer import to_json
from linkjax.model.decoder import ModelSettings
from linkjax.training.optimizer import OptimizerSettings
from linkjax.training.sharding import MeshSettings, make_mesh
from linkjax.training.step import Trainer
from linkjax.vocabulary.__main__ import run as change_vocabulary
from linkjax.vocabulary.aids import METHODS
from linkjax.vocabulary.arguments import build_parser
from linkjax.vocabulary.texts import Text

_LENGTH, _ROWS = 64, 16
_HELDOUT_ROWS = 256
_PEAK, _PEAK_AFTER = 3e-3, 1e-3  # learning rates of training from scratch, and of what goes on


def shape(width: int) -> ModelSettings:
    heads = max(width // 16, 1)
    return ModelSettings(layers=3, width=width, heads=heads, kv_heads=heads, head_width=16, hidden=3 * width)


@functools.cache  # so that each shape is compiled once
def make_trainer(model: ModelSettings, vocabulary: int, steps: int, peak: float) -> Trainer:
    mesh = make_mesh(MeshSettings(), jax.devices()[:1])
    return Trainer(model, OptimizerSettings(learning_rate=peak), mesh, vocabulary, 1, steps)


def stream(tokenizer: Tokenizer, lines: Sequence[str]) -> np.ndarray:
    """Tokens of documents one after the other, each with its start and its end."""
    return np.concatenate([[PAD, *tokenizer.encode(line), EOS] for line in lines])


def rows(tokens: np.ndarray, starts: Sequence[int]) -> dict[str, np.ndarray]:
    tokens_BxL = np.stack([tokens[start : start + _LENGTH] for start in starts]).astype(np.int32)
    targets_BxL = np.stack([tokens[start + 1 : start + 1 + _LENGTH] for start in starts]).astype(np.int32)
    return {
        "tokens_BxL": tokens_BxL,
        "targets_BxL": targets_BxL,
        "loss_weights_BxL": (targets_BxL != PAD).astype(np.float32),  # a start is no news
        "segments_BxL": np.ones_like(tokens_BxL),
        "positions_BxL": np.broadcast_to(np.arange(_LENGTH, dtype=np.int32), tokens_BxL.shape).copy(),
        "swapped_BxL": np.zeros(tokens_BxL.shape, np.uint8),
        "component_B": np.zeros(len(tokens_BxL), np.int32),
    }


def batches(tokens: np.ndarray, steps: int, seed: int) -> Iterator[dict[str, np.ndarray]]:
    rng = np.random.default_rng(seed)
    for _ in range(steps):
        yield rows(tokens, rng.integers(0, len(tokens) - _LENGTH, _ROWS))


def bits_per_byte(trainer: Trainer, params, tokenizer: Tokenizer, tokens: np.ndarray) -> float:
    """Of the first rows of held-out text, without overlap."""
    starts = [row * _LENGTH for row in range(min(_HELDOUT_ROWS, (len(tokens) - 1) // _LENGTH))]
    nats = size = 0
    for first in range(0, len(starts) - _ROWS + 1, _ROWS):
        batch = rows(tokens, starts[first : first + _ROWS])
        losses_BxL, _ = jax.device_get(trainer.score(params, trainer.place(batch)))
        nats += float((losses_BxL * batch["loss_weights_BxL"]).sum())
        pieces = [tokenizer.piece(int(token)) for token in batch["targets_BxL"].ravel() if token not in (PAD, EOS)]
        size += sum(1 if piece.startswith("<0x") else len(piece.replace("▁", " ").encode()) for piece in pieces)
    return float(nats / np.log(2) / size)


def trained_folder(
    folder: pathlib.Path, model: ModelSettings, tokenizer_model: bytes, lines: Sequence[str], steps: int, seed: int
) -> pathlib.Path:
    """A model trained on lines from scratch, in Hugging Face's layout."""
    if folder.exists():
        return folder
    tokenizer = Tokenizer(tokenizer_model)
    trainer = make_trainer(model, len(tokenizer), steps, _PEAK)
    state = trainer.initialise(seed)
    for batch in batches(stream(tokenizer, lines), steps, seed):
        state, metrics = trainer.update(state, trainer.place(batch))
    print(f"{folder}: loss {float(metrics['loss']):.3f} nats a token in the end", file=sys.stderr)
    files = {
        "tokenizer.json": json_text(to_json(tokenizer_model)),
        "tokenizer_config.json": json_text(tokenizer_config(*map(tokenizer.piece, (PAD, EOS, UNK)), _LENGTH)),
    }
    config = to_config(model, len(tokenizer), _LENGTH) | {"bos_token_id": PAD, "eos_token_id": EOS, "pad_token_id": EOS}
    tensors = parameters.to_tensors(jax.device_get(state["params"]), model, len(tokenizer), DTYPES["F32"])
    write_folder(folder, config, tensors, files)
    return folder


def continued(
    folder: pathlib.Path, tokenizer: Tokenizer, tokens: np.ndarray, heldout: np.ndarray, steps: int, seed: int
) -> list[float]:
    """Bits per byte at once, after a quarter of the steps and after all."""
    opened = ModelFolder.open(folder)
    settings = from_config(opened.config, str(folder))
    trainer = make_trainer(settings, len(tokenizer), steps, _PEAK_AFTER)
    state = trainer.initialise(seed)
    state["params"] = parameters.from_folder(opened, settings, trainer.abstract["params"])
    found = [bits_per_byte(trainer, state["params"], tokenizer, heldout)]
    for step, batch in enumerate(batches(tokens, steps, seed), start=1):
        state, _ = trainer.update(state, trainer.place(batch))
        if step in (steps // 4, steps):
            found.append(bits_per_byte(trainer, state["params"], tokenizer, heldout))
    return found


def table(results: dict[str, list[list[float]]], steps: int) -> str:
    """Means over the seeds and, in brackets, the least and the greatest."""
    lines = [f"| method | at once | after {steps // 4} steps | after {steps} steps |", "|---|---|---|---|"]
    for method, runs in results.items():
        cells = [
            f"{statistics.mean(column):.3f} ({min(column):.3f}-{max(column):.3f})" for column in zip(*runs, strict=True)
        ]
        lines.append(f"| {method} | {' | '.join(cells)} |")
    return "\n".join(lines)


def run(**options: str) -> None:
    numbers = {}
    for name in ("seeds", "steps", "source_steps", "target_steps", "vocabulary_size", "width"):
        if not options[name].isdecimal() or not int(options[name]):
            raise UserError(f"--{name} is '{options[name]}': give a number from 1 on.")
        numbers[name] = int(options[name])
    methods = options["methods"].split(",")
    if unknown := set(methods) - METHODS.keys():
        raise UserError(f"--methods has {', '.join(sorted(unknown))}: choose of {', '.join(METHODS)}.")
    out = pathlib.Path(options["out"])
    out.mkdir(parents=True, exist_ok=True)
    english, target, heldout = ([*Text(options[name]).lines] for name in ("english", "target", "heldout"))
    size, width, steps = numbers["vocabulary_size"], numbers["width"], numbers["steps"]
    started = time.perf_counter()
    english_model, target_model = (train_tokenizer(lines, size, "unigram") for lines in (english, target))
    tokenizer = Tokenizer(target_model)
    tokens, heldout_tokens = stream(tokenizer, target), stream(tokenizer, heldout)
    results: dict[str, list[list[float]]] = {method: [] for method in methods}
    reports = {}
    for seed in range(numbers["seeds"]):
        source = trained_folder(
            out / f"source-{seed}", shape(width), english_model, english, numbers["source_steps"], seed
        )
        helper = trained_folder(
            out / f"target-{seed}", shape(width // 2), target_model, target, numbers["target_steps"], seed
        )
        for method in methods:
            folder = out / f"{method}-{seed}"
            flags = [f"--target_text={options['target']}", f"--seed={seed}"]
            if method == "wechsel":
                flags.append(f"--english_text={options['english']}")
            if options["lexicon"]:
                flags += [f"--lexicon={options['lexicon']}", f"--language={options['language']}"]
            flags += [f"--model={source}", f"--tokenizer={helper}", f"--target_model={helper}", f"--out={folder}"]
            if not folder.exists():
                reports[method] = change_vocabulary(
                    build_parser().parse_args(["replace", f"--method={method}", *flags])
                )["rows"]["input"]
            results[method].append(continued(folder, tokenizer, tokens, heldout_tokens, steps, seed))
            print(method, seed, [round(value, 3) for value in results[method][-1]], file=sys.stderr)
    summary = {
        "bits_per_byte": results,
        "points": [0, steps // 4, steps],
        "rows": reports,
        "options": options,
        "seconds": round(time.perf_counter() - started),
        "versions": {"linkjax": __version__, "jax": jax.__version__, "python": sys.version.split()[0]},
    }
    (out / "result.json").write_text(json_text(summary), encoding="utf-8")
    print(table(results, steps))
    print(json.dumps({"seconds": summary["seconds"], "versions": summary["versions"]}))


if __name__ == "__main__":
    options = {
        "english": ("", "English text files, which the source model is trained on"),
        "target": ("", "target-language text files"),
        "heldout": ("", "target-language text files that bits per byte are of"),
        "lexicon": ("", "word list, for wechsel and translation"),
        "language": ("", "code of its translations"),
        "out": ("runs/vocabulary", "folder for the models and result.json"),
        "methods": ("salt,focus,mean,random", f"of {', '.join(METHODS)}"),
        "seeds": ("3", "how many"),
        "steps": ("120", "of continued training"),
        "source_steps": ("600", "of training the source model"),
        "target_steps": ("300", "of training the target-language model"),
        "vocabulary_size": ("3000", "pieces of each tokenizer"),
        "width": ("64", "of the source model, a multiple of 32; the target-language model has half"),
    }
    configs.main_without_config(run, __doc__, options, sys.argv)
