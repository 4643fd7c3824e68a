"""A plan as people read it, and as programs do."""

import dataclasses
import textwrap
from typing import TYPE_CHECKING, Any

from linkjax.model.flops import parameters
from linkjax.planning.devices import Machine
from linkjax.planning.findings import VOCABULARY, Text, WordList
from linkjax.planning.runs import ENGLISH_PASSES, FEWEST_TOKENS, TARGET_PASSES

if TYPE_CHECKING:
    from linkjax.plan import Plan

_WIDTH = 118
_MODEL_WEIGHTS = 100_000_000
_LIMITS = {
    "text": f"the text: the next size needs {FEWEST_TOKENS} tokens a weight",
    "time": f"the time: the next size needs {FEWEST_TOKENS} tokens a weight",
    "memory": "memory: the next size does not fit a device",
    "size": "nothing: it is the largest there is",
}


def as_data(plan: "Plan") -> dict[str, Any]:
    """Plain values; shares are fractions of 1."""
    data = dataclasses.asdict(plan)
    for text in (data["findings"]["english"], *data["findings"]["targets"].values()):
        if text:
            del text["of"]["texts"]
    return data


def render(plan: "Plan") -> str:
    """Lines to read."""
    found = plan.findings
    lines = ["what was found"]
    texts = ({"en": found.english} if found.english else {}) | dict(found.targets)
    for language, text in texts.items():
        lines += _indented(f"{language:<4}{_text(text)}")
    if texts:
        lines += _indented(
            f"tokens are estimated, with a tokenizer of at most {VOCABULARY:,} pieces trained on samples of these texts"
        )
    for language, known in found.lists.items():
        lines += _indented(f"lexicon {language}: {_list(known)}")
    lines += _marked("warning", found.warnings)
    if found.problems:
        return "\n".join(lines + _marked("missing", found.problems))
    lines += ["", "the run", *_run(plan), "", "the dose"]
    for reason in plan.dose.reasons:
        lines += _indented(reason)
    lines += ["", "the command", "", plan.command, ""]
    if plan.command_on_several:
        lines += ["on eight of these devices", "", plan.command_on_several, ""]
    if plan.command_from_a_model:
        lines += ["the better way, most likely", *_from_a_model(plan), "", plan.command_from_a_model, ""]
    return "\n".join(lines)


def _text(text: Text) -> str:
    found = text.of
    about = "" if found.read >= 1 else "about "
    line = (
        f"{about}{found.documents:,} documents to train on in {found.files:,} files, {about}{_size(found.bytes)},"
        f" {text.tokens:,} tokens ({found.bytes / max(text.tokens, 1):.1f} bytes each)"
    )
    if found.read < 1:
        line += f"; {found.read:.1%} of the files was read"
    return f"{line}; {found.note}" if found.note else line


def _list(known: WordList) -> str:
    line = f"{known.entries:,} entries, {known.pairs:,} pairs"
    if known.swappable is not None:
        line += f"; {known.swappable:.0%} of the English words can be swapped (with forms of its words)"
    if known.found is not None:
        line += f"; {known.found:.0%} of its translations stand in the target text"
    if known.running is not None:
        line += f", {known.running:.0%} of whose words are in the list"
    if known.uncovered:
        line += f"; most frequent without an entry: {', '.join(known.uncovered)}"
    return line


def _run(plan: "Plan") -> list[str]:
    run, machine = plan.run, plan.machine
    weights = parameters(run.size.model, run.size.vocabulary)
    lines = _indented(f"devices   {_devices(machine)}")
    lines += _indented(
        f"model     {run.size.name}: {weights.blocks:,} weights in {run.size.model.layers} blocks of width"
        f" {run.size.model.width}, {weights.embeddings:,} in the embeddings; rows of {run.size.length:,} tokens"
    )
    lines += _indented(
        f"steps     {run.steps:,} of {run.batch_size:,} rows, {run.tokens:,} tokens: {run.tokens / weights.blocks:.0f}"
        f" for each weight of the blocks. {FEWEST_TOKENS} are the usual measure (arXiv 2203.15556)"
    )
    lines += _indented(
        f"target    {run.rate:.1%} of the tokens: {run.target_passes:.1f} passes over the target text, at most"
        f" {TARGET_PASSES} (more than 15 to 20 stop helping, arXiv 2605.12715); {run.english_passes:.1f} over the"
        f" English, at most {ENGLISH_PASSES} (arXiv 2305.16264)"
    )
    of_what = "" if machine.cpu else " of each device"
    lines += _indented(f"memory    about {run.memory:.1f} of the {machine.memory:.1f} GiB that may be taken{of_what}")
    lines += _indented(
        f"time      about {_hours(run.hours)} of the {_hours(plan.hours)} there are, at {run.tokens_per_second:,.0f}"
        f" tokens a second: {machine.speed_from(run.size.model)}; preparing the data and evaluating come on top"
    )
    lines += _indented(f"limit     what keeps the model from being larger is {_LIMITS[run.limit]}")
    if run.limit == "text":
        english = plan.findings.english
        size = run.enough * english.of.bytes / english.tokens
        line = f"          about {_size(size)} of English, read {ENGLISH_PASSES} times, would do for it"
        if run.reach and run.reach.tokens > run.enough:
            size = run.reach.tokens * english.of.bytes / english.tokens
            line += f"; devices and time would do for {run.reach.size}, with about {_size(size)}"
        lines += _indented(line)
    return lines


def _from_a_model(plan: "Plan") -> list[str]:
    further, speed = plan.continuation, plan.machine.tokens_per_second_of(_MODEL_WEIGHTS)
    return _indented(
        "This is too little for a model from nothing to speak either language well. A finished model of the Llama or"
        " Qwen3 family knows English already: download one, name its folder below in place of MODEL_FOLDER, and go on"
        f" from it with the same files (docs/models.md). On {_devices(plan.machine)} up to"
        f" {further.most_weights / 1e9:.1f} billion weights fit, and one of a hundred million reads about"
        f" {speed:,.0f} tokens a second, others in proportion; these are {further.tokens:,} tokens, half of them"
        f" English, with {further.target_passes:.1f} passes over the target text (by this tokenizer's count)."
    )


def _devices(machine: Machine) -> str:
    return f"{machine.count:,} cores" if machine.cpu else f"{machine.count:,} x {machine.name}"


def _indented(text: str) -> list[str]:
    return textwrap.wrap(text, _WIDTH, initial_indent="  ", subsequent_indent=" " * 12, break_on_hyphens=False)


def _marked(kind: str, sentences: tuple[str, ...]) -> list[str]:
    return [line for one in sentences for line in _indented(f"{kind}: {one}")]


def _size(number: float) -> str:
    for unit, name in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if number >= unit:
            return f"{number / unit:.1f} {name}"
    return f"{number:.0f} bytes"


def _hours(number: float) -> str:
    if number < 1.5 / 60:
        return "a minute or less"
    return f"{60 * number:.0f} minutes" if number < 2 else f"{number:,.0f} hours"
