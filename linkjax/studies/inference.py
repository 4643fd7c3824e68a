"""What can be said of a score over seeds, and of the difference of two arms.

S seeds. Where items were ranked, their scores come by seed and cluster (items of a cluster are not independent):
whole seeds are drawn, then clusters within each. Other scores have a value for each seed, and Student's t.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy import stats

_DRAWS = 2000
_ROUNDING = 1e-9  # differences below are none
Clusters = Mapping[str, tuple[float, float]]  # name -> sum of the items' scores, and their number


def interval_of(values_S: Sequence[float]) -> list[float] | None:
    """95 % of a mean over seeds, None of a single one."""
    if len(values_S) < 2:
        return None
    half = stats.t.ppf(0.975, len(values_S) - 1) * _standard_error(values_S)
    return [float(np.mean(values_S) - half), float(np.mean(values_S) + half)]


def interval_of_items(seeds: Sequence[Clusters]) -> list[float]:
    """95 % of a mean over items, by drawing seeds and clusters within each (hierarchical bootstrap)."""
    return _percentiles(_draws([np.array(list(clusters.values()), float) for clusters in seeds]))


def difference_of_items(arm: Sequence[Clusters], baseline: Sequence[Clusters]) -> list[float]:
    """95 % of the arm's mean less the baseline's on the same items, seeds and clusters drawn alike for both.

    The seeds are in the same order. Clusters that only one of them has do not count.
    """
    return _percentiles(
        _draws(
            [
                np.array([(ours[name][0] - theirs[name][0], ours[name][1]) for name in ours if name in theirs], float)
                for ours, theirs in zip(arm, baseline, strict=True)
            ]
        )
    )


def compare(arm_S: Sequence[float], baseline_S: Sequence[float], margin: float) -> dict[str, Any]:
    """Paired by seed.

    Returns:
      difference of the means; interval; p, of the paired t-test, two-sided; p_equivalent, that the difference is not
      within the margin (two one-sided tests, Schuirmann 1987); detectable, the smallest difference that would have
      been found four times out of five. All but the first are None where there are fewer than two seeds, and what
      rests on a spread is where there is none.
    """
    differences_S = np.subtract(arm_S, baseline_S, dtype=float)
    count, mean = len(differences_S), float(np.mean(differences_S))
    if count < 2:
        nothing = dict.fromkeys(("interval", "p", "p_equivalent", "detectable"))
        return {"difference": mean, **nothing}
    error, freedom = _standard_error(differences_S), count - 1
    found = {"difference": mean, "interval": interval_of(differences_S)}
    if np.ptp(differences_S) < _ROUNDING:  # a few seeds with one difference do not say that there is no other
        return found | dict.fromkeys(("p", "p_equivalent", "detectable"))
    beyond = max(stats.t.sf((mean + margin) / error, freedom), stats.t.cdf((mean - margin) / error, freedom))
    return found | {
        "p": float(2 * stats.t.sf(abs(mean) / error, freedom)),
        "p_equivalent": float(beyond),
        "detectable": float((stats.t.ppf(0.975, freedom) + stats.t.ppf(0.8, freedom)) * error),
    }


def holm(ps: Sequence[float]) -> list[float]:
    """p values corrected for being several (Holm 1979)."""
    order = np.argsort(ps)
    corrected, highest = np.zeros(len(ps)), 0.0
    for rank, index in enumerate(order):
        highest = max(highest, min((len(ps) - rank) * ps[index], 1.0))
        corrected[index] = highest
    return corrected.tolist()


def _standard_error(values_S: Sequence[float]) -> float:
    return float(np.std(values_S, ddof=1)) / math.sqrt(len(values_S))


def _draws(seeds: Sequence[np.ndarray]) -> np.ndarray:
    """Means over drawn seeds of the means over drawn clusters, each seed's a row of (sum, number) a cluster."""
    generator = np.random.default_rng(0)
    picked_DxS = generator.integers(0, len(seeds), (_DRAWS, len(seeds)))
    means_DxS = np.empty(picked_DxS.shape)
    for place in range(len(seeds)):
        for seed, totals in enumerate(seeds):
            drawn = np.flatnonzero(picked_DxS[:, place] == seed)
            chosen = totals[generator.integers(0, len(totals), (len(drawn), len(totals)))].sum(1)
            means_DxS[drawn, place] = chosen[:, 0] / chosen[:, 1]
    return means_DxS.mean(1)


def _percentiles(draws: np.ndarray) -> list[float]:
    low, high = np.percentile(draws, [2.5, 97.5])
    return [float(low), float(high)]
