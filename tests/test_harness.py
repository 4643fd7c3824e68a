# ruff: noqa: E402 what imports the harness comes after the question whether it is there
"""lm-evaluation-harness asks a model of ours, and finds what our own ranking finds."""

import json
import pathlib

import jax
import numpy as np
import pytest

lm_eval = pytest.importorskip("lm_eval")

import yaml
from lm_eval.api.instance import Instance
from lm_eval.api.model import TemplateLM

from linkjax import config as configs
from linkjax import evaluate
from linkjax.data.tokenizer import Tokenizer, train_tokenizer
from linkjax.errors import UserError
from linkjax.evaluation.harness import HarnessModel, ask
from linkjax.evaluation.ranking import Ranking, encode_pair, with_examples
from linkjax.evaluation.statistics import summarise
from linkjax.evaluation.suite import row_shape
from linkjax.model.decoder import ModelSettings
from linkjax.model.sampling import Sampling
from linkjax.training.load import Loaded
from linkjax.training.sharding import MeshSettings, make_mesh
from linkjax.training.step import Trainer

LANGUAGES = ("sw", "tr", "et")
# lm_eval/tasks/xcopa/utils.py
CONNECTORS = {
    "sw": ("kwa sababu", "kwa hiyo"),
    "tr": ("çünkü", "bu yüzden"),
    "et": ("sest", "seetõttu"),
}
MODEL = ModelSettings(layers=2, width=32, heads=4, kv_heads=4, head_width=8, hidden=64)


class PlainModel(TemplateLM):
    """The harness's own way with texts, and one row at a time, padded, through the plain decoder."""

    eot_token_id, prefix_token_id = 1, 0

    def __init__(self, model):
        super().__init__()
        self._model = model

    def tok_encode(self, string, add_special_tokens=None, **_):
        ids = self._model.tokenizer.processor.encode(string)
        return ids if add_special_tokens is False else [0, *ids]

    def _loglikelihood_tokens(self, requests, **_):
        length = self._model.settings.sequence_length
        answers = []
        for _, context, continuation in requests:
            ids = (context + continuation)[-(length + 1) :]
            row = np.zeros((1, length), np.int32)
            row[0, : len(ids) - 1] = ids[:-1]
            places = np.arange(length, dtype=np.int32)[None]
            rows = {"tokens_BxL": row, "segments_BxL": np.ones_like(row), "positions_BxL": places}
            logits = self._model.trainer.logits(self._model.params, self._model.trainer.place(rows))[0]
            end = len(ids) - 1
            scores = jax.nn.log_softmax(logits, axis=-1)[end - len(continuation) : end]
            chosen = np.array(scores)[np.arange(len(continuation)), continuation]
            answers.append((float(chosen.sum()), False))
        return answers

    def loglikelihood_rolling(self, requests, disable_tqdm=False):
        raise NotImplementedError

    generate_until = loglikelihood_rolling


def loaded(tokenizer, length=128):
    settings = configs.run_settings(
        configs.run_config(model=MODEL, sequence_length=length, batch_size=16, mesh=MeshSettings(data=1))
    )
    trainer = Trainer.of(settings, make_mesh(settings.mesh, jax.devices()[:1]), len(tokenizer), 1)
    params = jax.tree.map(lambda values: 2 * values, trainer.initialise(0)["params"])
    return Loaded(trainer, params, tokenizer, settings, pathlib.Path("run"), 1)


@pytest.fixture(scope="module")
def model(real_data):
    # 1024 pieces are a vocabulary without padding, which our losses would have a share for, and the plain model not.
    texts = [(real_data / f"xcopa/val.{language}.jsonl").read_text() for language in LANGUAGES]
    return loaded(Tokenizer(train_tokenizer(texts, 1024, "unigram")))


def rows_of(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def xcopa_item(row, language, split):
    connector = CONNECTORS[language][row["question"] == "effect"]
    choices = [f" {row[name][0].lower()}{row[name][1:]}" for name in ("choice1", "choice2")]
    return {
        "id": f"{split}-{row['idx']}",
        "group": language,
        "cluster": f"{split}-{row['idx']}",
        "prompt": f"{row['premise'].strip()[:-1]} {connector}",
        "choices": choices,
        "answer": row["label"],
        "split": split,
    }


def xcopa_definition(name, language, test, validation):
    """The harness's own, reading local files."""
    return {
        "include": str(pathlib.Path(lm_eval.__file__).parent / f"tasks/xcopa/default_{language}.yaml"),
        "task": name,
        "dataset_path": "json",
        "dataset_name": None,
        "dataset_kwargs": {"data_files": {"test": str(test), "validation": str(validation)}},
        "metric_list": [{"metric": "acc"}, {"metric": "acc_norm"}, {"metric": "acc_bytes"}],
    }


def agree(model, found, items, name):
    """Our own records against what the harness found, with our model and with the plain one."""
    ranking = Ranking(items, model.tokenizer, *row_shape(model.settings))
    records = ranking.score(model.trainer.scorer(model.params))
    samples = sorted(found["samples"][name], key=lambda sample: sample["doc_id"])
    assert len(samples) == len(records) == len(items)
    asked = [Instance("loglikelihood", {}, tuple(pair), 0) for sample in samples for pair in _arguments(sample)]
    plain = iter(PlainModel(model).loglikelihood(asked, disable_tqdm=True))
    worst = 0.0
    for sample, record, item in zip(samples, records, items, strict=True):
        assert [pair[1] for pair in _arguments(sample)] == item["choices"]
        ours = np.array(record["log_likelihoods"])
        best = np.sort(ours)
        for answers in (_answers(sample), [next(plain) for _ in item["choices"]]):
            theirs = np.array([answer[0] for answer in answers])
            worst = max(worst, float(np.abs(theirs - ours).max()))
            if best[-1] - best[-2] > 1e-4:
                assert theirs.argmax() == ours.argmax()
    assert worst < 1e-4
    scores = summarise(records)
    assert scores["acc_harness"] == pytest.approx(found["results"][name]["acc,none"])
    for measure in ("acc_norm", "acc_bytes"):
        if f"{measure},none" in found["results"][name]:
            assert scores[measure] == pytest.approx(found["results"][name][f"{measure},none"])
    return worst, scores


def _arguments(sample):
    arguments = sample["arguments"]
    if isinstance(arguments, dict):
        arguments = [[one["arg_0"], one["arg_1"]] for one in arguments.values()]
    return arguments


def _answers(sample):
    return [answer[0] if isinstance(answer[0], list | tuple) else answer for answer in sample["resps"]]


def xcopa_parity(model, real_data, tmp_path, languages, count):
    for language in languages:
        rows = rows_of(real_data / f"xcopa/test.{language}.jsonl")[:count]
        test = tmp_path / f"{language}.jsonl"
        test.write_text("".join(json.dumps(row) + "\n" for row in rows))
        definition = xcopa_definition(
            f"xcopa_local_{language}", language, test, real_data / f"xcopa/val.{language}.jsonl"
        )
        (tmp_path / f"{language}.yaml").write_text(yaml.safe_dump(definition))
    names = [f"xcopa_local_{language}" for language in languages]
    found = ask(model, names, str(tmp_path), 0, 1234)
    for language, name in zip(languages, names, strict=True):
        items = [xcopa_item(row, language, "test") for row in rows_of(tmp_path / f"{language}.jsonl")]
        worst, scores = agree(model, found, items, name)
        print(f"{name}: {scores['n']} items, acc {scores['acc']:.3f}, greatest difference {worst:.1e}")
    return found


def test_xcopa_parity(model, real_data, tmp_path):
    xcopa_parity(model, real_data, tmp_path, ["sw"], 60)


@pytest.mark.slow
def test_xcopa_parity_on_all_items(model, real_data, tmp_path):
    found = xcopa_parity(model, real_data, tmp_path, LANGUAGES, 500)
    assert [len(samples) for samples in found["samples"].values()] == [500, 500, 500]


def test_few_shot_parity(model, real_data, tmp_path):
    """The same examples for the same items, laid out alike; what no row holds is cut alike."""
    rows = rows_of(real_data / "xcopa/test.et.jsonl")[:20]
    test = tmp_path / "test.jsonl"
    test.write_text("".join(json.dumps(row) + "\n" for row in rows))
    validation = real_data / "xcopa/val.et.jsonl"
    (tmp_path / "task.yaml").write_text(yaml.safe_dump(xcopa_definition("few", "et", test, validation)))
    found = ask(model, ["few"], str(tmp_path), 6, 7)
    pool = [xcopa_item(row, "et", "validation") for row in rows_of(validation)]
    items = with_examples([xcopa_item(row, "et", "test") for row in rows], pool, 6, 7, "few")
    samples = sorted(found["samples"]["few"], key=lambda sample: sample["doc_id"])
    for sample, item in zip(samples, items, strict=True):
        assert [request[0] for request in _arguments(sample)] == item["prompts"]
    _, scores = agree(model, found, items, "few")
    assert scores["truncated"] > 10


def test_cloze_parity(model, tmp_path):
    """A word that is missed, among seven others, and as the context (WinoGrande's layout)."""
    words = ["maji", "nyumba", "kitabu", "mti", "samaki", "ndege", "barabara", "chakula"]
    rows = [{"before": f"Mtu {index} aliona", "words": words, "label": index % 8} for index in range(24)]
    (tmp_path / "cloze.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    shared = {
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": str(tmp_path / "cloze.jsonl")}},
        "output_type": "multiple_choice",
        "test_split": "test",
        "metric_list": [{"metric": "acc"}, {"metric": "acc_norm"}],
    }
    definition = {"task": "cloze", "doc_to_text": "{{before}}", "doc_to_target": "label", "doc_to_choice": "words"}
    (tmp_path / "cloze.yaml").write_text(yaml.safe_dump(definition | shared))
    found = ask(model, ["cloze"], str(tmp_path), 0, 1)
    items = [
        {"id": row["before"], "group": "sw", "cluster": row["before"], "prompt": row["before"],
         "choices": [f" {word}" for word in words], "answer": row["label"]} for row in rows
    ]  # fmt: skip
    agree(model, found, items, "cloze")


@pytest.mark.parametrize(
    ("context", "ending"),
    [
        ("Mtu aliona", " maji"),
        ("Mtu aliona ", "maji"),
        ("Jibu:\n", "maji"),
        ("Jibu: \n\n", " maji mengi."),
        ("a  b", "  c"),
    ],
)
def test_prompt_and_ending_parity(model, context, ending):
    """They are cut where the harness itself cuts them."""
    asked = HarnessModel(model)
    ids, given = encode_pair(model.tokenizer, context, ending)
    assert TemplateLM._encode_pair(asked, context, ending) == ([0, *ids[:given]], ids[given:])


def test_rolling_parity(model):
    """A text alone is read as our own held-out text is, as long as it fits into a row."""
    from linkjax.evaluation.language import HeldoutText

    texts = ["Mtu aliona maji.", "", "Ürün balonlu naylonla paketlenmişti. " * 3]
    asked = [Instance("loglikelihood_rolling", {}, (text,), 0) for text in texts]
    found = HarnessModel(model).loglikelihood_rolling(asked)
    ours = HeldoutText(texts, model.tokenizer, *row_shape(model.settings))
    bits = ours.bits_per_byte(model.trainer.scorer(model.params))
    assert -sum(found) / np.log(2) / ours.bytes.sum() == pytest.approx(bits, rel=1e-6)
    assert found[1] == 0


def test_what_it_writes_ends_where_the_task_says(model):
    """Greedy pieces, cut before a stop or at the most; a long context loses its beginning."""
    from linkjax.generate import generate

    asked, context = HarnessModel(model, generate), "Mtu aliona maji"
    (pieces,) = generate(model, [context], Sampling(temperature=0), 8)
    whole = model.tokenizer.decode(model.tokenizer.encode(context) + pieces)[len(context) :]
    assert len(whole) > 4

    def written(context, **settings):
        request = Instance("generate_until", {}, (context, {"until": [], "do_sample": False, **settings}), 0)
        return asked.generate_until([request])

    assert written(context, max_gen_toks=8) == [whole]
    stop = whole[2:4]
    assert written(context, max_gen_toks=8, until=[stop, "never"]) == [whole.split(stop)[0]]
    long = "Mtu aliona maji. " * 60
    kept = model.tokenizer.encode(long)[-(asked.max_length - 8 - 1) :]
    (pieces,) = generate(model, [kept], Sampling(temperature=0), 8)
    cut = model.tokenizer.decode(kept + pieces)[len(model.tokenizer.decode(kept)) :]
    assert written(long, max_gen_toks=8) == [cut]
    sampled = Instance(
        "generate_until", {}, (context, {"until": [], "do_sample": True, "temperature": 1.0, "max_gen_toks": 8}), 0
    )
    rows = model.settings.rows_at_once
    answers = HarnessModel(model, generate, seed=1).generate_until([sampled] * 2 * rows)  # as for pass@k
    assert answers[:rows] != answers[rows:] and len(set(answers)) > rows
    assert HarnessModel(model, generate, seed=1).generate_until([sampled] * rows) == answers[:rows]
    assert HarnessModel(model, generate, seed=2).generate_until([sampled] * rows) != answers[:rows]
    with pytest.raises(UserError, match="have the model write take one process"):
        HarnessModel(model).generate_until([])


def test_the_command_line_asks_tasks_of_a_folder_that_rank_and_that_write(model, tmp_path, monkeypatch, capsys):
    (tmp_path / "rows.jsonl").write_text(
        "".join(
            json.dumps({"text": f"Mtu {n} aliona", "words": ["maji", "mti"], "label": n % 2}) + "\n" for n in range(4)
        )
    )
    data = {"dataset_path": "json", "dataset_kwargs": {"data_files": {"test": str(tmp_path / "rows.jsonl")}},
            "test_split": "test", "doc_to_text": "{{text}}"}  # fmt: skip
    rank = {"task": "ranked", "output_type": "multiple_choice", "doc_to_target": "label", "doc_to_choice": "words"}
    write = {"task": "written", "output_type": "generate_until", "doc_to_target": "maji",
             "generation_kwargs": {"until": ["\n"], "max_gen_toks": 4},
             "metric_list": [{"metric": "exact_match"}]}  # fmt: skip
    for task in (rank, write):
        (tmp_path / f"{task['task']}.yaml").write_text(yaml.safe_dump(data | task))
    monkeypatch.setattr(evaluate, "_load", lambda checkpoint, mesh: model)
    evaluate.run(
        coordinator="", processes="", process="", checkpoint="run", data="", tasks="ranked,written", shots="0",
        split="test", seed="1", mesh="", out=str(tmp_path / "results.json"), harness="yes", include_path=str(tmp_path),
    )  # fmt: skip
    said = capsys.readouterr().out
    assert "ranked" in said and "written" in said and "exact_match" in said
    found = json.loads((tmp_path / "results.json").read_text())
    assert 0 <= found["results"]["ranked"]["acc,none"] <= 1
    assert [len(sample["resps"][0]) for sample in found["samples"]["written"]] == [1] * 4


@pytest.mark.parametrize(
    ("tasks", "path", "says"), [(["nothing"], "", "knows no task 'nothing'"), (["x"], "nowhere", "is no folder")]
)
def test_what_the_harness_cannot_ask_is_said(model, tmp_path, tasks, path, says):
    with pytest.raises(UserError, match=says):
        ask(model, tasks, path or str(tmp_path), None, 1)
