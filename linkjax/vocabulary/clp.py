"""CLP-Transfer: new rows from all shared tokens, as near as these are in a target-language model.

Ostendorff and Rehm 2023 (https://arxiv.org/abs/2301.09626), section 3.1.
"""

import numpy as np

from linkjax.vocabulary.similarity import cosine_blocks


def clp_rows(target_rows_NxE: np.ndarray, shared_target_rows_SxE: np.ndarray, shared_rows_SxD: np.ndarray):
    """rows_NxD in float64, and for each whether the method could say anything: a shared token points its way.

    The weights are the cosines divided by their sum. One below zero counts as zero here: in the authors' models there
    are none, in others positive and negative ones cancel and the sum they are divided by is about nothing.

    Args:
      target_rows_NxE: the target-language model's rows of the new tokens.
      shared_target_rows_SxE: its rows of the tokens that both vocabularies have.
      shared_rows_SxD: the old model's rows of these.
    """
    shared_rows_SxD = np.asarray(shared_rows_SxD, np.float64)
    new_NxD = np.zeros((len(target_rows_NxE), shared_rows_SxD.shape[1]))
    known_N = np.zeros(len(target_rows_NxE), bool)
    for block, cosines_nxS in cosine_blocks(target_rows_NxE, shared_target_rows_SxE):
        weights_nxS = np.maximum(cosines_nxS, 0)
        sums_n = weights_nxS.sum(axis=1)
        known_N[block] = sums_n > 0
        new_NxD[block] = (weights_nxS / np.where(sums_n > 0, sums_n, 1)[:, None]) @ shared_rows_SxD
    return new_NxD, known_N
