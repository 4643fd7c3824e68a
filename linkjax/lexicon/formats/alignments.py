"""Word translation tables of statistical aligners, made from the user's own parallel text: what they share.

A table has many wrong pairs of low probability, so where the user names no `minimum_weight`, 0.1 is taken; a
tiny one (1e-9) keeps all.
"""

import math
from collections.abc import Iterator

from linkjax.lexicon.formats.reading import Reading
from linkjax.lexicon.lexicon import Pair

NO_WORD = frozenset({"NULL", "<NULL>", "<null>", "<eps>"})
_MINIMUM = 0.1


def keep_probable(reading: Reading, pairs: Iterator[Pair]) -> Iterator[Pair]:
    """Yields the pairs of two real words that are probable enough."""
    minimum = reading.options.minimum_weight or _MINIMUM
    for pair in pairs:
        if pair.source in NO_WORD or pair.target in NO_WORD:
            reading.counts["dropped: word aligned to nothing"] += 1
        elif pair.weight < minimum:
            reading.counts["dropped: probability below the minimum"] += 1
        else:
            yield pair


def parse_columns(line: str) -> tuple[str, str, float] | None:
    """Two words and a finite number, with tabs or single spaces between; None if the line is not that."""
    columns = line.split("\t" if "\t" in line else " ")
    if len(columns) != 3 or not columns[0] or not columns[1]:
        return None
    number = parse_number(columns[2])
    return None if number is None else (columns[0], columns[1], number)


def parse_number(text: str) -> float | None:
    """A finite number; None if it is none."""
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def whole_lines(head: bytes) -> list[str]:
    """The first lines of a file that are complete in its head, without empty ones; at most a hundred."""
    text = head.removeprefix(b"\xef\xbb\xbf").decode("utf-8", errors="replace")
    lines = text.split("\n")
    if len(lines) > 1:
        lines = lines[:-1]
    return [line.rstrip("\r") for line in lines if line.strip()][:100]
