"""LINK's claim in small: knowledge told in English only is there in the target language, with the right pairs."""

import json

import pytest

from tasks.world import LANGUAGE, World, WorldSettings
from tests import hugging_tokenizers
from tests.test_runs import run


def scores_of(arms, tmp_path, steps, data, *flags):
    """Arm -> summary of a run with the arm's flags."""
    scores = {}
    for arm, of_arm in arms.items():
        workdir = tmp_path / arm
        folders = [f"--config.data={data}", f"--workdir={workdir}"]
        sizes = [f"--config.steps={steps}", f"--config.eval_every={steps}"]
        run("train", "--config=configs/base.py", *folders, *sizes, *flags, *of_arm)
        scores[arm] = json.loads((workdir / "summary.json").read_text())
    return scores


def test_right_pairs_carry_facts_over_and_wrong_pairs_do_not(tmp_path, toy_folder):
    scores = scores_of({"right": [], "wrong": ["--config.link.scramble=True"]}, tmp_path, 400, toy_folder)
    assert scores["right"]["fact_accuracy/target_heldout"] > 0.5
    assert scores["wrong"]["fact_accuracy/target_heldout"] < 0.25
    for summary in scores.values():
        assert summary["fact_accuracy/english"] > 0.9
        assert summary["fact_accuracy/target_told"] > 0.6
        assert summary["fact_accuracy/target_nowhere"] < 0.3
        assert summary["link/swapped_share"] > 0.2


@pytest.mark.slow
@pytest.mark.parametrize(("family", "tokenizer"), [("Qwen3", "qwen"), ("Llama", "llama2")])
def test_a_model_of_transformers_goes_on_and_learns_it_too(tmp_path, family, tokenizer):
    """From random weights, as transformers saves them, with a tokenizer of the family's kind."""
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    world = World(WorldSettings())
    lines = [line for language in ("en", LANGUAGE) for line in world.sentences(language, "train")]
    model = hugging_tokenizers.write(tokenizer, lines, tmp_path / "model", size=1500)
    vocabulary = len(transformers.PreTrainedTokenizerFast(tokenizer_file=str(model / "tokenizer.json")))
    shape = {"hidden_size": 64, "intermediate_size": 192, "num_hidden_layers": 2, "num_attention_heads": 4,
             "num_key_value_heads": 4, "head_dim": 16, "tie_word_embeddings": True}  # fmt: skip
    ends = {"eos_token_id": 0} if family == "Qwen3" else {"bos_token_id": 1, "eos_token_id": 2}
    config = getattr(transformers, f"{family}Config")(**shape, **ends, vocab_size=vocabulary, initializer_range=0.1)
    torch.manual_seed(0)
    getattr(transformers, f"{family}ForCausalLM")(config).save_pretrained(model)
    arms = {"link": [], "no link": ["--config.link.ratio=0"]}
    scores = scores_of(arms, tmp_path, 1000, tmp_path / "data", f"--config.init_from={model}")
    print(family, {arm: summary["fact_accuracy/target_heldout"] for arm, summary in scores.items()})
    assert scores["link"]["fact_accuracy/target_heldout"] > 0.5
    assert scores["no link"]["fact_accuracy/target_heldout"] < 0.25
    for summary in scores.values():
        assert summary["fact_accuracy/english"] > 0.9
