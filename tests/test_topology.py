"""The training step compiled for TPUs, on a machine without: by the tool, as a user runs it."""

import importlib.util
import json
import os
import pathlib
import subprocess
import sys

import pytest
from jax.experimental import topologies

from linkjax.config import load_config, run_settings
from linkjax.errors import UserError
from linkjax.model.decoder import padded_vocabulary
from linkjax.model.flops import training_flops
from linkjax.training.program import Program
from linkjax.training.sharding import MeshSettings, make_mesh

ROOT = pathlib.Path(__file__).parent.parent
LIBTPU = bool(os.environ.get("TPU_LIBRARY_PATH") or importlib.util.find_spec("libtpu"))
needs_libtpu = pytest.mark.skipif(not LIBTPU, reason="no libtpu: pip install 'linkjax[tpu]'")
SIZES = ("137m", "350m", "760m", "1b", "3b")

# Fused attention, microbatches, chunks of the loss, tensor parallelism: in a size that compiles in seconds.
SMALL = {
    "config": "configs/link_137m.py", "topology": "v5e:2x2", "config.batch_size": 16, "config.microbatches": 2,
    "config.loss_chunks": 4, "config.sequence_length": 512, "config.virtual_shards": 8,
    "config.tokenizer.vocabulary_size": 4096, "config.model.layers": 3, "config.model.width": 256,
    "config.model.heads": 2, "config.model.kv_heads": 2, "config.model.head_width": 128, "config.model.hidden": 512,
}  # fmt: skip


def compile_topology(**options) -> subprocess.CompletedProcess:
    command = [sys.executable, "tools/compile_topology.py"]
    command += [f"--{name}={value}" for name, value in options.items()]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """(what the tool printed last, the program)"""
    text = tmp_path_factory.mktemp("topology") / "program.txt"
    done = compile_topology(**SMALL, text=text)
    assert done.returncode == 0, done.stderr
    assert "splash" in done.stderr
    return json.loads(done.stdout.splitlines()[-1]), Program.parse(text.read_text())


@needs_libtpu
def test_the_step_compiles_for_a_tpu_and_fits(small):
    printed, program = small
    assert set(printed) == {
        "fits",
        "hbm_bytes_per_chip",
        "hbm_limit",
        "flops_per_chip",
        "collective_bytes",
        "compile_s",
    }
    assert printed["fits"]
    assert 0 < printed["hbm_bytes_per_chip"] < printed["hbm_limit"] == round(15.75 * 2**30)
    assert program.unknown_loops() == 0


@needs_libtpu
def test_operations_are_those_of_the_formulas_and_what_is_computed_again(small):
    """Again: a block's forward pass but for its last product, and the logits."""
    printed, _ = small
    settings = settings_of(SMALL)
    tokens = settings.batch_size * settings.sequence_length / 4
    needed = training_flops(settings.model, settings.tokenizer.vocabulary_size, settings.sequence_length)
    last = 2 * settings.model.layers * settings.model.width * settings.model.hidden
    expected = tokens * (needed.total * 4 / 3 - last)
    assert printed["flops_per_chip"] == pytest.approx(expected, rel=0.02)


@needs_libtpu
def test_no_device_ever_holds_or_sends_all_logits(small):
    _, program = small
    settings = settings_of(SMALL)
    vocabulary = padded_vocabulary(settings.tokenizer.vocabulary_size)
    tokens = settings.rows_at_once * settings.sequence_length // 4
    assert max(array.elements for array in program.arrays()) < tokens * vocabulary
    assert max(one.array.elements for one in program.collectives()) <= vocabulary * settings.model.width


@needs_libtpu
@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"topology": "v5e-16"}, "v5e-16"),
        ({"topology": "v99:4x4"}, "v99:4x4"),
        ({"config.mesh.fsdp": 3}, "'fsdp': 3"),
        ({"config.microbatchs": 2}, "microbatches"),
        ({"config.model.attention": "cudnn"}, "cudnn"),
    ],
    ids=str,
)
def test_what_cannot_be_is_one_sentence(options, named):
    done = compile_topology(**{**SMALL, **options})
    assert done.returncode == 2
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert named in line
    assert "Traceback" not in done.stderr


def test_without_the_compiler_it_says_what_to_install(tmp_path, monkeypatch):
    if importlib.util.find_spec("libtpu"):
        pytest.skip("libtpu is installed")
    monkeypatch.delenv("TPU_LIBRARY_PATH", raising=False)
    done = compile_topology(config="configs/link_1b.py")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "pip install 'linkjax[tpu]'" in done.stderr


@pytest.mark.parametrize("size", SIZES)
def test_the_sizes_have_the_published_settings(size):
    config = load_config(str(ROOT / f"configs/link_{size}.py"))
    settings = run_settings(config)
    assert (settings.batch_size, config.target_rate, settings.sequence_length) == (
        1024,
        0.05,
        2048 if size == "3b" else 1024,
    )
    assert settings.optimizer.learning_rate * settings.optimizer.final_share == pytest.approx(1e-5)
    assert run_settings(load_config(str(ROOT / f"configs/link_{size}.py:cpu"))).model.layers == 2


def settings_of(options):
    config = load_config(str(ROOT / options["config"]))
    with config.unlocked():
        for name, value in options.items():
            if name.startswith("config."):
                config.update_from_flattened_dict({name.removeprefix("config."): value})
    return run_settings(config)


@needs_libtpu
def test_slices_of_tpus_are_the_slice_axis(monkeypatch):
    monkeypatch.setenv("TPU_SKIP_MDS_QUERY", "1")
    devices = topologies.get_topology_desc("v5e:2x2", platform="tpu", num_slices=2).devices
    mesh = make_mesh(MeshSettings(slice=2, data=1, fsdp=0), devices)
    assert mesh.shape["slice"] == 2
    assert mesh.shape["fsdp"] == 4
    assert [{device.slice_index for device in part.flat} for part in mesh.devices] == [{0}, {1}]
    with pytest.raises(UserError, match=r"the TPUs are in 2 slices, and mesh.slice is 1: set it to 2"):
        make_mesh(MeshSettings(), devices)


@needs_libtpu
def test_axes_need_not_follow_the_wires(monkeypatch):
    monkeypatch.setenv("TPU_SKIP_MDS_QUERY", "1")
    devices = topologies.get_topology_desc("v6e:4x4", platform="tpu").devices
    assert make_mesh(MeshSettings(data=2, fsdp=8), devices).devices.shape == (1, 2, 8, 1, 1)


@needs_libtpu
def test_the_smallest_size_fits_sixteen_chips():
    """As it is, with the memory that docs/sizes.md gives."""
    done = compile_topology(config="configs/link_137m.py", topology="v5e:4x4")
    assert done.returncode == 0, done.stderr
    printed = json.loads(done.stdout.splitlines()[-1])
    assert printed["fits"]
    assert printed["hbm_bytes_per_chip"] / 2**30 == pytest.approx(6.9, abs=0.5)
