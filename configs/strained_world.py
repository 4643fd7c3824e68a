"""The toy world under the strains of a real language, with a small model: a harder test, in which English pays.

    python -m linkjax.train --config=configs/strained_world.py

Target words have endings that the word list does not have, and two pieces or more on average; eight English words have
two meanings; few people are spoken of often, and those hardly spoken of are not in the list (docs/studies.md). Some
two minutes of CPU time. Measured with one seed, LINK against --config.link.ratio=0:
target_heldout 38 % (12 %), target_told 76 % (69 %), English 99 % (100 %) at 0.535 (0.458) bits per byte.
"""

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
