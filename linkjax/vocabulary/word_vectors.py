"""Word vectors: read from fastText's text format, or trained on text by gensim.

The text format (https://fasttext.cc/docs/en/crawl-vectors.html, "Format"): a header 'count width', then a line for
each word, with its numbers after it, separated by spaces, the most frequent word first.
"""

import collections
import dataclasses
import pathlib
from collections.abc import Iterable, Sequence

import numpy as np

from linkjax.errors import UserError
from linkjax.files import open_bytes

_MOST_WORDS, _MOST_WIDTH = 200_000, 4096  # the frequent words are enough for the vectors of a vocabulary's tokens
_LINE_BYTES = 1 << 20
_WIDTH, _NEGATIVES, _LEAST, _BUCKETS = 100, 10, 5, 200_000
_PASSES, _TOKENS_SEEN = (3, 20), 10_000_000


@dataclasses.dataclass(frozen=True)
class WordVectors:
    """Words, the most frequent first, how often each stands in text, and their vectors_NxW."""

    words: tuple[str, ...]
    counts: np.ndarray
    vectors_NxW: np.ndarray

    def index(self) -> dict[str, int]:
        return {word: index for index, word in enumerate(self.words)}


def read_vectors(path: pathlib.Path, most: int = _MOST_WORDS) -> WordVectors:
    """Reads the first `most` words of a `.vec` file, also a packed one. Counts are by Zipf's law: 1 / rank.

    Raises:
      UserError: it cannot be read, or is of another format.
    """
    if path.suffix == ".bin" or path.name.endswith(".bin.gz"):
        raise UserError(
            f"{path} is fastText's binary format, several gigabytes to hold in memory: give the text format, the .vec"
            " file offered beside it."
        )
    words: dict[str, None] = {}
    vectors: list[np.ndarray] = []
    with open_bytes(path) as file:
        width = _header(path, file.readline(_LINE_BYTES))
        number = 1
        while len(words) < most and (raw := file.readline(_LINE_BYTES)):
            number += 1
            word, vector = _line(path, number, raw, width)
            if word not in words:
                words[word] = None
                vectors.append(vector)
    if not words:
        raise UserError(f"{path} has no word: expected fastText's text format, a line for each word.")
    return WordVectors(tuple(words), 1 / np.arange(1, len(words) + 1), np.stack(vectors))


def _header(path: pathlib.Path, raw: bytes) -> int:
    parts = raw.split()
    if (
        len(parts) != 2
        or not all(part.isdigit() and len(part) < 12 for part in parts)
        or not 0 < int(parts[1]) <= _MOST_WIDTH
    ):
        raise UserError(
            f"{path}, line 1: {raw[:40]!r} is not 'count width', as fastText's text format begins: give a .vec file."
        )
    return int(parts[1])


def _line(path: pathlib.Path, number: int, raw: bytes, width: int) -> tuple[str, np.ndarray]:
    parts = raw.rstrip(b" \r\n").rsplit(b" ", width)
    try:
        if len(parts) != width + 1:
            raise ValueError(f"{len(parts) - 1} numbers instead of {width}")
        word, vector = parts[0].decode(), np.array(parts[1:], np.float32)
        if not np.isfinite(vector).all():
            raise ValueError("a number that is not finite")
    except ValueError as error:
        reason = getattr(error, "reason", None) or error
        raise UserError(
            f"{path}, line {number}: not a word and its vector ({reason}): fetch the file again."
        ) from error
    return word, vector


def train_vectors(sentences: Iterable[tuple[Sequence[str], int]], seed: int, least: int = _LEAST) -> WordVectors:
    """Trains fastText's CBOW on sentences and how often each is there.

    As FOCUS trains it (width 100, 10 negatives), in one thread, so that a seed gives the same vectors; more often
    over a small text, at most 20 times.

    Raises:
      UserError: gensim is not installed, or the text is too small.
    """
    try:
        from gensim.models import FastText
    except ImportError as error:
        raise UserError(
            "training word vectors needs gensim: pip install 'linkjax[vocabulary]', or give --word_vectors."
        ) from error
    lines = [sentence for sentence, count in sentences for _ in range(count) if sentence]
    counts = collections.Counter(word for line in lines for word in line)
    if not any(count >= least for count in counts.values()):
        raise UserError(f"no word stands {least} times in the text that word vectors are trained on: give more text.")
    fewest, most = _PASSES
    model = FastText(
        lines,
        vector_size=_WIDTH,
        sg=0,
        negative=_NEGATIVES,
        min_count=least,
        bucket=_BUCKETS,
        epochs=min(most, max(fewest, _TOKENS_SEEN // counts.total())),
        workers=1,
        seed=seed,
    )
    words = tuple(model.wv.index_to_key)
    return WordVectors(words, np.array([float(counts[word]) for word in words]), np.array(model.wv.vectors))
