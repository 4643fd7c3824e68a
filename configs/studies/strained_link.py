"""LINK in the toy world under the strains of a real language: what it gains there, and what English pays.

    python -m linkjax.study --config=configs/studies/strained_link.py --out=runs/strained_link

Endings, words of two meanings, words of several pieces, people seldom spoken of, a word list without the rarest words,
a small model (configs/strained_world.py). Asked beside the gain: what does English pay; does a dose that falls to none
pay less; does a wider model; how does the gain fall with the rarest words that the list does not have; do names shared
by the languages help a model without LINK?
"""

from configs.studies import toy_link
from linkjax.config import is_cpu_test

UNLISTED = (0, 10, 30, 50)  # per cent of the English content words, the rarest; 10 is the world's own
OFF = toy_link.OFF
_HELDOUT, _ENGLISH = "fact_accuracy/target_heldout", "bits_per_byte/en"
_WIDE = "--config.model.width=96 --config.model.head_width=24 --config.model.hidden=256"
_SHARED = "--config.world.shared_names=0.25"


def get_config(argument: str = ""):
    config = toy_link.get_config()
    config.title = "LINK in a strained world"
    config.question = (
        "Does LINK carry facts over into a language with endings, words of several pieces and rare words that the word"
        " list does not have, where English words have several meanings; and what does English pay?"
    )
    config.base = "configs/strained_world.py"
    config.flags = ("--config.eval_every=100", "--config.keep_checkpoints=1")
    config.arms = _arms()
    config.curves = {
        "coverage": {
            "axis": "share of the words, the rarest, that the list does not have (%)",
            "points": tuple((share, "link" if share == 10 else f"unlisted_{share}") for share in UNLISTED),
        },
    }
    config.equivalent = ("scramble",)
    config.contrasts = {
        "right_pairs": {
            "about": "LINK minus wrong pairs",
            "terms": ((1, "link", _HELDOUT), (-1, "scramble", _HELDOUT)),
        },
        "falling_dose": {
            "about": "English bits per byte that a dose falling to none saves (more is better)",
            "terms": ((1, "link", _ENGLISH), (-1, "link_falls", _ENGLISH)),
        },
        "capacity": {
            "about": "English bits per byte by which the small model pays more than the wide one",
            "terms": (
                (1, "link", _ENGLISH),
                (-1, "baseline", _ENGLISH),
                (-1, "link_wide", _ENGLISH),
                (1, "baseline_wide", _ENGLISH),
            ),
        },
    }
    if is_cpu_test(argument):
        config.base, config.flags = "configs/strained_world.py:cpu", ()
        config.arms = {name: config.arms[name] for name in ("baseline", "link", "scramble", "unlisted_30")}
        config.seeds, config.equivalent, config.probe = (0,), (), False
        config.curves, config.contrasts = {}, {}
    return config


def _arms() -> dict[str, dict]:
    arms = {
        "baseline": {"flags": OFF, "about": "no swaps"},
        "link": {"flags": "", "against": "baseline", "about": "half of the eligible words swapped"},
        "scramble": {
            "flags": "--config.link.scramble=True",
            "against": "baseline",
            "about": "as many swaps, wrong pairs matched in frequency and length",
        },
        "link_falls": {
            "flags": "--config.link.ratio=1 --config.link.schedule=linear",
            "against": "baseline",
            "about": "as many swaps, from every word at first to none at the end",
        },
        "one_swap": {
            "flags": "--config.link.max_swaps_per_sentence=1",
            "against": "baseline",
            "about": "one swap a sentence at most",
        },
        "baseline_wide": {"flags": f"{OFF} {_WIDE}", "about": "no swaps, a model twice as wide"},
        "link_wide": {"flags": _WIDE, "against": "baseline_wide", "about": "half of the words, a model twice as wide"},
        "baseline_shared": {"flags": f"{OFF} {_SHARED}", "about": "no swaps, a quarter of the names shared"},
        "link_shared": {
            "flags": _SHARED,
            "against": "baseline_shared",
            "about": "half of the words, a quarter of the names shared",
        },
    }
    for share in UNLISTED:
        if share != 10:
            arms[f"unlisted_{share}"] = {
                "flags": f"--config.world.unlisted={share / 100}",
                "against": "baseline",
                "about": f"half of the words that are listed; the list lacks {share} %, the rarest",
            }
    return arms
