"""Documents -> token ids with provenance: substituted and tokenized, a block of them at a time.

Every different chunk of text is tokenized once (pieces never cross a space), so a block's ids are gathered
from a table by the row numbers that substitution works with, and its text is never written out.

D documents of a block, C chunks, T tokens.
"""

import weakref
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from linkjax.data.documents import Document
from linkjax.data.tokenizer import EOS, Tokenizer
from linkjax.lexicon import Lexicon
from linkjax.substitution import Block, LinkSettings, Substituted, Substitution
from linkjax.substitution.arrays import grown, ranges
from linkjax.substitution.chunks import END, GLUED, Chunks

# What is counted of a document: itself, its bytes and words; the words that could be swapped and those that were;
# the swaps, and those that put a word in place of the same word.
COUNTS = ("documents", "bytes", "words", "eligible", "swapped", "swaps", "identical")


class Encoded(NamedTuple):
    """A document as T tokens, the last one EOS.

    Attributes:
      tokens_T: int32 ids of the text.
      targets_T: int32 what is to be predicted in their places: the same, but for `loss_on_swapped` original.
      loss_weights_T: float32 whether that counts in the loss.
      swapped_T: uint8 1 where the token is (part of) a swapped-in word.
      counts: int64, see `COUNTS`.
    """

    tokens_T: np.ndarray
    targets_T: np.ndarray
    loss_weights_T: np.ndarray
    swapped_T: np.ndarray
    counts: np.ndarray


class Encoder:
    """Substitutes (where there is a substitution) and tokenizes."""

    def __init__(self, tokenizer: Tokenizer, substitution: Substitution | None):
        self._tokenizer = tokenizer
        self._swaps = substitution is not None
        self._substitution = substitution or Substitution(Lexicon({}), LinkSettings(ratio=0.0))
        self._tables: weakref.WeakKeyDictionary[Chunks, _TokenTable] = weakref.WeakKeyDictionary()

    def encode(self, documents: Sequence[Document], passes: Sequence[int], progress: Sequence[float]) -> list[Encoded]:
        """Encodes documents, each with its pass over the corpus and the progress (0 to 1) of the training."""
        encoded: dict[int, Encoded] = {}
        ids, texts = [document.id for document in documents], [document.text for document in documents]
        for members, block in self._substitution.blocks(ids, texts, passes, progress):
            if block.chunks not in self._tables:
                self._tables[block.chunks] = _TokenTable(self._tokenizer, self._substitution.settings.loss_on_swapped)
            parts = self._tables[block.chunks].gather(block)
            encoded |= zip(members, map(Encoded, *parts, self._counts(block)), strict=True)
        return [encoded[member] for member in range(len(documents))]

    def _counts(self, block: Block) -> np.ndarray:
        counts_Dx7 = np.zeros((len(block.starts_D), len(COUNTS)), np.int64)
        counts_Dx7[:, 0] = 1
        counts_Dx7[:, 1] = block.sizes_D
        if self._swaps:
            counts_Dx7[:, 2:] = np.stack([block.words_D, block.eligible_D, block.swapped_D, *block.swaps()], axis=1)
        return counts_Dx7


class _TokenTable:
    """Tokens of the rows of a table of chunks."""

    def __init__(self, tokenizer: Tokenizer, loss_on_swapped: str):
        self._tokenizer, self._loss_on_swapped = tokenizer, loss_on_swapped
        self._uncut = tuple(sign for sign in GLUED if not tokenizer.cuts_before(sign))
        self._firsts, self._counts = np.zeros(0, np.int64), np.zeros(0, np.int64)  # count 0: not tokenized yet
        self._joined = np.zeros(0, bool)  # has to be tokenized with what is before it
        self._pool = tuple(np.zeros(0, kind) for kind in (np.int32, np.int32, np.float32, np.uint8))
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
                for part, values, end in zip(parts, self._encode(documents[document]), (EOS, EOS, 1, 0), strict=True):
                    part[document] = np.append(values, values.dtype.type(end))
        return parts

    def _add(self, row: int, chunks: Chunks) -> None:
        text = chunks.strings[row]
        if row == END:
            values = [np.array([value]) for value in (EOS, EOS, 1, 0)]
        else:
            spans = tuple(chunks.spans_of(row))
            values = self._encode(Substituted(text or " ", spans, 0, 0))
            if not text:
                values = [value[1:] for value in values]
            if text.startswith(GLUED):  # the space that SentencePiece puts before every text
                values = [value[1:] for value in values]
        count = len(values[0])
        self._pool = tuple(grown(pool, self._used + count) for pool in self._pool)
        for pool, value in zip(self._pool, values, strict=True):
            pool[self._used : self._used + count] = value
        self._firsts[row], self._counts[row] = self._used, count
        self._joined[row] = bool(self._uncut) and text.startswith(self._uncut)
        self._used += count

    def _encode(self, done: Substituted) -> list[np.ndarray]:
        """Tokens, targets, loss weights and flags of a text without EOS."""
        tokens, swapped = self._tokenizer.encode_with_spans(done.text, done.spans)
        targets, weights = tokens.copy(), np.ones(len(tokens), np.float32)
        if self._loss_on_swapped != "yes":
            weights -= swapped
        if self._loss_on_swapped == "original" and done.spans:
            before = done.undo()
            starts = np.array([start for start, _, _ in done.spans])
            growth = np.cumsum([len(original) - (end - start) for start, end, original in done.spans])
            asked = np.array(self._tokenizer.encode(before), np.int32)
            asked = asked[self._tokenizer.tokens_at(before, starts + np.append(0, growth[:-1]))]
            places = self._tokenizer.tokens_at(done.text, starts)
            targets[places] = asked
            weights[places] = 1
        return [tokens, targets, weights, swapped]
