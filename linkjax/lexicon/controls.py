"""Control lexicons: the same dose of swapped words, with less or no knowledge in the pairs."""

import collections
import dataclasses
import hashlib
import math
from collections.abc import Mapping

import numpy as np

from linkjax.errors import UserError
from linkjax.lexicon.lexicon import Lexicon

_RANDOM_TARGETS = 32  # of a word: another one is drawn at every swap


@dataclasses.dataclass(frozen=True)
class WordStatistics:
    """What is known of a lexicon entry; all that a matched scramble keeps.

    Attributes:
      english_count: occurrences of the source word in the English training text.
      target_count: occurrences of its translations in the target training text, summed.
      target_pieces: length of a translation in tokenizer pieces, mean over the translations.
    """

    english_count: int
    target_count: int
    target_pieces: float


def thin(lexicon: Lexicon, coverage: float, seed: int) -> Lexicon:
    """Keeps a share `coverage` of the entries, drawn by word and seed; a smaller share is a subset of a larger."""
    keep = sorted(lexicon.entries, key=lambda source: _draw(seed, source))[: round(coverage * len(lexicon))]
    return lexicon.replace_entries({source: lexicon.entries[source] for source in keep})


def holdout(lexicon: Lexicon, share: float, seed: int) -> tuple[Lexicon, Lexicon]:
    """Splits off a share of the entries, drawn by word and seed, for probes of words that were never swapped.

    A smaller share is a subset of a larger, and the draw is independent of `thin`'s. Translations of a held-out
    word may remain under its synonyms.

    Returns:
      The kept lexicon and the held-out one.
    """
    order = sorted(lexicon.entries, key=lambda source: _draw(seed, source, b"holdout"))
    heldout = set(order[: round(share * len(lexicon))])
    kept = {source: targets for source, targets in lexicon.entries.items() if source not in heldout}
    return lexicon.replace_entries(kept), lexicon.replace_entries(
        {source: targets for source, targets in lexicon.entries.items() if source in heldout}
    )


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
    donors: dict[str, str] = {}
    random = np.random.default_rng([seed, len(lexicon)])
    for members in _join_single_bins([bins[key] for key in sorted(bins)]):
        donors.update(zip(members, _derange(members, lexicon.entries, random), strict=True))
    moved = [(source, donor, target) for source, donor in donors.items() for target in lexicon.entries[donor]]
    return dataclasses.replace(
        lexicon,
        entries={source: lexicon.entries[donor] for source, donor in donors.items()},
        weights={(s, t): lexicon.weights[donor, t] for s, donor, t in moved if (donor, t) in lexicon.weights},
        origins={(s, t): lexicon.origins[donor, t] for s, donor, t in moved if (donor, t) in lexicon.origins},
    )


def random_targets(lexicon: Lexicon, statistics: Mapping[str, WordStatistics], seed: int) -> Lexicon:
    """Gives every source word translations of others, each drawn as often as it is in the target training text.

    So swaps put in words of the target language and say nothing: exposure to its words alone. Without any such
    counts all translations are drawn alike. A translation may be there several times, and is drawn as often.
    """
    sources = sorted(lexicon.entries)
    counts = np.array([statistics[source].target_count for source in sources], float)
    shares = counts / counts.sum() if counts.any() else np.full(len(sources), 1 / max(len(sources), 1))
    random = np.random.default_rng([seed, len(lexicon)])
    entries = {}
    for source in sources:
        donors = random.choice(len(sources), _RANDOM_TARGETS, p=shares)
        drawn = (lexicon.entries[sources[donor]] for donor in donors)
        entries[source] = tuple(targets[random.integers(len(targets))] for targets in drawn)
    return dataclasses.replace(lexicon, entries=entries, weights={}, origins={})


def inserted_shares(lexicon: Lexicon, statistics: Mapping[str, WordStatistics]) -> dict[str, float]:
    """Each translation's share of the inserted words if every occurrence of every source is swapped, senses evenly.

    Raises:
      UserError: no source occurs in the English text.
    """
    total = sum(statistics[source].english_count for source in lexicon.entries)
    if not total:
        raise UserError("no word of the lexicon occurs in the English text: nothing would be swapped.")
    shares: collections.Counter[str] = collections.Counter()
    for source, targets in lexicon.entries.items():
        for target in targets:
            shares[target] += statistics[source].english_count / len(targets) / total
    return dict(shares)


def inserted_distance(true: Lexicon, scrambled: Lexicon, statistics: Mapping[str, WordStatistics]) -> float:
    """Total variation distance between the words that two lexicons insert: 0 = alike, 1 = none in common."""
    one, other = (inserted_shares(lexicon, statistics) for lexicon in (true, scrambled))
    return sum(abs(one.get(target, 0) - other.get(target, 0)) for target in one.keys() | other.keys()) / 2


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


def _draw(seed: int, word: str, stream: bytes = b"") -> bytes:
    key = seed.to_bytes(8, "little")
    return hashlib.blake2b(word.encode(), key=key, person=stream, digest_size=8).digest()
