"""A byte-trigram model: the yardstick that any language model should beat on held-out text."""

from collections.abc import Iterable, Sequence

import numpy as np


class ByteTrigram:
    """A byte trigram estimated on some texts.

    Witten-Bell interpolation down to the uniform distribution (Chen and Goodman 1998, section 2.6). Each
    text is preceded by two newlines that are not scored.
    """

    def __init__(self, train: Iterable[str]):
        self._trigrams = np.zeros((256, 256, 256), np.int32)
        for text in train:
            np.add.at(self._trigrams, _windows(text), 1)
        bigrams = self._trigrams.sum(0)
        self._lower = _witten_bell(bigrams, _witten_bell(bigrams.sum(0), np.full(256, 1 / 256)))
        self._seen, self._kinds = self._trigrams.sum(2), (self._trigrams > 0).sum(2)

    def bits(self, text: str) -> float:
        """Code length of a text in bits."""
        a, b, c = _windows(text)
        seen, kinds, lower = self._seen[a, b], self._kinds[a, b], self._lower[b, c]
        share = np.where(seen == 0, lower, (self._trigrams[a, b, c] + kinds * lower) / np.maximum(seen + kinds, 1))
        return float(-np.log2(share).sum())


def trigram_bits_per_byte(train: Iterable[str], heldout: Sequence[str]) -> float:
    """Bits per byte of `heldout` texts, NaN where there are none."""
    model, size = ByteTrigram(train), sum(len(text.encode()) for text in heldout)
    return sum(map(model.bits, heldout)) / size if size else float("nan")


def _witten_bell(counts: np.ndarray, lower: np.ndarray) -> np.ndarray:
    seen = counts.sum(-1, keepdims=True)
    kinds = (counts > 0).sum(-1, keepdims=True)
    return np.where(seen == 0, lower, (counts + kinds * lower) / np.maximum(seen + kinds, 1))


def _windows(text: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    data = np.frombuffer(b"\n\n" + text.encode(), np.uint8)
    return data[:-2], data[1:-1], data[2:]
