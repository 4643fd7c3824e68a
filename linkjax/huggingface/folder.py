"""A folder with a model in Hugging Face's layout, read lazily and written whole.

config.json                       shape of the model, as data
model.safetensors                 the weights, or
model-00001-of-00002.safetensors  a part of them each, and
model.safetensors.index.json      which part has which

safetensors: https://github.com/huggingface/safetensors#format, an 8-byte length, a header in JSON, the tensors' bytes.
"""

import contextlib
import json
import math
import os
import pathlib
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, BinaryIO, NamedTuple

import ml_dtypes
import numpy as np
import safetensors

from linkjax.errors import UserError
from linkjax.files import inside, read_json, regular_size
from linkjax.preparation.partial import FOLDER, Exists, whole_or_not_at_all

CONFIG, WEIGHTS, INDEX = "config.json", "model.safetensors", "model.safetensors.index.json"
SHARD_BYTES = 5_000_000_000
_INDEX_BYTES = 64 * 2**20
DTYPES = {
    "F64": np.dtype(np.float64),
    "F32": np.dtype(np.float32),
    "F16": np.dtype(np.float16),
    "BF16": np.dtype(ml_dtypes.bfloat16),
}
_CODES = {dtype: code for code, dtype in DTYPES.items()}


class Tensor(NamedTuple):
    """A tensor that is made when its turn comes. `read` gives it, of this shape and type."""

    shape: tuple[int, ...]
    dtype: np.dtype
    read: Callable[[], np.ndarray]

    @classmethod
    def of(cls, array: np.ndarray) -> "Tensor":
        return cls(array.shape, array.dtype, lambda: array)

    @property
    def bytes(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize


class ModelFolder:
    """A model's folder, opened for reading: nothing of the weights is in memory before it is asked for.

    Attributes:
      config: what config.json says.
      names: of the tensors.
    """

    def __init__(self, path: pathlib.Path, config: dict[str, Any], slices: dict[str, Any]):
        self.path, self.config, self._slices = path, config, slices

    @classmethod
    def open(cls, path: pathlib.Path) -> "ModelFolder":
        """Raises UserError where the folder is not of that layout, or a file is missing or damaged."""
        if not path.is_dir():
            raise UserError(f"{path} is no folder: name one with {CONFIG} and *.safetensors.")
        return cls(path, read_config(path), _slices(path))

    @property
    def names(self) -> list[str]:
        return sorted(self._slices)

    def shape(self, name: str) -> tuple[int, ...]:
        return tuple(self._of(name).get_shape())

    def dtype(self, name: str) -> np.dtype:
        """Raises UserError where it is none of floating point."""
        code = self._of(name).get_dtype()
        if code not in DTYPES:
            raise UserError(f"{self.path}: {name} is stored as {code}: save the model with float weights, as BF16.")
        return DTYPES[code]

    def read(self, name: str, part: tuple[slice, ...] = ()) -> np.ndarray:
        """A tensor, or a part of it, as it is stored; bfloat16 as that of ml_dtypes."""
        self.dtype(name)
        held = self._of(name)
        whole = tuple(slice(0, size) for size in held.get_shape())
        part = (*part, *whole[len(part) :])
        starts_and_stops = tuple(slice(*at.indices(every.stop)[:2]) for at, every in zip(part, whole, strict=True))
        try:
            return held[starts_and_stops or ...]
        except (safetensors.SafetensorError, ValueError, OSError) as error:
            raise UserError(f"{self.path}: {name} cannot be read ({error}): fetch the folder again.") from error

    def tensor(self, name: str) -> Tensor:
        """To be written elsewhere."""
        return Tensor(self.shape(name), self.dtype(name), lambda: self.read(name))

    def _of(self, name: str) -> Any:
        if name not in self._slices:
            raise UserError(f"{self.path} has no tensor '{name}': it is not of the model that its {CONFIG} says.")
        return self._slices[name]


def read_config(path: pathlib.Path) -> dict[str, Any]:
    """What config.json of a model's folder says.

    Raises:
      UserError: it is missing, or no JSON object.
    """
    config = read_json(path / CONFIG)
    if not isinstance(config, dict):
        raise UserError(f"{path / CONFIG} is no JSON object: name a folder with a model.")
    return config


def _slices(path: pathlib.Path) -> dict[str, Any]:
    """Name of each tensor -> what reads it."""
    if (path / INDEX).exists():
        index = read_json(path / INDEX, _INDEX_BYTES)
        placed = index.get("weight_map") if isinstance(index, dict) else None
        if not (isinstance(placed, dict) and placed):
            raise UserError(f"{path / INDEX} has no 'weight_map': fetch it again.")
        shards = {str(file): _opened(inside(path, file)) for file in dict.fromkeys(map(str, placed.values()))}
    elif (path / WEIGHTS).exists():
        shards = {WEIGHTS: _opened(path / WEIGHTS)}
        placed = dict.fromkeys(shards[WEIGHTS].keys(), WEIGHTS)
    else:
        others = ", ".join(sorted(found.name for found in path.glob("*.bin"))[:3])
        raise UserError(
            f"{path} has neither {WEIGHTS} nor {INDEX}{f', only {others}' if others else ''}: save the model as"
            " safetensors."
        )
    held = {file: set(shard.keys()) for file, shard in shards.items()}
    for name, file in placed.items():
        if name not in held[str(file)]:
            raise UserError(f"{path / INDEX} says that {file} has '{name}', and it has not: fetch the folder again.")
    return {name: shards[str(file)].get_slice(name) for name, file in placed.items()}


def _opened(path: pathlib.Path) -> Any:
    try:
        regular_size(path)
        return safetensors.safe_open(path, "np")
    except (safetensors.SafetensorError, OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"{path} cannot be read as safetensors ({reason}): fetch it again.") from error


def write_folder(
    out: pathlib.Path,
    config: Mapping[str, Any],
    tensors: Mapping[str, Tensor],
    files: Mapping[str, str | bytes],
    shard_bytes: int = SHARD_BYTES,
    progress: Callable[[Iterable[str]], Iterable[str]] = lambda names: names,
) -> None:
    """Writes a model's folder, which appears whole or not at all: the same bytes for the same input.

    Args:
      out: must not be there yet, or be empty.
      tensors: by name; one at a time is in memory.
      files: name -> content of what stands beside the weights.
      shard_bytes: of a file of weights at most, unless one tensor is larger.
      progress: wraps the tensors' names.

    Raises:
      Exists: `out` is there.
      UserError: it cannot be written.
    """
    out = out.absolute()
    try:
        if out.is_dir() and not any(out.iterdir()):
            out.rmdir()
        with whole_or_not_at_all(out, goes_on=False) as partial:
            folder = partial / FOLDER
            for name, content in {CONFIG: json_text(config), **files}.items():
                (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
            _write_weights(folder, tensors, shard_bytes, progress)
    except OSError as error:
        raise UserError(f"{out} cannot be written: {error.strerror or error}.") from error


def json_text(content: Any) -> str:
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def _write_weights(
    folder: pathlib.Path,
    tensors: Mapping[str, Tensor],
    shard_bytes: int,
    progress: Callable[[Iterable[str]], Iterable[str]],
) -> None:
    shards: list[list[str]] = [[]]
    size = 0
    for name, tensor in tensors.items():
        if shards[-1] and size + tensor.bytes > shard_bytes:
            shards.append([])
            size = 0
        shards[-1].append(name)
        size += tensor.bytes
    files = [WEIGHTS] if len(shards) == 1 else [
        f"model-{number:05}-of-{len(shards):05}.safetensors" for number in range(1, len(shards) + 1)
    ]  # fmt: skip
    names = iter(progress(tensors))
    for file, shard in zip(files, shards, strict=True):
        with _durable(folder / file) as written:
            written.write(_header({name: tensors[name] for name in shard}))
            for name in (next(names) for _ in shard):
                written.write(_bytes(name, tensors[name]))
    for _ in names:  # the end of a progress bar
        pass
    if len(shards) > 1:
        total = sum(tensor.bytes for tensor in tensors.values())
        placed = {name: file for file, shard in zip(files, shards, strict=True) for name in shard}
        index = {"metadata": {"total_size": total}, "weight_map": dict(sorted(placed.items()))}
        (folder / INDEX).write_text(json_text(index), encoding="utf-8")


def _header(tensors: Mapping[str, Tensor]) -> bytes:
    about: dict[str, Any] = {"__metadata__": {"format": "pt"}}  # which transformers asks for
    start = 0
    for name, tensor in tensors.items():
        ends = [start, start + tensor.bytes]
        about[name] = {"dtype": _CODES[tensor.dtype], "shape": list(tensor.shape), "data_offsets": ends}
        start += tensor.bytes
    text = json.dumps(about, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text


def _bytes(name: str, tensor: Tensor) -> memoryview:
    array = tensor.read()
    if array.shape != tensor.shape or array.dtype != tensor.dtype:
        raise ValueError(f"{name} is {array.dtype}{array.shape}, not {tensor.dtype}{tensor.shape}")
    flat = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
    return memoryview(flat if sys.byteorder == "little" else flat.reshape(-1, array.itemsize)[:, ::-1].tobytes())


@contextlib.contextmanager
def _durable(path: pathlib.Path) -> Iterator[BinaryIO]:
    with path.open("wb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())


__all__ = ["CONFIG", "DTYPES", "Exists", "ModelFolder", "Tensor", "json_text", "read_config", "write_folder"]
