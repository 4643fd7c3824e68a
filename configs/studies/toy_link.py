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
OFF = "--config.link.ratio=0"


def get_config(argument: str = ""):
    config = ml_collections.ConfigDict()
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
    config.seed_flags = (
        "--config.seed={seed} --config.data_seed={seed} --config.world.seed={seed} --config.link.seed={seed}"
    )
    config.seeds = (0, 1, 2, 3, 4)
    config.arms = _arms()
    config.primary = {"arm": "link", "metric": "fact_accuracy/target_heldout", "level": 0.9}
    config.margin = 0.05
    config.equivalent = ("scramble",)
    config.metrics = ("fact_accuracy/", "bits_per_byte/")
    config.curves = {}
    config.probe = True
    if argument == "anchors":
        config.title = "How many anchors does a model without LINK need?"
        config.question = "What share of the names must be the same in both languages for facts to be carried over?"
        config.arms = {f"baseline_anchors_{share}": _baseline(share) for share in SWEEP}
        config.arms = {
            name: arm | {"against": "baseline_anchors_0"} if share else arm
            for (name, arm), share in zip(config.arms.to_dict().items(), SWEEP, strict=True)
        }
        config.primary.arm, config.equivalent = f"baseline_anchors_{SWEEP[-1]}", ()
    elif is_cpu_test(argument):
        config.base = "configs/base.py:cpu"
        config.flags = ("--config.eval_every=5",)
        config.arms = {name: config.arms[name].to_dict() for name in ("baseline", "link", "scramble")}
        config.seeds = (0, 1)
    return config


def _arms() -> dict[str, dict]:
    return {
        "baseline": {"flags": OFF, "about": "no swaps"},
        "link": {"flags": "", "against": "baseline", "about": "the declared dose"},
        "scramble": {
            "flags": "--config.link.scramble=True",
            "against": "baseline",
            "about": "as many swaps, wrong pairs matched in frequency and length",
        },
    }


def _baseline(share: int) -> dict[str, str]:
    return {"flags": f"{OFF} {_world(share)}", "about": f"no swaps, {share} % of the names shared"}


def _world(share: int) -> str:
    return f"--config.world.shared_names={share / 100}"
