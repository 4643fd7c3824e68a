"""Token efficiency: what is known of made-up curves is found, and nothing beyond them."""

import json
import math

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

from linkjax import evaluate
from linkjax.errors import UserError
from linkjax.evaluation.efficiency import Curve, efficiency, exceedance, needed

TOKENS = np.geomspace(1e3, 1e6, 16)


def bits(tokens):
    """What so many tokens are worth: a line in their logarithm, which interpolation meets exactly."""
    return 8 - np.log10(tokens)


ALONE = Curve(TOKENS, bits(TOKENS))


@hypothesis.given(st.floats(1e3, 1e6))
def test_on_a_curve_tokens_are_found_again(tokens):
    found, bound = needed(ALONE, bits(tokens))
    assert found == pytest.approx(tokens, rel=1e-6) and bound is None


def test_beyond_the_curve_there_are_bounds():
    assert needed(ALONE, bits(2e6)) == (1e6, "at least")
    assert needed(ALONE, bits(500)) == (1e3, "at most")


@hypothesis.given(st.floats(0.2, 5), st.integers(0, 2**32 - 1))
def test_noise_is_taken_out_and_the_factor_is_found(factor, seed):
    """A run whose tokens are each worth `factor` of a monolingual one's, measured with noise."""
    noise = np.random.default_rng(seed).normal(0, 0.01, 61)
    tokens = np.geomspace(1e2, 1e7, 61)
    points = efficiency(Curve(np.array([1e5]), bits(np.array([1e5 * factor]))), Curve(tokens, bits(tokens) + noise))
    assert points[-1]["efficiency"] == pytest.approx(factor, rel=0.12) and points[-1]["bound"] is None


def test_what_a_run_reached_before_it_got_worse_counts():
    """Too many passes over the text: the loss rises again."""
    losses = np.array([4.0, 3.0, 2.0, 2.5, 3.0])
    curve = Curve(np.array([10.0, 20.0, 40.0, 80.0, 160.0]), losses)
    assert needed(curve, 2.0) == (pytest.approx(40), None)
    assert needed(curve, 2.2)[0] == pytest.approx(40 * 2 ** (-0.2))
    assert needed(curve, 1.9) == (160, "at least")  # and not 40: more did not help


def test_exceedance_counts_the_points_that_both_have():
    ahead = Curve(TOKENS, ALONE.losses - np.where(np.arange(16) < 4, -0.1, 0.1))
    assert exceedance(ahead, ALONE) == {"share": 0.75, "points": 16}
    assert exceedance(ahead, Curve(TOKENS[:8], ALONE.losses[:8])) == {"share": 0.5, "points": 8}
    assert exceedance(Curve(TOKENS[-1:] * 2, np.ones(1)), ALONE) == {"share": None, "points": 0}
    assert exceedance(ALONE, ALONE)["share"] == 0


def write_run(folder, tokens, losses, **others):
    folder.mkdir(parents=True)
    records = [
        {"step": step, "tokens_of_language/sw": int(count), "bits_per_byte/sw": loss, "bits_per_byte/en": 1.0, **others}
        for step, (count, loss) in enumerate(zip(tokens, losses, strict=True), start=1)
    ]
    records.insert(1, {"step": 1, "loss": 3.0})
    for step, record in enumerate(records, start=1):
        record["step"] = step
    (folder / "metrics.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    return str(folder)


def test_two_runs_on_the_command_line(tmp_path, capsys):
    mixed = write_run(tmp_path / "mixed", TOKENS[:11], bits(2 * TOKENS[:11]), **{"tokens_of_language/en": 10**7})
    alone = write_run(tmp_path / "alone", TOKENS, ALONE.losses, **{"tokens_of_language/en": 0})
    evaluate.run_efficiency(run=mixed, monolingual=alone, language="", out="")
    said = capsys.readouterr().out
    assert "After 100,000 tokens of sw the run is at 2.6990 bits per byte" in said
    assert "it takes 200,000 tokens to get there: token efficiency 2.00." in said
    assert "ahead in 100 % of 11 evaluations" in said and "Name several" in said
    found = json.loads((tmp_path / "mixed/evaluation/efficiency-sw.json").read_text())
    assert found["efficiency"] == pytest.approx(2, rel=1e-3) and len(found["points"]) == 11
    assert found["points"][0]["efficiency"] == pytest.approx(2, rel=1e-3)


def test_of_several_monolingual_runs_the_ends_count(tmp_path, capsys):
    ends = [1e4, 1e5, 1e6]
    runs = [
        write_run(tmp_path / str(end), [end / 2, end], [9.0, bits(end)]) for end in ends
    ]  # their ways are of no use
    mixed = write_run(tmp_path / "mixed", [1e4, 1e5], bits(np.array([1.5e4, 3e5])))
    evaluate.run_efficiency(run=mixed, monolingual=",".join(runs), language="sw", out=str(tmp_path / "out.json"))
    assert "token efficiency 3.00." in capsys.readouterr().out
    found = json.loads((tmp_path / "out.json").read_text())
    assert found["exceedance"] is None and found["points"][0]["efficiency"] == pytest.approx(1.5, rel=1e-3)
    beyond = {
        bits(2e6): "1,000,000 tokens do not get there: token efficiency at least 10.00.",
        bits(9e3): "after 10,000 tokens, is better already: token efficiency at most 0.10.",
    }
    for loss, says in beyond.items():
        mixed = write_run(tmp_path / str(loss), [1e5], [loss])
        evaluate.run_efficiency(run=mixed, monolingual=",".join(runs), language="sw", out=str(tmp_path / "out.json"))
        assert says in capsys.readouterr().out


def test_mistakes_are_sentences(tmp_path):
    mixed = write_run(tmp_path / "mixed", TOKENS, ALONE.losses, **{"tokens_of_language/en": 5, "bits_per_byte/et": 1.0})
    alone = write_run(tmp_path / "alone", TOKENS, ALONE.losses)
    nothing = write_run(tmp_path / "nothing", [0, 10], [1.0, math.nan])

    def says(what, **options):
        with pytest.raises(UserError, match=what):
            evaluate.run_efficiency(**{"run": mixed, "monolingual": alone, "language": "sw", "out": "", **options})

    says("takes two runs' folders", monolingual="")
    says("has no evaluation of held-out text", run=str(tmp_path))
    says("was measured in et, sw: say which language", language="")
    says(r"is no monolingual run of 'sw': it has read en too", monolingual=f"{alone},{mixed}")
    says("it has read sw too", language="et")
    says("has no evaluation of 'sw' after text of it", run=nothing)
    for run, text in ((mixed, "one"), (alone, "other")):
        path = tmp_path / run / "checkpoints/1/tokenizer.model"
        path.parent.mkdir(parents=True)
        path.write_text(text)
    says("have different tokenizers: train both on one prepared folder")
