"""LINK's claim on the toy world: with LINK and without, its controls, doses, coverages and anchors.

    python -m linkjax.study --config=configs/studies/toy_link.py:anchors --out=runs/toy_anchors
    python -m linkjax.study --config=configs/studies/toy_link.py --out=runs/toy_link

Declared beforehand: the dose is that of configs/base.py, the outcome the accuracy on held-out facts, the speed-up that
at 90 % of the baseline's gain. It is measured in the world with the smallest share of anchors (people whose name is the
same in both languages) at which the baseline alone reaches 80 %: the first command, baselines only, found `ANCHORS`.
The learning rate is constant after its warm-up and what is evaluated is a moving average of the weights: so every
evaluation stands for the end of a run of that length (Haegele et al. 2024, arXiv 2405.18392).
"""

import ml_collections

from linkjax.config import is_cpu_test

ANCHORS = 40  # per cent of the names
SWEEP = (0, 5, 10, 20, 40)
DOSES = (5, 10, 20, 80, 100)  # per cent of the eligible words; the declared one is 50
COVERAGES = (25, 50, 75)  # per cent of the lexicon's entries
OFF = "--config.link.ratio=0"


def get_config(argument: str = ""):
    config = ml_collections.ConfigDict(convert_dict=False)  # which would sort the arms
    config.title = "LINK on a toy world"
    config.question = (
        "Facts are told in English, few of them in a made-up target language. Does a model that trains on English with"
        " words swapped for translations answer, in the target language, what was told in English only; how much sooner"
        " than one without swaps where that one gets there too; and do only the right pairs do it?"
    )
    config.base = "configs/base.py"
    config.flags = (
        "--config.optimizer.schedule=wsd",
        "--config.optimizer.decay_share=0",
        "--config.optimizer.average_decay=0.97",
        "--config.eval_every=20",
        "--config.checkpoint_every=1000",
        "--config.keep_checkpoints=1",
    )
    config.passed = config.doses = ()
    config.seed_flags = (
        "--config.seed={seed} --config.data_seed={seed} --config.world.seed={seed} --config.link.seed={seed}"
    )
    config.seeds = (0, 1, 2, 3, 4)
    config.arms = _arms()
    config.primary = {"arm": "link", "metric": "fact_accuracy/target_heldout", "level": 0.9}
    config.margin = 0.05
    config.equivalent = ("scramble",)
    config.metrics = ("fact_accuracy/", "bits_per_byte/")
    config.curves = {
        "dose": {
            "axis": "share of the eligible words that is swapped (%)",
            "points": ((0, "baseline"), *sorted([(50, "link"), *((dose, f"ratio_{dose}") for dose in DOSES)])),
        },
        "coverage": {
            "axis": "share of the lexicon's entries that is used (%)",
            "points": (*((share, f"coverage_{share}") for share in COVERAGES), (100, "link")),
        },
        "anchors": {
            "axis": "share of the names that is the same in both languages (%)",
            "points": tuple((share, "link" if share == ANCHORS else f"link_anchors_{share}") for share in SWEEP),
        },
    }
    config.contrasts = {
        "right_pairs": {
            "about": "What the right pairs do, LINK less the matched scramble",
            "terms": tuple(
                (sign, arm, "fact_accuracy/target_heldout") for sign, arm in ((1, "link"), (-1, "scramble"))
            ),
        }
    }
    config.probe = True
    if argument == "anchors":
        config.title = "How many anchors does a model without LINK need?"
        config.question = "What share of the names must be the same in both languages for facts to be carried over?"
        config.arms = {f"baseline_anchors_{share}": _baseline(share) for share in SWEEP}
        config.arms = {
            name: arm | {"against": "baseline_anchors_0"} if share else arm
            for (name, arm), share in zip(config.arms.items(), SWEEP, strict=True)
        }
        config.primary["arm"], config.equivalent, config.curves = f"baseline_anchors_{SWEEP[-1]}", (), {}
        config.contrasts = {}
    elif is_cpu_test(argument):
        config.base, config.seed_flags = "configs/base.py:cpu", "--config.seed={seed} --config.data_seed={seed}"
        config.flags = ("--config.eval_every=5",)
        config.arms = {name: config.arms[name] for name in ("baseline", "link", "word_list")}
        config.arms["word_list"]["seeds"] = 1
        config.seeds, config.equivalent, config.probe = (0, 1), (), False
        config.curves, config.contrasts = {}, {}
    return config


def _arms() -> dict[str, dict]:
    """In the world with anchors: the claim, its controls and rivals. Doses, coverages and anchors with fewer seeds."""
    world = _world(ANCHORS)
    arms = {
        "baseline": _baseline(ANCHORS),
        "link": {"flags": world, "about": "the declared dose: half of the eligible words"},
        "scramble": {
            "flags": f"{world} --config.link.scramble=True",
            "about": "as many swaps, wrong pairs matched in frequency and length",
        },
        "random_targets": {
            "flags": f"{world} --config.link.random_targets=True",
            "about": "as many swaps, words of the target text by their frequency",
        },
        "one_swap": {
            "flags": f"{world} --config.link.max_swaps_per_sentence=1",
            "about": "one swap a sentence at most",
        },
        "input_only": {
            "flags": f"{world} --config.link.loss_on_swapped=original",
            "about": "swapped in the input; what is to be said stays English",
        },
        "word_list": {
            "flags": f"{OFF} {world} --config.world.word_list_rate=0.2",
            "about": "no swaps; a fifth of the tokens is the word list as text",
        },
        "baseline_anchors_0": _baseline(0),
        "link_anchors_0": {"flags": _world(0), "about": "the declared dose, no name shared"},
        "scramble_anchors_0": {
            "flags": f"{_world(0)} --config.link.scramble=True",
            "about": "wrong pairs, none shared",
        },
    }
    few = {
        f"ratio_{dose}": {"flags": f"{world} --config.link.ratio={dose / 100}", "about": f"{dose} % of eligible words"}
        for dose in DOSES
    }
    few["portion_25"] = {"flags": f"{world} --config.link.portion=0.25", "about": "in a quarter of the documents"}
    few["ratio_falls"] = {
        "flags": f"{world} --config.link.schedule=linear",
        "about": "from the declared dose to none at the end",
    }
    for share in COVERAGES:
        flags = f"{world} --config.link.coverage={share / 100}"
        few[f"coverage_{share}"] = {"flags": flags, "about": f"{share} % of the lexicon's entries"}
    for rate in (20, 30):
        flags = f"{OFF} {world} --config.rates=0:toy_world_target={rate / 100}"
        few[f"target_rate_{rate}"] = {"flags": flags, "about": f"no swaps, {rate} % of the tokens target text"}
    for share in SWEEP:
        if share not in (0, ANCHORS):
            few[f"baseline_anchors_{share}"] = _baseline(share)
            few[f"link_anchors_{share}"] = {"flags": _world(share), "about": f"the declared dose, {share} % shared"}
    arms |= {name: arm | {"seeds": 3} for name, arm in few.items()}
    for name, arm in arms.items():
        if not name.startswith("baseline"):
            own = name.partition("_anchors_")[2]
            arm["against"] = f"baseline_anchors_{own}" if own else "baseline"
    return arms


def _baseline(share: int) -> dict[str, str]:
    return {"flags": f"{OFF} {_world(share)}", "about": f"no swaps, {share} % of the names shared"}


def _world(share: int) -> str:
    return f"--config.world.shared_names={share / 100}"
