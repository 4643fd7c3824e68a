"""Tokens of the chunks of texts, each tokenized once: for SentencePiece, whose pieces never cross a space.

C chunks, T tokens.
"""

import numpy as np

from linkjax.data.labels import KINDS, Labelled, end, with_targets
from linkjax.data.tokenizer import Tokenizer
from linkjax.substitution import Block, Substituted
from linkjax.substitution.arrays import grown, ranges
from linkjax.substitution.chunks import END, GLUED, Chunks


class ChunkTable:
    """Tokens of the rows of a table of chunks."""

    def __init__(self, tokenizer: Tokenizer, loss_on_swapped: str):
        self._tokenizer, self._loss_on_swapped = tokenizer, loss_on_swapped
        self._uncut = tuple(sign for sign in GLUED if not tokenizer.cuts_before(sign))
        self._firsts, self._counts = np.zeros(0, np.int64), np.zeros(0, np.int64)  # count 0: not tokenized yet
        self._joined = np.zeros(0, bool)  # has to be tokenized with what is before it
        self._pool = tuple(np.zeros(0, kind) for kind in KINDS)
        self._used = 0

    def gather(self, block: Block) -> list[list[np.ndarray]]:
        """Tokens, targets, loss weights and flags of each document."""
        rows_C = block.rows_C
        self._firsts, self._counts, self._joined = (
            grown(values, len(block.chunks)) for values in (self._firsts, self._counts, self._joined)
        )
        for row in np.unique(rows_C[self._counts[rows_C] == 0]).tolist():
            self._add(row, block.chunks)
        counts_C = self._counts[rows_C]
        places_T = ranges(self._firsts[rows_C], counts_C)
        cuts = (np.cumsum(counts_C) - counts_C)[block.starts_D[1:]]
        parts = [np.split(values[places_T], cuts) for values in self._pool]
        for document in np.flatnonzero(block.sizes_D == 0).tolist():  # no text, where a chunk is a space at least
            for part in parts:
                part[document] = part[document][1:]
        if self._uncut:
            joined_D = np.flatnonzero(np.logical_or.reduceat(self._joined[rows_C], block.starts_D))
            documents = block.documents() if len(joined_D) else []
            for document in joined_D.tolist():
                for part, *values in zip(parts, self._labelled(documents[document]), end(self._tokenizer), strict=True):
                    part[document] = np.concatenate(values)
        return parts

    def _add(self, row: int, chunks: Chunks) -> None:
        text = chunks.strings[row]
        if row == END:
            values = end(self._tokenizer)
        else:
            spans = tuple(chunks.spans_of(row))
            values = self._labelled(Substituted(text or " ", spans, 0, 0))
            if not text:
                values = values.part(1)
            if text.startswith(GLUED):  # the space that SentencePiece puts before every text
                values = values.part(1)
        count = len(values.tokens_T)
        self._pool = tuple(grown(pool, self._used + count) for pool in self._pool)
        for pool, value in zip(self._pool, values, strict=True):
            pool[self._used : self._used + count] = value
        self._firsts[row], self._counts[row] = self._used, count
        self._joined[row] = bool(self._uncut) and text.startswith(self._uncut)
        self._used += count

    def _labelled(self, done: Substituted) -> Labelled:
        ids, flags = self._tokenizer.encode_with_spans(done.text, done.spans)
        return with_targets(self._tokenizer, done, ids, flags, self._loss_on_swapped)
