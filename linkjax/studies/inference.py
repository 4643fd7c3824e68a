"""What can be said of a score over seeds, and of the difference of two arms.

S seeds. Where items were ranked, their scores come by seed and cluster (items of a cluster are not independent):
whole seeds are drawn, and clusters. Other scores have a value for each seed, and Student's t.
"""

import functools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy import stats

_DRAWS = 2000
_ROUNDING = 1e-9  # differences below are none
_TESTS = ("p", "p_not_less", "p_not_more", "p_equivalent", "detectable")
Clusters = Mapping[str, tuple[float, float]]  # name -> sum of the items' scores, and their number


def interval_of(values_S: Sequence[float]) -> list[float] | None:
    """95 % of a mean over seeds, None of a single one."""
    if len(values_S) < 2:
        return None
    half = stats.t.ppf(0.975, len(values_S) - 1) * _standard_error(values_S)
    return [float(np.mean(values_S) - half), float(np.mean(values_S) + half)]


def interval_of_items(seeds: Sequence[Clusters]) -> list[float]:
    """95 % of a mean over items, by drawing seeds and clusters (hierarchical bootstrap).

    A cluster of the same name is drawn alike in all seeds: where they are asked the same items, more seeds do not make
    more of them.
    """
    return _percentiles(_draws(seeds))


def difference_of_items(arm: Sequence[Clusters], baseline: Sequence[Clusters]) -> list[float]:
    """95 % of the arm's mean less the baseline's on the same items, seeds and clusters drawn alike for both.

    The seeds are in the same order. Clusters that only one of them has do not count.
    """
    return _percentiles(
        _draws(
            [
                {name: (ours[name][0] - theirs[name][0], ours[name][1]) for name in ours if name in theirs}
                for ours, theirs in zip(arm, baseline, strict=True)
            ]
        )
    )


def compare(arm_S: Sequence[float], baseline_S: Sequence[float], margin: float) -> dict[str, Any]:
    """Paired by seed.

    Returns:
      difference of the means; interval; p, of the paired t-test, two-sided; p_not_less and p_not_more, one-sided, for
      the difference being above minus the margin, and being below the margin; p_equivalent, the larger of them
      (Schuirmann 1987); detectable, the smallest difference that a test at 0.05 would have found four times out of
      five. All but the first are None where there are fewer than two seeds, and what rests on a spread is where there
      is none.
    """
    differences_S = np.subtract(arm_S, baseline_S, dtype=float)
    count, mean = len(differences_S), float(np.mean(differences_S))
    if count < 2:
        return {"difference": mean, "interval": None, **dict.fromkeys(_TESTS)}
    error, freedom = _standard_error(differences_S), count - 1
    found = {"difference": mean, "interval": interval_of(differences_S)}
    if np.ptp(differences_S) < _ROUNDING:  # a few seeds with one difference do not say that there is no other
        return found | dict.fromkeys(_TESTS)
    not_less = float(stats.t.sf((mean + margin) / error, freedom))
    not_more = float(stats.t.cdf((mean - margin) / error, freedom))
    return found | {
        "p": float(2 * stats.t.sf(abs(mean) / error, freedom)),
        "p_not_less": not_less,
        "p_not_more": not_more,
        "p_equivalent": max(not_less, not_more),
        "detectable": float((stats.t.ppf(0.975, freedom) + stats.t.ppf(0.8, freedom)) * error),
    }


def holm(ps: Sequence[float], others: int = 0) -> list[float]:
    """p values corrected for being several (Holm 1979).

    Args: `others`, how many more tests of the family there are, of which no p is known: as if theirs were higher.
    """
    order = np.argsort(ps)
    corrected, highest = np.zeros(len(ps)), 0.0
    for rank, index in enumerate(order):
        highest = max(highest, min((len(ps) + others - rank) * ps[index], 1.0))
        corrected[index] = highest
    return corrected.tolist()


def _standard_error(values_S: Sequence[float]) -> float:
    return float(np.std(values_S, ddof=1)) / math.sqrt(len(values_S))


def _draws(seeds: Sequence[Clusters]) -> np.ndarray:
    """Means over drawn seeds of the means over drawn clusters. C clusters of all seeds."""
    names = sorted(set().union(*seeds))
    sums_SxC, counts_SxC = (
        np.array([[clusters.get(name, (0.0, 0.0))[part] for name in names] for clusters in seeds]) for part in (0, 1)
    )
    drawn_DxC = _drawn_clusters(len(names))
    counts_DxS = drawn_DxC @ counts_SxC.T
    means_DxS = drawn_DxC @ sums_SxC.T / np.maximum(counts_DxS, 1)
    picked_DxS = np.random.default_rng(1).integers(0, len(seeds), (_DRAWS, len(seeds)))
    return np.take_along_axis(means_DxS, picked_DxS, axis=1).mean(1)


@functools.lru_cache(maxsize=4)
def _drawn_clusters(count: int) -> np.ndarray:
    """How often each cluster is drawn, of as many with replacement."""
    return np.random.default_rng(0).multinomial(count, np.full(count, 1 / count), _DRAWS).astype(float)


def _percentiles(draws: np.ndarray) -> list[float]:
    low, high = np.percentile(draws, [2.5, 97.5])
    return [float(low), float(high)]
