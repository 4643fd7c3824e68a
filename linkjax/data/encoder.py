"""Documents -> token ids with provenance: substituted and tokenized, a block of them at a time.

Where pieces never cross a space, every different chunk of text is tokenized once, so that a block's ids are gathered
from a table by the row numbers that substitution works with, and its text is never written out.

D documents of a block, T tokens.
"""

import weakref
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from linkjax.data.chunk_table import ChunkTable
from linkjax.data.documents import Document
from linkjax.data.labels import end, labelled
from linkjax.data.segment_table import SegmentTable
from linkjax.data.tokenizer import AnyTokenizer, Tokenizer
from linkjax.lexicon import Lexicon
from linkjax.substitution import Block, LinkSettings, Substitution
from linkjax.substitution.chunks import Chunks

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

    def __init__(self, tokenizer: AnyTokenizer, substitution: Substitution | None):
        self.tokenizer = tokenizer
        self._swaps = substitution is not None
        self._substitution = substitution or Substitution(Lexicon({}), LinkSettings(ratio=0.0))
        self._table = _table_of(tokenizer)
        self._tables: weakref.WeakKeyDictionary[Chunks, ChunkTable | SegmentTable | WholeTexts] = (
            weakref.WeakKeyDictionary()
        )

    def encode(self, documents: Sequence[Document], passes: Sequence[int], progress: Sequence[float]) -> list[Encoded]:
        """Encodes documents, each with its pass over the corpus and the progress (0 to 1) of the training."""
        encoded: dict[int, Encoded] = {}
        ids, texts = [document.id for document in documents], [document.text for document in documents]
        for members, block in self._substitution.blocks(ids, texts, passes, progress):
            if block.chunks not in self._tables:
                loss = self._substitution.settings.loss_on_swapped
                self._tables[block.chunks] = self._table(self.tokenizer, loss)
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


class WholeTexts:
    """No table: for tokenizers of which it is not known that words alone give the same tokens."""

    def __init__(self, tokenizer: AnyTokenizer, loss_on_swapped: str):
        self._tokenizer, self._loss_on_swapped = tokenizer, loss_on_swapped

    def gather(self, block: Block) -> list[list[np.ndarray]]:
        """Tokens, targets, loss weights and flags of each document."""
        behind = end(self._tokenizer)
        found = labelled(self._tokenizer, block.documents(), self._loss_on_swapped)
        parts = zip(zip(*found, strict=True), behind, strict=True)
        return [[np.concatenate([values, last]) for values in of] for of, last in parts]


def _table_of(tokenizer: AnyTokenizer) -> type[ChunkTable | SegmentTable | WholeTexts]:
    if isinstance(tokenizer, Tokenizer):
        return ChunkTable
    return SegmentTable if tokenizer.cuts_at_borders else WholeTexts
