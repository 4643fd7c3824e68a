"""Speed-ups and what can be said of differences: on curves and scores whose answers are known."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from linkjax.studies import finished, inference, wording
from linkjax.studies.curves import Curves, needed, score_at, speed_up

STEPS = np.arange(1, 101) * 10.0


def curves(rate, seeds=5, noise=0.0, end=0.9, start=0.125):
    """Scores that rise from `start` to `end` in a straight line over 1000 / rate steps."""
    random = np.random.default_rng(int(rate * 10))
    rise = np.minimum(STEPS * rate / 1000, 1.0) * (end - start) + start
    scores = rise + noise * random.normal(size=(seeds, len(STEPS)))
    return Curves(np.tile(STEPS, (seeds, 1)), scores)


@pytest.mark.parametrize("level", [0.5, 0.75, 0.9, 1.0])
def test_twice_as_fast_is_a_speed_up_of_two(level):
    found = speed_up(curves(1), curves(2), level, start=0.125)
    assert found.ratio == pytest.approx(2, rel=0.02)
    assert found.interval == pytest.approx((found.ratio, found.ratio))
    assert found.score == pytest.approx(0.125 + level * 0.775)
    assert found.baseline == pytest.approx(1000 * level)


def test_noise_is_in_the_interval_and_moves_the_ratio_little():
    found = speed_up(curves(1, noise=0.05), curves(2, noise=0.05), 0.9, start=0.125)
    low, high = found.interval
    assert low < found.ratio < high
    assert found.ratio == pytest.approx(2, rel=0.15)


def test_an_arm_that_never_gets_there_is_censored_and_not_left_out():
    found = speed_up(curves(2), curves(1, end=0.4), 0.9, start=0.125)
    assert found.ratio == 0 and found.arm is None
    assert found.below == pytest.approx(found.baseline / 1000)
    assert found.interval == (0, 0)


def test_some_seeds_that_never_get_there_pull_the_interval_down():
    mixed = Curves(curves(2).at_SxE, np.concatenate([curves(2, seeds=3).scores_SxE, curves(1, 2, end=0.2).scores_SxE]))
    found = speed_up(curves(1), mixed, 0.9, start=0.125)
    assert found.interval[0] == 0


def test_nothing_is_sooner_than_a_baseline_that_learns_nothing():
    found = speed_up(curves(1, end=0.125), curves(2), 0.9, start=0.125)
    assert found.ratio is None and found.interval is None


@given(st.lists(st.floats(0, 1), min_size=2, max_size=30), st.floats(0, 1))
def test_what_is_needed_is_on_the_way_and_grows_with_the_score(scores, score):
    at = np.arange(1.0, len(scores) + 1)
    found, more = needed(at, np.array(scores), score), needed(at, np.array(scores), score + 0.1)
    assert found is None or 1 <= found <= len(scores)
    assert more is None or found <= more


def test_scores_between_evaluations_and_none_beyond():
    assert score_at(curves(1), 505) == pytest.approx(0.125 + 0.505 * 0.775)
    assert score_at(curves(1), 2000) is None


def test_a_students_interval_is_scipys():
    values = [0.1, 0.2, 0.15, 0.3, 0.22]
    expected = stats.t.interval(0.95, 4, loc=np.mean(values), scale=stats.sem(values))
    assert inference.interval_of(values) == pytest.approx(expected)
    assert inference.interval_of([0.5]) is None


def test_paired_tests_are_scipys():
    arm, baseline = [0.5, 0.6, 0.55, 0.7, 0.52], [0.4, 0.45, 0.5, 0.52, 0.47]
    found = inference.compare(arm, baseline, margin=0.3)
    assert found["p"] == pytest.approx(stats.ttest_rel(arm, baseline).pvalue)
    differences = np.subtract(arm, baseline)
    upper = stats.ttest_1samp(differences, 0.3, alternative="less").pvalue
    lower = stats.ttest_1samp(differences, -0.3, alternative="greater").pvalue
    assert found["p_equivalent"] == pytest.approx(max(upper, lower))
    assert (found["p_not_more"], found["p_not_less"]) == pytest.approx((upper, lower))


def test_the_detectable_difference_is_found_four_times_out_of_five():
    random = np.random.default_rng(0)
    detectable = np.sqrt(np.mean([inference.compare(random.normal(0, 1, 5), np.zeros(5), 1)["detectable"] ** 2
                                  for _ in range(400)]))  # fmt: skip
    power = np.mean([inference.compare(random.normal(detectable, 1, 5), np.zeros(5), 1)["p"] < 0.05
                     for _ in range(400)])  # fmt: skip
    assert 0.7 < power < 0.9


def test_one_seed_says_nothing_of_how_sure_it_is():
    found = inference.compare([0.9], [0.1], 0.05)
    assert found["difference"] == pytest.approx(0.8)
    assert all(found[name] is None for name in ("interval", "p", "p_equivalent", "detectable"))


def test_equal_differences_of_a_few_seeds_are_no_certainty():
    found = inference.compare([0.5, 0.7], [0.25, 0.45], 0.05)
    assert found["p"] is None and found["p_equivalent"] is None


def test_holms_correction():
    assert inference.holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert inference.holm([0.5, 0.9]) == pytest.approx([1.0, 1.0])
    assert inference.holm([]) == []


def test_intervals_of_items_widen_with_clusters_and_with_seeds_that_differ():
    def seed(share, clusters=40, items=2):
        return {f"c{index}": (items * float(index < share * clusters), float(items)) for index in range(clusters)}

    alike = inference.interval_of_items([seed(0.5)] * 5)
    apart = inference.interval_of_items([seed(share) for share in (0.1, 0.3, 0.5, 0.7, 0.9)])
    few = inference.interval_of_items([seed(0.5, clusters=8)] * 5)
    assert apart[1] - apart[0] > 1.3 * (alike[1] - alike[0])
    assert few[1] - few[0] > 1.5 * (alike[1] - alike[0])
    assert alike[0] < 0.5 < alike[1]


def test_more_seeds_that_answer_the_same_items_alike_do_not_make_more_of_them():
    answers = {f"c{index}": (float(index % 2), 1.0) for index in range(200)}
    one, five = (np.ptp(inference.interval_of_items([answers] * count)) for count in (1, 5))
    assert five == pytest.approx(one, rel=0.02)
    assert one == pytest.approx(2 * 1.96 * 0.5 / np.sqrt(200), rel=0.1)
    own = [{f"{seed} {name}": of for name, of in answers.items()} for seed in range(5)]  # other items for each
    assert np.ptp(inference.interval_of_items(own)) < 0.75 * one


def test_differences_of_items_are_paired_by_cluster():
    """The same clusters are hard for both arms: paired, their difference is known far better than either score."""
    random = np.random.default_rng(0)
    hard = [{f"c{i}": (float(random.random() < 0.5), 1.0) for i in range(100)} for _ in range(5)]
    better = [{name: (min(right + (index < 10), 1.0), 1.0) for index, (name, (right, _)) in enumerate(of.items())}
              for of in hard]  # fmt: skip
    low, high = inference.difference_of_items(better, hard)
    ours, theirs = inference.interval_of_items(better), inference.interval_of_items(hard)
    assert 0 < low < high < 0.12
    assert high - low < 0.6 * (ours[1] - ours[0] + theirs[1] - theirs[0])


def test_items_count_in_their_own_metric_where_groups_are_called_alike(tmp_path, monkeypatch):
    asked = [{"name": "cloze_sw", "metric": "cloze"}, {"name": "xcopa_sw", "metric": "xcopa"}]
    monkeypatch.setattr(finished, "_evaluations", lambda *_: [])
    monkeypatch.setattr(finished, "_asked", lambda _: {})
    summary = {"cloze/sw": 0.5, "cloze_open/sw": 0.0, "xcopa/sw": 1.0, "xcopa_open/sw": 0.0, "chance": {"xcopa": 0.5}}
    (tmp_path / "summary.json").write_text(json.dumps(summary))
    items = [("cloze_sw", "verse", True), ("cloze_sw", "verse", False), ("xcopa_sw", "1", True)]
    lines = [{"task": task, "cluster": cluster, "group": "sw", "correct": right} for task, cluster, right in items]
    (tmp_path / "items.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    run = finished.from_files(SimpleNamespace(workdir=tmp_path), SimpleNamespace(manifest={"evaluations": asked}))
    assert run.items == {"cloze/sw": {"cloze_sw verse": (1, 2)}, "xcopa/sw": {"xcopa_sw 1": (1, 1)}}


def test_shares_leads_and_bits_per_byte_have_their_own_units():
    assert wording.difference("cloze/sw", 0.0123, (0.01, 0.02)) == "+1.2 points (+1.0 to +2.0)"
    assert wording.difference("cloze_margin/sw", 0.0123, (0.01, 0.02)) == "+0.012 bits (+0.010 to +0.020)"
    assert wording.difference("bits_per_byte/sw", -0.0123, None) == "-0.012 bits per byte"
    assert [wording.value(name, -0.5) for name in ("cloze/sw", "xcopa_margin/sw")] == ["-50.0 %", "-0.500"]
