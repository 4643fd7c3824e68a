"""Configs: documented settings as a locked ml_collections ConfigDict, and the command line around it."""

import contextlib
import dataclasses
import difflib
import importlib.util
import json
import math
import pathlib
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import ml_collections
from absl import flags
from ml_collections import config_flags

from linkjax.data import prepared
from linkjax.data.rows import PACKINGS
from linkjax.data.tokenizer import TokenizerSettings
from linkjax.errors import UserError, errors_as_sentences
from linkjax.files import read_json
from linkjax.model.decoder import ModelSettings
from linkjax.settings import setting
from linkjax.substitution import LinkSettings
from linkjax.training.guard import GuardSettings
from linkjax.training.optimizer import OptimizerSettings
from linkjax.training.sharding import MeshSettings
from linkjax.training.speed import parse_steps


@dataclasses.dataclass(frozen=True)
class RunSettings:
    """Everything a run is told; task modules add sections of their own (`config.world`, ...)."""

    steps: int = setting(1000, "optimizer steps of the run")
    batch_size: int = setting(32, "rows of the global batch")
    sequence_length: int = setting(64, "tokens of a row; documents are packed into rows, longer ones are cut up")
    seed: int = setting(0, "seed of the model's initialisation")
    data_seed: int = setting(0, "seed of the document order")
    init_from: str = setting("", "folder of a Hugging Face model to begin from, which says the model's shape")
    data: str = setting("", "prepared folder; made there when missing; empty = DIR/data in the run's folder")
    task_module: str = setting("tasks.toy_world", "Python module that registers the SeqIO tasks")
    mixture: str = setting("toy_world", "SeqIO mixture to train on; its rates are shares of tokens")
    rates: str = setting("", "rates from points of the run on, e.g. '0.8:local_text_sw=0.3'; empty = the mixture's")
    most_passes: str = setting("", "most passes over a component's text, e.g. 'local_text_sw=15'; empty = no limit")
    evaluations: str = setting("", "evaluation tasks, separated by commas: xcopa_sw, cloze_sw ... (docs/evaluation.md)")
    evaluation_data: str = setting("", "folder of the benchmarks' files (docs/evaluation.md)")
    lexicon: str = setting("", "bilingual word list, '{language}' in it for several; empty = the task's own")
    packing: str = setting("best_fit", "best_fit: only documents longer than a row are cut; concatenate: no padding")
    most_segments: int = setting(0, "documents in a row at most; 0 = no limit; cudnn attention takes one, as 64")
    most_damaged: int = setting(100, "damaged documents that are left out; more end the run, 0 = the first one does")
    virtual_shards: int = setting(8, "independent streams the data is cut into; must divide the batch size")
    workers: int = setting(1, "processes that read, swap, tokenize and pack; 0 = in the training process")
    microbatches: int = setting(
        1, "parts of the batch that go through the model in turn: less memory; small ones fit a CPU's cache"
    )
    loss_chunks: int = setting(0, "parts of a device's tokens whose logits are held in turn; 0 = by size")
    profile: str = setting("", "steps to trace into DIR/profile, first and last, e.g. '20:25'")
    compilation_cache: str = setting("", "folder for compiled programs; empty = ~/.cache/linkjax, not on CPUs; or none")
    eval_every: int = setting(100, "steps between evaluations; the last step is always evaluated")
    rank_every: int = setting(
        1, "every how many evaluations, and at the end, tasks are asked too; bits per byte always"
    )
    checkpoint_every: int = setting(250, "steps between checkpoints; the last step is always kept")
    checkpoint_minutes: float = setting(0.0, "minutes between checkpoints, beside those by steps; 0 = by steps only")
    keep_checkpoints: int = setting(2, "newest checkpoints that are kept")
    keep_every: int = setting(0, "checkpoints of steps that this divides are kept for ever; 0 = none")
    keep_best: str = setting("", "metric whose best checkpoint is kept, e.g. 'bits_per_byte/sw'; '' = none")
    hang_minutes: float = setting(10.0, "minutes without a step after which stack traces are printed; 0 = never")
    link: LinkSettings = LinkSettings()
    tokenizer: TokenizerSettings = TokenizerSettings()
    model: ModelSettings = ModelSettings()
    optimizer: OptimizerSettings = OptimizerSettings()
    mesh: MeshSettings = MeshSettings()
    guard: GuardSettings = GuardSettings()

    def __post_init__(self):
        for name in ("steps", "batch_size", "sequence_length", "virtual_shards", "eval_every", "rank_every",
                     "checkpoint_every", "keep_checkpoints", "microbatches"):  # fmt: skip
            if getattr(self, name) < 1:
                raise UserError(f"{name} is {getattr(self, name)}: choose 1 or more.")
        for name in ("checkpoint_minutes", "hang_minutes"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise UserError(f"{name} is {getattr(self, name)}: choose 0 or more.")
        for name in ("seed", "data_seed", "workers", "most_segments", "most_damaged", "loss_chunks", "keep_every"):
            if not 0 <= getattr(self, name) < 2**31:
                raise UserError(f"{name} is {getattr(self, name)}: choose 0 or more, below 2^31.")
        parse_steps(self.profile)
        if self.batch_size % self.microbatches:
            raise UserError(f"microbatches {self.microbatches} does not divide batch_size {self.batch_size}.")
        if self.rank_every > 1 and self.keep_best:
            raise UserError(f"rank_every is {self.rank_every}, and keep_best needs all scores each time: choose 1.")
        if self.packing not in PACKINGS:
            raise UserError(f"packing is '{self.packing}': choose {' or '.join(PACKINGS)}.")
        if self.batch_size % self.virtual_shards:
            raise UserError(
                f"batch_size {self.batch_size} is not a multiple of virtual_shards {self.virtual_shards}:"
                " change one of them."
            )

    @property
    def rows_at_once(self) -> int:
        """Rows that go through the model together."""
        return self.batch_size // self.microbatches


# Settings that have code run, what they may be in a config that is data, and what else would happen.
_CODE = {
    "task_module": (re.compile(r"tasks(\.[^\W\d]\w*)+"), "is a Python module that would be run"),
    "compilation_cache": (re.compile(r"(none)?"), "is a folder whose compiled programs would be run"),
}
_HELP: dict[str, str] = {}  # dotted key -> what it means, of all configs built in this process


def run_config(**sections) -> ml_collections.ConfigDict:
    """A config with all settings of a run at their defaults; each section is a dataclass instance or a value."""
    config = _to_config(RunSettings())
    for name, value in sections.items():
        config[name] = _to_config(value, f"{name}.") if dataclasses.is_dataclass(value) else value
    return config


def completed(config: ml_collections.ConfigDict) -> ml_collections.ConfigDict:
    """A run's config as an older version wrote it, with the settings that have come since at their defaults."""

    def over(defaults: dict, values: dict) -> dict:
        both = {name: over(defaults[name], values[name]) for name in defaults.keys() & values.keys()
                if isinstance(defaults[name], dict) and isinstance(values[name], dict)}  # fmt: skip
        return defaults | values | both

    return from_dict(over(_to_config(RunSettings()).to_dict(), config.to_dict()))


def add_settings(config: ml_collections.ConfigDict, kind: type) -> None:
    """Adds the fields of a settings dataclass, at their defaults, at the top level of a config."""
    for field in dataclasses.fields(kind):
        config[field.name] = field.default
        _HELP[field.name] = field.metadata["help"]


def is_cpu_test(argument: str) -> bool:
    """Whether a config's argument asks for the CPU-only test mode: `:cpu` after its name.

    Raises:
      UserError: it asks for something else.
    """
    if argument not in ("", "cpu"):
        raise UserError(f"config argument ':{argument}' is not known: ':cpu' makes a tiny run.")
    return argument == "cpu"


def differences(before: ml_collections.ConfigDict, now: ml_collections.ConfigDict) -> dict[str, tuple[Any, Any]]:
    """Dotted key -> (value before, value now) where they differ."""
    old, new = dict(flatten(before)), dict(flatten(now))
    return {key: (old.get(key), new.get(key)) for key in sorted(old | new) if old.get(key) != new.get(key)}


def decisive_for_data(config: ml_collections.ConfigDict) -> dict[str, Any]:
    """The settings that decide a prepared folder: those of task modules, and of the run's own a few."""
    of_the_run = {field.name for field in dataclasses.fields(RunSettings)} - set(prepared.SETTINGS)
    link = {name: config.link[name] for name in prepared.WORD_LISTS}
    return {key: value for key, value in config.to_dict().items() if key not in of_the_run} | {"link": link}


def check_prepared_so(config: ml_collections.ConfigDict, folder: prepared.Prepared) -> None:
    """A folder that was there before must be what the config asks for. What it leaves empty it does not ask for."""
    before = from_dict(folder.manifest["settings"])
    now = from_dict(decisive_for_data(config))
    changed = {key: values for key, values in differences(before, now).items() if values[1] != ""}
    if changed:
        raise UserError(
            f"{folder.folder} was prepared with other settings: {say_changes(changed)}."
            " Name another folder in --config.data, or give the settings it was prepared with."
        )


def say_changes(changed: dict[str, tuple[Any, Any]]) -> str:
    return ", ".join(f"{key} was {before!r} and is {now!r}" for key, (before, now) in changed.items())


def run_settings(config: ml_collections.ConfigDict) -> RunSettings:
    """The run's settings, checked. Sections of task modules are left to them (`section`)."""
    return section(config, RunSettings)


def section(config: ml_collections.ConfigDict, kind: type):
    """A settings dataclass from a config; keys it does not have are left out.

    Raises:
      UserError: a setting is missing, or of another type.
    """
    if not isinstance(config, ml_collections.ConfigDict):
        raise UserError(f"{config!r:.40} stands in the config where {kind.__name__} are: give it that section.")
    values = {}
    for field in dataclasses.fields(kind):
        if field.name not in config:
            raise UserError(f"the config has no '{field.name}': build it with linkjax.config.run_config.")
        value = config[field.name]
        if dataclasses.is_dataclass(field.type):
            if not isinstance(value, ml_collections.ConfigDict):
                raise UserError(f"the config's '{field.name}' is {value!r:.40}: it is a section of settings.")
            values[field.name] = section(value, field.type)
        else:
            _check_type(field.name, value, field.type)
            values[field.name] = value
    return kind(**values)


def _check_type(name: str, value: Any, kind: type) -> None:
    allowed = (int, float) if kind is float else kind
    wrong = not isinstance(value, allowed) or (isinstance(value, bool) and kind is not bool)
    if wrong or (isinstance(value, int) and abs(value) >= 2**63) or (isinstance(value, float) and math.isnan(value)):
        raise UserError(f"{name} is {value!r:.40}: it takes a value of type {kind.__name__}.")


def to_json(config: ml_collections.ConfigDict) -> str:
    return json.dumps(config.to_dict(), indent=2, sort_keys=True) + "\n"


def from_text(text: str) -> ml_collections.ConfigDict:
    """A config as `to_json` gave it."""
    return from_dict(json.loads(text))  # ours


def from_json(path: pathlib.Path) -> ml_collections.ConfigDict:
    """A config as `to_json` wrote it. Data only: nothing in it is run."""
    values = read_json(path)
    try:
        return from_dict(values)
    except UserError as error:
        raise UserError(f"config {path} cannot be read: {error}") from error


def from_dict(values: dict) -> ml_collections.ConfigDict:
    """A config from plain data as JSON has it, which knows no tuples.

    Raises:
      UserError: it is no object, or has a name that no setting can have.
    """
    if not isinstance(values, dict):
        raise UserError(f"it is a {type(values).__name__}, no object of settings.")
    try:
        return ml_collections.ConfigDict(_tuples(values)).lock()
    except (KeyError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise UserError(f"it is no object of settings ({' '.join(map(str, error.args)):.100}).") from error


def code_options(config: ml_collections.ConfigDict) -> list[str]:
    """The options that name a config's code, for a command that takes the config as JSON."""
    return [f"--config.{name}={config[name]}" for name in _CODE]


def check_code(config: ml_collections.ConfigDict, path: str, argv: Sequence[str]) -> None:
    """A config that is data runs nothing but what comes with LinkJAX, or what the command line names as well."""
    named = {argument.lstrip("-").partition("=")[0] for argument in argv[1:]}
    for name, (known, what) in _CODE.items():
        value = config.get(name, "")
        if f"config.{name}" not in named and not (isinstance(value, str) and known.fullmatch(value)):
            raise UserError(
                f"{path} is data, and its {name} '{value!s:.100}' {what}: if you trust it, name it on the command line"
                f" as well, --config.{name}={value!s:.100}."
            )


def main(run: Callable[..., None], doc: str, options: dict[str, tuple[str, str]], argv: Sequence[str]) -> None:
    """Runs a verb: parses `--config=FILE --config.KEY=VALUE --OPTION=...` and calls `run(config, **options)`.

    Args:
      run: the verb.
      doc: the module's docstring, printed by --help.
      options: name -> (default, help) of the verb's own flags.
      argv: the command line.
    """
    with errors_as_sentences():
        options = {"config": ("configs/base.py", "config file; ':cpu' after it = a tiny run"), **options}
        path = _config_argument(argv)
        if _asks_for_help(argv):
            with contextlib.suppress(BrokenPipeError):  # `... --help | head`
                _print_help(doc, options)
                if pathlib.Path(path.partition(":")[0]).is_file():
                    _print_settings(path)
            return
        del options["config"]
        config, chosen = parse(argv, options)
        run(config, **chosen)


def parse(argv: Sequence[str], options: dict[str, tuple[str, str]]) -> tuple[ml_collections.ConfigDict, dict[str, str]]:
    """The config and the options that a command line comes to; see `main`.

    Raises:
      UserError: it cannot be read.
    """
    path = _config_argument(argv)
    loaded = load_config(path)
    known = [f"config.{key}" for key, _ in flatten(loaded)]
    for argument in argv[1:]:
        key = argument.lstrip("-").partition("=")[0]
        if key.startswith("config.") and key not in known:
            raise UserError(f"unknown config key '{key}'{_did_you_mean(key, known)}")
    values = flags.FlagValues()
    if path.endswith(".json"):
        check_code(loaded, path, argv)
        argv = _without_config_argument(argv)
        config = config_flags.DEFINE_config_dict("config", loaded, flag_values=values, sys_argv=list(argv))
    else:
        config = config_flags.DEFINE_config_file("config", path, flag_values=values, sys_argv=list(argv))
    chosen = _parse(values, options, argv)
    return config.value.lock(), chosen


def main_without_config(
    run: Callable[..., None], doc: str, options: dict[str, tuple[str, str]], argv: Sequence[str]
) -> None:
    """Runs a verb that takes no config: calls `run(**options)`."""
    with errors_as_sentences():
        if _asks_for_help(argv):
            _print_help(doc, options)
        else:
            run(**_parse(flags.FlagValues(), options, argv))


def _parse(values: flags.FlagValues, options: dict[str, tuple[str, str]], argv: Sequence[str]) -> dict[str, str]:
    for name, (default, text) in options.items():
        flags.DEFINE_string(name, default, text, flag_values=values)
    try:
        rest = values(list(argv))[1:]
    except flags.UnrecognizedFlagError as error:
        raise UserError(f"unknown flag '--{error.flagname}'{_did_you_mean(error.flagname, list(values))}") from error
    except (flags.Error, ValueError, TypeError) as error:
        raise UserError(f"the command line cannot be read: {' '.join(str(error).split())}") from error
    if rest:
        raise UserError(f"unexpected argument '{rest[0]}': options are written as --name=value.")
    flags.FLAGS.mark_as_parsed()  # Grain reads flags of its own
    return {name: values[name].value for name in options}


def load_config(path: str) -> ml_collections.ConfigDict:
    """The config of a `.py` file, with its argument after a colon as in `configs/base.py:cpu`.

    A `.py` file is Python and is run; a `.json` file, such as a run's own `config.json`, is data.
    """
    file, _, argument = path.partition(":")
    if not pathlib.Path(file).is_file():
        raise UserError(f"config file '{file}' does not exist: --config takes a path such as configs/base.py.")
    if file.endswith(".json"):
        config = from_json(pathlib.Path(file))
        return completed(config) if "steps" in config else config
    if not file.endswith(".py"):
        raise UserError(f"config file '{file}' is neither .py nor .json.")
    spec = importlib.util.spec_from_file_location("linkjax_config_file", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    if not hasattr(module, "get_config"):
        raise UserError(f"config file '{file}' has no get_config().")
    return module.get_config(*([argument] if argument else [])).lock()


def named(argv: Sequence[str]) -> frozenset[str]:
    """The settings that a command line names, such as 'model.layers'."""
    names = (argument.lstrip("-").partition("=")[0] for argument in argv[1:] if argument.startswith("-"))
    return frozenset(name.removeprefix("config.") for name in names if name.startswith("config."))


def _config_argument(argv: Sequence[str]) -> str:
    for index, argument in enumerate(argv[1:], start=1):
        name, _, value = argument.lstrip("-").partition("=")
        if name == "config" and argument.startswith("-"):
            return value or (argv[index + 1] if index + 1 < len(argv) else "")
    return "configs/base.py"


def _without_config_argument(argv: Sequence[str]) -> list[str]:
    rest = list(argv)
    for index, argument in enumerate(argv[1:], start=1):
        name, equals, _ = argument.lstrip("-").partition("=")
        if name == "config" and argument.startswith("-"):
            del rest[index : index + (1 if equals else 2)]
            break
    return rest


def _asks_for_help(argv: Sequence[str]) -> bool:
    return any(argument in ("-h", "-help", "--help") for argument in argv[1:])


def _to_config(settings, prefix: str = "") -> ml_collections.ConfigDict:
    config = ml_collections.ConfigDict()
    for field in dataclasses.fields(settings):
        value = getattr(settings, field.name)
        if dataclasses.is_dataclass(value):
            config[field.name] = _to_config(value, f"{prefix}{field.name}.")
        else:
            config[field.name] = value
            _HELP[f"{prefix}{field.name}"] = field.metadata["help"]
    return config


def flatten(config: ml_collections.ConfigDict, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yields (dotted key, value) of all settings."""
    for key, value in config.items():
        if isinstance(value, ml_collections.ConfigDict):
            yield from flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _did_you_mean(word: str, known: list[str]) -> str:
    close = difflib.get_close_matches(word, known, n=1)
    return f": did you mean '{close[0]}'?" if close else ": --help lists what there is."


def _tuples(value):
    if isinstance(value, dict):
        return {key: _tuples(item) for key, item in value.items()}
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value


def _print_help(doc: str, options: dict[str, tuple[str, str]]) -> None:
    print(doc.strip(), "\n\nOptions:")
    for name, (default, text) in options.items():
        print(f"  --{name}={default or '...'}\n      {text}")


def _print_settings(path: str) -> None:
    print(f"\nSettings of {path}, each set as --config.NAME=VALUE:")
    for key, value in sorted(flatten(load_config(path))):
        print(f"  --config.{key}={value}\n      {_HELP.get(key, '')}")
