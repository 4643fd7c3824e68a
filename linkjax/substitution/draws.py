"""Draws that are hashes: of (key, index), the same in any process, order or runtime."""

import numpy as np

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_30, _27, _31, _11 = (np.uint64(bits) for bits in (30, 27, 31, 11))


def mix(x: np.ndarray) -> np.ndarray:
    """splitmix64: a bijection of 64-bit integers that spreads every bit (Steele, Lea, Flood 2014)."""
    x = x + _GOLDEN
    x = (x ^ (x >> _30)) * _FIRST
    x = (x ^ (x >> _27)) * _SECOND
    return x ^ (x >> _31)


def step(key: np.ndarray, count: np.ndarray) -> np.ndarray:
    """A key of its own for each count (of passes, ...)."""
    return mix(key + _GOLDEN * count)


def stream(keys: np.ndarray, number: int) -> np.ndarray:
    """Keys of one of several streams of draws."""
    return mix(keys ^ np.uint64(number))


def uniform(keys: np.ndarray, indices: np.ndarray) -> np.ndarray:
    """Draws in [0, 1), one for each (key, index)."""
    x = indices.astype(np.uint64) * _GOLDEN + keys
    x ^= x >> _30
    x *= _FIRST
    x ^= x >> _27
    x *= _SECOND
    x ^= x >> _31
    return fraction(x)


def fraction(keys: np.ndarray) -> np.ndarray:
    """Keys as numbers in [0, 1)."""
    return (keys >> _11).astype(np.float64) * 2.0**-53
