import json
import shutil

import jax
import numpy as np
import pytest

from linkjax.errors import UserError
from linkjax.model.decoder import ModelSettings
from linkjax.training.checkpoints import Checkpoints, ToSave
from linkjax.training.manifest import MANIFEST
from linkjax.training.optimizer import OptimizerSettings
from linkjax.training.sharding import MeshSettings, make_mesh
from linkjax.training.step import Trainer

DATA = {"shards": {"0": '{"tokens": [1, 2]}', "1": "x"}}
RUN = {"config": {"steps": 3, "evaluations": ["a"]}, "linkjax": "0.1.0"}


def make(devices=1, optimizer=OptimizerSettings(), **mesh):
    mesh = make_mesh(MeshSettings(**mesh), jax.devices()[:devices])
    model = ModelSettings(layers=2, width=16, heads=2, kv_heads=2, head_width=8, hidden=32)
    return Trainer(model, optimizer, mesh, 100, 2, 10)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Checkpoints of steps 1 and 2, and the states in them."""
    folder = tmp_path_factory.mktemp("run")
    (folder / "tokenizer.model").write_bytes(b"pieces")
    states = {}
    for step in (1, 2):
        state = make().initialise(step)
        state["step"] = state["step"] + step
        what = ToSave(state, {**DATA, "step": step}, RUN, folder / "tokenizer.model")
        Checkpoints(folder / "checkpoints").save_now(what)
        states[step] = jax.device_get(state)
    return folder, states


@pytest.fixture
def saved(written, tmp_path):
    folder, states = written
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    return Checkpoints(tmp_path / "checkpoints"), states


def equal(left, right):
    jax.tree.map(np.testing.assert_array_equal, left, jax.device_get(right))


def test_restores_what_was_saved(saved):
    checkpoints, states = saved
    restored = checkpoints.restore_newest(make().abstract)
    assert restored.step == 2
    equal(states[2], restored.state)
    assert jax.tree.structure(states[2]) == jax.tree.structure(restored.state)
    assert restored.data == {**DATA, "step": 2}
    assert restored.run == RUN
    assert checkpoints.read_run(1) == RUN
    assert (checkpoints.folder / "2" / "tokenizer.model").read_bytes() == b"pieces"


def test_restores_on_another_mesh(saved):
    checkpoints, states = saved
    restored = checkpoints.restore_newest(make(8, fsdp=4, tensor=2, data=1).abstract)
    equal(states[2], restored.state)
    assert len(restored.weights["blocks"]["gate_DxF"].sharding.device_set) == 8


def test_weights_alone(saved):
    checkpoints, states = saved
    restored = checkpoints.restore(1, make().abstract, weights_only=True)
    equal(states[1]["params"], restored.weights)
    assert restored.state is None


def test_keeps_the_newest(saved, tmp_path):
    checkpoints, _ = saved
    state = make().initialise(0)
    state["step"] = state["step"] + 3
    checkpoints.save_now(ToSave(state, DATA, RUN, tmp_path / "tokenizer.model"))
    assert checkpoints.steps() == [2, 3]


def files_of(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_any_damage_to_any_file_is_found_and_the_one_before_is_used(saved, capsys):
    """Each file of the newest checkpoint in turn, flipped, cut or gone."""
    checkpoints, states = saved
    newest = checkpoints.folder / "2"
    names = files_of(newest)
    assert len(names) > 10
    for index, name in enumerate(names):
        path = newest / name
        whole = path.read_bytes()
        if name != MANIFEST and not whole:
            continue
        if index % 3 == 0:
            path.unlink()
        elif index % 3 == 1:
            path.write_bytes(whole[: len(whole) // 2])
        else:
            path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
        if name == MANIFEST and index % 3 == 2:
            path.write_bytes(b"{" + whole)
        assert checkpoints.fault(2), name
        path.write_bytes(whole)
        assert checkpoints.fault(2) is None
    (newest / names[0]).unlink()
    restored = checkpoints.restore_newest(make().abstract)
    equal(states[1], restored.state)
    assert names[0] in capsys.readouterr().err
    assert checkpoints.steps() == [1]
    assert len(list(checkpoints.folder.glob("2.broken-*"))) == 1


def test_a_checkpoint_without_its_manifest_is_never_used(saved):
    checkpoints, states = saved
    (checkpoints.folder / "2" / MANIFEST).unlink()
    equal(states[1], checkpoints.restore_newest(make().abstract).state)


def test_where_none_is_whole_the_run_stops_and_changes_nothing(saved):
    checkpoints, _ = saved
    for step in (1, 2):
        (checkpoints.folder / str(step) / MANIFEST).unlink()
    before = files_of(checkpoints.folder)
    for _ in range(2):
        with pytest.raises(UserError, match="none of the 2 checkpoints"):
            checkpoints.restore_newest(make().abstract)
    assert files_of(checkpoints.folder) == before


def test_set_aside_checkpoints_count_as_checkpoints(saved):
    """After one broken checkpoint was renamed and the other is lost too, a run must not start over."""
    checkpoints, _ = saved
    for step in (2, 1):
        (checkpoints.folder / str(step)).rename(checkpoints.folder / f"{step}.broken-20260101-000000")
    with pytest.raises(UserError, match="none of the 2 checkpoints"):
        checkpoints.restore_newest(make().abstract)


def test_saving_goes_on_beside_a_set_aside_checkpoint(saved, tmp_path):
    checkpoints, _ = saved
    (checkpoints.folder / "2" / MANIFEST).unlink()
    checkpoints.restore_newest(make().abstract)
    state = make().initialise(0)
    state["step"] = state["step"] + 2
    checkpoints.save_now(ToSave(state, DATA, RUN, tmp_path / "tokenizer.model"))
    assert checkpoints.restore_newest(make().abstract).step == 2


def test_no_checkpoints_is_no_error_and_unknown_steps_are(tmp_path, saved):
    assert Checkpoints(tmp_path / "empty").restore_newest(make().abstract) is None
    with pytest.raises(UserError, match=r"no checkpoint of step 9 .*\[1, 2\]"):
        saved[0].restore(9, make().abstract)


def test_manifest_lists_every_file(saved):
    checkpoints, _ = saved
    folder = checkpoints.folder / "2"
    listed = json.loads((folder / MANIFEST).read_text())["files"]
    assert sorted([*listed, MANIFEST]) == files_of(folder)


def test_averaged_weights_are_kept_and_are_the_ones_to_use(tmp_path):
    (tmp_path / "tokenizer.model").write_bytes(b"pieces")
    one = make(optimizer=OptimizerSettings(average_decay=0.5))
    state = one.initialise(0)
    state["average"] = jax.tree.map(lambda leaf: leaf + 1, state["average"])
    checkpoints = Checkpoints(tmp_path / "checkpoints")
    checkpoints.save_now(ToSave(state, DATA, RUN, tmp_path / "tokenizer.model"))
    restored = checkpoints.restore_newest(one.abstract)
    equal(jax.device_get(state), restored.state)
    equal(jax.device_get(state["average"]), restored.weights)
    equal(jax.device_get(state["average"]), checkpoints.restore(0, one.abstract, weights_only=True).weights)
