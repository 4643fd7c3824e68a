"""What a study compares: arms, each a set of flags of `linkjax.train`, over seeds.

A study's config (configs/studies/*.py) has

    title, question   what it is about, for the report
    base              the config file of all runs, or of those whose arm names no other
    flags             of all runs
    arms              name -> flags, against, about (, seeds, base): see `Arm`
    seeds             the seeds; seed_flags, what `{seed}` goes into
    primary           arm, metric, level, about (what the metric is): the outcome that the study was made for, declared
                      before it runs
    margin            within which two arms count as equivalent, and `equivalent`, the arms of which that is claimed
    metrics           what is tested and shown first; a metric ending in '/' is all of its groups
    curves            name -> axis (what x is) and points (x, arm): final scores against the dose, coverage ...
    contrasts         name -> about, terms (sign, arm, metric): sums over arms and metrics, tested over seeds; the first
                      is declared, the p of the others is corrected
    probe             whether each finished run is looked into (`linkjax.probe`)

    doses             arms that differ by the dose, of which the last sentence names the best; () = no such sentence

and settings of its own, at the top level, that `passed` names: they go to all runs as --config.NAME=VALUE, so that the
study's command line takes them, and `{NAME}` in flags (of all and of arms), seed_flags and metrics stands for their
values.
"""

import dataclasses
import re
from collections.abc import Mapping, Sequence
from typing import Any

import ml_collections

from linkjax.errors import UserError

_NAME = re.compile(r"[a-z0-9_]+")
_NEEDED = ("title", "question", "base", "flags", "passed", "arms", "seeds", "seed_flags", "primary", "margin",
           "equivalent", "metrics", "curves", "contrasts", "doses", "probe")  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Arm:
    """One way to train.

    Attributes:
      name: also of its folders.
      flags: beside those of all runs.
      against: the arm that it is compared with, '' where it is one that others are compared with.
      about: a few words for the report.
      seeds: how many of the study's seeds, from the first on.
      base: the config file.
    """

    name: str
    flags: tuple[str, ...]
    against: str
    about: str
    seeds: int
    base: str


@dataclasses.dataclass(frozen=True)
class Primary:
    """The outcome declared beforehand.

    Attributes:
      arm: against its baseline.
      metric: of which higher is better, or bits per byte.
      level: share of the baseline's gain at which the speed-up is measured.
      about: what the metric is, in a few words.
    """

    arm: str
    metric: str
    level: float
    about: str


@dataclasses.dataclass(frozen=True)
class Contrast:
    """A sum of scores with their signs, as (LINK - scramble) on one metric less the same on another.

    Attributes:
      about: what it measures.
      terms: (factor, arm, metric).
    """

    about: str
    terms: tuple[tuple[float, str, str], ...]


@dataclasses.dataclass(frozen=True)
class Study:
    """A study's config, checked.

    Attributes:
      contrasts: all of the config, also those of arms that are left out.
      left_out: arms that the config has too.
    """

    title: str
    question: str
    flags: tuple[str, ...]
    seed_flags: tuple[str, ...]
    arms: tuple[Arm, ...]
    seeds: tuple[int, ...]
    primary: Primary
    margin: float
    equivalent: tuple[str, ...]
    metrics: tuple[str, ...]
    curves: dict[str, tuple[str, tuple[tuple[float, str], ...]]]
    contrasts: dict[str, Contrast]
    doses: tuple[str, ...]
    probe: bool
    left_out: tuple[Arm, ...] = ()

    def arm(self, name: str) -> Arm:
        return next(arm for arm in self.arms if arm.name == name)

    def chain(self, arm: Arm) -> list[Arm]:
        """An arm, the one that it is compared with, the one that that is compared with, and so on.

        Raises:
          UserError: it comes back to where it was.
        """
        found = [arm]
        while found[-1].against:
            found.append(self.arm(found[-1].against))
            if found[-1] in found[:-1]:
                raise UserError(f"the study's arm '{arm.name}' is compared with itself, by its `against`: change that.")
        return found

    def seeds_of(self, arm: Arm) -> tuple[int, ...]:
        return self.seeds[: arm.seeds]

    def is_tested(self, metric: str) -> bool:
        return any(metric == name or (name.endswith("/") and metric.startswith(name)) for name in self.metrics)


def read_study(config: ml_collections.ConfigDict) -> Study:
    """Raises UserError where the config is no study, or names what is not there."""
    missing = [name for name in _NEEDED if name not in config]
    if missing:
        raise UserError(f"this config is not a study ({', '.join(missing)} missing): choose one of configs/studies/.")
    if isinstance(config.arms, ml_collections.ConfigDict):
        raise UserError("a study's config is a .py file, whose arms have an order: study.json only says what was run.")
    seeds = tuple(config.seeds)
    if not seeds or len(set(seeds)) < len(seeds):
        raise UserError(f"the study's seeds are {seeds}: give one or more, all different.")
    values = {name: config[name] for name in config.passed}
    if "," in values.get("target_language", ""):
        raise UserError(f"a study is of one target language, not of '{values['target_language']}': make one for each.")

    def filled(texts: Sequence[str]) -> tuple[str, ...]:
        return tuple(text.format(**values) for text in texts)

    arms = tuple(_arm(name, {"base": config.base} | about, len(seeds)) for name, about in config.arms.items())
    arms = tuple(dataclasses.replace(arm, flags=filled(arm.flags)) for arm in arms)
    names = [arm.name for arm in arms]
    asked = {
        "against": [arm.against for arm in arms if arm.against],
        "primary": [config.primary["arm"]],
        "equivalent": list(config.equivalent),
        "doses": list(config.doses),
        "curves": [arm for curve in config.curves.values() for _, arm in curve["points"]],
        "contrasts": [arm for contrast in config.contrasts.values() for _, arm, _ in contrast["terms"]],
    }
    for where, found in asked.items():
        if unknown := [name for name in found if name not in names]:
            raise UserError(f"the study's {where} names '{unknown[0]}', which is none of its arms: {', '.join(names)}.")
    by_name = {arm.name: arm for arm in arms}
    for arm in arms:
        if arm.against and by_name[arm.against].seeds < arm.seeds:
            raise UserError(f"arm '{arm.name}' has more seeds than '{arm.against}', which it is compared with.")
    metric = config.primary["metric"]
    if not any(metric == name or (name.endswith("/") and metric.startswith(name)) for name in config.metrics):
        raise UserError(f"the study's primary metric '{metric}' is none of its metrics: add it to them.")
    if not by_name[config.primary["arm"]].against:
        raise UserError(
            f"the study's primary arm '{config.primary['arm']}' is not compared with any: set its `against`."
        )
    if not 0 < config.primary["level"] <= 1:
        raise UserError(f"the study's primary level is {config.primary['level']}: it is a share, above 0 and up to 1.")
    passed = tuple(f"--config.{name}={value}" for name, value in values.items() if value != "")
    return Study(
        title=config.title,
        question=config.question,
        flags=(*filled(config.flags), *passed),
        seed_flags=tuple(flag.format(**values, seed="{seed}") for flag in config.seed_flags.split()),
        arms=arms,
        seeds=seeds,
        primary=Primary(
            config.primary["arm"],
            *filled([config.primary["metric"]]),
            config.primary["level"],
            *filled([config.primary["about"]]),
        ),
        margin=config.margin,
        equivalent=tuple(config.equivalent),
        metrics=filled(config.metrics),
        curves={name: (curve["axis"], tuple(map(tuple, curve["points"]))) for name, curve in config.curves.items()},
        contrasts={
            name: Contrast(of["about"], tuple((factor, arm, *filled([metric])) for factor, arm, metric in of["terms"]))
            for name, of in config.contrasts.items()
        },
        doses=tuple(config.doses),
        probe=config.probe,
    )


def with_arms(study: Study, names: Sequence[str]) -> Study:
    """The study with some of its arms, and with what is said of them alone.

    Raises:
      UserError: one of them is none of its arms, or is compared with an arm that is left out.
    """
    known = [arm.name for arm in study.arms]
    if unknown := [name for name in names if name not in known]:
        raise UserError(f"'{unknown[0]}' is none of the study's arms: choose some of {', '.join(known)}.")
    needed = [study.primary.arm, *(study.arm(name).against for name in names)]
    if missing := [name for name in needed if name and name not in names]:
        raise UserError(f"'{missing[0]}' is missing: others are compared with it, or it is what the study is about.")
    curves = {
        name: (axis, tuple(point for point in points if point[1] in names))
        for name, (axis, points) in study.curves.items()
    }
    return dataclasses.replace(
        study,
        arms=tuple(arm for arm in study.arms if arm.name in names),
        left_out=tuple(arm for arm in study.arms if arm.name not in names),
        equivalent=tuple(name for name in study.equivalent if name in names),
        doses=tuple(name for name in study.doses if name in names),
        curves={name: curve for name, curve in curves.items() if len(curve[1]) > 1},
    )


def _arm(name: str, about: Mapping[str, Any], seeds: int) -> Arm:
    if not _NAME.fullmatch(name):
        raise UserError(f"the study's arm '{name}' names a folder: small letters, digits and _ only.")
    flags = _words(about.get("flags", ()))
    wanted = about.get("seeds", seeds)
    if not 1 <= wanted <= seeds:
        raise UserError(f"arm '{name}' asks for {wanted} seeds: the study has {seeds}.")
    return Arm(name, flags, about.get("against", ""), about.get("about", ""), wanted, about["base"])


def _words(flags: str | Sequence[str]) -> tuple[str, ...]:
    return tuple(flags.split()) if isinstance(flags, str) else tuple(flags)
