"""Does LINK help for Swahili, and does it carry over what only the English says? With controls, on real text.

    python tools/swahili_study.py --real_data=DIR --out=runs/swahili_files
    python -m linkjax.study --config=configs/studies/swahili.py:claim --out=runs/study_swahili  # 24 runs: the claim
    python -m linkjax.study --config=configs/studies/swahili.py --out=runs/study_swahili        # 54: all of it

10.3 MB of English (a Bible, Wikipedia, help pages), 0.57 MB of the Swahili New Testament, Wiktionary's and FreeDict's
word lists merged. Asked are a cloze of held-out verses, XCOPA, and words that were kept from being swapped. Of half of
the held-out verses, drawn anew for each seed, the English is withheld from training. (LINK minus wrong pairs) on verses
whose English was read, minus the same on the others: only what the English says of them can move that.

Declared beforehand: the dose, 30 % of the eligible words; the outcome, bits per byte of held-out Swahili; the contrast
`knowledge`. A run is a model with 1.4 million weights that reads the English once, a quarter of an hour on one CPU
core; in one folder, one that `:claim` or `--arms` has made is not made again. `:gpu` is a larger form for one GPU, 91
million weights and some 17 passes over the English; it has not been run. `--config.evaluation_data=FOLDER` names the
files' folder.
The learning rate is constant and what is evaluated an average of the weights, as in toy_link.py.
"""

import ml_collections

from linkjax.config import is_cpu_test

RATIO = 0.3
_FILES = "{evaluation_data}"
_SMALL = (
    "--config.tokenizer.vocabulary_size=4096",
    "--config.microbatches=8",  # fits the cache of a CPU core: a quarter faster
    "--config.eval_every=20",
    "--config.rank_every=40",
)
_LARGER = (
    "--config.batch_size=128",
    "--config.sequence_length=256",
    "--config.model.layers=12",
    "--config.model.width=768",
    "--config.model.heads=12",
    "--config.model.kv_heads=12",
    "--config.model.head_width=64",
    "--config.model.hidden=2048",
    "--config.model.dtype=bfloat16",
    "--config.optimizer.learning_rate=6e-4",
    "--config.most_segments=64",
    "--config.eval_every=30",
    "--config.rank_every=25",
    "--config.workers=4",
)
_CLAIM = ("baseline", "link", "scramble", "word_list", "target_rate_x2", "target_rate_x3")
_OFF, _LINK = "--config.link.ratio=0", f"--config.link.ratio={RATIO}"


def get_config(argument: str = ""):
    config = ml_collections.ConfigDict(convert_dict=False)  # which would sort the arms
    config.evaluation_data, config.steps = "runs/swahili_files", 800
    config.passed = ("evaluation_data", "steps")
    config.title = "LINK for Swahili"
    config.question = (
        "A small model reads much English and a little Swahili. Does it read Swahili better if English words are"
        " swapped for Swahili ones while it trains (LINK); do only the right pairs of words do it; and does it know in"
        " Swahili what was said in English only? It is asked about Bible verses of which it read no Swahili: of half of"
        " them it read the English, and the other half tells knowledge of them from skill in Swahili."
    )
    config.base = "configs/local_text.py"
    config.flags = (
        "--config.target_language=sw",
        f"--config.target={_FILES}/sw/train.txt",
        f"--config.target_heldout={_FILES}/sw/measured.txt",
        f"--config.english_heldout={_FILES}/en_heldout.txt",
        f"--config.lexicon={_FILES}/en-sw.tsv",
        "--config.link.holdout=0.1",  # also without swaps, so that all are asked the same words
        "--config.optimizer.schedule=wsd",
        "--config.optimizer.decay_share=0",
        "--config.optimizer.average_decay=0.97",
        "--config.keep_checkpoints=1",
    )
    config.seed_flags = (
        "--config.seed={seed} --config.data_seed={seed} --config.link.seed={seed}"
        f" --config.english={_FILES}/{{seed}}/en.txt --config.evaluations=xcopa_sw,"
        f"cloze_sw_read:{_FILES}/{{seed}}/read.txt,cloze_sw_withheld:{_FILES}/{{seed}}/withheld.txt"
    )
    config.seeds = (0, 1, 2, 3, 4)
    target_rate, more = (0.05, _LARGER) if argument == "gpu" else (0.1, _SMALL)
    config.flags += (f"--config.target_rate={target_rate}", *more)
    config.arms = _arms(target_rate)
    bits = "bits_per_byte/sw"
    config.primary = {"arm": "link", "metric": bits, "level": 0.9, "about": "of held-out verses; less is better"}
    config.margin, config.equivalent = 0.01, ()
    config.metrics = (bits, "cloze/", "cloze_margin/", "xcopa/", "xcopa_margin/", "translation/", "bits_per_byte/en")
    config.curves = {}
    config.contrasts = {
        "knowledge": {
            "about": "What the model knows in Swahili because the English said it: (LINK minus wrong pairs) in the"
            " cloze of verses whose English was read, minus the same of verses whose English was not",
            "terms": _knowledge("cloze"),
        },
        "knowledge_margin": {"about": "The same, in the lead of the right word", "terms": _knowledge("cloze_margin")},
        "right_pairs": {
            "about": "What the right pairs do beyond exposure to words (LINK minus wrong pairs), in bits per"
            " byte (less is better)",
            "terms": _right_pairs(bits),
        },
        "rival_word_list": {
            "about": "LINK minus the word list as text, in bits per byte (less is better)",
            "terms": ((1, "link", bits), (-1, "word_list", bits)),
        },
        **{
            f"rival_target_rate_x{times}": {
                "about": f"LINK minus {times} times the share of Swahili text, in bits per byte (less is better)",
                "terms": ((1, "link", bits), (-1, f"target_rate_x{times}", bits)),
            }
            for times in (2, 3)
        },
        "right_pairs_xcopa": {
            "about": "LINK minus wrong pairs, in the lead of XCOPA's right choice",
            "terms": _right_pairs("xcopa_margin/sw"),
        },
    }
    config.doses = ("link", "link_falls", "link_no_lemmas", "link_no_function_words")
    config.probe = True
    if argument == "gpu":
        config.steps = 1500
    elif argument == "claim":
        config.arms = {name: config.arms[name] for name in _CLAIM}
        config.doses = ("link",)
    elif is_cpu_test(argument):
        config.base, config.steps, config.seeds = "configs/local_text.py:cpu", 4, (0,)
        config.arms = {name: config.arms[name] for name in ("baseline", "link", "scramble")}
        config.contrasts = {name: of for name, of in config.contrasts.items() if not name.startswith("rival")}
        config.doses, config.probe = ("link",), False
    return config


def _arms(target_rate: float) -> dict[str, dict]:
    few = {"against": "baseline", "seeds": 3}
    arms = {
        "baseline": {"flags": _OFF, "about": "no swaps"},
        "link": {"flags": _LINK, "against": "baseline", "about": "the declared dose: 30 % of the eligible words"},
        "scramble": {
            "flags": f"{_LINK} --config.link.scramble=True",
            "against": "baseline",
            "about": "as many swaps, wrong pairs matched in frequency and length",
        },
        "link_falls": {
            "flags": f"--config.link.ratio={2 * RATIO} --config.link.schedule=linear",
            "about": "from twice the declared dose to none at the end",
        },
        "link_no_lemmas": {
            "flags": f"{_LINK} --config.link.lemmas=False",
            "about": "the declared dose of the words that the list itself has, no forms of them",
        },
        "link_no_function_words": {
            "flags": f"{_LINK} --config.link.exclude=english_function_words",
            "about": "the declared dose, function words left alone",
        },
        "random_targets": {
            "flags": f"{_LINK} --config.link.random_targets=True",
            "about": "as many swaps, words of the Swahili text by their frequency",
        },
        "word_list": {
            "flags": f"{_OFF} --config.word_list_rate=0.3",
            "about": "no swaps; 30 % of the tokens are the word list as text, also the words that others never see",
        },
    }
    for source in ("wiktionary", "freedict"):
        flags = f"{_LINK} --config.lexicon={_FILES}/lexicons/{source}.tsv"
        arms[f"link_{source}"] = {"flags": flags, "about": f"the declared dose, only the pairs of {source}"}
    for select, of in (
        ("domain", "the words that the Bible has more of than other text"),
        ("non_domain", "the others"),
    ):
        arms[f"link_{select}"] = {
            "flags": f"{_LINK} --config.link.select={select} --config.link.domain_words={_FILES}/bible_words.txt",
            "about": f"the declared share, but only of {of}",
        }
    half = f"--config.target={_FILES}/sw/half.txt"
    arms["baseline_half"] = {"flags": f"{_OFF} {half}", "about": "no swaps, half of the Swahili verses"}
    arms["link_half"] = {
        "flags": f"{_LINK} {half}",
        "against": "baseline_half",
        "about": "the declared dose, half of the Swahili verses",
        "seeds": 3,
    }
    for times in (2, 3):
        share = target_rate * times
        arms[f"target_rate_x{times}"] = {
            "flags": f"{_OFF} --config.rates=0:local_text_sw={share:g}",
            "about": f"no swaps, {share:.0%} of the tokens Swahili text",
        }
    return {name: arm if "against" in arm or name == "baseline" else few | arm for name, arm in arms.items()}


def _right_pairs(metric: str) -> tuple[tuple[int, str, str], ...]:
    return (1, "link", metric), (-1, "scramble", metric)


def _knowledge(metric: str) -> tuple[tuple[int, str, str], ...]:
    read = _right_pairs(f"{metric}/sw_read")
    withheld = _right_pairs(f"{metric}/sw_withheld")
    return (*read, *((-factor, arm, name) for factor, arm, name in withheld))
