"""Text before and after its words are swapped, side by side, with the swapped words marked."""

import itertools
import unicodedata
from collections.abc import Iterator, Sequence

from linkjax.substitution.block import Substituted

_BEFORE, _AFTER, _PLAIN = "\033[31m", "\033[1;32m", "\033[0m"
_ISOLATE, _END_ISOLATE = "\u2068", "\u2069"  # keeps a word written from right to left in its place

Piece = tuple[str, bool]  # some text without spaces at its ends, and whether it is swapped


def side_by_side(before: str, done: Substituted, width: int, colour: bool) -> Iterator[str]:
    """Yields lines of `width` columns: the text before, and after; swapped words in colour, or in [brackets]."""
    half = max(12, (width - 3) // 2)
    swapped_before, shift = [], 0
    for start, end, original in done.spans:
        swapped_before.append((start + shift, start + shift + len(original)))
        shift += len(original) - (end - start)
    left = _lines(_shown(before), swapped_before, half, _BEFORE if colour else "")
    right = _lines(_shown(done.text), [(start, end) for start, end, _ in done.spans], half, _AFTER if colour else "")
    for (one, columns), (other, _) in itertools.zip_longest(left, right, fillvalue=("", 0)):
        yield f"{one}{' ' * (half - columns)} │ {other}".rstrip()


def summary(documents: Sequence[Substituted]) -> str:
    """What happened to some documents, in one line."""
    words = sum(done.words for done in documents)
    eligible = sum(done.eligible for done in documents)
    spans = [(done.text[start:end], original) for done in documents for start, end, original in done.spans]
    identical = sum(new == original for new, original in spans)
    return (
        f"{words} words, {eligible} of them eligible ({100 * eligible / max(words, 1):.1f} %);"
        f" {len(spans)} swaps for {len({new for new, _ in spans})} different words, {identical} of them for the same"
    )


def _lines(text: str, marked: Sequence[tuple[int, int]], width: int, colour: str) -> Iterator[tuple[str, int]]:
    """Yields (line with its marks, columns it takes) of a text wrapped at its spaces."""
    line, columns = "", 0
    for word in _words(text, marked):
        size = sum(map(_columns, (part for part, _ in word))) + (0 if colour else 2 * sum(mark for _, mark in word))
        if columns and columns + 1 + size > width:
            yield line, columns
            line, columns = "", 0
        shown = "".join(_show(part, colour) if mark else part for part, mark in word)
        line, columns = (f"{line} {shown}", columns + 1 + size) if columns else (shown, size)
    yield line, columns


def _words(text: str, marked: Sequence[tuple[int, int]]) -> Iterator[list[Piece]]:
    """Yields the words of a text, each in its marked and unmarked parts."""
    cuts = [0, *itertools.chain.from_iterable(marked), len(text)]
    word: list[Piece] = []
    for number, (start, end) in enumerate(itertools.pairwise(cuts)):
        first, *more = text[start:end].split(" ")
        word.append((first, number % 2 == 1))
        for part in more:
            yield word
            word = [(part, number % 2 == 1)]
    yield word


def _show(text: str, colour: str) -> str:
    return f"{colour}{_ISOLATE}{text}{_END_ISOLATE}{_PLAIN}" if colour else f"[{text}]"


def _shown(text: str) -> str:
    """Control characters as their pictures, so that no text steers a terminal."""
    return "".join(chr(0x2400 + ord(character)) if character < " " else character for character in text)


def _columns(text: str) -> int:
    """Columns of a terminal that a text takes."""
    wide = sum(unicodedata.east_asian_width(character) in "WF" for character in text)
    return len(text) + wide - sum(unicodedata.category(character) in ("Mn", "Me", "Cf") for character in text)
