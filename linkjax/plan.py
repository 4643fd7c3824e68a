"""What a run on one's own files would be: looked at in seconds, before anything is trained.

    python -m linkjax.plan --english='en/*.txt' --target='sw/*.txt' --lexicon=en-sw.tsv --target_language=sw
    python -m linkjax.plan ... --device=h100 --devices=8 --hours=24

Prints what the files hold and what is wrong with them, how much of the English the word list reaches, a model and a
number of steps that fit text, devices and time, how many words to swap, each with its reason, and the command to run.
Files and word list are given as to configs/local_text.py (docs/data.md, docs/lexicons.md). Of large files a sample is
read. Where something is missing it says what, and ends with exit code 2. The other way to begin is a finished model:
docs/swahili.md.
"""

import dataclasses
import json
import os
import sys

from linkjax import config as configs
from linkjax.errors import UserError
from linkjax.planning.commands import continue_command, train_command
from linkjax.planning.devices import CPU, DEVICES, Machine
from linkjax.planning.dose import Dose, suggest
from linkjax.planning.findings import UNKNOWN, Findings, examine
from linkjax.planning.printing import as_data, render
from linkjax.planning.runs import Continuation, Run, choose, choose_continuation
from tasks.text_files import LocalTextSettings

_HOURS_CPU, _HOURS = 0.5, 24.0
_SEVERAL = 8
_BRING = {
    "english": "English text, the more the better, e.g. --english='en/*.txt'",
    "target": "text in your language, some hundred kilobytes or more (a book, help pages), e.g. --target='sw/*.txt'",
    "lexicon": "a word list from English, e.g. --lexicon=en-sw.tsv (docs/lexicons.md says where they are)",
}


@dataclasses.dataclass(frozen=True)
class Plan:
    """All of it; what cannot be said, because of problems, or needs not be, is None."""

    settings: LocalTextSettings
    machine: Machine
    hours: float
    findings: Findings
    run: Run | None = None
    dose: Dose | None = None
    command: str | None = None
    command_on_several: str | None = None
    continuation: Continuation | None = None
    command_from_a_model: str | None = None


def plan(settings: LocalTextSettings, machine: Machine, hours: float, workdir: str) -> Plan:
    """Looks at the files and says what to do with them.

    Raises:
      UserError: no model fits the devices.
    """
    findings = examine(settings)
    if findings.problems:
        return Plan(settings, machine, hours, findings)
    english, targets = findings.english.tokens, [text.tokens for text in findings.targets.values()]
    run = choose(english, targets, machine, hours)
    dose = suggest([found.swappable for found in findings.lists.values()], run.rate, run.limit != "text")
    command = train_command(settings, run, dose, machine, workdir)
    found = Plan(settings, machine, hours, findings, run, dose, command)
    if not machine.cpu and machine.count == 1:
        more = Machine(machine.name, _SEVERAL)
        there = choose(english, targets, more, hours)
        found = dataclasses.replace(found, command_on_several=train_command(settings, there, dose, more, workdir))
    if run.size.is_small:
        further = choose_continuation(english, targets, machine)
        from_a_model = continue_command(settings, further, dose, machine, f"{workdir}-continued")
        found = dataclasses.replace(found, continuation=further, command_from_a_model=from_a_model)
    return found


def main(device: str, devices: str, hours: str, workdir: str, **files: str) -> None:
    as_json = files.pop("json") == "yes"
    settings = _settings(files)
    count = _number("devices", devices, int) if devices else (os.cpu_count() or 1) if device == CPU else 1
    machine = Machine(device, count)
    time = _number("hours", hours, float) if hours else _HOURS_CPU if machine.cpu else _HOURS
    if not 0 < time <= 100_000:
        raise UserError(f"--hours={hours}: choose more than 0.")
    found = plan(settings, machine, time, workdir or f"runs/{settings.languages[0]}")
    print(json.dumps(as_data(found), indent=1, ensure_ascii=False) if as_json else render(found))
    if found.findings.problems:
        raise UserError(" ".join(["there is no plan yet.", *map(_sentence, found.findings.problems)]))


def _sentence(text: str) -> str:
    return text if text.endswith(".") else f"{text}."


def _settings(files: dict[str, str]) -> LocalTextSettings:
    if missing := [name for name in _BRING if not files[name]]:
        raise UserError("; ".join(f"--{name} is missing: {_BRING[name]}" for name in missing) + ".")
    values = {}
    for field in dataclasses.fields(LocalTextSettings):
        if field.name in files:
            values[field.name] = _value(field, files[field.name])
    return LocalTextSettings(**values | {"target_language": files["target_language"] or UNKNOWN})


def _value(field: dataclasses.Field, text: str) -> str | int | float | bool:
    if field.type is bool:
        if text.lower() not in ("true", "false"):
            raise UserError(f"--{field.name}={text}: choose True or False.")
        return text.lower() == "true"
    return text if field.type is str else _number(field.name, text, field.type)


def _number(name: str, text: str, kind: type) -> int | float:
    try:
        return kind(text)
    except ValueError as error:
        raise UserError(f"--{name}={text} is no number.") from error


def options() -> dict[str, tuple[str, str]]:
    """The verb's flags: name -> (default, help)."""
    files = {
        field.name: (str(field.default), field.metadata["help"])
        for field in dataclasses.fields(LocalTextSettings)
        if field.name != "target_rate"
    }
    return files | {
        "device": (CPU, f"what is to train it: {', '.join((CPU, *DEVICES))}"),
        "devices": ("", "how many of them; of cpu, cores; default: this machine's cores, or one"),
        "hours": ("", f"that training may take; default {_HOURS_CPU:g} on cpu, {_HOURS:g} elsewhere"),
        "workdir": ("", "folder of the run; default runs/LANGUAGE"),
        "json": ("no", "yes: the same for programs"),
    }


if __name__ == "__main__":
    argv = [f"{argument}=yes" if argument in ("--json", "-json") else argument for argument in sys.argv]
    configs.main_without_config(main, __doc__, options(), argv)
