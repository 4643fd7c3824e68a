"""How long a training step takes, against the same step written out by hand (`plain_decoder.py`).

    python tools/bench_step.py --config=configs/base.py
    python tools/bench_step.py --config=configs/base.py --config.model.layers=12 --config.model.width=256 ...

On the devices there are (the yardstick on one of them), with rows of random tokens in documents of 20 to 200. Both
take turns; compared are medians after a warm-up. The last line is JSON; mfu is null where a device's peak is unknown.

On a GPU, with rows of a prepared folder and beside a PyTorch decoder of the same shape in the same session:

    python tools/bench_step.py --config=configs/link_1b.py --config.batch_size=16 --config.microbatches=1 \\
        --config.virtual_shards=16 --data=prepared/swahili --alone=yes --torch=yes
"""

import contextlib
import functools
import json
import pathlib
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
from tqdm import tqdm

from linkjax import config as configs
from linkjax.data.pipeline import Stream, StreamSettings
from linkjax.data.prepared import Prepared
from linkjax.errors import UserError
from linkjax.model.decoder import padded_vocabulary
from linkjax.training.sharding import make_mesh
from linkjax.training.speed import Speed, peak_memory
from linkjax.training.step import Trainer

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import plain_decoder

_WARM_UP = 3


def random_rows(batch: int, length: int, vocabulary: int, most_segments: int) -> dict[str, np.ndarray]:
    """Full rows of several documents."""
    rng = np.random.default_rng(0)
    tokens = rng.integers(3, vocabulary, (batch, length), dtype=np.int32)
    segments, positions = np.zeros((2, batch, length), np.int32)
    for row in range(batch):
        starts = np.cumsum(rng.integers(20, 200, length))
        starts = starts[starts < length][: (most_segments or length) - 1]
        segments[row] = 1 + np.searchsorted(starts, np.arange(length), side="right")
        positions[row] = np.arange(length) - np.append(0, starts)[segments[row] - 1]
    return {
        "tokens_BxL": tokens,
        "targets_BxL": np.roll(tokens, -1, axis=1),
        "loss_weights_BxL": np.ones((batch, length), np.float32),
        "segments_BxL": segments,
        "positions_BxL": positions,
        "swapped_BxL": np.zeros((batch, length), np.uint8),
        "component_B": np.zeros(batch, np.int32),
    }


def rows_of(folder: pathlib.Path, run: configs.RunSettings) -> tuple[dict[str, np.ndarray], int]:
    """The first batch of a prepared folder, and its tokenizer's size."""
    prepared = Prepared(folder)
    with contextlib.closing(Stream(prepared, StreamSettings.of(run))) as stream:
        return next(stream), len(prepared.tokenizer)


def torch_step(run: configs.RunSettings, vocabulary: int, rounds: int) -> dict[str, float]:
    """A PyTorch decoder's, in a process of its own, before this one takes the device."""
    model = run.model
    shape = {name: getattr(model, name) for name in ("layers", "width", "heads", "head_width", "hidden")}
    shape |= {"vocabulary": padded_vocabulary(vocabulary), "batch": run.rows_at_once, "length": run.sequence_length}
    command = [
        sys.executable,
        pathlib.Path(__file__).with_name("torch_decoder.py"),
        json.dumps(shape | {"rounds": rounds}),
    ]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=False)
    if done.returncode:
        raise UserError("the PyTorch decoder failed (see above): is PyTorch installed, and does the batch fit?")
    return json.loads(done.stdout.splitlines()[-1])


def ours(run: configs.RunSettings, vocabulary: int, rows: dict[str, np.ndarray]) -> Callable[[], None]:
    trainer = Trainer.of(run, make_mesh(run.mesh), vocabulary, 1)
    state, placed = trainer.initialise(0), trainer.place(rows)

    def step() -> None:
        nonlocal state
        state, metrics = trainer.update(state, placed)
        jax.block_until_ready(metrics)

    return step


def yardstick(run: configs.RunSettings, vocabulary: int, rows: dict[str, np.ndarray]) -> Callable[[], None]:
    model = run.model
    sizes = (model.layers, model.width, model.heads, model.head_width, model.hidden, padded_vocabulary(vocabulary))
    state = plain_decoder.initialise(jax.random.key(0), *sizes)
    placed = {name: jnp.array(values) for name, values in rows.items()}
    update = functools.partial(plain_decoder.update, heads=model.heads, dtype=jnp.dtype(model.dtype), steps=run.steps)

    def step() -> None:
        nonlocal state
        state, *metrics = update(state, placed)
        jax.block_until_ready(metrics)

    return step


def bench(config: ml_collections.ConfigDict, rounds: str, data: str, alone: str, torch: str) -> None:
    if not rounds.isdigit() or not int(rounds):
        raise UserError(f"--rounds={rounds}: choose a number of 1 or more.")
    run = configs.run_settings(config)
    if run.model.kv_heads != run.model.heads or not (run.model.qk_norm and run.model.tied_embeddings):
        alone = "yes"  # the yardstick has one shape of block
    vocabulary = run.tokenizer.vocabulary_size
    if data:
        rows, vocabulary = rows_of(pathlib.Path(data), run)
    else:
        rows = random_rows(run.batch_size, run.sequence_length, vocabulary, run.most_segments)
    theirs = torch_step(run, vocabulary, int(rounds))["step_ms"] * run.microbatches if torch else 0.0
    sides = {"step_ms": ours(run, vocabulary, rows)}
    if not alone:
        sides["yardstick_ms"] = yardstick(run, vocabulary, rows)
    times: dict[str, list[float]] = {name: [] for name in sides}
    for turn in tqdm(range(_WARM_UP + int(rounds)), desc="rounds", disable=not sys.stderr.isatty(), leave=False):
        for name, step in sides.items():
            begun = time.perf_counter()
            step()
            if turn >= _WARM_UP:
                times[name].append(1e3 * (time.perf_counter() - begun))
    result: dict[str, float | None] = dict.fromkeys(("step_ms", "yardstick_ms", "ratio"))
    result |= {name: statistics.median(values) for name, values in times.items()}
    if not alone:
        result["ratio"] = result["step_ms"] / result["yardstick_ms"]
    tokens = int(np.count_nonzero(rows["segments_BxL"]))
    result["tokens_per_s"] = tokens / result["step_ms"] * 1e3
    speed = Speed(run.model, vocabulary, run.sequence_length, jax.devices())
    result["mfu"] = speed.utilisation(result["tokens_per_s"])
    result["peak_memory_gib"] = peak_memory()
    if torch:
        result["torch_ms"] = theirs
        result["torch_mfu"] = speed.utilisation(rows["tokens_BxL"].size / theirs * 1e3)
    print(f"{jax.device_count()} x {jax.devices()[0].device_kind}, JAX {jax.__version__}, {speed.said}")
    print(json.dumps({name: value and round(value, 4) for name, value in result.items()}))


if __name__ == "__main__":
    options = {
        "rounds": ("30", "measured steps of each"),
        "data": ("", "prepared folder to take a batch from; empty = random tokens"),
        "alone": ("", "anything: without the yardstick"),
        "torch": ("", "anything: a PyTorch decoder beside it"),
    }
    with contextlib.suppress(KeyboardInterrupt):
        configs.main(bench, __doc__, options, sys.argv)
