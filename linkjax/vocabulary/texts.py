"""The text a vocabulary is made for: how often each stretch stands in it that no token reaches across."""

import collections
import functools
from collections.abc import Iterator

from linkjax.errors import UserError
from linkjax.lexicon.coverage import Corpus, word_pattern
from linkjax.vocabulary.tokens import Vocabulary

_CHARACTERS = 20_000_000


class Text:
    """Text files, of which the beginnings are read: as many characters as tell what a language is like."""

    def __init__(self, patterns: str, characters: int = _CHARACTERS):
        """Args: `patterns`, names or globs with commas between.

        Raises:
          UserError: a pattern matches no file.
        """
        self._patterns, self._characters = patterns, characters

    @functools.cached_property
    def lines(self) -> collections.Counter[str]:
        """Its lines, and how often each is there.

        Raises:
          UserError: it has none.
        """
        lines = collections.Counter(
            line for block in self._blocks() for line in map(str.strip, block.split("\n")) if line
        )
        if not lines:
            raise UserError(f"{self._patterns} has no text: name text files of the language.")
        return lines

    def _blocks(self) -> Iterator[str]:
        return Corpus(self._patterns, self._characters).blocks()

    @functools.cached_property
    def words(self) -> collections.Counter[str]:
        """Its words, lower-cased."""
        words: collections.Counter[str] = collections.Counter()
        for line, count in self.lines.items():
            for word in word_pattern().findall(line.lower()):
                words[word] += count
        return words

    @functools.cached_property
    def forms(self) -> dict[str, str]:
        """Word, lower-cased -> as it is written mostly: a German noun with a capital."""
        written: collections.Counter[str] = collections.Counter()
        for line, count in self.lines.items():
            for word in word_pattern().findall(line):
                written[word] += count
        return {word.lower(): word for word, _ in reversed(written.most_common())}

    def stretches(self, vocabulary: Vocabulary) -> collections.Counter[str]:
        """What a tokenizer's model gets to cut."""
        counts: collections.Counter[str] = collections.Counter()
        for line, count in self.lines.items():
            for stretch in vocabulary.words(line):
                counts[stretch] += count
        return counts

    def tokens(self, vocabulary: Vocabulary) -> collections.Counter[int]:
        """How often each token stands in it."""
        counts: collections.Counter[int] = collections.Counter()
        for line, count in self.lines.items():
            for token in vocabulary.encode(line):
                counts[token] += count
        return counts

    def tokens_of_all(self, vocabulary: Vocabulary) -> set[int]:
        """Those that stand in it or in one of its lines, what is between the lines among them."""
        return set(self.tokens(vocabulary)).union(*map(vocabulary.encode, self._blocks()))

    def tokens_per_word(self, vocabulary: Vocabulary) -> float:
        """Tokens to a word between spaces."""
        words = sum(count * len(line.split()) for line, count in self.lines.items())
        return self.tokens(vocabulary).total() / words
