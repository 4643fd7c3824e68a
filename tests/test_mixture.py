"""Shares in tokens: exact, changing at points of the run, and limited in passes."""

import contextlib
import dataclasses
import json

import grain
import numpy as np
import pytest

from linkjax.data.mixture import TokenMixture, parse_rates
from linkjax.data.pipeline import Stream, counters, expected_passes
from linkjax.errors import UserError
from tests.test_stream import same, take

MIXTURE = {"en": 0.6, "sw": 0.3, "de": 0.1}


def test_rates_by_stage():
    rates = parse_rates(MIXTURE, "0.5:sw=0.5,0.8:sw=0.2+de=0.2")
    assert rates.starts_S.tolist() == [0, 0.5, 0.8]
    assert rates.rates_SxC == pytest.approx(np.array([[0.6, 0.3, 0.1], [3 / 7, 0.5, 0.5 / 7], [0.6, 0.2, 0.2]]))
    assert rates.rates_SxC.sum(1) == pytest.approx(1)
    assert rates.due(90, [0, 50, 80]) == pytest.approx(rates.rates_SxC.T @ [50, 30, 10])
    assert rates.due(90, [0, 50]) == pytest.approx(rates.rates_SxC[:2].T @ [50, 40])
    assert rates.due(120, [0, 50, 80]).sum() == pytest.approx(120)
    assert rates.means == pytest.approx(rates.rates_SxC.T @ [0.5, 0.3, 0.2])
    shares, points = rates.progress(1)
    assert points.tolist() == [0, 0.5, 0.8, 1] and shares == pytest.approx(np.array([0, 0.15, 0.3, 0.34]) / 0.34)
    assert parse_rates(MIXTURE, "0:en=1").rates_SxC.tolist() == [[1, 0, 0]]
    assert parse_rates(MIXTURE, "").rates_SxC.tolist() == [[0.6, 0.3, 0.1]]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("sw=0.3", "write it like '0.8:de=0.3'"),
        ("0.5:swa=0.3", r"rates names 'swa', but the components are en, sw, de\. Did you mean 'sw'"),
        ("0.5:sw=a", "write it like 'sw=0.3'"),
        ("0.5:sw=-1", "is 0 or more"),
        ("0.5:sw=0.9+de=0.9", r"sum to 1\.8"),
        ("0.5:sw=0.5+de=0.1+en=0.1", r"sum to 0\.7"),
        ("1.5:sw=0.5", "rise from 0 to 1"),
        ("0.5:sw=0.5,0.4:sw=0.1", "rise from 0 to 1"),
        ("half:sw=0.5", "'half' is no point"),
    ],
)
def test_rates_that_make_no_sense_are_refused(text, says):
    with pytest.raises(UserError, match=says):
        parse_rates(MIXTURE, text)


class Rows(grain.IterDataset):
    """Rows of 90 to 100 tokens, `count` of them."""

    def __init__(self, name, count=10**9):
        super().__init__()
        self.name, self.count = name, count

    def __iter__(self):
        return RowsIterator(self)


class RowsIterator(grain.DatasetIterator):
    def __init__(self, rows):
        super().__init__()
        self.rows, self.given = rows, 0

    def __next__(self):
        if self.given == self.rows.count:
            raise StopIteration
        self.given += 1
        segments = np.ones(100, np.int32)
        segments[90 + self.given * 7 % 11 :] = 0
        return {"segments_BxL": segments, "counts": np.zeros(7, np.int64), "name": self.rows.name}

    def get_state(self):
        return {"given": self.given}

    def set_state(self, state):
        self.given = state["given"]


def shares(rows):
    tokens = {}
    for row in rows:
        tokens[row["name"]] = tokens.get(row["name"], 0) + int(row["segments_BxL"].sum())
    return {name: count / sum(tokens.values()) for name, count in tokens.items()}


@pytest.mark.parametrize("phase", [0.0, 0.4, 0.9])
def test_shares_of_each_stage_are_exact_to_a_row(phase):
    rates = parse_rates({"en": 0.9, "sw": 0.1}, "0.25:sw=0.5,0.75:sw=0")
    mixture = iter(TokenMixture([Rows("en"), Rows("sw")], rates, 100, phase, 100_000))
    tokens, begun = {"en": 0, "sw": 0}, []
    for rows in range(1000):  # 1,000 rows of 100 places, 5 % of them padding: a quarter of the run is a quarter of them
        if rows in (0, 250, 750):
            begun.append(sum(tokens.values()))
        row = next(mixture)
        tokens[row["name"]] += int(row["segments_BxL"].sum())
        due = rates.due(sum(tokens.values()), begun)
        assert abs(tokens["sw"] - due[1]) <= 100 * 2  # a row, and up to one that the phase shifts it by
    assert tokens["sw"] == pytest.approx(0.95 * (25_000 * 0.1 + 50_000 * 0.5), abs=200)


def test_a_components_end_leaves_its_share_to_the_others():
    rates = parse_rates({"en": 0.6, "sw": 0.3, "de": 0.1}, "")
    mixture = iter(TokenMixture([Rows("en"), Rows("sw", 50), Rows("de")], rates, 100, 0.0, 1e6))
    rows = [next(mixture) for _ in range(600)]
    last = max(index for index, row in enumerate(rows) if row["name"] == "sw")
    assert shares(rows[: last + 1])["sw"] == pytest.approx(0.3, abs=0.02)
    assert shares(rows[last + 1 :]) == pytest.approx({"en": 6 / 7, "de": 1 / 7}, abs=0.01)
    assert len(list(TokenMixture([Rows("en", 20), Rows("sw", 5), Rows("de", 0)], rates, 100, 0.0, 1e6))) == 25


def limited(stream_settings):
    return dataclasses.replace(
        stream_settings, steps=60, rates="0.25:toy_world_target=0.5", most_passes="toy_world_target=3"
    )


def test_a_run_keeps_the_limit_and_goes_on_alike_after_a_resume(toy, stream_settings):
    settings = limited(stream_settings)
    whole, states = take(toy, settings, 60)
    measured = counters(states, toy.components)
    assert measured["passes/toy_world_target"] == pytest.approx(3)
    assert expected_passes(toy, settings)["toy_world_target"] > 3
    target = [int(np.count_nonzero(batch["component_B"] == 1)) for batch in whole]
    assert np.mean(target[:12]) == pytest.approx(1.6, abs=0.4)
    assert max(target[20:30]) >= 6
    assert target[-1] == 0
    for stop in (10, 35, 45, 55):
        _, before = take(toy, settings, stop)
        before = {int(shard): state for shard, state in json.loads(json.dumps(before)).items()}
        assert same(take(toy, settings, 60 - stop, states=before)[0], whole[stop:])


def test_no_document_is_read_more_often_than_the_limit(toy, stream_settings):
    settings = limited(stream_settings)
    whole, _ = take(toy, settings, 60)
    seen = {}
    for batch in whole:
        for row in np.flatnonzero(batch["component_B"] == 1):
            for segment in range(1, batch["segments_BxL"][row].max() + 1):
                text = tuple(batch["targets_BxL"][row, batch["segments_BxL"][row] == segment].tolist())
                seen[text] = seen.get(text, 0) + 1
    target = toy.components[1]
    texts = [(*toy.tokenizer.encode(document.text), 1) for document in toy.documents(target)]
    assert seen == {text: 3 * texts.count(text) for text in texts}


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"most_passes": "toy_world_target=3,toy_world_english=5"}, "limits every component"),
        ({"most_passes": "toy_world_target=3", "rates": "0.5:toy_world_target=1"}, "limits every component"),
        ({"most_passes": "toy_world=3"}, "most_passes names 'toy_world'"),
        ({"rates": "0.5:x=1"}, "rates names 'x'"),
    ],
)
def test_mistakes_are_found_before_anything_is_read(toy, stream_settings, changes, says):
    with pytest.raises(UserError, match=says), contextlib.closing(
        Stream(toy, dataclasses.replace(stream_settings, **changes))
    ):  # fmt: skip
        pass
