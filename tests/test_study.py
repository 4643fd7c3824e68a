"""A study as a command: its runs, its report, and being stopped in the middle."""

import dataclasses
import gzip
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import threading
import time

import ml_collections
import pytest

from linkjax.config import from_json, load_config
from linkjax.errors import UserError
from linkjax.huggingface.settings import to_config
from linkjax.lock import locked, locked_when_free
from linkjax.model.decoder import ModelSettings
from linkjax.studies import report
from linkjax.studies.arms import Contrast, read_study, with_arms
from linkjax.studies.curves import SpeedUp
from linkjax.studies.finished import ENGLISH_AT_BEST, read_run
from linkjax.studies.outcomes import Outcomes
from linkjax.studies.page import Answer, Figure, Heading, Table, as_html, as_markdown
from linkjax.studies.runs import check_begun, list_runs, own_cores
from linkjax.study import declared_late, study
from linkjax.workdir import LOCK
from tests.test_runs import ROOT, command, environment, run

CONFIG = "configs/studies/toy_link.py:cpu"
SCORES = ("fact_accuracy/target_heldout", "bits_per_byte/en", "link/swapped_share")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Of a study that was stopped as soon as its first runs had begun, and then went on."""
    out = tmp_path_factory.mktemp("study") / "toy"
    arguments = command("study", f"--config={CONFIG}", f"--out={out}", "--processes=2")
    with subprocess.Popen(arguments, cwd=ROOT, env=environment(), stderr=subprocess.PIPE, text=True) as stopped:
        deadline = time.monotonic() + 300
        while not list(out.glob("runs/*/0/metrics.jsonl")) and time.monotonic() < deadline:
            assert stopped.poll() is None
            time.sleep(0.1)
        stopped.send_signal(signal.SIGTERM)
        _, said = stopped.communicate(timeout=200)
    assert stopped.returncode == 75, said
    assert "the same command goes on from here" in said
    assert not (out / "summary.json").exists()
    done = run("study", f"--config={CONFIG}", f"--out={out}", "--processes=2")
    (out / "stdout.txt").write_text(done.stdout)
    return out


def test_nothing_is_run_twice_and_the_report_is_the_same(folder):
    files = ["report.html", "report.md", "summary.json", "comparisons.json", "runs.csv", "figures/learning.png"]
    before = {name: (folder / name).read_bytes() for name in files}
    finished = {path: path.stat().st_mtime_ns for path in folder.glob("runs/*/*/metrics.jsonl")}
    assert len(finished) == 5
    done = run("study", f"--config={CONFIG}", f"--out={folder}")
    assert done.stdout == (folder / "stdout.txt").read_text()
    assert {path: path.stat().st_mtime_ns for path in finished} == finished
    assert {name: (folder / name).read_bytes() for name in files} == before


def test_what_was_stopped_comes_to_what_one_run_comes_to(folder, tmp_path):
    (study_run,) = [one for one in runs_of(folder) if (one.arm.name, one.seed) == ("link", 0)]
    with own_cores(0, 2):  # the number of cores changes the order of sums, and so the last digits
        run("train", *study_run.flags, f"--config.data={study_run.data}", f"--workdir={tmp_path}/alone")
    alone = json.loads((tmp_path / "alone/summary.json").read_text())
    summary = json.loads((folder / "summary.json").read_text())
    for metric in SCORES:
        assert summary["link"][metric]["by_seed"][0] == alone[metric]


def runs_of(folder):
    return list_runs(read_study(load_config(CONFIG)), folder)


def test_the_summary_has_each_arm_by_name(folder):
    summary = json.loads((folder / "summary.json").read_text())
    assert list(summary) == ["baseline", "link", "word_list"]
    low, high = summary["link"]["fact_accuracy/target_heldout"]["interval"]
    assert low <= summary["link"]["fact_accuracy/target_heldout"]["mean"] <= high
    assert summary["baseline"]["swapped_share"] == 0 < summary["link"]["swapped_share"]
    assert summary["word_list"]["seeds"] == [0]
    for arm in summary.values():
        assert {"speedup", "speedup_interval", "swapped_share"} <= arm.keys()
    rows = (folder / "runs.csv").read_text().splitlines()
    assert len(rows) == 1 + 5 * 4
    assert {"arm", "seed", "step", "english_bytes", "fact_accuracy/target_heldout"} <= set(rows[0].split(","))


def test_arms_share_their_data_and_one_on_other_data_its_baselines_tokenizer(folder):
    by_name = {(one.arm.name, one.seed): one for one in runs_of(folder)}
    assert by_name["baseline", 0].data == by_name["link", 0].data
    words = by_name["word_list", 0]
    assert words.data != by_name["baseline", 0].data
    tokenizers = [(one.data / "tokenizer.model").read_bytes() for one in (words, by_name["baseline", 0])]
    assert tokenizers[0] == tokenizers[1]
    manifest = json.loads((words.data / "manifest.json").read_text())
    assert [component["rate"] for component in manifest["components"]] == pytest.approx([0.7, 0.1, 0.2])


def test_the_report_says_what_was_compared_what_came_out_and_how_sure_it_is(folder):
    page = (folder / "report.html").read_text()
    assert not re.search(r'(src|href)="(?!#|data:)', page.replace("xlink:href", ""))  # it needs no other file
    answer = re.search(r'<div class="answer">(.*?)</div>', page, re.DOTALL).group(1)
    assert "over 2 seeds" in answer and "The price in English" in answer
    assert "no swaps; a fifth of the tokens is the word list as text" in page
    for arm in ("baseline", "link", "word_list"):
        assert f'<td class="text">{arm}</td>' in page
    text = (folder / "report.md").read_text()
    for figure in re.findall(r"\]\((figures/.*?)\)", text):
        assert (folder / figure).stat().st_size > 5000


def test_an_arm_that_was_asked_other_items_has_a_score_and_no_difference(folder, tmp_path):
    def otherwise(one):
        other = {"fact_accuracy": frozenset({"other"})} if one.run.arm.name == "link" else {}
        return one._replace(asked=one.asked | other)

    finished = [read_run(one) for one in runs_of(folder)]
    settings = read_study(load_config(CONFIG))
    outcomes = Outcomes(settings, [otherwise(one) for one in finished])
    compared = {(entry["arm"], entry["metric"]) for entry in outcomes.comparisons()}
    assert ("link", "bits_per_byte/qaa") in compared
    assert not [metric for arm, metric in compared if arm == "link" and metric.startswith("fact_accuracy")]
    assert outcomes.speed_ups(settings.arm("link")) == {}
    assert "they were asked other items" in report.conclusions(outcomes)
    assert Outcomes(settings, finished).asked_alike(settings.arm("link"), "fact_accuracy/target_heldout")
    report.write(outcomes, tmp_path)
    assert "(other items)" in (tmp_path / "report.md").read_text()


def changed(finished, scores):
    """Finished runs with other scores: arm -> metric -> one for each seed; None takes the metric away."""
    found = []
    for one in finished:
        own = {name: values[one.run.seed] for name, values in scores.get(one.run.arm.name, {}).items()}
        kept = {name: value for name, value in (one.scores | own).items() if value is not None}
        found.append(one._replace(scores=kept, items={}))
    return found


BITS = "bits_per_byte/qaa"


@pytest.mark.parametrize(
    ("link", "other", "verdict"),
    [
        ((1.90, 1.91), (2.3, 2.3), "LINK helps here, compared with no swaps: -0.095"),
        ((2.10, 2.11), None, "LINK does not help here: +0.105"),
        ((2.10, 2.11), (1.99, 2.3), "cannot be told from 1 seeds: -0.010"),  # the other one may be better
        ((1.90, 2.05), None, "cannot be told from 2 seeds: -0.025"),
    ],
)
def test_the_last_sentence_is_of_the_best_dose_and_no_surer_than_it(folder, link, other, verdict):
    scores = {"baseline": {BITS: (2.0, 2.0)}, "link": {BITS: link}, "word_list": {BITS: other or (2.0, 2.0)}}
    settings = read_study(load_config(CONFIG))
    primary = dataclasses.replace(settings.primary, metric=BITS)
    settings = dataclasses.replace(settings, primary=primary, doses=("link", "word_list") if other else ("link",))
    outcomes = Outcomes(settings, changed([read_run(one) for one in runs_of(folder)], scores))
    assert verdict in report.conclusions(outcomes).splitlines()[-1]


@pytest.mark.parametrize(
    ("english", "said"), [((0.50, 0.51), "; English pays +0.105 bits per byte."), ((0.4, 0.4), "")]
)
def test_the_last_sentence_has_the_price(folder, english, said):
    own = {"link": ((1.90, 1.91), english), "baseline": ((2.0, 2.0), (0.4, 0.4))}
    scores = {arm: {BITS: bits, "bits_per_byte/en": price} for arm, (bits, price) in own.items()}
    settings = read_study(load_config(CONFIG))
    primary = dataclasses.replace(settings.primary, metric=BITS)
    settings = dataclasses.replace(settings, primary=primary, doses=("link",))
    last = report.conclusions(Outcomes(settings, changed([read_run(one) for one in runs_of(folder)], scores)))
    assert last.splitlines()[-1].endswith(f"words swapped){said or '.'}")


def test_the_declared_outcome_is_one_test_and_the_others_are_several(folder):
    values = {"baseline": (0.5, 0.5), "link": (0.60, 0.61), "word_list": (0.5, 0.5)}
    metrics = ("fact_accuracy/target_heldout", "fact_accuracy/english")
    scores = {arm: dict.fromkeys(metrics, of) for arm, of in values.items()}
    settings = read_study(load_config(CONFIG))
    arms = [dataclasses.replace(arm, against="baseline" if arm.against else "", seeds=2) for arm in settings.arms]
    finished = changed([read_run(one) for one in runs_of(folder)], scores)
    second = next(one for one in finished if one.run.arm.name == "word_list")
    second = second._replace(
        run=dataclasses.replace(second.run, seed=1), scores=second.scores | dict.fromkeys(metrics, 0.51)
    )
    terms = {name: Contrast(name, ((1, "link", metrics[0]), (-1, "baseline", metrics[0]))) for name in "abc"}
    outcomes = Outcomes(dataclasses.replace(settings, arms=tuple(arms), contrasts=terms), [*finished, second])
    found = {(entry["arm"], entry["metric"]): entry for entry in outcomes.comparisons()}
    declared, explored = found["link", metrics[0]], found["link", metrics[1]]
    assert declared["p_corrected"] == declared["p"] == explored["p"]
    assert explored["p_corrected"] == pytest.approx(2 * explored["p"])
    corrected = [of["p_corrected"] / of["p"] for of in outcomes.contrasts().values()]
    assert corrected == pytest.approx([1, 2, 2])


def test_why_there_is_no_speed_up_is_said(folder):
    settings = read_study(load_config(CONFIG))
    finished = [read_run(one) for one in runs_of(folder)]
    link = settings.arm("link")
    learned = [one._replace(items={}) for one in finished]  # nothing that could be called chance
    assert "it takes a constant learning rate" in Outcomes(settings, learned).no_speed_up(link)
    for one in learned:
        one.run.config.optimizer.schedule, one.run.config.optimizer.decay_share = "wsd", 0.0
    assert Outcomes(settings, learned).no_speed_up(link) == "4 evaluations are too few to read it from, it takes 40"
    many = [one._replace(evaluations=[record | {"step": i + 1, "english_bytes": i + 1, "flops": i + 1, "seconds": i + 1}
            for i, record in enumerate(one.evaluations * 10)]) for one in learned]  # fmt: skip
    assert Outcomes(settings, many).no_speed_up(link) == "" and Outcomes(settings, many).speed_ups(link)
    many[1].run.config.link.schedule = "linear"
    falling = [one for one in many if one.run.arm.name == "link"]
    for one in falling:
        one.run.config.link.schedule = "linear"
    assert "constant learning rate and dose" in Outcomes(settings, many).no_speed_up(link)
    chance = [one._replace(items=before.items) for one, before in zip(many, finished, strict=True)]
    assert "baseline learns nothing here" in Outcomes(settings, chance).no_speed_up(link)


def test_a_score_that_a_run_lacks_takes_no_report_away(folder, tmp_path):
    metric = "fact_accuracy/target_heldout"
    settings = read_study(load_config(CONFIG))
    points = ((0, "baseline"), (1, "link"), (2, "word_list"))
    settings = dataclasses.replace(settings, curves={"dose": ("dose", points)})
    outcomes = Outcomes(
        settings, changed([read_run(one) for one in runs_of(folder)], {"word_list": {metric: [None] * 2}})
    )
    report.write(outcomes, tmp_path)
    assert r"| word\_list | 1 | not in all runs |" in (tmp_path / "report.md").read_text()


def test_what_is_declared_after_runs_have_begun_is_said_to_be(tmp_path):
    config = load_config(CONFIG)
    assert declared_late(config, tmp_path) == ""
    config.margin = 0.1
    assert declared_late(config, tmp_path) == ""
    (tmp_path / "runs/link/0").mkdir(parents=True)
    (tmp_path / "runs/link/0/config.json").touch()
    assert declared_late(config, tmp_path) == ""
    config.seeds = (0, 1, 2)
    for _ in range(2):
        assert declared_late(config, tmp_path) == "seeds"
    assert json.loads((tmp_path / "declared.json").read_text())["before"][0]["margin"] == 0.1
    config.primary["arm"] = "word_list"  # of which there is no run yet
    assert declared_late(config, tmp_path) == "primary, seeds"
    (tmp_path / "declared.json").unlink()
    config.primary["arm"] = "link"  # of which there are runs, before which nothing is known to have been declared
    for _ in range(2):
        assert declared_late(config, tmp_path).startswith("primary, margin, equivalent")


def test_a_study_is_begun_by_a_py_file(folder):
    with pytest.raises(UserError, match="file, whose arms have an order"):
        read_study(from_json(folder / "study.json"))


def test_a_price_in_english_that_grows_by_overfitting_is_told_from_one_at_the_best_of_a_run(folder):
    settings = read_study(load_config(CONFIG))
    finished = [read_run(one) for one in runs_of(folder)]
    ends = [dict(one.scores, **{ENGLISH_AT_BEST: one.scores["bits_per_byte/en"]}) for one in finished]
    outcomes = Outcomes(settings, [one._replace(scores=of) for one, of in zip(finished, ends, strict=True)])
    assert ENGLISH_AT_BEST not in outcomes.metrics() and "best" not in report.conclusions(outcomes)
    for one in finished:
        assert one.scores[ENGLISH_AT_BEST] == min(record["bits_per_byte/en"] for record in one.evaluations)
        one.scores[ENGLISH_AT_BEST] -= 0.1 if one.run.arm.name == "baseline" else 0
    outcomes = Outcomes(settings, finished)
    link = settings.arm("link")
    at_best, at_end = (outcomes.comparison(link, of)["difference"] for of in (ENGLISH_AT_BEST, "bits_per_byte/en"))
    said = report.conclusions(outcomes)
    assert f"{at_end:+.3f} bits per byte" in said and f"{at_best:+.3f} bits per byte" in said
    assert "each at its best" in said


def test_a_study_may_be_moved_and_its_files_folder_have_blanks(tmp_path):
    names = [[one.data.name for one in list_runs(read_study(load_config(CONFIG)), tmp_path / out)] for out in "ab"]
    assert names[0] == names[1] and len(set(names[0])) == 2
    config = load_config("configs/studies/swahili.py:cpu")
    config.evaluation_data = "my files"
    one = list_runs(read_study(config), tmp_path)[0]
    assert one.config.english == "my files/0/en.txt"


def test_a_study_that_was_moved_goes_on(folder, tmp_path):
    moved = shutil.copytree(folder, tmp_path / "moved")
    shutil.rmtree(moved / "runs/word_list/0")  # whose tokenizer is another arm's
    for name in ("summary.json", "finished.json.gz"):
        (moved / "runs/link/1" / name).unlink()
    kept = (moved / "runs/link/0/metrics.jsonl").stat().st_mtime_ns
    done = run("study", f"--config={CONFIG}", f"--out={moved}", "--processes=2")
    assert done.stdout.replace(str(moved), str(folder)) == (folder / "stdout.txt").read_text()
    assert (moved / "runs/link/0/metrics.jsonl").stat().st_mtime_ns == kept


def test_a_study_is_reported_and_gone_on_with_from_its_records_alone(folder, tmp_path):
    files = ["report.md", "summary.json", "comparisons.json", "runs.csv"]
    for record in folder.glob("runs/*/*/finished.json.gz"):
        copied = tmp_path / "carried" / record.relative_to(folder)
        copied.parent.mkdir(parents=True)
        shutil.copyfile(record, copied)
    shutil.copyfile(folder / "declared.json", tmp_path / "carried/declared.json")
    arguments = ["study", f"--config={CONFIG}", f"--out={tmp_path}/carried", "--processes=2"]
    done = run(*arguments)
    assert done.stdout.replace(f"{tmp_path}/carried", str(folder)) == (folder / "stdout.txt").read_text()
    assert {name: (tmp_path / "carried" / name).read_bytes() for name in files} == {
        name: (folder / name).read_bytes() for name in files
    }
    assert not (tmp_path / "carried/data").exists()
    shutil.rmtree(tmp_path / "carried/runs/word_list/0")  # it takes its tokenizer from data that are not there
    run(*arguments)
    for name in ("summary.json", "comparisons.json"):
        assert (tmp_path / "carried" / name).read_bytes() == (folder / name).read_bytes()
    assert len([*tmp_path.glob("carried/data/*/tokenizer.model")]) == 2


def rewritten(record, **changes):
    kept = json.loads(gzip.decompress(record.read_bytes()))
    record.write_bytes(gzip.compress(json.dumps(kept | changes).encode()))


def test_a_record_of_other_data_or_without_the_probe_that_is_asked_for_is_refused(folder, tmp_path):
    shutil.copytree(folder / "runs", tmp_path / "runs", ignore=shutil.ignore_patterns("checkpoints"))
    shutil.copytree(folder / "data", tmp_path / "data")
    runs = list_runs(read_study(toy()), tmp_path)
    baseline = runs[0]
    with pytest.raises(UserError, match=r"baseline/0/finished\.json\.gz is of a run that was not probed"):
        check_begun(runs, probe=True)
    (tmp_path / "runs/link/0/summary.json").unlink()
    (tmp_path / "runs/link/0/finished.json.gz").unlink()
    rewritten(baseline.record, data_sha256="0" * 64)
    for _ in range(2):  # the data stay there, and are no others then
        with pytest.raises(UserError, match="is not what baseline, seed 0 was trained on"):
            study(toy(), tmp_path, 1)
    assert not (tmp_path / "runs/link/0/summary.json").exists()


def test_some_arms_are_made_and_reported_and_the_others_another_time(folder, tmp_path):
    config = toy()
    config.contrasts = {
        name: {"about": name, "terms": ((1, "link", BITS), (-1, arm, BITS))}
        for name, arm in (("swaps", "baseline"), ("rival", "word_list"))
    }
    shutil.copytree(folder / "runs", tmp_path / "some/runs", ignore=shutil.ignore_patterns("word_list"))
    outcomes = study(config, tmp_path / "some", 1, ["baseline", "link"])
    assert [*json.loads((tmp_path / "some/summary.json").read_text())] == ["baseline", "link"]
    assert [*outcomes.contrasts()] == ["swaps"]
    assert not (tmp_path / "some/runs/word_list").exists()
    kept = json.loads((tmp_path / "some/declared.json").read_text())["declared"]
    assert [name for name, _ in kept["contrasts"]] == ["swaps", "rival"]  # what the whole study declares
    assert "1 of the study's arms are left out of this report: word_list" in (
        tmp_path / "some/report.md"
    ).read_text().replace("\\", "")


def test_what_is_left_out_still_counts_as_tested(folder):
    terms = {name: Contrast(name, ((1, "link", metric), (-1, arm, metric)))
             for name, arm, metric in (("rival", "word_list", BITS), ("b", "baseline", BITS),
                                       ("c", "baseline", "bits_per_byte/en"))}  # fmt: skip
    settings = dataclasses.replace(read_study(toy()), contrasts=terms)
    finished = [read_run(one) for one in runs_of(folder)]
    whole, some = Outcomes(settings, finished), Outcomes(with_arms(settings, ["baseline", "link"]), finished)
    assert [*whole.contrasts()] == [*terms] and [*some.contrasts()] == ["b", "c"]
    for name in "bc":  # and the first that is left is not taken for the declared one
        assert some.contrasts()[name]["p_corrected"] == whole.contrasts()[name]["p_corrected"]
    for outcomes, times in ((whole, 1), (some, 2)):  # of word_list's one seed there is no p
        (entry,) = [of for of in outcomes.comparisons() if (of["arm"], of["metric"]) == ("link", BITS)]
        assert entry["p_corrected"] == min(times * entry["p"], 1)


@pytest.mark.parametrize(
    ("arms", "said"),
    [
        (["baseline", "lonk"], "'lonk' is none of the study's arms: choose some of baseline, link, word_list"),
        (["link"], "'baseline' is missing"),
        (["baseline", "word_list"], "'link' is missing"),
    ],
)
def test_some_arms_that_say_nothing_alone_are_refused(tmp_path, arms, said):
    with pytest.raises(UserError, match=said):
        study(toy(), tmp_path, 1, arms)
    assert not [*tmp_path.iterdir()]


def test_the_order_of_contrasts_is_declared(tmp_path):
    config = toy()
    config.contrasts = {name: {"about": name, "terms": ((1, "link", "loss"),)} for name in "ab"}
    declared_late(config, tmp_path)
    (tmp_path / "runs/link/0").mkdir(parents=True)
    (tmp_path / "runs/link/0/config.json").touch()
    config.contrasts = {name: config.contrasts[name] for name in "ba"}
    assert declared_late(config, tmp_path) == "contrasts"


def test_a_run_that_goes_on_after_its_study_was_killed_is_waited_for(folder, tmp_path, capsys, monkeypatch):
    moved = shutil.copytree(folder, tmp_path / "moved")
    workdir = moved / "runs/link/0"
    summary = (workdir / "summary.json").read_text()
    for name in ("summary.json", "finished.json.gz"):
        (workdir / name).unlink()
    begun, asked = threading.Event(), threading.Event()

    def orphan():
        with locked(workdir / LOCK, "it is being trained"):
            begun.set()
            asked.wait(100)
            time.sleep(1)
            (workdir / "summary.json").write_text(summary)

    def when_free(*arguments):
        asked.set()
        return locked_when_free(*arguments)

    monkeypatch.setattr("linkjax.studies.runs.locked_when_free", when_free)
    thread = threading.Thread(target=orphan)
    thread.start()
    assert begun.wait(100)
    kept = (workdir / "metrics.jsonl").stat().st_mtime_ns
    study(toy(), moved, 1)
    thread.join()
    assert "runs/link/0 is being trained by process" in capsys.readouterr().err
    assert (moved / "summary.json").read_bytes() == (folder / "summary.json").read_bytes()
    assert (workdir / "metrics.jsonl").stat().st_mtime_ns == kept


def test_what_needs_no_figures_needs_no_matplotlib():
    without = "import sys; sys.modules['matplotlib'] = None; import linkjax.study"
    subprocess.run([sys.executable, "-c", without], cwd=ROOT, env=environment(), check=True, timeout=120)


def test_a_speed_up_that_is_none_is_not_called_one(folder, monkeypatch):
    settings = read_study(load_config(CONFIG))
    outcomes = Outcomes(settings, [read_run(one) for one in runs_of(folder)])
    monkeypatch.setattr(Outcomes, "no_speed_up", lambda *_: "")
    for ratio, ends, said in [
        (3.5, (3.0, 4.0), "a speed-up of 3.50 x (3.00–4.00).\n"),
        (1.1, (0.9, 1.3), "a speed-up of 1.10 x (0.90–1.30), which may be none.\n"),
        (0.3, (0.2, 0.4), "a speed-up of 0.30 x (0.20–0.40), later.\n"),
    ]:
        found = SpeedUp(level=0.9, score=0.5, baseline=100.0, arm=100 / ratio, ratio=ratio, below=None, interval=ends)
        monkeypatch.setattr(Outcomes, "speed_ups", lambda *_, found=found: {"step": {0.9: found}})
        assert said in report.conclusions(outcomes)


def test_a_score_of_next_to_no_clusters_has_no_interval_drawn_from_them(folder):
    finished = [read_run(one) for one in runs_of(folder)]
    metric = SCORES[0]
    few = [one._replace(items={metric: {"only": (30.0, 100.0)}}, scores=one.scores | {metric: 0.3}) for one in finished]
    settings = read_study(load_config(CONFIG))
    score = Outcomes(settings, few).score(settings.arm("word_list"), metric)
    assert score["interval"] is None and score["at_chance"]  # of one seed


def test_an_evaluation_knows_where_on_the_way_it_was(folder):
    finished = [read_run(one) for one in runs_of(folder)]
    records = finished[0].evaluations
    assert [record["step"] for record in records] == [5, 10, 15, 20]
    for way in ("english_bytes", "flops", "seconds"):
        values = [record[way] for record in records]
        assert values == sorted(values) and values[0] > 0
    summary = json.loads((finished[0].run.workdir / "summary.json").read_text())
    assert records[-1]["english_bytes"] == summary["source_bytes/toy_world_english"]
    outcomes = Outcomes(read_study(load_config(CONFIG)), finished)
    assert outcomes.tested()[0].startswith("fact_accuracy/")


def test_a_failed_run_is_named_with_what_it_said(folder, tmp_path):
    shutil.copytree(folder / "data", tmp_path / "out/data")
    path = tmp_path / "study.py"
    path.write_text(
        "from configs.studies import toy_link\n"
        "def get_config():\n"
        "    config = toy_link.get_config('cpu')\n"
        "    config.arms, config.seeds = {name: config.arms[name] for name in ('baseline', 'link')}, (0,)\n"
        "    config.arms['baseline']['flags'] += ' --config.mesh.fsdp=3'\n"
        "    return config\n"
    )
    done = run("study", f"--config={path}", f"--out={tmp_path}/out", code=2)
    assert "baseline, seed 0 ended with code 2: error: mesh" in done.stderr and "log.txt" in done.stderr
    assert "Traceback" not in done.stderr
    path.write_text(path.read_text().replace("fsdp=3", "fsdp=1"))  # mended, it may go on in the same folder
    check_begun(list_runs(read_study(load_config(str(path))), tmp_path / "out"))


def toy(**arms):
    config = ml_collections.ConfigDict(load_config(CONFIG).to_dict(), convert_dict=False)
    config.arms = {name: {**config.arms.get(name, {}), **arm} for name, arm in arms.items()} or config.arms
    return config


def test_what_was_run_is_not_taken_for_what_is_asked(folder):
    """Settings may change in what the study's own file does not say, as in a config of its arms."""
    config = toy()
    config.arms["link"]["base"] = "configs/base.py"
    before = (folder / "summary.json").read_bytes()
    with pytest.raises(UserError, match=r"runs/link/0 was begun with other settings: .*Choose another --out"):
        study(config, folder, 1)
    assert (folder / "summary.json").read_bytes() == before


def test_a_primary_metric_that_nobody_measured_is_a_sentence(folder):
    settings = read_study(load_config(CONFIG))
    asked = dataclasses.replace(settings, primary=dataclasses.replace(settings.primary, metric="bits_per_byte/sw,yo"))
    with pytest.raises(
        UserError,
        match=r"'bits_per_byte/sw,yo' has no value at the end of baseline, seed 0; .*to one of .*bits_per_byte/en",
    ):
        Outcomes(asked, [read_run(one) for one in runs_of(folder)])


def test_arms_are_compared_along_a_chain_in_any_order(tmp_path):
    config = toy(
        link={"against": "half"}, half={"flags": "--config.link.ratio=0.2", "against": "baseline"}, baseline={}
    )
    assert [one.arm.name for one in list_runs(read_study(config), tmp_path)[:3]] == ["baseline", "half", "link"]
    config.arms["half"]["against"] = "link"
    with pytest.raises(UserError, match="compared with itself"):
        list_runs(read_study(config), tmp_path)


def test_an_arm_that_begins_from_a_model_has_its_shape_and_tokenizer(tmp_path):
    shape = ModelSettings(layers=3, width=32, heads=2, kv_heads=2, head_width=16, hidden=48, vocabulary=130)
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text(json.dumps(to_config(shape, 130, 64)))
    arms = {"baseline": "first", "link": "first", "word_list": "second"}
    config = toy(**{name: {"flags": f"--config.init_from={tmp_path / of}"} for name, of in arms.items()})
    baseline, link, other = list_runs(read_study(config), tmp_path / "out")[:3]
    assert (link.config.model.layers, link.config.model.vocabulary) == (3, 130)
    assert baseline.data == link.data != other.data
    assert other.config.tokenizer.path == str(tmp_path / "second" / "tokenizer.json")


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"primary.arm": "lonk"}, "'lonk', which is none of its arms"),
        ({"primary.arm": "baseline"}, "is not compared with any"),
        ({"primary.level": 0.0}, "level is 0"),
        ({"primary.metric": "loss/en"}, "'loss/en' is none of its metrics"),
        ({"seeds": (1, 1)}, "all different"),
        ({"equivalent": ("scrumble",)}, "scrumble"),
        ({"arms.link.against": "nothing"}, "nothing"),
        ({"arms.baseline.seeds": 1}, "has more seeds than 'baseline'"),
        ({"arms.link.seeds": 9}, "asks for 9 seeds"),
        ({"passed": ("target_language",), "target_language": "sw,yo"}, "one target language, not of 'sw,yo'"),
    ],
)
def test_a_study_that_cannot_be_is_refused(changed, said):
    config = ml_collections.ConfigDict(load_config(CONFIG).to_dict(), convert_dict=False)
    with config.unlocked():
        for key, value in changed.items():
            *path, last = key.split(".")
            inner = config
            for name in path:
                inner = inner[name]
            inner[last] = value
    with pytest.raises(UserError, match=re.escape(said)):
        read_study(config)


def test_a_wrong_flag_of_an_arm_is_found_before_anything_runs(tmp_path):
    config = ml_collections.ConfigDict(load_config(CONFIG).to_dict(), convert_dict=False)
    config.arms["link"]["flags"] = "--config.link.ratoi=0"
    with pytest.raises(UserError, match=r"arm 'link'.*did you mean 'config\.link\.ratio'"):
        list_runs(read_study(config), tmp_path)
    assert not list(tmp_path.iterdir())


def test_no_run_and_no_config_of_a_run_is_taken_for_a_study():
    done = run("study", "--config=configs/base.py", "--out=nowhere", code=2)
    assert "not a study" in done.stderr and not pathlib.Path(ROOT / "nowhere").exists()


def test_a_dry_run_counts_without_making_anything(tmp_path):
    done = run("study", "--config=configs/studies/toy_link.py", "--dry_run=yes", f"--out={tmp_path}/out")
    runs = list_runs(read_study(load_config("configs/studies/toy_link.py")), tmp_path / "out")
    assert done.stdout.startswith(f"{len(runs)} runs")
    assert f"{len(runs) * 1000 * 32 * 64:,} tokens" in done.stdout
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="no cores to choose here")
def test_runs_at_a_time_have_cores_of_their_own(monkeypatch):
    cores = {*range(8)}
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(cores))
    monkeypatch.setattr(os, "sched_setaffinity", lambda _, own: (cores.clear(), cores.update(own)))
    found = []
    for slot in range(3):
        with own_cores(slot, 3):
            found.append(set(cores))
        assert cores == {*range(8)}
    assert found == [{0, 1}, {2, 3, 4}, {5, 6, 7}]
    with own_cores(1, 1):
        assert cores == {*range(8)}
    with own_cores(3, 20):  # more runs than cores: they share
        assert len(cores) in (1, 8)
    with pytest.raises(RuntimeError), own_cores(0, 2):
        raise RuntimeError
    assert cores == {*range(8)}


def test_pages_keep_signs_that_html_and_markdown_would_read():
    blocks = [
        Heading("a < b"),
        Answer(["p < 0.001 in target_heldout"]),
        Table(["x", "y|z"], [["<script>", "1"]]),
        Figure("figures/a.png", "<svg></svg>", "how & when"),
    ]
    page, text = as_html("T & U", blocks), as_markdown("T", blocks)
    assert "a &lt; b" in page and "&lt;script&gt;" in page and "T &amp; U" in page and "<svg></svg>" in page
    assert "target\\_heldout" in text and "y\\|z" in text and "![how & when](figures/a.png)" in text
