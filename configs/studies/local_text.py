"""Does LINK help with one's own files? Baseline, three doses and wrong pairs, three seeds each.

    python -m linkjax.study --config=configs/studies/local_text.py --out=runs/study_sw \\
        --config.english='en/*.txt' --config.target='sw/*.txt' --config.lexicon=en-sw.tsv --config.target_language=sw

Takes the file settings of configs/local_text.py. Beside bits per byte it asks a cloze of the held-out text: which of
eight words is the last content word of a sentence? The report ends with one sentence: does it help here, how much, at
which dose. 15 runs of some half an hour on two CPU cores; `--config.steps=500` is a first look. `:no_cloze` leaves the
cloze out: for languages written without spaces, and where there is too little held-out text for one.
"""

import ml_collections

from linkjax.config import add_settings, is_cpu_test
from tasks.text_files import LocalTextSettings

_LANGUAGE = "{target_language}"


def get_config(argument: str = ""):
    config = ml_collections.ConfigDict(convert_dict=False)  # which would sort the arms
    add_settings(config, LocalTextSettings)
    files = tuple(config)
    config.steps = 2000
    config.title = "Does LINK help with these files?"
    config.question = (
        "A model of English and a little target-language text, with English words swapped for translations while it"
        " trains (LINK) and without, on the same files, steps and seeds. Wrong pairs tell what only the exposure to"
        " words of the language does."
    )
    config.base = "configs/local_text.py"
    config.flags = (f"--config.evaluations=cloze_{_LANGUAGE}", "--config.eval_every=100", "--config.keep_checkpoints=1")
    config.passed = (*files, "steps")
    config.seed_flags = "--config.seed={seed} --config.data_seed={seed} --config.link.seed={seed}"
    config.seeds = (0, 1, 2)
    config.arms = {
        "baseline": {"flags": "--config.link.ratio=0", "about": "no swaps"},
        "link": {"flags": "--config.link.ratio=0.3", "against": "baseline", "about": "30 % of the eligible words"},
        "link_10": {"flags": "--config.link.ratio=0.1", "against": "baseline", "about": "10 % of the eligible words"},
        "link_falls": {
            "flags": "--config.link.ratio=0.5 --config.link.schedule=linear",
            "against": "baseline",
            "about": "half of the eligible words at first, none at the end",
        },
        "scramble": {
            "flags": "--config.link.ratio=0.3 --config.link.scramble=True",
            "against": "baseline",
            "about": "30 % again, wrong pairs matched in frequency and length",
        },
    }
    bits, cloze = f"bits_per_byte/{_LANGUAGE}", f"cloze/{_LANGUAGE}"
    config.primary = {"arm": "link", "metric": bits, "level": 0.9, "about": "of held-out text; less is better"}
    config.margin, config.equivalent = 0.01, ()
    config.metrics = (bits, cloze, "bits_per_byte/en")
    config.curves = {}
    config.contrasts = {
        "right_pairs": {
            "about": "What the right pairs do beyond exposure to words (LINK minus wrong pairs), in bits per"
            " byte (less is better)",
            "terms": ((1, "link", bits), (-1, "scramble", bits)),
        },
        "right_pairs_cloze": {
            "about": "LINK minus wrong pairs, in the cloze",
            "terms": ((1, "link", cloze), (-1, "scramble", cloze)),
        },
    }
    config.doses = ("link", "link_10", "link_falls")
    config.probe = True
    if argument == "no_cloze":
        config.flags, config.metrics = config.flags[1:], (bits, "bits_per_byte/en")
        config.contrasts = {"right_pairs": config.contrasts["right_pairs"]}
    elif is_cpu_test(argument):
        config.base, config.steps, config.seeds, config.probe = "configs/local_text.py:cpu", 20, (0, 1), False
        config.flags = (config.flags[0], "--config.eval_every=10")
        config.arms = {name: config.arms[name] for name in ("baseline", "link", "scramble")}
        config.doses = ("link",)
    return config
