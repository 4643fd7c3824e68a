import contextlib
import math

import jax
import numpy as np
import pytest

from linkjax.data.pipeline import Stream
from linkjax.data.tokenizer import PAD
from linkjax.evaluation.byte_ngram import ByteTrigram, trigram_bits_per_byte
from linkjax.evaluation.ranking import Ranking, accuracies, judge
from linkjax.evaluation.scoring import PackedSequences
from linkjax.evaluation.suite import Suite
from linkjax.model.decoder import ModelSettings
from linkjax.training.optimizer import OptimizerSettings
from linkjax.training.sharding import MeshSettings, make_mesh
from linkjax.training.step import Trainer


@pytest.fixture(scope="module")
def score_rows(toy):
    """A model that has seen a little."""
    from linkjax.data.pipeline import StreamSettings
    from linkjax.substitution import LinkSettings

    model = ModelSettings(layers=2, width=32, heads=4, kv_heads=4, head_width=8, hidden=64)
    mesh = make_mesh(MeshSettings(), jax.devices()[:1])
    trainer = Trainer(model, OptimizerSettings(learning_rate=1e-2), mesh, len(toy.tokenizer), 2, 30)
    state = trainer.initialise(0)
    with contextlib.closing(Stream(toy, StreamSettings(16, 64, 8, 0, LinkSettings(), 100))) as stream:
        for _ in range(30):
            state, _ = trainer.update(state, trainer.place(next(stream)))
    return lambda rows: jax.device_get(trainer.score(state["params"], trainer.place(rows)))


def sequences(toy, count=40):
    return [
        (toy.tokenizer.encode(document.text), place % 4)
        for place, document in enumerate(list(toy.documents(toy.components[0]))[:count])
    ]


@pytest.mark.parametrize(("length", "rows"), [(64, 16), (32, 4), (128, 8)])
def test_packing_and_batching_change_no_score(toy, score_rows, length, rows):
    several = sequences(toy)
    together, greedy = PackedSequences(several, length, rows, start=PAD).score(score_rows)
    alone = [PackedSequences([one], 64, 1, start=PAD).score(score_rows) for one in several]
    np.testing.assert_allclose(together, [losses[0] for losses, _ in alone], atol=1e-4)
    assert greedy.tolist() == [hits[0] for _, hits in alone]


def test_scores_are_those_of_the_plain_model(toy, score_rows):
    ids, given = toy.tokenizer.encode("Anna keeps goats."), 2
    rows = {
        "tokens_BxL": np.array([[0, *ids[:-1]]], np.int32),
        "targets_BxL": np.array([ids], np.int32),
        "segments_BxL": np.ones((1, len(ids)), np.int32),
        "positions_BxL": np.arange(len(ids), dtype=np.int32)[None],
    }
    losses, _ = score_rows(rows)
    assert PackedSequences([(ids, given)], 64, 2, start=PAD).score(score_rows)[0][0] == pytest.approx(
        losses[0, given:].sum(), abs=1e-4
    )


def test_long_sequences_are_scored_whole(toy, score_rows):
    ids = toy.tokenizer.encode("Anna keeps goats. " * 12)
    (total,), _ = PackedSequences([(ids, 0)], 16, 4, start=PAD).score(score_rows)
    parts = [(ids[start : start + 16], ids[start - 1] if start else 0) for start in range(0, len(ids), 16)]
    expected = 0
    for part, before in parts:
        rows = {
            "tokens_BxL": np.array([[before, *part[:-1]]], np.int32),
            "targets_BxL": np.array([part], np.int32),
            "segments_BxL": np.ones((1, len(part)), np.int32),
            "positions_BxL": np.arange(len(part), dtype=np.int32)[None],
        }
        expected += score_rows(rows)[0].sum()
    assert total == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("losses", "greedy", "answer", "verdict"),
    [
        ([1.0, 2.0, 3.0], [True, False, False], 0, (True, True)),
        ([2.0, 1.0, 3.0], [False, True, False], 0, (False, False)),
        ([1.0, 1.0, 3.0], [True, False, False], 0, (False, True)),
        ([math.nan, 1.0, 2.0], [True, True, True], 0, (False, False)),
        ([1.0, math.nan, 2.0], [False, False, False], 0, (False, False)),
        ([-math.inf, 1.0, 2.0], [True, False, False], 0, (False, False)),
    ],
)
def test_ties_and_nan_are_wrong(losses, greedy, answer, verdict):
    found = judge(np.array(losses), np.array(greedy), [" a", " b", " c"], answer)
    assert (found["correct"], found["open"]) == verdict
    assert not found["correct"] or (found["correct_norm"] and found["correct_harness"])


@pytest.mark.parametrize("value", [1.0, math.nan])
def test_constant_and_nan_models_score_nothing(toy, value):
    items = toy.items("toy_world_facts")

    def score(rows):
        return np.full(rows["targets_BxL"].shape, value), np.zeros(rows["targets_BxL"].shape, bool)

    scores = accuracies(Ranking(items, toy.tokenizer, 64, 16).score(score), "fact_accuracy")
    assert set(scores.values()) == {0.0}
    assert any("margin" in name for name in scores) == math.isfinite(value)


def oracle(items, tokenizer):
    """Scores as if it knew every answer: the right ending's tokens cost nothing."""
    right = {tuple(tokenizer.encode(item["prompt"] + item["choices"][item["answer"]])) for item in items}

    def score(rows):
        losses = np.ones(rows["targets_BxL"].shape)
        for row, segments in enumerate(rows["segments_BxL"]):
            for segment in range(1, segments.max() + 1):
                inside = segments == segment
                losses[row, inside] = tuple(rows["targets_BxL"][row, inside].tolist()) not in right
        return losses, losses == 0

    return score


def test_an_oracle_scores_everything_and_permuted_answers_score_chance(toy):
    items = [item for item in toy.items("toy_world_facts") if item["group"] == "target_heldout"]
    score = oracle(items, toy.tokenizer)
    records = Ranking(items, toy.tokenizer, 64, 16).score(score)
    assert accuracies(records, "a") == {
        "a/target_heldout": 1.0,
        "a_open/target_heldout": 1.0,
        "a_margin/target_heldout": pytest.approx(np.mean([record["margin"] for record in records])),
    }
    assert min(record["margin"] for record in records) > 0
    answers = np.random.default_rng(0).permutation([item["answer"] for item in items])
    permuted = [{**item, "answer": int(answer)} for item, answer in zip(items, answers, strict=True)]
    found = accuracies(Ranking(permuted, toy.tokenizer, 64, 16).score(score), "a")["a/target_heldout"]
    assert abs(found - 1 / 8) < 4 * (7 / 64 / len(items)) ** 0.5


@pytest.mark.parametrize("language", ["en", "qaa"])
def test_always_the_same_value_scores_exactly_chance(toy, language):
    """The blind model: it prefers one value of each relation whatever the subject."""
    groups = ("target_heldout", "target_told", "target_nowhere") if language == "qaa" else ("english_nowhere",)
    for group in groups:
        items = [item for item in toy.items("toy_world_facts") if item["group"] == group]
        for choice in range(8):
            assert np.mean([item["answer"] == choice for item in items]) == 1 / 8


def test_suite_measures_the_folder(toy, score_rows):
    metrics, records = Suite(toy, 64, 16).run(score_rows)
    assert {
        "fact_accuracy/english",
        "fact_accuracy/target_heldout",
        "fact_accuracy/target_told",
        "fact_accuracy/target_nowhere",
        "fact_accuracy_open/target_heldout",
        "bits_per_byte/en",
        "bits_per_byte/qaa",
    } <= metrics.keys()
    assert len(records) == len(toy.items("toy_world_facts"))
    texts = [document.text for document in toy.heldout(toy.components[1])]
    losses, _ = PackedSequences([(toy.tokenizer.encode(text), 0) for text in texts], 64, 16, start=PAD).score(
        score_rows
    )
    expected = losses.sum() / math.log(2) / sum(len(text.encode()) for text in texts)
    assert metrics["bits_per_byte/qaa"] == pytest.approx(expected)


def test_a_token_across_prompt_and_ending_is_scored(toy):
    item = {"prompt": "Anna ", "choices": ["keeps.", "plays."], "id": "i", "answer": 1, "group": "g", "cluster": "c"}
    (record,) = Ranking([item], toy.tokenizer, 64, 4).score(oracle([item], toy.tokenizer))
    assert record["correct"]


def test_items_longer_than_a_row_lose_the_beginning_of_their_prompt(toy, score_rows):
    """As lm-evaluation-harness has it: the last tokens that fit, and one before them to begin with."""
    item = {
        "id": "long",
        "prompt": "Anna " * 100,
        "choices": [" keeps", " plays"],
        "answer": 0,
        "group": "g",
        "cluster": "c",
    }
    (record,) = Ranking([item], toy.tokenizer, 64, 16).score(score_rows)
    assert record["truncated"]
    ids = toy.tokenizer.encode(item["prompt"].rstrip() + " " + " keeps")[-65:]
    rows = {
        "tokens_BxL": np.array([ids[:-1]], np.int32),
        "targets_BxL": np.array([ids[1:]], np.int32),
        "segments_BxL": np.ones((1, 64), np.int32),
        "positions_BxL": np.arange(64, dtype=np.int32)[None],
    }
    scored = len(toy.tokenizer.encode(item["prompt"] + " keeps")) - len(toy.tokenizer.encode(item["prompt"].rstrip()))
    assert record["log_likelihoods"][0] == pytest.approx(-score_rows(rows)[0][0, -scored:].sum(), abs=1e-4)


def test_trigram_yardstick():
    assert trigram_bits_per_byte(["abcabcabc" * 500], ["abcabc" * 50]) < 0.1
    random = np.random.default_rng(0)
    noise = bytes(random.integers(97, 97 + 16, 200_000, np.uint8)).decode()
    assert trigram_bits_per_byte([noise], [noise[::-1][:20_000]]) == pytest.approx(4, abs=0.1)
    assert trigram_bits_per_byte(["abc"], ["é"]) > 7  # unseen bytes cost about a byte
    assert math.isnan(trigram_bits_per_byte(["abc"], []))


def test_trigram_is_a_distribution():
    """The probabilities of all next bytes after any two sum to one; 128 and above cannot be asked for as text."""
    model = ByteTrigram(["hello world", "help the wolf"])
    for before in ("he", "zz", "wo"):
        total = sum(2.0 ** (model.bits(before) - model.bits(before + chr(byte))) for byte in range(128))
        assert 0.4 < total <= 1.0
