"""When a checkpoint is written, and which of the older ones stay."""

import dataclasses
import math
import time
from collections.abc import Callable, Sequence
from typing import Any

from orbax.checkpoint import v1 as ocp

from linkjax.errors import UserError

_LOWER_IS_BETTER = ("bits_per_byte", "loss")
_policies = ocp.training.preservation_policies


@dataclasses.dataclass(frozen=True)
class Saved:
    """A checkpoint on disk, as Orbax's preservation policies look at it.

    Attributes:
      metrics: of its evaluation, None where there was none.
    """

    step: int
    metrics: dict[str, float] | None = None


@dataclasses.dataclass(frozen=True)
class Keep:
    """Which checkpoints stay.

    Attributes:
      newest: so many of the newest.
      every: those of steps that this divides, for ever; 0 = none.
      best: the metric whose best checkpoint stays; '' = none.
    """

    newest: int = 2
    every: int = 0
    best: str = ""

    def of(self, checkpoints: Sequence[Saved]) -> set[int]:
        """Steps of those that stay; `checkpoints` are sorted by step."""
        policies: list[Any] = [_policies.LatestN(self.newest)]
        if self.every:
            policies.append(_policies.EveryNSteps(self.every))
        if self.best:
            with_it = [one for one in checkpoints if one.metrics and _is_number(one.metrics.get(self.best))]
            best = sorted(with_it, key=lambda one: one.metrics[self.best], reverse=not lower_is_better(self.best))
            policies.append(_policies.CustomSteps([one.step for one in best[:1]]))
        stay = _policies.AnyPreservationPolicy(policies).should_preserve(
            checkpoints, context=_policies.PreservationContext()
        )
        return {one.step for one, stays in zip(checkpoints, stay, strict=True) if stays}

    def check_metric(self, metrics: dict[str, float]) -> None:
        """Raises UserError where the metric to keep the best of is not among those measured."""
        if self.best and self.best not in metrics:
            raise UserError(f"keep_best is '{self.best}', which is not measured: choose one of {', '.join(metrics)}.")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def lower_is_better(metric: str) -> bool:
    return metric.startswith(_LOWER_IS_BETTER)


class SavingClock:
    """Whether so many minutes have passed since the last checkpoint; 0 minutes = never."""

    def __init__(self, minutes: float, clock: Callable[[], float] = time.monotonic):
        self._seconds, self._clock = minutes * 60, clock
        self.saved()

    def saved(self) -> None:
        """A checkpoint is being written."""
        self._last = self._clock()

    def due(self) -> bool:
        return bool(self._seconds) and self._clock() - self._last >= self._seconds
