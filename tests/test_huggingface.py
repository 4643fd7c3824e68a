"""Hugging Face's layout: folders and what is wrong with them, settings, and parameters on any mesh."""

import dataclasses
import json
import pathlib

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
import safetensors.numpy

from linkjax.errors import UserError
from linkjax.huggingface import folder as folders
from linkjax.huggingface import parameters
from linkjax.huggingface.folder import ModelFolder, Tensor, write_folder
from linkjax.huggingface.settings import from_config, to_config
from linkjax.model.decoder import ModelSettings
from linkjax.training.optimizer import OptimizerSettings
from linkjax.training.sharding import MeshSettings, make_mesh
from linkjax.training.step import Trainer

GROUPS = ModelSettings(layers=3, width=32, heads=4, kv_heads=2, head_width=12, hidden=40, rope_base=5e5,
                       norm_epsilon=1e-5, vocabulary=203)  # fmt: skip
UNTIED = ModelSettings(layers=2, width=32, heads=4, kv_heads=4, head_width=8, hidden=48, qk_norm=False,
                       tied_embeddings=False, vocabulary=256)  # fmt: skip
SCALED = dataclasses.replace(UNTIED, rope_factor=8.0, rope_low=1.5, rope_high=3.0, rope_length=16)


def trainer(settings, devices=1, **mesh):
    mesh = make_mesh(MeshSettings(**{"data": 1, **mesh}), jax.devices()[:devices])
    return Trainer(settings, OptimizerSettings(), mesh, settings.vocabulary, 1, 10)


def some_tensors(seed=0):
    random = np.random.default_rng(seed)
    return {
        name: Tensor.of(random.normal(size=shape).astype(dtype))
        for name, shape, dtype in [
            ("b.weight", (7, 3), np.float32),
            ("a.weight", (5,), ml_dtypes.bfloat16),
            ("c.weight", (4, 2, 3), np.float16),
        ]
    }


def contents(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.mark.parametrize("shard_bytes", [1 << 30, 100, 1])
def test_a_folder_is_read_as_it_was_written(tmp_path, shard_bytes):
    tensors = some_tensors()
    for name in ("one", "two"):
        write_folder(tmp_path / name, {"é": 1}, tensors, {"README.md": "ü", "x.bin": b"\0"}, shard_bytes)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    weights = sorted(path.name for path in (tmp_path / "one").glob("*.safetensors"))
    assert len(weights) == {1 << 30: 1, 100: 2, 1: 3}[shard_bytes]
    assert ("model.safetensors" in weights) == (len(weights) == 1)
    opened = ModelFolder.open(tmp_path / "one")
    assert opened.config == {"é": 1}
    assert opened.names == sorted(tensors)
    by_library = {}
    for name in weights:
        by_library |= safetensors.numpy.load_file(tmp_path / "one" / name)
    for name, tensor in tensors.items():
        for found in (opened.read(name), by_library[name], opened.tensor(name).read()):
            assert found.dtype == tensor.dtype == opened.dtype(name)
            np.testing.assert_array_equal(found, tensor.read())
    np.testing.assert_array_equal(
        opened.read("b.weight", (slice(2, 5), slice(1, 3))), tensors["b.weight"].read()[2:5, 1:3]
    )
    np.testing.assert_array_equal(opened.read("c.weight", (slice(1, 2),)), tensors["c.weight"].read()[1:2])


def test_a_folder_is_there_whole_or_not_at_all(tmp_path):
    (tmp_path / "out").mkdir()
    write_folder(tmp_path / "out", {}, some_tensors(), {})  # an empty one may be there
    before = contents(tmp_path / "out")
    with pytest.raises(UserError, match="out exists already"):
        write_folder(tmp_path / "out", {}, some_tensors(1), {})
    assert contents(tmp_path / "out") == before

    def stop():
        raise KeyboardInterrupt

    broken = some_tensors() | {"z": Tensor((1,), np.dtype(np.float32), stop)}
    with pytest.raises(KeyboardInterrupt):
        write_folder(tmp_path / "deep" / "new", {}, broken, {})
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be"):
        write_folder(tmp_path / "file" / "new", {}, some_tensors(), {})


def _cut(path):
    path.write_bytes(path.read_bytes()[:-20])


def _index(change):
    def apply(path):
        index = json.loads(path.read_text())
        change(index)
        path.write_text(json.dumps(index))

    return apply


FIRST = "model-00001-of-00003.safetensors"
DAMAGE = {
    "no config": (folders.CONFIG, pathlib.Path.unlink, "config.json cannot be read"),
    "junk config": (folders.CONFIG, lambda path: path.write_bytes(b"\x00\xff{"), "is not JSON"),
    "config is a list": (folders.CONFIG, lambda path: path.write_text("[]"), "config.json is no JSON object"),
    "missing shard": (FIRST, pathlib.Path.unlink, f"{FIRST} cannot be read as safetensors"),
    "cut off": (FIRST, _cut, f"{FIRST} cannot be read as safetensors"),
    "empty": (FIRST, lambda path: path.write_bytes(b""), f"{FIRST} cannot be read as safetensors"),
    "huge header": (FIRST, lambda path: path.write_bytes(b"\xff" * 64), f"{FIRST} cannot be read as safetensors"),
    "a folder": (FIRST, lambda path: (path.unlink(), path.mkdir()), f"{FIRST} cannot be read as safetensors"),
    "no index": (folders.INDEX, pathlib.Path.unlink, "has neither model.safetensors nor"),
    "index without a map": (folders.INDEX, _index(lambda index: index.pop("weight_map")), "has no 'weight_map'"),
    "index names what is not there": (
        folders.INDEX,
        _index(lambda index: index["weight_map"].update({"more": FIRST})),
        f"says that {FIRST} has 'more', and it has not",
    ),
    "index leads out": (
        folders.INDEX,
        _index(lambda index: index["weight_map"].update({"more": "../other.safetensors"})),
        "which is no name within it",
    ),
    "index of numbers": (
        folders.INDEX,
        _index(lambda index: index["weight_map"].update({"more": 7})),
        "7 cannot be read as safetensors",
    ),
}


@pytest.mark.parametrize("case", DAMAGE)
def test_a_damaged_folder_is_a_sentence(tmp_path, case):
    write_folder(tmp_path / "model", {}, some_tensors(), {}, shard_bytes=1)
    name, damage, says = DAMAGE[case]
    damage(tmp_path / "model" / name)
    with pytest.raises(UserError, match=says):
        ModelFolder.open(tmp_path / "model")


def test_no_folder_and_weights_of_another_kind_are_sentences(tmp_path):
    with pytest.raises(UserError, match="is no folder"):
        ModelFolder.open(tmp_path / "nowhere")
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(UserError, match=r"only pytorch_model\.bin: save the model as safetensors"):
        ModelFolder.open(tmp_path)
    safetensors.numpy.save_file({"a": np.zeros(3, np.int8)}, tmp_path / "model.safetensors")
    opened = ModelFolder.open(tmp_path)
    with pytest.raises(UserError, match="a is stored as I8"):
        opened.read("a")
    with pytest.raises(UserError, match="has no tensor 'b'"):
        opened.read("b")


@pytest.mark.parametrize("settings", [GROUPS, UNTIED, SCALED], ids=["groups", "untied", "scaled"])
def test_settings_come_back(settings):
    config = to_config(settings, settings.vocabulary, 64)
    assert from_config(config, "it") == settings
    of_version_4 = {name: value for name, value in config.items() if name != "rope_parameters"}
    of_version_5 = {name: value for name, value in config.items() if name not in ("rope_theta", "rope_scaling")}
    assert from_config(of_version_4, "it") == from_config(of_version_5, "it") == settings


def test_what_a_config_leaves_out_is_as_its_family_has_it():
    config = {"model_type": "llama", "vocab_size": 100, "hidden_size": 48, "intermediate_size": 96,
              "num_hidden_layers": 2, "num_attention_heads": 6}  # fmt: skip
    expected = ModelSettings(layers=2, width=48, heads=6, kv_heads=6, head_width=8, hidden=96, qk_norm=False,
                             tied_embeddings=False, vocabulary=100)  # fmt: skip
    assert from_config(config, "it") == expected
    found = from_config(config | {"model_type": "qwen3", "num_key_value_heads": 2}, "it")
    assert (found.head_width, found.kv_heads, found.qk_norm) == (128, 2, True)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"model_type": "gpt2"}, "model_type 'gpt2': models of the types llama and qwen3"),
        ({"model_type": ["llama"]}, "model_type"),
        ({"architectures": ["Qwen3ForSequenceClassification"]}, "architectures"),
        ({"attention_bias": True}, "attention_bias True"),
        ({"mlp_bias": True}, "mlp_bias True"),
        ({"hidden_act": "gelu"}, "hidden_act 'gelu'"),
        ({"use_sliding_window": True}, "use_sliding_window True"),
        ({"layer_types": ["sliding_attention"] * 3}, "layer_types"),
        ({"rope_scaling": {"rope_type": "llama3", "factor": 8.0}}, "None as rope_scaling.low_freq_factor"),
        ({"rope_scaling": {"rope_type": "yarn", "factor": 8.0}}, "rope_scaling .*yarn"),
        ({"rope_scaling": {"type": "linear", "factor": 2.0}}, "rope_scaling .*linear"),
        ({"rope_parameters": {"full_attention": {"rope_theta": 1e4}}}, "rope_parameters"),
        ({"rope_parameters": {"rope_theta": 1e4, "partial_rotary_factor": 0.5}}, "rope_parameters"),
        ({"rope_parameters": 3}, "rope_parameters 3"),
        ({"rope_parameters": {"rope_theta": "ten"}}, "'ten' as rope_theta"),
        ({"quantization_config": {"bits": 4}}, "quantization_config"),
        ({"num_experts": 8}, "num_experts 8"),
        ({"hidden_size": None}, "None as hidden_size"),
        ({"hidden_size": True}, "True as hidden_size"),
        ({"num_hidden_layers": 10**9}, "1000000000 as num_hidden_layers"),
        ({"vocab_size": -1}, "-1 as vocab_size"),
        ({"num_key_value_heads": 3}, "kv_heads 3 does not divide"),
        ({"head_dim": 7}, "head_width is 7"),
        ({"head_dim": None, "hidden_size": 33}, "not a multiple of its 4 heads"),
        ({"tie_word_embeddings": "yes"}, "tie_word_embeddings 'yes'"),
        ({"rms_norm_eps": -1.0}, "-1.0 as rms_norm_eps"),
    ],
    ids=str,
)
def test_what_the_decoder_has_not_is_refused_by_name(change, says):
    with pytest.raises(UserError, match=says):
        from_config(to_config(GROUPS, 203, 64) | change, "it")


def test_what_these_layouts_have_not_is_refused():
    with pytest.raises(UserError, match="capped"):
        to_config(ModelSettings(logit_cap=5.0), 100, 64)
    with pytest.raises(UserError, match="not a multiple"):
        to_config(ModelSettings(width=66, qk_norm=False), 100, 64)


@pytest.fixture(scope="module", params=[GROUPS, UNTIED], ids=["groups", "untied"])
def written(request, tmp_path_factory):
    """(settings, parameters, the folder they were written to in three files)."""
    settings = request.param
    random = np.random.default_rng(0)
    abstract = trainer(settings).abstract["params"]
    params = jax.tree.map(lambda leaf: jnp.asarray(random.normal(size=leaf.shape).astype(leaf.dtype)), abstract)
    tensors = parameters.to_tensors(params, settings, settings.vocabulary, np.dtype(np.float32))
    out = tmp_path_factory.mktemp("written") / "model"
    write_folder(out, to_config(settings, settings.vocabulary, 64), tensors, {}, shard_bytes=40_000)
    return settings, params, out


@pytest.mark.parametrize(
    ("devices", "mesh"),
    [(1, {}), (8, {"data": 2, "fsdp": 2, "tensor": 2}), (8, {"fsdp": 8}), (8, {"slice": 2, "sequence": 4})],
    ids=str,
)
def test_parameters_come_back_on_any_mesh(written, devices, mesh):
    settings, params, out = written
    opened = ModelFolder.open(out)
    assert from_config(opened.config, "it") == settings
    abstract = trainer(settings, devices, **mesh).abstract["params"]
    found = parameters.from_folder(opened, settings, abstract)
    for path, leaf in jax.tree_util.tree_leaves_with_path(found):
        name = "/".join(key.key for key in path)
        expected = np.array(params["blocks"][name[7:]] if name.startswith("blocks/") else params[name])
        if name.endswith("VxD"):
            expected[settings.vocabulary :] = 0
        np.testing.assert_array_equal(leaf, expected, err_msg=name)
    assert jax.tree.map(lambda leaf: leaf.sharding, found) == jax.tree.map(lambda leaf: leaf.sharding, abstract)
    again = parameters.to_tensors(found, settings, settings.vocabulary, np.dtype(np.float32))
    write_folder(out.parent / f"again{mesh}", opened.config, again, {}, shard_bytes=40_000)
    assert contents(out.parent / f"again{mesh}") == contents(out)


def test_a_device_reads_only_its_part(written, monkeypatch):
    settings, _, out = written
    most = 0

    def read(self, name, part=(), real=ModelFolder.read):
        nonlocal most
        found = real(self, name, part)
        if "layers" in name:
            most = max(most, found.size)
        return found

    monkeypatch.setattr(ModelFolder, "read", read)
    abstract = trainer(settings, 8, fsdp=4, tensor=2).abstract["params"]
    parameters.from_folder(ModelFolder.open(out), settings, abstract)
    largest = settings.width * max(settings.heads * settings.head_width, settings.hidden)
    assert most == largest // 8


def changed(written, tmp_path, change):
    """The folder with other tensors."""
    _, _, out = written
    opened = ModelFolder.open(out)
    tensors = {name: opened.tensor(name) for name in opened.names}
    change(tensors)
    write_folder(tmp_path / "changed", opened.config, tensors, {})
    return ModelFolder.open(tmp_path / "changed")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda t: t.update({"model.norm.weight": Tensor.of(np.ones(31, np.float32))}), r"\[31\], and .* \[32\]"),
        (lambda t: t.pop("model.layers.1.mlp.up_proj.weight"), "has no tensor 'model.layers.1.mlp.up_proj.weight'"),
        (
            lambda t: t.update({"model.layers.0.self_attn.q_proj.bias": Tensor.of(np.ones(4, np.float32))}),
            r"1 tensors that a model .* has not, model\.layers\.0\.self_attn\.q_proj\.bias",
        ),
        (
            lambda t: t.update({"model.norm.weight": Tensor.of(np.full(32, np.inf, np.float32))}),
            "model.norm.weight has a weight that is not finite",
        ),
    ],
    ids=["shape", "missing", "bias", "infinite"],
)
def test_other_tensors_are_refused_by_name(written, tmp_path, change, says):
    opened = changed(written, tmp_path, change)
    with pytest.raises(UserError, match=says):
        parameters.from_folder(opened, written[0], trainer(written[0]).abstract["params"])


def test_what_old_models_have_beside_is_no_matter(written, tmp_path):
    def more(tensors):
        tensors["model.layers.0.self_attn.rotary_emb.inv_freq"] = Tensor.of(np.ones(4, np.float32))
        tensors.setdefault("lm_head.weight", Tensor.of(np.ones((3, 3), np.float32)))

    opened = changed(written, tmp_path, more)
    parameters.from_folder(opened, written[0], trainer(written[0]).abstract["params"])
