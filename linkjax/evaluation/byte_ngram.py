"""A byte-trigram model: the yardstick that any language model should beat on held-out text."""

from collections.abc import Iterable

import numpy as np


def trigram_bits_per_byte(train: Iterable[str], heldout: Iterable[str]) -> float:
    """Bits per byte of `heldout` texts under a byte trigram estimated on `train`.

    Witten-Bell interpolation down to the uniform distribution (Chen and Goodman 1998, section 2.6). Each
    text is preceded by two newlines that are not scored. NaN where there is no held-out text.
    """
    trigrams = np.zeros((256, 256, 256), np.int32)
    for text in train:
        a, b, c = _windows(text)
        np.add.at(trigrams, (a, b, c), 1)
    bigrams = trigrams.sum(0)
    unigrams = bigrams.sum(0)
    uniform = np.full(256, 1 / 256)
    first = _witten_bell(unigrams, uniform)
    second = _witten_bell(bigrams, first)
    contexts, followers = trigrams.sum(2), (trigrams > 0).sum(2)
    bits, size = 0.0, 0
    for text in heldout:
        a, b, c = _windows(text)
        seen, kinds, lower = contexts[a, b], followers[a, b], second[b, c]
        share = np.where(seen == 0, lower, (trigrams[a, b, c] + kinds * lower) / np.maximum(seen + kinds, 1))
        bits -= float(np.log2(share).sum())
        size += len(c)
    return bits / size if size else float("nan")


def _witten_bell(counts: np.ndarray, lower: np.ndarray) -> np.ndarray:
    seen = counts.sum(-1, keepdims=True)
    kinds = (counts > 0).sum(-1, keepdims=True)
    return np.where(seen == 0, lower, (counts + kinds * lower) / np.maximum(seen + kinds, 1))


def _windows(text: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    data = np.frombuffer(b"\n\n" + text.encode(), np.uint8)
    return data[:-2], data[1:-1], data[2:]
