"""Scores with their uncertainty."""

import math

import numpy as np
import pytest

from linkjax.evaluation.ranking import judge
from linkjax.evaluation.statistics import by_cluster, cluster_interval, paired, paired_texts, standard_error, summarise

CHOICES = [" to", " été là"]


def record(losses, answer=0, cluster="c", choices=CHOICES):
    return {
        "cluster": cluster,
        "truncated": False,
        **judge(np.array(losses), np.zeros(len(losses), bool), choices, answer),
    }


def test_characters_and_bytes_are_counted_without_the_space_before_a_choice():
    """'to' has 2 characters and 2 bytes, 'été là' 6 and 9."""
    found = record([2.0, 6.5])
    assert found["correct"] and found["correct_norm"]  # 1 against 1.083
    assert not found["correct_bytes"]  # 1 against 0.722


def test_margin_is_in_bits_over_the_best_other():
    assert record([1.0, 3.0, 2.0], choices=[" a"] * 3)["margin"] == pytest.approx(1 / math.log(2))
    assert record([3.0, 1.0])["margin"] == pytest.approx(-2 / math.log(2))
    assert record([math.nan, 1.0])["margin"] is None


@pytest.mark.parametrize(("losses", "harness"), [([1.0, 1.0], 0), ([2.0, math.nan], 1), ([math.nan, math.nan], 0)])
def test_the_harness_rule_is_numpys_argmax(losses, harness):
    assert np.argmax([-loss for loss in losses]) == harness
    assert record(losses, answer=harness)["correct_harness"] and not record(losses, answer=harness)["correct"]


def test_ties_and_what_is_not_finite_are_counted():
    scores = summarise([record([1.0, 1.0]), record([math.nan, 1.0]), record([math.inf, 1.0]), record([1.0, 2.0])])
    assert (scores["n"], scores["ties"], scores["nan"], scores["acc"], scores["chance"]) == (4, 1, 2, 0.25, 0.5)


def test_chance_of_items_with_different_numbers_of_choices():
    assert summarise([record([1.0, 2.0]), record([1.0] * 4, choices=[" a"] * 4)])["chance"] == 0.375


def test_standard_error_of_single_items_is_the_harness_one():
    hits = [1.0, 0.0, 0.0, 1.0, 1.0]
    expected = np.std(hits, ddof=1) / math.sqrt(len(hits))  # lm_eval.api.metrics.mean_stderr
    assert standard_error([[hit] for hit in hits]) == pytest.approx(expected)


def test_clusters_widen_error_and_interval():
    rng = np.random.default_rng(0)
    hits = np.repeat(rng.integers(0, 2, 60), 10).astype(float)
    single, clustered = [[hit] for hit in hits], by_cluster(np.repeat(np.arange(60), 10).tolist(), hits.tolist())
    assert standard_error(clustered) > 2.5 * standard_error(single)
    assert np.diff(cluster_interval(clustered)) > 2.5 * np.diff(cluster_interval(single))


def test_the_interval_holds_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(1)
    inside = 0
    for _ in range(120):
        low, high = cluster_interval([[float(hit)] for hit in rng.random(150) < 0.3])
        inside += low <= 0.3 <= high
    assert 0.88 <= inside / 120 <= 1


def test_at_chance_is_said_where_the_interval_holds_it():
    half = [record([1.0, 2.0], answer=index % 2, cluster=str(index)) for index in range(40)]
    assert summarise(half)["at_chance"]
    assert not summarise([record([1.0, 2.0], cluster=str(index)) for index in range(40)])["at_chance"]


def test_the_paired_test_finds_what_separate_intervals_miss():
    rng = np.random.default_rng(2)
    first = (rng.random(400) < 0.5).astype(float)
    second = np.where((rng.random(400) < 0.1) & (first == 0), 1.0, first)
    clusters = [str(index) for index in range(400)]
    found = paired(clusters, first, second)
    assert found["p"] < 0.01 and found["interval"][0] > 0
    assert found["better"] == round(400 * found["difference"]) and found["worse"] == 0
    intervals = [cluster_interval([[hit] for hit in hits]) for hits in (first, second)]
    assert intervals[0][1] > intervals[1][0]
    assert paired(clusters, first, first)["p"] == 1


def test_texts_weigh_by_their_bytes():
    first, second, sizes = [1.0, 2.0, 3.0], [1.5, 1.0, 3.0], [100, 300, 600]
    found = paired_texts(first, second, sizes)
    assert found["difference"] == pytest.approx((0.5 * 100 - 300) / 1000)
    assert (found["better"], found["worse"]) == (1, 1)
    alike = paired_texts(first * 20, second * 20, [1] * 60)
    items = paired([str(index) for index in range(60)], first * 20, second * 20)
    assert {name: alike[name] for name in ("difference", "interval", "p")} == {
        name: items[name] for name in ("difference", "interval", "p")
    }


def test_p_is_even_where_there_is_no_difference():
    rng = np.random.default_rng(3)
    clusters = [str(index // 2) for index in range(80)]
    found = [paired(clusters, *(rng.random((2, 80)) < 0.5).astype(float))["p"] for _ in range(100)]
    assert np.mean(np.array(found) < 0.1) <= 0.2


def test_two_items_of_a_cluster_are_one_witness():
    first, second = np.zeros(8), np.ones(8)
    assert paired(["a"] * 4 + ["b"] * 4, first, second)["p"] > 0.4
    assert paired([str(index) for index in range(8)], first, second)["p"] < 0.02


def test_one_cluster_says_nothing_of_how_sure_it_is():
    single = paired_texts([2.0], [1.99], [50_000])
    assert single["interval"] is None and single["p"] == 1 and single["difference"] == pytest.approx(-0.01)
    assert cluster_interval([[1, 0, 0, 1]]) is None
