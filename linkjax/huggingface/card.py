"""The model card of an exported model: README.md, with the metadata of https://huggingface.co/docs/hub/model-cards.

It says what the run's folder knows; what is not there is left out. Files have their names, without their folders.
"""

import dataclasses
import json
import math
import pathlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from linkjax.config import RunSettings
from linkjax.data.manifest import read_manifest
from linkjax.data.prepared import trigrams
from linkjax.errors import UserError
from linkjax.evaluation.results import read_results
from linkjax.files import fingerprint
from linkjax.huggingface.parameters import shapes
from linkjax.substitution import LinkSettings
from linkjax.training.load import Loaded
from linkjax.training.manifest import MANIFEST
from linkjax.training.metrics import read_metrics

_LINK = "https://arxiv.org/abs/2605.23885"


def card(model: Loaded, name: str) -> str:
    """Args: `name`, what the model is called."""
    settings = model.settings
    manifest = _manifest(settings, model.run)
    metrics = _metrics(model.run, model.step)
    languages = list(dict.fromkeys(component["language"] for component in manifest.get("components", [])))
    swaps = settings.link.ratio > 0 and settings.link.portion > 0
    parts = [
        _metadata(languages, swaps),
        f"# {name}",
        _about(model, languages, swaps),
        _use(name, model),
        _data(manifest, metrics),
        _lexicons(manifest, model.record, settings) if swaps else "",
        _dose(settings.link, metrics) if swaps else "",
        _scores(metrics, manifest),
        _results(model),
        "## Licence\n\nTO FILL IN, here and above: it depends on the licences of the texts and word lists.",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _metadata(languages: Sequence[str], swaps: bool) -> str:
    # In quotes: YAML takes Norwegian, `no`, for a lie.
    lines = ["language:", *(f"- {json.dumps(language)}" for language in languages)] if languages else []
    tags = ["linkjax", *(["lexical-substitution"] if swaps else [])]
    lines += ["library_name: transformers", "pipeline_tag: text-generation", "license: other"]
    return "\n".join(["---", *lines, "tags:", *(f"- {tag}" for tag in tags), "---"])


def _about(model: Loaded, languages: Sequence[str], swaps: bool) -> str:
    settings, shape = model.settings, model.settings.model
    count = sum(map(math.prod, shapes(shape, model.trainer.vocabulary).values()))
    layout = "Qwen3" if shape.qk_norm else "Llama"
    text = (
        f"A base language model of {_short(count)} parameters ({layout} layout, {shape.layers} layers x {shape.width})"
    )
    text += f" for {' and '.join(languages)}" if languages else ""
    code = model.record.get("linkjax")
    text += f", pretrained with LinkJAX{f' {code}' if code else ''}: {model.step:,} steps of {settings.batch_size} rows"
    text += f" of {settings.sequence_length} tokens."
    if settings.init_from:
        text += f" It began from the weights of `{pathlib.PurePath(settings.init_from).name}`."
    if settings.optimizer.average_decay:
        text += f" The weights are their moving average (decay {settings.optimizer.average_decay:g})."
    if swaps:
        text += f" Words of the English text were swapped for their translations ([LINK]({_LINK}))."
    return text + " It continues text; it was not trained to follow instructions or to be safe."


def _use(name: str, model: Loaded) -> str:
    text = f"""## Use

```python
from transformers import AutoModelForCausalLM, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained("{name}")
model = AutoModelForCausalLM.from_pretrained("{name}")
inputs = tokenizer("How the text begins", return_tensors="pt")
print(tokenizer.decode(model.generate(**inputs, max_new_tokens=50)[0], skip_special_tokens=True))
```"""
    start, eos = (model.tokenizer.piece(token) for token in (model.tokenizer.start, model.tokenizer.eos))
    if start != eos:
        return f"{text}\n\nEvery text begins with the token `{start}`, which the tokenizer puts there."
    return f"{text}\n\nWhere a text is to be begun from nothing, give `{eos}` before it."


def _data(manifest: Mapping[str, Any], metrics: Mapping[str, Any]) -> str:
    if not manifest.get("components"):
        return ""
    rows = []
    for component in manifest["components"]:
        name = component["name"]
        read, passes = metrics.get(f"tokens/{name}"), metrics.get(f"passes/{name}")
        held = (f"{component[what]:,}" for what in ("documents", "bytes", "tokens"))
        rows.append([name, component["language"], *held, f"{component['rate']:.3g}",
                     "" if read is None else f"{read:,}", "" if passes is None else f"{passes:.2f}"])  # fmt: skip
    names = ["component", "language", "documents", "bytes", "tokens", "rate", "tokens trained on", "passes"]
    return "## Data\n\n" + _table(names, rows)


def _lexicons(manifest: Mapping[str, Any], record: Mapping[str, Any], settings: RunSettings) -> str:
    held = manifest.get("lexicons") or {
        language: {"sha256": sha256} for language, sha256 in record.get("lexicon_sha256", {}).items()
    }
    asked = manifest.get("settings", {}).get("lexicon") or settings.lexicon
    rows = []
    for language, about in held.items():
        file = pathlib.PurePath(str(asked).replace("{language}", language)).name
        entries = about.get("entries")
        rows.append([language, file, "" if entries is None else f"{entries:,}", f"`{about.get('sha256', '')}`"])
    return "## Bilingual word list\n\n" + _table(["language", "file", "entries", "SHA-256"], rows) if rows else ""


def _dose(link: LinkSettings, metrics: Mapping[str, Any]) -> str:
    rows = [
        [f"`link.{field.name}`", pathlib.PurePath(value).name if isinstance(value, str) else f"{value}"]
        for field in dataclasses.fields(link)
        if (value := getattr(link, field.name)) != field.default or field.name in ("ratio", "portion")
    ]
    for key, meaning in (
        ("link/eligible_share", "English words in the list"),
        ("link/swapped_share", "English words swapped"),
        ("link/identical_share", "swaps for the same word"),
        ("swapped_token_share", "tokens of the last step that were swapped in"),
    ):
        if (share := metrics.get(key)) is not None:
            rows.append([meaning, f"{100 * share:.1f} %"])
    return "## Dose\n\n" + _table(["", ""], rows)


def _scores(metrics: Mapping[str, Any], manifest: Mapping[str, Any]) -> str:
    chance = {task["metric"]: task["chance"] for task in manifest.get("evaluations", [])}
    trigram = trigrams(manifest.get("components", []))
    rows = []
    for key, value in metrics.items():
        metric, _, group = key.partition("/")
        if metric in chance and value is not None:
            rows.append([f"{metric} {group}", f"{100 * value:.1f} %", f"chance {100 * chance[metric]:.1f} %"])
        elif metric == "bits_per_byte" and value is not None:
            yardstick = trigram.get(group)
            rows.append(
                [f"bits per byte {group}", f"{value:.3f}", f"byte trigram {yardstick:.3f}" if yardstick else ""]
            )
    return "## Scores while training\n\nOn held-out text and items.\n\n" + _table(["", "", ""], rows) if rows else ""


def _results(model: Loaded) -> str:
    """Of this very checkpoint."""
    held = model.run / "checkpoints" / str(model.step) / MANIFEST
    sha256 = fingerprint(held)["sha256"] if held.is_file() else None
    rows: list[list[str]] = []
    for path in sorted(model.run.glob("evaluation/*/results.json")):
        try:
            content = read_results(path)
        except UserError:
            continue  # the harness's own, which has another form
        if content["settings"].get("checkpoint_sha256") == sha256:
            rows += _result_rows(content)
    names = ["task", "split", "shots", "items", "accuracy", "normalised by length", "chance"]
    return "## Evaluation\n\n" + _table(names, rows) if rows else ""


def _result_rows(content: Mapping[str, Any]) -> Iterator[list[str]]:
    for name, task in content["tasks"].items():
        for group, scores in {name: task, **(task["groups"] if len(task["groups"]) > 1 else {})}.items():
            between = " to ".join(f"{100 * end:.1f}" for end in scores["interval"] or ())
            accuracy = f"{100 * scores['acc']:.1f} %" + (f" ({between})" if between else "")
            shown = name if group == name else f"{name}, {group}"
            yield [shown, task["split"], f"{task['shots']}", f"{scores['n']:,}", accuracy,
                   f"{100 * scores['acc_norm']:.1f} %", f"{100 * scores['chance']:.1f} %"]  # fmt: skip
    for language, text in content["languages"].items():
        if text["bits_per_byte"] is not None:
            yield [f"held-out text {language}", "", "", "", f"{text['bits_per_byte']:.3f} bits per byte", "", ""]


def _manifest(settings: RunSettings, run: pathlib.Path) -> dict[str, Any]:
    """That of the prepared folder, where it is still there."""
    try:
        return read_manifest(pathlib.Path(settings.data) if settings.data else run / "data")
    except UserError:
        return {}


def _metrics(run: pathlib.Path, step: int) -> dict[str, Any]:
    """What was last measured up to a step."""
    try:
        records = read_metrics(run)
    except (UserError, OSError):
        return {}
    found: dict[str, Any] = {}
    for record in records:
        if record["step"] <= step:
            found |= record
    return found


def _table(names: Iterable[str], rows: Iterable[Sequence[str]]) -> str:
    names = list(names)
    lines = [names, ["---"] * len(names), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def _short(count: int) -> str:
    for size, letter in ((1e9, "B"), (1e6, "M"), (1e3, "K")):
        if count >= size:
            return f"{count / size:.3g}{letter}"
    return str(count)
