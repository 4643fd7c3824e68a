"""LINK's claim on the toy world in half an hour: with LINK, without, with wrong pairs, and with one swap a sentence.

    python -m linkjax.study --config=configs/studies/toy_claim.py --out=runs/toy_claim

Five seeds of world, training and data: 20 runs of about a minute and a half on two CPU cores. No name is shared by the
languages, so the baseline stays at chance and there is no speed-up to measure; `toy_link.py` has that.
"""

from configs.studies import toy_link
from linkjax.config import is_cpu_test


def get_config(argument: str = ""):
    config = toy_link.get_config()
    config.flags = ()
    config.arms = {
        "baseline": {"flags": toy_link.OFF, "about": "no swaps"},
        "link": {"flags": "", "against": "baseline", "about": "half of the eligible words swapped"},
        "scramble": {
            "flags": "--config.link.scramble=True",
            "against": "baseline",
            "about": "as many swaps, wrong pairs matched in frequency and length",
        },
        "one_swap": {
            "flags": "--config.link.max_swaps_per_sentence=1",
            "against": "baseline",
            "about": "one swap a sentence at most, so that none ever holds an untold fact",
        },
    }
    config.equivalent = ("scramble",)
    config.curves, config.contrasts, config.probe = {}, {}, False
    if is_cpu_test(argument):
        config.base, config.seeds = "configs/base.py:cpu", (0,)
    return config
