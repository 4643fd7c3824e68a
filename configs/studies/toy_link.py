"""LINK's claim on the toy world: with LINK, without, with wrong pairs, and with one swap a sentence.

    python -m linkjax.study --config=configs/studies/toy_link.py --out=runs/toy_link

Five seeds of world, training and data: 20 runs of about a minute and a half on two CPU cores.
"""

import ml_collections

from linkjax.config import is_cpu_test


def get_config(argument: str = ""):
    config = ml_collections.ConfigDict()
    config.base = "configs/base.py"
    config.arms = {  # name -> flags of `linkjax.train`
        "LINK": "",
        "no LINK": "--config.link.ratio=0",
        "wrong pairs": "--config.link.scramble=True",
        "one swap a sentence": "--config.link.max_swaps_per_sentence=1",
    }
    config.seeds = (0, 1, 2, 3, 4)
    config.seed_flags = (
        "--config.seed={seed} --config.data_seed={seed} --config.world.seed={seed} --config.link.seed={seed}"
    )
    config.metric = "fact_accuracy/target_heldout"
    if is_cpu_test(argument):
        config.base = "configs/base.py:cpu"
        config.arms = {"LINK": "", "no LINK": "--config.link.ratio=0"}
        config.seeds = (0,)
    return config
