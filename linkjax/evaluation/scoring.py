"""Log-probabilities of many token sequences, packed into rows as training packs them.

Neither packing nor the rows' length changes a score: attention never crosses a segment and positions restart.

B rows, L tokens of a row, M of them that are looked at.
"""

import bisect
import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

# rows (see `linkjax.data.rows`) -> cross-entropy in nats and greedy hits, both BxL; of places_BxM alone, where the rows
# name them
ScoreRows = Callable[[dict[str, np.ndarray]], tuple[np.ndarray, np.ndarray]]
_FEWEST = 8  # of a row's places at least an eighth is looked at: each number of them is a program to compile
ALIGNED = 128  # lengths of rows are multiples of it where there are several: what attention on TPUs asks for


class _Piece(NamedTuple):
    """The ids of a sequence from `start` up to `end`, which are predicted in one segment."""

    sequence: int
    start: int
    end: int

    @property
    def size(self) -> int:
        return self.end - self.start


class _Batch(NamedTuple):
    rows: dict[str, np.ndarray]
    slots_BxL: np.ndarray  # where a scored token's loss belongs, -1 for others


class PackedSequences:
    """Token sequences laid out in rows once, to be scored by many checkpoints.

    Short ones are in short rows, of which a batch has more: all batches have as many tokens. Equal sequences are
    scored once, so that they tie whatever is beside them.

    Attributes:
      truncated: of each sequence, whether what is given was cut at its beginning to make it fit.
    """

    def __init__(
        self,
        sequences: Sequence[tuple[Sequence[int], int]],
        length: int,
        rows_per_batch: int,
        most_segments: int = 0,
        multiple: int = ALIGNED,
        *,
        start: int,
    ):
        """Args:
        sequences: (ids, number of ids at the start that are given and not scored). Where there are more than
          `length`, the first given ones are dropped, as lm-evaluation-harness does; what is to be scored is never:
          if that alone is longer, it goes on in the next segment without what came before.
        length: tokens of a row, at most.
        rows_per_batch: rows of that length scored at once.
        most_segments: sequences in a row; 0 = no limit.
        multiple: rows may be a half, a quarter ... of `length` as long as that is a multiple of this.
        start: the tokenizer's, which stands before each sequence.
        """
        self._start = start
        places: dict[tuple[tuple[int, ...], int], int] = {}
        self._places = np.array([places.setdefault((tuple(ids), given), len(places)) for ids, given in sequences], int)
        distinct = list(places)
        self._starts = np.array([0, *itertools.accumulate(len(ids) for ids, _ in distinct)])
        pieces = [
            piece for index, (ids, given) in enumerate(distinct) for piece in _pieces(index, len(ids), given, length)
        ]
        self.truncated = np.array([given > 0 and len(ids) > length for ids, given in sequences], bool)
        self._batches: list[_Batch] = []
        waiting: list[_Piece] = []
        lengths, shorter = _lengths(length, multiple), 0
        longest = max((piece.size for piece in pieces), default=0)
        lengths = [row_length for row_length in lengths if row_length // 2 < longest or row_length == lengths[0]]
        for row_length in lengths:
            waiting += [piece for piece in pieces if shorter < piece.size <= row_length]
            shorter, count = row_length, rows_per_batch * (length // row_length)
            rows = _packed(waiting, row_length, most_segments or row_length)
            # What does not fill a batch goes into longer rows.
            whole = len(rows) if row_length == lengths[-1] else len(rows) // count * count
            for start in range(0, whole, count):
                self._batches.append(self._batch(rows[start : start + count], distinct, count, row_length))
            waiting = [piece for row in rows[whole:] for piece in row]
        self._batches = _with_places(self._batches)

    def __len__(self) -> int:
        """Batches."""
        return len(self._batches)

    def _batch(
        self, rows: list[list[_Piece]], distinct: list[tuple[Sequence[int], int]], count: int, length: int
    ) -> _Batch:
        tokens, targets, segments, positions = (np.zeros((count, length), np.int32) for _ in range(4))
        slots = np.full((count, length), -1, np.int64)
        for row, pieces in enumerate(rows):
            used = 0
            for segment, (index, start, end) in enumerate(pieces, start=1):
                ids, given = distinct[index]
                span = slice(used, used + end - start)
                targets[row, span] = ids[start:end]
                tokens[row, span] = [ids[start - 1] if start else self._start, *ids[start : end - 1]]
                segments[row, span] = segment
                positions[row, span] = np.arange(end - start)
                scored = max(given - start, 0)
                slots[row, used + scored : used + end - start] = self._starts[index] + np.arange(start + scored, end)
                used += end - start
        names = ("tokens_BxL", "targets_BxL", "segments_BxL", "positions_BxL")
        return _Batch(dict(zip(names, (tokens, targets, segments, positions), strict=True)), slots)

    def score(self, score_rows: ScoreRows) -> tuple[np.ndarray, np.ndarray]:
        """For each sequence: the sum of its scored tokens' cross-entropies (nats), and whether all are greedy."""
        losses, greedy = self._by_token(score_rows)
        owners = np.repeat(np.arange(len(self._starts) - 1), np.diff(self._starts))
        total = np.bincount(owners, losses, minlength=len(self._starts) - 1)
        misses = np.bincount(owners, ~greedy, minlength=len(self._starts) - 1)
        return total[self._places], (misses == 0)[self._places]

    def token_losses(self, score_rows: ScoreRows) -> list[np.ndarray]:
        """For each sequence: its ids' cross-entropies (nats), 0 where they are given."""
        losses, _ = self._by_token(score_rows)
        parts = np.split(losses, self._starts[1:-1])
        return [parts[place] for place in self._places]

    def _by_token(self, score_rows: ScoreRows) -> tuple[np.ndarray, np.ndarray]:
        losses, greedy = np.zeros(self._starts[-1]), np.ones(self._starts[-1], bool)
        for rows, slots in self._batches:
            found, hits = score_rows(rows)
            scored = slots >= 0
            losses[slots[scored]] = np.asarray(found, np.float64)[scored]
            greedy[slots[scored]] = np.asarray(hits)[scored]
        return losses, greedy


def _with_places(batches: list[_Batch]) -> list[_Batch]:
    """Names the scored places of rows of which they are half or less, as many for all rows of a length: logits of the
    others need not be computed."""
    most: dict[int, int] = {}
    for _, slots in batches:
        scored = int((slots >= 0).sum(1).max())
        most[slots.shape[1]] = max(most.get(slots.shape[1], 1), scored)
    result = []
    for rows, slots in batches:
        length = room = slots.shape[1]
        while room % 2 == 0 and room // 2 >= max(most[length], length // _FEWEST):
            room //= 2
        places = np.argsort(slots < 0, axis=1, kind="stable")[:, :room].astype(np.int32)  # the scored ones first
        result.append(_Batch(rows | ({"places_BxM": places} if room < length else {}), slots))
    return result


def _lengths(length: int, multiple: int) -> list[int]:
    lengths = [length]
    while lengths[0] % (2 * multiple) == 0:
        lengths.insert(0, lengths[0] // 2)
    return lengths


def _pieces(index: int, size: int, given: int, length: int) -> Iterator[_Piece]:
    first = size - length if given and size > length >= size - given else 0
    for start in range(first, size, length):
        end = min(start + length, size)
        if end > given:
            yield _Piece(index, start, end)


def _packed(pieces: list[_Piece], length: int, most_segments: int) -> list[list[_Piece]]:
    """Rows of pieces: the longest first, each into the fullest row that has room."""
    rows: list[list[_Piece]] = []
    room: list[tuple[int, int]] = []  # (tokens left, row), sorted
    for piece in sorted(pieces, key=lambda piece: -piece.size):
        found = bisect.bisect_left(room, (piece.size, 0))
        left, row = room.pop(found) if found < len(room) else (length, len(rows))
        if row == len(rows):
            rows.append([])
        rows[row].append(piece)
        if left > piece.size and len(rows[row]) < most_segments:
            bisect.insort(room, (left - piece.size, row))
    return rows
