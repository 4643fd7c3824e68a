"""The lexical tables of Moses, `model/lex.e2f` and `model/lex.f2e`.

Lines of `predicted given probability`, https://www2.statmt.org/moses/?n=FactoredTraining.GetLexicalTranslationTable
(`europe europa 0.887` is p(europe|europa)). Moses calls the language translated from f and the one translated into e,
so after training from English `lex.f2e`, and after training into English `lex.e2f`, has the lines wanted here:
`mbwa dog 0.9`, target first. The other table is the wrong one, English first: its numbers rank English words.
"""

import pathlib
from collections.abc import Iterator

from linkjax.lexicon.formats.alignments import keep_probable, parse_columns, whole_lines
from linkjax.lexicon.formats.reading import Reading
from linkjax.lexicon.lexicon import Pair

NAME = "moses"
TITLE = "Moses lexical table (lex.e2f, lex.f2e)"


def matches(path: pathlib.Path, head: bytes) -> bool:
    """Named `*.e2f` or `*.f2e`, with three columns."""
    named = not {".e2f", ".f2e"}.isdisjoint(path.suffixes[-2:])
    return named and all(map(parse_columns, whole_lines(head)[:1]))


def read(reading: Reading) -> Iterator[Pair]:
    """Yields the probable pairs, the probability as weight. The target is always first, whatever the options say.

    Raises:
      UserError: a line is malformed.
    """
    return keep_probable(reading, _pairs(reading))


def _pairs(reading: Reading) -> Iterator[Pair]:
    for number, line in reading.lines():
        columns = parse_columns(line)
        if columns is None or not 0 <= columns[2] <= 1:
            reading.malformed(number, f"'{line[:60]}' is not 'word word probability'")
            continue
        target, source, probability = columns
        yield Pair(source, target, probability)
