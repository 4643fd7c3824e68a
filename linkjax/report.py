"""Scores as people read them: a line while training, a table at the end."""

import sys
import time
from collections.abc import Mapping
from typing import Any

from tqdm import tqdm


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


class Progress:
    """A bar in a terminal; where output is piped, a line at each evaluation."""

    def __init__(self, steps: int, start: int):
        self._steps = steps
        self._terminal = sys.stderr.isatty()
        self._bar = tqdm(total=steps, initial=start, unit="step", disable=not self._terminal, dynamic_ncols=True)
        self._begun = time.perf_counter(), start

    def write(self, step: int, metrics: dict[str, float]) -> None:
        self._bar.set_postfix_str(f"loss {metrics['loss']:.3f}, {metrics['tokens_per_second']:,.0f} tokens/s", False)
        self._bar.update(step - self._bar.n)
        scores = one_line(metrics)
        if scores:
            seconds, start = self._begun
            left = (time.perf_counter() - seconds) / max(step - start, 1) * (self._steps - step)
            line = f"step {step}/{self._steps}  loss {metrics['loss']:.3f}  {scores}"
            self._bar.write(line) if self._terminal else print(
                f"{line}  {left:.0f} s left", file=sys.stderr, flush=True
            )

    def close(self) -> None:
        self._bar.close()
