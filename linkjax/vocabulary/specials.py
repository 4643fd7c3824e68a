"""The special ids of a model's folder, in every file that names them."""

import copy
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from linkjax.data.special_ids import id_numbers
from linkjax.errors import UserError
from linkjax.files import read_json, read_whole
from linkjax.huggingface.folder import json_text
from linkjax.vocabulary.tokens import Vocabulary

_ROLES = {"bos_token_id": "bos_token", "eos_token_id": "eos_token", "pad_token_id": "pad_token"}
_GENERATION, _TOKENIZER, _TOKENIZER_CONFIG = "generation_config.json", "tokenizer.json", "tokenizer_config.json"
_BESIDE = ("special_tokens_map.json", "chat_template.jinja", "chat_template.json")
_BYTES = 1 << 26


def roles_of(folder: pathlib.Path, vocabulary: Vocabulary) -> dict[str, int]:
    """Ids of the tokens that begin, end and pad a text, as tokenizer_config.json says, under config.json's names."""
    said = _json(folder / _TOKENIZER_CONFIG)
    found = {}
    for key, name in _ROLES.items():
        token = said.get(name)
        token = token.get("content") if isinstance(token, dict) else token
        if isinstance(token, str) and token in vocabulary.tokens:
            found[key] = vocabulary.tokens.index(token)
    return found


def role_matches(config: Mapping[str, Any], roles: Mapping[str, int]) -> dict[int, int]:
    """New id -> old id of the tokens with a role, whatever each vocabulary calls them.

    Where the old model puts nothing before a text, its end stands between two texts: what the beginning is to others.
    """
    found = {}
    for key, id in sorted(roles.items(), key=lambda role: role[0] != "eos_token_id"):  # an end that pads is an end
        others = ("eos_token_id",) if key == "bos_token_id" else ()
        old = next((listed[0] for name in (key, *others) if (listed := id_numbers(config, name))), None)
        if old is not None:
            found.setdefault(id, old)
    return found


def moved_config(
    config: Mapping[str, Any], matched: Sequence[int | None], rows: int, roles: Mapping[str, int]
) -> dict[str, Any]:
    """config.json, or generation_config.json, of the new vocabulary.

    Args:
      rows: of its embeddings.
      roles: those that the new vocabulary has of its own, see `roles_of`.

    Raises:
      UserError: the new vocabulary has no token for the end of a text.
    """
    config = copy.deepcopy(dict(config))
    new = {old: id for id, old in reversed(list(enumerate(matched))) if old is not None}
    for key in _ROLES:
        if config.get(key) is None:
            continue
        moved = [roles[key]] if key in roles else [new[id] for id in id_numbers(config, key) if id in new]
        if key == "eos_token_id" and not moved:
            raise UserError(
                f"the new vocabulary has no token for the end of a text (the old one's id is {config[key]}): name a"
                f" folder whose {_TOKENIZER_CONFIG} says its eos_token."
            )
        config[key] = moved if isinstance(config[key], list) else (moved or [None])[0]
    if "vocab_size" in config:
        config["vocab_size"] = rows
    return config


def files_of(
    model: pathlib.Path,
    beside: pathlib.Path,
    new: Vocabulary,
    matched: Sequence[int | None],
    roles: Mapping[str, int],
) -> dict[str, str | bytes]:
    """What stands beside the weights of the new model: the tokenizer's files, and how text is generated.

    Args:
      model: folder of the old model.
      beside: folder that the new tokenizer is from.
    """
    files: dict[str, str | bytes] = {_TOKENIZER: json_text(new.specification)}
    if said := _json(beside / _TOKENIZER_CONFIG):
        if isinstance(decoder := said.get("added_tokens_decoder"), dict):
            ids = {token: id for id, token in enumerate(new.tokens)}
            named = [(token.get("content"), token) for token in decoder.values() if isinstance(token, dict)]
            known = {str(ids[name]): token for name, token in named if isinstance(name, str) and name in ids}
            said["added_tokens_decoder"] = known
        files[_TOKENIZER_CONFIG] = json_text(said)
    if generation := _json(model / _GENERATION):
        files[_GENERATION] = json_text(moved_config(generation, matched, 0, roles))
    for name in _BESIDE:
        if (beside / name).exists():
            files[name] = read_whole(beside / name, _BYTES, "that is not what is expected there")
    return files


def _json(path: pathlib.Path) -> dict[str, Any]:
    said = read_json(path, _BYTES) if path.exists() else {}
    if not isinstance(said, dict):
        raise UserError(f"{path} is no JSON object: fetch the folder again.")
    return said
