"""Compares arms over seeds: runs them all, then writes a table, the curves and the numbers behind them.

    python -m linkjax.study --config=configs/studies/toy_link.py --out=runs/toy_link

Finished runs are not run again, unfinished ones go on: the same command continues an interrupted study.
In the folder: runs.csv (a row per arm, seed and evaluation), summary.json, curves.png.
"""

import csv
import importlib.util
import json
import pathlib
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import ml_collections
import numpy as np

from linkjax import config as configs
from linkjax.data.jsonl import read_jsonl
from linkjax.errors import UserError
from linkjax.evaluation.statistics import cluster_interval
from linkjax.training.metrics import read_metrics


def study(config: ml_collections.ConfigDict, out: pathlib.Path) -> dict[str, Any]:
    """Runs what is missing and returns the summary: arm -> metric -> mean, interval, per seed."""
    begun = out / "study.json"
    if begun.exists() and (changed := configs.differences(configs.from_json(begun), config)):
        raise UserError(f"{out} holds another study ({', '.join(changed)} differ): choose another --out.")
    out.mkdir(parents=True, exist_ok=True)
    begun.write_text(configs.to_json(config))
    runs = {}
    for seed in config.seeds:
        for arm, flags in config.arms.items():
            workdir = out / f"{arm.replace(' ', '_')}-{seed}"
            runs[arm, seed] = workdir
            if (workdir / "summary.json").exists():
                continue
            print(f"{arm}, seed {seed}", file=sys.stderr)
            seed_flags = config.seed_flags.format(seed=seed)
            arguments = [f"--config={config.base}", f"--config.data={out}/data-{seed}", f"--workdir={workdir}"]
            command = [sys.executable, "-m", "linkjax.train", *arguments, *flags.split(), *seed_flags.split()]
            code = subprocess.run(command, stdout=subprocess.DEVNULL, check=False).returncode
            if code:
                sys.exit(code)  # it has said why
    _write_csv(runs, out / "runs.csv")
    summary = {arm: summarise([runs[arm, seed] for seed in config.seeds]) for arm in config.arms}
    (out / "summary.json").write_text(json.dumps(summary, indent=1) + "\n")
    _draw(runs, config.metric, out / "curves.png")
    return summary


def summarise(workdirs: Sequence[pathlib.Path]) -> dict[str, Any]:
    """Final scores of one arm's runs: each metric's mean and values by seed; for ranked items also a 95 %
    interval from a bootstrap over the clusters (facts) of all seeds together."""
    summaries = [json.loads((workdir / "summary.json").read_text()) for workdir in workdirs]
    result: dict[str, Any] = {}
    for name in summaries[0]:
        values = [summary.get(name) for summary in summaries]
        if all(isinstance(value, int | float) for value in values):
            result[name] = {"mean": float(np.mean(values)), "by_seed": values}
    clusters: dict[str, dict[tuple, list[bool]]] = {}
    for seed, workdir in enumerate(workdirs):
        for item in read_jsonl(workdir / "items.jsonl"):
            group = clusters.setdefault(f"fact_accuracy/{item['group']}", {})
            group.setdefault((seed, item["task"], item["cluster"]), []).append(item["correct"])
    for name, by_cluster in clusters.items():
        result.setdefault(name, {})["interval"] = cluster_interval(list(by_cluster.values()))
    return result


def _write_csv(runs: dict[tuple[str, int], pathlib.Path], path: pathlib.Path) -> None:
    records = [
        {"arm": arm, "seed": seed, **record}
        for (arm, seed), workdir in runs.items()
        for record in _evaluations(workdir)
    ]
    names = list(dict.fromkeys(name for record in records for name in record))
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(records)


def _evaluations(workdir: pathlib.Path) -> list[dict]:
    return [record for record in read_metrics(workdir) if any(name.startswith("tokens/") for name in record)]


def _draw(runs: dict[tuple[str, int], pathlib.Path], metric: str, path: pathlib.Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 4), layout="constrained")
    for arm in dict.fromkeys(arm for arm, _ in runs):
        curves = [_evaluations(workdir) for (name, _), workdir in runs.items() if name == arm]
        steps = [record["step"] for record in curves[0]]
        chance = json.loads((next(iter(runs.values())) / "summary.json").read_text())["chance"].get(
            metric.split("/")[0]
        )
        values = np.array([[record[metric] for record in curve] for curve in curves]) * 100
        (line,) = axes.plot(steps, values.mean(0), label=arm)
        axes.fill_between(steps, values.min(0), values.max(0), color=line.get_color(), alpha=0.2, linewidth=0)
    if chance:
        axes.axhline(100 * chance, color="grey", linestyle=":", label="chance")
    axes.set_xlabel("steps")
    axes.set_ylabel(f"{metric.replace('_', ' ').replace('/', ', ')} (%)")
    axes.set_ylim(0, 100)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="center right")
    figure.savefig(path, dpi=150)
    pyplot.close(figure)


def table(summary: dict[str, Any]) -> str:
    """Arms side by side: mean over seeds, and the interval where there is one."""
    names = [
        name
        for name in next(iter(summary.values()))
        if name.startswith(("fact_accuracy/", "bits_per_byte/", "link/sw"))
    ]
    lines = [" " * 32 + "".join(f"{arm:>24}" for arm in summary)]
    for name in names:
        cells = []
        for scores in summary.values():
            entry = scores.get(name, {})
            scale = 1 if name.startswith("bits") else 100
            text = f"{entry['mean'] * scale:.3f}" if scale == 1 else f"{entry['mean'] * scale:.1f} %"
            if "interval" in entry:
                text += " ({:.1f}-{:.1f})".format(*(100 * end for end in entry["interval"]))
            cells.append(f"{text:>24}")
        lines.append(f"{name:<32}" + "".join(cells))
    return "\n".join(lines)


def run(config: ml_collections.ConfigDict, out: str) -> None:
    if not out:
        raise UserError("--out is missing: name the study's folder.")
    if importlib.util.find_spec("matplotlib") is None:
        raise UserError("drawing the curves needs matplotlib: pip install 'linkjax[plot]'.")
    if "arms" not in config:
        raise UserError("this config is not a study: choose one of configs/studies/.")
    print(table(study(config, pathlib.Path(out))))
    print(f"\nall of it in {out}: summary.json, runs.csv, curves.png")


if __name__ == "__main__":
    configs.main(run, __doc__, {"out": ("", "folder of the study, continued if it is there")}, sys.argv)
