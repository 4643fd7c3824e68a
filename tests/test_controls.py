import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linkjax.errors import UserError
from linkjax.lexicon import Lexicon, WordStatistics
from linkjax.lexicon.controls import holdout, inserted_distance, inserted_shares, random_targets, scramble, thin


def make(count):
    return Lexicon({f"word{i}": (f"neno{i}", f"jina{i}") for i in range(count)})


def test_thinned_lexicons_are_nested_and_exact():
    lexicon = make(200)
    half, tenth = thin(lexicon, 0.5, seed=1), thin(lexicon, 0.1, seed=1)
    assert len(half) == 100
    assert len(tenth) == 20
    assert set(tenth.entries) < set(half.entries)
    assert set(thin(lexicon, 0.5, seed=2).entries) != set(half.entries)


def test_scramble_is_a_matched_derangement():
    lexicon = make(300)
    statistics = {
        word: WordStatistics(2 ** (i % 5), 3 * (i % 2), 1 + i % 3) for i, word in enumerate(sorted(lexicon.entries))
    }
    scrambled = scramble(lexicon, statistics, seed=0)
    owner = {targets: word for word, targets in lexicon.entries.items()}
    assert sorted(scrambled.entries.values()) == sorted(lexicon.entries.values())
    for word, targets in scrambled.entries.items():
        assert targets != lexicon.entries[word]
        assert statistics[owner[targets]] == statistics[word]


def test_scramble_gives_no_word_a_synonyms_translation():
    pairs = [(f"a{i}", f"t{i // 2}") for i in range(40)]  # every translation belongs to two words
    lexicon = Lexicon({source: (target,) for source, target in pairs})
    statistics = dict.fromkeys(lexicon.entries, WordStatistics(1, 1, 1))
    for seed in range(20):
        scrambled = scramble(lexicon, statistics, seed)
        assert all(set(scrambled.entries[word]).isdisjoint(lexicon.entries[word]) for word in lexicon.entries)


def test_a_held_out_share_is_exact_disjoint_and_all_there():
    lexicon = make(200)
    kept, heldout = holdout(lexicon, 0.1, seed=3)
    assert len(heldout) == 20
    assert kept.entries.keys().isdisjoint(heldout.entries)
    assert {**kept.entries, **heldout.entries} == lexicon.entries


def test_held_out_shares_are_nested_and_drawn_by_seed():
    lexicon = make(200)
    assert set(holdout(lexicon, 0.1, 3)[1].entries) < set(holdout(lexicon, 0.4, 3)[1].entries)
    assert set(holdout(lexicon, 0.1, 3)[1].entries) != set(holdout(lexicon, 0.1, 4)[1].entries)


def test_held_out_words_do_not_depend_on_the_order_of_the_list():
    lexicon = make(50)
    turned = Lexicon(dict(reversed(lexicon.entries.items())))
    assert holdout(lexicon, 0.3, 0)[1].fingerprint == holdout(turned, 0.3, 0)[1].fingerprint


def test_holding_out_and_thinning_are_independent():
    lexicon = make(4000)
    heldout = holdout(lexicon, 0.5, seed=0)[1]
    both = set(thin(lexicon, 0.5, seed=0).entries) & set(heldout.entries)
    assert 900 < len(both) < 1100  # 1,000 expected, standard deviation 16


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 60), st.floats(0, 1), st.integers(0, 2**64 - 1))
def test_any_share_and_seed_splits_a_list_in_two(count, share, seed):
    kept, heldout = holdout(make(count), share, seed)
    assert len(heldout) == round(share * count)
    assert len(kept) + len(heldout) == count


def test_what_is_known_of_a_pair_goes_with_it():
    lexicon = Lexicon(
        {"dog": ("mbwa",), "monday": ("jumatatu",)},
        {},
        {("dog", "mbwa"): 0.5},
        {("dog", "mbwa"): "a", ("monday", "jumatatu"): "b"},
        frozenset({"monday"}),
    )
    for part in holdout(lexicon, 0.5, seed=0):
        (source,) = part.entries
        assert set(part.weights) == {pair for pair in lexicon.weights if pair[0] == source}
        assert set(part.origins) == {pair for pair in lexicon.origins if pair[0] == source}
        assert part.capitalised == {source} & {"monday"}


def test_a_scrambled_source_has_its_donors_weights_and_origins():
    sources = [f"s{i}" for i in range(30)]
    entries = {source: (f"{source}-one", f"{source}-two") for source in sources}
    pairs = [(source, target) for source, targets in entries.items() for target in targets]
    lexicon = Lexicon(
        entries,
        {"pairs read": 60},
        {pair: float(index) for index, pair in enumerate(pairs) if index % 3},
        {pair: pair[1].upper() for pair in pairs},
        frozenset({"s1"}),
    )
    scrambled = scramble(lexicon, dict.fromkeys(sources, WordStatistics(1, 1, 1)), seed=0)
    assert sorted(scrambled.entries.values()) == sorted(entries.values())
    by_target = {target: lexicon.weights.get((source, target)) for source, target in pairs}
    for source, target, weight, origin in scrambled.pairs():
        assert not target.startswith(f"{source}-")
        assert weight == by_target[target]
        assert origin == target.upper()
    assert len(scrambled.weights) == len(lexicon.weights)
    assert scrambled.capitalised == lexicon.capitalised


def test_random_targets_are_drawn_by_their_frequency_whatever_they_mean():
    lexicon = make(200)
    statistics = {f"word{i}": WordStatistics(1, 300 if i < 10 else 0, 1) for i in range(200)}
    drawn = random_targets(lexicon, statistics, seed=0)
    assert drawn.entries.keys() == lexicon.entries.keys()
    met = {target for targets in drawn.entries.values() for target in targets}
    assert met == {f"{word}{i}" for word in ("neno", "jina") for i in range(10)}
    right = sum(bool(set(drawn.entries[word]) & set(lexicon.entries[word])) for word in list(lexicon.entries)[10:])
    assert right == 0
    assert random_targets(lexicon, statistics, seed=0) == drawn != random_targets(lexicon, statistics, seed=1)
    unseen = random_targets(lexicon, dict.fromkeys(lexicon.entries, WordStatistics(1, 0, 1)), seed=0)
    assert len({target for targets in unseen.entries.values() for target in targets}) > 300


def test_random_targets_are_as_frequent_as_in_the_target_text():
    counts = {f"word{i}": 4000 // (i + 1) for i in range(1000)}
    lexicon = Lexicon({source: (source.replace("word", "neno"),) for source in counts})
    drawn = random_targets(lexicon, {source: WordStatistics(1, count, 1) for source, count in counts.items()}, seed=0)
    shares = inserted_shares(drawn, {source: WordStatistics(1, 0, 1) for source in counts})
    total = sum(counts.values())
    assert sum(abs(shares.get(f"neno{i}", 0) - counts[f"word{i}"] / total) for i in range(1000)) / 2 < 0.06
    assert shares["neno0"] == pytest.approx(counts["word0"] / total, rel=0.1)


def test_shares_of_inserted_words_follow_the_english_counts():
    lexicon = Lexicon({"a": ("x", "y"), "b": ("x",), "never": ("z",)})
    statistics = {"a": WordStatistics(6, 0, 1), "b": WordStatistics(2, 0, 1), "never": WordStatistics(0, 0, 1)}
    assert inserted_shares(lexicon, statistics) == pytest.approx({"x": 5 / 8, "y": 3 / 8, "z": 0})


def test_distance_of_inserted_words():
    statistics = {"a": WordStatistics(3, 0, 1), "b": WordStatistics(1, 0, 1)}
    true = Lexicon({"a": ("x",), "b": ("y",)})
    assert inserted_distance(true, true, statistics) == 0
    assert inserted_distance(true, Lexicon({"a": ("y",), "b": ("x",)}), statistics) == pytest.approx(0.5)
    assert inserted_distance(true, Lexicon({"a": ("u",), "b": ("v",)}), statistics) == pytest.approx(1)


def test_distance_needs_words_that_occur():
    with pytest.raises(UserError, match="nothing would be swapped"):
        inserted_shares(Lexicon({"a": ("x",)}), {"a": WordStatistics(0, 0, 1)})
