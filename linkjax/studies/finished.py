"""A run that is finished: all that a study's report says of it, in one small file.

OUT/runs/ARM/SEED/finished.json.gz is written when a run is done. From then on nothing else of its folder is read, nor
of the prepared one: from these files and declared.json a report can be made anew, and a study gone on with elsewhere.
"""

import gzip
import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from linkjax.config import section
from linkjax.data.jsonl import read_jsonl
from linkjax.data.prepared import Prepared
from linkjax.evaluation.language import ENGLISH
from linkjax.files import read_json
from linkjax.model.decoder import ModelSettings
from linkjax.model.flops import training_flops
from linkjax.studies.runs import PROBE, Run
from linkjax.studies.wording import BITS
from linkjax.training.metrics import read_metrics
from linkjax.training.run_files import write_whole
from linkjax.workdir import SUMMARY

ENGLISH_AT_BEST = f"{BITS}{ENGLISH} at best"  # of a run's evaluations: a small text read often is overfitted at the end
WAYS = ("step", "english_bytes", "flops", "seconds")  # what a speed-up is measured in
_MOST_BYTES = 1 << 28
_TIMES = ("tokens_per_second", "waiting_share", "compile_seconds", "mfu", "peak_memory_gib", "passes_per_second")


class Finished(NamedTuple):
    """A run's files, read.

    Attributes:
      evaluations: a record for each, with where it was on the way (`WAYS`).
      items: metric/group -> cluster -> (right ones, number), of ranked items at the end.
      asked: what a metric's name begins with -> the hashes of what it was measured on.
    """

    run: Run
    evaluations: list[dict[str, float]]
    scores: dict[str, float]
    items: dict[str, dict[str, tuple[float, float]]]
    chance: dict[str, float]
    asked: dict[str, frozenset[str]]


def read_run(run: Run) -> Finished:
    """Of a run whose record was kept."""
    kept = run.kept
    asked = {metric: frozenset(hashes) for metric, hashes in kept["asked"].items()}
    items = {metric: {name: tuple(of) for name, of in of.items()} for metric, of in kept["items"].items()}
    return Finished(run, kept["evaluations"], kept["scores"], items, kept["chance"], asked)


def keep(run: Run) -> None:
    """Writes the record of a run that is finished, if there is none."""
    if run.record.exists():
        return
    prepared = Prepared(run.data)
    found = from_files(run, prepared)
    kept = found._asdict() | {
        "run": run.name,
        "asked": {metric: sorted(hashes) for metric, hashes in found.asked.items()},
        "config": run.config.to_dict(),
        "probed": (run.workdir / PROBE).exists(),
        "data_sha256": prepared.fingerprint,
        "versions": read_json(run.workdir / SUMMARY, _MOST_BYTES)["versions"],
    }
    write_whole(run.record, gzip.compress(json.dumps(kept).encode(), mtime=0))


def from_files(run: Run, prepared: Prepared) -> Finished:
    """Of a run that is finished, from its folder and its data."""
    summary = read_json(run.workdir / SUMMARY, _MOST_BYTES)
    scores = {name: value for name, value in summary.items() if isinstance(value, int | float) and name not in _TIMES}
    if (run.workdir / PROBE).exists():
        scores |= _probed(read_json(run.workdir / PROBE, _MOST_BYTES))
    items: dict[str, dict[str, tuple[float, float]]] = {}
    metrics = {about["name"]: about["metric"] for about in prepared.manifest["evaluations"]}
    if (run.workdir / "items.jsonl").exists():
        for item in read_jsonl(run.workdir / "items.jsonl"):
            clusters = items.setdefault(f"{metrics[item['task']]}/{item['group']}", {})
            right, count = clusters.get(f"{item['task']} {item['cluster']}", (0.0, 0.0))
            clusters[f"{item['task']} {item['cluster']}"] = right + item["correct"], count + 1
    evaluations = _evaluations(run, prepared)
    if english := [record[f"{BITS}{ENGLISH}"] for record in evaluations if record.get(f"{BITS}{ENGLISH}") is not None]:
        scores[ENGLISH_AT_BEST] = min(english)
    return Finished(run, evaluations, scores, items, summary.get("chance", {}), _asked(prepared))


def _asked(prepared: Prepared) -> dict[str, frozenset[str]]:
    files = {about["metric"]: set() for about in prepared.manifest["evaluations"]}
    for about in prepared.manifest["evaluations"]:
        files[about["metric"]].add(f"evaluation/{about['name']}.jsonl")
    for one in prepared.components:
        if one["heldout"]["documents"]:
            files.setdefault(f"{BITS}{one['language']}", set()).add(f"heldout/{one['name']}.jsonl")
    files["translation/"] = {name for name in prepared.manifest["files"] if name.startswith("lexicons/")}
    hashes = {name: about["sha256"] for name, about in prepared.manifest["files"].items()}
    return {metric: frozenset(hashes[name] for name in names) for metric, names in files.items()}


def _evaluations(run: Run, prepared: Prepared) -> list[dict[str, float]]:
    """Steps with their scores. Seconds are those of steps, of the way so far."""
    model, length = section(run.config.model, ModelSettings), run.config.sequence_length
    places = run.config.batch_size * length
    flops = training_flops(model, model.vocabulary or len(prepared.tokenizer), length).total * places
    english = [f"source_bytes/{one['name']}" for one in prepared.components if one["language"] == ENGLISH]
    found, seconds = [], 0.0
    for record in read_metrics(run.workdir):
        tokens = places * (1 - record.get("padding_share", 0.0))
        seconds += tokens / record["tokens_per_second"] if record.get("tokens_per_second") else 0.0
        if not any(name.startswith("tokens/") for name in record):
            continue
        way = {
            "step": record["step"],
            "english_bytes": sum(record[name] for name in english),
            "flops": record["step"] * flops,
            "seconds": seconds,
        }
        found.append({**{name: value for name, value in record.items() if name not in _TIMES}, **way})
    return found


def _probed(found: Mapping[str, Any]) -> dict[str, float]:
    scores = {}
    for language, parts in found["word_translation"].items():
        for part, layers in parts.items():
            name = f"translation/{language}_{part.replace(' ', '_')}"
            if layers:  # a word list has at least two words of that kind
                scores[name] = max(layer["precision"] for layer in layers.values())
    for language, of in found["confusion"].items():
        scores[f"foreign_words/{language}"] = of["foreign_words"]
        scores[f"foreign_probability/{language}"] = of["foreign_probability"]
    return scores
