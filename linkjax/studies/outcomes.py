"""What a study's runs came to: scores, differences and speed-ups of its arms.

S seeds, E evaluations.
"""

import csv
import io
from collections.abc import Sequence
from typing import Any

import numpy as np

from linkjax.errors import UserError
from linkjax.evaluation.language import ENGLISH
from linkjax.studies import inference
from linkjax.studies.arms import Arm, Study
from linkjax.studies.curves import Curves, SpeedUp, score_at, speed_up
from linkjax.studies.finished import ENGLISH_AT_BEST, WAYS, Finished
from linkjax.studies.wording import BITS

LEVELS = (0.5, 0.75, 0.9, 1.0)
_FEWEST = 40  # evaluations that a speed-up is read from
_FEWEST_CLUSTERS = 8  # of items that an interval is drawn from; of a few, drawing tells next to nothing


class Outcomes:
    """All that is said of a study, from its finished runs alone."""

    def __init__(self, study: Study, finished: Sequence[Finished], declared_late: str = ""):
        """Args: `declared_late`, what was declared only after runs had begun."""
        self.study, self.declared_late = study, declared_late
        self._of = {
            arm.name: [one for seed in study.seeds_of(arm) for one in finished
                       if one.run.arm.name == arm.name and one.run.seed == seed]
            for arm in study.arms
        }  # fmt: skip
        self._speed_ups: dict[str, dict[str, dict[float, SpeedUp]]] = {}
        metric = study.primary.metric
        arms = {study.primary.arm, study.arm(study.primary.arm).against}
        if not arms <= {arm.name for arm in self.arms_with(metric)}:
            runs = [one for name in sorted(arms) for one in self._of[name]]
            without = [one.run.name for one in runs if metric not in one.scores]
            measured = ", ".join(name for name in self.metrics() if "/" in name and name != metric)
            raise UserError(
                f"the study's primary metric '{metric}' has no value at the end of {'; '.join(without)}: where that is"
                f" some runs of many, look at their metrics.jsonl; otherwise change it in the study's config, to one of"
                f" {measured or 'none'}."
            )
        self.chance = {metric: rate for one in finished for metric, rate in one.chance.items()}

    def metrics(self) -> list[str]:
        """Those that all runs of an arm have, tested ones first. English at its best where that is not the end."""
        all_scores = [one.scores for runs in self._of.values() for one in runs]
        names = dict.fromkeys(name for scores in all_scores for name in scores)
        if all(scores.get(ENGLISH_AT_BEST) == scores.get(f"{BITS}{ENGLISH}") for scores in all_scores):
            names.pop(ENGLISH_AT_BEST, None)
        return sorted(filter(self.arms_with, names), key=lambda name: not self.study.is_tested(name))

    def arms_with(self, metric: str) -> list[Arm]:
        """The arms of which it was measured: not all, where they are of several languages."""
        return [arm for arm in self.study.arms if all(metric in one.scores for one in self._of[arm.name])]

    def tested(self) -> list[str]:
        return [name for name in self.metrics() if self.study.is_tested(name)]

    def chance_of(self, metric: str) -> float | None:
        return self.chance.get(metric.partition("/")[0])

    def values(self, arm: Arm, metric: str) -> list[float]:
        return [one.scores[metric] for one in self._of[arm.name]]

    def curves(self, arm: Arm, metric: str, way: str = "step", seeds: int | None = None) -> Curves | None:
        """Of an arm's first seeds; None where there are fewer than two evaluations of the metric."""
        runs = [[record for record in one.evaluations if record.get(metric) is not None] for one in self._of[arm.name]][
            :seeds
        ]
        count = min(map(len, runs))
        if count < 2:
            return None
        sign = -1.0 if metric.startswith(BITS) else 1.0
        at, scores = (
            np.array([[record[name] for record in records[:count]] for records in runs], float)
            for name in (way, metric)
        )
        return Curves(at, sign * scores)

    def score(self, arm: Arm, metric: str) -> dict[str, Any]:
        """mean, interval, by_seed; of ranked items chance, and whether they say anything."""
        runs, values = self._of[arm.name], self.values(arm, metric)
        items = [one.items.get(metric) for one in runs]
        ranked = all(items)
        if ranked and len(set().union(*items)) >= _FEWEST_CLUSTERS:
            interval = inference.interval_of_items(items)
        else:
            interval = inference.interval_of(values)
        found = {"mean": float(np.mean(values)), "interval": interval, "by_seed": values}
        chance = self.chance_of(metric)
        if ranked and chance is not None:
            found |= {"chance": chance, "at_chance": interval is None or interval[0] <= chance <= interval[1]}
        return found

    def at_chance(self, metric: str) -> bool:
        """Whether no arm says anything in a metric: it stays out of tests."""
        scores = [self.score(arm, metric) for arm in self.arms_with(metric)]
        return all(score.get("at_chance", False) for score in scores)

    def no_speed_up(self, arm: Arm) -> str:
        """Why an arm has none against its baseline, '' where it has one."""
        metric, both = self.study.primary.metric, (self.study.arm(arm.against), arm)
        if not {*both} <= {*self.arms_with(metric)}:
            return f"{metric} was not measured in all runs of {arm.name} and {arm.against}"
        if not self.asked_alike(arm, metric):
            return f"{arm.name} was asked other items than {arm.against}"
        if self.score(both[0], metric).get("at_chance"):
            return f"{arm.against} learns nothing here"
        if not all(map(self._is_steady, both)):
            return "it takes a constant learning rate and dose, so that every evaluation stands for the end of a run"
        counts = [1 if curves is None else curves.at_SxE.shape[1] for curves in (self.curves(a, metric) for a in both)]
        if min(counts) < _FEWEST:
            few = "one evaluation is" if min(counts) == 1 else f"{min(counts)} evaluations are"
            return f"{few} too few to read it from, it takes {_FEWEST}"
        return ""

    def _is_steady(self, arm: Arm) -> bool:
        """Whether nothing falls on the way to a run's end, so that what is in the middle can be compared."""
        config = self._of[arm.name][0].run.config
        steady = config.optimizer.schedule == "wsd" and config.optimizer.decay_share == 0
        return steady and (config.link.ratio == 0 or config.link.schedule == "constant")

    def speed_ups(self, arm: Arm) -> dict[str, dict[float, SpeedUp]]:
        """way -> level -> how much sooner than its baseline, in the primary metric."""
        if arm.name not in self._speed_ups:
            self._speed_ups[arm.name] = self._find_speed_ups(arm)
        return self._speed_ups[arm.name]

    def _find_speed_ups(self, arm: Arm) -> dict[str, dict[float, SpeedUp]]:
        metric, baseline = self.study.primary.metric, self.study.arm(arm.against)
        start = self.chance_of(metric)
        found: dict[str, dict[float, SpeedUp]] = {}
        if self.no_speed_up(arm):
            return found
        for way in WAYS:
            slow = self.curves(baseline, metric, way, seeds=len(self._of[arm.name]))
            fast = self.curves(arm, metric, way)
            if slow and fast and slow.at_SxE[:, -1].all() and fast.at_SxE[:, -1].all():
                levels = sorted({*LEVELS, self.study.primary.level})
                found[way] = {level: speed_up(slow, fast, level, start) for level in levels}
        return found

    def asked_alike(self, arm: Arm, metric: str) -> bool:
        """Whether an arm was asked in a metric what its baseline was asked, seed by seed."""
        return self._both_asked(arm, self.study.arm(arm.against), metric)

    def _both_asked(self, arm: Arm, other: Arm, metric: str) -> bool:
        pairs = zip(self._of[arm.name], self._of[other.name], strict=False)
        return all(
            ours.asked.get(name) == theirs.asked.get(name)
            for ours, theirs in pairs
            for name in ours.asked.keys() | theirs.asked.keys()
            if metric.startswith(name)
        )

    def comparison(self, arm: Arm, metric: str) -> dict[str, Any]:
        """Against its baseline on the same seeds; see `inference.compare`, p not corrected."""
        baseline = self.study.arm(arm.against)
        found = self._difference(arm, baseline, metric)
        return found | {"at_equal_english": self._at_equal_english(arm, baseline, metric)}

    def _difference(self, arm: Arm, other: Arm, metric: str) -> dict[str, Any]:
        """Of the seeds that both have; of ranked items with the wider interval."""
        count = min(arm.seeds, other.seeds)
        ours, theirs = (self.values(one, metric)[:count] for one in (arm, other))
        found = inference.compare(ours, theirs, self.study.margin)
        items = [[one.items.get(metric) for one in self._of[of.name][:count]] for of in (arm, other)]
        if (
            found["interval"]
            and all(map(all, items))
            and all(a.keys() == b.keys() for a, b in zip(*items, strict=True))
        ):
            of_items = inference.difference_of_items(*items)
            found["interval"] = [min(found["interval"][0], of_items[0]), max(found["interval"][1], of_items[1])]
        return found

    def _at_equal_english(self, arm: Arm, baseline: Arm, metric: str) -> float | None:
        """The difference where both have read as much English as the one that has read less of it at its end.

        None where the learning rate or the dose falls: the middle of such a run is not the end of a shorter one.
        """
        if not (self._is_steady(arm) and self._is_steady(baseline)):
            return None
        curves = [self.curves(one, metric, "english_bytes", len(self._of[arm.name])) for one in (arm, baseline)]
        if not all(curves):
            return None
        at = min(float(curve.at_SxE.mean(0)[-1]) for curve in curves)
        ours, theirs = (score_at(curve, at) for curve in curves)
        sign = -1.0 if metric.startswith(BITS) else 1.0
        return None if ours is None or theirs is None else sign * (ours - theirs)

    def comparisons(self) -> list[dict[str, Any]]:
        """Every arm that has a baseline, in every tested metric that says something.

        p is corrected over the arms of a metric, but for the declared outcome's: that is one test, chosen beforehand.
        Arms that are left out count among these.
        One that was asked other items than its baseline, or read other held-out text, has a score and no difference.
        """
        found = []
        for metric in self.tested():
            if self.at_chance(metric):
                continue
            of_metric = [
                {"arm": arm.name, "against": arm.against, "metric": metric, **self.comparison(arm, metric)}
                for arm in self.arms_with(metric)
                if arm.against
                and self.study.arm(arm.against) in self.arms_with(metric)
                and self.asked_alike(arm, metric)
            ]
            for entry in of_metric:
                if (entry["arm"], metric) == (self.study.primary.arm, self.study.primary.metric):
                    entry["p_corrected"] = entry["p"]
            tested = [entry for entry in of_metric if entry["p"] is not None and "p_corrected" not in entry]
            others = sum(arm.against != "" for arm in self.study.left_out)
            for entry, p in zip(tested, inference.holm([entry["p"] for entry in tested], others), strict=True):
                entry["p_corrected"] = p
            found += of_metric
        return found

    def contrasts(self) -> dict[str, dict[str, Any]]:
        """By name what `inference.compare` says of the sum against 0, over the seeds that all its arms have.

        The first is a declared one; the others' p are corrected, for as many as are declared. A contrast with an arm
        or a metric that was not measured, or in which its arms were asked different items, is left out.
        """
        found, names = {}, {arm.name for arm in self.study.arms}
        for name, contrast in self.study.contrasts.items():
            if any(arm not in names for _, arm, _ in contrast.terms):
                continue
            terms = [(factor, self.study.arm(arm), metric) for factor, arm, metric in contrast.terms]
            if any(metric not in one.scores for _, arm, metric in terms for one in self._of[arm.name]):
                continue
            of_metric: dict[str, list[Arm]] = {}
            for _, arm, metric in terms:
                of_metric.setdefault(metric, []).append(arm)
            if not all(self._both_asked(arms[0], arm, metric) for metric, arms in of_metric.items() for arm in arms):
                continue
            count = min(arm.seeds for _, arm, _ in terms)
            sums_S = sum(factor * np.array(self.values(arm, metric)[:count]) for factor, arm, metric in terms)
            found[name] = {"about": contrast.about, "metric": terms[0][2], "by_seed": sums_S.tolist()}
            if [factor for factor, _, _ in terms] == [1, -1] and len(of_metric) == 1:
                found[name] |= self._difference(terms[0][1], terms[1][1], terms[0][2])
            else:
                found[name] |= inference.compare(sums_S, np.zeros(count), self.study.margin)
            found[name]["p_corrected"] = found[name]["p"]
        declared = next(iter(self.study.contrasts), "")
        others = [of for name, of in found.items() if name != declared and of["p"] is not None]
        corrected = inference.holm([of["p"] for of in others], len(self.study.contrasts) - 1 - len(others))
        for of, p in zip(others, corrected, strict=True):
            of["p_corrected"] = p
        return found

    def summary(self) -> dict[str, dict[str, Any]]:
        """summary.json: by arm, each metric's mean and interval, the speed-up and the dose."""
        found = {}
        for arm in self.study.arms:
            entry: dict[str, Any] = {
                metric: self.score(arm, metric) for metric in self.metrics() if arm in self.arms_with(metric)
            }
            entry["seeds"] = list(self.study.seeds_of(arm))
            entry["swapped_share"] = self.mean(arm, "link/swapped_share")
            entry["speedup"] = entry["speedup_interval"] = None
            if arm.against:
                ups = self.speed_ups(arm)
                if "step" in ups:
                    primary = ups["step"][self.study.primary.level]
                    entry["speedup"], entry["speedup_interval"] = primary.ratio, primary.interval
                entry["speedups"] = {way: [of._asdict() for of in levels.values()] for way, levels in ups.items()}
            found[arm.name] = entry
        return found

    def cost(self, arm: Arm) -> dict[str, float]:
        """tokens and seconds of training, means over seeds."""
        last = [one.evaluations[-1] for one in self._of[arm.name]]
        tokens = [sum(value for name, value in record.items() if name.startswith("tokens/")) for record in last]
        return {"tokens": float(np.mean(tokens)), "seconds": float(np.mean([record["seconds"] for record in last]))}

    def mean(self, arm: Arm, name: str) -> float | None:
        values = [one.scores.get(name) for one in self._of[arm.name]]
        return None if None in values else float(np.mean(values))

    def table(self) -> str:
        """runs.csv: a row for each arm, seed and evaluation, numbers to six digits."""
        records = [
            {"arm": arm.name, "seed": one.run.seed, **{name: _rounded(value) for name, value in record.items()}}
            for arm in self.study.arms
            for one in self._of[arm.name]
            for record in one.evaluations
        ]
        names = list(dict.fromkeys(name for record in records for name in record))
        text = io.StringIO()
        writer = csv.DictWriter(text, names)
        writer.writeheader()
        writer.writerows(records)
        return text.getvalue()


def _rounded(value: Any) -> Any:
    return f"{value:.6g}" if isinstance(value, float) else value
