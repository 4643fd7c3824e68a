"""Which words of a piece of English text can be swapped, and what they become."""

import hashlib
import itertools
import re
import unicodedata
from collections.abc import Iterable
from typing import NamedTuple

from linkjax.lexicon import Lexicon
from linkjax.lexicon.lemmas import CONTRACTED, english_lemma
from linkjax.substitution.settings import LinkSettings

WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")
_PART = re.compile(rf"{WORD.pattern}(?:-{WORD.pattern})*")  # of a phrase
_OPENING, _CLOSING = "([\"'“‘«¿¡—–\n\t", ".,;:!?…)]\"'”’»—–\r"  # signs around a word that say nothing of it
_HYPHENS = "-‐‑"
_POSSESSIVE = re.compile(r"(.+)'s", re.DOTALL)
_PROTECTED = re.compile(
    r"://|^\s?www\.|\w@\w|^\s?[@#/]\w|/.*/|[\\{}<>=|^`]|\w_\w|\w\(\)|[a-z][A-Z]|[^\W\d_]\.[^\W\d_]|&\w+;|\$[^\W\d]"
)
_JOINED = ("Mn", "Mc", "Me", "Cf")
_TURKIC = str.maketrans({"i": "İ", "ı": "I"})


class Unit(NamedTuple):
    """A word, or several that are one entry, which can be swapped: `text[start:end]`.

    Attributes:
      first: how many words of the text stand before it.
      words: of how many words it is.
      source: the lexicon's entry.
    """

    start: int
    end: int
    first: int
    words: int
    source: str


class Analysis(NamedTuple):
    """A piece of text, looked at.

    Attributes:
      words: how many.
      units: those that can be swapped.
      capitals: whether all words are in capitals, as an acronym is.
      head: the text's only word, or words joined by hyphens, lower-cased, where it begins with them; '' otherwise.
      tail: the same, where the text ends with it.
      phrase: whether it is an entry of several words.
    """

    words: int
    units: tuple[Unit, ...]
    capitals: bool = False
    head: str = ""
    tail: str = ""
    phrase: bool = False


class WordFinder:
    """The words of a lexicon that the settings leave in play, found in text.

    Attributes:
      options: source -> its translations.
      phrases: the words of each source of several.
      phrase_lengths: first word -> how many words such sources have, longest first.
      weight_ends: source -> cumulative shares of its translations but the last, where they are not drawn equally.
    """

    def __init__(
        self,
        lexicon: Lexicon,
        settings: LinkSettings,
        *,
        known: frozenset[str] = frozenset(),
        excluded: frozenset[str] = frozenset(),
        domain: frozenset[str] = frozenset(),
        language: str = "",
    ):
        """Args:
        known: sources of the list before controls thinned it: their other forms are not swapped either.
        excluded: words never swapped, alone or in a phrase.
        domain: the words that `settings.select` speaks of; a phrase with one of them is one.
        language: of the translations; Turkish and Azerbaijani have capitals of their own.
        """
        self._settings = settings
        self._known = known
        self._excluded = excluded
        self._turkic = language.split("-")[0] in ("tr", "az")
        self._capitalised = lexicon.capitalised
        self.options: dict[str, tuple[str, ...]] = {}
        for source, targets in lexicon.entries.items():
            if not settings.multiword_targets:
                targets = tuple(target for target in targets if " " not in target)
            words = {source, *source.split(" ")}
            if targets and excluded.isdisjoint(words) and self._selected(words, domain):
                self.options[source] = targets
        self.weight_ends = self._weight_ends(lexicon) if settings.sense == "weighted" else {}
        self.phrases = _phrases(self.options) if settings.multiword_sources else []
        # Words of the longest entry with hyphens.
        self._hyphenated = max((source.count("-") for source in self.options), default=0) + 1
        self.phrase_lengths: dict[str, tuple[int, ...]] = {}
        for words in sorted(self.phrases, key=len, reverse=True):
            known_lengths = self.phrase_lengths.get(words[0], ())
            if len(words) not in known_lengths:
                self.phrase_lengths[words[0]] = (*known_lengths, len(words))

    def entry_key(self, source: str) -> int:
        """64 bits that stand for an entry; 0 where no draw asks for them."""
        if self._settings.sense != "per_document":
            return 0
        return int.from_bytes(hashlib.blake2b(source.encode(), digest_size=8).digest(), "little")

    def _selected(self, words: set[str], domain: frozenset[str]) -> bool:
        return self._settings.select == "uniform" or domain.isdisjoint(words) != (self._settings.select == "domain")

    def _weight_ends(self, lexicon: Lexicon) -> dict[str, list[float]]:
        ends = {}
        for source, targets in self.options.items():
            weights = [max(lexicon.weights.get((source, target), 0.0), 0.0) for target in targets]
            if sum(weights):
                ends[source] = [end / sum(weights) for end in itertools.accumulate(weights[:-1])]
        return ends

    def analyse(self, chunk: str) -> Analysis:
        """Looks at a stretch of text without spaces."""
        rest = chunk.lstrip(_OPENING)
        word = rest.rstrip(_CLOSING)
        if word.isalpha() and (word[1:].islower() or word.isupper()):
            start = len(chunk) - len(rest)
            end = start + len(word)
            source = self._source(word)
            units = (Unit(start, end, 0, 1, source),) if source else ()
            key = _key(word) if self.phrases else ""
            capitals = end - start > 1 and word.isupper()
            return Analysis(1, units, capitals, "" if start else key, key if end == len(chunk) else "")
        return self.analyse_anything(chunk)

    def analyse_anything(self, chunk: str) -> Analysis:
        """Does what `analyse` does, more slowly, for a word in signs that say nothing as for anything else."""
        matches = list(WORD.finditer(chunk))
        if not matches or (self._settings.protect and _PROTECTED.search(chunk)):
            return Analysis(len(matches), ())
        units = tuple(self._units(chunk, matches))
        capitals = _all_capitals(match.group() for match in matches)
        start, end = matches[0].start(), matches[-1].end()
        word = _key(chunk[start:end]) if self.phrases else ""
        if not _PART.fullmatch(word):
            return Analysis(len(matches), units, capitals)
        return Analysis(len(matches), units, capitals, word if start == 0 else "", word if end == len(chunk) else "")

    def analyse_phrase(self, text: str) -> Analysis:
        """Looks at a text that holds an entry of several words, and maybe signs before and after."""
        matches = list(WORD.finditer(text))
        start, end = matches[0].start(), matches[-1].end()
        unit = Unit(start, end, 0, len(matches), _key(text[start:end]))
        return Analysis(len(matches), (unit,), _all_capitals(match.group() for match in matches), phrase=True)

    def translate(self, text: str, unit: Unit, sense: int) -> str:
        """A translation in the case of what it replaces."""
        option = self.options[unit.source][sense]
        word = text[unit.start : unit.end]
        if self._settings.case == "lexicon" or word == "I":
            return option
        if len(word) > 1 and word.isupper():
            return self._upper(option)
        if word[0].isupper() and unit.source not in self._capitalised:
            first = option[0].translate(_TURKIC) if self._turkic else option[0]
            return first.title() + option[1:]
        return option

    def _upper(self, text: str) -> str:
        return (text.translate(_TURKIC) if self._turkic else text).upper()

    def _units(self, chunk: str, matches: list[re.Match]):
        """Yields the units of a chunk; words joined by hyphens are tried together first."""
        index = 0
        while index < len(matches):
            last = index
            if self._settings.multiword_sources:
                end = min(index + self._hyphenated, len(matches))
                while last + 1 < end and _hyphenated(chunk, matches, last):
                    last += 1
            while last > index:
                start, end = matches[index].start(), matches[last].end()
                source = _key(chunk[start:end])
                if source in self.options and _stands_alone(chunk, start, end):
                    yield Unit(start, end, index, last + 1 - index, source)
                    break
                last -= 1
            else:
                unit = self._unit(chunk, matches[index], index)
                if unit:
                    yield unit
            index = last + 1

    def _unit(self, chunk: str, match: re.Match, index: int) -> Unit | None:
        start, end = match.span()
        word = match.group()
        if not _stands_alone(chunk, start, end):
            return None
        source = self._source(word)
        if source:
            return Unit(start, end, index, 1, source)
        possessive = _POSSESSIVE.fullmatch(word.replace("’", "'"))  # the 's stays: it is grammar of the English
        if possessive and possessive[1].lower() not in CONTRACTED:
            source = self._source(possessive[1])
            if source:
                return Unit(start, end - 2, index, 1, source)
        return None

    def _source(self, word: str) -> str | None:
        """The entry that translates a word. One that the list has with a capital only, May, is not that of may."""
        key, small = _key(word), word[0].islower()
        another = small and key in self._capitalised
        if key in self.options and not another:
            return key
        is_known = key in self._known and not another
        if self._settings.lemmas and not is_known and key not in self._excluded and "'" not in key:
            lemma = english_lemma(key)
            if lemma in self.options and not (small and lemma in self._capitalised):
                return lemma
        return None


def _key(text: str) -> str:
    """A text as lexicon sources are written."""
    text = text.lower()
    return text if text.isascii() else text.replace("’", "'").replace("‐", "-").replace("‑", "-")


def _phrases(sources: Iterable[str]) -> list[list[str]]:
    """The words of the sources of several words, as they stand between spaces."""
    lists = (source.split(" ") for source in sources)
    return [words for words in lists if len(words) > 1 and all(map(_PART.fullmatch, words))]


def _hyphenated(chunk: str, matches: list[re.Match], index: int) -> bool:
    end, start = matches[index].end(), matches[index + 1].start()
    return start == end + 1 and chunk[end] in _HYPHENS


def _stands_alone(chunk: str, start: int, end: int) -> bool:
    """Whether no digit, underscore, combining mark or sign without width touches a word: 3rd, snake_case, décor."""
    around = chunk[max(start - 1, 0) : start], chunk[end : end + 1]
    return not any(one == "_" or one.isdigit() or _is_joined(one) for one in around)


def _is_joined(character: str) -> bool:
    """Decomposed letters, soft hyphens."""
    return bool(character) and not character.isascii() and unicodedata.category(character) in _JOINED


def _all_capitals(words) -> bool:
    return all(len(word) > 1 and word.isupper() for word in words)
