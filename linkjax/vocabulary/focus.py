"""FOCUS: new rows from shared tokens that stand in like places of the target language's text.

Dobler and de Melo 2023 (https://aclanthology.org/2023.emnlp-main.829), section 3.
"""

import numpy as np

from linkjax.vocabulary.similarity import cosine_blocks, sparsemax


def focus_rows(vectors_NxW: np.ndarray, shared_vectors_SxW: np.ndarray, shared_rows_SxD: np.ndarray) -> np.ndarray:
    """rows_NxD in float64: means of the shared tokens' rows, weighted by the sparsemax of the cosines.

    Args:
      vectors_NxW: target-language vectors of the new tokens.
      shared_vectors_SxW: the same of the tokens that both vocabularies have, at least one.
      shared_rows_SxD: the old model's rows of these.
    """
    shared_rows_SxD = np.asarray(shared_rows_SxD, np.float64)
    new_NxD = np.zeros((len(vectors_NxW), shared_rows_SxD.shape[1]))
    for block, cosines_nxS in cosine_blocks(vectors_NxW, shared_vectors_SxW):
        new_NxD[block] = sparsemax(cosines_nxS) @ shared_rows_SxD
    return new_NxD
