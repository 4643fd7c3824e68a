"""LINK: words of an English text swapped for target-language words (arXiv 2605.23885).

`Substitution` is a pure function of (document id, pass, text): every draw is a hash of
(seed, pass, document id, word index), so the same document gives the same result in any process, order
or runtime, and after any resume.
"""

import dataclasses
import re
from bisect import bisect_right
from collections.abc import Mapping

import numpy as np

from linkjax.errors import UserError
from linkjax.lexicon import Lexicon, WordStatistics, scramble, thin
from linkjax.settings import setting

WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")
_SENTENCE_END = re.compile(r"[.!?…。！？]+[\"'”’)\]]*(?=\s)|\n")

_MASK = (1 << 64) - 1
_GOLDEN = 0x9E3779B97F4A7C15
_PORTION, _SWAP, _SENSE = 1, 2, 3  # streams of draws


@dataclasses.dataclass(frozen=True)
class LinkSettings:
    """Settings of the intervention. Ratio 0 leaves every document byte for byte as it is."""

    ratio: float = setting(0.5, "share of the eligible words (those in the lexicon) swapped in a touched document")
    portion: float = setting(1.0, "share of the English documents that is touched, by document id and seed")
    portion_redraw: bool = setting(False, "draw the touched documents anew at every pass over the corpus")
    max_swaps_per_sentence: int = setting(0, "no more swaps than this in one sentence; 0 = no limit")
    coverage: float = setting(1.0, "control: share of the lexicon's entries that is used")
    scramble: bool = setting(False, "control: wrong pairs, matched in frequency and length")
    loss_on_swapped: bool = setting(True, "whether swapped-in tokens count in the loss")
    seed: int = setting(0, "seed of all draws of the intervention")

    def __post_init__(self):
        for name in ("ratio", "portion", "coverage"):
            value = getattr(self, name)
            if not 0 <= value <= 1:
                raise UserError(f"link.{name} is {value}, but it is a share: choose a value from 0 to 1.")
        for name in ("max_swaps_per_sentence", "seed"):
            value = getattr(self, name)
            if not 0 <= value < 2**31:
                raise UserError(f"link.{name} is {value}: choose 0 or more, below 2^31.")


@dataclasses.dataclass(frozen=True)
class Span:
    """A swapped word: `text[start:end]` of the new text stands for `original`."""

    start: int
    end: int
    original: str


@dataclasses.dataclass(frozen=True)
class Substituted:
    """A document after the intervention.

    Attributes:
      text: the new text.
      spans: the swapped words, in order.
      words: words in the document.
      eligible: those of them in the lexicon.
    """

    text: str
    spans: tuple[Span, ...]
    words: int
    eligible: int

    def undo(self) -> str:
        """The text before the intervention."""
        parts, last = [], 0
        for span in self.spans:
            parts += [self.text[last : span.start], span.original]
            last = span.end
        return "".join(parts) + self.text[last:]


class Substitution:
    """The intervention with one lexicon and one set of settings."""

    def __init__(
        self,
        lexicon: Lexicon,
        settings: LinkSettings,
        statistics: Mapping[str, WordStatistics] | None = None,
    ):
        """Args: `statistics` of each lexicon entry, needed for `settings.scramble` only."""
        if settings.scramble:
            if statistics is None:
                raise UserError("link.scramble needs word statistics, which a prepared folder holds.")
            lexicon = scramble(lexicon, statistics, settings.seed)
        if settings.coverage < 1:
            lexicon = thin(lexicon, settings.coverage, settings.seed)
        self.lexicon = lexicon
        self.settings = settings
        self._options: dict[str, tuple[str, ...] | None] = {}  # surface form -> translations in its case

    def __call__(self, document_id: int, text: str, pass_index: int = 0) -> Substituted:
        """Swaps words of `text`.

        Args:
          document_id: 64-bit id of the document.
          text: its text; everything but the swapped words is kept byte for byte.
          pass_index: how many times the corpus has been read before.
        """
        words = 0
        eligible: list[tuple[int, re.Match, tuple[str, ...]]] = []
        for words, match in enumerate(WORD.finditer(text), start=1):
            options = self._translations(match.group())
            if options:
                eligible.append((words - 1, match, options))
        spans: list[Span] = []
        parts: list[str] = []
        shift = last = 0
        for match, translation in self._choose(document_id, text, pass_index, eligible):
            start = match.start() + shift
            shift += len(translation) - len(match.group())
            spans.append(Span(start, start + len(translation), match.group()))
            parts += [text[last : match.start()], translation]
            last = match.end()
        new_text = "".join(parts) + text[last:] if parts else text
        return Substituted(new_text, tuple(spans), words, len(eligible))

    def _choose(self, document_id, text, pass_index, eligible):
        """Yields (match, translation) of the words to swap, in order."""
        settings = self.settings
        if not eligible or settings.ratio == 0:
            return
        key = _mix(_mix(settings.seed) ^ document_id)
        portion_key = _mix(key + pass_index) if settings.portion_redraw else key
        if _mix(portion_key ^ _PORTION) >= int(settings.portion * 2**64):
            return
        key = _mix(key + _GOLDEN * (pass_index + 1))
        indices = np.array([index for index, _, _ in eligible], np.uint64)
        draws = _draws(key, _SWAP, indices)
        chosen = np.flatnonzero(draws < settings.ratio)
        if settings.max_swaps_per_sentence:
            chosen = self._limit_per_sentence(text, eligible, draws, chosen)
        senses = _draws(key, _SENSE, indices[chosen])
        for position, sense in zip(chosen.tolist(), senses.tolist(), strict=True):
            _, match, options = eligible[position]
            yield match, options[int(sense * len(options))]

    def _limit_per_sentence(self, text, eligible, draws, chosen):
        """Keeps in each sentence the chosen words with the smallest draws."""
        ends = [match.end() for match in _SENTENCE_END.finditer(text)]
        kept: dict[int, int] = {}
        survivors = []
        for position in sorted(chosen.tolist(), key=lambda position: draws[position]):
            sentence = bisect_right(ends, eligible[position][1].start())
            kept[sentence] = kept.get(sentence, 0) + 1
            if kept[sentence] <= self.settings.max_swaps_per_sentence:
                survivors.append(position)
        return np.array(sorted(survivors), np.int64)

    def _translations(self, word: str) -> tuple[str, ...] | None:
        try:
            return self._options[word]
        except KeyError:
            options = self.lexicon.entries.get(word.lower())
            if options is not None:
                options = tuple(match_case(option, word) for option in options)
            if len(self._options) > 2_000_000:  # bounds the memory of a long run over dirty text
                self._options.clear()
            self._options[word] = options
            return options


def match_case(translation: str, word: str) -> str:
    """The translation in the case of the word it replaces; a lower-case word leaves it as the lexicon has it."""
    if len(word) > 1 and word.isupper():
        return translation.upper()
    if word[0].isupper():
        return translation[0].upper() + translation[1:]
    return translation


def _mix(x: int) -> int:
    """splitmix64's finaliser: a bijection of 64-bit integers that spreads every bit (Steele et al. 2014)."""
    x = (x + _GOLDEN) & _MASK
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & _MASK
    return x ^ (x >> 31)


def _draws(key: int, stream: int, indices: np.ndarray) -> np.ndarray:
    """Uniform draws in [0, 1), one for each index: `_mix` vectorised."""
    x = indices * np.uint64(_GOLDEN) + np.uint64(_mix(key ^ stream))
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    x ^= x >> np.uint64(31)
    return (x >> np.uint64(11)).astype(np.float64) * 2.0**-53
