"""Which documents were met before, in 9 bytes of memory a document."""

import pathlib
from collections.abc import Iterator, Sequence

import numpy as np


def met_before(files: Sequence[pathlib.Path], heldout: set[int]) -> Iterator[np.ndarray]:
    """For each file of ids, which of its documents are to be dropped: met before, there or in an earlier file.

    Args:
      files: `.npy` files of unsigned 64-bit ids.
      heldout: ids that count as met before.
    """
    sizes = [len(np.load(file, mmap_mode="r")) for file in files]
    ids = np.empty(sum(sizes), np.uint64)
    start = 0
    for file, size in zip(files, sizes, strict=True):
        ids[start : start + size] = np.load(file)
        start += size
    ids.sort()
    doubled = ids[1:][ids[1:] == ids[:-1]]
    del ids
    kept_out = np.array(sorted(heldout), np.uint64)
    doubled = np.union1d(doubled, kept_out)
    met = np.isin(doubled, kept_out)
    for file in files:
        ids = np.load(file)
        drop = np.zeros(len(ids), bool)
        candidates = np.flatnonzero(np.isin(ids, doubled))
        which, first = np.searchsorted(doubled, ids[candidates]), np.zeros(len(candidates), bool)
        first[np.unique(which, return_index=True)[1]] = True
        drop[candidates] = met[which] | ~first
        met[which] = True
        yield drop
