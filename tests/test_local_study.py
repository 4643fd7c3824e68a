"""The study of one's own files: from text, a word list and one command to a sentence."""

import json
import re

import pytest

from linkjax.config import load_config
from linkjax.studies.arms import read_study
from tests.test_cloze import texts
from tests.test_runs import run


@pytest.fixture
def files(tmp_path):
    """Options that name them. Swahili of made-up words, and English of the same words read backwards."""
    text = {name: list(texts(count, seed)) for name, seed, count in (("train", 5, 900), ("heldout", 6, 150))}
    words = sorted(set(re.findall(r"[a-z]+", " ".join(text["train"]))))
    english = {word: word[::-1] for word in words}
    text["en"] = [re.sub(r"[a-z]+", lambda of: english.get(of[0], of[0]), one.lower()) for one in texts(900, 8)]
    for name, lines in text.items():
        (tmp_path / f"{name}.txt").write_text("".join(f"{one}\n" for one in lines))
    (tmp_path / "list.tsv").write_text("".join(f"{ours}\t{theirs}\n" for theirs, ours in english.items()))
    named = {"english": "en.txt", "target": "train.txt", "target_heldout": "heldout.txt", "lexicon": "list.tsv"}
    return ["--config.target_language=sw", *(f"--config.{name}={tmp_path / file}" for name, file in named.items())]


def test_ones_own_files_come_to_a_sentence(tmp_path, files):
    config, out = "configs/studies/local_text.py:cpu", tmp_path / "study"
    done = run("study", f"--config={config}", f"--out={out}", "--config.seeds=(0,)", "--config.steps=6", *files)
    *_, verdict = done.stdout.partition("\n\nall of it in")[0].splitlines()
    assert re.match(r"(LINK helps here|LINK does not help here|Whether LINK helps here cannot be told)", verdict)
    summary = json.loads((out / "summary.json").read_text())
    assert list(summary) == ["baseline", "link", "scramble"]
    for arm in summary.values():
        assert {"bits_per_byte/sw", "bits_per_byte/en", "cloze/sw"} <= arm.keys()
    assert summary["baseline"]["swapped_share"] == 0 < summary["link"]["swapped_share"]
    contrasts = json.loads((out / "comparisons.json").read_text())["contrasts"]
    assert list(contrasts) == ["right_pairs", "right_pairs_cloze"]


def test_a_language_of_which_no_cloze_can_be_made_is_studied_without():
    config = load_config("configs/studies/local_text.py:no_cloze")
    with config.unlocked():
        config.target_language = "zh"
    study = read_study(config)
    assert not any("cloze" in text for text in (*study.flags, *study.metrics, *study.contrasts))
    assert study.primary.metric == "bits_per_byte/zh" and len(study.arms) == 5
