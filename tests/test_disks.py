"""The disks that fail do fail, for Python and for TensorStore; and what is said of them."""

import errno
import json
import time

import pytest

from linkjax.errors import UserError
from linkjax.training.run_files import disk_error, write_whole, writing
from tests.disks import failed, failing_disk, on_read_only, on_small_disk, plain_environment, run_python

AGAIN = "start the same command again, it goes on from its newest checkpoint."
WRITES = """
import os, sys
from pathlib import Path
for turn in range(3):
    try:
        with open(sys.argv[1] + "/a", "wb", buffering=0) as file:
            file.write(b"abc")
            os.fsync(file)
        os.rename(sys.argv[1] + "/a", sys.argv[1] + "/b")
        print("written", Path(sys.argv[1] + "/b").read_bytes())
    except OSError as error:
        print(error.strerror)
"""
SAVES = """
import pathlib, sys, jax
from linkjax.training import checkpoints as module
from linkjax.training.checkpoints import Checkpoints, ToSave
module._WAITS = (0.1, 0.1)
folder = pathlib.Path(sys.argv[1])
(folder / "tokenizer").write_bytes(b"tokenizer")
checkpoints = Checkpoints(folder / "checkpoints")
state = {"params": {"w": jax.numpy.arange(1e5)}, "step": jax.numpy.int32(5)}
checkpoints.save_now(ToSave(state, {}, {}, folder / "tokenizer"))
print(checkpoints.steps(), checkpoints.fault(5))
"""


def test_writes_whole_or_leaves_what_was(tmp_path):
    path = tmp_path / "summary.json"
    write_whole(path, "{}\n")
    write_whole(path, '{"a": "ñ"}\n')
    assert path.read_text(encoding="utf-8") == '{"a": "ñ"}\n'
    (tmp_path / "summary.partial").mkdir()
    with pytest.raises(UserError, match=r"summary.json cannot be written \(Is a directory\)"):
        write_whole(path, "")
    assert json.loads(path.read_text(encoding="utf-8")) == {"a": "ñ"}
    assert sorted(found.name for found in tmp_path.iterdir()) == ["summary.json", "summary.partial"]


def test_what_is_no_disks_error_stays_what_it_is(tmp_path):
    with pytest.raises(ValueError, match="rank 2"), writing(tmp_path):
        raise ValueError("rank 2")
    with pytest.raises(UserError, match=r"\(No space left on device\): make room and start"), writing(tmp_path):
        raise ValueError("RESOURCE_EXHAUSTED: Failed writing: \"a\": No space left on device [os_error_code='28']")
    try:
        try:
            raise OSError(errno.EIO, "Input/output error")
        except OSError as error:
            raise RuntimeError("in a thread") from error
    except RuntimeError as error:
        assert disk_error(error).errno == errno.EIO


@pytest.mark.parametrize("call", ["open", "write", "fsync", "rename"])
def test_python_calls_fail_as_often_as_asked(tmp_path, call):
    folder = tmp_path / "here"
    folder.mkdir()
    environment = failing_disk(tmp_path, "/here/a", 2, call)
    done = run_python(["-c", WRITES, folder], environment)
    assert done.stdout.splitlines() == ["Input/output error", "Input/output error", "written b'abc'"], done.stderr
    assert failed(tmp_path) == 2
    done = run_python(["-c", WRITES, folder], failing_disk(tmp_path, "/elsewhere/", 2, call))
    assert done.stdout.count("written") == 3 and failed(tmp_path) == 0
    done = run_python(["-c", WRITES, folder], failing_disk(tmp_path, "/here/a", 1, call, error=errno.ENOSPC))
    assert done.stdout.count("No space left on device") == 1 and done.stdout.count("written") == 2


def test_a_slow_disk_is_slow(tmp_path):
    begun = time.perf_counter()
    done = run_python(["-c", WRITES, tmp_path], failing_disk(tmp_path, "/a", 2, "write", error=0, delay=0.5))
    assert done.stdout.count("written") == 3 and failed(tmp_path) == 2
    assert time.perf_counter() - begun > 1


@pytest.mark.parametrize(
    ("part", "call"),
    [("ocdbt.process_0/d/", "write"), ("ocdbt.process_0/d/", "fsync"), ("manifest.ocdbt", "rename"),
     ("ocdbt.process_0/d/", "open"), ("data.json", "write")],
)  # fmt: skip
def test_a_call_of_a_save_that_fails_is_tried_again_with_the_save(tmp_path, part, call):
    done = run_python(["-c", SAVES, tmp_path], failing_disk(tmp_path, part, 1, call))
    assert failed(tmp_path) == 1, done.stderr
    assert "Input/output error" in done.stderr and "trying again in 0.1 s" in done.stderr
    assert done.stdout == "[5] None\n", done.stderr


def test_a_small_disk_is_full_and_what_is_asked_for_is_kept(tmp_path):
    folder = tmp_path / "small"
    folder.mkdir()
    (folder / "was").write_text("here before")
    code = "import sys; p = sys.argv[1]; print(open(p + '/was').read()); open(p + '/new', 'wb').write(bytes(2 << 20))"
    done = on_small_disk(folder, "1m", ["-c", code, folder], keep="n*")
    assert done.stdout == "here before\n" and "[Errno 28] No space left on device" in done.stderr
    assert 0 < (tmp_path / "small.kept/new").stat().st_size <= 1 << 20
    assert [path.name for path in folder.iterdir()] == ["was"]


def test_a_read_only_folder_is_so_for_root_too(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "was").write_text("here before")
    code = "import sys; p = sys.argv[1]; print(open(p + '/was').read()); open(p + '/new', 'w')"
    done = on_read_only(folder, ["-c", code, folder])
    assert done.stdout == "here before\n" and "Read-only file system" in done.stderr


def test_a_plain_environment_has_one_device():
    done = run_python(["-c", "import jax; print(jax.device_count())"], plain_environment())
    assert done.stdout == "1\n"
