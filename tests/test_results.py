"""What README.md and docs/results.md claim is what the committed outputs of the studies say."""

import csv
import json
import re
import shutil

import pytest

from linkjax.config import load_config
from linkjax.studies import wording
from linkjax.study import study
from tests.conftest import ROOT

TOY, SWAHILI = (ROOT / f"docs/results/{name}" for name in ("toy_link", "swahili"))
SWAHILI_ARMS = ("baseline", "link", "scramble")
HELDOUT = "fact_accuracy/target_heldout"


@pytest.fixture(scope="module")
def toy():
    return json.loads((TOY / "summary.json").read_text())


def rows(path, heading):
    """Cells of the first table after a heading, by their first cell."""
    text = (ROOT / path).read_text().partition(heading)[2]
    table = re.search(r"(\|.*\|\n)+", text).group(0)
    cells = [[cell.strip(" *") for cell in line.strip("|").split("|")] for line in table.splitlines()]
    return {line[0]: line[1:] for line in cells}


def test_the_readmes_table(toy):
    table = rows("README.md", "## Does LINK do it?")
    arms = ("link_apart", "baseline_apart", "scramble_apart", "one_swap")
    for name, metric in {
        "held out: told in English only": HELDOUT,
        "told in both languages": "fact_accuracy/target_told",
        "told nowhere": "fact_accuracy/target_nowhere",
        "asked in English": "fact_accuracy/english",
    }.items():
        assert table[name] == [wording.score(metric, toy[arm][metric]) for arm in arms]
    assert table["English words swapped"] == [wording.value("", toy[arm]["swapped_share"]) for arm in arms]


def test_the_readmes_sentences(toy):
    text = " ".join((ROOT / "README.md").read_text().split())
    low, high = toy["link"]["speedup_interval"]
    assert f"{toy['link']['speedup']:.1f} times sooner ({low:.1f}–{high:.1f})" in text
    scores = {arm: f"{100 * toy[arm][HELDOUT]['mean']:.1f}" for arm in toy}
    assert f"gets there too, to {scores['baseline']} %" in text and f"ends at {scores['link']} %" in text
    assert f"{scores['target_rate_20']} and {scores['word_list']} %" in text
    arms = ("link", "baseline", "link_apart", "baseline_apart")
    english = [f"{toy[arm]['bits_per_byte/en at best']['mean']:.3f}" for arm in arms]
    assert f"{english[0]} bits per byte in place of {english[1]}" in text
    assert f"{english[2]} in place of {english[3]} where no word is shared" in text


def test_the_claim_holds_in_the_committed_results(toy):
    """Twice as soon or more, the interval above 1.5, where the fewest anchors take the baseline to 80 %."""
    assert toy["link"]["speedup"] >= 2 and toy["link"]["speedup_interval"][0] > 1.5
    assert toy["baseline"][HELDOUT]["mean"] >= 0.8 > toy["baseline_words_50"][HELDOUT]["mean"]
    assert all(len(toy[arm]["seeds"]) == 5 for arm in ("link", "baseline", "link_apart", "scramble_apart"))
    low, high = toy["baseline_apart"][HELDOUT]["interval"]
    assert low < 0.125 < high < 0.5 < toy["link_apart"][HELDOUT]["interval"][0]
    compared = json.loads((TOY / "comparisons.json").read_text())["comparisons"]
    (wrong,) = [one for one in compared if (one["arm"], one["metric"]) == ("scramble_apart", HELDOUT)]
    assert wrong["p_equivalent"] < 0.05
    for arm in toy.values():
        for language in ("english", "target"):
            nowhere = arm[f"fact_accuracy/{language}_nowhere"]
            assert nowhere["interval"][0] < 0.125 < nowhere["interval"][1]


def test_the_pages_tables(toy):
    worlds = rows("docs/results.md", "**In which world?**")
    names = ("nothing", "half of the names", "all names", "names and 25 % of the other words", "names and 50 %")
    arms = ("apart", "names_50", "names", "words_25", "words_50")
    arms = [f"baseline_{arm}" for arm in arms] + ["baseline", "baseline_words_70"]
    for name, arm in zip((*names, "names and 60 %", "names and 70 %"), arms, strict=True):
        assert worlds[name][1:] == [wording.score(HELDOUT, toy[arm][HELDOUT]), str(len(toy[arm]["seeds"]))]
    shared = rows("docs/results.md", "**Where 83 % of the words are shared**")
    names = {
        "no LINK": "baseline",
        "LINK, the declared dose": "link",
        "the word list as text, a fifth of the tokens": "word_list",
        "twice the share of target text": "target_rate_20",
        "wrong pairs": "scramble",
    }
    for name, arm in names.items():
        up, ends = toy[arm]["speedup"], toy[arm]["speedup_interval"]
        said = "never there" if up == 0 else f"{up:.2f} ({ends[0]:.2f}–{ends[1]:.2f})" if up else ""
        assert shared[name] == [wording.score(HELDOUT, toy[arm][HELDOUT]), said]
    apart = rows("docs/results.md", "**Where no word is shared**")
    names = {
        "no LINK": "baseline_apart",
        "LINK, the declared dose": "link_apart",
        "wrong pairs": "scramble_apart",
        "one swap a sentence at most": "one_swap",
    }
    for name, arm in names.items():
        best, bits, foreign = (
            toy[arm][metric]["mean"] for metric in ("bits_per_byte/en at best", "bits_per_byte/en", "foreign_words/en")
        )
        scores = [f"{best:.3f}", f"{bits:.3f}", f"{100 * foreign:.1f} %"]
        assert apart[name] == [wording.score(HELDOUT, toy[arm][HELDOUT]), *scores]


def test_a_row_for_each_arm_seed_and_evaluation(toy):
    with (TOY / "runs.csv").open() as file:
        found = [(row["arm"], int(row["seed"]), int(row["step"])) for row in csv.DictReader(file)]
    assert found == [(arm, seed, step) for arm in toy for seed in toy[arm]["seeds"] for step in range(25, 1001, 25)]


@pytest.fixture(scope="module")
def swahili():
    return json.loads((SWAHILI / "summary.json").read_text())


def test_the_swahili_table(swahili):
    table = rows("docs/results.md", "## Swahili")
    for name, metric in {
        "bits per byte of held-out Swahili": "bits_per_byte/sw",
        "bits per byte of English": "bits_per_byte/en",
        "cloze of verses whose English was read": "cloze/sw_read",
        "cloze of verses whose English was withheld": "cloze/sw_withheld",
        "XCOPA": "xcopa/sw",
        "lead of XCOPA's right choice (bits)": "xcopa_margin/sw",
        "word translation (P@1), words that were swapped": "translation/sw_swapped",
        "the same, words kept from it": "translation/sw_held_out",
        "foreign words after English beginnings": "foreign_words/en",
    }.items():
        assert table[name] == [wording.score(metric, swahili[arm][metric]) for arm in SWAHILI_ARMS]
    assert table["English words swapped"] == [wording.value("", swahili[arm]["swapped_share"]) for arm in SWAHILI_ARMS]
    assert all(swahili[arm]["seeds"] == [0, 1, 2, 3, 4] for arm in SWAHILI_ARMS)


def test_the_swahili_sentence_of_the_readme(swahili):
    text = " ".join((ROOT / "README.md").read_text().split())
    link, baseline = (swahili[arm]["bits_per_byte/sw"]["mean"] for arm in ("link", "baseline"))
    assert f"{link:.3f} in place of {baseline:.3f} bits per byte of held-out Swahili" in text
    (whole,) = [up for up in swahili["link"]["speedups"]["step"] if up["level"] == 1]
    assert "{:.2f} times sooner ({:.2f}–{:.2f})".format(whole["ratio"], *whole["interval"]) in text
    price = swahili["link"]["bits_per_byte/en"]["mean"] - swahili["baseline"]["bits_per_byte/en"]["mean"]
    assert f"English pays {price:.3f}" in text


def test_the_swahili_contrasts_are_in_the_text():
    text = " ".join((ROOT / "docs/results.md").read_text().split())
    found = json.loads((SWAHILI / "comparisons.json").read_text())["contrasts"]
    for name in ("knowledge", "right_pairs"):
        contrast = found[name]
        assert wording.difference(contrast["metric"], contrast["difference"], contrast["interval"]) in text


def test_the_committed_records_give_the_committed_summary(swahili, tmp_path):
    """Made again from the records alone, nothing is trained: the runs behind the numbers are there."""
    again = shutil.copytree(SWAHILI, tmp_path / "again")
    for name in ("summary.json", "runs.csv", "report.md"):
        (again / name).unlink()
    study(load_config(str(ROOT / "configs/studies/swahili.py")), again, 1, SWAHILI_ARMS)
    assert (again / "runs.csv").read_text() == (SWAHILI / "runs.csv").read_text()
    summary = json.loads((again / "summary.json").read_text())
    assert flat(summary) == pytest.approx(flat(swahili), rel=1e-6, abs=1e-9)


def flat(value, name=""):
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    if not parts:
        return {name: value} if value is not None else {}
    return {key: one for part, inner in parts for key, one in flat(inner, f"{name}/{part}").items()}


def test_every_figure_is_there():
    for path in (ROOT / "README.md", ROOT / "docs/results.md", TOY / "report.md", SWAHILI / "report.md"):
        for figure in re.findall(r"\]\(([^)]*\.png)\)", path.read_text()):
            assert (path.parent / figure).stat().st_size > 5000
