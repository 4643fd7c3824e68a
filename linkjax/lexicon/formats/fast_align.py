"""fast_align's table of conditional probabilities, `fast_align -i TEXT -d -o -v -p TABLE`.

Lines of `given<TAB>predicted<TAB>natural logarithm of the probability`, as written by `ExportToFile` in
https://github.com/clab/fast_align/blob/master/src/ttables.h (older versions write spaces). Align English ||| target:
then English comes first; a table of `-r` has the target first and gives the probability of the English word.
"""

import math
import pathlib
from collections.abc import Iterator

from linkjax.lexicon.formats.alignments import keep_probable, parse_columns, whole_lines
from linkjax.lexicon.formats.reading import Reading
from linkjax.lexicon.lexicon import Pair

NAME = "fast_align"
TITLE = "fast_align table of log-probabilities (-p)"

_ROUNDING = 1e-6


def matches(path: pathlib.Path, head: bytes) -> bool:
    """Three columns, the third never above zero and mostly below."""
    rows = [parse_columns(line) for line in whole_lines(head)]
    if not rows or None in rows:
        return False
    numbers = [number for _, _, number in rows]
    return max(numbers) <= _ROUNDING and 2 * sum(number < 0 for number in numbers) >= len(numbers)


def read(reading: Reading) -> Iterator[Pair]:
    """Yields the probable pairs, the probability as weight.

    Raises:
      UserError: a line is malformed.
    """
    return keep_probable(reading, _pairs(reading))


def _pairs(reading: Reading) -> Iterator[Pair]:
    for number, line in reading.lines():
        columns = parse_columns(line)
        if columns is None or columns[2] > _ROUNDING:
            reading.malformed(number, f"'{line[:60]}' is not 'word<TAB>word<TAB>log-probability'")
            continue
        first, second, logarithm = columns
        source, target = (second, first) if reading.options.target_first else (first, second)
        yield Pair(source, target, min(1.0, math.exp(logarithm)))
