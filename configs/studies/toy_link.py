"""LINK's claim on the toy world: with LINK and without, its controls and rivals, doses, coverages and anchors.

    python -m linkjax.study --config=configs/studies/toy_link.py:anchors --out=runs/toy_link  # 29 runs: the world
    python -m linkjax.study --config=configs/studies/toy_link.py:claim --out=runs/toy_link    # 45: what is claimed
    python -m linkjax.study --config=configs/studies/toy_link.py --out=runs/toy_link          # 118: all of it

Declared beforehand: the dose is that of configs/base.py, the outcome the accuracy on held-out facts, the speed-up that
at 90 % of the baseline's gain. It is measured where the baseline gets there too: in the world with the fewest anchors
(words that are the same in both languages) in which the baseline alone reaches 80 %. The first command, baselines only,
found `ANCHORS`, the names and 60 % of the other words: 86.3 % over five seeds, with 50 % of them 77.0 %. Doses and
coverages are compared in the world without anchors, where there is most to carry over. In one folder, a run that one of
the commands has made is not made again by another. A run is a minute and a half on two CPU cores.
The learning rate is constant after its warm-up and what is evaluated is a moving average of the weights: so every
evaluation stands for the end of a run of that length (Haegele et al. 2024, arXiv 2405.18392).
"""

import ml_collections

from linkjax.config import is_cpu_test
from tasks.world import World

SWEEP = {  # per cent of the names and of the other content words that are the same in both languages
    "apart": (0, 0),
    "names_50": (50, 0),
    "names": (100, 0),
    "words_25": (100, 25),
    "words_50": (100, 50),
    "words_60": (100, 60),
    "words_70": (100, 70),
}
ANCHORS = "words_60"
DOSES = (5, 10, 20, 80, 100)  # per cent of the eligible words; the declared one is 50
COVERAGES = (25, 50, 75)  # per cent of the lexicon's entries
OFF = "--config.link.ratio=0"
_HELDOUT = "fact_accuracy/target_heldout"
_FEW = 3  # seeds, where nothing is claimed


def get_config(argument: str = ""):
    config = ml_collections.ConfigDict(convert_dict=False)  # which would sort the arms
    config.title = "LINK on a toy world"
    config.question = (
        "Facts are told in English, few of them in a made-up target language. LINK swaps words of the English text for"
        " translations while the model trains. Does that model answer, in the target language, what was told in English"
        " only; how much sooner than one without swaps, where that one gets there too because the languages have most"
        " words in common; and do only the right pairs do it?"
    )
    config.base = "configs/base.py"
    config.flags = (
        "--config.optimizer.schedule=wsd",
        "--config.optimizer.decay_share=0",
        "--config.optimizer.average_decay=0.97",
        "--config.eval_every=25",
        "--config.checkpoint_every=1000",
        "--config.keep_checkpoints=1",
    )
    config.passed = config.doses = ()
    config.seed_flags = (
        "--config.seed={seed} --config.data_seed={seed} --config.world.seed={seed} --config.link.seed={seed}"
    )
    config.seeds = (0, 1, 2, 3, 4)
    config.arms = _arms()
    config.primary = {
        "arm": "link",
        "metric": _HELDOUT,
        "level": 0.9,
        "about": "what was told in English only, asked in the target language",
    }
    config.margin = 0.05
    config.equivalent = ("scramble", "scramble_apart")
    config.metrics = ("fact_accuracy/", "bits_per_byte/")
    config.curves = {
        "dose": {
            "axis": "share of the eligible words that is swapped (%), no word shared",
            "points": (
                (0, "baseline_apart"),
                *sorted([(50, "link_apart"), *((dose, f"ratio_{dose}") for dose in DOSES)]),
            ),
        },
        "coverage": {
            "axis": "share of the lexicon's entries that is used (%), no word shared",
            "points": (*((share, f"coverage_{share}") for share in COVERAGES), (100, "link_apart")),
        },
        "anchors": _by_anchors("link"),
    }
    config.contrasts = {
        "right_pairs": {
            "about": "LINK minus wrong pairs",
            "terms": ((1, "link", _HELDOUT), (-1, "scramble", _HELDOUT)),
        },
        "right_pairs_apart": {
            "about": "LINK minus wrong pairs where no word is the same",
            "terms": ((1, "link_apart", _HELDOUT), (-1, "scramble_apart", _HELDOUT)),
        },
        "rival_word_list": {
            "about": "LINK minus the word list as text",
            "terms": ((1, "link", _HELDOUT), (-1, "word_list", _HELDOUT)),
        },
        "rival_target_rate": {
            "about": "LINK minus twice the share of target text, no swaps",
            "terms": ((1, "link", _HELDOUT), (-1, "target_rate_20", _HELDOUT)),
        },
    }
    config.probe = True
    if argument == "anchors":
        config.title = "How many anchors does a model without LINK need?"
        config.question = "What share of the words must be the same in both languages for facts to be carried over?"
        config.arms = {name: arm for name, arm in config.arms.items() if name.startswith("baseline")}
        config.primary["arm"], config.equivalent, config.contrasts = "baseline", (), {}
        config.curves = {"anchors": _by_anchors("baseline")}
    elif argument == "claim":
        worlds = {f"baseline_{world}" for world in SWEEP if world != "apart"}
        config.arms = {
            name: arm for name, arm in config.arms.items() if name not in worlds and arm.get("seeds", 5) == 5
        }
        config.curves = {}
    elif is_cpu_test(argument):
        config.base, config.seed_flags = "configs/base.py:cpu", "--config.seed={seed} --config.data_seed={seed}"
        config.flags = ("--config.eval_every=5",)
        config.arms = {name: config.arms[name] for name in ("baseline", "link", "word_list")}
        config.arms["baseline"]["against"] = ""
        config.arms["word_list"]["seeds"] = 1
        config.seeds, config.equivalent, config.probe = (0, 1), (), False
        config.curves, config.contrasts = {}, {}
    return config


def _arms() -> dict[str, dict]:
    """In the world with anchors the claim, its controls and rivals; in that without what only swaps can do, by dose."""
    arms = {
        "baseline": _baseline(ANCHORS),
        "link": _arm(ANCHORS, "", "half of the words that have a translation swapped"),
        "scramble": _scramble(ANCHORS),
        "word_list": _arm(
            ANCHORS,
            f"{OFF} --config.world.word_list_rate=0.2",
            "no swaps; a fifth of the tokens is the word list as text",
        ),
        "target_rate_20": _target_rate(20),
        "target_rate_30": _target_rate(30, seeds=_FEW),
        "random_targets": _arm(
            ANCHORS,
            "--config.link.random_targets=True",
            "as many swaps, words of the target text by their frequency",
            seeds=_FEW,
        ),
        "input_only": _arm(
            ANCHORS,
            "--config.link.loss_on_swapped=original",
            "swapped in the input; what is to be said stays English",
            seeds=_FEW,
        ),
        "baseline_apart": _baseline("apart"),
        "link_apart": _arm("apart", "", "half of the words that have a translation swapped"),
        "scramble_apart": _scramble("apart"),
        "one_swap": _arm("apart", "--config.link.max_swaps_per_sentence=1", "one swap a sentence at most"),
        "portion_25": _arm("apart", "--config.link.portion=0.25", "in a quarter of the documents", seeds=_FEW),
        "ratio_falls": _arm(
            "apart", "--config.link.schedule=linear", "from the declared dose to none at the end", seeds=_FEW
        ),
    }
    for dose in DOSES:
        flags = f"--config.link.ratio={dose / 100}"
        arms[f"ratio_{dose}"] = _arm("apart", flags, f"{dose} % of the eligible words", seeds=_FEW)
    for share in COVERAGES:
        flags = f"--config.link.coverage={share / 100}"
        arms[f"coverage_{share}"] = _arm("apart", flags, f"{share} % of the lexicon's entries", seeds=_FEW)
    for world in [world for world in SWEEP if world not in ("apart", ANCHORS)]:
        arms[f"baseline_{world}"] = _baseline(world)
        arms[f"link_{world}"] = _arm(world, "", "half of the words that have a translation swapped", seeds=_FEW)
    return arms


def _arm(world: str, flags: str, about: str, **more) -> dict:
    """An arm in one of the worlds of the sweep, compared with the one there without swaps."""
    names, words = SWEEP[world]
    anchors = f"--config.world.shared_names={names / 100} --config.world.shared_words={words / 100}"
    shared = f"{_anchors(world)} % of the words the same in both languages" if words or names else "no word the same"
    return {"flags": f"{anchors} {flags}", "against": _named("baseline", world), "about": f"{about}; {shared}"} | more


def _baseline(world: str) -> dict:
    """Compared with that where no word is shared, of which all have the tokenizer."""
    against = "" if world == "apart" else "baseline_apart"
    seeds = {"seeds": _FEW} if world in ("names_50", "names", "words_25") else {}
    return _arm(world, OFF, "no swaps") | {"against": against} | seeds


def _scramble(world: str) -> dict:
    about = "as many swaps, wrong pairs matched in frequency and length"
    return _arm(world, "--config.link.scramble=True", about)


def _target_rate(rate: int, **more) -> dict:
    flags = f"{OFF} --config.rates=0:toy_world_target={rate / 100}"
    return _arm(ANCHORS, flags, f"no swaps, {rate} % of the tokens target text in place of 10 %", **more)


def _named(arm: str, world: str) -> str:
    return arm if world == ANCHORS else f"{arm}_{world}"


def _anchors(world: str) -> int:
    """Per cent of all content words."""
    names, words = len(World().subjects), len(World().translations) - len(World().subjects)
    return round((SWEEP[world][0] * names + SWEEP[world][1] * words) / (names + words))


def _by_anchors(arm: str) -> dict:
    return {
        "axis": "share of the content words that is the same in both languages (%)",
        "points": tuple((_anchors(world), _named(arm, world)) for world in SWEEP),
    }
