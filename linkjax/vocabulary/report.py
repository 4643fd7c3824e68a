"""What changed, in a table."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from linkjax.vocabulary.initialisation import Rows, Way

_WAYS = {
    Way.COPIED: "copied",
    Way.BY_METHOD: "by the method",
    Way.MEAN: "mean of pieces instead",
    Way.RANDOM: "random instead",
}


def describe_rows(rows: Rows) -> dict[str, Any]:
    """How many rows came about in which way, and their mean length."""
    norms_N = np.linalg.norm(rows.rows_NxD.astype(np.float32), axis=1)
    return {
        said: {"rows": int(chosen.sum()), "mean_norm": float(norms_N[chosen].mean())}
        for way, said in _WAYS.items()
        if (chosen := rows.ways_N == way).any()
    }


def render(report: Mapping[str, Any]) -> str:
    lines = [f"{'ids':<34}{report['ids'][0]:>12,} -> {report['ids'][1]:,}"]
    for name, (before, after) in report["tokens_per_word"].items():
        lines.append(f"{f'tokens a word, {name}':<34}{before:>12.3f} -> {after:.3f}")
    for name, ways in report["rows"].items():
        for way, found in ways.items():
            lines.append(f"{f'{name}: {way}':<34}{found['rows']:>12,}    mean norm {found['mean_norm']:.3f}")
    return "\n".join(lines)
