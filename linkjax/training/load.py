"""A trained model from a run's folder, on any mesh."""

import pathlib
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from linkjax import config as configs
from linkjax.data.tokenizer import AnyTokenizer, load_tokenizer
from linkjax.errors import UserError
from linkjax.training.checkpoints import Checkpoints
from linkjax.training.entries import check_run
from linkjax.training.sharding import MeshSettings, make_mesh
from linkjax.training.step import Trainer


class Loaded(NamedTuple):
    """A checkpoint's weights and all that is needed to use them."""

    trainer: Trainer
    params: Any
    tokenizer: AnyTokenizer
    settings: configs.RunSettings
    run: pathlib.Path
    step: int
    record: Mapping[str, Any] = MappingProxyType({})  # the checkpoint's `run`


def load(checkpoint: str, mesh: MeshSettings = MeshSettings()) -> Loaded:
    """Loads `RUN` (its newest checkpoint) or `RUN@STEP`, over all devices by default.

    Raises:
      UserError: there is no such checkpoint, or it is broken.
    """
    run, _, asked = checkpoint.partition("@")
    if asked and not asked.isdigit():
        raise UserError(f"--checkpoint={checkpoint}: what follows '@' is a step, a number.")
    checkpoints = Checkpoints(pathlib.Path(run) / "checkpoints")
    steps = checkpoints.steps()
    if not steps:
        raise UserError(f"'{run}' holds no checkpoints: --checkpoint takes a run's folder, RUN or RUN@STEP.")
    step = int(asked) if asked else checkpoints.newest()
    if step not in steps:
        raise UserError(f"'{run}' has no checkpoint of step {step}, only of {', '.join(map(str, steps))}.")
    record = check_run(checkpoints.read_run(step), f"checkpoint {step} of '{run}'")
    settings = configs.run_settings(configs.completed(configs.from_dict(record["config"])))
    trainer = Trainer.of(settings, make_mesh(mesh), record["vocabulary_size"], len(record["components"]))
    restored = checkpoints.restore(step, trainer.abstract, weights_only=True)
    tokenizer = load_tokenizer(checkpoints.folder / str(step))
    return Loaded(trainer, restored.weights, tokenizer, settings, pathlib.Path(run), step, record)
