"""Disks that are full, read-only, failing or slow, for a Python program in a process of its own.

Full and read-only ones are a tmpfs in a mount namespace, where the kernel lets us make one; failing and slow ones a
library that is loaded before the C library and answers in its place.
"""

import errno
import os
import pathlib
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence

import pytest

ROOT = pathlib.Path(__file__).parent.parent
_SOURCE = pathlib.Path(__file__).with_name("failing_disk.c")


def plain_environment(**more: str) -> dict[str, str]:
    """Of a user's process: one CPU device."""
    environment = {**os.environ, "JAX_PLATFORMS": "cpu", "PYTHONPATH": str(ROOT), **more}
    environment.pop("XLA_FLAGS", None)
    return environment


def run_python(
    arguments: Sequence[object], environment: dict[str, str], limit: float = 120
) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, *map(str, arguments)], cwd=ROOT, env=environment, capture_output=True, text=True,
        timeout=limit, check=False,
    )  # fmt: skip


def on_small_disk(
    folder: pathlib.Path, size: str, arguments: Sequence[object], keep: str = "", limit: float = 120
) -> subprocess.CompletedProcess:
    """Runs Python with these arguments while `folder` is a disk of `size`, e.g. '1m', with what is in the folder.

    The disk is gone afterwards; what matches the pattern `keep` in it is copied to `FOLDER.kept`.
    """
    return _mounted(folder, f"size={size}", "", arguments, keep, limit)


def on_read_only(folder: pathlib.Path, arguments: Sequence[object], limit: float = 120) -> subprocess.CompletedProcess:
    """Runs Python with these arguments while `folder`, with what is in it, cannot be written, by root neither."""
    return _mounted(folder, "size=256m", 'mount -o remount,ro "$0"', arguments, "", limit)


def _mounted(
    folder: pathlib.Path, options: str, then: str, arguments: Sequence[object], keep: str, limit: float
) -> subprocess.CompletedProcess:
    _need_namespaces()
    copy = folder.with_name(f"{folder.name}.copy")
    kept = folder.with_name(f"{folder.name}.kept")
    shutil.copytree(folder, copy, symlinks=True)
    kept.mkdir(exist_ok=True)
    script = f"""
        mount -t tmpfs -o {options} none "$0" && cp -a {shlex.quote(str(copy))}/. "$0" || exit 99
        {then}
        "$@"
        code=$?
        cd "$0" && for found in {keep}; do cp -a --parents "$found" {shlex.quote(str(kept))}; done
        exit $code
    """
    try:
        done = subprocess.run(
            ["unshare", "--map-root-user", "--mount", "sh", "-c", script, folder, sys.executable,
             *map(str, arguments)],
            cwd=ROOT, env=plain_environment(), capture_output=True, text=True, timeout=limit, check=False,
        )  # fmt: skip
    finally:
        shutil.rmtree(copy)
    assert done.returncode != 99, done.stderr
    return done


def _need_namespaces() -> None:
    script = "mount -t tmpfs -o size=1m none /tmp"
    tried = subprocess.run(
        ["unshare", "--map-root-user", "--mount", "sh", "-c", script], capture_output=True, text=True, check=False
    ) if shutil.which("unshare") else None  # fmt: skip
    if tried is None or tried.returncode:
        pytest.skip(f"no small disk can be mounted here ({tried.stderr.strip() if tried else 'there is no unshare'})")


def failing_disk(
    folder: pathlib.Path, path_part: str, failures: int, *calls: str, error: int = errno.EIO, delay: float = 0
) -> dict[str, str]:
    """The environment of a process whose `calls` fail the first `failures` times where the path holds `path_part`.

    Args:
      folder: for the library and the count of failures, see `failed`.
      calls: of 'open', 'write', 'fsync', 'rename'.
      error: the calls' errno; 0: they succeed after `delay` seconds.
    """
    if not (compiler := shutil.which("gcc") or shutil.which("cc")):
        pytest.skip("there is no C compiler for a disk that fails")
    library = folder / "failing_disk.so"
    if not library.exists():
        subprocess.run(
            [compiler, "-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", library, _SOURCE, "-ldl"], check=True
        )
    (folder / "failures").write_bytes(b"")
    return plain_environment(
        LD_PRELOAD=str(library),
        FAILING_CALLS=",".join(calls),
        FAILING_PATH=path_part,
        FAILING_TIMES=str(failures),
        FAILING_COUNT=str(folder / "failures"),
        FAILING_ERRNO=str(error),
        FAILING_DELAY=str(int(delay * 1000)),
    )


def failed(folder: pathlib.Path) -> int:
    """How many calls have failed since `failing_disk`."""
    return (folder / "failures").stat().st_size
