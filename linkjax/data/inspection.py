"""The training stream for people to read: decoded rows, and what the batches are made of.

B rows, L tokens of a row, T tokens of a segment; the fields of a batch are those of `rows`.
"""

import itertools
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from linkjax.data.cutting import at_least
from linkjax.data.documents import Document
from linkjax.data.pipeline import StreamSettings, counters, run_rates, swaps_words
from linkjax.data.prepared import Prepared
from linkjax.data.tokenizer import AnyTokenizer

_SWAPPED, _BORDER, _PLAIN = "\033[1;32m", "\033[2m", "\033[0m"
_MANY = 10_000  # documents, which take a while
_ISOLATE, _END_ISOLATE = "\u2068", "\u2069"  # keeps a word written from right to left in its place
# A text may not steer the terminal: its control characters are shown as their pictures, where they have any.
_PICTURES = {code: 0x2400 + code for code in range(32) if chr(code) not in "\n\t"} | {0x7F: 0x2421}
_PICTURES |= dict.fromkeys(range(0x80, 0xA0), 0xFFFD)


class Row(NamedTuple):
    """A row of the stream: batch and place in it, both counted from 1, and its fields without the B."""

    batch: int
    place: int
    fields: dict[str, np.ndarray]


class Sample:
    """Some rows of the stream's first batches, and counts of all of them."""

    def __init__(self, prepared: Prepared, settings: StreamSettings, rows: int):
        """Args: `rows`, how many to keep; the components come in turns, so that a small one is seen too."""
        self._components, self._rates = prepared.components, run_rates(prepared, settings)
        self._run_places = settings.shard_tokens * settings.virtual_shards
        self._wanted = rows
        self._rows: list[list[Row]] = [[] for _ in prepared.components]
        self._batches = self._places = self._tokens = self._swapped = self._weightless = 0

    def add(self, batch: Mapping[str, np.ndarray]) -> None:
        self._batches += 1
        for place, component in enumerate(batch["component_B"].tolist()):
            if len(self._rows[component]) < self._wanted:
                fields = {name.partition("_B")[0]: values[place].copy() for name, values in batch.items()}
                self._rows[component].append(Row(self._batches, place + 1, fields))
        inside_BxL = batch["segments_BxL"] > 0
        self._places += inside_BxL.size
        self._tokens += int(inside_BxL.sum())
        self._swapped += int(batch["swapped_BxL"][inside_BxL].sum())
        self._weightless += int((batch["loss_weights_BxL"][inside_BxL] == 0).sum())

    def rows(self) -> list[Row]:
        """The first rows of every component, in the order of the stream."""
        in_turns = itertools.chain.from_iterable(itertools.zip_longest(*self._rows))
        return sorted(itertools.islice(filter(None, in_turns), self._wanted), key=lambda row: row[:2])

    def shares(self, states: dict[int, str]) -> Iterator[str]:
        """Yields lines: tokens of each component and language against its rate, padding, swaps.

        Args: `states`, of the stream after these batches.
        """
        counts = counters(states, self._components)
        begun_S = self._rates.starts_S * self._run_places * self._tokens / max(self._places, 1)
        due_C = self._rates.due(self._tokens, begun_S.tolist())
        places: dict[str, list[int]] = {}
        for place, component in enumerate(self._components):
            places.setdefault(component["language"], []).append(place)
        width = max(len("component"), *(len(component["name"]) for component in self._components))

        def shares(name: str, language: str, which: list[int], passes: str) -> str:
            tokens = int(sum(counts[f"tokens/{self._components[place]['name']}"] for place in which))
            share, rate = _percent(tokens, self._tokens), _percent(due_C[which].sum(), self._tokens)
            return f"  {name:<{width}}  {language:<8} {tokens:>12,}  {share:>8}  {rate:>8}  {passes:>8}".rstrip()

        yield f"{self._batches} batches: {self._places:,} places, {self._tokens:,} tokens"
        yield f"  {'component':<{width}}  {'language':<8} {'tokens':>12}  {'share':>8}  {'rate':>8}  {'passes':>8}"
        for place, component in enumerate(self._components):
            passes = counts[f"passes/{component['name']}"]
            yield shares(component["name"], component["language"], [place], f"{passes:.2f}")
        for language, which in places.items():
            if len(which) > 1:
                yield shares("together", language, which, "")
        yield f"  padding: {_percent(self._places - self._tokens, self._places)} of the places"
        yield f"  swapped-in: {_percent(self._swapped, self._tokens)} of the tokens"
        yield f"  loss weight 0: {_percent(self._weightless, self._tokens)} of the tokens"
        if swapping := [component["name"] for component in self._components if swaps_words(component)]:
            eligible, swapped, same = (counts[f"link/{name}_share"] for name in ("eligible", "swapped", "identical"))
            yield (
                f"  words of {', '.join(swapping)}: {eligible:.1%} eligible, {swapped:.1%} swapped;"
                f" {same:.1%} of the swaps put in the same word"
            )
        else:
            yield "  no component has its words swapped"


def row_lines(row: Row, components: Sequence[dict], tokenizer: AnyTokenizer, colour: bool) -> Iterator[str]:
    """Yields a row as lines: its documents with their borders, and where padding begins.

    Swapped-in tokens are in colour, or in [brackets].
    """
    component = components[int(row.fields["component"])]
    segments_L = row.fields["segments"]
    tokens = np.count_nonzero(segments_L)
    yield f"batch {row.batch}, row {row.place}: {component['name']} ({component['language']}), {tokens} tokens"
    for segment in range(1, segments_L.max() + 1):
        inside_L = segments_L == segment
        tokens_T, targets_T, loss_weights_T, swapped_T = (
            row.fields[name][inside_L] for name in ("tokens", "targets", "loss_weights", "swapped")
        )
        begins, ends = tokens_T[0] == tokenizer.start, targets_T[-1] == tokenizer.eos
        # What is read, not what is to be predicted, which can be a word that was swapped out. The last token of a
        # cut document is read in another row, so there the target has to do.
        read_T = np.append(tokens_T[1:], targets_T[-1])
        about = [f"{len(read_T)} tokens", f"{np.count_nonzero(swapped_T)} swapped-in"]
        if weightless := np.count_nonzero(loss_weights_T == 0):
            about.append(f"loss weight 0 on {weightless}")
        if others := np.count_nonzero(read_T != targets_T):
            about.append(f"another target on {others}")
        if not begins:
            about.append("goes on from another row")
        if not ends:
            about.append("cut here")
        yield _border(f"segment {segment}: {', '.join(about)}", colour)
        text_T = slice(0, len(read_T) - int(ends))
        text = marked_text(read_T[text_T], swapped_T[text_T], tokenizer, colour)
        if begins and tokenizer.adds_space:
            text = text.removeprefix(" ")
        yield from (f"  {line}" for line in text.split("\n"))
    padding = len(segments_L) - tokens
    yield _border(
        f"padding: from place {tokens + 1} on, {padding} of {len(segments_L)}" if padding else "no padding", colour
    )


def marked_text(tokens_T: np.ndarray, swapped_T: np.ndarray, tokenizer: AnyTokenizer, colour: bool) -> str:
    """The text of tokens, with the space that the tokenizer may put first, and the swapped-in ones marked."""
    parts = []
    for swapped, run in itertools.groupby(range(len(tokens_T)), lambda place: bool(swapped_T[place])):
        raw = b"".join(tokenizer.piece_bytes(int(tokens_T[place])) for place in run)
        text = plain(raw.decode(errors="replace"))
        word = text.lstrip(" ")
        parts.append(" " * (len(text) - len(word)) + (_mark(word, colour) if swapped and word else word))
    return "".join(parts)


def plain(text: str) -> str:
    """The text for a terminal."""
    return text.translate(_PICTURES)


def found(prepared: Prepared, ids: Collection[int], shards: int) -> Iterator[tuple[dict, Document]]:
    """Yields those of a folder's documents that have the ids, each once, with their components.

    Args: `shards` of the run: where documents are fewer, its ids are those of pieces of them.
    """
    left = set(ids)
    for component in prepared.components:
        documents = prepared.documents(component)
        pieces = at_least(documents, shards, component["name"]) if len(documents) < shards else ()
        total = len(documents) + len(pieces)
        quiet = total < _MANY or not sys.stderr.isatty()
        for document in tqdm(
            itertools.chain(documents, pieces),
            desc=component["name"],
            unit=" documents",
            total=total,
            disable=quiet,
            leave=False,
        ):
            if not isinstance(document, int) and document.id in left:
                left.discard(document.id)
                yield component, document
            if not left:
                return


def _mark(text: str, colour: bool) -> str:
    return f"{_SWAPPED}{_ISOLATE}{text}{_END_ISOLATE}{_PLAIN}" if colour else f"[{text}]"


def _border(text: str, colour: bool) -> str:
    return f"{_BORDER}-- {text}{_PLAIN}" if colour else f"-- {text}"


def _percent(part: float, whole: float) -> str:
    return f"{100 * part / max(whole, 1):.2f} %"
