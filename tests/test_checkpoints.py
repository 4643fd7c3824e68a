import dataclasses
import errno
import json
import os
import shutil
import time

import jax
import numpy as np
import pytest

from linkjax.errors import UserError
from linkjax.model.decoder import ModelSettings
from linkjax.training.checkpoints import Checkpoints, ToSave
from linkjax.training.keeping import Keep
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


DAMAGE = {
    "gone": lambda path, whole: path.unlink(),
    "cut": lambda path, whole: path.write_bytes(whole[: len(whole) // 2]),
    "flipped": lambda path, whole: path.write_bytes(
        whole[: len(whole) // 3] + bytes([whole[len(whole) // 3] ^ 4]) + whole[len(whole) // 3 + 1 :]
    ),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_from_any_damaged_checkpoint_the_one_before_is_restored_or_the_file_is_named(saved, damage, capsys):
    """Each file of the newest in turn: never wrong weights, never a start from nothing, never a stack trace."""
    checkpoints, states = saved
    newest, abstract = checkpoints.folder / "2", make().abstract
    for name in files_of(newest):
        whole = (newest / name).read_bytes()
        if damage != "gone" and not whole:
            continue
        shutil.copytree(newest, copy := newest.with_name("copy"))
        DAMAGE[damage](newest / name, whole)
        restored = checkpoints.restore_newest(abstract)
        if restored.step == 2:  # the manifest has spaces, in which a flip may change nothing
            assert name == MANIFEST
            equal(states[2], restored.state)
        else:
            equal(states[1], restored.state)
            named = "" if name == MANIFEST else f"{name} is"  # a hash that is flipped there names its file
            assert f"checkpoint 2 is broken ({named}" in capsys.readouterr().err
            [aside] = checkpoints.folder.glob("2.broken-*")
            shutil.rmtree(aside)
        shutil.rmtree(newest, ignore_errors=True)
        copy.rename(newest)


def test_weights_that_are_missing_or_of_another_shape_are_named(saved):
    checkpoints, _ = saved
    trainer = make()
    other = dataclasses.replace(trainer, model=dataclasses.replace(trainer.model, hidden=48, tied_embeddings=False))
    with pytest.raises(UserError) as error:
        checkpoints.restore_newest(other.abstract)
    assert "checkpoint 2 in" in str(error.value)
    assert "missing: params/" in str(error.value)
    assert "params/blocks/down_FxD is float32[2, 32, 16] there and float32[2, 48, 16] here" in str(error.value)
    averaging = dataclasses.replace(trainer, optimizer=OptimizerSettings(average_decay=0.5))
    with pytest.raises(UserError, match="missing: average/"):
        checkpoints.restore(2, averaging.abstract)
    assert checkpoints.steps() == [1, 2]


def rows_of(seed):
    random = np.random.default_rng(seed)
    tokens_BxL, targets_BxL = random.integers(2, 100, (2, 16, 32), np.int32)
    return {
        "tokens_BxL": tokens_BxL, "targets_BxL": targets_BxL, "loss_weights_BxL": np.ones((16, 32), np.float32),
        "segments_BxL": np.ones((16, 32), np.int32), "positions_BxL": np.tile(np.arange(32, dtype=np.int32), (16, 1)),
        "swapped_BxL": np.zeros((16, 32), np.uint8), "component_B": np.zeros(16, np.int32),
    }  # fmt: skip


def steps_from(trainer, state, first, last):
    losses = []
    for step in range(first, last):
        state, metrics = trainer.update(state, trainer.place(rows_of(step)))
        losses.append(float(metrics["loss"]))
    return state, losses


def test_saved_on_eight_devices_it_goes_on_on_other_meshes_and_on_fewer(tmp_path):
    """The losses that follow are those of the run that was not interrupted."""
    (tmp_path / "tokenizer.model").write_bytes(b"pieces")
    first = make(8, data=2, fsdp=2, tensor=2)
    state, _ = steps_from(first, first.initialise(0), 0, 3)
    checkpoints = Checkpoints(tmp_path / "checkpoints")
    checkpoints.save_now(ToSave(state, DATA, RUN, tmp_path / "tokenizer.model"))
    _, expected = steps_from(first, state, 3, 6)
    assert expected[0] != expected[1]
    meshes = [(8, {"fsdp": 8, "data": 1}), (4, {"fsdp": 2, "tensor": 2, "data": 1}), (1, {})]
    for devices, mesh in meshes:
        trainer = make(devices, **mesh)
        restored = checkpoints.restore_newest(trainer.abstract)
        _, losses = steps_from(trainer, restored.state, 3, 6)
        np.testing.assert_allclose(losses, expected, rtol=1e-5, err_msg=str(mesh))


def test_a_save_under_way_does_not_see_the_steps_that_follow(tmp_path):
    """The buffers that it copied from are given to the next step at once."""
    (tmp_path / "tokenizer.model").write_bytes(b"pieces")
    trainer = make()
    state, _ = steps_from(trainer, trainer.initialise(0), 0, 1)
    checkpoints = Checkpoints(tmp_path / "checkpoints", Keep(newest=5))
    held = {}
    for step in range(1, 5):
        held[step] = jax.tree.map(np.array, jax.device_get(state))
        checkpoints.save(ToSave(state, DATA, RUN, tmp_path / "tokenizer.model", {"score": step}))
        state, _ = steps_from(trainer, state, step, step + 1)
    checkpoints.close()
    assert checkpoints.steps() == [1, 2, 3, 4]
    for step, expected in held.items():
        equal(expected, checkpoints.restore(step, trainer.abstract).state)


def test_what_a_killed_process_left_half_written_is_removed_with_a_word(saved, tmp_path, capsys):
    checkpoints, _ = saved
    left = checkpoints.folder / "writing/7.orbax-checkpoint-tmp"
    left.mkdir(parents=True)
    (left / "part").write_bytes(b"x")
    assert checkpoints.steps() == [1, 2]
    state = make().initialise(0)
    state["step"] = state["step"] + 3
    checkpoints.save_now(ToSave(state, DATA, RUN, tmp_path / "tokenizer.model"))
    assert "removing the unfinished checkpoint of step 7" in capsys.readouterr().err
    assert checkpoints.steps() == [2, 3]
    assert not (checkpoints.folder / "writing").exists()


def test_a_store_that_does_not_answer_breaks_no_checkpoint(saved, monkeypatch):
    """Files that cannot be read now are not damaged files: nothing is renamed."""
    checkpoints, _ = saved

    def fail(path):
        raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))

    monkeypatch.setattr("linkjax.training.manifest.fingerprint", fail)
    monkeypatch.setattr(time, "sleep", lambda _: None)
    with pytest.raises(UserError, match=r"checkpoint 2 cannot be read now .*: try again when the store answers"):
        checkpoints.restore_newest(make().abstract)
    assert checkpoints.steps() == [1, 2]


def test_one_that_is_there_counts_though_an_old_one_cannot_be_removed(saved, tmp_path, capsys, monkeypatch):
    checkpoints, _ = saved
    monkeypatch.setattr(shutil, "rmtree", lambda *_, **__: (_ for _ in ()).throw(OSError(errno.ENOTEMPTY, "busy")))
    state = make().initialise(0)
    state["step"] = state["step"] + 3
    checkpoints.save_now(ToSave(state, DATA, RUN, tmp_path / "tokenizer.model"))
    assert "not all removed" in capsys.readouterr().err
    assert checkpoints.newest() == 3


def test_a_store_that_fails_once_where_a_save_begins_is_asked_again(saved, tmp_path, monkeypatch):
    checkpoints, _ = saved
    monkeypatch.setattr("linkjax.training.checkpoints._WAITS", (0.01,))
    made, failures = Checkpoints._make_way, iter([True])

    def fail_once(one):
        if next(failures, False):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        made(one)

    monkeypatch.setattr(Checkpoints, "_make_way", fail_once)
    state = make().initialise(0)
    state["step"] = state["step"] + 3
    checkpoints.save_now(ToSave(state, DATA, RUN, tmp_path / "tokenizer.model"))
    assert checkpoints.newest() == 3


def test_a_rewind_goes_to_a_whole_checkpoint_and_touches_none_before_it_knows(saved):
    checkpoints, _ = saved
    (checkpoints.folder / "1/tokenizer.model").write_bytes(b"damaged")
    assert checkpoints.set_aside_after(2) == 2
    assert checkpoints.steps() == [1, 2]
    (checkpoints.folder / "2" / MANIFEST).unlink()
    assert checkpoints.set_aside_after(1) == 0
    assert checkpoints.steps() == []
    assert len(list(checkpoints.folder.glob("*.rewound-*"))) == 2
    with pytest.raises(UserError, match=r"none of the 2 checkpoints .*rewound-.*: set aside"):
        checkpoints.restore_newest(make().abstract)


def test_folders_that_are_no_steps_are_none(saved):
    checkpoints, _ = saved
    for name in ("²", "0002", "2.5", "-1"):
        (checkpoints.folder / name).mkdir()
    assert checkpoints.steps() == [1, 2]


def test_a_manifest_that_leads_out_of_the_checkpoint_is_not_followed(saved):
    checkpoints, _ = saved
    path = checkpoints.folder / "2" / MANIFEST
    manifest = json.loads(path.read_text())
    for name in ("../1/tokenizer.model", "/etc/hostname"):
        path.write_text(json.dumps(manifest | {"files": {name: {"bytes": 1, "sha256": ""}}}))
        with pytest.raises(UserError, match="no name within it"):
            checkpoints.restore(2, make().abstract)


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
