"""Compares arms over seeds: makes all runs that are missing, then writes a report.

    python -m linkjax.study --config=configs/studies/toy_link.py --out=runs/toy_link
    python -m linkjax.study --config=configs/studies/toy_link.py --out=runs/toy_link --processes=2
    python -m linkjax.study --config=configs/studies/toy_link.py --arms=baseline_apart,baseline,link --out=runs/toy_link
    python -m linkjax.study --config=configs/studies/toy_link.py --dry_run=yes

Stop it whenever you like: the same command goes on from there. In the folder: report.html (for people), report.md and
figures/ (the same), runs.csv (a row per arm, seed and evaluation), summary.json (the scores of each arm, its speed-up
and dose), comparisons.json; runs/ARM/SEED, every run as `linkjax.train` leaves it.
"""

import importlib.util
import json
import pathlib
import sys
from collections.abc import Sequence

import ml_collections

from linkjax import config as configs
from linkjax.errors import UserError
from linkjax.files import read_json
from linkjax.lock import locked
from linkjax.studies import report
from linkjax.studies.arms import read_study, with_arms
from linkjax.studies.cost import estimate
from linkjax.studies.finished import keep, read_run
from linkjax.studies.outcomes import Outcomes
from linkjax.studies.runs import carry_out, check_begun, list_runs
from linkjax.training.run_files import write_whole

_DECLARED = ("primary", "margin", "equivalent", "contrasts", "seeds")
_MOST_BYTES = 1 << 24


def study(config: ml_collections.ConfigDict, out: pathlib.Path, processes: int, arms: Sequence[str] = ()) -> Outcomes:
    """Makes what is missing of all arms, or of some, and writes the report of these."""
    settings, out = read_study(config), out.resolve()  # which runs know each other's folders by
    settings = with_arms(settings, arms) if arms else settings
    out.mkdir(parents=True, exist_ok=True)
    with locked(out / ".lock", f"{out} is being studied"):
        runs = list_runs(settings, out)
        check_begun(runs, settings.probe)
        late = declared_late(config, out)
        write_whole(out / "study.json", configs.to_json(config))
        carry_out(runs, settings.probe, processes, keep)
        for one in runs:
            keep(one)  # which a study of before these records lacks
        outcomes = Outcomes(settings, [read_run(run) for run in runs], late)
        write_whole(out / "runs.csv", outcomes.table())
        write_whole(out / "summary.json", json.dumps(outcomes.summary(), indent=1) + "\n")
        compared = {"comparisons": outcomes.comparisons(), "contrasts": outcomes.contrasts()}
        write_whole(out / "comparisons.json", json.dumps(compared, indent=1) + "\n")
        report.write(outcomes, out)
    return outcomes


def declared_late(config: ml_collections.ConfigDict, out: pathlib.Path) -> str:
    """Which declarations were made after the primary arm's runs had begun, '' = none; declared.json keeps them all."""
    now = json.loads(json.dumps({name: config.to_dict()[name] for name in _DECLARED}))  # as it is read back
    now["primary"].pop("about")
    now["contrasts"] = [[name, contrast["terms"]] for name, contrast in now["contrasts"].items()]  # the first counts
    path = out / "declared.json"
    begun = any(out.glob(f"runs/{config.primary['arm']}/*/*.json*"))
    kept = read_json(path, _MOST_BYTES) if path.exists() else {"declared": {}, "before": []}
    if kept["declared"] != now:
        kept = {"declared": now, "before": [*kept["before"], *([kept["declared"]] if begun else [])]}
    write_whole(path, json.dumps(kept, indent=1) + "\n")
    return ", ".join(name for name in _DECLARED if any(before.get(name) != now[name] for before in kept["before"]))


def run(config: ml_collections.ConfigDict, out: str, processes: str, dry_run: str, arms: str) -> None:
    if not processes.isdigit() or int(processes) < 1:
        raise UserError(f"--processes={processes}: give the number of runs at a time, 1 or more.")
    if dry_run not in ("yes", "no"):
        raise UserError(f"--dry_run={dry_run}: choose yes or no.")
    names = [name.strip() for name in arms.split(",")] if arms else []
    if dry_run == "yes":
        settings = read_study(config)
        print(estimate(with_arms(settings, names) if names else settings, pathlib.Path(out or "runs/study")))
        return
    if not out:
        raise UserError("--out is missing: name the study's folder.")
    if importlib.util.find_spec("matplotlib") is None:
        raise UserError("drawing the figures needs matplotlib: pip install 'linkjax[plot]'.")
    outcomes = study(config, pathlib.Path(out), int(processes), names)
    print(report.conclusions(outcomes))
    print(f"\nall of it in {out}: report.html, report.md, runs.csv, summary.json")


if __name__ == "__main__":
    options = {
        "out": ("", "folder of the study, continued if it is there"),
        "processes": ("1", "runs at a time; on GPUs, each has one of those in CUDA_VISIBLE_DEVICES"),
        "arms": ("", "only these, separated by commas, and what is said of them; another time the others"),
        "dry_run": ("no", "yes = only say how many runs, tokens and hours it is, and the command of one of them"),
    }
    configs.main(run, __doc__, options, sys.argv)
