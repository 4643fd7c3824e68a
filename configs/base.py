"""The toy world: LINK's claim in a few minutes on two CPU cores, no download.

    python -m linkjax.train --config=configs/base.py

All facts are told in English; the target language is made up, has little text, and leaves most facts of
three relations unsaid. Asked about those in the target language, a model without LINK guesses (12.5 %).
Two minutes on two CPU cores; expect 90 to 98 % for target_heldout.
Variants: --config.link.ratio=0 (no LINK), --config.link.scramble=True (wrong pairs, same dose).
"""

import dataclasses

from linkjax.config import is_cpu_test, run_config
from linkjax.data.tokenizer import TokenizerSettings
from linkjax.model.sizes import SIZES
from tasks.world import WorldSettings


def get_config(argument: str = ""):
    config = run_config(
        task_module="tasks.toy_world",
        mixture="toy_world",
        evaluations="toy_world_facts",
        world=WorldSettings(),
        tokenizer=TokenizerSettings(kind="bpe", vocabulary_size=1536),
        model=SIZES["toy"],
    )
    if is_cpu_test(argument):
        config.world = dataclasses.asdict(WorldSettings(subjects=24))
        config.steps, config.eval_every, config.checkpoint_every = 20, 10, 10
        config.batch_size, config.workers = 8, 0
    return config
