"""Documents after the intervention: one by one, and as a block of table rows.

D documents of a block, C chunks (see `chunks`) of all of them, U units, S swaps.
"""

import dataclasses

import numpy as np

from linkjax.substitution.arrays import ranges
from linkjax.substitution.chunks import Chunks, Found, Span


@dataclasses.dataclass(frozen=True)
class Substituted:
    """A document after the intervention.

    Attributes:
      text: the new text.
      spans: the swapped words, in order.
      words: words in the document.
      eligible: those of them that could be swapped.
    """

    text: str
    spans: tuple[Span, ...]
    words: int
    eligible: int

    def undo(self) -> str:
        """The text before the intervention."""
        parts, last = [], 0
        for span in self.spans:
            parts += [self.text[last : span.start], span.original]
            last = span.end
        return "".join(parts) + self.text[last:]


@dataclasses.dataclass(frozen=True)
class Block:
    """Some documents after the intervention.

    Attributes:
      chunks: the table that `rows_C` are of.
      rows_C: the chunks of the new texts, an END behind each document.
      starts_D: where each document begins in `rows_C`.
      swaps_S: which of the chunks have a swapped-in word.
      words_D, eligible_D, swapped_D: words; those that could be swapped; those that were.
      units_U: the units that could be swapped.
      before: the chunks of the texts before.
      replaced_Sx2: the first and the last of these that each swap replaced.
    """

    chunks: Chunks
    rows_C: np.ndarray
    starts_D: np.ndarray
    swaps_S: np.ndarray
    words_D: np.ndarray
    eligible_D: np.ndarray
    swapped_D: np.ndarray
    units_U: np.ndarray
    before: Found
    replaced_Sx2: np.ndarray

    @property
    def sizes_D(self) -> np.ndarray:
        """Bytes of the texts before."""
        return np.diff(self.before.text_ends_D, prepend=-1) - 1

    def texts(self) -> list[str]:
        """The new texts."""
        return self.chunks.rewritten(self.before, *self.replaced_Sx2.T, self.rows_C[self.swaps_S])

    def places(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """(document, start, end, number in `chunks.originals`) of all swapped words, places in the new text."""
        rows, spans = self.chunks.rows, self.chunks.spans
        after_C = np.cumsum(rows.advance[self.rows_C])
        rows_S = self.rows_C[self.swaps_S]
        document_S = np.searchsorted(self.starts_D, self.swaps_S, side="right") - 1
        before_D = np.where(self.starts_D > 0, after_C[self.starts_D - 1], 0) + 1  # no space before the first chunk
        begin_S = after_C[self.swaps_S] - rows.length[rows_S] - before_D[document_S]
        counts_S = rows.spans[rows_S]
        number = ranges(rows.first_span[rows_S], counts_S)
        begin = np.repeat(begin_S, counts_S)
        return np.repeat(document_S, counts_S), begin + spans.start[number], begin + spans.end[number], number

    def swaps(self) -> tuple[np.ndarray, np.ndarray]:
        """By document: how many swaps there are, and how many of a word for the same word."""
        document, _, _, number = self.places()
        identical = self.chunks.spans.identical[number]
        return tuple(np.bincount(some, minlength=len(self.starts_D)) for some in (document, document[identical]))

    def documents(self) -> list[Substituted]:
        """The documents one by one."""
        spans: list[list[Span]] = [[] for _ in self.starts_D]
        for document, start, end, number in zip(*(values.tolist() for values in self.places()), strict=True):
            spans[document].append(Span(start, end, self.chunks.originals[number]))
        counts = zip(self.words_D.tolist(), self.eligible_D.tolist(), strict=True)
        texts = self.texts()
        return [Substituted(text, tuple(here), *some) for text, here, some in zip(texts, spans, counts, strict=True)]
