"""WECHSEL: new rows from the English tokens nearest to them, once a word list has aligned two spaces of word vectors.

Minixhofer, Paischer and Rekabsaz 2022 (https://aclanthology.org/2022.naacl-main.293), section 3.
"""

import numpy as np

from linkjax.vocabulary.similarity import cosine_blocks

_NEIGHBOURS, _TEMPERATURE = 10, 0.1  # the paper's


def rotation(source_vectors_PxW: np.ndarray, target_vectors_PxW: np.ndarray) -> np.ndarray:
    """The rotation R_WxW (reflections allowed) for which source R is nearest to target: orthogonal Procrustes.

    Schönemann 1966: U V^T, of the singular value decomposition of source^T target.
    """
    left_WxW, _, right_WxW = np.linalg.svd(
        np.asarray(source_vectors_PxW, np.float64).T @ np.asarray(target_vectors_PxW, np.float64)
    )
    return left_WxW @ right_WxW


def wechsel_rows(
    vectors_NxW: np.ndarray,
    source_vectors_VxW: np.ndarray,
    rows_VxD: np.ndarray,
    neighbours: int = _NEIGHBOURS,
    temperature: float = _TEMPERATURE,
) -> np.ndarray:
    """rows_NxD in float64: means of the nearest old tokens' rows, weighted by the softmax of cosine / temperature.

    Args:
      vectors_NxW: target-language vectors of the new tokens.
      source_vectors_VxW: English vectors of the old tokens, rotated into that space.
      rows_VxD: the old model's rows of these.
    """
    new_NxD = np.zeros((len(vectors_NxW), rows_VxD.shape[1]))
    nearest = min(neighbours, len(source_vectors_VxW))
    for block, cosines_nxV in cosine_blocks(vectors_NxW, source_vectors_VxW):
        chosen_nxK = np.argpartition(-cosines_nxV, nearest - 1, axis=1)[:, :nearest]
        scores_nxK = np.take_along_axis(cosines_nxV, chosen_nxK, axis=1) / temperature
        weights_nxK = np.exp(scores_nxK - scores_nxK.max(axis=1, keepdims=True))
        weights_nxK /= weights_nxK.sum(axis=1, keepdims=True)
        new_NxD[block] = np.einsum("nk,nkd->nd", weights_nxK, np.asarray(rows_VxD[chosen_nxK], np.float64))
    return new_NxD
