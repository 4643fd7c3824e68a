"""Scores a checkpoint: evaluation tasks and held-out text, to the terminal and to results.json.

    python -m linkjax.evaluate --checkpoint=runs/toy
    python -m linkjax.evaluate --checkpoint=runs/toy@500 --data=prepared/other --tasks=toy_world_facts
    python -m linkjax.evaluate --checkpoint=runs/swahili --data=items --tasks=xcopa_sw --shots=4 --mesh=fsdp=4,tensor=2

The same command goes on where it was stopped: a task that is in the results file is not scored again.

    python -m linkjax.evaluate compare first/results.json second/results.json

says how the second run differs from the first on the same items.

    python -m linkjax.evaluate efficiency --run=runs/swahili --monolingual=runs/alone [--language=sw]

says how much text of the language alone a run's text of it was worth (`linkjax.evaluation.efficiency`).

    python -m linkjax.evaluate --harness --checkpoint=runs/swahili --tasks=xcopa_sw [--include_path=FOLDER]

has lm-evaluation-harness ask the questions, by its own definitions of the tasks.
"""

import dataclasses
import hashlib
import json
import pathlib
import platform
import sys
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from tqdm import tqdm

from linkjax import __version__, report
from linkjax import config as configs
from linkjax.data.items import EVALUATIONS, SPLITS, ItemFolder
from linkjax.data.prepared import Prepared
from linkjax.errors import UserError, errors_as_sentences
from linkjax.evaluation import efficiency
from linkjax.evaluation.language import SwappedText, heldout_texts, token_premiums
from linkjax.evaluation.ranking import Ranking, accuracies, of_split, with_examples
from linkjax.evaluation.results import Results, compare
from linkjax.evaluation.scoring import ScoreRows
from linkjax.evaluation.statistics import summarise
from linkjax.evaluation.suite import row_shape
from linkjax.files import fingerprint
from linkjax.generate import generate
from linkjax.training.load import Loaded, load
from linkjax.training.manifest import MANIFEST
from linkjax.training.processes import OPTIONS, first, joined, on_first
from linkjax.training.run_files import write_whole
from linkjax.training.sharding import MeshSettings, row_parts


def run(coordinator: str, processes: str, process: str, **options: str) -> None:
    with joined(coordinator, processes, process):
        (_harness if _is_yes(options["harness"]) else _evaluate)(**options)


def _evaluate(
    checkpoint: str, data: str, tasks: str, shots: str, split: str, seed: str, mesh: str, out: str, **_: str
) -> None:
    if split not in SPLITS:
        raise UserError(f"--split is '{split}': choose {' or '.join(SPLITS)}.")
    shown, draw = _number("shots", shots or "0"), _number("seed", seed)
    model = _load(checkpoint, mesh)
    asked = ItemFolder(pathlib.Path(data or model.settings.data or model.run / "data"))
    prepared = None if (asked.folder / EVALUATIONS).exists() else Prepared(asked.folder)
    known = {task["name"]: task for task in asked.evaluations}
    names = _names(tasks) or sorted(known)
    for name in names:
        if name not in known:
            raise UserError(f"'{name}' is not in {asked.folder}; it has: {', '.join(sorted(known)) or 'no tasks'}.")
    settings = {
        "checkpoint_sha256": fingerprint(model.run / "checkpoints" / str(model.step) / MANIFEST)["sha256"],
        "data_sha256": prepared.fingerprint if prepared else fingerprint(asked.folder / EVALUATIONS)["sha256"],
        "split": split,
        "shots": shown,
        "seed": draw,
    }
    about = {"checkpoint": str(model.run), "step": model.step, "settings": settings, "versions": _versions()}
    path = pathlib.Path(out) if out else _folder(model, split, shown) / "results.json"
    chance = {"chance": {task["metric"]: task["chance"] for task in asked.evaluations}}
    results = Results(path, about | (prepared.yardsticks() if prepared else chance))
    done = on_first(lambda: {kind: sorted(results.content[kind]) for kind in ("tasks", "languages")})
    shape, score = row_shape(model.settings), model.trainer.scorer(model.params)
    ### Tasks
    for name in names:
        if name in done["tasks"]:
            continue
        items = asked.items(name)
        chosen = of_split(items, split, name)
        pool = [item for item in items if item.get("split") == "validation"]
        ranking = Ranking(with_examples(chosen, pool, shown, draw, name), model.tokenizer, *shape)
        records = ranking.score(_counted(score, len(ranking), name))
        metric = known[name]["metric"]
        groups = {
            group: summarise([record for record in records if record["group"] == group])
            for group in dict.fromkeys(record["group"] for record in records)
        }
        how = {"metric": metric, "split": split, "shots": shown, "seed": draw}
        results.add("tasks", name, {**summarise(records), **how, "groups": groups, "items": records},
                    accuracies(records, metric))  # fmt: skip
        _write(results)
    ### Held-out text
    texts = heldout_texts(prepared, model.tokenizer, *shape) if prepared else {}
    if set(texts) - set(done["languages"]):
        premiums = token_premiums(texts)
        for language, text in texts.items():
            measured = text.measure(_counted(score, len(text), language)) | premiums[language]
            results.add("languages", language, measured, {f"bits_per_byte/{language}": measured["bits_per_byte"]})
        swapped = SwappedText(prepared, model.settings.link, model.tokenizer, *shape)
        results.content["swapped_text"] = swapped.measure(_counted(score, len(swapped), "swapped English"))
        _write(results)
    if first():
        print(report.results_table(results.content, names))
        print(f"\nwritten to {path}")


def _harness(
    checkpoint: str, tasks: str, include_path: str, shots: str, seed: str, mesh: str, out: str, **_: str
) -> None:
    from linkjax.evaluation.harness import ask

    names = _names(tasks)
    if not names:
        raise UserError("--tasks is missing: name tasks of lm-evaluation-harness, separated by commas.")
    examples = _number("shots", shots) if shots else None
    model = _load(checkpoint, mesh)
    found = ask(model, names, include_path, examples, _number("seed", seed), generate)
    if not first():
        return
    print(report.harness_table(found))
    path = pathlib.Path(out) if out else _harness_folder(model, names, include_path, examples, seed) / "results.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, json.dumps(found, indent=1, ensure_ascii=False, default=str) + "\n")
    print(f"\nwritten to {path}")


def _load(checkpoint: str, mesh: str) -> Loaded:
    """The model, with rows and mesh such that batches divide over the devices."""
    if not checkpoint:
        raise UserError("--checkpoint is missing: name a run's folder, RUN or RUN@STEP.")
    chosen = parse_mesh(mesh)
    model = load(checkpoint, chosen)
    parts = row_parts(model.trainer.mesh)
    rows = -(-model.settings.rows_at_once // parts) * parts
    settings = dataclasses.replace(model.settings, mesh=chosen, batch_size=rows, virtual_shards=1, microbatches=1)
    return model._replace(settings=settings)


def parse_mesh(text: str) -> MeshSettings:
    """'fsdp=4,tensor=2' -> settings of the mesh; axes that are not named are 1, and data is what is left.

    Raises:
      UserError: it is not like that.
    """
    axes = [field.name for field in dataclasses.fields(MeshSettings)]
    sizes: dict[str, int] = {}
    for part in filter(None, text.split(",")):
        axis, _, size = part.partition("=")
        if axis not in axes or not size.isdecimal() or axis in sizes:
            raise UserError(f"--mesh={text}: '{part}' is no AXIS=SIZE, with an axis among {', '.join(axes)}.")
        sizes[axis] = int(size)
    return MeshSettings(**sizes)


def _number(name: str, text: str) -> int:
    if not text.isdecimal() or int(text) >= 2**31:
        raise UserError(f"--{name} is '{text}': choose 0, 1, 2 ...")
    return int(text)


def _names(tasks: str) -> list[str]:
    return list(dict.fromkeys(name.strip() for name in tasks.split(",") if name.strip()))


def _is_yes(text: str) -> bool:
    if text not in ("yes", "no"):
        raise UserError(f"--harness is '{text}': choose yes or no.")
    return text == "yes"


def _folder(model: Loaded, what: str, shots: int) -> pathlib.Path:
    """Where results go by default: those of other questions, or of another step, stay."""
    return model.run / "evaluation" / f"{model.step}-{what}{f'-{shots}-shot' if shots else ''}"


def _harness_folder(
    model: Loaded, tasks: Sequence[str], include_path: str, shots: int | None, seed: str
) -> pathlib.Path:
    asked = json.dumps([tasks, include_path, shots, seed])
    return _folder(model, f"harness-{tasks[0]:.40}-{hashlib.sha256(asked.encode()).hexdigest()[:8]}", shots or 0)


def _counted(score: ScoreRows, batches: int, name: str) -> Callable[[dict[str, Any]], tuple[np.ndarray, np.ndarray]]:
    """The same with a bar in a terminal."""
    bar = tqdm(total=batches, desc=name, unit="batch", disable=not (first() and sys.stderr.isatty()), leave=False)

    def one(rows: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
        found = score(rows)
        bar.update()
        if bar.n == batches:
            bar.close()
        return found

    return one


def _write(results: Results) -> None:
    if first():
        results.write()


def _versions() -> dict[str, str]:
    return {"linkjax": __version__, "jax": jax.__version__, "python": platform.python_version()}


def _compare(paths: list[str]) -> None:
    with errors_as_sentences():
        if len(paths) != 2 or any(path.startswith("-") for path in paths):
            raise UserError("compare takes two results files: python -m linkjax.evaluate compare A.json B.json.")
        print(report.comparison_table(compare(*map(pathlib.Path, paths))))


def run_efficiency(run: str, monolingual: str, language: str, out: str) -> None:
    if not run or not _names(monolingual):
        raise UserError("efficiency takes two runs' folders: --run=RUN --monolingual=RUN, or several, RUN,RUN.")
    found = efficiency.of_runs(pathlib.Path(run), [pathlib.Path(name) for name in _names(monolingual)], language)
    print(efficiency.sentences(found))
    path = pathlib.Path(out or f"{run}/evaluation/efficiency-{found['language']}.json")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, json.dumps(found, indent=1, ensure_ascii=False) + "\n")
    print(f"\nwritten to {path}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["compare"]:
        _compare(sys.argv[2:])
    elif sys.argv[1:2] == ["efficiency"]:
        options = {
            "run": ("", "the folder of a run on several languages"),
            "monolingual": ("", "that of a run on the language alone, or several of different lengths, with commas"),
            "language": ("", "the language; default: the run's only one beside English"),
            "out": ("", "results file; default: RUN/evaluation/efficiency-LANGUAGE.json"),
        }
        configs.main_without_config(run_efficiency, __doc__, options, sys.argv[1:])
    else:
        options = {
            "checkpoint": ("", "a run's folder, RUN for its newest checkpoint or RUN@STEP"),
            "data": ("", "prepared folder, or one of evaluation items, to score on; default: the run's own"),
            "tasks": ("", "evaluation tasks, separated by commas; default: all of the folder's"),
            "split": ("test", "test or validation: tune on validation, test once"),
            "shots": (
                "",
                "solved examples, from the validation split, before each question; 0, with --harness the task's",
            ),
            "seed": (
                "1234",
                "chooses the examples, and what is written for --harness; the default is the harness's",
            ),
            "mesh": ("", "how the devices share the work, e.g. fsdp=4,tensor=2; changes no score"),
            "out": ("", "results file; default: RUN/evaluation/STEP-.../results.json"),
            "harness": ("no", "yes: lm-evaluation-harness asks its own tasks (pip install 'linkjax[eval]')"),
            "include_path": ("", "folder of task definitions for the harness"),
        } | OPTIONS
        argv = [f"{argument}=yes" if argument in ("--harness", "-harness") else argument for argument in sys.argv]
        configs.main_without_config(run, __doc__, options, argv)
