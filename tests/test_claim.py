"""LINK's claim in small: knowledge told in English only is there in the target language, with the right pairs."""

import json

from tests.test_runs import run


def test_right_pairs_carry_facts_over_and_wrong_pairs_do_not(tmp_path, toy_folder):
    scores = {}
    for arm, flags in {"right": [], "wrong": ["--config.link.scramble=True"]}.items():
        workdir = tmp_path / arm
        sizes = ["--config.steps=400", "--config.eval_every=400"]
        run("train", "--config=configs/base.py", f"--config.data={toy_folder}", f"--workdir={workdir}", *sizes, *flags)
        scores[arm] = json.loads((workdir / "summary.json").read_text())
    assert scores["right"]["fact_accuracy/target_heldout"] > 0.5
    assert scores["wrong"]["fact_accuracy/target_heldout"] < 0.25
    for summary in scores.values():
        assert summary["fact_accuracy/english"] > 0.9
        assert summary["fact_accuracy/target_told"] > 0.6
        assert summary["fact_accuracy/target_nowhere"] < 0.3
        assert summary["link/swapped_share"] > 0.2
