"""Trans-tokenization from a word list alone: new rows from the English translations of the words that hold a token.

After Remy et al. 2024 (https://arxiv.org/abs/2408.04303), who count which words translate which in aligned parallel
text. Here the word list says that, and each word of the target text counts as often as it stands there. As in one half
of their count, every piece of a word meets every piece of its translation.
"""

import collections
from collections.abc import Callable, Mapping, Sequence

import numpy as np

Weights = dict[int, dict[int, float]]


def piece_weights(
    words: Mapping[str, int],
    translations: Mapping[str, Mapping[str, float]],
    new_pieces: Callable[[str], Sequence[int]],
    old_pieces: Callable[[str], Sequence[int]],
) -> Weights:
    """New token -> old token -> weight, for the tokens of all target words that have a translation.

    Args:
      words: how often each word stands in the target text.
      translations: target word -> its English translations and how probable each is, in any unit.
      new_pieces: a target word's ids in the new vocabulary.
      old_pieces: an English word's ids in the old vocabulary.
    """
    weights: Weights = collections.defaultdict(lambda: collections.defaultdict(float))
    for word, count in words.items():
        senses = translations.get(word, {})
        whole = sum(senses.values())
        if not whole:
            continue
        new = set(new_pieces(word))
        for english, weight in senses.items():
            old = old_pieces(english)
            for piece in old:
                for token in new:
                    weights[token][piece] += count * weight / whole / len(old)
    return {token: dict(found) for token, found in weights.items()}


def translated_rows(rows_VxD: np.ndarray, weights: Sequence[Mapping[int, float]]) -> np.ndarray:
    """rows_NxD in float64: weighted means of old rows; each of the N has a weight above zero."""
    new_NxD = np.zeros((len(weights), rows_VxD.shape[1]))
    for index, found in enumerate(weights):
        shares = np.array(list(found.values()), np.float64)
        new_NxD[index] = (shares / shares.sum()) @ np.asarray(rows_VxD[list(found)], np.float64)
    return new_NxD
