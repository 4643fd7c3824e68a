"""Tokens dropped from a tokenizer, with all that stays usable: whatever text they are not part of is cut as before."""

import copy
import unicodedata
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from linkjax.errors import UserError
from linkjax.lexicon.scripts import script_of
from linkjax.vocabulary.merges import ancestors
from linkjax.vocabulary.texts import Text
from linkjax.vocabulary.tokens import Vocabulary

_NO_SCRIPT = "Zyyy"


def trim(vocabulary: Vocabulary, scripts: Collection[str], texts: Sequence[Text]) -> tuple[Vocabulary, list[int]]:
    """The trimmed vocabulary, and for each of its ids the one that it had.

    Tokens stay that are special, added by hand or single bytes, and of the others those written in the given scripts
    (digits and signs are of all) that stand in one of the texts; an empty argument asks for nothing. With a token stay
    those that BPE makes on the way to it. Text in these scripts, or the given texts, are cut as before: what is dropped
    has no part in them.

    Args:
      scripts: ISO 15924 codes.

    Raises:
      UserError: nothing is asked for, or nothing would be dropped.
    """
    if not (scripts or texts):
        raise UserError("trim drops nothing unless told what is in use: give --scripts, --target_text or both.")
    kept = {id for id, meaning in enumerate(vocabulary.meanings) if isinstance(meaning, tuple)}
    kept |= vocabulary.kept_apart | {id for id, byte in enumerate(vocabulary.is_byte) if byte}
    found: set[int] | None = None
    if texts:
        found = set().union(*(text.tokens_of_all(vocabulary) for text in texts))
    for id, meaning in enumerate(vocabulary.meanings):
        in_use = isinstance(meaning, str | bytes) and (found is None or id in found)
        if in_use and (not scripts or _written_in(meaning, scripts)):
            kept.add(id)
    if vocabulary.kind == "BPE":
        kept |= _needed(vocabulary, kept)
    named = [id for id in sorted(kept) if vocabulary.tokens[id] is not None]
    if len(named) == len(vocabulary):
        raise UserError("nothing would be dropped: all tokens are in use.")
    return Vocabulary(_only(vocabulary, named), vocabulary.place), named


def _written_in(meaning: str | bytes, scripts: Collection[str]) -> bool:
    """Whether all letters are of these scripts. Parts of a character at the ends of bytes may be of any."""
    text = meaning.decode(errors="ignore") if isinstance(meaning, bytes) else meaning
    return {script_of(character) for character in unicodedata.normalize("NFC", text)} <= {*scripts, _NO_SCRIPT}


def _needed(vocabulary: Vocabulary, kept: Collection[int]) -> set[int]:
    """The tokens from which BPE makes those kept, their characters included."""
    ids = vocabulary.specification["model"]["vocab"]
    ranks = {pair: rank for rank, pair in enumerate(_merges(vocabulary.specification))}
    spelled = [vocabulary.tokens[id] for id in kept if vocabulary.is_spelled(id) and id not in vocabulary.special]
    parts = {part for token in spelled for part in (*token, *ancestors(token, ranks))}
    return {ids[part] for part in parts if part in ids}


def _merges(specification: Mapping[str, Any]) -> list[tuple[str, str]]:
    pairs = (pair.split(" ") if isinstance(pair, str) else pair for pair in specification["model"]["merges"])
    return [(left, right) for left, right in pairs]


def _only(vocabulary: Vocabulary, kept: Sequence[int]) -> dict[str, Any]:
    """tokenizer.json of these ids, numbered anew."""
    specification = copy.deepcopy(vocabulary.specification)
    model = specification["model"]
    new = {old: index for index, old in enumerate(kept)}
    tokens = {vocabulary.tokens[id] for id in kept}
    if vocabulary.kind == "BPE":
        as_text = bool(model["merges"]) and isinstance(model["merges"][0], str)
        pairs = [pair for pair in _merges(specification) if {*pair, "".join(pair)} <= tokens]
        model["merges"] = [" ".join(pair) if as_text else list(pair) for pair in pairs]
        model["vocab"] = {vocabulary.tokens[old]: index for old, index in new.items()}
    else:
        entries = model["vocab"]
        model["vocab"] = [entries[old] for old in kept if old < len(entries)]
        if model.get("unk_id") is not None:
            model["unk_id"] = new[model["unk_id"]]
    renumber(specification, {vocabulary.tokens[old]: index for old, index in new.items()})
    return specification


def renumber(specification: dict[str, Any], ids: Mapping[str, int]) -> None:
    """Gives the added tokens, and those the post-processor puts around a text, their ids.

    Raises:
      UserError: the post-processor names a token that has none.
    """
    added = [token for token in specification.get("added_tokens") or [] if token["content"] in ids]
    for token in added:
        token["id"] = ids[token["content"]]
    specification["added_tokens"] = sorted(added, key=lambda token: token["id"])
    _renumber_template(specification.get("post_processor"), ids)


def _renumber_template(processor: dict[str, Any] | None, ids: Mapping[str, int]) -> None:
    for part in (processor or {}).get("processors") or []:
        _renumber_template(part, ids)
    for token in ((processor or {}).get("special_tokens") or {}).values():
        token["ids"] = [_id_around(content, ids) for content in token["tokens"]]
    for role in ("sep", "cls"):
        if processor and isinstance(processor.get(role), list):
            processor[role] = [processor[role][0], _id_around(processor[role][0], ids)]


def _id_around(token: str, ids: Mapping[str, int]) -> int:
    if token not in ids:
        raise UserError(
            f"the tokenizer's post_processor puts {token!r:.60} around a text, which is none of its special tokens and"
            " would be dropped: add it to the added_tokens of tokenizer.json, as special."
        )
    return ids[token]
