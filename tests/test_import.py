"""Training from models of transformers: what they say is what is said here, on any mesh, and it goes on from there."""

import dataclasses
import json

import jax
import numpy as np
import pytest

from linkjax import config as configs
from linkjax import initial
from linkjax.config import RunSettings, load_config, run_settings
from linkjax.data.tokenizer import load_tokenizer, train_tokenizer
from linkjax.errors import UserError
from linkjax.export import export
from linkjax.huggingface import parameters
from linkjax.huggingface.folder import ModelFolder, read_config, write_folder
from linkjax.huggingface.settings import from_config, to_config
from linkjax.model.decoder import ModelSettings
from linkjax.prepare import prepare
from linkjax.train import train
from linkjax.training.freezing import frozen_names, over, without
from linkjax.training.load import load
from linkjax.training.optimizer import OptimizerSettings
from linkjax.training.sharding import MeshSettings, make_mesh
from linkjax.training.step import Trainer
from tests.conftest import ROOT
from tests.test_export import model_of

LENGTH, ROWS = 24, 8
SHAPE = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
         "max_position_embeddings": 64}  # fmt: skip
# family, settings, dtype, bytes of a file
MODELS = {
    "llama": ("Llama", {"vocab_size": 203, "num_key_value_heads": 2}, "float32", "5GB"),
    "tied llama": (
        "Llama",
        {"vocab_size": 300, "tie_word_embeddings": True,
         "rope_parameters": {"rope_type": "llama3", "rope_theta": 1e4, "factor": 8.0, "low_freq_factor": 1.0,
                             "high_freq_factor": 4.0, "original_max_position_embeddings": 16}},
        "float16", "5GB",
    ),
    "qwen3": ("Qwen3", {"vocab_size": 259, "num_key_value_heads": 2, "head_dim": 12, "rms_norm_eps": 1e-5},
              "bfloat16", "20KB"),
    "tied qwen3": ("Qwen3", {"vocab_size": 128, "num_key_value_heads": 4, "head_dim": 8, "tie_word_embeddings": True},
                   "float32", "20KB"),
}  # fmt: skip


def trainer_of(settings, devices=1, optimizer=OptimizerSettings(learning_rate=1e-2, warmup_share=0.0), **mesh):
    mesh = make_mesh(MeshSettings(**{"data": 1, **mesh}), jax.devices()[:devices])
    return Trainer(settings, optimizer, mesh, settings.vocabulary, 1, 20)


def some_rows(vocabulary, seed=0):
    tokens_BxL = np.random.default_rng(seed).integers(2, vocabulary, (ROWS, LENGTH)).astype(np.int32)
    positions_BxL = np.tile(np.arange(LENGTH, dtype=np.int32), (ROWS, 1))
    return {
        "tokens_BxL": tokens_BxL, "targets_BxL": np.roll(tokens_BxL, -1, 1), "segments_BxL": np.ones_like(tokens_BxL),
        "loss_weights_BxL": np.ones((ROWS, LENGTH), np.float32), "positions_BxL": positions_BxL,
        "swapped_BxL": np.zeros((ROWS, LENGTH), np.uint8), "component_B": np.zeros(ROWS, np.int32),
    }  # fmt: skip


@pytest.fixture(scope="module", params=MODELS)
def foreign(request, tmp_path_factory):
    """(the folder of a model of transformers, what it says of some rows)."""
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    family, settings, dtype, shard = MODELS[request.param]
    torch.manual_seed(0)
    config = getattr(transformers, f"{family}Config")(**SHAPE, **settings, initializer_range=0.2)
    model = getattr(transformers, f"{family}ForCausalLM")(config).to(getattr(torch, dtype)).eval()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "norm" in name:
                weight.add_(0.3 * torch.randn_like(weight))
    folder = tmp_path_factory.mktemp("foreign") / "model"
    model.save_pretrained(folder, max_shard_size=shard)
    rows = some_rows(settings["vocab_size"])
    # Loaded again: `model` has its rotary frequencies in its own precision.
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    with torch.no_grad():
        logits = model(torch.tensor(rows["tokens_BxL"]).long()).logits.numpy()
    return folder, rows, logits


@pytest.mark.parametrize(("devices", "mesh"), [(1, {}), (8, {"data": 2, "fsdp": 2, "tensor": 2})], ids=str)
def test_a_foreign_model_says_the_same_and_learns(foreign, devices, mesh):
    folder, rows, logits = foreign
    settings = from_config(read_config(folder), "it")
    trainer = trainer_of(settings, devices, **mesh)
    state = initial.begin(RunSettings(init_from=str(folder), model=settings), trainer)
    placed = trainer.place(rows)
    found = np.asarray(trainer.logits(state["params"], placed))
    assert found.shape[-1] == settings.vocabulary and np.std(logits) > 0.3
    assert np.abs(found - logits).max() < 1e-4
    print(f"largest difference of logits {np.abs(found - logits).max():.1e}")
    if settings.tied_embeddings or settings.qk_norm or devices > 1:
        return  # one of the eight is enough to learn; on all devices a run does, below
    losses = []
    for _ in range(4):
        state, metrics = trainer.update(state, placed)
        losses.append(float(metrics["loss"]))
    found = jax.nn.log_softmax(logits)
    expected = -np.take_along_axis(np.asarray(found), rows["targets_BxL"][..., None], -1).mean()
    assert losses[0] == pytest.approx(float(expected), abs=1e-4)
    assert losses[-1] < losses[0] - 0.1


def test_a_foreign_model_goes_out_as_it_came_in(foreign, tmp_path):
    folder, _, _ = foreign
    opened = ModelFolder.open(folder)
    settings = from_config(opened.config, "it")
    params = parameters.from_folder(opened, settings, trainer_of(settings).abstract["params"])
    kind = opened.dtype(opened.names[0])
    tensors = parameters.to_tensors(params, settings, settings.vocabulary, kind)
    write_folder(tmp_path / "out", to_config(settings, settings.vocabulary, 64), tensors, {})
    again = ModelFolder.open(tmp_path / "out")
    assert again.names == [name for name in opened.names if name != "lm_head.weight" or not settings.tied_embeddings]
    for name in again.names:
        np.testing.assert_array_equal(again.read(name), opened.read(name), err_msg=name)
        assert again.dtype(name) == kind
    for field in ("vocab_size", "head_dim", "num_key_value_heads", "tie_word_embeddings", "rms_norm_eps"):
        assert again.config[field] == opened.config[field], field
    assert again.config["rope_parameters"]["rope_theta"] == settings.rope_base


TINY = ModelSettings(layers=2, width=16, heads=2, kv_heads=1, head_width=8, hidden=24, vocabulary=130)
NAMES = [
    "blocks/down_FxD", "blocks/gate_DxF", "blocks/key_DxGxK", "blocks/norm_attention_D", "blocks/norm_hidden_D",
    "blocks/norm_key_K", "blocks/norm_query_K", "blocks/out_HxKxD", "blocks/query_DxHxK", "blocks/up_DxF",
    "blocks/value_DxGxK", "embedding_VxD", "norm_D",
]  # fmt: skip


def named(tree):
    return {
        "/".join(key.key for key in path): np.asarray(leaf) for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
    }


@pytest.mark.parametrize(("kind", "freeze"), [("adamw", "^blocks/"), ("muon", "embedding|_norm|query|norm_D")])
def test_what_is_frozen_takes_no_memory(kind, freeze):
    """That it stays as it is, a run shows below."""
    optimizer = OptimizerSettings(kind=kind, freeze=freeze, average_decay=0.5)
    trainer, free = (trainer_of(TINY, optimizer=dataclasses.replace(optimizer, freeze=some)) for some in (freeze, ""))
    sizes = {
        "/".join(key.key for key in path): leaf.size
        for path, leaf in jax.tree_util.tree_leaves_with_path(trainer.abstract["params"])
    }
    frozen = frozen_names(freeze, sizes)
    assert 0 < len(frozen) < len(sizes)

    def held(trainer):
        return sum(leaf.size for leaf in jax.tree.leaves(trainer.abstract["optimizer"]) if leaf.ndim)

    matrices = kind == "muon" and sum(sizes[name] for name in frozen if name == "blocks/query_DxHxK")
    less = 2 * sum(sizes[name] for name in frozen) - matrices  # muon has one moment of a matrix, AdamW two
    assert held(free) - held(trainer) == less
    # Nor are their gradients made: each matrix product of the forward pass has one for its weight, if it is trained.
    products = [of.lower(ROWS, LENGTH).as_text().count("dot_general") for of in (trainer, free)]
    assert products[0] < products[1]


def test_patterns_are_found_in_names():
    assert sorted(named(trainer_of(TINY).abstract["params"])) == NAMES
    assert frozen_names("", NAMES) == frozenset()
    assert frozen_names("blocks/(gate|up)", NAMES) == {"blocks/gate_DxF", "blocks/up_DxF"}
    assert frozen_names("^(?!embedding)", NAMES) == set(NAMES) - {"embedding_VxD"}
    with pytest.raises(UserError, match="'head' is found in none of the parameters' names: choose some of blocks/down"):
        frozen_names("head", NAMES)
    with pytest.raises(UserError, match=r"'\.' is found in all"):
        frozen_names(".", NAMES)
    with pytest.raises(UserError, match=r"'\(' is no regular expression"):
        OptimizerSettings(freeze="(")
    with pytest.raises(UserError, match="found in none"):
        trainer_of(TINY, optimizer=OptimizerSettings(freeze="head")).initialise(0)


def test_trees_are_parted_and_put_together():
    tree = {"a": 1, "blocks": {"b": 2, "c": 3}}
    assert without(tree, ()) == tree
    assert without(tree, {"blocks/b"}) == {"a": 1, "blocks": {"c": 3}}
    assert without(tree, {"blocks/b", "blocks/c"}) == {"a": 1}
    assert over(tree, {"blocks": {"c": 4}}) == {"a": 1, "blocks": {"b": 2, "c": 4}}
    assert over(tree, without(tree, {"a"})) == tree


@pytest.fixture
def folder(tmp_path):
    """A model's config alone."""
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text(json.dumps(to_config(TINY, TINY.vocabulary, 64)))
    return tmp_path / "model"


def base(**changes):
    config = load_config(str(ROOT / "configs/base.py")).copy_and_resolve_references()
    with config.unlocked():
        config.update(changes)
    return config.lock()


def test_a_run_takes_the_models_shape_and_tokenizer(folder, tmp_path):
    config = initial.with_model(base(init_from=str(folder)))
    settings = run_settings(config)
    assert settings.model == TINY
    assert settings.tokenizer.path == str(folder / "tokenizer.json")
    assert initial.with_model(config) == config
    named_one = base(init_from=str(folder), tokenizer={"path": "mine.model"})
    assert initial.with_model(named_one).tokenizer.path == "mine.model"
    assert initial.with_model(base()) == base()

    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.json").write_text(configs.to_json(config))
    (folder / "config.json").unlink()  # once begun, a run does not need it
    assert initial.with_model(base(init_from=str(folder)), tmp_path / "run") == config
    with pytest.raises(UserError, match=r"config\.json cannot be read"):
        initial.with_model(base(init_from=str(folder)), tmp_path / "other")
    with pytest.raises(UserError, match="nowhere is no folder"):
        initial.with_model(base(init_from=str(tmp_path / "nowhere")))


def test_what_is_named_and_contradicts_the_model_is_refused(folder):
    argv = ["train", f"--config.init_from={folder}", "--config.model.layers=7", "--config.model.dtype=bfloat16"]
    named_ones = configs.named(argv)
    assert named_ones == {"init_from", "model.layers", "model.dtype"}
    config = base(init_from=str(folder), model={"layers": 7, "dtype": "bfloat16"})
    with pytest.raises(UserError, match=r"--config.model.layers=7 contradicts .*model, where it is 2: leave it out"):
        initial.with_model(config, None, named_ones)
    taken = initial.with_model(config, None, named_ones - {"model.layers"})
    assert (taken.model.layers, taken.model.dtype) == (2, "bfloat16")
    right = base(init_from=str(folder), model={"layers": 2})
    assert initial.with_model(right, None, {"model.layers"}).model.layers == 2


def test_a_tokenizer_of_more_pieces_than_the_model_is_refused():
    with pytest.raises(UserError, match=r"model\.vocabulary is 130, and the tokenizer has 131 pieces"):
        Trainer.of(RunSettings(model=TINY), make_mesh(MeshSettings(), jax.devices()[:1]), 131, 1)
    assert Trainer.of(RunSettings(model=TINY), make_mesh(MeshSettings(), jax.devices()[:1]), 99, 1).vocabulary == 130


def test_a_run_goes_on_from_an_exported_model(tmp_path):
    """Trained on, stopped, gone on with without the model, and exported."""
    lines = ["The friend of Anna keeps the cake, and Ben likes old houses."] * 20
    model = model_of(tmp_path / "first", train_tokenizer(lines, 300, "bpe"), layers=1, tied_embeddings=False)
    export(model, tmp_path / "model")
    config = load_config(f"{ROOT / 'configs/base.py'}:cpu").copy_and_resolve_references()
    changes = {"init_from": str(tmp_path / "model"), "data": str(tmp_path / "data"), "steps": 2, "eval_every": 2}
    with config.unlocked():
        config.update({**changes, "optimizer": {"freeze": "embedding_VxD|^output", "average_decay": 0.9}})
    prepare(initial.with_model(config), tmp_path / "data")
    assert load_tokenizer(tmp_path / "data").description == (tmp_path / "model" / "tokenizer.json").read_bytes()
    train(config, tmp_path / "run")
    recorded = json.loads((tmp_path / "run" / "config.json").read_text())
    assert (recorded["model"]["layers"], recorded["model"]["width"]) == (1, 32)
    assert recorded["init_from"] == str(tmp_path / "model")

    trained = load(str(tmp_path / "run"))
    for name, found in named(trained.params).items():
        before = named(model.params)[name]
        rows = len(model.tokenizer) if name.endswith("VxD") else None  # the padding is not written
        assert np.array_equal(before[:rows], found[:rows]) == name.endswith("VxD"), name
    (tmp_path / "model").rename(tmp_path / "gone")
    summary = (tmp_path / "run" / "summary.json").read_text()
    (tmp_path / "run" / "summary.json").unlink()
    train(config, tmp_path / "run")  # the checkpoint is what counts now
    assert (tmp_path / "run" / "summary.json").read_text() == summary

    export(trained, tmp_path / "out")
    names = {path.name for path in (tmp_path / "out").iterdir()} - {"README.md", "model.safetensors"}
    for name in names - {"config.json", "tokenizer_config.json"}:
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "gone" / name).read_bytes(), name
    card = (tmp_path / "out" / "README.md").read_text()
    for part in ["It began from the weights of `model`", "- \"qaa\"", "| toy_world_english | en |", "bits per byte en",
                 "fact_accuracy target_heldout", "English words swapped", "moving average", "TO FILL IN", "| qaa |",
                 json.loads(summary)["lexicon_sha256"]["qaa"]]:  # fmt: skip
        assert part in card, part
    assert str(tmp_path) not in card
