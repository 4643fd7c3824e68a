"""The lexicon: English words and, for each, its translations."""

import dataclasses
import functools
import hashlib
from collections.abc import Iterator, Mapping


@dataclasses.dataclass(frozen=True)
class Lexicon:
    """A cleaned bilingual word list.

    Attributes:
      entries: lower-cased source word -> its translations in the file's order, at least one, no doubles.
      cleaning: what the reader changed or dropped, name of the step -> number of pairs (for reports).
    """

    entries: Mapping[str, tuple[str, ...]]
    cleaning: Mapping[str, int] = dataclasses.field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.entries)

    def pairs(self) -> Iterator[tuple[str, str]]:
        """Yields (source, target), sources in alphabetical order, targets in theirs."""
        for source in sorted(self.entries):
            for target in self.entries[source]:
                yield source, target

    @functools.cached_property
    def fingerprint(self) -> str:
        """SHA-256 over all pairs: equal lexicons have equal fingerprints, whatever file they came from."""
        digest = hashlib.sha256()
        for source, target in self.pairs():
            digest.update(f"{source}\t{target}\n".encode())
        return digest.hexdigest()
