"""Scores and differences in words."""

from collections.abc import Sequence
from typing import Any

BITS = "bits_per_byte/"  # of these less is better
_MARGIN = "_margin/"  # bits
_RANGE = "{}–{}"


def is_share(metric: str) -> bool:
    return not metric.startswith(BITS) and _MARGIN not in metric


def axis_label(metric: str) -> str:
    name = metric.replace("_", " ").replace("/", ", ")
    return f"{name} (%)" if is_share(metric) else name


def value(metric: str, number: float | None) -> str:
    if number is None:
        return "–"
    return f"{100 * number:.1f} %" if is_share(metric) else f"{number:.3f}"


def interval(metric: str, ends: Sequence[float] | None) -> str:
    if ends is None:
        return ""
    return "({})".format(_RANGE.format(*((f"{100 * end:.1f}" if is_share(metric) else f"{end:.3f}") for end in ends)))


def score(metric: str, found: dict[str, Any]) -> str:
    """'94.8 % (93.4–96.0)'."""
    return f"{value(metric, found['mean'])} {interval(metric, found['interval'])}".strip()


def difference(metric: str, number: float, ends: Sequence[float] | None) -> str:
    """'+81.3 points (+78.0 to +84.1)'."""
    unit = "bits" if _MARGIN in metric else "bits per byte"
    scale, unit, digits = (100, "points", 1) if is_share(metric) else (1, unit, 3)
    shown = f"{scale * number:+.{digits}f} {unit}"
    if ends is None:
        return shown
    low, high = (f"{scale * end:+.{digits}f}" for end in ends)
    return f"{shown} ({low} to {high})"


def steps(number: float | None) -> str:
    return "never" if number is None else f"{number:,.0f}"


def p_value(number: float | None) -> str:
    if number is None:
        return "–"
    return "< 0.001" if number < 0.001 else f"{number:.3f}"


def p_said(number: float) -> str:
    """'= 0.012' or '< 0.001'."""
    shown = p_value(number)
    return shown if shown.startswith("<") else f"= {shown}"


def times(ratio: float | None, below: float | None, ends: Sequence[float] | None) -> str:
    """'2.3 x (2.0–2.6)', or what there is to say instead."""
    if ratio is None:
        return "–"
    if below is not None:
        return f"< {below:.2f} x: never there"
    shown = f"{ratio:.2f} x"
    return f"{shown} ({_RANGE.format(*(f'{end:.2f}' for end in ends))})" if ends else shown
