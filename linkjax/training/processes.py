"""Several processes as one run: how they find each other, agree, and end together.

Numbers of the training go between devices. What the processes have to agree on besides (which checkpoint, where
the data stands, that one of them failed) is small and goes through the store of `jax.distributed`'s coordinator:
there a process can wait for hours while the first prepares the data, with no collective to time out.
"""

import contextlib
import itertools
import json
import multiprocessing
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import jax
from jax._src.distributed import global_state  # the store has no public name yet

from linkjax.errors import UserError, errors_as_sentences

OPTIONS = {
    "coordinator": ("", "several processes: HOST:PORT of the first, the same for all; Slurm and TPU pods need none"),
    "processes": ("", "several processes: how many there are"),
    "process": ("", "several processes: which one this is, from 0"),
}
_FAILURE = "linkjax/failure"
_PATIENCE = 300.0  # seconds that a process waits for the others to start
_WATCHED_EVERY = 0.5  # seconds
_LAST_WORDS = 10.0  # seconds that a failing process gives the others to hear of it
_generation = itertools.count()


@contextlib.contextmanager
def joined(coordinator: str, processes: str, process: str) -> Iterator[None]:
    """Makes this process one of several, if the flags or the environment say so; before any device is touched.

    If one of them fails, all end with its exit code, and say why.

    Raises:
      UserError: the flags are incomplete or contradict each other, or the others cannot be reached.
    """
    if not _start(_from_flags(coordinator, processes, process)):
        yield
        return
    done = threading.Event()
    threading.Thread(target=_end_with_the_others, args=[done], daemon=True).start()
    try:
        yield
        gather(None)  # nobody leaves while another may still need the coordinator
    except BaseException as error:
        _fail(error)
    finally:
        done.set()
    jax.distributed.shutdown()


def check_alone(what: str) -> None:
    """For what is done by one process.

    Raises:
      UserError: a launcher has started several.
    """
    try:
        alone = _from_environment() is None
    except UserError:  # several, which do not know of each other
        alone = False
    if not alone:
        raise UserError(f"{what} runs in one process, and several were started: start it alone, on one machine.")


def first() -> bool:
    """Whether this is the process that writes and speaks for all: the only one, or number 0."""
    return not several() or jax.process_index() == 0


def say(text: str) -> None:
    """A line to the terminal, once."""
    if first():
        print(text, file=sys.stderr, flush=True)


def gather(value: Any) -> list[Any]:
    """The processes' values (as JSON has them), the same list in each; all of them must call this.

    No process returns before every one has called.
    """
    if not several():
        return [value]
    generation, mine = next(_generation), jax.process_index()
    global_state.client.key_value_set(_key(generation, mine), json.dumps(value))
    values = [json.loads(_wait_for(_key(generation, process))) for process in range(jax.process_count())]
    if generation:  # all are here, so all have read what was gathered before
        global_state.client.key_value_delete(_key(generation - 1, mine))
    return values


def on_first(work: Callable[[], Any]) -> Any:
    """Does `work` on the first process and gives its result (as JSON has it) to all, who wait for it."""
    if not several():
        return work()
    return gather(work() if first() else None)[0]


class Agreed:
    """A wish of any of the processes that all of them act on at the same point of the program.

    Every process asks equally often, and between two askings takes part in a step of the training, the last but one
    of which it knows to be done: so no process is more than one asking ahead of another, and what one of them wished
    is known to all two askings later.
    """

    _LEAD = 2

    def __init__(self, name: str):
        """Args: `name`, different from those of other wishes."""
        self._name, self._asked, self._due = f"linkjax/agreed/{name}", 0, None

    def __call__(self, wish: bool) -> bool:
        """Whether it is time; `wish` is this process's own. Once it is, it stays so."""
        if not several():
            self._due = self._due or wish
            return self._due
        self._asked += 1
        if self._due is None:
            if wish:
                with contextlib.suppress(jax.errors.JaxRuntimeError):  # another was before
                    global_state.client.key_value_set(self._name, str(self._asked + self._LEAD))
            with contextlib.suppress(jax.errors.JaxRuntimeError):  # nobody wishes
                self._due = int(global_state.client.key_value_try_get(self._name))
        return self._due is not None and self._asked >= self._due


def leave_now(code: int, why: str) -> None:
    """Ends this process, and all others of the run, from any thread and whatever they are in."""
    print(why, file=sys.stderr)
    if several():
        _tell_the_others(code)
    _leave(code)


def several() -> bool:
    """Whether this process is one of several."""
    return jax.distributed.is_initialized()


def _from_flags(coordinator: str, processes: str, process: str) -> dict[str, Any]:
    """Arguments of `jax.distributed.initialize`; none where no flag is given."""
    given = {"--coordinator": coordinator, "--processes": processes, "--process": process}
    if not any(given.values()):
        return {}
    if missing := [name for name, value in given.items() if not value]:
        raise UserError(
            f"several processes need {' and '.join(missing)} too, e.g."
            " --coordinator=node1:8476 --processes=2 --process=0 (and --process=1 for the other)."
        )
    host, _, port = coordinator.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise UserError(
            f"--coordinator={coordinator} is not HOST:PORT: name the first process's machine and a free port of it."
        )
    try:
        count, index = int(processes), int(process)
    except ValueError as error:
        raise UserError(f"--processes={processes} and --process={process} are numbers.") from error
    if not 0 <= index < count:
        raise UserError(f"--process={index} of --processes={count}: choose one from 0 to {max(count, 1) - 1}.")
    return {"coordinator_address": coordinator, "num_processes": count, "process_id": index,
            "cluster_detection_method": "deactivate"}  # fmt: skip


def _from_environment() -> dict[str, Any] | None:
    """Arguments of `jax.distributed.initialize` where a launcher started several processes, else None.

    JAX finds the addresses itself; here it is only decided that it should look, and only where it cannot be a
    login shell or a laptop: inside a step of Slurm with several tasks (an allocation's shell has the variables of
    the job but is a step of one task), under mpirun, on a machine with TPU chips.
    https://docs.jax.dev/en/latest/multi_process.html, https://slurm.schedmd.com/srun.html
    """
    environment = os.environ
    if (tasks := int(environment.get("SLURM_STEP_NUM_TASKS") or 1)) > 1:
        return {"num_processes": tasks, "cluster_detection_method": "slurm"}
    if int(environment.get("OMPI_COMM_WORLD_SIZE") or 1) > 1:
        if "OMPI_MCA_orte_hnp_uri" not in environment:  # Open MPI 5 does not say where the first process is
            raise UserError(
                "mpirun started several processes but does not say where the first one is: add --coordinator=HOST:PORT"
                " --processes=$OMPI_COMM_WORLD_SIZE --process=$OMPI_COMM_WORLD_RANK."
            )
        return {"cluster_detection_method": "ompi"}
    from jax._src import cloud_tpu_init  # set when JAX is imported on a machine with TPU chips

    platforms = jax.config.jax_platforms or "tpu"
    if cloud_tpu_init.running_in_cloud_tpu_vm and "tpu" in platforms.split(","):
        hosts = environment.get("TPU_PROCESS_ADDRESSES") or environment.get("TPU_WORKER_HOSTNAMES")
        if hosts is not None:  # on Kubernetes
            return {"cluster_detection_method": "gketpu"} if "," in hosts else None
        return None if environment.get("TPU_SKIP_MDS_QUERY") else {"cluster_detection_method": "gcetpu"}
    return None


def _start(arguments: dict[str, Any]) -> bool:
    """Whether this process is one of several now."""
    if arguments.get("num_processes") == 1:
        return False
    arguments = arguments or _from_environment()
    if arguments is None:
        return False
    # JAX's own handler of SIGTERM takes no other signals, and none of a process alone: see `interruptions`.
    jax.config.update("jax_enable_preemption_service", False)
    give_up = threading.Timer(_PATIENCE, _give_up, [arguments.get("coordinator_address", "their coordinator")])
    give_up.daemon = True
    give_up.start()
    try:
        jax.distributed.initialize(**arguments, initialization_timeout=int(2 * _PATIENCE))
    except (KeyError, ValueError, RuntimeError) as error:
        what = f"{type(error).__name__}: {error}".splitlines()[0]
        raise UserError(
            f"this process could not join the others ({what}): name them with --coordinator, --processes and --process."
        ) from error
    finally:
        give_up.cancel()
    return True


def _give_up(where: str) -> None:
    """JAX would give up with a crash and a stack trace."""
    print(
        f"error: the other processes were not at {where} within {_PATIENCE:.0f} s: start them all, each with another"
        " --process, and see that the first one's port is free and can be reached.",
        file=sys.stderr,
        flush=True,
    )
    os._exit(2)


def _key(generation: int, process: int) -> str:
    return f"linkjax/gather/{generation}/{process}"


def _wait_for(key: str) -> str:
    """Asks again and again, so that Ctrl-C gets through."""
    while True:
        try:
            return global_state.client.blocking_key_value_get(key, 2000)
        except jax.errors.JaxRuntimeError as error:
            if "DEADLINE_EXCEEDED" not in str(error):
                raise


def _end_with_the_others(done: threading.Event) -> None:
    """Looks out for a failure of another process: this one may be in a collective that waits for it for ever."""
    while not done.wait(_WATCHED_EVERY):
        with contextlib.suppress(jax.errors.JaxRuntimeError):  # there is none
            failure = json.loads(global_state.client.key_value_try_get(_FAILURE))
            if failure["process"] != jax.process_index():
                _leave(failure["code"], f"process {jax.process_index()} ends with process {failure['process']}.")


def _fail(error: BaseException) -> None:
    """Tells the others and leaves."""
    try:
        with errors_as_sentences():
            raise error
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 1
    except BaseException:
        traceback.print_exc()
        code = 1
    _tell_the_others(code)
    _leave(code)


def _tell_the_others(code: int) -> None:
    failure = json.dumps({"process": jax.process_index(), "code": code})
    with contextlib.suppress(jax.errors.JaxRuntimeError):  # another was before
        global_state.client.key_value_set(_FAILURE, failure)


def _leave(code: int, why: str = "") -> None:
    """Ends the process at once: an orderly end would wait for processes that are waiting themselves."""
    if why:
        print(why, file=sys.stderr)
    if several():
        with contextlib.suppress(jax.errors.JaxRuntimeError):
            global_state.client.wait_at_barrier("linkjax/left", int(_LAST_WORDS * 1000))
    if several() and first():
        time.sleep(0.2)  # the coordinator is in this process, and the others hear through it that all are there
    for worker in multiprocessing.active_children():
        worker.terminate()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
