"""Scores as people read them: a line while training, a table at the end."""

import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

from tqdm import tqdm


def one_line(metrics: Mapping[str, float]) -> str:
    """The scores of one evaluation, '' where there are none."""
    parts = [
        f"{name.partition('/')[2]} {100 * value:.0f} %"
        for name, value in metrics.items()
        if _is_accuracy(name, metrics)
    ]
    parts += [f"{name.partition('/')[2]} {value:.3f} bits/byte" for name, value in metrics.items() if _is_bits(name)]
    return ", ".join(parts)


def table(summary: Mapping[str, Any]) -> str:
    """The small table that a run ends with."""
    rows: list[tuple[str, str, str]] = []
    for name, value in summary.items():
        metric, _, group = name.partition("/")
        if _is_accuracy(name, summary):
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


def results_table(content: Mapping[str, Any], tasks: Sequence[str]) -> str:
    """The scores of a results file, chance beside each (see `linkjax.evaluation.results`)."""
    rows = []
    for name in tasks:
        task = content["tasks"][name]
        asked = f"{task['split']}, {task['shots']}-shot" if task["shots"] else task["split"]
        groups = task["groups"].items() if len(task["groups"]) > 1 else [(next(iter(task["groups"])), task)]
        for group, scores in groups:
            rows.append([f"{task['metric']} {group}", asked, *_score_cells(scores)])
    parts = [_columns(["", "split", "items", "acc", "95 %", "acc_norm", "acc_bytes", "margin", "chance", ""], rows)]
    faults = {
        what: sum(content["tasks"][name][key] for name in tasks)
        for key, what in (("ties", "ties"), ("nan", "not finite"), ("truncated", "cut at the beginning to fit a row"))
    }
    if any(faults.values()):
        counted = ", ".join(f"{count:,} {what}" for what, count in faults.items() if count)
        parts.append(f"  of the items: {counted} (ties and what is not finite count as wrong)")
    rows = []
    for language, text in content["languages"].items():
        yardstick = content.get("byte_trigram_bits_per_byte", {}).get(language)
        premium = text["token_premium_by_words"]
        rows.append(
            [
                f"held-out text {language}",
                _shown(text["bits_per_byte"], 3),
                f"{yardstick:.3f}" if yardstick else "",
                _shown(text["perplexity_median"], 1),
                f"{text['tokens_per_word']:.2f}",
                f"{premium:.2f}" if premium else "",
            ]
        )
    if rows:
        names = ["", "bits/byte", "byte trigram", "perplexity", "tokens/word", "to English's"]
        parts.append(_columns(names, rows))
    else:
        parts.append("  no held-out text here, and so no bits per byte: a prepared folder has it (--data)")
    swapped = content.get("swapped_text") or {}
    if swapped.get("tokens_swapped"):
        parts.append(
            f"  loss on held-out English with words swapped: {_shown(swapped['loss_swapped'], 3)} swapped-in tokens,"
            f" {_shown(swapped['loss_unswapped'], 3)} others"
        )
    return "\n".join(parts) if content["languages"] or tasks else "  nothing was measured: no tasks, no held-out text"


def comparison_table(compared: Mapping[str, Any]) -> str:
    """Two runs side by side, with what both read of each language (see `linkjax.evaluation.results.compare`)."""
    rows = []
    for name, task in compared["tasks"].items():
        for measure in ("acc", "acc_norm"):
            found = task[measure]
            cells = [_percent(found["first"]), _percent(found["second"]), f"{100 * found['difference']:+.1f}"]
            note = _NO_INFORMATION if found["at_chance"] else ""
            p = f"{found['p']:.4f}"
            interval = _interval(found["interval"], "+.1f", " to ", 100)
            rows.append(
                [name, measure, task["split"], f"{task['n']:,}", *cells, interval, p, _percent(task["chance"]), note]
            )
    names = ["", "", "split", "items", "first", "second", "points", "95 %", "p", "chance", ""]
    parts = [_columns(names, rows)] if rows else []
    rows = [_text_cells(language, text) for language, text in compared["languages"].items()]
    if rows:
        names = ["", "documents", "first", "second", "bits/byte", "95 %", "p", "better in", ""]
        parts.append(_columns(names, rows))
    if compared["other_text"]:
        named = ", ".join(compared["other_text"])
        parts.append(f"  held-out text that is not the same in both, and not compared: {named}")
    if "en" not in compared["languages"]:
        parts.append("  what it costs in English is not known: score both runs on one prepared folder with English")
    return "\n".join(parts)


def _text_cells(language: str, text: Mapping[str, Any]) -> list[str]:
    cells = [f"held-out text {language}", f"{text['documents']:,}", _shown(text["first"], 4), _shown(text["second"], 4)]
    if "p" not in text:  # without the figures of each document
        known = text["first"] is not None and text["second"] is not None
        return [*cells, f"{text['second'] - text['first']:+.4f}" if known else "", "", "", "", ""]
    low, high = text["interval"] or (0, 0)
    note = "worse" if low > 0 else "better" if high < 0 else ""
    share = f"{_percent(text['better'] / text['documents'])} of them"
    interval = _interval(text["interval"], "+.4f", " to ")
    return [*cells, f"{text['difference']:+.4f}", interval, f"{text['p']:.4f}", share, note]


def harness_table(found: Mapping[str, Any]) -> str:
    """The scores that lm-evaluation-harness returned."""
    rows = []
    for task, scores in found["results"].items():
        for name, value in scores.items():
            metric, _, _ = name.partition(",")
            if isinstance(value, float) and not metric.endswith("_stderr"):
                rows.append([task, metric, f"{value:.4f}"])
    return _columns(["", "metric", "value"], rows)


_NO_INFORMATION = "at chance, no information"


def _score_cells(scores: Mapping[str, Any]) -> list[str]:
    margin = "" if scores["margin"] is None else f"{scores['margin']:+.2f} bits"
    note = _NO_INFORMATION if scores["at_chance"] else ""
    interval = _interval(scores["interval"], ".1f", "-", 100)
    measures = [_percent(scores["acc"]), interval, _percent(scores["acc_norm"]), _percent(scores["acc_bytes"])]
    return [f"{scores['n']:,}", *measures, margin, _percent(scores["chance"]), note]


def _interval(ends: Sequence[float] | None, digits: str, between: str, scale: int = 1) -> str:
    """'' where it is not known, as of items of one cluster."""
    return between.join(f"{scale * end:{digits}}" for end in ends) if ends else ""


def _shown(number: float | None, digits: int) -> str:
    return "" if number is None else f"{number:.{digits}f}"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _columns(names: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """The first column to the left, numbers to the right, the last as it is."""
    lines = [names, *rows] if rows else []
    widths = [max(len(line[column]) for line in lines) for column in range(len(names))] if lines else []
    return "\n".join(
        (
            "  "
            + "  ".join(
                [
                    line[0].ljust(widths[0]),
                    *(cell.rjust(width) for cell, width in zip(line[1:-1], widths[1:-1], strict=True)),
                    line[-1],
                ]
            )
        ).rstrip()
        for line in lines
    )


def _is_accuracy(name: str, metrics: Mapping[str, Any]) -> bool:
    """Scores of ranking have a twin, METRIC_open/GROUP."""
    metric, _, group = name.partition("/")
    return f"{metric}_open/{group}" in metrics


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
