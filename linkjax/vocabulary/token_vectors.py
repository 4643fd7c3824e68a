"""Vectors of tokens in a space of word vectors."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from linkjax.vocabulary.texts import Text
from linkjax.vocabulary.tokens import Vocabulary
from linkjax.vocabulary.word_vectors import WordVectors, train_vectors


def trained_on_tokens(vocabulary: Vocabulary, text: Text, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """vectors_VxW of the tokens, and for each whether it has one, from the text cut into tokens, as FOCUS does it."""
    written = vocabulary.tokens
    sentences = (([written[id] for id in vocabulary.encode(line)], count) for line, count in sorted(text.lines.items()))
    trained = train_vectors(sentences, seed)
    index = trained.index()
    vectors_VxW = np.zeros((len(vocabulary), trained.vectors_NxW.shape[1]), np.float32)
    for id, token in enumerate(written):
        if token in index:
            vectors_VxW[id] = trained.vectors_NxW[index[token]]
    return vectors_VxW, vectors_VxW.any(axis=1)


def from_words(
    pieces: Callable[[str], Sequence[int]], size: int, words: WordVectors, counts: Mapping[str, int] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """vectors_VxW of the tokens, and for each whether it has one: means of the vectors of the words that hold it.

    Words weigh as often as they stand in text: WECHSEL's way for vectors without subwords (section 3 there).

    Args:
      pieces: ids of a word in the middle of a text.
      size: ids of the vocabulary.
      counts: of the words in a text, lower-cased; without it those that the vectors come with.
    """
    sums_VxW = np.zeros((size, words.vectors_NxW.shape[1]))
    weights_V = np.zeros(size)
    for index, word in enumerate(words.words):
        weight = words.counts[index] if counts is None else counts.get(word.lower(), 0)
        if weight:
            ids = list(set(pieces(word)))
            sums_VxW[ids] += weight * words.vectors_NxW[index].astype(np.float64)[None]
            weights_V[ids] += weight
    return sums_VxW / np.where(weights_V > 0, weights_V, 1)[:, None], sums_VxW.any(axis=1)


def word_pieces(vocabulary: Vocabulary, text: Text | None) -> Callable[[str], list[int]]:
    """Cuts a word as it is cut between spaces. Lower-cased words of a text are cut as they are mostly written there."""
    forms = text.forms if text else {}
    return lambda word: vocabulary.pieces(f" {forms.get(word, word)}")
