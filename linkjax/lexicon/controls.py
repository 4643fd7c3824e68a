"""Control lexicons: the same dose of swapped words, with less or no knowledge in the pairs."""

import collections
import dataclasses
import hashlib
import math
from collections.abc import Mapping

import numpy as np

from linkjax.lexicon.lexicon import Lexicon


@dataclasses.dataclass(frozen=True)
class WordStatistics:
    """What is known of a lexicon entry; all that a matched scramble keeps.

    Attributes:
      english_count: occurrences of the source word in the English training text.
      target_count: occurrences of its translations in the target training text, summed.
      target_pieces: tokenizer pieces per translation, mean over the translations.
    """

    english_count: int
    target_count: int
    target_pieces: float


def thin(lexicon: Lexicon, coverage: float, seed: int) -> Lexicon:
    """Keeps a share `coverage` of the entries, drawn by word and seed; a smaller share is a subset of a larger."""
    keep = sorted(lexicon.entries, key=lambda source: _draw(seed, source))[: round(coverage * len(lexicon))]
    return lexicon.replace_entries({source: lexicon.entries[source] for source in keep})


def scramble(lexicon: Lexicon, statistics: Mapping[str, WordStatistics], seed: int) -> Lexicon:
    """Gives every source word the whole translation set of another that looks alike to the model.

    A derangement within bins of (English frequency, target frequency, piece count), counts on a log2
    scale: a swapped-in word is then as frequent, as well known from the target text and as long as the
    true translation would have been, but says something else. No word keeps a translation of its own
    where the bin allows it. A bin of one word joins its neighbour.
    """
    bins = collections.defaultdict(list)
    for source in sorted(lexicon.entries):
        entry = statistics[source]
        key = (_log2(entry.english_count), _log2(entry.target_count), round(entry.target_pieces))
        bins[key].append(source)
    scrambled = {}
    random = np.random.default_rng([seed, len(lexicon)])
    for members in _join_single_bins([bins[key] for key in sorted(bins)]):
        for source, donor in zip(members, _derange(members, lexicon.entries, random), strict=True):
            scrambled[source] = lexicon.entries[donor]
    return Lexicon(scrambled, lexicon.cleaning)


def _derange(members: list[str], entries: Mapping[str, tuple[str, ...]], random: np.random.Generator) -> list[str]:
    """A donor for each member: a random cycle through all, swapped on where a pair shares a translation."""
    order = random.permutation(len(members))
    donors = dict(zip((members[i] for i in order), (members[i] for i in np.roll(order, -1)), strict=True))

    def clashes(source: str, donor: str) -> bool:
        return not set(entries[source]).isdisjoint(entries[donor])

    for source in members:
        if not clashes(source, donors[source]):
            continue
        for other in (members[i] for i in order):
            if not clashes(source, donors[other]) and not clashes(other, donors[source]):
                donors[source], donors[other] = donors[other], donors[source]
                break
    return [donors[source] for source in members]


def _join_single_bins(bins: list[list[str]]) -> list[list[str]]:
    joined: list[list[str]] = []
    for members in bins:
        if joined and (len(members) == 1 or len(joined[-1]) == 1):
            joined[-1] = joined[-1] + members
        else:
            joined.append(members)
    return joined


def _log2(count: int) -> int:
    return math.ceil(math.log2(count + 1))


def _draw(seed: int, word: str) -> bytes:
    return hashlib.blake2b(word.encode(), key=seed.to_bytes(8, "little"), digest_size=8).digest()
