"""The verb `evaluate`: its results file, going on where it was stopped, any mesh, two runs compared."""

import json
import math

import numpy as np
import pytest

from linkjax import evaluate
from linkjax.config import load_config
from linkjax.data.items import write_evaluations, write_items
from linkjax.errors import UserError
from linkjax.evaluation.ranking import Ranking, with_examples
from linkjax.evaluation.results import compare
from linkjax.evaluation.statistics import summarise
from linkjax.report import comparison_table
from linkjax.train import train
from tasks import benchmarks
from tests.benchmark_rows import PUBLISHED
from tests.conftest import ROOT
from tests.test_benchmarks import publish

DEFAULTS = {"data": "", "tasks": "", "shots": "", "split": "test", "seed": "1234", "mesh": "", "out": "",
            "harness": "no", "include_path": ""}  # fmt: skip
SCORES = ("acc", "acc_norm", "acc_bytes", "acc_harness", "margin", "stderr", "interval", "chance", "ties", "nan", "n")


def run(**options):
    evaluate.run(**{"coordinator": "", "processes": "", "process": "", **DEFAULTS, **options})


@pytest.fixture(scope="module")
def trained(toy_folder, tmp_path_factory):
    """A run of two steps."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    config = load_config(str(ROOT / "configs/base.py"))
    changes = {"data": str(toy_folder), "steps": 2, "workers": 0, "eval_every": 2}
    config = config.copy_and_resolve_references()
    with config.unlocked():
        config.update(changes)
    train(config.lock(), folder)
    return folder


@pytest.fixture(scope="module")
def items(tmp_path_factory):
    """A folder of items alone, with examples to show."""
    folder = tmp_path_factory.mktemp("items")
    (folder / "evaluation").mkdir()
    made = [
        {"id": str(index), "group": "en", "cluster": str(index // 2), "prompt": f"Anna keeps {index}",
         "choices": [" goats.", " plays."], "answer": index % 2, "split": "test" if index < 12 else "validation"}
        for index in range(20)
    ]  # fmt: skip
    write_evaluations(folder, [write_items(folder, "goats", "goats", None, made)])
    return folder


def test_results_are_whole_and_not_made_twice(trained, tmp_path, monkeypatch, capsys):
    out = tmp_path / "results.json"
    run(checkpoint=str(trained), out=str(out))
    said = capsys.readouterr().out
    assert "fact_accuracy target_heldout" in said and "at chance, no information" in said and "12.5 %" in said
    results = json.loads(out.read_text())
    task = results["tasks"]["toy_world_facts"]
    summary = json.loads((trained / "summary.json").read_text())
    for group, scores in task["groups"].items():
        assert set(SCORES) <= set(scores)
        assert scores["acc"] == pytest.approx(summary[f"fact_accuracy/{group}"]) == results[f"fact_accuracy/{group}"]
    assert (task["split"], task["shots"], len(task["items"])) == ("test", 0, task["n"])
    text = results["languages"]["qaa"]
    assert text["bits_per_byte"] == pytest.approx(summary["bits_per_byte/qaa"])
    assert len(text["perplexity_by_document"]) == text["documents"]
    assert results["languages"]["en"]["token_premium_by_words"] == 1
    swapped = results["swapped_text"]
    assert swapped["tokens_swapped"] > 50 and math.isfinite(swapped["loss_swapped"])
    monkeypatch.setattr(Ranking, "score", lambda *_: pytest.fail("scored again"))
    before = out.read_text()
    run(checkpoint=str(trained), out=str(out))
    assert out.read_text() == before
    with pytest.raises(UserError, match=r"other settings \(shots was 0 and is 1\)"):
        run(checkpoint=str(trained), out=str(out), shots="1")


def test_an_evaluation_goes_on_after_the_tasks_that_are_done(trained, tmp_path, monkeypatch):
    out = tmp_path / "results.json"
    with monkeypatch.context() as patched:
        patched.setattr(evaluate, "heldout_texts", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            run(checkpoint=str(trained), out=str(out))
    assert list(json.loads(out.read_text())["tasks"]) == ["toy_world_facts"]
    monkeypatch.setattr(Ranking, "score", lambda *_: pytest.fail("scored again"))
    run(checkpoint=str(trained), out=str(out))
    assert set(json.loads(out.read_text())["languages"]) == {"en", "qaa"}


def test_results_are_the_same_on_another_mesh(trained, tmp_path):
    found = []
    for mesh in ("", "fsdp=4,tensor=2"):
        out = tmp_path / f"{mesh or 'all'}.json"
        run(checkpoint=str(trained), out=str(out), mesh=mesh)
        found.append(json.loads(out.read_text()))
    one, other = (content["tasks"]["toy_world_facts"]["items"] for content in found)
    for before, after in zip(one, other, strict=True):
        np.testing.assert_allclose(before.pop("log_likelihoods"), after.pop("log_likelihoods"), rtol=1e-5, atol=1e-5)
        assert before.pop("margin") == pytest.approx(after.pop("margin"), abs=1e-4)
        assert before == after
    for language, text in found[0]["languages"].items():
        assert text["bits_per_byte"] == pytest.approx(found[1]["languages"][language]["bits_per_byte"], rel=1e-5)


def test_a_folder_of_items_alone_with_examples_by_split(trained, items, tmp_path, capsys):
    for split, count in (("test", 12), ("validation", 8)):
        out = tmp_path / f"{split}.json"
        run(checkpoint=str(trained), data=str(items), tasks="goats", split=split, shots="3", out=str(out))
        task = json.loads(out.read_text())["tasks"]["goats"]
        assert (task["n"], task["split"], task["shots"]) == (count, split, 3)
    assert "no held-out text here" in capsys.readouterr().out


def test_examples_are_of_the_group_and_never_the_item_itself():
    pool = [
        {"id": f"{group}{index}", "group": group, "prompt": f"{group}{index}?", "choices": [" no", " yes"], "answer": 1}
        for group in "ab" for index in range(5)
    ]  # fmt: skip
    for item, shown in zip(pool, with_examples(pool, pool, 4, 0, "task"), strict=True):
        before, asked = shown["prompts"][0].rsplit("\n\n", 1)
        assert asked == item["prompt"]
        assert sorted(before.split("\n\n")) == sorted(
            f"{one['prompt']} yes" for one in pool if one["group"] == item["group"] and one is not item
        )
    with pytest.raises(UserError, match="too few for --shots=5"):
        with_examples(pool, pool, 5, 0, "task")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"tasks": "nothing"}, "'nothing' is not in"),
        ({"split": "train"}, "--split is 'train': choose test or validation"),
        ({"split": "validation"}, "no items of split 'validation'"),
        ({"shots": "-1"}, "--shots is '-1'"),
        ({"shots": "2"}, "0 validation items"),
        ({"mesh": "fsdp"}, "'fsdp' is no AXIS=SIZE"),
        ({"mesh": "rows=2"}, "'rows=2' is no AXIS=SIZE"),
        ({"mesh": "fsdp=3,data=1"}, "takes 3 devices, there are 8"),
        ({"harness": "perhaps"}, "--harness is 'perhaps'"),
        ({"checkpoint": ""}, "--checkpoint is missing"),
    ],
)
def test_mistakes_are_sentences(trained, tmp_path, options, says):
    with pytest.raises(UserError, match=says):
        run(**{"checkpoint": str(trained), "out": str(tmp_path / "results.json"), **options})


@pytest.fixture(scope="module")
def scored(trained, tmp_path_factory):
    """Its results file."""
    path = tmp_path_factory.mktemp("scored") / "first.json"
    run(checkpoint=str(trained), out=str(path))
    return path


def test_two_runs_compared(scored, tmp_path):
    paths = [scored, tmp_path / "second.json"]
    content = json.loads(paths[0].read_text())
    task = content["tasks"]["toy_world_facts"]
    for item in task["items"][::2]:
        item["correct"] = True
    task |= {"acc": np.mean([item["correct"] for item in task["items"]]), "at_chance": False}
    paths[1].write_text(json.dumps(content))
    found = compare(*paths)["tasks"]["toy_world_facts"]
    assert found["acc"]["difference"] > 0.3 and found["acc"]["p"] < 0.01 and found["acc"]["worse"] == 0
    assert found["acc_norm"]["difference"] == 0 and found["acc_norm"]["p"] == 1
    assert "toy_world_facts" in comparison_table(compare(*paths))
    task["items"][3]["answer"] += 1
    paths[1].write_text(json.dumps(content))
    with pytest.raises(UserError, match="is of other items"):
        compare(*paths)
    assert compare(paths[0], paths[0])["tasks"]["toy_world_facts"]["acc"]["p"] == 1
    paths[1].write_text("[1]")
    with pytest.raises(UserError, match="is no results file"):
        compare(*paths)


def test_what_a_gain_costs_in_english_stands_beside_it(scored, tmp_path):
    """A second run that reads the target language better, and English worse in most documents."""
    paths = [scored, tmp_path / "second.json"]
    content = json.loads(paths[0].read_text())
    for language, factor in (("en", 1.01), ("qaa", 0.9)):
        text = content["languages"][language]
        bits = np.array(text["bits_per_byte_by_document"])
        bits *= np.where(np.arange(len(bits)) % 4, factor, 1 / factor)
        text["bits_per_byte_by_document"] = bits.tolist()
        text["bits_per_byte"] = float(bits @ text["bytes_by_document"] / text["bytes"])
    paths[1].write_text(json.dumps(content))
    found = compare(*paths)
    english, target = found["languages"]["en"], found["languages"]["qaa"]
    for text in (english, target):
        assert text["difference"] == pytest.approx(text["second"] - text["first"])
        assert text["interval"][0] < text["difference"] < text["interval"][1] and text["p"] < 0.05
    assert english["interval"][0] > 0 > target["interval"][1]
    assert english["better"] == math.ceil(english["documents"] / 4)
    assert target["worse"] == math.ceil(target["documents"] / 4)
    table = comparison_table(found).splitlines()
    assert [line.rsplit(maxsplit=1)[1] for line in table if "held-out text" in line] == ["worse", "better"]
    assert "toy_world_facts" in table[1]
    for text in content["languages"].values():
        del text["bytes_by_document"]  # as in files of before
    paths[1].write_text(json.dumps(content))
    before = compare(*paths)
    assert "p" not in before["languages"]["en"] and before["languages"]["en"]["second"] == english["second"]
    assert "worse" not in comparison_table(before)
    for text in content["languages"].values():
        text["bytes"] += 1
    paths[1].write_text(json.dumps(content))
    assert compare(*paths)["other_text"] == ["en", "qaa"]
    assert "what it costs in English is not known" in comparison_table(compare(*paths))
    content["languages"]["en"]["bits_per_byte_by_document"] = None
    paths[1].write_text(json.dumps(content | {"tasks": {}}))
    with pytest.raises(UserError, match=r"'en' of the languages in .* is damaged"):
        compare(paths[1], paths[1])
    paths[1].write_text(json.dumps(content | {"tasks": {}, "languages": {}}))
    with pytest.raises(UserError, match="share no task and no language"):
        compare(*paths)


@pytest.mark.parametrize("value", [0.0, math.nan])
def test_models_that_tell_nothing_apart_score_nothing_on_any_benchmark(toy, tmp_path, value):
    """A constant one, that ranks all alike, and one that is broken."""
    for name in PUBLISHED:
        publish(tmp_path, name)
        asked = list(benchmarks.items(name, str(tmp_path)))
        ranking = Ranking(asked, toy.tokenizer, 128, 8)
        records = ranking.score(lambda rows: (np.full(rows["targets_BxL"].shape, value), rows["targets_BxL"] < 0))
        scores = summarise(records)
        assert all(scores[kind] <= scores["chance"] for kind in ("acc", "acc_norm", "acc_bytes")), name
        assert scores["ties" if value == 0 else "nan"] == scores["n"]
