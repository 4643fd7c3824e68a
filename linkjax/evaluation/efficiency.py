"""Token efficiency: what a language's text was worth in a run on several, in text of that language alone.

As Schäfer et al. (2024, arXiv 2404.07982) measure it: the tokens of the language that a monolingual run needs for the
same loss, divided by those that the run saw. Beyond the monolingual curve there is a bound and no number.
"""

import math
import pathlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import isotonic_regression

from linkjax.errors import UserError
from linkjax.evaluation.language import ENGLISH
from linkjax.files import fingerprint
from linkjax.training.metrics import JSONL, read_metrics

_TOKENS, _BITS = "tokens_of_language/", "bits_per_byte/"
Bound = str | None  # 'at least' or 'at most' where a number is only that


class Curve(NamedTuple):
    """Losses of a language's held-out text by the tokens of the language that were seen, which rise from above 0."""

    tokens: np.ndarray
    losses: np.ndarray


def needed(curve: Curve, loss: float) -> tuple[float, Bound]:
    """Tokens after which the curve is at a loss, and whether they are all, or only a bound.

    Noise is taken out by the decreasing curve that is nearest (isotonic regression) up to the lowest point: what comes
    after it makes nothing better. Between its points the loss falls with the logarithm of tokens.
    """
    tokens, losses = _falling(curve)
    if loss > losses[0]:
        return float(tokens[0]), "at most"
    if loss < losses[-1]:
        return float(curve.tokens[-1]), "at least"
    after = int(np.argmax(losses <= loss))
    if after == 0:
        return float(tokens[0]), None
    part = (losses[after - 1] - loss) / (losses[after - 1] - losses[after])
    return float(np.exp((1 - part) * np.log(tokens[after - 1]) + part * np.log(tokens[after]))), None


def exceedance(curve: Curve, monolingual: Curve) -> dict[str, Any]:
    """Share of a curve's points that are lower than the monolingual one at as many tokens; of those it covers.

    A measure of ours: it says how steadily one run is ahead, where efficiency says how far.
    """
    tokens, losses = _falling(monolingual)
    covered = (curve.tokens >= monolingual.tokens[0]) & (curve.tokens <= monolingual.tokens[-1])
    there = np.interp(np.log(curve.tokens[covered]), np.log(tokens), losses)
    lower = curve.losses[covered] < there
    return {"share": float(lower.mean()) if len(lower) else None, "points": len(lower)}


def efficiency(curve: Curve, monolingual: Curve) -> list[dict[str, Any]]:
    """For each point of a curve: tokens, loss, monolingual_tokens, efficiency, and bound, which is of both."""
    points = []
    for tokens, loss in zip(curve.tokens.tolist(), curve.losses.tolist(), strict=True):
        instead, bound = needed(monolingual, loss)
        points.append({"tokens": int(tokens), "bits_per_byte": loss, "monolingual_tokens": round(instead),
                       "efficiency": instead / tokens, "bound": bound})  # fmt: skip
    return points


def _falling(curve: Curve) -> Curve:
    end = int(np.argmin(curve.losses)) + 1
    fitted = isotonic_regression(curve.losses[:end], increasing=False).x
    return Curve(curve.tokens[:end], fitted)


def curve_of(run: pathlib.Path, language: str) -> Curve:
    """The evaluations of a run.

    Raises:
      UserError: it has none of the language.
    """
    points: dict[float, float] = {}
    for record in _evaluations(run):
        tokens, loss = (record.get(name + language) for name in (_TOKENS, _BITS))
        if tokens is not None and loss is not None and tokens > 0 and math.isfinite(loss):
            points[tokens] = loss  # the newest of as many tokens
    if not points:
        raise UserError(f"{run / JSONL} has no evaluation of '{language}' after text of it: name another run.")
    return _curve(points)


def _curve(points: dict[float, float]) -> Curve:
    tokens = sorted(points)
    return Curve(np.array(tokens, float), np.array([points[count] for count in tokens], float))


def of_runs(run: pathlib.Path, monolingual: Sequence[pathlib.Path], language: str) -> dict[str, Any]:
    """Token efficiency of a run by its evaluations, the last of which counts, and exceedance.

    Args:
      monolingual: one run, whose evaluations are the curve; or several of different lengths, whose ends are.
      language: '' = the run's only one beside English.

    Raises:
      UserError: the runs do not have the language, are not monolingual, or have other tokenizers.
    """
    language = language or _only_language(run)
    for other in monolingual:
        _check_alone(other, language)
        _check_tokenizer(run, other)
    curves = [curve_of(other, language) for other in monolingual]
    yardstick = curves[0] if len(curves) == 1 else _curve({curve.tokens[-1]: curve.losses[-1] for curve in curves})
    curve = curve_of(run, language)
    points = efficiency(curve, yardstick)
    return {
        "language": language,
        "run": str(run),
        "monolingual": [str(other) for other in monolingual],
        **points[-1],
        "exceedance": exceedance(curve, yardstick) if len(curves) == 1 else None,
        "points": points,
    }


def sentences(found: dict[str, Any]) -> str:
    """What `of_runs` found, to read."""
    language, instead, bound = found["language"], f"{found['monolingual_tokens']:,}", found["bound"]
    alone = {
        None: f"it takes {instead} tokens to get there",
        "at least": f"{instead} tokens do not get there",
        "at most": f"the first evaluation, after {instead} tokens, is better already",
    }[bound]
    said = [
        f"After {found['tokens']:,} tokens of {language} the run is at {found['bits_per_byte']:.4f} bits per byte."
        f" Trained on {language} alone, {alone}: token efficiency {bound + ' ' if bound else ''}"
        f"{found['efficiency']:.2f}."
    ]
    if found["exceedance"] is None:
        return said[0]
    share, points = found["exceedance"]["share"], found["exceedance"]["points"]
    if points:
        said.append(f"At equal tokens of {language} the run is ahead in {100 * share:.0f} % of {points} evaluations.")
    said.append(
        "Evaluations on a run's way, before its learning rate has fallen, are worse than the end of a run so long: with"
        " one monolingual run the efficiency is rather too high. Name several, of different lengths."
    )
    return "\n".join(said)


def _evaluations(run: pathlib.Path) -> list[dict]:
    records = [record for record in read_metrics(run) if any(name.startswith(_BITS) for name in record)]
    if not records:
        raise UserError(f"{run / JSONL} has no evaluation of held-out text: name a run's folder.")
    return records


def _only_language(run: pathlib.Path) -> str:
    names = {name.removeprefix(_BITS) for record in _evaluations(run) for name in record if name.startswith(_BITS)}
    names.discard(ENGLISH)
    if len(names) != 1:
        known = ", ".join(sorted(names)) or "English alone"
        raise UserError(f"'{run}' was measured in {known}: say which language, --language=LANGUAGE.")
    return names.pop()


def _check_alone(run: pathlib.Path, language: str) -> None:
    seen = {name: tokens for name, tokens in _evaluations(run)[-1].items() if name.startswith(_TOKENS) and tokens}
    others = [name.removeprefix(_TOKENS) for name in seen if name != _TOKENS + language]
    if others:
        raise UserError(f"'{run}' is no monolingual run of '{language}': it has read {', '.join(others)} too.")


def _check_tokenizer(run: pathlib.Path, other: pathlib.Path) -> None:
    """Tokens are counted in those of a tokenizer; where a run has no checkpoint any more, it is believed."""
    found = [sorted(folder.glob("checkpoints/*/tokenizer.*")) for folder in (run, other)]
    if all(found) and len({fingerprint(paths[-1])["sha256"] for paths in found}) > 1:
        raise UserError(f"'{run}' and '{other}' have different tokenizers: train both on one prepared folder.")
