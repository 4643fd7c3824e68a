"""Word lists from disk: `english<TAB>target` lines, or MUSE's `english target`; `.gz` too."""

import collections
import pathlib
import re
import unicodedata
from collections.abc import Iterable, Iterator

from linkjax.errors import UserError
from linkjax.files import open_text
from linkjax.lexicon.lexicon import Lexicon

_NOTE = re.compile(r"\s*[(\[][^()\[\]]*[)\]]\s*")
_SPACES = re.compile(r"\s+")


def read_lexicon(path: str | pathlib.Path) -> Lexicon:
    """Reads and cleans a bilingual word list, one pair a line, English first.

    The separator is a tab where most lines have one (columns after the second are left out), else the
    space between two words (MUSE's layout). Each cleaning step is counted in `Lexicon.cleaning`.

    Raises:
      UserError: the file is missing, not UTF-8 text, or has no usable line.
    """
    path = pathlib.Path(path)
    with open_text(path) as file:
        lines = [line for line in file.read().splitlines() if line.strip()]
    tabs = sum("\t" in line for line in lines)
    if 2 * tabs > len(lines):
        pairs = [tuple((*line.split("\t"), "")[:2]) for line in lines]
    else:
        pairs = [tuple(words) if len(words := line.split()) == 2 else (line, "") for line in lines]
    lexicon = clean_pairs(pairs)
    if not lexicon.entries:
        raise UserError(
            f"lexicon {path} has no usable line among {len(lines)}: expected 'english<TAB>translation' lines."
        )
    return lexicon


def write_lexicon(lexicon: Lexicon, path: str | pathlib.Path) -> None:
    """Writes `english<TAB>target` lines that `read_lexicon` reads back to the same entries."""
    text = "".join(f"{source}\t{target}\n" for source, target in lexicon.pairs())
    pathlib.Path(path).write_text(text, encoding="utf-8", newline="\n")


def clean_pairs(pairs: Iterable[tuple[str, str]]) -> Lexicon:
    """Builds a Lexicon from raw (source, target) pairs, counting every pair that is changed or dropped."""
    counts: collections.Counter[str] = collections.Counter()
    entries: dict[str, dict[str, None]] = {}
    for raw_source, raw_target in pairs:
        counts["pairs read"] += 1
        source, target = (_clean_side(side, counts) for side in (raw_source, raw_target))
        source = unicodedata.normalize("NFC", source.lower())
        if source.startswith("to ") and " " not in source[3:]:
            source = source[3:]
            counts["'to ' removed from an English verb"] += 1
        fault = next(_faults(source, target), None)
        if fault:
            counts[f"dropped: {fault}"] += 1
            continue
        senses = entries.setdefault(source, {})
        if target in senses:
            counts["dropped: duplicate"] += 1
        senses[target] = None
    counts["pairs kept"] = sum(len(senses) for senses in entries.values())
    return Lexicon({source: tuple(senses) for source, senses in entries.items()}, dict(counts))


def _clean_side(text: str, counts: collections.Counter[str]) -> str:
    """NFC, notes in brackets removed, `_` and `~` and runs of white space as one space."""
    composed = unicodedata.normalize("NFC", text)
    counts["recomposed (NFC)"] += composed != text
    bare = composed
    while bare != (bare := _NOTE.sub(" ", bare)):  # brackets within brackets
        pass
    counts["note in brackets removed"] += bare != composed
    return _SPACES.sub(" ", bare.replace("_", " ").replace("~", " ")).strip()


def _faults(source: str, target: str) -> Iterator[str]:
    """Yields why a cleaned pair cannot be used, if it cannot."""
    if not source or not target:
        yield "one side empty"
    if not any(character.isalpha() for character in target):
        yield "translation without a letter"
    if source == target.lower():
        yield "identical sides"
    if " " in source:
        yield "source of several words"
