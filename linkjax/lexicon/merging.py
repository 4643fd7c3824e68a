"""Several word lists made one, with the names of the lists that have each pair."""

import collections
import itertools
from collections.abc import Mapping

from linkjax.lexicon.lexicon import Lexicon


def merge(lexicons: Mapping[str, Lexicon]) -> Lexicon:
    """The union of lexicons by name.

    A source's translations are in the order of how many lists have them, then of the lists. A list that was merged
    itself speaks for those it came from. Weights of different lists have different units: only where every pair of
    every list has one are they kept, the highest of each pair.
    """
    names: dict[tuple[str, str], dict[str, None]] = collections.defaultdict(dict)
    weights: dict[tuple[str, str], float] = {}
    cleaning: collections.Counter[str] = collections.Counter()
    for name, lexicon in lexicons.items():
        cleaning.update(lexicon.cleaning)
        # In the order of the entries: `Lexicon.pairs` sorts, and the first list's order is to stay.
        for pair in ((source, target) for source, targets in lexicon.entries.items() for target in targets):
            names[pair].update(dict.fromkeys(lexicon.origins.get(pair, name).split("+")))
            if pair in lexicon.weights:
                weights[pair] = max(lexicon.weights[pair], weights.get(pair, lexicon.weights[pair]))
    senses: dict[str, list[str]] = {}
    for source, target in names:
        senses.setdefault(source, []).append(target)
    entries = {
        source: tuple(sorted(targets, key=lambda target, source=source: -len(names[source, target])))
        for source, targets in senses.items()
    }
    weighted = all(len(lexicon.weights) == _pairs(lexicon) for lexicon in lexicons.values())
    plain = set(itertools.chain(*(lexicon.entries.keys() - lexicon.capitalised for lexicon in lexicons.values())))
    return Lexicon(
        entries,
        dict(cleaning),
        weights if weighted else {},
        {pair: "+".join(found) for pair, found in names.items()},
        frozenset(entries.keys() - plain),
    )


def _pairs(lexicon: Lexicon) -> int:
    return sum(map(len, lexicon.entries.values()))
