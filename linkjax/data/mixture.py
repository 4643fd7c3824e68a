"""Rows of several components interleaved, so that their shares of *tokens* are what was asked for."""

import dataclasses
import difflib
from collections.abc import Mapping, Sequence
from typing import Any

import grain
import numpy as np

from linkjax.data.encoder import COUNTS
from linkjax.errors import UserError


@dataclasses.dataclass(frozen=True)
class Rates:
    """Shares of the tokens of C components, in S stages of a run.

    Attributes:
      starts_S: progress of the run, 0 to 1, at which each stage begins; the first is 0.
      rates_SxC: shares of the components in each stage.
    """

    starts_S: np.ndarray
    rates_SxC: np.ndarray

    def due(self, tokens: float, begun: Sequence[float]) -> np.ndarray:
        """Tokens that each component should have given when `tokens` are out.

        Args: `begun`, how many were out when each stage began, of those that have begun.
        """
        begun_S, ends_S = np.array(begun), np.append(begun[1:], np.inf)
        return np.clip(tokens - begun_S, 0, ends_S - begun_S) @ self.rates_SxC[: len(begun)]

    @property
    def means(self) -> np.ndarray:
        """Shares over the whole run."""
        return np.diff(np.append(self.starts_S, 1.0)) @ self.rates_SxC

    def progress(self, component: int) -> tuple[np.ndarray, np.ndarray]:
        """What share of all that a component gives in the run is out at some points of it: shares, and the points."""
        points = np.append(self.starts_S, 1.0)
        shares = np.append(0.0, np.cumsum(np.diff(points) * self.rates_SxC[:, component]))
        return shares / max(shares[-1], 1e-9), points


def parse_rates(mixture: Mapping[str, float], text: str) -> Rates:
    """The rates of a mixture, changed at points of the run: 'PROGRESS:NAME=SHARE+NAME=SHARE,...'.

    The components that a stage does not name have what is left, in the proportions of the mixture.

    Raises:
      UserError: the text is not like that, names no component, or its shares are more than everything.
    """
    names = list(mixture)
    starts, rates = [0.0], [np.array([mixture[name] for name in names])]
    for stage in filter(None, text.split(",")):
        start, colon, shares = stage.partition(":")
        if not colon:
            raise UserError(f"rates is '{text}': write it like '0.8:{names[-1]}=0.3'.")
        given = named_numbers("rates", shares.replace("+", ","), names)
        left = 1 - sum(given.values())
        others = sum(mixture[name] for name in names if name not in given)
        if left < -1e-9 or (left > 1e-9 and not others):
            raise UserError(f"rates '{stage}' sum to {1 - left:g}: the shares of a stage are 1 in all.")
        starts.append(_progress(start, starts[-1], text))
        rates.append(np.array([given.get(name, left * mixture[name] / (others or 1)) for name in names]))
        if starts[-2:] == [0.0, 0.0]:  # from the start on
            del starts[-2], rates[-2]
    return Rates(np.array(starts), np.array(rates))


def named_numbers(setting: str, text: str, names: Sequence[str]) -> dict[str, float]:
    """'NAME=NUMBER,...' of components.

    Raises:
      UserError: the text is not like that, names no component, or has a negative number.
    """
    numbers = {}
    for part in filter(None, text.split(",")):
        name, _, number = part.partition("=")
        if name not in names:
            close = difflib.get_close_matches(name, names, n=1)
            raise UserError(f"{setting} names '{name}', but the components are {', '.join(names)}."
                            + (f" Did you mean '{close[0]}'?" if close else ""))  # fmt: skip
        try:
            numbers[name] = float(number)
        except ValueError as error:
            raise UserError(f"{setting} has '{part}': write it like '{name}=0.3'.") from error
        if not 0 <= numbers[name] < float("inf"):
            raise UserError(f"{setting} has '{part}': the number is 0 or more.")
    return numbers


def _progress(text: str, before: float, whole: str) -> float:
    try:
        progress = float(text)
    except ValueError as error:
        raise UserError(f"rates is '{whole}': '{text}' is no point of the run, 0 to 1.") from error
    if not before <= progress <= 1 or progress == before > 0:
        raise UserError(f"rates is '{whole}': the points of the run rise from 0 to 1.")
    return progress


class TokenMixture(grain.IterDataset):
    """Interleaves components so that their shares of *tokens* keep to `rates`, of two always to within a row.

    The component furthest behind its share goes next. Where one has no more to give (`most_passes`), the others have
    its share in their proportions from there on. What has been given out so far is state.
    """

    def __init__(self, components: Sequence[grain.IterDataset], rates: Rates, length: int, phase: float, tokens: float):
        """Args:
        phase: 0 to 1, of the interleaving: different for each virtual shard, so that the rows of a small
          component do not all come in one batch.
        tokens: of the whole run, here, padding among them.
        """
        super().__init__(list(components))
        self._rates, self._length, self._phase, self._run_rows = rates, length, phase, tokens / length

    def __iter__(self) -> grain.DatasetIterator:
        # What the smaller components are owed before the start. Two components in turn each come when they
        # are half the difference behind: over all phases that is a whole turn.
        first = self._rates.rates_SxC[0]
        owed = 2 * self._length * (self._phase + first - 1)
        owed[first.argmax()] = 0
        return _TokenMixtureIterator([iter(parent) for parent in self.parents], self._rates, owed, self._run_rows)


class _TokenMixtureIterator(grain.DatasetIterator):
    def __init__(self, components: Sequence[grain.DatasetIterator], rates: Rates, owed: np.ndarray, run_rows: float):
        super().__init__(components)
        self._rates, self._owed, self._run_rows = rates, owed, run_rows
        self._rows, self._begun = 0, [0.0]  # given out; tokens given out when each stage began
        self._tokens = np.zeros(len(owed), np.int64)
        self._counts = np.zeros((len(owed), len(COUNTS)), np.int64)
        self._ended: dict[int, list[int]] = {}  # components that have no more: tokens of all, when that was

    def __next__(self) -> dict[str, Any]:
        starts_S = self._rates.starts_S
        while len(self._begun) < len(starts_S) and self._rows >= starts_S[len(self._begun)] * self._run_rows:
            self._begun.append(float(self._tokens.sum()))
        while len(self._ended) < len(self._owed):
            component = int(self._behind().argmax())
            try:
                row = next(self._parents[component])
            except StopIteration:
                self._ended[component] = self._tokens.tolist()
                continue
            self._tokens[component] += np.count_nonzero(row["segments_BxL"])
            self._counts[component] += row.pop("counts")
            self._rows += 1
            return row
        raise StopIteration

    def _behind(self) -> np.ndarray:
        """Tokens that each component is behind its share; -inf where it has no more."""
        total = float(self._tokens.sum())
        if not self._ended:
            return self._rates.due(total, self._begun) - self._tokens + self._owed
        before = np.array(list(self._ended.values())[-1])  # since the last one ended, shares are of the others
        due = self._rates.due(total, self._begun) - self._rates.due(float(before.sum()), self._begun)
        due[list(self._ended)] = 0
        due *= (total - before.sum()) / due.sum() if due.sum() else 0.0
        behind = due - (self._tokens - before)
        behind[list(self._ended)] = -np.inf
        return behind

    def get_state(self) -> dict[str, Any]:
        return {
            "tokens": self._tokens.tolist(),
            "counts": self._counts.tolist(),
            "ended": list(self._ended.items()),
            "rows": self._rows,
            "begun": list(self._begun),
            "components": [parent.get_state() for parent in self._parents],
        }

    def set_state(self, state: dict[str, Any]) -> None:
        self._tokens = np.array(state["tokens"], np.int64)
        self._counts = np.array(state["counts"], np.int64)
        self._ended = dict(state["ended"])
        self._rows, self._begun = state["rows"], list(state["begun"])
        for parent, parent_state in zip(self._parents, state["components"], strict=True):
            parent.set_state(parent_state)
