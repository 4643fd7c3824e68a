"""The toy world under the strains of a real language."""

import dataclasses

from linkjax.config import is_cpu_test, run_config
from linkjax.data.tokenizer import TokenizerSettings
from linkjax.model.decoder import ModelSettings
from tasks.world import WorldSettings

_STRAINS = WorldSettings(subjects=112, syllables=3, inflection=3, senses=8, zipf=0.7, unlisted=0.1)


def get_config(argument: str = ""):
    config = run_config(
        task_module="tasks.toy_world",
        mixture="toy_world",
        evaluations="toy_world_facts",
        world=_STRAINS,
        tokenizer=TokenizerSettings(kind="bpe", vocabulary_size=768),
        model=ModelSettings(width=48, head_width=12, hidden=128),
    )
    if is_cpu_test(argument):
        config.world = dataclasses.asdict(dataclasses.replace(_STRAINS, subjects=24))
        config.steps, config.eval_every, config.checkpoint_every = 20, 10, 10
        config.batch_size, config.workers = 8, 0
    return config
