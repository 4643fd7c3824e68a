"""Every different chunk of text, numbered: what stands between two spaces is looked at once and then known.

Text is cut at its spaces, and before each line end and tab. A chunk that the text has and one that a swap
makes ("mbwa," for "dog,") are rows of one table, so that finding, counting, placing and tokenizing the words
of a block of documents are array operations on row numbers.

A unit is a word (or several that are one lexicon entry) of a chunk that can be swapped. A slot is one
translation of a unit, and knows the row of the chunk it makes once that was needed.
"""

import bisect
import dataclasses
import re
import struct
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from linkjax.lexicon.scripts import ends_unsegmented, starts_unsegmented
from linkjax.substitution.arrays import grown, ranges
from linkjax.substitution.byte_index import ByteIndex
from linkjax.substitution.words import Analysis, Unit, WordFinder

END = 0  # the row that stands behind each document
GLUED = ("\n", "\t")  # a chunk that begins so has no space before it
_SPACE, _LINE, _TAB = b" \n\t"  # where a chunk ends
_SENTENCE_END = re.compile(r"[.!?…。！？]+[\"'”’)\]]*\r?$")
# Characters that a sentence's end is looked for in: of any length, dots would be searched again and again.
_CLOSING = 40
_BEGINNINGS = 1 << 21


class Span(NamedTuple):
    """A swapped word: `text[start:end]` of the new text stands for `original`."""

    start: int
    end: int
    original: str


class Columns:
    """Arrays that grow together, filled from rows collected in between (`settle`)."""

    def __init__(self, **codes: str):
        """Args: `codes`, of `struct`, for each column."""
        self._layout = np.dtype([(name, np.dtype(f"<{code}")) for name, code in codes.items()])
        self._pack = struct.Struct("<" + "".join(codes.values())).pack
        self._packed = bytearray()
        self._capacity, self._filled, self._count = 1024, 0, 0
        for name in codes:
            setattr(self, name, np.zeros(self._capacity, self._layout[name]))

    def __len__(self) -> int:
        return self._count

    def add(self, *row) -> None:
        self._packed += self._pack(*row)
        self._count += 1

    def settle(self) -> None:
        """Brings what was added since into the arrays."""
        if not self._packed:
            return
        new = np.frombuffer(self._packed, self._layout)
        while self._capacity < self._count:
            self._capacity *= 2
        for name in self._layout.names:
            column = getattr(self, name)
            if len(column) < self._capacity:
                column = np.concatenate([column, np.zeros(self._capacity - len(column), column.dtype)])
                setattr(self, name, column)
            column[self._filled : self._count] = new[name]
        self._filled, self._packed = self._count, bytearray()


@dataclasses.dataclass(frozen=True)
class Found:
    """The chunks of some texts.

    Attributes:
      joined: the texts' UTF-8, a space behind each.
      text_ends_D: where each text ends in it.
      rows_C: the chunks' rows, an END behind each text.
      starts_C, ends_C: where they are in `joined` (of an END: nothing).
    """

    joined: bytes
    text_ends_D: np.ndarray
    rows_C: np.ndarray
    starts_C: np.ndarray
    ends_C: np.ndarray


class Chunks:
    """The table.

    Attributes, by row:
      strings: the chunk; `characters` of all together.
      rows.words, rows.units, rows.first_unit: how many words, how many units, and where they are in `units`.
      rows.length, rows.advance: characters; the same and a space before it, if it has one.
      rows.capitals, rows.acronym, rows.ends_sentence, rows.begins_line: as the names say, an acronym perhaps.
      rows.head, rows.tail: number of the phrase word that the chunk begins, ends with, and has no other; 0 for none.
      rows.spans, rows.first_span: how many words of it were swapped in, and where they are in `spans`.
      rows.size, rows.first_byte: of a chunk made by a swap, its UTF-8 bytes.
      rows.open_start, rows.open_end: a swapped-in word of a script without spaces begins, ends it.
      rows.met, rows.met_again: whether it was in a block of documents, and in another one later.
    """

    def __init__(self, finder: WordFinder):
        self._finder = finder
        self.strings: list[str] = []
        self.characters = 0  # of all strings
        self.originals: list[str] = []  # of each span
        self.rows = Columns(
            words="i", units="i", first_unit="i", length="i", advance="i", capitals="?", acronym="?", ends_sentence="?",
            begins_line="?", head="i", tail="i", spans="i", first_span="i", size="i", first_byte="q", open_start="?",
            open_end="?", met="?", met_again="?",
        )  # fmt: skip
        self.units = Columns(first="i", words="i", options="i", first_slot="i", entry="Q")
        self.spans = Columns(start="i", end="i", identical="?")
        self._units: list[tuple[int, Unit]] = []  # with its row
        self._first_slots: list[int] = []  # of each unit
        self._slots = 0
        self._slot_rows = np.full(1024, -1, np.int32)
        words = dict.fromkeys(word for phrase in finder.phrases for word in phrase)
        self._phrase_words = ["", *words]
        self._phrase_word_numbers = {word: number for number, word in enumerate(self._phrase_words) if number}
        self._beginnings = self._phrase_beginnings()
        self._made_bytes, self._made_size = np.zeros(1 << 16, np.uint8), 0
        self._index = ByteIndex()
        self._phrases: dict[bytes, int] = {}
        self._made: dict[tuple[str, tuple[int, ...]], int] = {}  # rows made of several slots, or of several rows
        self._add_text(" ", Analysis(0, ()), ends_sentence=True)
        self.settle()

    def __len__(self) -> int:
        return len(self.strings)

    def find(self, texts: Sequence[str]) -> Found:
        """The chunks of some texts, an END behind each text."""
        encoded = [text.encode("utf-8", "surrogatepass") for text in texts]
        joined = b" ".join([*encoded, b""])  # a space behind each
        characters = np.frombuffer(joined, np.uint8)
        ends = np.flatnonzero((characters == _SPACE) | (characters == _LINE) | (characters == _TAB))
        starts = np.zeros_like(ends)
        starts[1:] = ends[:-1] + (characters[ends[:-1]] == _SPACE)
        rows = self._index.find(joined, starts, ends - starts, self._add_bytes)
        self.settle()
        text_ends = np.cumsum([len(text) + 1 for text in encoded]) - 1  # the space behind each
        behind = np.searchsorted(ends, text_ends) + 1
        rows, starts, ends = (np.insert(values, behind, END) for values in (rows, starts, ends))
        return Found(joined, text_ends, rows, starts, ends)

    def join_phrases(self, found: Found) -> Found:
        """Makes one chunk of those that together hold an entry of several words, the longest from the left."""
        if not self._phrase_word_numbers:
            return found
        rows, ends = found.rows_C, found.ends_C
        head, tail = self.rows.head[rows], self.rows.tail[rows]
        places = self._phrase_places(head, tail)
        heads, tails = head.tolist(), tail.tolist()
        gone: list[int] = []
        free = 0
        for place in places.tolist():
            if place < free:
                continue
            length = self._phrase_length(heads, tails, place)
            if length:
                free = place + length
                rows[place] = self._find_phrase(rows[place:free])
                ends[place] = ends[free - 1]
                gone += range(place + 1, free)
        if not gone:
            return found
        self.settle()
        rows, starts, ends = (np.delete(values, gone) for values in (rows, found.starts_C, ends))
        return Found(found.joined, found.text_ends_D, rows, starts, ends)

    def rewritten(self, found: Found, first_S: np.ndarray, last_S: np.ndarray, rows_S: np.ndarray) -> list[str]:
        """The texts with some of their chunks, each first to last, replaced by others."""
        starts, ends, sizes = found.starts_C[first_S], found.ends_C[last_S], self.rows.size[rows_S]
        old = np.frombuffer(found.joined, np.uint8)
        new = self._made_bytes[ranges(self.rows.first_byte[rows_S], sizes)]
        pieces = np.zeros(
            (2, 2 * len(rows_S) + 1), np.int64
        )  # start and length of what stays and what is new, in turns
        pieces[0, 2::2] = ends
        pieces[0, 1::2] = len(old) + np.cumsum(sizes) - sizes
        pieces[1, ::2] = np.append(starts, len(old)) - pieces[0, ::2]
        pieces[1, 1::2] = sizes
        joined = np.concatenate([old, new])[ranges(*pieces)].tobytes()
        growth = np.append(0, np.cumsum(sizes - (ends - starts)))
        text_ends = found.text_ends_D + growth[np.searchsorted(starts, found.text_ends_D)]
        text_starts = [0, *(text_ends[:-1] + 1).tolist()]
        bounds = zip(text_starts, text_ends.tolist(), strict=True)
        return [joined[start:end].decode("utf-8", "surrogatepass") for start, end in bounds]

    def swapped(self, slots: np.ndarray) -> np.ndarray:
        """Rows of the chunks that these slots make, one word of each swapped."""
        rows = self._slot_rows[slots]
        if len(slots) and rows.min() < 0:
            for slot in set(slots[rows < 0].tolist()):
                self._slot_rows[slot] = self._add_swapped([slot])
            self.settle()
            rows = self._slot_rows[slots]
        return rows

    def swapped_together(self, slots: Sequence[int]) -> int:
        """Row of the chunk that several slots of one chunk make; `settle` afterwards."""
        key = ("slots", tuple(slots))
        if key not in self._made:
            self._made[key] = self._add_swapped(slots)
        return self._made[key]

    def merged(self, rows: Sequence[int]) -> int:
        """Row of swapped chunks without the spaces between them; what meets is one stretch; `settle` afterwards."""
        key = ("rows", tuple(rows))
        if key not in self._made:
            spans: list[Span] = []
            shift = 0
            for row in rows:
                here = [Span(start + shift, end + shift, original) for start, end, original in self.spans_of(row)]
                if spans:
                    last = spans.pop()
                    here[0] = Span(last.start, here[0].end, f"{last.original} {here[0].original}")
                spans += here
                shift += len(self.strings[row])
            self._made[key] = self._add_made("".join(self.strings[row] for row in rows), spans)
        return self._made[key]

    def spans_of(self, row: int) -> list[Span]:
        """The swapped-in words of a chunk, places within it."""
        first = int(self.rows.first_span[row])
        places = range(first, first + int(self.rows.spans[row]))
        return [Span(int(self.spans.start[i]), int(self.spans.end[i]), self.originals[i]) for i in places]

    def meet(self, rows: np.ndarray) -> None:
        """Remembers that a block had these rows."""
        again = rows[self.rows.met[rows]]
        self.rows.met_again[again] = True
        self.rows.met[rows] = True

    def recurring(self) -> list[str]:
        """The chunks that several blocks had: those worth knowing in a table begun anew."""
        return [self.strings[row] for row in np.flatnonzero(self.rows.met_again[: len(self)]).tolist() if row != END]

    def source(self, unit: int) -> str:
        """The lexicon's entry of a unit."""
        return self._units[unit][1].source

    def _phrase_places(self, head: np.ndarray, tail: np.ndarray) -> np.ndarray:
        """Where a phrase may begin, by the first two and, if it has them, three words; END is behind the last."""
        places = np.flatnonzero((tail[:-1] > 0) & (head[1:] > 0))
        first, second = tail[places], head[places + 1]
        third = np.where(tail[places + 1] > 0, head[np.minimum(places + 2, len(head) - 1)], 0)
        return places[self._beginnings[_triple(first, second, 0)] | self._beginnings[_triple(first, second, third)]]

    def _phrase_length(self, heads: list[int], tails: list[int], place: int) -> int:
        """How many chunks from a place on are a phrase, 0 if none are."""
        words = [self._phrase_words[tails[place]]]
        lengths = self._finder.phrase_lengths.get(words[0], (0,))
        while len(words) < lengths[0] and heads[place + len(words)]:
            place_of_next = place + len(words)
            words.append(self._phrase_words[heads[place_of_next]])
            if not tails[place_of_next]:
                break
        for length in lengths:
            if 0 < length <= len(words) and " ".join(words[:length]) in self._finder.options:
                return length
        return 0

    def _phrase_beginnings(self) -> np.ndarray:
        """Whether words may begin a phrase, by `_triple`: most that follow each other do not."""
        beginnings = np.zeros(_BEGINNINGS, bool)
        triples = [words if len(words) == 3 else (*words, 0) for words in self._numbered_beginnings()]
        if triples:
            beginnings[_triple(*np.array(triples).T)] = True
        return beginnings

    def _numbered_beginnings(self) -> set[tuple[int, ...]]:
        numbers = self._phrase_word_numbers
        return {tuple(numbers[word] for word in words[:3]) for words in self._finder.phrases}

    def _find_phrase(self, rows: np.ndarray) -> int:
        key = rows.tobytes()
        if key not in self._phrases:
            text = " ".join(self.strings[row] for row in rows.tolist())
            self._phrases[key] = self._add_text(text, self._finder.analyse_phrase(text))
        return self._phrases[key]

    def settle(self) -> None:
        """Brings what was added since into the arrays."""
        for columns in (self.rows, self.units, self.spans):
            columns.settle()
        if len(self._slot_rows) < self._slots:
            more = np.full(self._slots, -1, np.int32)
            self._slot_rows = np.concatenate([self._slot_rows, more])

    def _add_bytes(self, chunk: bytes) -> int:
        text = chunk.decode("utf-8", "surrogatepass")
        return self._add_text(text, self._finder.analyse(text))

    def _add_text(self, text: str, analysis: Analysis, ends_sentence: bool = False) -> int:
        row = len(self.strings)
        first_unit = len(self._units)
        for unit in analysis.units:
            options = len(self._finder.options[unit.source])
            self.units.add(unit.first, unit.words, options, self._slots, self._finder.entry_key(unit.source))
            self._units.append((row, unit))
            self._first_slots.append(self._slots)
            self._slots += options
        glued = text[:1] in GLUED
        self.strings.append(text)
        self.characters += len(text)
        self.rows.add(
            analysis.words,
            len(analysis.units),
            first_unit,
            len(text),
            len(text) + (not glued),
            analysis.capitals,
            analysis.capitals and not analysis.phrase,
            ends_sentence or (not text[-1:].isalnum() and _SENTENCE_END.search(text[-_CLOSING:]) is not None),
            text[:1] == "\n",
            self._phrase_word_numbers.get(analysis.head, 0),
            self._phrase_word_numbers.get(analysis.tail, 0),
            *(0, 0, 0, 0, False, False, False, False),
        )
        return row

    def _add_swapped(self, slots: Sequence[int]) -> int:
        """A row for a chunk with the words of these slots swapped; they are of one chunk and in order."""
        parts, spans, last, shift = [], [], 0, 0
        for slot in slots:
            number = bisect.bisect_right(self._first_slots, slot) - 1
            row, unit = self._units[number]
            chunk = self.strings[row]
            translation = self._finder.translate(chunk, unit, slot - self._first_slots[number])
            parts += [chunk[last : unit.start], translation]
            start = unit.start + shift
            spans.append(Span(start, start + len(translation), chunk[unit.start : unit.end]))
            shift += len(translation) - (unit.end - unit.start)
            last = unit.end
        return self._add_made("".join(parts) + chunk[last:], spans)

    def _add_made(self, text: str, spans: Sequence[Span]) -> int:
        row = len(self.strings)
        first_span = len(self.spans)
        for span in spans:
            self.spans.add(span.start, span.end, text[span.start : span.end] == span.original)
            self.originals.append(span.original)
        opens = spans[0].start == 0 and starts_unsegmented(text)
        closes = spans[-1].end == len(text) and ends_unsegmented(text)
        advance = len(text) + (text[:1] not in GLUED)
        encoded = text.encode("utf-8", "surrogatepass")
        first_byte, size = self._made_size, len(encoded)
        self._made_size += size
        self._made_bytes = grown(self._made_bytes, self._made_size)
        self._made_bytes[first_byte : self._made_size] = np.frombuffer(encoded, np.uint8)
        self.strings.append(text)
        self.characters += size
        span_row = (len(spans), first_span, size, first_byte, opens, closes, False, False)
        self.rows.add(0, 0, 0, len(text), advance, False, False, False, False, 0, 0, *span_row)
        return row


def _triple(first: np.ndarray, second: np.ndarray, third: np.ndarray | int) -> np.ndarray:
    return (first.astype(np.int64) * 1_000_003 + second * np.int64(7919) + third) & (_BEGINNINGS - 1)
