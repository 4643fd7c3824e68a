"""New rows drawn at random, like the old ones in each dimension: what every other method has to beat."""

import numpy as np


def normal_rows(rows_VxD: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Draws rows_NxD in float64 from a normal distribution with the old rows' mean and deviation in each dimension.

    Dimensions are independent of each other, as in the published code of FOCUS, WECHSEL and CLP-Transfer, where
    tokens that the method says nothing of get such rows.
    """
    wide_VxD = np.asarray(rows_VxD, np.float64)
    draws_NxD = np.random.default_rng(seed).standard_normal((count, wide_VxD.shape[1]))
    return wide_VxD.mean(axis=0)[None] + wide_VxD.std(axis=0)[None] * draws_NxD
