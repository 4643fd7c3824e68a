"""What changed, in a table."""

import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from linkjax.files import read_text
from linkjax.vocabulary.initialisation import Rows, Way

_CARD = "README.md"
_CARD_CHARACTERS = 1 << 22
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


def card(model: pathlib.Path, verb: str, report: Mapping[str, Any]) -> str:
    """The model card of the new folder: the old one's, and what was done to the vocabulary."""
    path = model / _CARD
    old = read_text(path, _CARD_CHARACTERS, "that is no model card") if path.exists() else f"# {model.name}\n"
    rows = f", new rows by `--method={report['method']}`" if report["method"] else ""
    done = f"Changed by `python -m linkjax.vocabulary {verb}`{rows}:"
    return f"{old.rstrip()}\n\n## Vocabulary\n\n{done}\n\n```\n{render(report)}\n```\n"
