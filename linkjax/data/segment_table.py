"""Tokens of the segments of texts: for tokenizers that cut before the space behind a visible character.

A segment is mostly one chunk and the space before it, and then known by the chunk's row. What follows white space is
part of the segment before it, and the first of a document has no space of its own; those are looked up by their rows.

C chunks, S segments, T tokens.
"""

from collections.abc import Sequence

import numpy as np

from linkjax.data.fast_tokenizer import BEFORE, FastTokenizer
from linkjax.data.labels import KINDS, Labelled, end, labelled
from linkjax.data.word_borders import is_visible
from linkjax.substitution import Block, Span, Substituted
from linkjax.substitution.arrays import grown, ranges
from linkjax.substitution.chunks import END, Chunks

_MOST_OTHERS, _KEPT_CHARACTERS = 200_000, 64  # longer ones hardly come again
_UNKNOWN, _END_ENTRY = 0, 1


class SegmentTable:
    """Tokens of segments, each tokenized once."""

    def __init__(self, tokenizer: FastTokenizer, loss_on_swapped: str):
        self._tokenizer, self._loss_on_swapped = tokenizer, loss_on_swapped
        self._forget()

    def _forget(self) -> None:
        self._seen = 0  # rows of which the next three are known
        self._glued, self._ends_visibly = np.zeros(0, bool), np.zeros(0, bool)
        self._of_row = np.zeros(0, np.int64)  # entry of a chunk with the space before it
        self._others: dict[bytes, int] = {}  # entries of other segments
        self._firsts, self._counts = np.zeros(0, np.int64), np.zeros(0, np.int64)  # of an entry, within the pool
        self._pool = tuple(np.zeros(0, kind) for kind in KINDS)
        self._entries = self._used = 0
        self._add([Labelled(*(np.zeros(0, kind) for kind in KINDS)), end(self._tokenizer)])

    def gather(self, block: Block) -> list[list[np.ndarray]]:
        """Tokens, targets, loss weights and flags of each document."""
        if len(self._others) > _MOST_OTHERS:
            self._forget()
        self._look_at(block.chunks)
        rows_C = block.rows_C
        first_C = np.zeros(len(rows_C), bool)
        first_C[block.starts_D] = True
        begins_C = ~self._glued[rows_C]
        begins_C[1:] &= self._ends_visibly[rows_C[:-1]]
        starts_S = np.flatnonzero(begins_C | first_C | (rows_C == END))
        first_S = first_C[starts_S]
        ends_S = np.append(starts_S[1:], len(rows_C))
        alone_S = (ends_S - starts_S == 1) & ~first_S
        self._know(rows_C[starts_S[alone_S]], block.chunks)
        entries_S = self._of_row[rows_C[starts_S]]
        others = zip(*(values[~alone_S].tolist() for values in (starts_S, ends_S, first_S)), strict=True)
        # What is not kept is forgotten again, at the pool's end.
        entries_S[~alone_S], kept = self._looked_up([(rows_C[a:b], first) for a, b, first in others], block.chunks)
        counts_S = self._counts[entries_S]
        places_T = ranges(self._firsts[entries_S], counts_S)
        cuts = (np.cumsum(counts_S) - counts_S)[np.flatnonzero(first_S)[1:]]
        parts = [np.split(values[places_T], cuts) for values in self._pool]
        self._entries, self._used = kept
        return parts

    def _look_at(self, chunks: Chunks) -> None:
        """Learns of the rows that are new."""
        count = len(chunks)
        self._glued, self._ends_visibly, self._of_row = (
            grown(values, count) for values in (self._glued, self._ends_visibly, self._of_row)
        )
        new = slice(self._seen, count)
        self._glued[new] = chunks.rows.advance[new] == chunks.rows.length[new]
        self._ends_visibly[new] = [is_visible(text[-1:]) for text in chunks.strings[new]]
        self._of_row[END], self._seen = _END_ENTRY, count

    def _know(self, rows: np.ndarray, chunks: Chunks) -> None:
        new = np.unique(rows[self._of_row[rows] == _UNKNOWN])
        self._of_row[new] = self._tokenized([self._segment(row, False, chunks) for row in new[:, None]])

    def _looked_up(
        self, segments: Sequence[tuple[np.ndarray, bool]], chunks: Chunks
    ) -> tuple[list[int], tuple[int, int]]:
        """Entries of segments, given by their rows and whether they begin a document; and how much to keep."""
        keys = [rows.tobytes() + b"^" * first for rows, first in segments]
        new = {key: place for place, key in enumerate(keys) if key not in self._others}
        texts = {key: self._segment(*segments[place], chunks) for key, place in new.items()}
        short = {key: one for key, one in texts.items() if len(one[0].text) <= _KEPT_CHARACTERS}
        self._others |= zip(short, self._tokenized(list(short.values())), strict=True)
        kept = self._entries, self._used
        long = [key for key in texts if key not in short]
        entries = dict(zip(long, self._tokenized([texts[key] for key in long]), strict=True))
        return [entries[key] if key in entries else self._others[key] for key in keys], kept

    def _segment(self, rows: np.ndarray, first: bool, chunks: Chunks) -> tuple[Substituted, int]:
        """The text of a segment, behind `BEFORE` where it does not begin a document; and the tokens of that."""
        text, spans = "" if first else BEFORE, []
        for place, row in enumerate(rows.tolist()):
            text += "" if self._glued[row] or (first and place == 0) else " "
            spans += [Span(start + len(text), end + len(text), of) for start, end, of in chunks.spans_of(row)]
            text += chunks.strings[row]
        return Substituted(text, tuple(spans), 0, 0), 0 if first else self._tokenizer.before

    def _tokenized(self, segments: Sequence[tuple[Substituted, int]]) -> list[int]:
        """New entries for segments."""
        found = labelled(self._tokenizer, [done for done, _ in segments], self._loss_on_swapped)
        return self._add([one.part(before) for one, (_, before) in zip(found, segments, strict=True)])

    def _add(self, some: Sequence[Labelled]) -> list[int]:
        if not some:
            return []
        counts = np.array([len(one.tokens_T) for one in some])
        first, last = self._entries, self._entries + len(some)
        self._firsts, self._counts = (grown(values, last) for values in (self._firsts, self._counts))
        self._firsts[first:last], self._counts[first:last] = self._used + np.cumsum(counts) - counts, counts
        used = self._used + int(counts.sum())
        self._pool = tuple(grown(pool, used) for pool in self._pool)
        for pool, values in zip(self._pool, zip(*some, strict=True), strict=True):
            pool[self._used : used] = np.concatenate(values)
        self._entries, self._used = last, used
        return list(range(first, last))
