"""Byte-pair encoding (Sennrich, Haddow and Birch 2016), learned on from where a finished tokenizer stops."""

import collections
import heapq
import itertools
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

Pair = tuple[str, str]
_LEAST = 2  # a pair that stands in the text once is no pattern


class _Waiting(NamedTuple):
    """A pair in the queue: the most frequent first, of equals the alphabetically first."""

    minus_count: int
    pair: Pair


def learn_merges(
    words: Mapping[Sequence[str], int], most: int, taken: Collection[str], forbidden: Collection[Pair]
) -> list[Pair]:
    """The next merges, most frequent first.

    Args:
      words: words cut into tokens by all merges there are, and how often each stands in the text.
      most: merges at most; fewer where no pair is left that stands there twice.
      taken: tokens that there are: nothing is merged into one of them, which has its merges already.
      forbidden: pairs that are not to be merged.
    """
    cut = [list(word) for word in words]
    counts = list(words.values())
    found: collections.Counter[Pair] = collections.Counter()
    places: dict[Pair, set[int]] = collections.defaultdict(set)
    for index, word in enumerate(cut):
        for pair in itertools.pairwise(word):
            found[pair] += counts[index]
            places[pair].add(index)
    taken, forbidden = set(taken), set(forbidden)
    queue = [_Waiting(-count, pair) for pair, count in found.items() if count >= _LEAST]
    heapq.heapify(queue)
    merges: list[Pair] = []
    while queue and len(merges) < most:
        minus_count, pair = heapq.heappop(queue)
        if found[pair] != -minus_count:  # its count has changed since: it is in the queue once more, or gone
            continue
        if pair in forbidden or "".join(pair) in taken:
            continue
        merges.append(pair)
        taken.add("".join(pair))
        changed: set[Pair] = set()
        for index in places.pop(pair):
            before, after = cut[index], merged(cut[index], pair)
            for old in itertools.pairwise(before):
                found[old] -= counts[index]
                changed.add(old)
            for new in itertools.pairwise(after):
                found[new] += counts[index]
                places[new].add(index)
                changed.add(new)
            cut[index] = after
        for pair in changed:
            if found[pair] >= _LEAST:
                heapq.heappush(queue, _Waiting(-found[pair], pair))
    return merges


def merged(word: Sequence[str], pair: Pair) -> list[str]:
    """A word with each such pair made one token, from left to right."""
    result: list[str] = []
    index = 0
    while index < len(word):
        if tuple(word[index : index + 2]) == pair:
            result.append("".join(pair))
            index += 2
        else:
            result.append(word[index])
            index += 1
    return result


def pairs_in(words: Iterable[Sequence[str]]) -> set[Pair]:
    """All pairs of neighbours in words."""
    return {pair for word in words for pair in itertools.pairwise(word)}


def ancestors(token: str, ranks: Mapping[Pair, int]) -> list[str]:
    """The tokens that merges make on the way from a token's characters to it; itself last, if they get there."""
    word, made = list(token), []
    while pairs := [pair for pair in itertools.pairwise(word) if pair in ranks]:
        pair = min(pairs, key=ranks.__getitem__)
        word = merged(word, pair)
        made.append("".join(pair))
    return made
