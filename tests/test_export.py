"""Exported models: what transformers makes of them is what they are here."""

import itertools
import json
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tokenizers

from linkjax import export as verb
from linkjax.config import RunSettings
from linkjax.data.fast_tokenizer import FastTokenizer
from linkjax.data.special_ids import SpecialIds
from linkjax.data.tokenizer import EOS, PAD, Tokenizer, load_tokenizer, train_tokenizer
from linkjax.errors import UserError
from linkjax.export import export
from linkjax.generate import generate
from linkjax.huggingface import parameters
from linkjax.huggingface.folder import ModelFolder
from linkjax.huggingface.settings import from_config
from linkjax.huggingface.tokenizer import to_json
from linkjax.model.decoder import ModelSettings
from linkjax.model.sampling import Sampling
from linkjax.training.load import Loaded
from linkjax.training.optimizer import OptimizerSettings
from linkjax.training.sharding import MeshSettings, make_mesh
from linkjax.training.step import Trainer
from tests import hugging_tokenizers

LENGTH = 96
VARIANTS = list(itertools.product((True, False), (True, False)))  # QK-norm, tied
SENTENCES = {
    "en": ["The dog sees the cat by the water, and the cat sees the dog.", "In the evening they went home again.",
           "He said that 1,500 people had come from the north.", "Where is the house of my father's brother?"],
    "sw": ["Mbwa anaona paka karibu na maji, na paka anaona mbwa.", "Jioni walirudi nyumbani tena.",
           "Alisema kwamba watu 1,500 walikuja kutoka kaskazini.", "Nyumba ya ndugu wa baba yangu iko wapi?"],
    "de": ["Der Hund sieht die Katze am Wasser, und die Katze sieht den Hund.", "Am Abend gingen sie wieder heim.",
           "Er sagte, dass 1.500 Menschen aus dem Norden gekommen wären.", "Wo ist das Haus vom Bruder meines Vaters?"],
}  # fmt: skip
LINES = ["The friend of Anna keeps the cake, and Ben likes old houses."] * 20
FILES = {"en": "en/wikipedia.txt", "sw": "sw/new_testament.tsv", "de": "de/office_help.txt"}
ODD = [
    "", " ", "  ", "a", " a", "a ", "  a  b ", "\t", "a\tb", "a\nb\n", "\n\n", "\r\n", "▁", "a▁b", "▁▁ a", "</s>",
    "x </s> y", "<pad><unk>", "<0x41>", "a<0x0A>b <0x", "<0xZZ>", "ﬁ Ａ 語", "\0", "a\u00a0b", "é e\u0301", "\ufeffx",
    "😀 emoji 👨‍👩‍👧", "\u200b\u2028x", "مرحبا", "नमस्ते", "\U0010ffff", "\ufffd", "A" * 300, "[CLS]", "<s>",
]  # fmt: skip


def lines_of(language, real=None):
    if real is None:
        return SENTENCES[language]
    return [line for line in (real / FILES[language]).read_text(encoding="utf-8").split("\n") if line]


@pytest.fixture(scope="module")
def texts():
    """Fifty texts of three languages, some of two."""
    one = [text for texts in SENTENCES.values() for text in texts]
    pairs = [f"{first} {second}" for first, second in itertools.product(one, one) if first != second]
    return one + pairs[:: len(pairs) // 37][:38]


def trained(kind, lines, pieces=405):
    return train_tokenizer(lines, pieces, kind)


@pytest.fixture(scope="module", params=["unigram", "bpe"])
def sentencepiece_model(request, texts):
    return trained(request.param, texts * 3)


def random_params(trainer, seed=0):
    """As a trained model's: each parameter has something to say."""
    random = np.random.default_rng(seed)

    def of(path, leaf):
        is_norm = "norm_" in path[-1].key
        value = random.normal(size=leaf.shape) * (0.2 if is_norm else leaf.shape[-1] ** -0.5)
        return jnp.asarray((1 + value if is_norm else value).astype(leaf.dtype))

    return jax.tree_util.tree_map_with_path(of, trainer.abstract["params"])


def model_of(folder, model, **settings):
    """A model with random weights, as if loaded from a run's checkpoint in `folder`."""
    held = folder / "checkpoints" / "0"
    held.mkdir(parents=True)
    (held / "tokenizer.model").write_bytes(model)
    tokenizer = Tokenizer(model)
    shape = {"layers": 2, "width": 32, "heads": 4, "kv_heads": 2, "head_width": 12, "hidden": 48} | settings
    settings = ModelSettings(**shape)
    mesh = make_mesh(MeshSettings(), jax.devices()[:1])
    trainer = Trainer(settings, OptimizerSettings(), mesh, len(tokenizer), 1, 10)
    run = RunSettings(sequence_length=LENGTH, model=settings)
    return Loaded(trainer, random_params(trainer), tokenizer, run, folder, 0)


@pytest.fixture(scope="module", params=VARIANTS, ids=str)
def exported(request, tmp_path_factory, texts):
    """(the model, the folder it was exported to)."""
    qk_norm, tied = request.param
    folder = tmp_path_factory.mktemp("exported")
    tokenizer = trained("unigram" if qk_norm == tied else "bpe", texts * 3)
    base = 10_000.0 if tied else 500_000.0
    model = model_of(folder, tokenizer, qk_norm=qk_norm, tied_embeddings=tied, rope_base=base)
    assert len(model.tokenizer) % 128
    export(model, folder / "out", shard_gb=1e-4 if tied else 5)
    return model, folder / "out"


def ours(model, texts):
    """(ids, logits_LxV) of each text."""
    ids = [[PAD, *model.tokenizer.encode(text)] for text in texts]
    assert max(map(len, ids)) <= LENGTH
    tokens_BxL = np.array([one + [PAD] * (LENGTH - len(one)) for one in ids], np.int32)
    positions_BxL = np.tile(np.arange(LENGTH, dtype=np.int32), (len(ids), 1))
    rows = {"tokens_BxL": tokens_BxL, "segments_BxL": np.ones_like(tokens_BxL), "positions_BxL": positions_BxL}
    logits_BxLxV = np.asarray(model.trainer.logits(model.params, model.trainer.place(rows)))
    return [(one, logits_LxV[: len(one)]) for one, logits_LxV in zip(ids, logits_BxLxV, strict=True)]


def test_transformers_says_the_same_of_each_text(exported, texts):
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    model, folder = exported
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    theirs = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    wanted = "Qwen3ForCausalLM" if model.settings.model.qk_norm else "LlamaForCausalLM"
    assert (tokenizer.is_fast, type(theirs).__name__, len(tokenizer)) == (True, wanted, len(model.tokenizer))
    assert theirs.lm_head.weight.shape[0] == len(model.tokenizer)  # without our padding
    inputs = tokenizer(texts, return_tensors="pt", padding=True, padding_side="right")
    with torch.no_grad():
        logits_BxLxV = theirs(**inputs).logits.numpy()
    most = 0.0
    for (ids, logits_LxV), row_L, found in zip(ours(model, texts), inputs["input_ids"], logits_BxLxV, strict=True):
        assert row_L[: len(ids)].tolist() == ids
        most = max(most, np.abs(found[: len(ids)] - logits_LxV).max())
    assert np.std(logits_BxLxV) > 0.3  # there is something to differ
    assert most < 1e-4
    print(f"largest difference of logits {most:.1e}")

    if model.settings.model.qk_norm != model.settings.model.tied_embeddings:
        return  # two of the four are enough to write
    prompts = texts[:12:3]
    for prompt, written in zip(prompts, generate(model, prompts, Sampling(temperature=0), 16), strict=True):
        given = tokenizer(prompt, return_tensors="pt")
        with torch.no_grad():
            whole = theirs.generate(**given, max_new_tokens=16, do_sample=False)[0].tolist()
        assert tokenizer.decode(whole[: given["input_ids"].shape[1]], skip_special_tokens=True) == prompt
        new = whole[given["input_ids"].shape[1] :]
        assert [piece for piece in new if piece != tokenizer.eos_token_id] == written


def test_the_same_model_gives_the_same_bytes(exported, tmp_path):
    model, folder = exported
    export(model, tmp_path / "out", shard_gb=1e-4 if model.settings.model.tied_embeddings else 5)
    assert {path.name for path in folder.iterdir()} > {
        "config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "README.md"
    }  # fmt: skip
    for path in folder.iterdir():
        assert (tmp_path / "out" / path.name).read_bytes() == path.read_bytes() or path.name == "README.md"
    assert len(list(folder.glob("*.safetensors"))) == (2 if model.settings.model.tied_embeddings else 1)


def test_what_comes_in_again_goes_out_the_same(exported, tmp_path):
    """Through another run's checkpoint, whose tokenizer is the folder's."""
    model, folder = exported
    opened = ModelFolder.open(folder)
    settings = from_config(opened.config, "it")
    held = tmp_path / "run" / "checkpoints" / "0"
    held.mkdir(parents=True)
    tokenizer = load_tokenizer(folder)
    tokenizer.save(held)
    texts = [text for texts in SENTENCES.values() for text in texts]
    assert [tokenizer.encode(text) for text in texts] == [model.tokenizer.encode(text) for text in texts]
    assert (tokenizer.start, tokenizer.eos, len(tokenizer)) == (PAD, EOS, len(model.tokenizer))
    mesh = make_mesh(MeshSettings(data=1, fsdp=2, tensor=2), jax.devices()[:4])
    trainer = Trainer(settings, OptimizerSettings(), mesh, settings.vocabulary, 1, 10)
    params = parameters.from_folder(opened, settings, trainer.abstract["params"])
    run = RunSettings(sequence_length=LENGTH, model=settings)
    again = Loaded(trainer, params, tokenizer, run, tmp_path / "run", 0)
    export(again, tmp_path / "out", shard_gb=1e-4 if settings.tied_embeddings else 5)
    names = {path.name for path in folder.iterdir()}
    assert names == {path.name for path in (tmp_path / "out").iterdir()}
    for name in names - {"README.md"}:  # which says what it has been through
        assert (tmp_path / "out" / name).read_bytes() == (folder / name).read_bytes(), name


def test_half_the_size_and_the_padding_on_request(exported, tmp_path):
    model, folder = exported
    export(model, tmp_path / "half", dtype="bfloat16", padded=True, length=7)
    whole, half = ModelFolder.open(folder), ModelFolder.open(tmp_path / "half")
    padded = half.shape("model.embed_tokens.weight")[0]
    assert half.config["vocab_size"] == padded and padded % 128 == 0
    assert whole.config["vocab_size"] == len(model.tokenizer) < padded
    assert (half.config["max_position_embeddings"], whole.config["max_position_embeddings"]) == (7, LENGTH)
    for name in whole.names:
        found = half.read(name)[: whole.shape(name)[0]]
        assert str(found.dtype) == half.config["torch_dtype"] == "bfloat16"
        np.testing.assert_allclose(found.astype(np.float32), whole.read(name), rtol=2**-8)


def same_tokenizer(model):
    theirs = tokenizers.Tokenizer.from_str(json.dumps(to_json(model)))
    theirs.encode_special_tokens = True  # as tokenizer_config.json has it: split_special_tokens
    return Tokenizer(model), theirs


def test_odd_texts_have_the_same_ids_and_come_back(sentencepiece_model, texts):
    own, theirs = same_tokenizer(sentencepiece_model)
    for text in [*ODD, *texts, *("".join(pair) for pair in itertools.product(ODD, ["x", " "]))]:
        ids = own.encode(text)
        assert theirs.encode(text).ids == [PAD, *ids], repr(text)
        assert theirs.decode([PAD, *ids]) == own.decode(ids), repr(text)
        assert own.decode(ids) == text.replace("▁", " ")


@pytest.mark.parametrize("kind", ["unigram", "bpe"])
def test_real_texts_have_the_same_ids(real_data, kind):
    """But where two ways to cut a word are equally good."""
    lines = [line for language in FILES for line in lines_of(language, real_data)[::6]]
    model = trained(kind, lines[::5], 4000)
    own, theirs = same_tokenizer(model)
    scores = dict(to_json(model)["model"]["vocab"]) if kind == "unigram" else {}
    differ = 0
    for line, found in zip(lines, theirs.encode_batch(lines), strict=True):
        ids = own.encode(line)
        assert theirs.decode(ids) == own.decode(ids) == line
        if found.ids != [PAD, *ids]:
            differ += 1
            sums = [sum(scores[own.piece(token)] for token in some) for some in (ids, found.ids[1:])]
            assert kind == "unigram" and sums[0] == pytest.approx(sums[1], abs=1e-5), line
    assert differ <= len(lines) / 1000
    print(f"{differ} of {len(lines)} lines")


def test_what_has_no_place_there_is_refused(tmp_path, texts):
    model = model_of(tmp_path / "run", trained("bpe", texts), logit_cap=30.0)
    with pytest.raises(UserError, match=r"logits are capped \(model.logit_cap 30.0\)"):
        export(model, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("option", "says"),
    [({"checkpoint": ""}, "--checkpoint is missing"), ({"out": ""}, "--out is missing"),
     ({"dtype": "float16"}, "choose float32 or bfloat16"), ({"padded": "maybe"}, "choose yes or no"),
     ({"length": "-1"}, "--length is '-1'"), ({"shard_gb": "nan"}, "--shard_gb is 'nan'"),
     ({"checkpoint": "nowhere"}, "'nowhere' holds no checkpoints"), ({"out": str(pathlib.Path(__file__).parent)},
                                                                    "is there already")],
    ids=str,
)  # fmt: skip
def test_options_are_checked(tmp_path, option, says):
    options = {"checkpoint": "runs/x", "out": str(tmp_path / "out"), "dtype": "float32", "padded": "no", "length": "0",
               "shard_gb": "5"}  # fmt: skip
    with pytest.raises(UserError, match=says):
        verb.run(**{**options, **option})


@pytest.mark.parametrize(("puts", "start"), [(None, 1), (1, 2), (1, 1)])
def test_the_token_before_a_text_is_that_of_the_training(puts, start, tmp_path):
    """Whatever tokenizer.json puts there by itself: a model's tokenizer_config.json may have had the last word."""
    model = model_of(tmp_path, train_tokenizer(LINES, 300, "bpe"))
    described = json.loads(hugging_tokenizers.train("llama2", LINES).to_str())
    if puts is None:
        described["post_processor"] = None
    made = FastTokenizer(json.dumps(described).encode(), SpecialIds(eos=2, start=start, pad=2))
    made.save(tmp_path / "checkpoints" / "0")
    export(model._replace(tokenizer=made), tmp_path / "out")
    assert load_tokenizer(tmp_path / "out").ids == made.ids
    own = tokenizers.Tokenizer.from_file(str(tmp_path / "out" / "tokenizer.json"))
    assert own.encode("The cake").ids == [start] * (start != 2) + made.encode("The cake")
    assert (own.to_str() == tokenizers.Tokenizer.from_str(json.dumps(described)).to_str()) == (puts == start)
