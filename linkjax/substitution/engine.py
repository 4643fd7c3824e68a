"""LINK: words of an English text swapped for target-language words (arXiv 2605.23885).

`Substitution` is a pure function of (document id, pass, progress, text): every draw is a hash of
(seed, pass, document id, word index), so the same document gives the same result in any process, order
or runtime, and after any resume.

D documents of a block, C chunks (see `chunks`) of all of them, U units, S swaps.
"""

import bisect
import collections
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np

from linkjax.errors import UserError
from linkjax.lexicon import Lexicon, WordStatistics, random_targets, scramble, thin
from linkjax.lexicon.controls import holdout
from linkjax.lexicon.lemmas import english_lemma
from linkjax.substitution import draws
from linkjax.substitution.arrays import ranges
from linkjax.substitution.block import Block, Substituted
from linkjax.substitution.chunks import END, Chunks
from linkjax.substitution.settings import LinkSettings
from linkjax.substitution.word_lists import read_word_list
from linkjax.substitution.words import WordFinder

_PORTION, _SWAP, _SENSE, _LANGUAGE = 1, 2, 3, 4  # streams of draws
_MOST_ROWS, _MOST_CHARACTERS = 500_000, 50_000_000  # bound the memory of a long run: beyond, a table is begun anew
_REGION = re.compile(r"```.*?```|<[^<>\n]{1,500}>|`[^`\n]{1,500}`", re.DOTALL)  # mark-up and code


class _Swapper:
    """The intervention with one lexicon."""

    def __init__(self, finder: WordFinder, settings: LinkSettings):
        self._finder, self._settings = finder, settings
        self._chunks = Chunks(finder)

    def swap(self, texts: Sequence[str], keys_D: np.ndarray, ratios_D: np.ndarray) -> Block:
        """Swaps words of each text at its ratio of eligible words; `keys_D` are the documents' keys of draws."""
        if len(self._chunks) > _MOST_ROWS or self._chunks.characters > _MOST_CHARACTERS:
            recurring = self._chunks.recurring()
            self._chunks = Chunks(self._finder)
            self._chunks.find(recurring[-_MOST_ROWS // 2 :])
        table, settings = self._chunks, self._settings
        found = table.join_phrases(table.find(texts))
        rows_C = found.rows_C
        if len(table) > _MOST_ROWS // 2:  # soon it will matter what recurs
            table.meet(rows_C)
        starts_D = _starts(rows_C)
        document_C = np.repeat(np.arange(len(texts)), np.diff(starts_D, append=len(rows_C)))
        words_C = table.rows.words[rows_C]
        units_C = table.rows.units[rows_C]
        if settings.protect:
            units_C = np.where(self._acronyms(rows_C) | self._regions(rows_C, starts_D, texts), 0, units_C)

        with_units = np.flatnonzero(units_C)
        units_here = units_C[with_units]
        place_U = np.repeat(with_units, units_here)
        unit_U = ranges(table.rows.first_unit[rows_C[with_units]], units_here)
        document_U = document_C[place_U]
        before_C = np.cumsum(words_C) - words_C  # words of all documents before a chunk
        index_U = before_C[place_U] - before_C[starts_D][document_U] + table.units.first[unit_U]
        draws_U = draws.uniform(draws.stream(keys_D, _SWAP)[document_U], index_U)
        chosen_S = np.flatnonzero(draws_U < ratios_D[document_U])
        if settings.max_swaps_per_sentence:
            sentence_U = self._sentences(rows_C)[place_U]
            chosen_S = _lowest_of_each(chosen_S, sentence_U, draws_U, settings.max_swaps_per_sentence)
        unit_S, document_S = unit_U[chosen_S], document_U[chosen_S]
        slot_S = table.units.first_slot[unit_S] + self._senses(keys_D[document_S], unit_S, index_U[chosen_S])
        rows_C, swaps_S, replaced_Sx2 = self._apply(rows_C, place_U[chosen_S], slot_S)

        def words_by_document(document: np.ndarray, unit: np.ndarray) -> np.ndarray:
            return np.bincount(document, table.units.words[unit], len(texts)).astype(np.int64)

        return Block(
            table,
            rows_C,
            _starts(rows_C),
            swaps_S,
            words_D=np.add.reduceat(words_C, starts_D),
            eligible_D=words_by_document(document_U, unit_U),
            swapped_D=words_by_document(document_S, unit_S),
            units_U=unit_U,
            before=found,
            replaced_Sx2=replaced_Sx2,
        )

    def look(self, texts: Sequence[str]) -> Block:
        """The same with no swap made: for what could be swapped."""
        return self.swap(texts, np.zeros(len(texts), np.uint64), np.zeros(len(texts)))

    def _acronyms(self, rows_C: np.ndarray) -> np.ndarray:
        """Words in capitals, as NASA or the US EPA, but not where most of a sentence is: A WHOLE SENTENCE."""
        rows = self._chunks.rows
        capitals_C = rows.capitals[rows_C]
        if not capitals_C.any():
            return capitals_C
        sentence_C = self._sentences(rows_C)
        longer_C = (rows.words[rows_C] > 0) & (rows.length[rows_C] > 1)  # of I and A capitals say nothing
        shouted, words = (np.bincount(sentence_C, of) for of in (capitals_C, longer_C))
        return rows.acronym[rows_C] & ~((shouted > 1) & (2 * shouted > words))[sentence_C]

    def _regions(self, rows_C: np.ndarray, starts_D: np.ndarray, texts: Sequence[str]) -> np.ndarray:
        """Chunks within mark-up or code that has spaces in it."""
        inside_C = np.zeros(len(rows_C), bool)
        for document, text in enumerate(texts):
            if "<" not in text and "`" not in text:
                continue
            start = starts_D[document]
            end = starts_D[document + 1] if document + 1 < len(texts) else len(rows_C)
            after = np.cumsum(self._chunks.rows.advance[rows_C[start:end]]) - 1  # the first has no space before it
            before = after - self._chunks.rows.length[rows_C[start:end]]
            for region in _REGION.finditer(text):
                first = np.searchsorted(after, region.start(), side="right")
                last = np.searchsorted(before, region.end(), side="left")
                inside_C[start + first : start + last] = True
        return inside_C

    def _sentences(self, rows_C: np.ndarray) -> np.ndarray:
        """Number of the sentence of each chunk."""
        rows = self._chunks.rows
        begins_C = rows.begins_line[rows_C]
        begins_C[1:] |= rows.ends_sentence[rows_C[:-1]]
        return np.cumsum(begins_C)

    def _senses(self, keys_S: np.ndarray, unit_S: np.ndarray, index_S: np.ndarray) -> np.ndarray:
        """Which translation of each unit."""
        units, sense = self._chunks.units, self._settings.sense
        options_S = units.options[unit_S]
        if sense == "first":
            return np.zeros_like(options_S)
        what_S = units.entry[unit_S] if sense == "per_document" else index_S
        draws_S = draws.uniform(draws.stream(keys_S, _SENSE), what_S)
        senses_S = (draws_S * options_S).astype(np.int32)
        if sense == "weighted":
            for swap in np.flatnonzero(options_S > 1).tolist():
                ends = self._finder.weight_ends.get(self._chunks.source(unit_S[swap]))
                if ends:
                    senses_S[swap] = bisect.bisect_right(ends, draws_S[swap])
        return senses_S

    def _apply(
        self, rows_C: np.ndarray, place_S: np.ndarray, slot_S: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Makes the swaps.

        Returns:
          the new rows; which of them are swapped; and for each of these the first and the last chunk before
          that it stands for (S x 2).
        """
        table = self._chunks
        first_S = np.flatnonzero(np.diff(place_S, prepend=-1))  # a chunk may have several swaps
        counts_S = np.diff(first_S, append=len(place_S))
        alone_S = counts_S == 1
        rows_S = np.empty(len(first_S), np.int32)
        rows_S[alone_S] = table.swapped(slot_S[first_S[alone_S]])
        for swap in np.flatnonzero(~alone_S).tolist():
            first = first_S[swap]
            rows_S[swap] = table.swapped_together(slot_S[first : first + counts_S[swap]].tolist())
        table.settle()
        place_S = place_S[first_S]
        rows_C = rows_C.copy()
        rows_C[place_S] = rows_S
        replaced_Sx2 = np.stack([place_S, place_S], axis=1)
        follows = (place_S[1:] == place_S[:-1] + 1) & table.rows.open_end[rows_S[:-1]]
        again = np.flatnonzero(follows & table.rows.open_start[rows_S[1:]]) + 1  # no space within such a script
        if not len(again):
            return rows_C, place_S, replaced_Sx2
        for run in _runs(again):
            first, last = run[0] - 1, run[-1]
            rows_C[place_S[first]] = table.merged(rows_S[first : last + 1].tolist())
            replaced_Sx2[first, 1] = place_S[last]
        table.settle()
        gone = place_S[again]
        place_S = np.delete(place_S, again)
        return np.delete(rows_C, gone), place_S - np.searchsorted(gone, place_S), np.delete(replaced_Sx2, again, axis=0)


class Substitution:
    """The intervention with one lexicon, or one for each target language, and one set of settings.

    It keeps a table of the words it has met, so one thread uses it at a time.

    Attributes:
      settings: as given.
      lexicons: language -> the lexicon in use, after all controls.
      heldout: language -> the entries that `settings.holdout` keeps from being swapped.
    """

    def __init__(
        self,
        lexicons: Lexicon | Mapping[str, Lexicon],
        settings: LinkSettings = LinkSettings(),
        statistics: Mapping[str, Mapping[str, WordStatistics]] | None = None,
        eligible_shares: Mapping[str, float] | None = None,
    ):
        """Args:
          lexicons: by target language; a lexicon alone stands for a language not named ('').
          settings: of the intervention.
          statistics: by language, of each lexicon entry; needed for `settings.scramble` and `settings.random_targets`.
          eligible_shares: by language, what share of the words is eligible (`eligible_shares` measures it);
            needed for `settings.ratio_of` words.

        Raises:
          UserError: one of these is missing, or the lexicon covers too few words for the ratio.
        """
        lexicons = {"": lexicons} if isinstance(lexicons, Lexicon) else dict(lexicons)
        self.settings = settings
        self.lexicons: dict[str, Lexicon] = {}
        self.heldout: dict[str, Lexicon] = {}
        self._swappers: list[_Swapper] = []
        self._scales: list[float] = []  # ratio of eligible words / `settings.ratio`
        excluded, domain = read_word_list(settings.exclude), read_word_list(settings.domain_words)
        domain |= {english_lemma(word) for word in domain} - {None}
        for language, whole in lexicons.items():
            lexicon = whole
            if settings.needs_statistics:
                control = scramble if settings.scramble else random_targets
                if statistics is None:
                    raise UserError(f"link.{control.__name__} needs word statistics, which a prepared folder holds.")
                lexicon = control(lexicon, statistics[language], settings.seed)
            lexicon, self.heldout[language] = holdout(lexicon, settings.holdout, settings.seed)
            if settings.coverage < 1:
                lexicon = thin(lexicon, settings.coverage, settings.seed)
            self.lexicons[language] = lexicon
            finder = WordFinder(
                lexicon,
                settings,
                known=frozenset(whole.entries),
                excluded=excluded,
                domain=domain,
                language=language,
            )
            self._swappers.append(_Swapper(finder, settings))
            self._scales.append(self._scale(language, eligible_shares))
        self._language_ends = self._cumulative_weights()

    def __call__(self, document_id: int, text: str, pass_index: int = 0, progress: float = 0.0) -> Substituted:
        """Swaps words of one text; `blocks` does many, and much faster.

        Args:
          document_id: 64-bit id of the document.
          text: its text; everything but the swapped words is kept byte for byte.
          pass_index: how many times the corpus has been read before.
          progress: of the training, 0 to 1, for a ratio that follows a schedule.
        """
        ((_, block),) = self.blocks([document_id], [text], [pass_index], [progress])
        return block.documents()[0]

    def blocks(
        self, ids: Sequence[int], texts: Sequence[str], passes: Sequence[int], progress: Sequence[float]
    ) -> list[tuple[list[int], Block]]:
        """Swaps words of D documents, see `__call__`; at best some hundred at a time.

        Returns:
          (which of the documents, their block) for each target language that has any of them.
        """
        settings = self.settings
        passes_D = np.array(passes, np.uint64)
        keys_D = draws.mix(draws.mix(np.array([settings.seed], np.uint64)) ^ np.array(ids, np.uint64))
        portion_D = draws.mix(keys_D + passes_D) if settings.portion_redraw else keys_D
        touched_D = draws.fraction(draws.stream(portion_D, _PORTION)) < settings.portion
        ratios_D = np.where(touched_D, settings.ratios(np.array(progress, np.float64)), 0.0)
        language_D = np.zeros(len(ids), np.int64)
        if len(self._swappers) > 1:
            drawn = draws.fraction(draws.stream(keys_D, _LANGUAGE))
            language_D = np.searchsorted(self._language_ends, drawn, side="right")
        keys_D = draws.step(keys_D, passes_D + np.uint64(1))
        found = []
        for language in np.unique(language_D).tolist():
            mine = np.flatnonzero(language_D == language)
            ratios = ratios_D[mine] * self._scales[language]
            block = self._swappers[language].swap([texts[i] for i in mine.tolist()], keys_D[mine], ratios)
            found.append((mine.tolist(), block))
        return found

    def documents(self, documents: Iterable[tuple[int, str]], pass_index: int = 0) -> Iterator[Substituted]:
        """Yields what `__call__` makes of each (id, text) document."""
        for ids, texts in _some_at_a_time(documents):
            done = {}
            for members, block in self.blocks(ids, texts, [pass_index] * len(ids), [0.0] * len(ids)):
                done |= zip(members, block.documents(), strict=True)
            yield from (done[member] for member in range(len(ids)))

    def eligible_shares(self, texts: Iterable[str]) -> dict[str, float]:
        """Share of the words of some texts that could be swapped, by language."""
        words, eligible = np.zeros(len(self._swappers)), np.zeros(len(self._swappers))
        for _, some in _some_at_a_time((0, text) for text in texts):
            for language, swapper in enumerate(self._swappers):
                block = swapper.look(some)
                words[language] += block.words_D.sum()
                eligible[language] += block.eligible_D.sum()
        return dict(zip(self.lexicons, (eligible / np.maximum(words, 1)).tolist(), strict=True))

    def entry_counts(self, texts: Iterable[str]) -> collections.Counter[str]:
        """How often each entry of the (one) lexicon could be swapped in."""
        (swapper,) = self._swappers
        counts: collections.Counter[str] = collections.Counter()
        for _, some in _some_at_a_time((0, text) for text in texts):
            block = swapper.look(some)
            units, times = np.unique(block.units_U, return_counts=True)
            for unit, count in zip(units.tolist(), times.tolist(), strict=True):
                counts[block.chunks.source(unit)] += count
        return counts

    def _scale(self, language: str, eligible_shares: Mapping[str, float] | None) -> float:
        settings = self.settings
        if settings.ratio_of == "eligible":
            return 1.0
        if eligible_shares is None:
            raise UserError("link.ratio_of=words needs to know how many words are eligible, as a prepared folder does.")
        share = eligible_shares[language]
        if settings.highest_ratio > share:
            raise UserError(
                f"link.ratio {settings.highest_ratio} of all words is out of reach: only {share:.3f} of them can be"
                f" swapped{f' for {language}' if language else ''}. Choose less, or --config.link.ratio_of=eligible."
            )
        return 1 / share if share else 0.0

    def _cumulative_weights(self) -> np.ndarray:
        weights = self.settings.weights() or dict.fromkeys(self.lexicons, 1.0)
        if set(weights) != set(self.lexicons):
            raise UserError(
                f"link.language_weights names {', '.join(sorted(weights))}, the lexicons are for"
                f" {', '.join(sorted(self.lexicons))}: give each language a weight."
            )
        ends = np.cumsum([weights[language] for language in self.lexicons])
        return ends / ends[-1]


def _some_at_a_time(documents: Iterable[tuple[int, str]]) -> Iterator[tuple[list[int], list[str]]]:
    """Yields ids and texts of some documents, about 64 thousand characters together."""
    ids, texts, size = [], [], 0
    for identifier, text in documents:
        ids.append(identifier)
        texts.append(text)
        size += len(text) + 1
        if size >= 1 << 16:
            yield ids, texts
            ids, texts, size = [], [], 0
    if ids:
        yield ids, texts


def _starts(rows_C: np.ndarray) -> np.ndarray:
    """Where each document begins."""
    ends = np.flatnonzero(rows_C == END)
    return np.concatenate([[0], ends[:-1] + 1])


def _runs(numbers: np.ndarray) -> list[np.ndarray]:
    """Stretches of numbers that follow each other."""
    return np.split(numbers, np.flatnonzero(np.diff(numbers) > 1) + 1)


def _lowest_of_each(chosen: np.ndarray, groups: np.ndarray, values: np.ndarray, most: int) -> np.ndarray:
    """Of the chosen places at most `most` of each group, those with the lowest values, in order."""
    order = chosen[np.lexsort((values[chosen], groups[chosen]))]
    begins = np.flatnonzero(np.diff(groups[order], prepend=-1))
    rank = np.arange(len(order)) - np.repeat(begins, np.diff(begins, append=len(order)))
    return np.sort(order[rank < most])
