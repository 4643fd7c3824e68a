"""What a compiled program does, read from its text: matrix products, collectives and the largest arrays.

XLA's own `cost_analysis` counts the body of a loop once. Here it counts as often as the loop runs, which is annotated
or follows from its counter's start, step and bound. Of a conditional's branches the costliest counts.

HLO text: https://openxla.org/xla/operation_semantics and, for shapes and layouts, https://openxla.org/xla/shapes.
"""

import dataclasses
import math
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

COLLECTIVES = ("all-gather", "all-reduce", "reduce-scatter", "collective-permute", "all-to-all")
_ARRAY = re.compile(r"\b(pred|[a-z]+\d+\w*)\[([\d,]*)\]")
_HEADER = re.compile(r"(ENTRY )?%?(\S+) \(.*\) -> .*\{$")
_SAME_VALUE = ("copy", "bitcast", "convert", "reshape", "copy-done", "copy-start")


class Array(NamedTuple):
    """An array's element type and dimensions."""

    type: str
    dimensions: tuple[int, ...]

    @property
    def elements(self) -> int:
        return math.prod(self.dimensions)

    @property
    def bytes(self) -> int:
        bits = 8 if self.type == "pred" else int(re.search(r"\d+", self.type).group())
        return self.elements * bits // 8


class Instruction(NamedTuple):
    """One line of a computation. `arrays` are those of its result, of a tuple all; `rest` are its attributes."""

    name: str
    arrays: tuple[Array, ...]
    opcode: str
    operands: tuple[str, ...]
    rest: str
    is_root: bool

    def attribute(self, name: str) -> str | None:
        """What is after `name=`, up to the next comma that is not in brackets."""
        found = re.search(rf"\b{name}=(\{{[^}}]*\}}|[^\s,]+)", self.rest)
        return found.group(1) if found else None

    def numbers(self, name: str) -> list[int]:
        return [int(number) for number in re.findall(r"\d+", self.attribute(name) or "")]


class Collective(NamedTuple):
    """A collective operation: what kind, bytes on each device (of the larger side), how often it runs."""

    kind: str
    bytes: int
    times: int
    array: Array  # the largest
    source: str  # the line of the model that it comes from, as JAX names it


Computation = dict[str, Instruction]


@dataclasses.dataclass(frozen=True)
class Program:
    """A compiled program: computations by name, of which `entry` is run."""

    computations: dict[str, Computation]
    entry: str
    _known_flops: dict[str, int] = dataclasses.field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> "Program":
        """From `compiled.as_text()`."""
        computations: dict[str, Computation] = {}
        entry, current = "", {}
        for line in text.splitlines():
            if not line.startswith(" ") and (header := _HEADER.match(line)):
                current = computations.setdefault(header.group(2), {})
                entry = header.group(2) if header.group(1) else entry
            elif line.startswith("  ") and " = " in line and (instruction := _instruction(line)):
                current[instruction.name] = instruction
        if not entry:
            raise ValueError("the text is no HLO module: it has no ENTRY.")
        return cls(computations, entry)

    def product_flops(self) -> int:
        """Operations in matrix products and convolutions on each device, a multiply-add being two."""
        return self._flops(self.entry)

    def collectives(self) -> list[Collective]:
        """Those on the way from the entry.

        One that the compiler for TPU runs beside computations is written down in each of them, with its channel and
        the number of its chain; it is begun once, where it is met first.
        """
        found: dict[Any, Collective] = {}
        for name, instruction, times in self._walk(self.entry, 1):
            kind = instruction.opcode.removesuffix("-start")
            if kind not in COLLECTIVES:
                continue
            computation = self.computations[name]
            inputs = [array for operand in instruction.operands for array in self._arrays(computation, operand)]
            outputs = list(instruction.arrays)
            if instruction.opcode.endswith("-start"):  # its tuple has inputs and outputs
                inputs, outputs = [], [max(outputs, key=lambda array: array.bytes)]
            size = max(sum(array.bytes for array in side) for side in (inputs, outputs))
            if kind == "all-reduce" and name.startswith("all-reduce-scatter"):
                kind = "reduce-scatter"  # as XLA for TPU writes it: each device keeps a part of the sum
            largest = max(inputs + outputs, key=lambda array: array.bytes)
            source = re.search(r'op_name="([^"]*)"', instruction.rest)
            one = Collective(kind, size, times, largest, source.group(1) if source else "")
            chain = re.search(r'chain_id="\d+"', instruction.rest)
            key = (instruction.attribute("channel_id"), chain.group()) if chain else len(found)
            found.setdefault(key, one)
        return list(found.values())

    def kernels(self) -> int:
        """Runs of kernels whose inside XLA does not see, Pallas's on TPU."""
        return sum(
            times
            for _, instruction, times in self._walk(self.entry, 1)
            if instruction.attribute("custom_call_target") == '"tpu_custom_call"'
        )

    def arrays(self) -> set[Array]:
        """All arrays that are written down anywhere, also those that fusion keeps out of memory."""
        return {array for one in self.computations.values() for line in one.values() for array in line.arrays}

    def unknown_loops(self) -> int:
        """Loops whose number of runs cannot be read; they are counted as running once."""
        loops = [
            self._trips(name, line)
            for name, one in self.computations.items()
            for line in one.values()
            if line.opcode == "while"
        ]
        return loops.count(None)

    def _walk(self, name: str, times: int) -> Iterator[tuple[str, Instruction, int]]:
        """Yields (computation, instruction, how often it runs) of all that is reached."""
        for instruction in self.computations[name].values():
            yield name, instruction, times
            for called, count in self._called(name, instruction):
                yield from self._walk(called, times * count)

    def _called(self, name: str, instruction: Instruction) -> list[tuple[str, int]]:
        """Computations that an instruction runs, and how often."""
        if instruction.opcode == "while":
            return [(instruction.attribute("body").lstrip("%"), self._trips(name, instruction) or 1)]
        if instruction.opcode == "conditional":
            listed = instruction.attribute("branch_computations")
            two = (instruction.attribute(f"{side}_computation") for side in ("true", "false"))
            branches = re.findall(r"[^\s,{}%]+", listed) if listed else [branch.lstrip("%") for branch in two]
            return [(max(branches, key=self._flops), 1)]
        if instruction.opcode in ("fusion", "async-start", "call"):
            called = instruction.attribute("calls") or instruction.attribute("to_apply")
            return [(called.lstrip("%"), 1)]
        return []

    def _flops(self, name: str) -> int:
        if name in self._known_flops:
            return self._known_flops[name]
        computation, total = self.computations[name], 0
        for instruction in computation.values():
            if instruction.opcode in ("dot", "convolution"):
                sides = [self._arrays(computation, operand)[0].dimensions for operand in instruction.operands[:2]]
                count = _dot_flops if instruction.opcode == "dot" else _convolution_flops
                total += count(instruction, *sides)
            total += sum(count * self._flops(called) for called, count in self._called(name, instruction))
        self._known_flops[name] = total
        return total

    def _arrays(self, computation: Computation, operand: str) -> tuple[Array, ...]:
        return computation[operand].arrays if operand in computation else ()

    def _trips(self, name: str, loop: Instruction) -> int | None:
        """How often a loop runs, or None where that cannot be read."""
        if known := re.search(r'"known_trip_count":\{"n":"(\d+)"', loop.rest):
            return int(known.group(1))
        condition = self.computations[loop.attribute("condition").lstrip("%")]
        body = self.computations[loop.attribute("body").lstrip("%")]
        compare, sides = self._seen(condition, _root(condition), "compare")
        if compare is None or compare.attribute("direction") not in ("LT", "LE"):
            return None
        counter, bound = sides
        if counter.opcode != "get-tuple-element" or bound.opcode != "constant":
            return None
        (index,) = counter.numbers("index")
        start = self._start(self.computations[name], loop, index)
        advanced = _same(body, _root(body).operands[index])
        add, parts = self._seen(body, advanced, "add")
        steps = [int(part.operands[0]) for part in parts if part.opcode == "constant"] if add else []
        if start is None or len(steps) != 1 or steps[0] < 1:
            return None
        reach = int(bound.operands[0]) + (compare.attribute("direction") == "LE") - start
        return max(-(-reach // steps[0]), 0)

    def _start(self, computation: Computation, loop: Instruction, index: int) -> int | None:
        initial = _same(computation, loop.operands[0])
        if initial.opcode != "tuple":
            return None
        first = _same(computation, initial.operands[index])
        return int(first.operands[0]) if first.opcode == "constant" else None

    def _seen(
        self, computation: Computation, line: Instruction, opcode: str
    ) -> tuple[Instruction | None, list[Instruction]]:
        """An instruction of this kind, by itself or all that a fusion does, and where its operands come from."""
        if line.opcode == opcode:
            return line, [_same(computation, operand) for operand in line.operands]
        if line.opcode == "fusion":
            inside = self.computations[line.attribute("calls").lstrip("%")]
            root = _root(inside)
            if root.opcode == opcode:
                parts = [_same(inside, operand) for operand in root.operands]
                outside = [
                    _same(computation, line.operands[int(part.operands[0])]) if part.opcode == "parameter" else part
                    for part in parts
                ]
                return root, outside
        return None, []


def _same(computation: Computation, name: str) -> Instruction:
    """The instruction that a value comes from, through what only moves it."""
    line = computation[name]
    while line.opcode in _SAME_VALUE and line.operands and line.operands[0] in computation:
        line = computation[line.operands[0]]
    return line


def _root(computation: Computation) -> Instruction:
    return next(line for line in computation.values() if line.is_root)


def _instruction(line: str) -> Instruction | None:
    head, _, text = line.partition(" = ")
    is_root = head.lstrip().startswith("ROOT ")
    shape, text = _bracketed(text) if text.startswith("(") else text.split(" ", 1)
    opcode, bracket, text = text.lstrip().partition("(")
    if not bracket:
        return None
    inner, rest = _bracketed(bracket + text)
    operands = re.sub(r"/\*.*?\*/", "", inner[1:-1]) if opcode != "constant" else inner[1:-1]
    names = tuple(part.split()[-1].lstrip("%") for part in re.split(r",\s*(?![^{\[]*[}\]])", operands) if part.strip())
    arrays = tuple(
        Array(kind, tuple(int(size) for size in dimensions.split(",") if size))
        for kind, dimensions in _ARRAY.findall(shape)
    )
    return Instruction(head.split()[-1].lstrip("%"), arrays, opcode, names, rest, is_root)


def _bracketed(text: str) -> tuple[str, str]:
    """Splits text behind the bracket that closes its first one."""
    depth = 0
    for found in re.finditer(r"[()]", text):
        depth += 1 if found.group() == "(" else -1
        if depth == 0:
            return text[: found.end()], text[found.end() :]
    return text, ""


def _dot_flops(dot: Instruction, left: tuple[int, ...], _: tuple[int, ...]) -> int:
    summed = math.prod(left[axis] for axis in dot.numbers("lhs_contracting_dims"))
    return 2 * dot.arrays[0].elements * summed


def _convolution_flops(line: Instruction, left: tuple[int, ...], right: tuple[int, ...]) -> int:
    """XLA for TPU writes matrix products as convolutions; places of the window in the padding cost nothing."""
    labels = line.attribute("dim_labels")
    left_labels, right_labels, out_labels = re.split("_|->", labels)
    out = line.arrays[0].dimensions
    flops = 2 * out[out_labels.index("b")] * out[out_labels.index("f")] * right[right_labels.index("i")]
    flops //= int(line.attribute("batch_group_count") or 1)
    spatial = len(left_labels) - 2
    window = dict(re.findall(r"(\w+)=(\S+)", (line.attribute("window") or "")[1:-1]))

    def per_dimension(name: str, default: str) -> list[list[int]]:
        values = window[name].split("x") if name in window else [default] * spatial
        return [[int(number) for number in value.split("_")] for value in values]

    strides, pads = per_dimension("stride", "1"), per_dimension("pad", "0_0")
    spread_left, spread_right = per_dimension("lhs_dilate", "1"), per_dimension("rhs_dilate", "1")
    for axis in range(spatial):
        label = str(axis)
        size = left[left_labels.index(label)]
        kernel, places = right[right_labels.index(label)], out[out_labels.index(label)]
        at = np.arange(places)[:, None] * strides[axis][0] - pads[axis][0]
        at = at + np.arange(kernel)[None] * spread_right[axis][0]
        inside = (at >= 0) & (at <= (size - 1) * spread_left[axis][0]) & (at % spread_left[axis][0] == 0)
        flops *= int(inside.sum())
    return flops
