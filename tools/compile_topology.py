"""Compiles a config's training step for a TPU topology, on any machine, and says what it takes.

    python tools/compile_topology.py --config=configs/link_1b.py --topology=v5e:4x4
    python tools/compile_topology.py --config=configs/link_1b.py --topology=v5e:4x4 --config.microbatches=8

It is the step that `linkjax.train` runs, compiled by the TPU's own compiler from the extra `tpu` (libtpu): no TPU is
needed, and no data. Printed are memory of a chip, floating-point operations and what goes over the network; loops count
as often as they run. Topologies: v5e:4x4, v6e:8x8, v5p:4x4x4 ... The last line is JSON.
"""

import importlib.util
import json
import os
import pathlib
import re
import sys
import time
from collections.abc import Sequence
from typing import NamedTuple

# TPUs are only described here; or libtpu would look for some, for minutes and with errors.
os.environ.update(JAX_PLATFORMS="cpu", TPU_SKIP_MDS_QUERY="1", ALLOW_MULTIPLE_LIBTPU_LOAD="1")
os.environ.update(TPU_ACCELERATOR_TYPE="v5litepod-16", TPU_WORKER_HOSTNAMES="localhost")

import jax
import ml_collections
from jax.experimental import topologies

from linkjax import config as configs
from linkjax.config import RunSettings
from linkjax.errors import UserError
from linkjax.model.flops import parameters, training_flops
from linkjax.training import sharding
from linkjax.training.program import Program
from linkjax.training.step import Trainer

_GIB = 2**30
# Of a device, as libtpu 0.0.42.1 says when a program asks for more; a chip of v4 or TPU7x is two devices. Chips have
# 16 (v5e), 32 (v6e), 95 (v5p), 32 (v4), 192 GB (TPU7x): https://cloud.google.com/tpu/docs/system-architecture-tpu-vm
_HBM_GIB = {"TPU v5 lite": 15.75, "TPU v6 lite": 31.25, "TPU v5": 95.74, "TPU v4": 15.25, "TPU7x": 94.75}
_COMPONENTS = 2  # English and a language; others hardly matter
_OUT_OF_MEMORY = re.compile(r"([\d.]+)G\) exceeds available HBM|Used ([\d.]+)G of [\d.]+G hbm")


class Memory(NamedTuple):
    """Of a chip, in bytes: what is there before the step (weights, optimizer state, batch), and what it takes more.

    That is the sum of what is allocated. Less is in use at the same time, so it is on the safe side.
    """

    state: int
    step: int

    @property
    def total(self) -> int:
        return sum(self)


def compile_topology(config: ml_collections.ConfigDict, topology: str, text: str) -> None:
    settings = configs.run_settings(config)
    if text and not pathlib.Path(text).absolute().parent.is_dir():
        raise UserError(f"--text={text}: its folder does not exist.")
    devices = _devices(topology)
    kind = devices[0].device_kind
    limit = round(_HBM_GIB[kind] * _GIB)
    mesh = sharding.make_mesh(settings.mesh, devices)
    sizes = " x ".join(f"{axis} {size}" for axis, size in mesh.shape.items() if size > 1) or "one device"
    _say(f"{topology} has {len(devices)} devices ({kind}); mesh: {sizes}")

    ### Compile
    trainer = Trainer.of(settings, mesh, settings.tokenizer.vocabulary_size, _COMPONENTS)
    lowered = trainer.lower(settings.batch_size, settings.sequence_length)
    _say("compiling; the larger sizes take a minute or two")
    start = time.perf_counter()
    try:
        compiled = lowered.compile()
    except jax.errors.JaxRuntimeError as error:
        seconds = time.perf_counter() - start
        if not (found := _OUT_OF_MEMORY.search(str(error))):
            raise
        memory = Memory(0, round(float(found.group(1) or found.group(2)) * _GIB))
        _say(f"the compiler gave up after {seconds:.0f} s")
        print(_verdict(settings, memory, limit, len(devices)))
        _print_json(memory, limit, None, None, seconds)
        return
    seconds = time.perf_counter() - start
    _say(f"compiled in {seconds:.0f} s")
    hlo = compiled.as_text()
    if text:
        pathlib.Path(text).write_text(hlo)

    ### Report
    analysis = compiled.memory_analysis()
    outputs = analysis.output_size_in_bytes - analysis.alias_size_in_bytes
    memory = Memory(analysis.argument_size_in_bytes, analysis.temp_size_in_bytes + outputs)
    program = Program.parse(hlo)
    flops = _report_flops(settings, program, len(devices))
    traffic = _report_collectives(program)
    print(
        f"memory       {memory.state / _GIB:.2f} GiB of state and batch, {memory.step / _GIB:.2f} GiB allocated by the"
        f" step; {analysis.peak_memory_in_bytes / _GIB:.2f} GiB in use at the most"
    )
    print(_verdict(settings, memory, limit, len(devices)))
    _print_json(memory, limit, flops, traffic, seconds)


def _devices(topology: str) -> Sequence[jax.Device]:
    """The devices that a topology describes."""
    library = os.environ.get("TPU_LIBRARY_PATH")
    if library and not pathlib.Path(library).is_file():
        raise UserError(f"TPU_LIBRARY_PATH names '{library}', which is no file.")
    if not library and not importlib.util.find_spec("libtpu"):
        raise UserError(
            "the TPU compiler is not here: pip install 'linkjax[tpu]', or name its libtpu.so in TPU_LIBRARY_PATH."
        )
    if not re.fullmatch(r"\w+:\d+x\d+(x\d+)?", topology):
        raise UserError(f"--topology={topology}: write a kind of TPU and its chips along each side, such as v5e:4x4.")
    try:
        devices = topologies.get_topology_desc(topology, platform="tpu").devices
    except Exception as error:  # what libtpu raises has no common type
        why = " ".join(str(error).split())[:200]
        raise UserError(f"--topology={topology} is none that libtpu knows ({why}): try v5e:4x4.") from error
    if devices[0].device_kind not in _HBM_GIB:
        raise UserError(
            f"--topology={topology}: the memory of '{devices[0].device_kind}' is not in this tool's table, which has"
            f" {', '.join(_HBM_GIB)}."
        )
    return devices


def _report_flops(settings: RunSettings, program: Program, devices: int) -> int:
    """Prints and returns the operations of a device."""
    model, length = settings.model, settings.sequence_length
    tokens = settings.batch_size * length / devices
    analytic = training_flops(model, settings.tokenizer.vocabulary_size, length)
    products = program.product_flops()
    # A kernel's inside cannot be counted: attention as in linkjax.model.flops, with its forward pass once more where
    # the backward pass computes it again.
    kernels = program.kernels()
    attention = round(analytic.attention * tokens * (1 if model.remat == "none" else 4 / 3)) if kernels else 0
    needed = analytic.total * tokens
    count = parameters(model, settings.tokenizer.vocabulary_size)
    print(f"parameters   {count.total:,} ({count.blocks:,} in blocks, {count.embeddings:,} in embeddings)")
    print(
        f"operations   {(products + attention) / 1e12:,.1f} TFLOP a chip and step: {products / 1e12:,.1f} in matrix"
        f" products, {attention / 1e12:,.1f} in {kernels} runs of attention kernels;"
        f" {(products + attention) / needed:.2f} of the {needed / 1e12:,.1f} that a step needs, the rest computed again"
    )
    if unknown := program.unknown_loops():
        print(f"             (of {unknown} loops it cannot be read how often they run: they are counted once)")
    return products + attention


def _report_collectives(program: Program) -> int:
    """Prints and returns the bytes of a device."""
    by_kind: dict[str, list[int]] = {}
    for one in program.collectives():
        runs, size = by_kind.get(one.kind, (0, 0))
        by_kind[one.kind] = [runs + one.times, size + one.times * one.bytes]
    for kind, (runs, size) in sorted(by_kind.items()):
        print(f"{kind:<18} {runs:>8,} a chip and step, {size / 1e9:.2f} GB")
    return sum(size for _, size in by_kind.values())


def _verdict(settings: RunSettings, memory: Memory, limit: int, devices: int) -> str:
    """One sentence: whether it fits, and what to change if not."""
    needs = f"{memory.total / _GIB:.1f} of {limit / _GIB:.2f} GiB a chip"
    if memory.total <= limit:
        return f"It fits: {needs}."
    ways = []
    for count in range(settings.microbatches + 1, settings.batch_size // devices + 1):
        enough = memory.state + memory.step * settings.microbatches / count < 0.9 * limit
        if enough and settings.batch_size % (count * devices) == 0:
            ways.append(f"--config.microbatches={count}")
            break
    if settings.model.remat != "full":
        ways.append("--config.model.remat=full")
    if settings.mesh.fsdp not in (0, devices):
        ways.append("a larger --config.mesh.fsdp")
    return f"It does not fit: {needs}; try {' or '.join(ways) or 'a topology with more chips'}."


def _print_json(memory: Memory, limit: int, flops: int | None, traffic: int | None, seconds: float) -> None:
    print(
        json.dumps(
            {
                "fits": memory.total <= limit,
                "hbm_bytes_per_chip": memory.total,
                "hbm_limit": limit,
                "flops_per_chip": flops,
                "collective_bytes": traffic,
                "compile_s": round(seconds, 1),
            }
        )
    )


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


OPTIONS = {
    "topology": ("v5e:4x4", "kind of TPU and its chips along each side"),
    "text": ("", "file to write the compiled program to, as HLO text"),
}

if __name__ == "__main__":
    configs.main(compile_topology, __doc__, OPTIONS, sys.argv)
