"""Scores as people read them: a line while training, a table at the end."""

from collections.abc import Mapping
from typing import Any


def one_line(metrics: Mapping[str, float]) -> str:
    """The scores of one evaluation, '' where there are none."""
    parts = [
        f"{name.partition('/')[2]} {100 * value:.0f} %"
        for name, value in metrics.items()
        if _is_accuracy(name) and "_open" not in name
    ]
    parts += [f"{name.partition('/')[2]} {value:.3f} bits/byte" for name, value in metrics.items() if _is_bits(name)]
    return ", ".join(parts)


def table(summary: Mapping[str, Any]) -> str:
    """The small table that a run ends with."""
    rows: list[tuple[str, str, str]] = []
    for name, value in summary.items():
        metric, _, group = name.partition("/")
        if _is_accuracy(name) and "_open" not in name:
            rows.append(
                (
                    f"{metric} {group}",
                    f"{100 * value:.1f} %",
                    f"chance {100 * summary['chance'][metric]:.1f} %",
                )
            )
    for name, value in summary.items():
        if _is_bits(name):
            language = name.partition("/")[2]
            yardstick = summary["byte_trigram_bits_per_byte"].get(language)
            rows.append(
                (
                    f"bits per byte {language}",
                    f"{value:.3f}",
                    f"byte trigram {yardstick:.3f}" if yardstick else "",
                )
            )
    if summary.get("link/swapped_share") is not None:
        eligible = f"of {100 * summary['link/eligible_share']:.1f} % in the lexicon"
        rows.append(("words swapped", f"{100 * summary['link/swapped_share']:.1f} %", eligible))
    for name, value in summary.items():
        if name.startswith("tokens/"):
            component = name.partition("/")[2]
            rows.append((f"tokens {component}", f"{value:,}", f"{summary[f'passes/{component}']:.1f} passes"))
    if not rows:
        return "  nothing was measured: there are no evaluation tasks and no held-out text"
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    return "\n".join(f"  {row[0]:<{widths[0]}}  {row[1]:>{widths[1]}}  {row[2]}".rstrip() for row in rows)


def _is_accuracy(name: str) -> bool:
    return "accuracy" in name and "/" in name


def _is_bits(name: str) -> bool:
    return name.startswith("bits_per_byte/")
