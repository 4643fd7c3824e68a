"""Writing text: what the cache gives is what the whole row gives, and what is drawn is what was asked for."""

import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from linkjax.config import RunSettings
from linkjax.data.tokenizer import EOS, PAD
from linkjax.errors import UserError
from linkjax.generate import _Typewriter, generate
from linkjax.model.decoder import ModelSettings
from linkjax.model.sampling import Sampling, allowed, draw
from linkjax.training.load import Loaded
from linkjax.training.optimizer import OptimizerSettings
from linkjax.training.sharding import MeshSettings, make_mesh
from linkjax.training.step import Trainer

LENGTH = 48
GREEDY = Sampling(temperature=0)
MODELS = {
    "groups": ModelSettings(layers=2, width=32, heads=4, kv_heads=2, head_width=8, hidden=48),
    "untied": ModelSettings(layers=1, width=32, heads=4, kv_heads=4, head_width=8, hidden=48, tied_embeddings=False,
                            qk_norm=False, logit_cap=5.0),
}  # fmt: skip


def loaded(toy, model="groups", devices=1, length=LENGTH, **mesh):
    mesh = make_mesh(MeshSettings(**mesh), jax.devices()[:devices])
    trainer = Trainer(MODELS[model], OptimizerSettings(), mesh, len(toy.tokenizer), 1, 10)
    params = trainer.initialise(0)["params"]
    return Loaded(trainer, params, toy.tokenizer, RunSettings(sequence_length=length), pathlib.Path(), 0)


def uncached(model, ids):
    """logits_LxV of one document, read as a whole."""
    rows = np.full((8, LENGTH), PAD, np.int32)
    rows[:, 1 : len(ids) + 1] = ids[: LENGTH - 1]
    positions = np.tile(np.arange(LENGTH, dtype=np.int32), (8, 1))
    batch = {"tokens_BxL": rows, "segments_BxL": np.ones_like(rows), "positions_BxL": positions}
    return np.asarray(model.trainer.logits(model.params, model.trainer.place(batch)))[0]


@pytest.mark.parametrize(
    ("model", "devices", "mesh"),
    [("groups", 1, {}), ("untied", 1, {}), ("groups", 8, {"data": 4, "tensor": 2}), ("groups", 4, {"fsdp": 4})],
    ids=str,
)
def test_cached_logits_are_those_of_the_whole_row(toy, model, devices, mesh):
    """Prompts of different lengths, then token by token up to the last place."""
    model, random = loaded(toy, model, devices, **{"data": 1, **mesh}), np.random.default_rng(0)
    rows, width = 8, 16
    ids_BxL = random.integers(2, len(toy.tokenizer), (rows, LENGTH - 1))
    expected = [uncached(model, ids.tolist()) for ids in ids_BxL]
    lengths_B = random.integers(1, width + 1, rows).astype(np.int32)
    tokens_BxL = np.concatenate([np.full((rows, 1), PAD), ids_BxL], axis=1).astype(np.int32)
    junk_BxL = np.where(np.arange(width)[None] < lengths_B[:, None], tokens_BxL[:, :width], 7).astype(np.int32)
    positions_BxL = np.tile(np.arange(width, dtype=np.int32), (rows, 1))
    cache = model.trainer.empty_cache(rows, LENGTH)
    logits_BxV, cache = model.trainer.extend(model.params, junk_BxL, positions_BxL, lengths_B - 1, cache)
    while True:
        for row, length in enumerate(lengths_B):
            np.testing.assert_allclose(logits_BxV[row], expected[row][length - 1], atol=2e-5)
        if lengths_B.max() == LENGTH:
            break
        next_Bx1 = np.take_along_axis(tokens_BxL, lengths_B[:, None], axis=1)
        zeros_B = np.zeros(rows, np.int32)
        logits_BxV, cache = model.trainer.extend(model.params, next_Bx1, lengths_B[:, None], zeros_B, cache)
        lengths_B = lengths_B + 1


def by_hand(model, prompt, tokens):
    """The most likely piece each time, the whole row read again for each."""
    given, written = model.tokenizer.encode(prompt), []
    while len(written) < tokens and len(given) + len(written) < LENGTH:
        piece = int(uncached(model, given + written)[len(given + written)].argmax())
        if piece == EOS:
            break
        written.append(piece)
    return written


def test_several_prompts_at_once_are_written_as_each_alone(toy):
    model = loaded(toy, devices=8, data=8)
    prompts = ["Anna keeps", "", "The friend of Anna keeps the", "A"]
    together = generate(model, prompts, GREEDY, 12)
    assert together == [by_hand(model, prompt, 12) for prompt in prompts]
    assert together[:1] == generate(model, prompts[:1], GREEDY, 12)
    assert any(together)
    drawn = generate(model, prompts, Sampling(temperature=2.0), 12, seed=3)
    assert drawn == generate(model, prompts, Sampling(temperature=2.0), 12, seed=3)
    assert drawn != generate(model, prompts, Sampling(temperature=2.0), 12, seed=4)
    assert drawn[:2] == generate(model, prompts[:2], Sampling(temperature=2.0), 12, seed=3)


def test_it_ends_where_the_row_does_and_with_the_document(toy):
    model = loaded(toy)
    prompt = "Anna keeps " * 5
    given = len(toy.tokenizer.encode(prompt))
    written = generate(model, [prompt, "A"], GREEDY, 1000)
    assert len(written[0]) == LENGTH - given  # the last piece is said of the last place
    assert len(written[1]) == LENGTH - len(toy.tokenizer.encode("A"))
    assert written[1] == by_hand(model, "A", 1000)
    with pytest.raises(UserError, match=r"a prompt has \d+ tokens, the model's rows have 48: shorten it"):
        generate(model, ["Anna keeps " * 30], GREEDY, 4)
    wanted = model.params["embedding_VxD"].at[EOS].set(100.0 * model.params["embedding_VxD"][written[1][3]])
    ending = model._replace(params={**model.params, "embedding_VxD": wanted})
    ended = generate(ending, ["A"], GREEDY, 1000)[0]
    assert len(ended) < 20
    assert EOS not in ended


def test_what_may_be_drawn():
    logits_BxV = jnp.log(jnp.array([[0.5, 0.3, 0.15, 0.05], [0.05, 0.15, 0.3, 0.5]]))

    def kept(**settings):
        return np.isfinite(allowed(logits_BxV, Sampling(**settings))).astype(int).tolist()

    assert kept() == [[1, 1, 1, 1], [1, 1, 1, 1]]
    assert kept(top_k=2) == [[1, 1, 0, 0], [0, 0, 1, 1]]
    assert kept(top_k=9) == kept()
    assert kept(top_p=0.5) == [[1, 0, 0, 0], [0, 0, 0, 1]]
    assert kept(top_p=0.6) == [[1, 1, 0, 0], [0, 0, 1, 1]]
    assert kept(top_p=0.9) == [[1, 1, 1, 0], [0, 1, 1, 1]]
    assert kept(top_k=3, top_p=0.6) == [[1, 1, 0, 0], [0, 0, 1, 1]]  # 0.5 of 0.95 is less than 0.6
    assert kept(top_k=2, top_p=0.62) == [[1, 0, 0, 0], [0, 0, 0, 1]]  # 0.5 of 0.8 is more


def test_draws_are_as_frequent_as_they_are_likely():
    logits_BxV = jnp.tile(jnp.log(jnp.array([0.5, 0.3, 0.15, 0.05])), (20_000, 1))
    drawn_B = np.asarray(draw(logits_BxV, jax.random.key(0), Sampling(temperature=0.5)))
    squared = np.array([0.5, 0.3, 0.15, 0.05]) ** 2
    np.testing.assert_allclose(np.bincount(drawn_B) / 20_000, squared / squared.sum(), atol=0.01)
    assert np.asarray(draw(logits_BxV[:3], jax.random.key(0), GREEDY)).tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ("settings", "says"),
    [({"temperature": -1.0}, "--temperature=-1.0"), ({"top_k": -1}, "--top_k=-1"), ({"top_p": 0.0}, "--top_p=0.0"),
     ({"top_p": float("nan")}, "--top_p=nan")],
)  # fmt: skip
def test_settings_are_checked(settings, says):
    with pytest.raises(UserError, match=says):
        Sampling(**settings)


def test_text_is_printed_as_it_comes_and_no_half_letters(toy, capsys):
    model = loaded(toy)
    pieces = toy.tokenizer.encode("keeps ☃☃ cake")  # in bytes, for it is in no word of the world
    shown = []
    typewriter = _Typewriter(model, "Anna")
    for end in range(len(pieces) + 1):
        typewriter([pieces[:end]])
        shown.append(capsys.readouterr().out)
    typewriter.end([pieces])
    assert "\ufffd" not in "".join(shown)
    assert "".join(shown) == "Anna keeps ☃☃ cake"
    assert capsys.readouterr().out == "\n"
    assert sum(map(bool, shown)) > 4
