"""The readers of what LinkJAX wrote itself, on this machine or a stranger's: configs, prepared folders, runs."""

import contextlib
import hashlib
import json
import os
import pathlib
import random

ROOT = pathlib.Path(__file__).parent.parent
_CONFIG = str(ROOT / "configs/base.py:cpu")


def readers(kind: type) -> dict:
    """By name."""
    return {
        "config": kind(_make_config, _read_config),
        "metrics": kind(_make_metrics, _read_metrics),
        "tokenizer": kind(_make_tokenizer, _read_tokenizer),
        "documents": kind(_make_documents, _read_documents),
        "prepared": kind(_make_prepared, _read_prepared, after=_hash_again),
        "model": kind(_make_model, _read_model),
        "checkpoint": kind(_make_checkpoint, _read_checkpoint, _is_of_checkpoint, _hash_checkpoint_again),
    }


def _make_config(folder: pathlib.Path) -> None:
    from linkjax import config as configs

    (folder / "config.json").write_text(configs.to_json(configs.load_config(_CONFIG)))


def _read_config(folder: pathlib.Path, draw: random.Random) -> None:
    """As `prepare` and `train` do before they import a task module."""
    from linkjax import config as configs
    from tasks.world import WorldSettings

    path = str(folder / "config.json")
    config = configs.load_config(path)
    configs.check_code(config, path, [])
    configs.run_settings(config)
    configs.section(config.get("world"), WorldSettings)
    configs.decisive_for_data(config)
    configs.differences(configs.load_config(_CONFIG), config)
    configs.from_text(configs.to_json(config))


def _make_metrics(folder: pathlib.Path) -> None:
    lines = (json.dumps({"step": step, "loss": 1.5, "loss/en": None, "tokens": 7}) for step in range(1, 50))
    (folder / "metrics.jsonl").write_text("\n".join(lines) + "\n")


def _read_metrics(folder: pathlib.Path, draw: random.Random) -> None:
    from linkjax.training.metrics import MetricsLog, mean_of_last, read_metrics

    mean_of_last(read_metrics(folder), "loss", 5)
    with contextlib.closing(MetricsLog(folder, 20)) as log:
        log.write(21, {"loss": float("nan")})


def _make_tokenizer(folder: pathlib.Path) -> None:
    from linkjax.data.tokenizer import train_tokenizer

    text = [f"the old man of day {day} sees house number {day * 7}\n" for day in range(300)]
    (folder / "tokenizer.model").write_bytes(train_tokenizer(text, 400, "unigram"))


def _read_tokenizer(folder: pathlib.Path, draw: random.Random) -> None:
    from linkjax.data.tokenizer import Tokenizer

    tokenizer = Tokenizer.load(folder / "tokenizer.model")
    ids = tokenizer.encode("the old man sees \u72ac\u3044 7 houses")
    tokenizer.decode(ids)
    tokenizer.encode_with_spans("the old man", [])


def _make_documents(folder: pathlib.Path) -> None:
    from linkjax.data.documents import Document, write_documents

    texts = (Document(number, f"Document {number}. " + "word " * (number % 50)) for number in range(300))
    (folder / "counts.json").write_text(json.dumps(write_documents(texts, folder, "a")))


def _read_documents(folder: pathlib.Path, draw: random.Random) -> None:
    from linkjax.data.documents import Documents

    Documents._MEMORY_BYTES = draw.choice((0, 1 << 26))
    for document in Documents({folder / "a-00000.arrayrecord": 300}):
        document.text.encode()


def _make_prepared(folder: pathlib.Path) -> None:
    import shutil

    from linkjax import config as configs
    from linkjax.prepare import prepare

    config = configs.load_config(_CONFIG)
    prepare(config, folder / "prepared")
    for path in (folder / "prepared").iterdir():
        path.rename(folder / path.name)
    shutil.rmtree(folder / "prepared")


def _hash_again(folder: pathlib.Path, draw: random.Random) -> None:
    """What a stranger can do as well: the hashes fit."""
    if draw.random() < 0.8:
        _rewrite_hashes(folder, folder / "manifest.json")


def _rewrite_hashes(folder: pathlib.Path, manifest: pathlib.Path) -> None:
    try:
        said = json.loads(manifest.read_text())
        for name in said["files"]:
            raw = (folder / name).read_bytes()
            said["files"][name] = {"bytes": len(raw), "sha256": hashlib.sha256(raw).hexdigest()}
        manifest.write_text(json.dumps(said))
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        pass


def _read_prepared(folder: pathlib.Path, draw: random.Random) -> None:
    """All that training and evaluating read of it."""
    from linkjax.data.documents import Documents
    from linkjax.data.pipeline import StreamSettings, enough_documents, make_encoders, pass_limits, shard_rows
    from linkjax.data.prepared import Prepared
    from linkjax.evaluation.suite import Suite
    from linkjax.substitution import LinkSettings

    Documents._MEMORY_BYTES = draw.choice((0, 1 << 26))
    prepared = Prepared(folder)
    scramble = draw.random() < 0.3
    settings = StreamSettings(8, 64, 8, 0, LinkSettings(scramble=scramble), 20)
    pass_limits(prepared, settings)
    documents = [enough_documents(prepared, component, settings) for component in prepared.components]
    encoders = make_encoders(prepared, settings.link)
    rows = iter(shard_rows(prepared, settings, documents, encoders, 0))
    for _ in range(20):
        next(rows)
    Suite(prepared, 128, 8)
    json.dumps([prepared.yardsticks(), prepared.fingerprint, prepared.lexicon_hashes])


def _make_model(folder: pathlib.Path) -> None:
    """In Hugging Face's layout, in several files."""
    import numpy as np

    from linkjax.huggingface.folder import Tensor, write_folder
    from linkjax.huggingface.parameters import shapes
    from linkjax.huggingface.settings import to_config
    from linkjax.model.decoder import ModelSettings

    settings = ModelSettings(layers=1, width=16, heads=2, kv_heads=1, head_width=8, hidden=16, vocabulary=130)
    ones = {name: Tensor.of(np.ones(shape, np.float32)) for name, shape in shapes(settings, 130).items()}
    write_folder(folder / "model", to_config(settings, 130, 64), ones, {}, shard_bytes=8000)


def _read_model(folder: pathlib.Path, draw: random.Random) -> None:
    """As training does that begins from it."""
    os.environ["JAX_PLATFORMS"] = "cpu"
    import jax

    from linkjax.huggingface.folder import ModelFolder
    from linkjax.huggingface.parameters import from_folder
    from linkjax.huggingface.settings import from_config
    from linkjax.training.optimizer import OptimizerSettings
    from linkjax.training.sharding import MeshSettings, make_mesh
    from linkjax.training.step import Trainer

    opened = ModelFolder.open(folder / "model")
    settings = from_config(opened.config, str(folder))
    mesh = make_mesh(MeshSettings(), jax.devices()[:1])
    trainer = Trainer(settings, OptimizerSettings(), mesh, settings.vocabulary, 1, 10)
    from_folder(opened, settings, trainer.abstract["params"])


def _make_checkpoint(folder: pathlib.Path) -> None:
    os.environ["JAX_PLATFORMS"] = "cpu"
    from linkjax import config as configs
    from linkjax.train import train

    config = configs.load_config(_CONFIG)
    with config.unlocked():
        config.steps = 2
        config.model.width, config.model.layers, config.model.hidden = 16, 1, 16
        config.tokenizer.vocabulary_size = 400
    train(config, folder)


def _is_of_checkpoint(path: pathlib.Path) -> bool:
    return "checkpoints" in path.parts


def _hash_checkpoint_again(folder: pathlib.Path, draw: random.Random) -> None:
    for manifest in (folder / "checkpoints").glob("*/linkjax_manifest.json"):
        if draw.random() < 0.8:
            _rewrite_hashes(manifest.parent, manifest)


def _read_checkpoint(folder: pathlib.Path, draw: random.Random) -> None:
    """As evaluating reads it, or as training does that goes on."""
    os.environ["JAX_PLATFORMS"] = "cpu"
    from linkjax import config as configs
    from linkjax.data.pipeline import Stream, StreamSettings, counters
    from linkjax.data.prepared import Prepared
    from linkjax.training.checkpoints import Checkpoints
    from linkjax.training.entries import check_data, check_run
    from linkjax.training.load import load
    from linkjax.training.sharding import make_mesh
    from linkjax.training.step import Trainer

    if draw.random() < 0.5:
        load(str(folder)).tokenizer.encode("Anna keeps")
        return
    settings = configs.run_settings(configs.load_config(str(folder / "config.json")))
    prepared = Prepared(folder / "data")
    trainer = Trainer.of(settings, make_mesh(settings.mesh), len(prepared.tokenizer), len(prepared.components))
    restored = Checkpoints(folder / "checkpoints").restore_newest(trainer.abstract)
    check_run(restored.run, str(folder))
    states = {int(shard): where for shard, where in check_data(restored.data, str(folder))["shards"].items()}
    with contextlib.closing(Stream(prepared, StreamSettings.of(settings), states=states)) as stream:
        next(stream)
        counters(stream.states, prepared.components)
