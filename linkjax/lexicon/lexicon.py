"""The lexicon: English words and, for each, its translations."""

import dataclasses
import functools
import hashlib
from collections.abc import Iterator, Mapping
from typing import NamedTuple


class Pair(NamedTuple):
    """One line of a word list, raw or cleaned.

    Attributes:
      source: English word or phrase.
      target: its translation.
      weight: how probable or trusted, in the file's own unit; None where the file does not say.
      origin: name of the word list it is from, '' where only one was read.
    """

    source: str
    target: str
    weight: float | None = None
    origin: str = ""


@dataclasses.dataclass(frozen=True)
class Lexicon:
    """A cleaned bilingual word list.

    Attributes:
      entries: lower-cased source -> its translations, best first, at least one, no doubles. A source may be
        of several words, with one space between them.
      cleaning: what was changed or dropped, name of the step -> number of pairs (for reports).
      weights: (source, target) -> weight, for the pairs that have one.
      origins: (source, target) -> names of the word lists that have it, joined by '+', where they were merged.
      capitalised: the sources that the list writes with a capital only (Monday, August): there the capital
        says nothing about a translation's case.
    """

    entries: Mapping[str, tuple[str, ...]]
    cleaning: Mapping[str, int] = dataclasses.field(default_factory=dict)
    weights: Mapping[tuple[str, str], float] = dataclasses.field(default_factory=dict)
    origins: Mapping[tuple[str, str], str] = dataclasses.field(default_factory=dict)
    capitalised: frozenset[str] = frozenset()

    def __len__(self) -> int:
        return len(self.entries)

    def pairs(self) -> Iterator[Pair]:
        """Yields all pairs, sources in alphabetical order, targets in theirs."""
        for source in sorted(self.entries):
            for target in self.entries[source]:
                key = (source, target)
                yield Pair(source, target, self.weights.get(key), self.origins.get(key, ""))

    def replace_entries(self, entries: Mapping[str, tuple[str, ...]]) -> "Lexicon":
        """A lexicon of other entries that keeps what is known of their pairs."""
        kept = {(source, target) for source, targets in entries.items() for target in targets}
        return Lexicon(
            entries,
            self.cleaning,
            {pair: weight for pair, weight in self.weights.items() if pair in kept},
            {pair: origin for pair, origin in self.origins.items() if pair in kept},
            self.capitalised & entries.keys(),
        )

    @functools.cached_property
    def fingerprint(self) -> str:
        """SHA-256 over all that a swap depends on: equal lexicons have equal fingerprints, whatever their files."""
        digest = hashlib.sha256()
        for source, target, weight, _ in self.pairs():
            written = source.capitalize() if source in self.capitalised else source
            digest.update(f"{written}\t{target}\t{'' if weight is None else repr(weight)}\n".encode())
        return digest.hexdigest()
