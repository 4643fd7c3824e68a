"""The ids that begin and end a document, of a tokenizer in Hugging Face's layout."""

import pathlib
from collections.abc import Iterator
from typing import Any, NamedTuple

from linkjax.errors import UserError
from linkjax.files import read_json

IDS = "tokenizer_ids.json"
# What the token behind a document of pretraining is called, where a model has others that end a turn of a talk.
_ENDS_OF_TEXT = ("<|endoftext|>", "<|end_of_text|>", "</s>", "<eos>", "<|end▁of▁sentence|>", "[EOS]")
_MOST_BYTES = 1 << 24


class SpecialIds(NamedTuple):
    """Attributes:
    eos: stands behind each document.
    start: stands before each document, and is never predicted there.
    pad: fills rows; nothing sees it.
    """

    eos: int
    start: int
    pad: int


def read_ids(folder: pathlib.Path, tokenizer: dict[str, Any]) -> SpecialIds:
    """As LinkJAX recorded them beside a `tokenizer.json`; otherwise from what a model's folder says.

    The start is the token that the tokenizer puts before every text (Llama), else the end of a text (Qwen3).

    Args: `tokenizer`, what `tokenizer.json` says.

    Raises:
      UserError: nothing says how a document ends, or a file is broken.
    """
    if (folder / IDS).exists():
        return _recorded(folder / IDS)
    config, generation, settings = (
        _object(folder / name) for name in ("config.json", "generation_config.json", "tokenizer_config.json")
    )
    known = _added(tokenizer)
    names = {number: name for name, number in known.items()}
    ends = [*id_numbers(config, "eos_token_id"), *id_numbers(generation, "eos_token_id")]
    ends += _named(settings, "eos_token", known)
    ends = ends or [known[name] for name in _ENDS_OF_TEXT if name in known]
    if not ends:
        raise UserError(
            f"{folder} does not say which token ends a text: put the model's config.json or tokenizer_config.json"
            " beside tokenizer.json."
        )
    eos = next((end for end in ends if names.get(end) in _ENDS_OF_TEXT), ends[0])
    begins = list(first_of(tokenizer.get("post_processor")))
    if settings.get("add_bos_token") is not None:
        bos = [*_named(settings, "bos_token", known), *id_numbers(config, "bos_token_id")]
        begins = bos if settings["add_bos_token"] is True else []
    pads = [pad for pad in id_numbers(config, "pad_token_id") if pad in names]  # some say one that there is not
    pads = [*_named(settings, "pad_token", known), *pads, eos]
    return SpecialIds(eos, begins[0] if begins else eos, pads[0])


def _recorded(path: pathlib.Path) -> SpecialIds:
    record = _object(path)
    ids = [number for name in SpecialIds._fields for number in id_numbers(record, name)]
    if len(ids) != len(SpecialIds._fields):
        raise UserError(f"{path} is no record of the ids {', '.join(SpecialIds._fields)}: prepare or copy it again.")
    return SpecialIds(*ids)


def _object(path: pathlib.Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    content = read_json(path, _MOST_BYTES)
    if not isinstance(content, dict):
        raise UserError(f"{path} is no JSON object: fetch it again.")
    return content


def id_numbers(config: dict[str, Any], key: str) -> list[int]:
    """An id, or a list of them, as a model's config has them."""
    value = config.get(key)
    values = value if isinstance(value, list) else [value]
    return [number for number in values if isinstance(number, int) and not isinstance(number, bool) and number >= 0]


def _named(settings: dict[str, Any], key: str, known: dict[str, int]) -> list[int]:
    """The id of a token that is named, or described by its 'content'."""
    token = settings.get(key)
    name = token.get("content") if isinstance(token, dict) else token
    return [known[name]] if isinstance(name, str) and name in known else []


def _added(tokenizer: dict[str, Any]) -> dict[str, int]:
    return {token["content"]: token["id"] for token in tokenizer.get("added_tokens") or []}


def first_of(processor: Any) -> Iterator[int]:
    """The special token that a post-processor puts before a text."""
    processor = processor if isinstance(processor, dict) else {}
    for part in processor.get("processors", []):
        yield from first_of(part)
    if processor.get("type") == "TemplateProcessing":
        first = (processor.get("single") or [{}])[0].get("SpecialToken")
        if first:
            yield processor["special_tokens"][first["id"]]["ids"][0]
    elif processor.get("type") in ("BertProcessing", "RobertaProcessing"):
        yield processor["cls"][1]
