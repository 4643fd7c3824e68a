"""The paper's grid (arXiv 2605.23885): eight languages, five sizes, six ratios; the paper does not say which.

    python -m linkjax.study --config=configs/studies/paper_grid.py --dry_run=yes
    python -m linkjax.study --config=configs/studies/paper_grid.py --out=runs/grid \\
        --config.english='data/en/*.parquet' --config.target='data/{language}/*.jsonl.gz' \\
        --config.lexicon='data/en-{language}.tsv' --config.evaluation_data=benchmarks

The languages mix distance to English, script and how much there is of them: German (near, much text), Arabic, Hindi
(other scripts), Indonesian, Turkish (agglutinating), Estonian, Swahili and Basque (little text, small word lists). 240
runs; on a pod, give each a slice: one cell is the command that --dry_run=yes prints, with --config.mesh.fsdp=0 (all
devices) on one TPU slice or GPU node, started alike on each of its hosts (docs/scaling.md). Nothing of this has been
run.
"""

import ml_collections

from linkjax.config import add_settings, is_cpu_test
from tasks import benchmarks
from tasks.text_files import LocalTextSettings

LANGUAGES = {  # benchmarks that have the language, beside Belebele, which has all
    "de": ("belebele_deu_Latn", "arc_challenge_de", "hellaswag_de"),
    "ar": ("belebele_arb_Arab", "arc_challenge_ar", "hellaswag_ar"),
    "hi": ("belebele_hin_Deva", "arc_challenge_hi", "hellaswag_hi"),
    "id": ("belebele_ind_Latn", "arc_challenge_id", "hellaswag_id", "xcopa_id"),
    "tr": ("belebele_tur_Latn", "xcopa_tr"),
    "et": ("belebele_est_Latn", "xcopa_et"),
    "sw": ("belebele_swh_Latn", "xcopa_sw"),
    "eu": ("belebele_eus_Latn", "arc_challenge_eu", "hellaswag_eu"),
}
SIZES = ("137m", "350m", "760m", "1b", "3b")  # of configs/link_*.py
RATIOS = (5, 10, 20, 40, 80)  # per cent of the eligible words, and 0


def get_config(argument: str = ""):
    config = ml_collections.ConfigDict(convert_dict=False)  # which would sort the arms
    add_settings(config, LocalTextSettings)
    config.evaluation_data, config.target_rate = "", 0.05
    config.passed = tuple(name for name in config if name != "target_language")
    config.title = "LINK's grid: languages, sizes, ratios"
    config.question = "At which ratio does LINK help, for which language, at which size?"
    config.base, config.flags = "configs/link_137m.py", ("--config.keep_checkpoints=1",)
    config.seeds, config.seed_flags = (0,), "--config.seed={seed} --config.data_seed={seed} --config.link.seed={seed}"
    config.arms = {}
    for language, tasks in LANGUAGES.items():
        of_language = f"--config.target_language={language} --config.evaluations={','.join(tasks)}"
        for size in SIZES:
            baseline = f"{language}_{size}"
            for ratio in (0, *RATIOS):
                arm = {
                    "base": f"configs/link_{size}.py",
                    "flags": f"{of_language} --config.link.ratio={ratio / 100}",
                    "about": f"{language}, {size}, {ratio} % of the eligible words",
                }
                name = f"{baseline}_{ratio}" if ratio else baseline
                config.arms[name] = arm | ({"against": baseline} if ratio else {})
    config.primary = {"arm": "sw_137m_20", "metric": "bits_per_byte/sw", "level": 0.9, "about": "of held-out text"}
    config.margin, config.equivalent, config.doses = 0.01, (), ()
    config.contrasts, config.probe = {}, True
    asked = sorted({benchmarks.metric(task) for tasks in LANGUAGES.values() for task in tasks})
    config.metrics = ("bits_per_byte/", *(f"{metric}/" for metric in asked))
    config.curves = {
        f"ratio_{size}": {
            "axis": f"share of the eligible words that is swapped (%), sw, {size}",
            "points": ((0, f"sw_{size}"), *((ratio, f"sw_{size}_{ratio}") for ratio in RATIOS)),
        }
        for size in SIZES
    }
    if is_cpu_test(argument):
        for arm in config.arms.values():
            arm["base"] += ":cpu"
    return config
