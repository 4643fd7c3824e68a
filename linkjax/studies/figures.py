"""The figures of a study's report, as SVG for the page and PNG for Markdown."""

import io
import itertools
import pathlib
from collections.abc import Sequence

import numpy as np

from linkjax.studies.arms import Arm
from linkjax.studies.curves import Curves
from linkjax.studies.outcomes import Outcomes
from linkjax.studies.wording import BITS, axis_label, is_share

# Okabe and Ito's colours, told apart with any kind of sight.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")


def learning_curves(outcomes: Outcomes, arms: Sequence[Arm], metric: str, path: pathlib.Path) -> str | None:
    """Mean over seeds with their range; None where no arm has two evaluations. Returns the SVG and writes the PNG.

    Of bits per byte, which fall by far more than arms differ, the differences to the baseline stand beside.
    """
    drawn = [(arm, curves) for arm in arms if (curves := outcomes.curves(arm, metric))]
    if not drawn:
        return None
    is_bits = metric.startswith(BITS)
    compared = {arm.name: baseline for arm, curves in drawn if (baseline := _baseline(outcomes, arm, metric, curves))}
    figure, (axes, *beside) = _figure(2 if is_bits and compared else 1)
    scale, sign = 100 if is_share(metric) else 1, -1 if is_bits else 1
    for (arm, curves), colour in zip(drawn, itertools.cycle(_COLOURS), strict=False):
        _band(axes, curves.at_SxE, scale * sign * curves.scores_SxE, colour, arm.name)
        if beside and arm.name in compared:
            _band(beside[0], curves.at_SxE, compared[arm.name].scores_SxE - curves.scores_SxE, colour, arm.name)
    _chance(outcomes, metric, axes)
    axes.set_xlabel("steps")
    if beside:
        beside[0].axhline(0, color="grey", linewidth=0.8)
        beside[0].set_xlabel("steps")
        beside[0].set_ylabel("difference to its baseline")
        beside[0].spines[["top", "right"]].set_visible(False)
    return _finished(figure, axes, metric, path)


def _baseline(outcomes: Outcomes, arm: Arm, metric: str, curves: Curves) -> Curves | None:
    """Of what an arm is compared with, where both were asked the same at the same steps."""
    if not arm.against or not outcomes.asked_alike(arm, metric):
        return None
    found = outcomes.curves(outcomes.study.arm(arm.against), metric, seeds=arm.seeds)
    return found if found and found.scores_SxE.shape == curves.scores_SxE.shape else None


def _band(axes, at_SxE: np.ndarray, scores_SxE: np.ndarray, colour: str, label: str) -> None:
    at_E = at_SxE.mean(0)
    axes.plot(at_E, scores_SxE.mean(0), label=label, color=colour)
    axes.fill_between(at_E, scores_SxE.min(0), scores_SxE.max(0), color=colour, alpha=0.2, linewidth=0)


def score_curve(
    outcomes: Outcomes, axis: str, points: Sequence[tuple[float, str]], metric: str, path: pathlib.Path
) -> str:
    """Final scores of arms against what differs between them, each beside the arm it is compared with."""
    figure, (axes,) = _figure(1)
    scale = 100 if is_share(metric) else 1
    measured = outcomes.arms_with(metric)
    own = [(x, outcomes.study.arm(name)) for x, name in points if outcomes.study.arm(name) in measured]
    others = [(x, one) for x, arm in own if arm.against and (one := outcomes.study.arm(arm.against)) in measured]
    groups = [("the arm", own, _COLOURS[0]), ("what it is compared with", others, _COLOURS[1])]
    for label, arms, colour in groups:
        if not arms:
            continue
        scores = [outcomes.score(arm, metric) for _, arm in arms]
        x, means = [x for x, _ in arms], [scale * score["mean"] for score in scores]
        axes.plot(x, means, marker="o", markersize=4, color=colour, label=label)
        ends = [[scale * end for end in score["interval"] or [score["mean"]] * 2] for score in scores]
        axes.vlines(x, *np.array(ends).T, color=colour, alpha=0.5)
    _chance(outcomes, metric, axes)
    axes.set_xlabel(axis)
    return _finished(figure, axes, metric, path)


def _figure(panels: int):
    from matplotlib.figure import Figure  # what needs no figures does without

    figure = Figure(figsize=(7 if panels == 1 else 9, 3.6), layout="constrained")
    return figure, figure.subplots(1, panels, squeeze=False)[0]


def _chance(outcomes: Outcomes, metric: str, axes) -> None:
    if (chance := outcomes.chance_of(metric)) is not None:
        axes.axhline(100 * chance, color="grey", linestyle=":", label=f"guessing ({100 * chance:.1f} %)")


def _finished(figure, axes, metric: str, path: pathlib.Path) -> str:
    import matplotlib

    axes.set_ylabel(axis_label(metric))
    if is_share(metric):
        axes.set_ylim(0, 102)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize="small")
    figure.savefig(path, dpi=150, metadata={"Software": None})
    text = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": path.name, "svg.fonttype": "none"}):
        figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    return text.getvalue()[text.getvalue().index("<svg") :]
