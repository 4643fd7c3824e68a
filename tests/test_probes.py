"""Looking into a model: what is found is what was put there."""

import dataclasses
import pathlib

import jax
import numpy as np
import pytest

from linkjax.config import RunSettings
from linkjax.errors import UserError
from linkjax.evaluation.probes import Languages, layers, precision, sentence_retrieval, vectors, word_translation, words
from linkjax.model.decoder import ModelSettings
from linkjax.probe import probe, read_pairs, table
from linkjax.substitution import LinkSettings
from linkjax.training.load import Loaded
from linkjax.training.optimizer import OptimizerSettings
from linkjax.training.sharding import MeshSettings, make_mesh
from linkjax.training.step import Trainer

MODEL = ModelSettings(layers=2, width=32, heads=4, kv_heads=2, head_width=8, hidden=48, tied_embeddings=False)


@pytest.fixture(scope="module")
def model(toy):
    trainer = Trainer(
        MODEL, OptimizerSettings(), make_mesh(MeshSettings(), jax.devices()[:1]), len(toy.tokenizer), 1, 9
    )
    settings = RunSettings(sequence_length=32, link=LinkSettings(holdout=0.25))
    return Loaded(trainer, trainer.initialise(0)["params"], toy.tokenizer, settings, pathlib.Path(), 0)


def of(model, texts, length=32, params=None):
    return vectors(model.trainer, model.params if params is None else params, model.tokenizer, texts, length)


def test_precision_counts_the_nearest_and_only_it():
    candidates_CxD = np.eye(4)
    right = [{0}, {1}, {2, 3}]
    found = precision(candidates_CxD[:3] + 0.1, candidates_CxD, right)
    assert found == {"precision": 1.0, "chance": pytest.approx(4 / 3 / 4), "n": 3, "candidates": 4}
    assert precision(candidates_CxD[:3], candidates_CxD, [{1}, {0}, {0}])["precision"] == 0
    assert precision(np.ones((3, 4)), candidates_CxD, right)["precision"] == 0  # all are equally near
    assert precision(np.full((3, 4), np.nan), candidates_CxD, right)["precision"] == 0
    assert precision(candidates_CxD[:3], np.full((4, 4), np.nan), right)["precision"] == 0
    random = np.random.default_rng(0)
    guessed = precision(
        random.normal(size=(4000, 8)), random.normal(size=(10, 8)), [{index % 10} for index in range(4000)]
    )
    assert guessed["precision"] == pytest.approx(guessed["chance"], abs=0.03)


def test_a_text_is_looked_at_by_itself(model, toy):
    """Neither the texts beside it nor the room behind it matter; at the input it is the mean of its embeddings."""
    texts = ["Anna", "the friend of Anna keeps the cake", "cake"]
    found_NxTxD = of(model, texts)
    assert len(found_NxTxD) == len(layers(model.trainer)) == 4
    np.testing.assert_allclose(of(model, texts[::-1])[:, ::-1], found_NxTxD, atol=1e-6)
    np.testing.assert_allclose(of(model, texts[:1], 16)[:, 0], found_NxTxD[:, 0], atol=1e-5)
    ids = toy.tokenizer.encode(texts[1])
    np.testing.assert_allclose(found_NxTxD[0, 1], model.params["embedding_VxD"][np.array(ids)].mean(0), atol=1e-6)
    np.testing.assert_allclose(found_NxTxD[-1, 1], model.params["output_VxD"][np.array(ids)].mean(0), atol=1e-6)
    assert np.abs(found_NxTxD[1, 0] - found_NxTxD[2, 0]).max() > 1e-3


def test_vectors_are_the_same_on_a_mesh(model, toy):
    mesh = make_mesh(MeshSettings(data=2, fsdp=2, tensor=2), jax.devices()[:8])
    other = dataclasses.replace(model.trainer, mesh=mesh)
    texts = ["Anna keeps", "cake", "the friend"]
    there = vectors(other, jax.device_put(model.params, other.shardings["params"]), toy.tokenizer, texts, 32)
    np.testing.assert_allclose(there, of(model, texts), atol=1e-5)


def test_words_whose_embeddings_are_those_of_their_translations_are_found(model, toy):
    """And found nowhere else than where they are the same."""
    [language] = toy.lexicons
    entries = toy.lexicons[language].entries
    embedding_VxD = np.array(model.params["embedding_VxD"])
    chosen, taken = {}, set()
    for word, (target, *_) in sorted(entries.items()):
        pieces = [toy.tokenizer.encode(text) for text in (word, target)]
        if [len(ids) for ids in pieces] == [1, 1] and not taken & {pieces[0][0], pieces[1][0]}:
            embedding_VxD[pieces[1][0]] = embedding_VxD[pieces[0][0]]
            taken |= {pieces[0][0], pieces[1][0]}
            chosen[word] = (target,)
    assert len(chosen) > 20
    params = {**model.params, "embedding_VxD": embedding_VxD}
    found = word_translation(chosen, lambda texts: of(model, texts, params=params), layers(model.trainer))
    assert found["input"]["precision"] == 1
    assert found["output"]["precision"] < 0.3
    assert found["layer 1"]["precision"] > 0.9
    assert word_translation({"a dog": ("mbwa",), "cat": ("paka la mwitu",)}, None, ["input"]) == {}


def test_sentences_are_found_by_what_they_share(model):
    same = [(f"Anna keeps the {thing}", f"Anna keeps the {thing}") for thing in ("cake", "friend", "house", "dog")]
    found = sentence_retrieval(same, lambda texts: of(model, texts), layers(model.trainer))
    assert all(layer["precision"] == 1 and layer["chance"] == 0.25 for layer in found.values())


def test_which_words_and_pieces_are_foreign(toy):
    languages = Languages({"en": ["the cake the friend"], "xx": ["zoru the mika"]}, toy.tokenizer)
    assert languages.foreign_words("en", ["The mika, unheard 7 cake"]) == {"share": 1 / 3, "words": 3}
    assert languages.foreign_words("xx", ["The mika, unheard 7 cake"]) == {"share": 1 / 3, "words": 3}
    assert languages.foreign_words("en", ["unheard"]) == {"share": 0.0, "words": 0}
    foreign_V = languages.foreign_pieces("en")
    assert foreign_V[toy.tokenizer.encode("the")].sum() == 0
    assert set(np.flatnonzero(languages.foreign_pieces("xx"))) & set(np.flatnonzero(foreign_V)) == set()
    assert 0 < foreign_V.sum() <= len(toy.tokenizer.encode("zoru mika"))
    assert words(["Ng'ombe wa_2 Ülke"]) == ["ng", "ombe", "wa", "ülke"]


def test_all_of_it_on_a_prepared_folder(model, toy):
    found = probe(model, toy, [("Anna keeps", "Anna keeps"), ("cake", "cake")])
    [language] = toy.lexicons
    parts = found["word_translation"][language]
    assert set(parts) == {"swapped", "held out"}
    for part in parts.values():
        for layer in part.values():
            assert layer["precision"] < 0.2  # a model that has learned nothing
    assert parts["swapped"]["input"]["n"] > parts["held out"]["input"]["n"] > 5
    assert set(found["confusion"]) == {"en", language}
    for of_language in found["confusion"].values():
        assert 0 < of_language["foreign_probability"] < 1
        assert of_language["words"] > 0
        assert of_language["foreign_words_of_heldout_text"] < 0.05
    text = table(found)
    assert f"word translation {language}, held out" in text
    assert "sentence retrieval" in text


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("one\tmoja\nno tab\n", "line 2 is not 'english<TAB>translation': 'no tab'"),
        ("one\tmoja\ttatu\n", "line 1 is not"),
        ("one\t \n", "line 1 is not"),
        ("one\tmoja\n", "has 1 pairs of sentences"),
        ("", "has 0 pairs"),
    ],
)
def test_files_of_pairs_are_checked(tmp_path, text, says):
    (tmp_path / "pairs.tsv").write_text(text)
    with pytest.raises(UserError, match=says):
        read_pairs(tmp_path / "pairs.tsv")
