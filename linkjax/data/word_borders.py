"""Which tokenizers of Hugging Face's never join a word to the space after it, so that words can be tokenized once.

A border is before a space that follows a visible character. Whether a tokenizer cuts at every border, with nothing on
one side changing the tokens of the other, is read off its own description; what is not known here is not guessed at.

Formats: the components of `tokenizer.json`, https://huggingface.co/docs/tokenizers/components.
"""

import itertools
import re
from collections.abc import Sequence
from typing import Any

BLANK = "▁"  # what some tokenizers write for a space

# Splits, as tiktoken's vocabularies and their descendants have them, in which white space begins every match that has
# it, but where line ends follow a sign; and which look ahead over white space alone.
# https://github.com/openai/tiktoken/blob/main/tiktoken_ext/openai_public.py
_ENDINGS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_UPPER, _LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
_REST = r"|\s*[\r\n]+|\s+(?!\S)|\s+"
_CASED = rf"[^\r\n\p{{L}}\p{{N}}]?{_UPPER}*{_LOWER}+{{0}}|[^\r\n\p{{L}}\p{{N}}]?{_UPPER}+{_LOWER}*{{0}}"
_KNOWN_SPLITS = {
    r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
    *(
        _ENDINGS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|" + digits + r"| ?[^\s\p{L}\p{N}]+[\r\n]*" + _REST
        for digits in (r"\p{N}{1,3}", r"\p{N}")
    ),
    *(
        _CASED.replace("{0}", endings) + "|" + digits + r"| ?[^\s\p{L}\p{N}]+[\r\n/]*" + _REST
        for endings in (f"{_ENDINGS}?", "")
        for digits in (r"\p{N}{1,3}", r"\p{N}")
    ),
}


_SPACE = re.compile(" ")


def is_visible(character: str) -> bool:
    """Whether a space after it is a border. Characters that some hold for white space, or for none, are not."""
    return character not in ("", " ", BLANK) and character.isprintable()


def segments(text: str) -> list[str]:
    """The text, cut at its borders."""
    spaces = (space.start() for space in _SPACE.finditer(text))
    cuts = [place for place in spaces if place and is_visible(text[place - 1])]
    return [text[start:end] for start, end in zip([0, *cuts], [*cuts, None], strict=True)]


def cuts_at_borders(tokenizer: dict[str, Any]) -> bool:
    """Whether tokens of a text are those of its segments, by what `tokenizer.json` says."""
    normalizers = _parts(tokenizer.get("normalizer"), "normalizers")
    stages = _parts(tokenizer.get("pre_tokenizer"), "pretokenizers")
    if not all(map(_keeps_borders, normalizers)) or any(map(_may_join, tokenizer.get("added_tokens") or [])):
        return False
    blanks = any(one["type"] == "Replace" for one in normalizers)  # by then, spaces are such
    cut = next((place for place, stage in enumerate(stages) if _cuts(stage, blanks)), None)
    if cut is not None:
        # What comes later sees the pieces alone; what comes before only cuts off digits, wherever they are.
        return all(stage["type"] == "Digits" for stage in stages[:cut])
    joined = [_is_blanks(stage) for stage in stages]
    return all(joined) and (blanks or any(joined)) and _never_merges_over(tokenizer["model"])


def _parts(component: dict[str, Any] | None, name: str) -> list[dict[str, Any]]:
    if component is None:
        return []
    if component["type"] == "Sequence":
        return [inner for part in component[name] for inner in _parts(part, name)]
    return [component]


def _keeps_borders(normalizer: dict[str, Any]) -> bool:
    """A space composes with nothing in NFC, and nothing becomes one."""
    if normalizer["type"] == "Prepend":
        return normalizer["prepend"] == BLANK
    if normalizer["type"] == "Replace":
        return (normalizer["pattern"], normalizer["content"]) == ({"String": " "}, BLANK)
    return normalizer["type"] == "NFC"


def _may_join(token: dict[str, Any]) -> bool:
    """Whether a word of the user's vocabulary reaches over a border. Special ones are never found in text."""
    content = token["content"]
    over = any(is_visible(before) and after in (" ", BLANK) for before, after in itertools.pairwise(content))
    return not token["special"] and (over or token["lstrip"] or token["rstrip"] or token["single_word"])


def _cuts(stage: dict[str, Any], blanks: bool) -> bool:
    """Whether a stage cuts at every border."""
    if _is_blanks(stage):
        return stage.get("split", True)
    if stage["type"] == "ByteLevel":
        return stage.get("use_regex", True) and not blanks
    if stage["type"] != "Split" or stage["invert"]:
        return False
    if blanks:
        return (stage["pattern"], stage["behavior"]) == ({"String": BLANK}, "MergedWithNext")
    return stage["pattern"].get("Regex") in _KNOWN_SPLITS and stage["behavior"] == "Isolated"


def _is_blanks(stage: dict[str, Any]) -> bool:
    return stage["type"] == "Metaspace" and stage["replacement"] == BLANK


def _never_merges_over(model: dict[str, Any]) -> bool:
    """Whether BPE of a whole text is that of its segments: no merge makes a piece that has a blank within."""
    plain = model["type"] == "BPE" and BLANK in model["vocab"]
    odd = ("ignore_merges", "continuing_subword_prefix", "end_of_word_suffix")
    if not plain or any(model.get(name) for name in odd):
        return False
    return not any(map(_has_inner_blank, map(_merged, model["merges"])))


def _merged(merge: str | Sequence[str]) -> str:
    return merge.replace(" ", "", 1) if isinstance(merge, str) else "".join(merge)


def _has_inner_blank(piece: str) -> bool:
    return BLANK in piece.lstrip(BLANK)
