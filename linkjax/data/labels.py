"""Texts -> tokens with what is to be predicted in their places.

T tokens.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from linkjax.data.tokenizer import AnyTokenizer
from linkjax.substitution import Substituted

KINDS = (np.int32, np.int32, np.float32, np.uint8)


class Labelled(NamedTuple):
    """Of a text, or of a part of one.

    Attributes:
      tokens_T: int32 its ids.
      targets_T: int32 what is to be predicted in their places: the same, but for `loss_on_swapped` original.
      loss_weights_T: float32 whether that counts in the loss.
      swapped_T: uint8 1 where the token is (part of) a swapped-in word.
    """

    tokens_T: np.ndarray
    targets_T: np.ndarray
    loss_weights_T: np.ndarray
    swapped_T: np.ndarray

    def part(self, start: int) -> "Labelled":
        """From a token on."""
        return Labelled(*(values[start:] for values in self))


def labelled(tokenizer: AnyTokenizer, texts: Sequence[Substituted], loss_on_swapped: str) -> list[Labelled]:
    """Labels texts, without the document's end."""
    found = tokenizer.encode_all([(done.text, done.spans) for done in texts])
    return [with_targets(tokenizer, done, *one, loss_on_swapped) for done, one in zip(texts, found, strict=True)]


def end(tokenizer: AnyTokenizer) -> Labelled:
    """What stands behind each document."""
    values = (tokenizer.eos, tokenizer.eos, 1, 0)
    return Labelled(*(np.array([value], kind) for value, kind in zip(values, KINDS, strict=True)))


def with_targets(
    tokenizer: AnyTokenizer, done: Substituted, tokens: np.ndarray, swapped: np.ndarray, loss: str
) -> Labelled:
    """Labels a text whose ids and flags are known."""
    targets, weights = tokens.copy(), np.ones(len(tokens), np.float32)
    if loss != "yes":
        weights -= swapped
    if loss == "original" and done.spans:
        before = done.undo()
        starts = np.array([start for start, _, _ in done.spans])
        growth = np.cumsum([len(original) - (end - start) for start, end, original in done.spans])
        asked = np.array(tokenizer.encode(before), np.int32)
        asked = asked[tokenizer.tokens_at(before, starts + np.append(0, growth[:-1]))]
        places = tokenizer.tokens_at(done.text, starts)
        targets[places] = asked
        weights[places] = 1
    return Labelled(tokens, targets, weights, swapped)
