"""Scores of ranked items with their uncertainty, and the paired difference between two runs.

Items of one cluster are not independent: whole clusters are drawn, and whole clusters change sides.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

_DRAWS = 4000
_AT_ONCE = 1 << 22  # numbers
KINDS = ("acc", "acc_norm", "acc_bytes", "acc_harness")
_FIELDS = {"acc": "correct", "acc_norm": "correct_norm", "acc_bytes": "correct_bytes", "acc_harness": "correct_harness"}


def summarise(records: Sequence[dict]) -> dict[str, Any]:
    """Scores of some items (see `linkjax.evaluation.ranking.judge`).

    Returns:
      n; acc, acc_norm, acc_bytes, acc_harness, open: shares; stderr and interval (95 %) of acc, and of acc_norm;
      margin: mean, in bits; chance: the score of guessing; at_chance: whether acc's interval holds that, or there is
      none; ties, nan, truncated: how many items.
    """
    clusters = [record["cluster"] for record in records]
    chance = float(np.mean([1 / len(record["log_likelihoods"]) for record in records]))
    margins = [record["margin"] for record in records if record["margin"] is not None]
    result: dict[str, Any] = {"n": len(records)}
    for kind in KINDS:
        result[kind] = float(np.mean([record[_FIELDS[kind]] for record in records]))
    for kind, suffix in (("acc", ""), ("acc_norm", "_norm")):
        hits = by_cluster(clusters, [record[_FIELDS[kind]] for record in records])
        interval = cluster_interval(hits)
        result[f"stderr{suffix}"] = standard_error(hits)
        result[f"interval{suffix}"] = interval
        result[f"at_chance{suffix}"] = interval is None or interval[0] <= chance <= interval[1]
    result["margin"] = float(np.mean(margins)) if margins else None
    result["chance"] = chance
    result["open"] = float(np.mean([record["open"] for record in records]))
    for name, field in (("ties", "tie"), ("nan", "nan"), ("truncated", "truncated")):
        result[name] = sum(record[field] for record in records)
    return result


def by_cluster(clusters: Sequence[str], values: Sequence[float]) -> list[list[float]]:
    found: dict[str, list[float]] = {}
    for cluster, value in zip(clusters, values, strict=True):
        found.setdefault(cluster, []).append(value)
    return list(found.values())


def cluster_interval(clusters: Sequence[Sequence[float]]) -> list[float] | None:
    """95 % percentile bootstrap interval of a mean over items, resampling whole clusters; None of a single one."""
    return _interval(_totals(clusters))


def _interval(totals: np.ndarray) -> list[float] | None:
    if len(totals) < 2:
        return None
    generator = np.random.default_rng(0)
    means = []
    for count in _parts(len(totals)):
        sums = totals[generator.integers(0, len(totals), (count, len(totals)))].sum(1)
        means.append(sums[:, 0] / sums[:, 1])
    low, high = np.percentile(np.concatenate(means), [2.5, 97.5])
    return [float(low), float(high)]


def standard_error(clusters: Sequence[Sequence[float]]) -> float | None:
    """Of a mean over items (Miller 2024, arXiv 2411.00640, section 2.2); None of a single cluster.

    Where each item is a cluster it is that of lm-evaluation-harness.
    """
    totals = _totals(clusters)
    if len(totals) < 2:
        return None
    sums, sizes = totals.T
    deviations = sums - sizes * sums.sum() / sizes.sum()
    return float(np.sqrt(np.square(deviations).sum() * len(totals) / (len(totals) - 1)) / sizes.sum())


def paired(clusters: Sequence[str], first: Sequence[float], second: Sequence[float]) -> dict[str, Any]:
    """How the second run differs from the first on the same items.

    Returns:
      difference of the means; its interval (95 %, bootstrap over clusters), None of a single cluster; p (two-sided,
      whole clusters' differences change sign at random); and the items that are better and worse.
    """
    differences = np.subtract(second, first, dtype=float)
    return _paired(_totals(by_cluster(clusters, differences.tolist()))) | _counted(differences)


def paired_texts(first: Sequence[float], second: Sequence[float], sizes: Sequence[int]) -> dict[str, Any]:
    """The same of bits per byte over documents of `sizes` bytes, which have `first` and `second` each.

    What is lower is better: `better` counts the documents that are.
    """
    differences = np.subtract(second, first, dtype=float)
    return _paired(np.stack([differences * sizes, sizes], axis=1)) | _counted(-differences)


def _counted(differences: np.ndarray) -> dict[str, int]:
    return {"better": int((differences > 0).sum()), "worse": int((differences < 0).sum())}


def _paired(totals: np.ndarray) -> dict[str, Any]:
    sums = totals[:, 0]
    generator = np.random.default_rng(0)
    observed, extreme = abs(sums.sum()), 0
    for count in _parts(len(sums)):
        signs = generator.integers(0, 2, (count, len(sums)), np.int8) * 2 - 1
        extreme += int((np.abs(signs @ sums) >= observed - 1e-9).sum())
    return {
        "difference": float(sums.sum() / totals[:, 1].sum()),
        "interval": _interval(totals),
        "p": (extreme + 1) / (_DRAWS + 1),
    }


def _totals(clusters: Sequence[Sequence[float]]) -> np.ndarray:
    """Sum and count of each."""
    return np.array([[sum(cluster), len(cluster)] for cluster in clusters], float)


def _parts(size: int) -> list[int]:
    """Draws to make at once, so that their indices of `size` things each fit into memory."""
    most = max(_AT_ONCE // size, 1)
    return [min(most, _DRAWS - start) for start in range(0, _DRAWS, most)]
