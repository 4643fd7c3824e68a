"""Log-probabilities of many token sequences, packed into the rows that training uses.

Packing cannot change a score: attention never crosses a segment and positions restart.
"""

from collections.abc import Callable, Sequence

import numpy as np

from linkjax.data.tokenizer import PAD

# rows (see `linkjax.data.rows`) -> cross-entropy in nats and greedy hits, both BxL
ScoreRows = Callable[[dict[str, np.ndarray]], tuple[np.ndarray, np.ndarray]]


class PackedSequences:
    """Token sequences laid out in rows once, to be scored by many checkpoints."""

    def __init__(
        self,
        sequences: Sequence[tuple[Sequence[int], int]],
        length: int,
        rows_per_batch: int,
        most_segments: int = 0,
    ):
        """Args:
        sequences: (ids, number of ids at the start that are given and not scored). Ids past `length` go
          on in the next segment without what came before; of a scored one-piece continuation nothing is
          lost if the caller keeps sequences to `length`.
        length: tokens of a row.
        rows_per_batch: rows scored at once.
        most_segments: sequences in a row; 0 = no limit.
        """
        self._rows_per_batch = rows_per_batch
        pieces = [
            (index, ids, start, min(start + length, len(ids)), given)
            for index, (ids, given) in enumerate(sequences)
            for start in range(0, len(ids), length)
        ]
        places, row, used, segment = [], 0, 0, 0
        for _, _, start, end, _ in pieces:
            if used + end - start > length or segment == (most_segments or length):
                row, used, segment = row + 1, 0, 0
            segment += 1
            places.append((row, used, segment))
            used += end - start
        rows = -(-(row + 1) // rows_per_batch) * rows_per_batch
        shape = (rows, length)
        self._tokens, self._targets, self._segments, self._positions = (np.zeros(shape, np.int32) for _ in range(4))
        self._owner = np.full(shape, -1, np.int64)  # sequence that a scored token belongs to
        self._count = len(sequences)
        for (index, ids, start, end, given), (row, place, segment) in zip(pieces, places, strict=True):
            span = slice(place, place + end - start)
            self._targets[row, span] = ids[start:end]
            self._tokens[row, span] = [ids[start - 1] if start else PAD, *ids[start : end - 1]]
            self._segments[row, span] = segment
            self._positions[row, span] = np.arange(end - start)
            self._owner[row, place + max(given - start, 0) : place + end - start] = index

    def score(self, score_rows: ScoreRows) -> tuple[np.ndarray, np.ndarray]:
        """For each sequence: the sum of its scored tokens' cross-entropies (nats), and whether all are greedy."""
        owner = self._owner.ravel()
        scored = owner >= 0
        losses, greedy = [], []
        for start in range(0, len(self._tokens), self._rows_per_batch):
            batch = slice(start, start + self._rows_per_batch)
            batch_losses, batch_greedy = score_rows(
                {
                    "tokens_BxL": self._tokens[batch],
                    "targets_BxL": self._targets[batch],
                    "segments_BxL": self._segments[batch],
                    "positions_BxL": self._positions[batch],
                }
            )
            losses.append(np.asarray(batch_losses, np.float64))
            greedy.append(np.asarray(batch_greedy))
        total = np.bincount(owner[scored], np.concatenate(losses).ravel()[scored], minlength=self._count)
        misses = np.bincount(owner[scored], ~np.concatenate(greedy).ravel()[scored], minlength=self._count)
        return total, misses == 0
