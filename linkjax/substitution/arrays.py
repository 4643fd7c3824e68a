"""Two things that NumPy does not have a name for."""

import numpy as np


def ranges(first: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """first[0], first[0] + 1, ... (counts[0] of them), first[1], ... as one array."""
    ends = np.cumsum(counts)
    places = np.repeat(first - (ends - counts), counts)
    places += np.arange(len(places))
    return places


def grown(values: np.ndarray, size: int) -> np.ndarray:
    """The array, made longer by zeros where it is shorter than `size`; at least doubled, so that this is rare."""
    if len(values) >= size:
        return values
    return np.concatenate([values, np.zeros(max(size, 2 * len(values), 1024) - len(values), values.dtype)])
