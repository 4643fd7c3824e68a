"""Word lists from disk, in any of the formats, to a cleaned lexicon; and lexicons back to disk."""

import math
import pathlib
from collections.abc import Iterator

from linkjax.errors import UserError
from linkjax.lexicon.cleaning import LIGHT, clean_pairs
from linkjax.lexicon.formats import Reading, ReadOptions, find_format
from linkjax.lexicon.lexicon import Lexicon, Pair

# A file that starts with this line was written here: it is clean, and is not cleaned again.
_HEADER = "source\ttarget\tweight\torigin"
_MOST_PAIRS = 20_000_000  # PanLex has less for any two languages


def read_lexicon(path: str | pathlib.Path, options: ReadOptions = ReadOptions()) -> Lexicon:
    """Reads and cleans a bilingual word list; what `write_lexicon` wrote is read back as it was.

    Of that, pairs below `minimum_weight` are left out; other options say how a list is written, which is known then.

    Each cleaning step is counted in `Lexicon.cleaning`.

    Raises:
      UserError: the file cannot be read, is malformed or of no known format, or has no usable pair.
    """
    reading = Reading(pathlib.Path(path), options)
    if not reading.path.is_dir() and _is_written(reading.head()):  # PanLex's is a folder
        lexicon = _read_written(reading)
    else:
        lexicon = clean_pairs(_bounded(find_format(reading).read(reading), path), options, reading.counts)
    if not lexicon.entries:
        steps = ", ".join(f"{step}: {count}" for step, count in lexicon.cleaning.items() if count) or "it is empty"
        raise UserError(f"lexicon {path} has no usable line ({steps}): expected 'english<TAB>translation' lines.")
    return lexicon


def write_lexicon(lexicon: Lexicon, path: str | pathlib.Path) -> None:
    """Writes tab-separated lines `source, target, weight, origin` that `read_lexicon` reads back to an equal lexicon.

    The first line is a header. A source that the word list wrote with a capital only is written so.
    """
    lines = [_HEADER]
    for source, targets in lexicon.entries.items():
        written = source.capitalize() if source in lexicon.capitalised else source
        for target in targets:
            weight = lexicon.weights.get((source, target))
            origin = lexicon.origins.get((source, target), "")
            lines.append(f"{written}\t{target}\t{'' if weight is None else repr(weight)}\t{origin}")
    pathlib.Path(path).write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")


def _bounded(pairs: Iterator[Pair], path: str | pathlib.Path) -> Iterator[Pair]:
    """The pairs, which are all held in memory, as long as they may be a word list."""
    for number, pair in enumerate(pairs):
        if number == _MOST_PAIRS:
            raise UserError(f"lexicon {path} has more than {_MOST_PAIRS:,} pairs: leave some out, or cut it in parts.")
        yield pair


def _is_written(head: bytes) -> bool:
    return head.removeprefix(b"\xef\xbb\xbf").split(b"\n", 1)[0].removesuffix(b"\r") == _HEADER.encode()


def _read_written(reading: Reading) -> Lexicon:
    entries: dict[str, dict[str, None]] = {}
    weights, origins, capitalised = {}, {}, set()
    least, light = reading.options.minimum_weight, 0
    lines = reading.lines()
    next(lines)
    for number, line in lines:
        if number > _MOST_PAIRS:
            raise UserError(f"lexicon {reading.path} has more than {_MOST_PAIRS:,} pairs: leave some out.")
        written, target, weight, origin, *more = (*line.split("\t"), "", "", "")
        if len(more) != 3 or not (written and target):
            reading.malformed(number, "expected the columns source, target, weight and origin, the first two filled")
            continue
        source = written.lower()
        if target in entries.get(source, ()):
            reading.malformed(number, f"the pair '{source}' - '{target}' comes twice")
            continue
        try:
            value = float(weight) if weight else None
            if value is not None and not math.isfinite(value):
                raise ValueError
        except ValueError:
            reading.malformed(number, f"the weight '{weight}' is not a number")
            continue
        if least and value is not None and value < least:
            light += 1
            continue
        entries.setdefault(source, {})[target] = None
        if value is not None:
            weights[source, target] = value
        if origin:
            origins[source, target] = origin
        if written != source:
            capitalised.add(source)
    pairs = sum(map(len, entries.values()))
    counts = {**reading.counts, "pairs read": pairs + light, "pairs kept": pairs}
    if light:
        counts[f"dropped: {LIGHT}"] = light
    targets = {source: tuple(senses) for source, senses in entries.items()}
    return Lexicon(targets, counts, weights, origins, frozenset(capitalised))
