"""What is told of words and texts for all of a corpus: from the counts of its files, and from samples."""

import collections
from collections.abc import Iterable, Iterator, Mapping

from linkjax.data.documents import Document, Documents
from linkjax.data.tokenizer import AnyTokenizer
from linkjax.evaluation.byte_ngram import trigram_bits_per_byte
from linkjax.lexicon import Lexicon, WordStatistics
from linkjax.lexicon.coverage import parts_of, rarest

_YARDSTICK_BYTES = 20_000_000


def summed(counts: Iterable[Mapping[str, int]]) -> collections.Counter[str]:
    """Counts of several files together."""
    total: collections.Counter[str] = collections.Counter()
    for some in counts:
        total.update(some)
    return total


def word_statistics(
    lexicon: Lexicon,
    tokenizer: AnyTokenizer,
    english_counts: Mapping[str, int],
    target_counts: Mapping[str, int],
) -> dict[str, WordStatistics]:
    """Frequency and length of each lexicon entry; a translation of several parts counts as its rarest.

    Args:
      english_counts: how often each entry is in the English text.
      target_counts: how often each part of the translations (`lexicon.coverage.parts_of`) is in the target text.
    """

    return {
        source: WordStatistics(
            english_counts.get(source, 0),
            sum(rarest(parts_of(text), target_counts) for text in translations),
            sum(len(tokenizer.encode(text)) for text in translations) / len(translations),
        )
        for source, translations in lexicon.entries.items()
    }


def yardstick(corpus: Documents, size: int, heldout: list[str]) -> float | None:
    """Byte-trigram bits per byte, from at most 20 MB of a corpus of `size` bytes; None where nothing is held out."""
    sample = spread(corpus, size, _YARDSTICK_BYTES)
    return trigram_bits_per_byte((document.text for document in sample), heldout) if heldout else None


def spread(corpus: Documents, size: int, wanted: int) -> Iterator[Document]:
    """Documents from all over a corpus of `size` bytes, about `wanted` bytes of them."""
    step = corpus.block * max(1, -(-size // max(wanted, 1)))
    for start in range(0, len(corpus), step):
        yield from corpus.read(start, min(start + corpus.block, len(corpus)))
