"""Rows of embeddings for a new vocabulary: copied where the old one has the token, by a method where it has not."""

import dataclasses
import enum
import functools
from collections.abc import Sequence

import numpy as np

from linkjax.errors import UserError
from linkjax.vocabulary.aids import Aids
from linkjax.vocabulary.clp import clp_rows
from linkjax.vocabulary.focus import focus_rows
from linkjax.vocabulary.mean import mean_rows
from linkjax.vocabulary.normal import normal_rows
from linkjax.vocabulary.salt import salt_rows
from linkjax.vocabulary.token_vectors import from_words, trained_on_tokens, word_pieces
from linkjax.vocabulary.tokens import Vocabulary, match
from linkjax.vocabulary.translation import piece_weights, translated_rows
from linkjax.vocabulary.wechsel import rotation, wechsel_rows

_LEAST_PAIRS = 50  # of words, to align two spaces by


class Way(enum.IntEnum):
    """How a row came about."""

    COPIED = 0
    BY_METHOD = 1
    MEAN = 2  # the method could not say anything of the token: the mean of its pieces
    RANDOM = 3  # nor has it pieces


@dataclasses.dataclass(frozen=True)
class Rows:
    """rows_NxD of a new vocabulary, in the old ones' type, and the `Way` of each."""

    rows_NxD: np.ndarray
    ways_N: np.ndarray


class Initialisation:
    """Makes the rows of a new vocabulary from an old one's.

    In a vocabulary that replaces another, WECHSEL and translation make the rows of ordinary tokens that both have as
    well, as their authors do: the same letters are another word in another language.
    """

    def __init__(
        self, method: str, old: Vocabulary, new: Vocabulary, matched: Sequence[int | None], aids: Aids, keep: bool
    ):
        """Args:
        matched: for each new id the old one whose row it may take.
        keep: whether it takes that in any case, and rows of no token stay as well.

        Raises:
          UserError: the method needs what was not given.
        """
        aids.check(method)
        self._method, self._old, self._new, self._aids = method, old, new, aids
        self._matched_N = np.array([-1 if id is None else id for id in matched])
        self._keep, self._again = keep, not keep and method in ("wechsel", "translation")

    def rows(self, old_rows_VxD: np.ndarray, output: bool = False) -> Rows:
        """Args: `output`, whether these are the output embeddings."""
        size = len(self._matched_N)
        ways_N = np.full(size, Way.RANDOM)
        new_NxD = np.zeros((size, old_rows_VxD.shape[1]), old_rows_VxD.dtype)
        matched = np.flatnonzero((self._matched_N >= 0) & (self._matched_N < len(old_rows_VxD)))
        new_NxD[matched] = old_rows_VxD[self._matched_N[matched]]
        ways_N[matched] = Way.COPIED
        wanted = np.array([id for id in range(size) if self._is_text(id) and (self._again or ways_N[id])], int)
        if len(wanted):
            ids, found_NxD = getattr(self, f"_{self._method}")(wanted, old_rows_VxD, output)
            new_NxD[ids], ways_N[ids] = found_NxD.astype(new_NxD.dtype), Way.BY_METHOD
            left = [id for id in wanted if ways_N[id] == Way.RANDOM]
            ids, found_NxD = self._mean(np.array(left, int), old_rows_VxD, output)
            new_NxD[ids], ways_N[ids] = found_NxD.astype(new_NxD.dtype), Way.MEAN
        left = np.flatnonzero(ways_N == Way.RANDOM)
        if len(left):
            new_NxD[left] = normal_rows(old_rows_VxD, len(left), self._aids.seed).astype(new_NxD.dtype)
        if self._method == "random":
            ways_N[left] = Way.BY_METHOD
        if self._keep and (spare := len(old_rows_VxD) - size) > 0:  # they are there to make a round number
            new_NxD = np.concatenate([new_NxD, old_rows_VxD[size:]])
            ways_N = np.concatenate([ways_N, np.full(spare, Way.COPIED)])
        return Rows(new_NxD, ways_N)

    def _is_text(self, id: int) -> bool:
        return isinstance(self._new.meanings[id], str | bytes) and not (self._again and self._new.is_byte[id])

    def _random(self, wanted: np.ndarray, old_rows_VxD: np.ndarray, output: bool) -> tuple[np.ndarray, np.ndarray]:
        return wanted, normal_rows(old_rows_VxD, len(wanted), self._aids.seed + 1 + output)

    def _mean(self, wanted: np.ndarray, old_rows_VxD: np.ndarray, output: bool) -> tuple[np.ndarray, np.ndarray]:
        pieces = {int(id): self._old.pieces(self._new.meanings[id]) for id in wanted}
        pieces = {id: [piece for piece in found if piece < len(old_rows_VxD)] for id, found in pieces.items()}
        ids = [id for id, found in pieces.items() if found]
        return np.array(ids, int), mean_rows(old_rows_VxD, [pieces[id] for id in ids])

    def _focus(self, wanted: np.ndarray, old_rows_VxD: np.ndarray, output: bool) -> tuple[np.ndarray, np.ndarray]:
        vectors_NxW, known_N = self._vectors
        ids, shared = self._split(wanted, old_rows_VxD, known_N)
        return ids, focus_rows(vectors_NxW[ids], vectors_NxW[shared], old_rows_VxD[self._matched_N[shared]])

    def _salt(self, wanted: np.ndarray, old_rows_VxD: np.ndarray, output: bool) -> tuple[np.ndarray, np.ndarray]:
        vectors_NxW, known_N = self._vectors
        target_NxE, has_N, exact_N = self._target_rows(output)
        ids, shared = self._split(wanted, old_rows_VxD, known_N & has_N, known_N & exact_N)
        rows_SxD = old_rows_VxD[self._matched_N[shared]]
        return ids, salt_rows(vectors_NxW[ids], vectors_NxW[shared], target_NxE[ids], target_NxE[shared], rows_SxD)

    def _clp(self, wanted: np.ndarray, old_rows_VxD: np.ndarray, output: bool) -> tuple[np.ndarray, np.ndarray]:
        target_NxE, has_N, exact_N = self._target_rows(output)
        ids, shared = self._split(wanted, old_rows_VxD, has_N, exact_N)
        found_nxD, said_n = clp_rows(target_NxE[ids], target_NxE[shared], old_rows_VxD[self._matched_N[shared]])
        return ids[said_n], found_nxD[said_n]

    def _wechsel(self, wanted: np.ndarray, old_rows_VxD: np.ndarray, output: bool) -> tuple[np.ndarray, np.ndarray]:
        target, english = self._aids.target_words, self._aids.english_words
        if target.vectors_NxW.shape[1] != english.vectors_NxW.shape[1]:
            raise UserError(
                f"the target-language word vectors have {target.vectors_NxW.shape[1]} numbers and the English ones"
                f" {english.vectors_NxW.shape[1]}: give two files of one width, or texts to train both on."
            )
        turn_WxW = rotation(*self._aligned(english.index(), target.index()))
        aids = self._aids  # a file has words as they are written, those trained here are lower-cased
        new = word_pieces(self._new, None if aids.word_vectors else aids.target_text)
        old = word_pieces(self._old, None if aids.english_vectors else aids.english_text)
        vectors_NxW, known_N = from_words(new, len(self._new), target, self._counts)
        source_VxW, said_V = from_words(old, len(self._old), english)
        said_V[len(old_rows_VxD) :] = False
        usable = np.flatnonzero(said_V)
        ids = wanted[known_N[wanted]]
        return ids, wechsel_rows(vectors_NxW[ids], source_VxW[usable] @ turn_WxW, old_rows_VxD[usable])

    def _translation(self, wanted: np.ndarray, old_rows_VxD: np.ndarray, output: bool) -> tuple[np.ndarray, np.ndarray]:
        counts = self._counts or dict.fromkeys(self._aids.translations, 1)
        new, old = word_pieces(self._new, self._aids.target_text), word_pieces(self._old, self._aids.english_text)
        weights = piece_weights(counts, self._aids.translations, new, old)
        ids = np.array([id for id in wanted if int(id) in weights], int)
        return ids, translated_rows(old_rows_VxD, [weights[int(id)] for id in ids])

    @property
    def _counts(self):
        return self._aids.target_text.words if self._aids.target_text else None

    @functools.cached_property
    def _vectors(self) -> tuple[np.ndarray, np.ndarray]:
        """Target-language vectors of the new vocabulary's tokens, and which have one."""
        if self._aids.word_vectors:
            return from_words(word_pieces(self._new, None), len(self._new), self._aids.target_words, self._counts)
        return trained_on_tokens(self._new, self._aids.target_text, self._aids.seed)

    def _target_rows(self, output: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The target-language model's rows of the new tokens, which have one, and which are a token of it themselves.

        Of another token it is the mean of the pieces that the model cuts its text into.
        """
        model = self._aids.target_model
        rows_TxE = np.asarray(model.rows(output), np.float32)
        exact = match(self._new.meanings, model.vocabulary.meanings)
        rows_NxE = np.zeros((len(exact), rows_TxE.shape[1]), np.float32)
        for id, token in enumerate(exact):
            if token is None and isinstance(self._new.meanings[id], str | bytes):
                pieces = model.vocabulary.pieces(self._new.meanings[id])
                rows_NxE[id] = rows_TxE[pieces].mean(axis=0) if pieces else 0
            elif token is not None:
                rows_NxE[id] = rows_TxE[token]
        return rows_NxE, rows_NxE.any(axis=1), np.array([token is not None for token in exact])

    def _split(self, wanted, old_rows_VxD, known_N, anchors_N=None) -> tuple[np.ndarray, np.ndarray]:
        """Those wanted of which something is known, and the tokens shared with the old vocabulary to go by."""
        anchors_N = known_N if anchors_N is None else anchors_N
        text_N = np.array([isinstance(meaning, str) for meaning in self._new.meanings])
        shared_N = anchors_N & text_N & (self._matched_N >= 0) & (self._matched_N < len(old_rows_VxD))
        if not shared_N.any():
            raise UserError(
                f"--method={self._method} goes by tokens that both vocabularies have, and of none anything is known:"
                " choose mean, or give more of the target language."
            )
        return wanted[known_N[wanted]], np.flatnonzero(shared_N)

    def _aligned(self, english: dict[str, int], target: dict[str, int]) -> tuple[np.ndarray, np.ndarray]:
        """Vectors of the word list's pairs, in the forms of a word that have one."""
        pairs = [
            (english[source], target[translation])
            for pair in self._aids.lexicon.pairs()
            for source in _forms(pair.source)
            for translation in _forms(pair.target)
            if source in english and translation in target
        ]
        if len(pairs) < _LEAST_PAIRS:
            raise UserError(
                f"{len(pairs)} of the word list's pairs have word vectors on both sides, and to align by them takes"
                f" {_LEAST_PAIRS}: give a larger word list or more text."
            )
        sources, targets = np.array(pairs).T
        return self._aids.english_words.vectors_NxW[sources], self._aids.target_words.vectors_NxW[targets]


def _forms(word: str) -> set[str]:
    return {word, word.lower(), word.title()}
