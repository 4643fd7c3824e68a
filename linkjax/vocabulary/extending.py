"""Tokens added to a tokenizer for the target language, while every token it has keeps its id."""

import collections
import copy
from typing import Any

from linkjax.errors import UserError
from linkjax.vocabulary.merges import learn_merges, pairs_in
from linkjax.vocabulary.replacing import learn_pieces
from linkjax.vocabulary.texts import Text
from linkjax.vocabulary.tokens import Vocabulary

_LEAST_USED = 2  # times that a new piece or character stands in the target text
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
    _keep_ids(model["vocab"], specification)
    characters = _new_characters(vocabulary, target, english)[:count]
    model["vocab"] |= {character: len(vocabulary) + index for index, character in enumerate(characters)}
    spelled = Vocabulary(specification, vocabulary.place) if characters else vocabulary
    merges = learn_merges(
        _cut(spelled, target),
        count - len(characters),
        {token for token in spelled.tokens if token is not None},
        pairs_in(_cut(spelled, english)) if english else (),
    )
    model["vocab"] |= {"".join(pair): len(spelled) + index for index, pair in enumerate(merges)}
    as_text = bool(model["merges"]) and isinstance(model["merges"][0], str)  # as older versions write them
    model["merges"] += [" ".join(pair) if as_text else list(pair) for pair in merges]
    return len(characters) + len(merges)


def _new_characters(vocabulary: Vocabulary, target: Text, english: Text | None) -> list[str]:
    """Characters of the target text without a token, the most frequent first, but for those of the English text."""
    if vocabulary.writing == "bytes":
        return []
    counts: collections.Counter[str] = collections.Counter()
    for stretch, count in target.stretches(vocabulary).items():
        for character in stretch:
            counts[character] += count
    known = {*filter(None, vocabulary.tokens), *(set().union(*english.stretches(vocabulary)) if english else ())}
    new = [character for character, count in counts.items() if count >= _LEAST_USED and character not in known]
    return sorted(new, key=lambda character: (-counts[character], character))


def _keep_ids(entries: dict[str, int], specification: dict[str, Any]) -> None:
    """Added tokens get the next free ids when a tokenizer is loaded, unless the model has them."""
    for token in specification.get("added_tokens") or []:
        entries[token["content"]] = token["id"]


def _cut(vocabulary: Vocabulary, text: Text) -> collections.Counter[tuple[str, ...]]:
    """The stretches of a text, in tokens; and cut where a byte stands for a part of a character that has no token."""
    cut: collections.Counter[tuple[str, ...]] = collections.Counter()
    for stretch, count in text.stretches(vocabulary).items():
        word: list[str] = []
        for token in vocabulary.backend.model.tokenize(stretch):
            if vocabulary.is_spelled(token.id):
                word.append(token.value)
            else:
                cut[tuple(word)] += count
                word = []
        cut[tuple(word)] += count
    return cut


def _add_pieces(
    vocabulary: Vocabulary, specification: dict[str, Any], target: Text, english: Text | None, count: int
) -> int:
    """Adds pieces of a Unigram model trained on the target text, under the scores they have there."""
    entries = specification["model"]["vocab"]
    for id in range(len(entries), len(vocabulary)):
        entries.append([vocabulary.tokens[id] or f"<unused {id}>", _UNUSED])
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
