"""The report of a study: what was compared, what came out, and how sure that is."""

import pathlib
from collections.abc import Iterator, Sequence
from typing import Any

from linkjax.studies import wording
from linkjax.studies.arms import Arm, Study
from linkjax.studies.curves import SpeedUp
from linkjax.studies.figures import learning_curves, score_curve
from linkjax.studies.outcomes import ENGLISH_AT_BEST, Outcomes
from linkjax.studies.page import Answer, Block, Figure, Heading, Paragraph, Table, as_html, as_markdown
from linkjax.training.run_files import write_whole

_LEVEL = 0.05
_WAYS = {"step": "steps", "english_bytes": "bytes of English", "flops": "FLOPs", "seconds": "seconds"}
_HOW = (
    "Brackets are 95 % intervals: of ranked items by drawing seeds and clusters of items (hierarchical bootstrap), of"
    " other scores by Student's t over seeds; of the difference of two arms, which is paired by seed, the wider of"
    " both. p is of the paired t-test: of the declared outcome and of the first contrast as it is, of others corrected"
    " (Holm) for the study's arms, or for its contrasts; p of equivalence is not corrected. Called significant is what"
    " has p below 0.05 and an interval without 0. An arm with fewer seeds than"
    " its baseline is compared over the seeds it has. A speed-up is the baseline's cost of a score over the arm's, on"
    " the mean curve over seeds without its noise (isotonic regression), its interval by drawing seeds; an arm that"
    " never gets there is below the ratio shown, and counts as 0 in the interval. Seconds are those of runs as they"
    " were made, with whatever else the machine did."
)


def conclusions(outcomes: Outcomes) -> str:
    """The sentences that the report begins with."""
    return "\n".join(_conclusions(outcomes))


def write(outcomes: Outcomes, out: pathlib.Path) -> None:
    """report.html, and report.md with figures/."""
    (out / "figures").mkdir(exist_ok=True)
    blocks = list(_blocks(outcomes, out / "figures"))
    write_whole(out / "report.html", as_html(outcomes.study.title, blocks))
    write_whole(out / "report.md", as_markdown(outcomes.study.title, blocks))


def _conclusions(outcomes: Outcomes) -> list[str]:
    study = outcomes.study
    arm, metric = study.arm(study.primary.arm), study.primary.metric
    compared = {(entry["arm"], entry["metric"]): entry for entry in outcomes.comparisons()}
    said = [_primary(outcomes, arm, metric, compared.get((arm.name, metric)))]
    said += _speed(outcomes, arm)
    said += [
        _equivalence(study.arm(name), metric, compared[name, metric], study.margin)
        for name in study.equivalent
        if (name, metric) in compared
    ]
    said += [_contrast(found) for found in outcomes.contrasts().values()]
    silent = [name for name in outcomes.tested() if outcomes.at_chance(name)]
    if silent:
        said.append(f"At chance in every arm, no information: {', '.join(silent)}.")
    prices = []
    for other, when in ((f"{wording.BITS}en", "at the end"), (ENGLISH_AT_BEST, "each at its best evaluation")):
        both = other in outcomes.metrics() and {arm, study.arm(arm.against)} <= {*outcomes.arms_with(other)}
        if both and outcomes.asked_alike(arm, other):
            found = outcomes.comparison(arm, other)
            prices.append(f"{wording.difference(other, found['difference'], found['interval'])} {when}")
    if prices:
        said.append(
            f"The price in English, {arm.name} minus {arm.against}: {', '.join(prices)}; held-out text, more is worse."
        )
    if outcomes.declared_late:
        said.append(f"Declared after runs had begun: {outcomes.declared_late}; declared.json has what was before.")
    if study.left_out:
        names = ", ".join(arm.name for arm in study.left_out)
        said.append(f"{len(study.left_out)} of the study's arms are left out of this report: {names}.")
    return said + ([_verdict(outcomes)] if study.doses else [])


def _is_sure(found: dict[str, Any]) -> bool:
    p, interval = found.get("p_corrected"), found["interval"]
    return p is not None and p < _LEVEL and not interval[0] <= 0 <= interval[1]


def _primary(outcomes: Outcomes, arm: Arm, metric: str, found: dict[str, Any] | None) -> str:
    baseline = outcomes.study.arm(arm.against)
    what = outcomes.study.primary.about
    ours, theirs = (wording.score(metric, outcomes.score(one, metric)) for one in (arm, baseline))
    swapped = wording.value("", outcomes.mean(arm, "link/swapped_share"))
    scores = (
        f"{arm.name} ({arm.about}; {swapped} of all English words) is at {ours}, {baseline.name} ({baseline.about}) at"
        f" {theirs} in {metric}, {what}, over {arm.seeds} seeds (95 % intervals)"
    )
    if not outcomes.asked_alike(arm, metric):
        return f"{scores}: they were asked other items, so no difference is taken."
    if found is None:
        return f"{scores}: both at chance, which says nothing."
    shown = wording.difference(metric, found["difference"], found["interval"])
    if found["p"] is None:
        return f"{scores}: {shown}. {_unsure(arm)} nothing of how sure that is."
    p = f"p {wording.p_said(found['p_corrected'])}"
    if _is_sure(found):
        return f"{scores}: {shown}, {p}."
    if found["p_corrected"] < _LEVEL:
        return f"{scores}: {shown} is not significant: {p} over seeds, but over items there may be no difference."
    least = wording.difference(metric, found["detectable"], None).lstrip("+")
    return f"{scores}: {shown} is not significant ({p}); a difference of {least} would probably have been found."


def _unsure(arm: Arm) -> str:
    return "One seed says" if arm.seeds == 1 else "Seeds that are all alike say"


def _speed(outcomes: Outcomes, arm: Arm) -> list[str]:
    level, against = outcomes.study.primary.level, arm.against
    if why := outcomes.no_speed_up(arm):
        return [f"No speed-up is measured: {why}."]
    found = outcomes.speed_ups(arm)["step"][level]
    if found.ratio is None:
        return [f"No speed-up is measured: {against} learns nothing here."]
    metric = outcomes.study.primary.metric
    score = wording.value(metric, -found.score if metric.startswith(wording.BITS) else found.score)
    where = f"{100 * level:.0f} % of what {against} gains ({score})"
    if found.below is not None:
        return [f"{arm.name} never gets to {where}: its speed-up is below {found.below:.2f}."]
    return [
        f"{arm.name} gets to {where} after {found.arm:,.0f} steps, {against} after {found.baseline:,.0f}:"
        f" a speed-up of {wording.times(found.ratio, None, found.interval)}{_slower(found)}."
    ]


def _slower(found: SpeedUp) -> str:
    low, high = found.interval or (found.ratio, found.ratio)
    return ", later" if high < 1 else ", which may be none" if low <= 1 else ""


def _equivalence(arm: Arm, metric: str, found: dict[str, Any], margin: float) -> str:
    within = wording.difference(metric, margin, None).lstrip("+")
    shown = wording.difference(metric, found["difference"], found["interval"])
    p = found["p_equivalent"]
    if p is None:
        return (
            f"Whether {arm.name} is equivalent to {arm.against} cannot be said: {shown}. {_unsure(arm)} nothing of it."
        )
    said = f"{arm.name} ({arm.about})"
    if p < _LEVEL:
        return (
            f"{said} is equivalent to {arm.against}: {shown}; a difference of {within} is ruled out by two one-sided"
            f" tests, p {wording.p_said(p)}."
        )
    better = found["p_not_less" if metric.startswith(wording.BITS) else "p_not_more"]
    if better < _LEVEL:
        return (
            f"{said} is no better than {arm.against}: {shown}; a gain of {within} is ruled out, p"
            f" {wording.p_said(better)}."
        )
    return f"{said} is not shown to be equivalent to {arm.against} within {within}: {shown}."


def _verdict(outcomes: Outcomes) -> str:
    """Does it help here, how much, at which dose? Against no swaps; what wrong pairs do is said beside it."""
    study, metric = outcomes.study, outcomes.study.primary.metric
    sign = -1 if metric.startswith(wording.BITS) else 1
    found = {entry["arm"]: entry for entry in outcomes.comparisons()
             if entry["metric"] == metric and entry["arm"] in study.doses}  # fmt: skip
    if not found:
        return "Whether LINK helps here cannot be told: no dose has a difference to its baseline."
    gains = {name: sign * entry["difference"] for name, entry in found.items()}
    sure = {name for name, entry in found.items() if _is_sure(entry)}
    helpful = [name for name in sure if gains[name] > 0]
    best = max(helpful or found, key=lambda name: gains[name])
    gain = wording.difference(metric, found[best]["difference"], found[best]["interval"])
    swapped = wording.value("", outcomes.mean(study.arm(best), "link/swapped_share"))
    best_of = f"the best of {len(found)} doses tried, " if len(found) > 1 else ""
    shown = f"{gain} in {metric} with {best_of}{best} ({swapped} of the English words swapped)"
    if helpful:
        return f"LINK helps here, compared with no swaps: {shown}{_paid(outcomes, study.arm(best))}."
    if sure == found.keys():
        return f"LINK does not help here: {shown}."
    return f"Whether LINK helps here cannot be told from {study.arm(best).seeds} seeds: {shown}."


def _paid(outcomes: Outcomes, arm: Arm) -> str:
    """What an arm surely costs in English, where it was measured as its baseline's was."""
    english = f"{wording.BITS}en"
    both = {arm, outcomes.study.arm(arm.against)} <= {*outcomes.arms_with(english)}
    if not both or not outcomes.asked_alike(arm, english):
        return ""
    found = outcomes.comparison(arm, english)
    if found["interval"] is None or found["interval"][0] <= 0:
        return ""
    return f"; English pays {wording.difference(english, found['difference'], None)}"


def _contrast(found: dict[str, Any]) -> str:
    shown = wording.difference(found["metric"], found["difference"], found["interval"])
    if found["p"] is None:
        return f"{found['about']}: {shown}."
    sure = "" if _is_sure(found) else ", not significant"
    return f"{found['about']}: {shown}, p {wording.p_said(found['p_corrected'])}{sure}."


def _blocks(outcomes: Outcomes, figures: pathlib.Path) -> Iterator[Block]:
    study = outcomes.study
    primary, metric = study.arm(study.primary.arm), study.primary.metric
    yield Paragraph(study.question)
    yield Answer(_conclusions(outcomes))
    (against, arms), *others = _main_arms(study).items()
    yield from _learning(outcomes, metric, [study.arm(against), *arms], figures / "learning.png")
    yield _main_table(outcomes)
    for against, arms in others:
        yield from _learning(outcomes, metric, [study.arm(against), *arms], figures / f"learning_{against}.png")
    yield Heading("What was compared")
    when = "" if outcomes.declared_late else " before the runs"
    yield Table(
        ["arm", "against", "seeds", "what it is", "flags"],
        [[arm.name, arm.against, str(arm.seeds), arm.about, " ".join(arm.flags)] for arm in study.arms],
        f"All: --config={primary.base} {' '.join(study.flags)}. Declared{when}: outcome {metric} of"
        f" {primary.name} against {primary.against}, speed-up at {study.primary.level:.0%} of its gain, equivalence"
        f" within {wording.difference(metric, study.margin, None).lstrip('+')}.",
        text=(0, 1, 3, 4),
    )
    yield Heading("Scores")
    yield from _score_tables(outcomes, figures)
    yield Heading("Speed-up")
    yield from _speed_tables(outcomes)
    for number, (name, (axis, points)) in enumerate(study.curves.items()):
        if not number:
            yield Heading("What it depends on")
        file = f"{name}.png"
        svg = score_curve(outcomes, axis, points, metric, figures / file)
        yield Figure(f"figures/{file}", svg, f"{metric} at the end against {axis}, with 95 % intervals.")
    yield Heading("What it costs")
    yield _cost_table(outcomes)
    yield Heading("How to read this")
    yield Paragraph(_HOW)


def _main_arms(study: Study) -> dict[str, list[Arm]]:
    """The arms that the conclusions speak of, by the one they are compared with; the primary one's first."""
    contrasted = [name for contrast in study.contrasts.values() for _, name, _ in contrast.terms]
    found: dict[str, list[Arm]] = {}
    spoken_of = {study.primary.arm, *study.equivalent, *contrasted}
    for arm in sorted(study.arms, key=lambda arm: arm.against != study.arm(study.primary.arm).against):
        if arm.name in spoken_of and arm.against:
            found.setdefault(arm.against, []).append(arm)
    return found


def _learning(outcomes: Outcomes, metric: str, arms: Sequence[Arm], path: pathlib.Path) -> Iterator[Figure]:
    if svg := learning_curves(outcomes, arms, metric, path):
        about = f"{metric} while training: mean over seeds, and the seeds' range."
        if metric.startswith(wording.BITS):
            about += " Less is better."
        yield Figure(f"{path.parent.name}/{path.name}", svg, about)


def _main_table(outcomes: Outcomes) -> Table:
    """The primary metric of all arms."""
    study, metric = outcomes.study, outcomes.study.primary.metric
    compared = {entry["arm"]: entry for entry in outcomes.comparisons() if entry["metric"] == metric}
    rows = []
    measured = outcomes.arms_with(metric)
    for arm in study.arms:
        score = wording.score(metric, outcomes.score(arm, metric)) if arm in measured else "not in all runs"
        cells = [arm.name, str(arm.seeds), score]
        if arm.name in compared:
            found = compared[arm.name]
            ups = outcomes.speed_ups(arm).get("step", {}).get(study.primary.level)
            cells += [
                wording.difference(metric, found["difference"], found["interval"]),
                wording.p_value(found.get("p_corrected")),
                wording.times(ups.ratio, ups.below, ups.interval) if ups else "–",
            ]
        rows.append(cells + [""] * (6 - len(cells)))
    return Table(["arm", "seeds", metric, "difference", "p", "speed-up"], rows)


def _score_tables(outcomes: Outcomes, figures: pathlib.Path) -> Iterator[Block]:
    tested = outcomes.tested()
    (against, arms), *_ = _main_arms(outcomes.study).items()
    shown = [outcomes.study.arm(against), *arms]
    for metric in tested:
        if outcomes.at_chance(metric):
            scores = ", ".join(
                f"{arm.name} {wording.score(metric, outcomes.score(arm, metric))}" for arm in outcomes.arms_with(metric)
            )
            chance = wording.value(metric, outcomes.chance_of(metric))
            yield Paragraph(f"{metric}: at chance ({chance}) in every arm, no information ({scores}).")
    compared = outcomes.comparisons()
    for metric in dict.fromkeys(entry["metric"] for entry in compared):
        by_arm = {entry["arm"]: entry for entry in compared if entry["metric"] == metric}
        rows = []
        for arm in outcomes.arms_with(metric):
            score = outcomes.score(arm, metric)
            note = " at chance" if score.get("at_chance") else ""
            if arm.against and not outcomes.asked_alike(arm, metric):
                note += " (other items)"
            cells = [arm.name, wording.score(metric, score) + note]
            if found := by_arm.get(arm.name):
                bytes_ = found["at_equal_english"]
                p = found["p_equivalent"]
                cells += [
                    wording.difference(metric, found["difference"], found["interval"]),
                    wording.p_value(found.get("p_corrected")),
                    wording.p_value(p),
                    "–" if bytes_ is None else wording.difference(metric, bytes_, None),
                ]
            rows.append(cells + [""] * (6 - len(cells)))
        lines = [["arm", metric, "difference", "p", "p of equivalence", "at equal bytes of English"], *rows]
        if metric != outcomes.study.primary.metric:  # which is shown first, and whose the margin is
            path = figures / f"learning_{metric.replace('/', '_')}.png"
            yield from _learning(outcomes, metric, [arm for arm in shown if arm in outcomes.arms_with(metric)], path)
            lines = [line[:4] + line[5:] for line in lines]
        yield Table(lines[0], lines[1:])


def _speed_tables(outcomes: Outcomes) -> Iterator[Block]:
    metric = outcomes.study.primary.metric
    sign = -1 if metric.startswith(wording.BITS) else 1
    without: dict[str, list[str]] = {}
    for arm in outcomes.study.arms:
        if not arm.against:
            continue
        if why := outcomes.no_speed_up(arm):
            without.setdefault(why, []).append(arm.name)
            continue
        ups, rows = outcomes.speed_ups(arm), []
        for level, of in ups.get("step", {}).items():
            steps = [wording.steps(of.baseline), wording.steps(of.arm)]
            cells = [wording.times(one.ratio, one.below, one.interval) for one in (ups[way][level] for way in ups)]
            rows.append([f"{level:.0%}", wording.value(metric, sign * of.score), *steps, *cells])
        titles = [f"share of {arm.against}'s gain", metric, f"steps of {arm.against}", f"steps of {arm.name}"]
        yield Table([*titles, *(f"speed-up in {_WAYS[way]}" for way in ups)], rows)
    for why, arms in without.items():
        yield Paragraph(f"No speed-up of {', '.join(arms)}: {why}.")


def _cost_table(outcomes: Outcomes) -> Table:
    rows, shown = [], [name for name in outcomes.metrics() if name.startswith((wording.BITS, "foreign_", "passes/"))]
    for arm in outcomes.study.arms:
        cost = outcomes.cost(arm)
        swapped = outcomes.mean(arm, "link/swapped_share")
        cells = [arm.name, wording.value("", swapped), f"{cost['tokens']:,.0f}", f"{cost['seconds']:,.0f}"]
        for metric in shown:
            mean = outcomes.mean(arm, metric)
            is_count = mean is not None and metric.startswith("passes/")
            cells.append(f"{mean:.1f}" if is_count else wording.value(metric, mean))
        rows.append(cells)
    return Table(
        ["arm", "English words swapped", "tokens", "seconds", *shown],
        rows,
        "Means over seeds. foreign_words: of the words written after beginnings in a language, those of another;"
        " foreign_probability: given to another language's pieces while reading.",
    )
