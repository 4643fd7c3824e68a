"""Who does the units of work: this process, several of this machine, or the workers of Apache Beam."""

import concurrent.futures
import dataclasses
import functools
import multiprocessing
import multiprocessing.connection
import os
import shlex
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Sequence

from tqdm import tqdm

from linkjax.errors import UserError
from linkjax.preparation.partial import Stopped
from linkjax.preparation.registered import Registered
from linkjax.preparation.units import Counting, Job, Progress, Reading

Unit = Reading | Counting
_ERROR = ".error.txt"


@dataclasses.dataclass(frozen=True)
class RunnerSettings:
    """How the work is done; none of it changes the result."""

    processes: int = 1
    beam_runner: str = ""
    beam_options: str = ""

    def __post_init__(self):
        if self.processes < 1:
            raise UserError(f"--processes is {self.processes}: choose 1 or more.")
        if self.beam_options and not self.beam_runner:
            raise UserError("--beam_options is given without --runner: name the runner, e.g. --runner=DirectRunner.")


class Runner:
    """Does units that are not done yet. A context: at its end the processes are ended."""

    def __init__(self, job: Job, settings: RunnerSettings, registered: Registered):
        self._job, self._settings, self._registered = job, settings, registered
        self._pool: concurrent.futures.ProcessPoolExecutor | None = None

    def __enter__(self) -> "Runner":
        return self

    def __exit__(self, kind, error, trace) -> None:
        if self._pool is None:
            return
        if kind is not None:
            for process in list((self._pool._processes or {}).values()):  # Python 3.14 has `kill_workers`
                process.kill()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def run(self, units: Sequence[Unit], label: str) -> list[dict]:
        """The records of some units, made where they are missing or damaged."""
        work = self._job.work
        left = [unit for unit in units if not work.is_whole(unit.name, unit.of)]
        if len(left) < len(units):
            print(f"{label}: {len(units) - len(left)} of {len(units)} parts are done already", file=sys.stderr)
        if left and self._settings.beam_runner:
            _beam(self._job, self._settings, left)
        elif len(left) > 1 and self._settings.processes > 1:
            self._share_out(left, label)
        else:
            for unit in left:
                do(unit, self._job, lambda: self._registered, shown)
        records = [work.record(unit.name, unit.of) for unit in units]
        for unit, record in zip(units, records, strict=True):
            if record is None:
                raise Stopped(
                    f"no worker has written '{unit.name}' into {self._job.partial}: name an --out on a file system that"
                    " all workers see under this path."
                )
        return records

    def _share_out(self, units: Sequence[Unit], label: str) -> None:
        """Does units in processes of this machine."""
        if self._pool is None:
            context = multiprocessing.get_context("spawn")
            self._pool = concurrent.futures.ProcessPoolExecutor(self._settings.processes, context, _begin, (self._job,))
        bar = tqdm(total=len(units), desc=label, unit=" parts", disable=not sys.stderr.isatty(), leave=False)
        try:
            with bar:
                for done in concurrent.futures.as_completed([self._pool.submit(_do_here, unit) for unit in units]):
                    done.result()
                    bar.update()
        except concurrent.futures.process.BrokenProcessPool as error:
            raise Stopped(
                "a process that prepares data was killed, perhaps for want of memory: start the same command again, it"
                " goes on from there, or with fewer --processes."
            ) from error


def do(unit: Unit, job: Job, registered: Callable[[], Registered], progress: Progress) -> None:
    """Does one unit."""
    job.work.make(unit.name, unit.of, functools.partial(unit.fill, job, registered, progress))


def shown(items: Iterable, label: str) -> Iterable:
    """A progress bar over documents, where standard error is a terminal."""
    return tqdm(items, desc=label, unit=" documents", disable=not sys.stderr.isatty(), leave=False)


def _unseen(items: Iterable, label: str) -> Iterable:
    del label
    return items


_job: Job | None = None  # of a worker process


def _begin(job: Job) -> None:
    global _job
    _job = job
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends us
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A parent that was killed cannot end its workers."""
    multiprocessing.connection.wait([multiprocessing.parent_process().sentinel])
    os._exit(1)


def _do_here(unit: Unit) -> None:
    do(unit, _job, functools.partial(_registered, _job), _unseen)


@functools.lru_cache(maxsize=1)
def _registered(job: Job) -> Registered:
    return job.register()


def _beam(job: Job, settings: RunnerSettings, units: Sequence[Unit]) -> None:
    try:
        import apache_beam
        from apache_beam.options.pipeline_options import PipelineOptions
    except ImportError as error:
        raise UserError(
            f"--runner={settings.beam_runner} needs Apache Beam: pip install 'linkjax[beam]' ({error})."
        ) from error
    try:
        flags = shlex.split(settings.beam_options)
        options = PipelineOptions(flags, runner=settings.beam_runner)
        pipeline = apache_beam.Pipeline(options=options)
    except (ValueError, SystemExit, ImportError) as error:
        raise UserError(
            f"Apache Beam does not take --runner={settings.beam_runner} --beam_options='{settings.beam_options}':"
            f" {' '.join(str(error).split())[:300]}"
        ) from error
    for unit in units:
        _error_file(job, unit).unlink(missing_ok=True)
    job.work.folder.mkdir(exist_ok=True)
    _ = (
        pipeline
        | "Units" >> apache_beam.Create(list(units))
        | "Spread" >> apache_beam.Reshuffle()
        | "Do" >> apache_beam.Map(functools.partial(_do_for_beam, job))
    )
    state = pipeline.run().wait_until_finish()
    for unit in units:
        if (path := _error_file(job, unit)).exists():
            raise UserError(path.read_text())
    if state not in ("DONE", None):
        raise Stopped(f"Apache Beam's {settings.beam_runner} ended the work as {state}: start the same command again.")


def _do_for_beam(job: Job, unit: Unit) -> None:
    try:
        do(unit, job, functools.partial(_registered, job), _unseen)
    except UserError as error:  # Beam would make a trace of it, and try again
        _error_file(job, unit).write_text(str(error))


def _error_file(job: Job, unit: Unit):
    return job.work.path(f"{unit.name}{_ERROR}")
