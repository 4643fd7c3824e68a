"""eflomal's priors, `eflomal-makepriors -i TEXT -f FORWARD -r REVERSE --priors FILE`.

Lines of `LEX<TAB>source<TAB>target<TAB>count`; HMMF, HMMR, FERF and FERR lines are of the alignment model:
https://github.com/robertostling/eflomal#generating-priors and its `python/eflomal/__init__.py`. Align English with
the target: then English is the source; else say `target_first`.
"""

import collections
import pathlib
from collections.abc import Iterator

from linkjax.lexicon.formats.alignments import keep_probable, parse_number, whole_lines
from linkjax.lexicon.formats.reading import Reading
from linkjax.lexicon.lexicon import Pair

NAME = "eflomal"
TITLE = "eflomal priors (LEX lines)"

_OTHER = ("HMMF", "HMMR", "FERF", "FERR")


def matches(path: pathlib.Path, head: bytes) -> bool:
    """LEX lines come first."""
    return all(line.startswith("LEX\t") for line in whole_lines(head)[:1]) and bool(head.strip())


def read(reading: Reading) -> Iterator[Pair]:
    """Yields the probable pairs; the weight is the pair's share of the English word's counts.

    Raises:
      UserError: a line is malformed.
    """
    totals: collections.Counter[str] = collections.Counter()
    for source, _, count in _counts(Reading(reading.path, reading.options)):  # counts of its own: read twice
        totals[source] += count
    pairs = (Pair(source, target, count / totals[source]) for source, target, count in _counts(reading))
    return keep_probable(reading, pairs)


def _counts(reading: Reading) -> Iterator[tuple[str, str, float]]:
    for number, line in reading.lines():
        kind, *columns = line.split("\t")
        if kind in _OTHER:
            continue
        count = parse_number(columns[2]) if kind == "LEX" and len(columns) == 3 else None
        if count is None or count <= 0 or not columns[0] or not columns[1]:
            reading.malformed(number, f"'{line[:60]}' is not 'LEX<TAB>word<TAB>word<TAB>count'")
            continue
        first, second, _ = columns
        yield (second, first, count) if reading.options.target_first else (first, second, count)
