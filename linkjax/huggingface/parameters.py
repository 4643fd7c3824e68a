"""The decoder's parameters <-> the tensors of Llama and Qwen3 in Hugging Face's layout.

There each layer has tensors of its own, and a matrix has its output in front: of a parameter `a_DxHxK`, layer by layer,
the tensor is (H K) x D. Names: `LlamaForCausalLM` and `Qwen3ForCausalLM` of transformers.
"""

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import numpy as np

from linkjax.errors import UserError
from linkjax.huggingface.folder import ModelFolder, Tensor
from linkjax.model.decoder import ModelSettings

_NAMES = {
    "embedding_VxD": "model.embed_tokens.weight",
    "blocks/norm_attention_D": "model.layers.{}.input_layernorm.weight",
    "blocks/query_DxHxK": "model.layers.{}.self_attn.q_proj.weight",
    "blocks/key_DxGxK": "model.layers.{}.self_attn.k_proj.weight",
    "blocks/value_DxGxK": "model.layers.{}.self_attn.v_proj.weight",
    "blocks/out_HxKxD": "model.layers.{}.self_attn.o_proj.weight",
    "blocks/norm_query_K": "model.layers.{}.self_attn.q_norm.weight",
    "blocks/norm_key_K": "model.layers.{}.self_attn.k_norm.weight",
    "blocks/norm_hidden_D": "model.layers.{}.post_attention_layernorm.weight",
    "blocks/gate_DxF": "model.layers.{}.mlp.gate_proj.weight",
    "blocks/up_DxF": "model.layers.{}.mlp.up_proj.weight",
    "blocks/down_FxD": "model.layers.{}.mlp.down_proj.weight",
    "norm_D": "model.norm.weight",
    "output_VxD": "lm_head.weight",
}
INPUT, OUTPUT = _NAMES["embedding_VxD"], _NAMES["output_VxD"]
_IGNORED = ("rotary_emb.inv_freq",)  # that old Llamas have, and that follow from the settings
_READ_BYTES = 1 << 26  # of a parameter at once
_OF_QK_NORM = ("blocks/norm_query_K", "blocks/norm_key_K")


class _Place(NamedTuple):
    """A layer's parameter, or one outside the layers: its path, its tensor's name and its shape before any padding."""

    path: str
    layer: int | None
    name: str
    shape: tuple[int, ...]

    @property
    def inwards(self) -> int:
        """How many axes in front are summed over: those of a tensor are the other way round; 0 where they are not."""
        of_block, axes = self.layer is not None, len(self.shape)
        return 0 if not of_block or axes == 1 else axes - 1 if self.path.endswith("xD") else 1

    @property
    def there(self) -> tuple[int, ...]:
        """Shape of the tensor."""
        if not self.inwards:
            return self.shape
        return math.prod(self.shape[self.inwards :]), math.prod(self.shape[: self.inwards])

    def to_there(self, array: np.ndarray) -> np.ndarray:
        return array.reshape(self.there[::-1]).T if self.inwards else array

    def part_there(self, part: tuple[slice, ...]) -> tuple[slice, ...]:
        """Where the tensor has a part of the parameter, which is whole along all but the first axis of a group."""
        if not self.inwards:
            return part
        groups = (slice(self.inwards, None), slice(None, self.inwards))
        return tuple(_flat(part[group], self.shape[group]) for group in groups)

    def from_there(self, array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        return array.T.reshape(shape) if self.inwards else array


def _flat(part: tuple[slice, ...], shape: tuple[int, ...]) -> slice:
    if any((at.start, at.stop) != (0, size) for at, size in zip(part[1:], shape[1:], strict=True)):
        raise ValueError(f"{part} of {shape} is not in one piece")
    rest = math.prod(shape[1:])
    return slice(part[0].start * rest, part[0].stop * rest)


def _places(settings: ModelSettings, vocabulary: int) -> Iterator[_Place]:
    """In the order in which they are written."""
    sizes = {
        "V": vocabulary,
        "D": settings.width,
        "H": settings.heads,
        "G": settings.kv_heads,
        "K": settings.head_width,
        "F": settings.hidden,
    }
    used = [
        path
        for path in _NAMES
        if not ((path in _OF_QK_NORM and not settings.qk_norm) or (path == "output_VxD" and settings.tied_embeddings))
    ]

    def shape(path: str) -> tuple[int, ...]:
        return tuple(sizes[axis] for axis in path.rpartition("_")[2].split("x"))

    before = [path for path in used if path == "embedding_VxD"]
    within = [path for path in used if path.startswith("blocks/")]
    for path in before:
        yield _Place(path, None, _NAMES[path], shape(path))
    for layer in range(settings.layers):
        for path in within:
            yield _Place(path, layer, _NAMES[path].format(layer), shape(path))
    for path in used:
        if path not in (*before, *within):
            yield _Place(path, None, _NAMES[path], shape(path))


def shapes(settings: ModelSettings, vocabulary: int) -> dict[str, tuple[int, ...]]:
    """Name of each tensor of a model -> its shape. `vocabulary`: rows of the embeddings."""
    return {place.name: place.there for place in _places(settings, vocabulary)}


def to_tensors(params: Any, settings: ModelSettings, vocabulary: int, dtype: np.dtype) -> dict[str, Tensor]:
    """A decoder's parameters as tensors to write, each made when its turn comes.

    Args:
      vocabulary: rows of the embeddings that are written; the others are padding.
      dtype: to round them to.
    """

    def read(place: _Place) -> np.ndarray:
        held = params["blocks"][place.path.removeprefix("blocks/")] if place.layer is not None else params[place.path]
        if place.layer is not None:
            held = held[place.layer]
        elif place.path.endswith("VxD"):
            held = held[:vocabulary]
        return place.to_there(np.asarray(held)).astype(dtype)

    return {
        place.name: Tensor(place.there, dtype, lambda place=place: read(place))
        for place in _places(settings, vocabulary)
    }


def check(folder: ModelFolder, settings: ModelSettings) -> None:
    """Raises UserError where a folder's tensors are not those of the model that its config says."""
    wanted = {OUTPUT} if settings.tied_embeddings else set()  # some write it although it is the input's
    for place in _places(settings, settings.vocabulary):  # which may be very many, by a damaged config
        name, shape = place.name, folder.shape(place.name)
        if shape != place.there:
            raise UserError(
                f"{folder.path}: {name} is {list(shape)}, and by its config.json {list(place.there)}: fetch the folder"
                " again."
            )
        folder.dtype(name)
        wanted.add(name)
    more = [name for name in folder.names if name not in wanted and not name.endswith(_IGNORED)]
    if more:
        raise UserError(
            f"{folder.path} has {len(more)} tensors that a model as its config.json says has not, {more[0]}: choose"
            " another model."
        )


def from_folder(folder: ModelFolder, settings: ModelSettings, abstract: Any) -> Any:
    """A decoder's parameters, each device's part read for it alone.

    Args:
      settings: those that the folder says.
      abstract: shapes, types and shardings of the parameters.

    Raises:
      UserError: the folder has other tensors, or a weight that is not finite.
    """
    check(folder, settings)
    by_path: dict[str, list[_Place]] = {}
    for place in _places(settings, settings.vocabulary):
        by_path.setdefault(place.path, []).append(place)

    def made(path: tuple[Any, ...], leaf: jax.ShapeDtypeStruct) -> jax.Array:
        places = by_path["/".join(key.key for key in path)]

        def part(index: tuple[slice, ...]) -> np.ndarray:
            index = tuple(slice(*at.indices(size)[:2]) for at, size in zip(index, leaf.shape, strict=True))
            result = np.zeros([at.stop - at.start for at in index], leaf.dtype)
            if places[0].layer is None:
                _fill(result, folder, places[0], index)
            else:
                for here, layer in enumerate(range(index[0].start, index[0].stop)):
                    _fill(result[here], folder, places[layer], index[1:])
            return result

        return jax.make_array_from_callback(leaf.shape, leaf.sharding, part, dtype=leaf.dtype)

    return jax.tree_util.tree_map_with_path(made, abstract)


def _fill(target: np.ndarray, folder: ModelFolder, place: _Place, part: tuple[slice, ...]) -> None:
    """Reads some of it at a time; padding of the vocabulary stays 0."""
    begin, end = part[0].start, min(part[0].stop, place.shape[0])
    step = max(1, _READ_BYTES // max(1, target[:1].nbytes))
    for start in range(begin, end, step):
        stop = min(start + step, end)
        array = folder.read(place.name, place.part_there((slice(start, stop), *part[1:])))
        if not np.isfinite(array).all():
            raise UserError(f"{folder.path}: {place.name} has a weight that is not finite: fetch the folder again.")
        target[start - begin : stop - begin] = place.from_there(array, (stop - start, *target.shape[1:]))
