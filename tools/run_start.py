"""One start of `train`, and how far it has come, as its folder shows."""

import contextlib
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).parent.parent
PHASES = ("start-up", "training", "saving", "last save", "summary")
LIMIT = 300.0  # seconds that one start may take


class Start:
    """A process in a session of its own; nothing of it is left after `end` or `end_group`."""

    def __init__(self, workdir: pathlib.Path, options: list[str]):
        self._metrics, self._checkpoints = workdir / "metrics.jsonl", workdir / "checkpoints"
        self.restored = max(self._steps(), default=0)
        self._old_metrics = self._identity()
        self._stderr = tempfile.TemporaryFile("w+")  # noqa: SIM115 closed with the start
        self._begun = time.time()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "linkjax.train", *options, f"--workdir={workdir}"],
            cwd=ROOT, stdout=subprocess.DEVNULL, stderr=self._stderr, start_new_session=True,
        )  # fmt: skip

    def end(self, wait: float = LIMIT) -> str:
        """Waits for it, ends all that it started, and returns what it said."""
        try:
            self.process.wait(wait)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.end_group()
        self._stderr.seek(0)
        said = self._stderr.read()
        self._stderr.close()
        return said

    def end_group(self) -> None:
        if not self._stderr.closed:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)

    def running(self) -> bool:
        return self.process.poll() is None

    def seconds(self) -> float:
        return time.time() - self._begun

    def logged(self) -> int:
        """The last step in `metrics.jsonl`; what an earlier start wrote beyond its checkpoint does not count."""
        if self._identity() == self._old_metrics:
            return self.restored
        return max(self._metrics.read_bytes().count(b"\n"), self.restored)

    def saving(self) -> bool:
        """Whether a checkpoint is in the making that this start has begun."""
        try:
            return (self._checkpoints / "writing").stat().st_mtime >= self._begun
        except FileNotFoundError:
            return False

    def phase(self, steps: int) -> str:
        """One of `PHASES`."""
        if steps in self._steps():
            return "summary"
        logged = self.logged()
        if logged == steps:
            return "last save"
        if self.saving():
            return "saving"
        return "training" if logged > self.restored else "start-up"

    def _steps(self) -> list[int]:
        if not self._checkpoints.is_dir():
            return []
        return [int(path.name) for path in self._checkpoints.iterdir() if path.name.isdigit()]

    def _identity(self) -> tuple[int, int] | None:
        try:
            status = self._metrics.stat()
        except FileNotFoundError:
            return None
        return status.st_ino, status.st_mtime_ns
