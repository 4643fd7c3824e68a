"""Tokens added to a tokenizer for the target language, while every token it has keeps its id."""

import collections
import copy
from typing import Any

from linkjax.errors import UserError
from linkjax.vocabulary.merges import learn_merges, pairs_in
from linkjax.vocabulary.replacing import learn_pieces
from linkjax.vocabulary.texts import Text
from linkjax.vocabulary.tokens import Vocabulary

_LEAST_USED = 2  # times that a new piece stands in the target text
_UNUSED = -1e4  # score of an id that no text becomes


def extend(vocabulary: Vocabulary, target: Text, english: Text | None, size: int) -> Vocabulary:
    """The vocabulary with up to `size` ids, the new ones learned on the target text.

    All the English text is cut into tokens as before: no token is added that would stand in it.

    Raises:
      UserError: there are so many already, or nothing can be learned.
    """
    if size <= len(vocabulary):
        raise UserError(
            f"--vocabulary_size={size} leaves no room: {vocabulary.place} has {len(vocabulary):,} ids already."
        )
    specification = copy.deepcopy(vocabulary.specification)
    grow = _merge if vocabulary.kind == "BPE" else _add_pieces
    if not grow(vocabulary, specification, target, english, size - len(vocabulary)):
        raise UserError("nothing was learned from the target text: give more of it, or less English text.")
    return Vocabulary(specification, vocabulary.place)


def _merge(
    vocabulary: Vocabulary, specification: dict[str, Any], target: Text, english: Text | None, count: int
) -> int:
    model = specification["model"]
    merges = learn_merges(
        _cut(vocabulary, target),
        count,
        {token for token in vocabulary.tokens if token is not None},
        pairs_in(_cut(vocabulary, english)) if english else (),
    )
    _keep_ids(model["vocab"], specification)
    model["vocab"] |= {"".join(pair): len(vocabulary) + index for index, pair in enumerate(merges)}
    as_text = bool(model["merges"]) and isinstance(model["merges"][0], str)  # as older versions write them
    model["merges"] += [" ".join(pair) if as_text else list(pair) for pair in merges]
    return len(merges)


def _keep_ids(entries: dict[str, int], specification: dict[str, Any]) -> None:
    """Added tokens get the next free ids when a tokenizer is loaded, unless the model has them."""
    for token in specification.get("added_tokens") or []:
        entries[token["content"]] = token["id"]


def _cut(vocabulary: Vocabulary, text: Text) -> collections.Counter[tuple[str, ...]]:
    """The stretches of a text, in tokens."""
    cut: collections.Counter[tuple[str, ...]] = collections.Counter()
    for stretch, count in text.stretches(vocabulary).items():
        cut[tuple(token.value for token in vocabulary.backend.model.tokenize(stretch))] += count
    return cut


def _add_pieces(
    vocabulary: Vocabulary, specification: dict[str, Any], target: Text, english: Text | None, count: int
) -> int:
    """Adds pieces of a Unigram model trained on the target text, under the scores they have there."""
    entries = specification["model"]["vocab"]
    entries += [[token, _UNUSED] for token in vocabulary.tokens[len(entries) :]]
    known = {token for token in vocabulary.tokens if token is not None}
    scores = learn_pieces([target], max(2 * count, 1000))
    pieces = [[piece, score] for piece, score in scores.items() if piece not in known]
    old = len(entries)
    while True:
        grown = Vocabulary({**specification, "model": {**specification["model"], "vocab": entries + pieces}}, "")
        if english is None or not (met := {id - old for id in english.tokens(grown) if id >= old}):
            break
        pieces = [piece for index, piece in enumerate(pieces) if index not in met]
    used = target.tokens(grown)
    best = sorted((index for index in range(len(pieces)) if used[old + index] >= _LEAST_USED),
                  key=lambda index: (-used[old + index], pieces[index][0]))[:count]  # fmt: skip
    entries += [pieces[index] for index in best]
    return len(best)
