"""SALT: new rows through a linear map of their own from a target-language model's embeddings to the old model's.

Lee et al. 2025 (https://arxiv.org/abs/2505.10945). The neighbours of a new token are the shared tokens on which the
sparsemax of the word vectors' cosines rests. With A the target-language model's embeddings of the neighbours and B the
old model's, the map is X = pinv(A) B, and the new row is e X, e being the token's embedding in the target-language
model. Here e pinv(A) is computed, which is the shortest least-squares solution a of A^T a = e: a vector for each
token instead of a matrix.
"""

import numpy as np

from linkjax.vocabulary.similarity import cosine_blocks, sparsemax


def salt_rows(
    vectors_NxW: np.ndarray,
    shared_vectors_SxW: np.ndarray,
    target_rows_NxE: np.ndarray,
    shared_target_rows_SxE: np.ndarray,
    shared_rows_SxD: np.ndarray,
) -> np.ndarray:
    """rows_NxD in float64.

    Args:
      vectors_NxW: target-language word vectors of the new tokens.
      shared_vectors_SxW: the same of the tokens that both vocabularies have, at least one.
      target_rows_NxE: the target-language model's rows of the new tokens.
      shared_target_rows_SxE: its rows of the shared tokens.
      shared_rows_SxD: the old model's rows of the shared tokens.
    """
    target_rows_NxE = np.asarray(target_rows_NxE, np.float64)
    shared_target_rows_SxE = np.asarray(shared_target_rows_SxE, np.float64)
    shared_rows_SxD = np.asarray(shared_rows_SxD, np.float64)
    new_NxD = np.zeros((len(vectors_NxW), shared_rows_SxD.shape[1]))
    for block, cosines_nxS in cosine_blocks(vectors_NxW, shared_vectors_SxW):
        for index, weights_S in zip(range(block.start, block.stop), sparsemax(cosines_nxS), strict=True):
            neighbours = np.flatnonzero(weights_S)
            coefficients_s = np.linalg.lstsq(shared_target_rows_SxE[neighbours].T, target_rows_NxE[index])[0]
            new_NxD[index] = coefficients_s @ shared_rows_SxD[neighbours]
    return new_NxD
