"""From text to a trained model with a tokenizer of Hugging Face's: Llama's, whose documents begin with <s>."""

import dataclasses
import itertools
import json
import shutil

import pytest

from linkjax.config import load_config, run_settings
from linkjax.data.inspection import Sample, row_lines
from linkjax.data.pipeline import Stream, StreamSettings
from linkjax.data.prepared import Prepared
from linkjax.data.tokenizer import load_tokenizer
from linkjax.errors import UserError
from linkjax.evaluation.scoring import PackedSequences
from linkjax.generate import _Typewriter, generate
from linkjax.model.sampling import Sampling
from linkjax.prepare import prepare
from linkjax.probe import probe
from linkjax.train import train
from linkjax.training.load import load
from tests import hugging_tokenizers
from tests.conftest import ROOT

START, EOS = 1, 2
LINES = ["The friend of Anna keeps the cake, and Ben likes old houses."] * 20


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A small world prepared, and two steps trained on it: config, prepared folder, run's folder."""
    base = tmp_path_factory.mktemp("imported")
    config = load_config(f"{ROOT / 'configs/base.py'}:cpu")
    config.tokenizer.path = str(hugging_tokenizers.write("llama2", LINES, base / "model"))
    config.data, config.steps, config.eval_every = str(base / "data"), 2, 2
    config.model.layers, config.model.width, config.model.hidden = 1, 32, 48
    prepare(config, base / "data")
    train(config, base / "run")
    return config, Prepared(base / "data"), base / "run"


def test_the_prepared_folder_has_the_tokenizer_as_it_was(run, tmp_path):
    _, prepared, _ = run
    before = load_tokenizer(prepared.folder.parent / "model")
    assert (prepared.folder / "tokenizer.json").read_bytes() == before.description
    assert json.loads((prepared.folder / "tokenizer_ids.json").read_text()) == {"eos": EOS, "start": START, "pad": EOS}
    assert not (prepared.folder / "tokenizer.model").exists()
    for component in prepared.components:
        texts = [document.text for document in prepared.documents(component)]
        assert component["tokens"] == sum(len(before.encode(text)) + 1 for text in texts)
    for name in ("tokenizer.json", "tokenizer_ids.json"):
        copy = shutil.copytree(prepared.folder, tmp_path / name)
        (copy / name).write_text((copy / name).read_text().replace("2", "3"))
        with pytest.raises(UserError, match=f"{name} is missing or damaged"):
            Prepared(copy)


def test_rows_begin_and_end_documents_with_the_models_own_tokens(run):
    config, prepared, _ = run
    texts = {document.text for component in prepared.components for document in prepared.documents(component)}
    settings = dataclasses.replace(StreamSettings.of(run_settings(config)), sequence_length=256)
    sample, whole, swapped = Sample(prepared, settings, 4), 0, 0
    stream = Stream(prepared, settings)
    for batch in itertools.islice(stream, 8):
        sample.add(batch)
        for tokens_L, targets_L, segments_L, swapped_L in zip(
            *(batch[f"{name}_BxL"] for name in ("tokens", "targets", "segments", "swapped")), strict=True
        ):
            for segment in range(1, segments_L.max() + 1):
                tokens, targets = tokens_L[segments_L == segment], targets_L[segments_L == segment]
                assert (tokens[1:] == targets[:-1]).all()
                assert START not in targets
                assert EOS not in targets[:-1]
                if tokens[0] == START and targets[-1] == EOS:
                    swaps = swapped_L[segments_L == segment].any()
                    swapped += swaps
                    whole += not swaps and prepared.tokenizer.decode(targets) in texts
    stream.close()
    assert whole > 20
    assert swapped > 20
    for row in sample.rows():
        lines = "\n".join(row_lines(row, prepared.components, prepared.tokenizer, colour=False))
        ids = row.fields["targets"][row.fields["segments"] == 1]
        text = prepared.tokenizer.decode(ids)
        assert text in lines.replace("[", "").replace("]", "").replace("\n  ", "\n")
        if row.fields["swapped"].any():
            assert "[" in lines


def test_the_checkpoint_reads_and_writes_with_it(run, capsys):
    _, _, folder = run
    model = load(str(folder))
    assert model.tokenizer.ids == (EOS, START, EOS)
    prompts = ["Anna", "The friend of"]
    (written, _) = generate(model, prompts, Sampling(temperature=0), 6)
    score = model.trainer.scorer(model.params)
    ids = model.tokenizer.encode("Anna")
    # Greedy text is what the scorer finds greedy, behind the same start.
    sequence = [(ids + written, len(ids))]
    _, greedy = PackedSequences(sequence, 64, 8, start=START).score(score)
    assert greedy[0]
    pieces = model.tokenizer.encode("keeps ☃☃ cake")
    shown = []
    typewriter = _Typewriter(model, "Anna")
    for end in range(len(pieces) + 1):
        typewriter([pieces[:end]])
        shown.append(capsys.readouterr().out)
    typewriter.end([pieces])
    assert "".join(shown) == "Anna keeps ☃☃ cake"
    assert sum(map(bool, shown)) > 4


def test_probes_and_held_out_text(run):
    _, prepared, folder = run
    model = load(str(folder))
    found = probe(model, prepared, [])
    assert set(found["confusion"]) == set(prepared.languages)
    summary = json.loads((folder / "summary.json").read_text())
    for language in prepared.languages:
        assert 0 < summary[f"bits_per_byte/{language}"] < 20


def test_a_plain_seqio_program_has_the_same_ids(run):
    from linkjax.data.tasks import add_text_task
    from linkjax.data.vocabularies import TokenizerVocabulary

    _, prepared, _ = run
    vocabulary = TokenizerVocabulary(str(prepared.folder))
    task = add_text_task("imported", lambda split: LINES, splits=["train"], language="en", vocabulary=vocabulary)
    dataset = task.get_dataset({"targets": 256}, split="train", shuffle=False, num_epochs=1)
    (first, *_) = dataset
    ids = first["targets"].numpy().tolist()
    assert ids == [*prepared.tokenizer.encode(LINES[0]), EOS]
    assert vocabulary.decode(ids) == vocabulary.decode_tf(first["targets"]).numpy().decode() == LINES[0]
