"""A run that begins from a finished model: `config.init_from` names its folder, in Hugging Face's layout.

The folder says the model's shape and, where the config names none, the tokenizer. Once the run has begun, its own
config.json says them, and the folder is not looked at again.
"""

import pathlib
from collections.abc import Collection
from typing import Any

import ml_collections

from linkjax import config as configs
from linkjax.errors import UserError
from linkjax.huggingface import folder as folders
from linkjax.huggingface import parameters
from linkjax.huggingface.settings import SHAPE, from_config
from linkjax.huggingface.tokenizer import TOKENIZER
from linkjax.training.step import State, Trainer
from linkjax.workdir import CONFIG


def with_model(
    config: ml_collections.ConfigDict, workdir: pathlib.Path | None = None, named: Collection[str] = ()
) -> ml_collections.ConfigDict:
    """The config with the model, and the tokenizer, that it begins from.

    Args:
      workdir: the run's folder, whose config.json counts where it is there.
      named: settings of the command line, such as 'model.layers': they may not contradict the model.

    Raises:
      UserError: they do, or the folder is of no model that can be used.
    """
    if not config.get("init_from"):  # nor where the config is none of a run's, which is said elsewhere
        return config
    shape, tokenizer = _begun(config.init_from, workdir) or _found(pathlib.Path(config.init_from))
    for name, value in shape.items():
        if f"model.{name}" in named and config.model[name] != value:
            raise UserError(
                f"--config.model.{name}={config.model[name]} contradicts {config.init_from}, where it is {value}: leave"
                " it out."
            )
    config = config.copy_and_resolve_references()
    with config.unlocked():
        config.model.update(shape)
        if not config.tokenizer.path:
            config.tokenizer.path = tokenizer
    return config.lock()


def _found(folder: pathlib.Path) -> tuple[dict[str, Any], str]:
    if not folder.is_dir():
        raise UserError(f"--config.init_from={folder} is no folder: name one with config.json and *.safetensors.")
    settings = from_config(folders.read_config(folder), str(folder / folders.CONFIG))
    return {name: getattr(settings, name) for name in SHAPE}, str(folder / TOKENIZER)


def _begun(init_from: str, workdir: pathlib.Path | None) -> tuple[dict[str, Any], str] | None:
    """As a run was begun that began from there."""
    if workdir is None or not (workdir / CONFIG).exists():
        return None
    before = configs.completed(configs.from_json(workdir / CONFIG))
    if before.init_from != init_from:
        return None
    return {name: before.model[name] for name in SHAPE}, before.tokenizer.path


def begin(settings: configs.RunSettings, trainer: Trainer) -> State:
    """The state that a run begins with: fresh, or with the weights of a model and a fresh optimizer.

    Raises:
      UserError: the model cannot be read, or is not of this shape.
    """
    if not settings.init_from:
        return trainer.initialise(settings.seed)
    folder = folders.ModelFolder.open(pathlib.Path(settings.init_from))
    return trainer.begin(parameters.from_folder(folder, settings.model, trainer.abstract["params"]))
