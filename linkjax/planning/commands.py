"""The commands that a plan ends with."""

import dataclasses
import math
import shlex

from linkjax.planning.devices import Machine
from linkjax.planning.dose import Dose
from linkjax.planning.runs import SHARDS, Continuation, Run, weight_parts
from tasks.text_files import LocalTextSettings

_WIDTH = 110
_EVALUATIONS = 10  # of a run
_CONTINUED = "configs/continued.py"
_MOST_SHARDS = 64  # as in configs/link.py
_SHAPE = ("layers", "width", "heads", "kv_heads", "head_width", "hidden")


def train_command(settings: LocalTextSettings, run: Run, dose: Dose, machine: Machine, workdir: str) -> str:
    """Trains the model, on all devices of the machine."""
    values: dict[str, object] = {
        "target_rate": run.rate,
        "link.ratio": dose.ratio,
        "steps": run.steps,
        "batch_size": run.batch_size,
    }
    every = -(-run.steps // _EVALUATIONS)
    values |= {"eval_every": every, "checkpoint_every": every}
    if run.microbatches > 1 or not run.size.is_small:
        values["microbatches"] = run.microbatches
    if run.size.is_small:
        values |= _of_a_small_model(run, machine)
    else:
        values["virtual_shards"] = math.gcd(_MOST_SHARDS, run.batch_size)
    if machine.parts > 1:
        values |= mesh(run, machine.parts)
    return _written([f"--config={run.size.config}", f"--workdir={workdir}", *_files(settings), *_flags(values)])


def continue_command(
    settings: LocalTextSettings, further: Continuation, dose: Dose, machine: Machine, workdir: str
) -> str:
    """Goes on from a model in Hugging Face's layout; which one is the user's to say. Weights lie over all devices."""
    values = {
        "init_from": "MODEL_FOLDER",
        "target_rate": further.rate,
        "link.ratio": dose.ratio,
        "steps": further.steps,
        "batch_size": further.batch_size,
        "microbatches": further.microbatches,
        "virtual_shards": SHARDS,
    }
    every = -(-further.steps // _EVALUATIONS)
    values |= {"eval_every": every, "checkpoint_every": every}
    if machine.parts > 1:
        values |= {"mesh.data": 1, "mesh.fsdp": machine.parts}
    return _written([f"--config={_CONTINUED}", f"--workdir={workdir}", *_files(settings), *_flags(values)])


def mesh(run: Run, devices: int) -> dict[str, object]:
    """Rows are split over the devices, and the weights with them or not."""
    split = weight_parts(run.size, devices)
    return {"mesh.data": devices // split, "mesh.fsdp": split}


def _files(settings: LocalTextSettings) -> list[str]:
    """What was said of the files, as it was said."""
    flags = []
    for field in dataclasses.fields(LocalTextSettings):
        value = getattr(settings, field.name)
        if value != field.default and field.name != "target_rate":
            flags.append(f"--config.{field.name}={value}")
    return flags


def _of_a_small_model(run: Run, machine: Machine) -> dict[str, object]:
    size, values = run.size, {}
    if not size.own:
        values |= {"sequence_length": size.length, "tokenizer.vocabulary_size": size.vocabulary}
        values |= {f"model.{name}": getattr(size.model, name) for name in _SHAPE}
        values["optimizer.learning_rate"] = size.learning_rate
    if not machine.cpu:
        values |= {"model.dtype": size.model.dtype, "most_segments": 64, "workers": machine.workers}
    return values


def _flags(values: dict[str, object]) -> list[str]:
    return [f"--config.{name}={value}" for name, value in values.items()]


def _written(arguments: list[str]) -> str:
    """In lines, for a shell."""
    lines = ["python -m linkjax.train"]
    for argument in map(_quoted, arguments):
        if len(lines[-1]) + len(argument) > _WIDTH:
            lines.append("   ")
        lines[-1] += f" {argument}"
    return " \\\n".join(lines)


def _quoted(argument: str) -> str:
    """The value alone in quotes, where it needs any: so people write it."""
    name, equals, value = argument.partition("=")
    return f"{name}{equals}{shlex.quote(value)}"
