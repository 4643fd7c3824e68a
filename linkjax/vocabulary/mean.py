"""New rows as the mean of the rows of the pieces that a token's text was cut into before."""

from collections.abc import Sequence

import numpy as np


def mean_rows(rows_VxD: np.ndarray, pieces: Sequence[Sequence[int]]) -> np.ndarray:
    """rows_NxD, in float64.

    Args:
      pieces: for each new token the old vocabulary's ids of its text, at least one.
    """
    new_NxD = np.zeros((len(pieces), rows_VxD.shape[1]))
    for index, ids in enumerate(pieces):
        new_NxD[index] = np.asarray(rows_VxD[list(ids)], np.float64).mean(axis=0)
    return new_NxD
