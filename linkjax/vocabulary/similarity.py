"""How alike vectors are, and weights from it."""

from collections.abc import Iterator

import numpy as np

_BLOCK_VALUES = 1 << 24  # of a block of similarities: 128 MB


def unit_rows(vectors_NxW: np.ndarray) -> np.ndarray:
    """Each row divided by its length, in float64; rows of zeros stay."""
    wide_NxW = np.asarray(vectors_NxW, np.float64)
    lengths_Nx1 = np.linalg.norm(wide_NxW, axis=1, keepdims=True)
    return wide_NxW / np.where(lengths_Nx1 > 0, lengths_Nx1, 1)


def cosine_blocks(vectors_NxW: np.ndarray, others_SxW: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    """Yields (which of the N, their cosines with all S) in blocks that memory has room for."""
    ours_NxW, theirs_SxW = unit_rows(vectors_NxW), unit_rows(others_SxW)
    size = max(1, _BLOCK_VALUES // max(len(theirs_SxW), 1))
    for start in range(0, len(ours_NxW), size):
        block = slice(start, min(start + size, len(ours_NxW)))
        yield block, ours_NxW[block] @ theirs_SxW.T


def sparsemax(scores_NxS: np.ndarray) -> np.ndarray:
    """The nearest probabilities to each row of scores, of which most are zero (Martins and Astudillo 2016, eq. 2).

    Computed as in their algorithm 1: scores less a threshold, cut at zero, where the threshold makes the sum one.
    """
    scores_NxS = np.asarray(scores_NxS, np.float64)
    scores_NxS = scores_NxS - scores_NxS.max(axis=1, keepdims=True)
    sorted_NxS = -np.sort(-scores_NxS, axis=1)
    sums_NxS = np.cumsum(sorted_NxS, axis=1)
    counts_S = np.arange(1, scores_NxS.shape[1] + 1)
    support_N = np.sum(1 + counts_S[None] * sorted_NxS > sums_NxS, axis=1)
    threshold_N = (np.take_along_axis(sums_NxS, support_N[:, None] - 1, axis=1)[:, 0] - 1) / support_N
    return np.maximum(scores_NxS - threshold_N[:, None], 0)
