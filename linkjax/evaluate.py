"""Scores a checkpoint: evaluation tasks and bits per byte, to the terminal and to results.json.

python -m linkjax.evaluate --checkpoint=runs/toy
python -m linkjax.evaluate --checkpoint=runs/toy@500 --data=prepared/other --tasks=toy_world_facts
"""

import json
import pathlib
import sys

from linkjax import config as configs
from linkjax import report
from linkjax.data.prepared import Prepared
from linkjax.errors import UserError
from linkjax.evaluation.suite import Suite
from linkjax.training.load import load
from linkjax.training.processes import OPTIONS, first, joined
from linkjax.training.sharding import rows_divide


def run(checkpoint: str, data: str, tasks: str, out: str, coordinator: str, processes: str, process: str) -> None:
    with joined(coordinator, processes, process):
        _evaluate(checkpoint, data, tasks, out)


def _evaluate(checkpoint: str, data: str, tasks: str, out: str) -> None:
    if not checkpoint:
        raise UserError("--checkpoint is missing: name a run's folder, RUN or RUN@STEP.")
    model = load(checkpoint)
    prepared = Prepared(pathlib.Path(data or model.settings.data or model.run / "data"))
    known = {task["name"] for task in prepared.manifest["evaluations"]}
    names = [name for name in tasks.split(",") if name] or sorted(known)
    for name in names:
        if name not in known:
            raise UserError(f"'{name}' is not in {prepared.folder}; it has: {', '.join(sorted(known)) or 'no tasks'}.")
    rows_divide(model.trainer.mesh, model.settings.rows_at_once, model.settings.sequence_length)
    suite = Suite.of(model.settings, prepared, tasks=names, tokenizer=model.tokenizer)
    metrics, items = suite.run(model.trainer.scorer(model.params))
    if not first():
        return
    results = metrics | prepared.yardsticks()
    print(report.table(results))
    path = pathlib.Path(out) if out else model.run / f"results-{model.step}.json"
    path.write_text(json.dumps({"step": model.step, **results, "items": items}, indent=1, ensure_ascii=False) + "\n")
    print(f"\nwritten to {path}")


if __name__ == "__main__":
    options = {
        "checkpoint": ("", "a run's folder, RUN for its newest checkpoint or RUN@STEP"),
        "data": ("", "prepared folder to score on; default: the run's own"),
        "tasks": ("", "evaluation tasks, separated by commas; default: all of the folder's"),
        "out": ("", "results file; default: RUN/results-STEP.json"),
    } | OPTIONS
    configs.main_without_config(run, __doc__, options, sys.argv)
