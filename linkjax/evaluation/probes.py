"""Looks into a model: do the languages lie together in it (alignment), and does it mix them up (confusion)?

Alignment without transfer happens, so these stand beside the scores and do not replace them.

T texts, C candidates, D model width, N layers.
"""

import collections
import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from linkjax.data.tokenizer import AnyTokenizer
from linkjax.training.sharding import row_parts
from linkjax.training.step import Trainer

_WORD = re.compile(r"[^\W\d_]+")
_OWN = 10.0  # times as frequent as in the other language's text, for a piece to be a language's own


def layers(trainer: Trainer) -> list[str]:
    """Names of the places that `vectors` looks at."""
    return ["input", *(f"layer {number}" for number in range(1, trainer.model.layers + 1)), "output"]


def vectors(trainer: Trainer, params: Any, tokenizer: AnyTokenizer, texts: Sequence[str], length: int) -> np.ndarray:
    """vectors_NxTxD of each text, read alone: the mean over its pieces, in each of `layers`.

    A text's vector at a layer is that of the pieces themselves, not of what comes before them; texts longer than
    `length` are cut.
    """
    parts = row_parts(trainer.mesh)
    rows = -(-64 // parts) * parts
    within = "" if tokenizer.adds_space else " "  # words are looked at as they are within a text
    ids = [tokenizer.encode(within + text)[: length - 1] or [tokenizer.start] for text in texts]
    found = []
    for start in range(0, len(ids), rows):
        some = ids[start : start + rows]
        batch = {name: np.zeros((rows, length), np.int32) for name in ("tokens", "targets", "segments", "positions")}
        for row, pieces in enumerate(some):
            # One place to the left, no start of a document: what is read at a place is the piece itself.
            batch["tokens"][row, : len(pieces)] = batch["targets"][row, : len(pieces)] = pieces
            batch["segments"][row, : len(pieces)] = 1
            batch["positions"][row, : len(pieces)] = np.arange(1, len(pieces) + 1)
        placed = trainer.place_whole({f"{name}_BxL": values for name, values in batch.items()})
        found.append(np.asarray(trainer.text_vectors(params, placed))[:, : len(some)])
    return np.concatenate(found, axis=1)


def precision(queries_TxD: np.ndarray, candidates_CxD: np.ndarray, right: Sequence[set[int]]) -> dict[str, float]:
    """P@1 by cosine: the share of queries whose nearest candidate is a right one; and what guessing would give.

    Where several are equally near, or a vector has no direction, the query counts as wrong.
    """

    def directions(x: np.ndarray) -> np.ndarray:
        x = x.astype(np.float64) - candidates_CxD.astype(np.float64).mean(0)  # what all have in common says nothing
        with np.errstate(invalid="ignore", divide="ignore"):
            return x / np.linalg.norm(x, axis=-1, keepdims=True)

    cosines_TxC = directions(queries_TxD) @ directions(candidates_CxD).T
    hits = 0
    for cosines_C, answers in zip(cosines_TxC, right, strict=True):
        nearest = np.flatnonzero(cosines_C >= cosines_C.max() - 1e-12) if np.isfinite(cosines_C).all() else []
        hits += bool(len(nearest)) and set(nearest.tolist()) <= answers
    chance = float(np.mean([len(answers) for answers in right])) / len(candidates_CxD)
    return {"precision": hits / len(right), "chance": chance, "n": len(right), "candidates": len(candidates_CxD)}


def word_translation(
    entries: Mapping[str, tuple[str, ...]],
    vectors_of: Callable[[Sequence[str]], np.ndarray],
    names: Sequence[str],
    most: int = 1000,
) -> dict[str, dict[str, float]]:
    """P@1 of English words among the translations of all of them, in each layer.

    Args:
      entries: of a lexicon, those with single words; `most` of them are taken, by hash.
      vectors_of: texts -> vectors_NxTxD.
      names: of the layers.
    """  # fmt: skip
    single = {word: [t for t in targets if " " not in t] for word, targets in entries.items() if " " not in word}
    chosen = sorted((word for word, targets in single.items() if targets), key=_hash)[:most]
    if len(chosen) < 2:
        return {}
    candidates = sorted({target for word in chosen for target in single[word]})
    place = {target: index for index, target in enumerate(candidates)}
    right = [{place[target] for target in single[word]} for word in chosen]
    queries_NxTxD, candidates_NxCxD = vectors_of(chosen), vectors_of(candidates)
    return {
        name: precision(queries_TxD, candidates_CxD, right)
        for name, queries_TxD, candidates_CxD in zip(names, queries_NxTxD, candidates_NxCxD, strict=True)
    }


def sentence_retrieval(
    pairs: Sequence[tuple[str, str]], vectors_of: Callable[[Sequence[str]], np.ndarray], names: Sequence[str]
) -> dict[str, dict[str, float]]:
    """P@1 of finding a sentence's translation among all of them, the mean of both directions, in each layer."""
    sides = [vectors_of([pair[side] for pair in pairs]) for side in (0, 1)]
    right = [{index} for index in range(len(pairs))]
    result = {}
    for name, first_TxD, second_TxD in zip(names, *sides, strict=True):
        both = [precision(first_TxD, second_TxD, right), precision(second_TxD, first_TxD, right)]
        result[name] = both[0] | {"precision": (both[0]["precision"] + both[1]["precision"]) / 2}
    return result


class Languages:
    """Which words and pieces are which language's own, by samples of their text."""

    def __init__(self, texts: Mapping[str, Sequence[str]], tokenizer: AnyTokenizer):
        """Args: `texts` by language, of training."""
        self._words = {language: collections.Counter(words(of)) for language, of in texts.items()}
        self._pieces = {}
        for language, of in texts.items():
            ids = np.array([piece for text in of for piece in tokenizer.encode(text)], np.int64)
            counts_V = np.bincount(ids, minlength=len(tokenizer)).astype(np.float64)
            self._pieces[language] = counts_V / max(counts_V.sum(), 1)

    def foreign_words(self, language: str, texts: Sequence[str]) -> dict[str, float]:
        """Share of words that only other languages' text has, of those that any has, in what was written."""
        known = [word for word in words(texts) if any(word in of for of in self._words.values())]
        foreign = sum(word not in self._words[language] for word in known)
        return {"share": foreign / max(len(known), 1), "words": len(known)}

    def foreign_pieces(self, language: str) -> np.ndarray:
        """1 for pieces that another language's text has ten times as often, by share of its tokens, else 0."""
        own_V = self._pieces[language]
        others = [of for name, of in self._pieces.items() if name != language]
        most_V = np.max(others, axis=0) if others else np.zeros_like(own_V)
        return ((most_V > 0) & (most_V >= _OWN * own_V)).astype(np.float32)


def words(texts: Sequence[str]) -> list[str]:
    """In lower case, digits and signs left out."""
    return [word for text in texts for word in _WORD.findall(text.lower())]


def _hash(word: str) -> bytes:
    return hashlib.blake2b(word.encode(), digest_size=8).digest()
