"""Learning curves of two arms, and how much sooner one gets to where the other is.

S seeds, E evaluations. Scores are such that higher is better; a loss is given with its sign turned.
"""

from typing import NamedTuple

import numpy as np
from scipy.optimize import isotonic_regression

_DRAWS = 2000
_KNOWN = 0.975  # of the draws must have a ratio
_ROUNDING = 1e-9  # of a mean over seeds


class Curves(NamedTuple):
    """An arm's evaluations.

    Attributes:
      at_SxE: where on the way they were: steps, bytes read ...
      scores_SxE: what they found.
    """

    at_SxE: np.ndarray
    scores_SxE: np.ndarray


class SpeedUp(NamedTuple):
    """What the baseline needs for a score, over what the arm needs for it.

    Attributes:
      level: the share of the baseline's gain that was asked for, and the score that is.
      baseline, arm: what they need; None where they do not get there.
      ratio: baseline / arm; 0 where the arm never gets there, None where neither does.
      below: where the arm never gets there, what the ratio is below.
      interval: of the ratio, 95 %.
    """

    level: float
    score: float
    baseline: float | None
    arm: float | None
    ratio: float | None
    below: float | None
    interval: tuple[float, float] | None


def needed(at_E: np.ndarray, scores_E: np.ndarray, score: float) -> float | None:
    """Where a curve first has a score, None where it never does.

    Noise is taken out by the rising curve that is nearest (isotonic regression); between evaluations it is straight.
    """
    fitted_E = isotonic_regression(scores_E).x
    score -= _ROUNDING
    if score > fitted_E[-1]:
        return None
    after = int(np.argmax(fitted_E >= score))
    if after == 0:
        return float(at_E[0])
    part = (score - fitted_E[after - 1]) / (fitted_E[after] - fitted_E[after - 1])
    return float(at_E[after - 1] + part * (at_E[after] - at_E[after - 1]))


def speed_up(baseline: Curves, arm: Curves, level: float, start: float | None = None) -> SpeedUp:
    """From the mean curves over seeds, with an interval from drawing seeds, the same of both arms.

    Args:
      level: share of the baseline's gain, from `start` to the end of its curve without noise.
      start: the score of knowing nothing; None = the baseline's first one.
    """
    everything = np.arange(len(baseline.scores_SxE))
    found = _of_seeds(baseline, arm, level, start, everything)
    if len(everything) < 2:
        return found
    generator = np.random.default_rng(0)
    draws = (
        _of_seeds(baseline, arm, level, start, generator.choice(everything, len(everything))) for _ in range(_DRAWS)
    )
    ratios = [draw.ratio for draw in draws if draw.ratio is not None]
    if len(ratios) < _KNOWN * _DRAWS:  # too often the baseline has learned nothing
        return found
    low, high = np.percentile(ratios, [2.5, 97.5])
    return found._replace(interval=(float(low), float(high)))


def _of_seeds(baseline: Curves, arm: Curves, level: float, start: float | None, seeds: np.ndarray) -> SpeedUp:
    at_E, scores_E = (values[seeds].mean(0) for values in baseline)
    arm_at_E, arm_scores_E = (values[seeds].mean(0) for values in arm)
    fitted_E = isotonic_regression(scores_E).x
    bottom = fitted_E[0] if start is None else start
    score = float(bottom + level * (fitted_E[-1] - bottom))
    if fitted_E[-1] <= bottom:  # the baseline has learned nothing: there is nothing to be sooner at
        return SpeedUp(level, score, None, None, None, None, None)
    slow, fast = needed(at_E, scores_E, score), needed(arm_at_E, arm_scores_E, score)
    if fast is None:
        return SpeedUp(level, score, slow, None, 0.0, slow / float(arm_at_E[-1]), None)
    return SpeedUp(level, score, slow, fast, slow / fast, None, None)


def score_at(curves: Curves, at: float) -> float | None:
    """The mean score at a place of the way, None beyond the end or before the first evaluation."""
    at_E, scores_E = curves.at_SxE.mean(0), curves.scores_SxE.mean(0)
    return float(np.interp(at, at_E, scores_E)) if at_E[0] <= at <= at_E[-1] else None
