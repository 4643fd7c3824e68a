"""Plain tables, a pair a line: tab-separated, comma- or semicolon-separated, and MUSE's two words.

GATITOS (https://github.com/google-research/url-nlp/tree/main/gatitos) and the Wiktionary lists of WECHSEL
(https://github.com/CPJKU/wechsel) are tab-separated; MUSE (https://github.com/facebookresearch/MUSE) has a space
in some files and a tab in others.

A cell is one translation: commas occur within proverbs. Columns after the second are left out, but for one that
a header row calls a weight. A number in a third column of a file without a header may be anything.
"""

import collections
import csv
import math
import pathlib
import re
from collections.abc import Callable, Iterator
from types import SimpleNamespace

import langcodes

from linkjax.lexicon.formats.reading import Reading
from linkjax.lexicon.lexicon import Pair

_SPLIT_CSV = {",": "comma", ";": "semicolon"}
_ENGLISH = {"english", "english word", "en", "eng"}
_SOURCE = {"source", "src", "source word", "word", "headword", "term"}
_TARGET = {"target", "tgt", "trg", "target word", "translation", "translations", "equivalent"}
_WEIGHT = {"weight", "score", "probability", "prob", "frequency", "freq"}
# English names of languages, as a header row writes them; their codes are known to `langcodes`.
_LANGUAGE_NAMES = """afrikaans albanian amharic arabic armenian assamese aymara azerbaijani bambara basque
belarusian bengali bosnian bulgarian burmese catalan cebuano chichewa chinese corsican croatian czech danish dhivehi
dutch esperanto estonian ewe filipino finnish french frisian galician georgian german greek guarani gujarati hausa
hawaiian hebrew hindi hmong hungarian icelandic igbo ilocano indonesian irish italian japanese javanese kannada
kazakh khmer kinyarwanda korean krio kurdish kyrgyz lao latin latvian lingala lithuanian luganda luxembourgish
macedonian maithili malagasy malay malayalam maltese maori marathi mizo mongolian nepali norwegian odia oromo pashto
persian polish portuguese punjabi quechua romanian russian samoan sanskrit serbian sesotho shona sindhi sinhala
slovak slovenian somali spanish sundanese swahili swedish tajik tamil tatar telugu thai tigrinya tsonga turkish
turkmen twi ukrainian urdu uyghur uzbek vietnamese welsh wolof xhosa yiddish yoruba zulu"""
_LANGUAGES = set(_LANGUAGE_NAMES.split())

_Split = Callable[[str], list[str]]


def _is_tsv(path: pathlib.Path, head: bytes) -> bool:
    lines = _lines(head)
    return 2 * sum("\t" in line for line in lines) > len(lines)


def _read_tsv(reading: Reading) -> Iterator[Pair]:
    return _read(
        reading, lambda line: list(map(_unquoted, line.split("\t"))), "no tab in the line, so no second column"
    )


def _unquoted(cell: str) -> str:
    """A cell as it is where a program has put all cells in quotation marks."""
    quoted = len(cell) > 1 and cell[0] == cell[-1] == '"'
    return cell[1:-1].replace('""', '"') if quoted else cell


def _is_csv(path: pathlib.Path, head: bytes) -> bool:
    return bool(_find_delimiter(_lines(head)))


def _read_csv(reading: Reading) -> Iterator[Pair]:
    delimiter = _find_delimiter(_lines(reading.head())) or ","

    def split(line: str) -> list[str]:
        return _split_csv(line, delimiter)

    return _read(reading, split, f"no {_SPLIT_CSV[delimiter]} in the line, so no second column")


def _is_muse(path: pathlib.Path, head: bytes) -> bool:
    return True


def _read_muse(reading: Reading) -> Iterator[Pair]:
    def split(line: str) -> list[str]:
        cells = line.split("\t" if "\t" in line else None)
        return cells if len(cells) == 2 else []

    return _read(reading, split, "expected two words, 'english translation', or a tab between two phrases")


TSV = SimpleNamespace(NAME="tsv", TITLE="tab-separated columns", matches=_is_tsv, read=_read_tsv)
CSV = SimpleNamespace(NAME="csv", TITLE="comma- or semicolon-separated columns", matches=_is_csv, read=_read_csv)
MUSE = SimpleNamespace(NAME="muse", TITLE="two words a line, as MUSE has them", matches=_is_muse, read=_read_muse)


def _read(reading: Reading, split: _Split, expected: str) -> Iterator[Pair]:
    """Yields the pairs of all lines; a line without a second cell is malformed, but for comments."""
    source, target, weight = (1, 0, None) if reading.options.target_first else (0, 1, None)
    first = True
    for number, line in reading.lines():
        try:
            cells = [cell.strip() for cell in split(line)]
        except csv.Error as error:
            reading.malformed(number, f"not a line of a CSV file ({error})")
            continue
        if len(cells) < 2 and line.startswith("#"):
            reading.counts["dropped: comment line"] += 1
            continue
        if len(cells) < 2 or "\0" in line:
            reading.malformed(number, expected if len(cells) < 2 else "holds a NUL byte, so not text")
            continue
        if first and _is_header(names := [cell.casefold() for cell in cells]):
            if names[1] in _ENGLISH:
                source, target = 1, 0
            elif names[0] in _ENGLISH:
                source, target = 0, 1
            weight = next((index for index, name in enumerate(names) if index > 1 and name in _WEIGHT), None)
            first = False
            continue
        first = False
        try:
            value = _weight(cells[weight]) if weight is not None and weight < len(cells) else None
        except ValueError:
            reading.malformed(number, f"the weight '{cells[weight]}' is not a number")
            continue
        yield Pair(cells[source], cells[target], value)


def _weight(cell: str) -> float | None:
    if not cell:
        return None
    if not math.isfinite(weight := float(cell)):
        raise ValueError
    return weight


def _is_header(names: list[str]) -> bool:
    """Whether both first cells name columns: a pair such as 'word' and its translation is not a header."""
    one, other = names[:2]
    if other in _ENGLISH:
        one, other = other, one
    if one in _ENGLISH:
        return other in _TARGET or other in _LANGUAGES or _is_code(other)
    return one in _SOURCE and other in _TARGET


def _is_code(name: str) -> bool:
    return bool(re.fullmatch("[a-z]{2,3}([-_][a-z]{2,4})*", name)) and langcodes.tag_is_valid(name)


def _find_delimiter(lines: list[str]) -> str:
    """Comma or semicolon, whichever splits more of the lines, if it splits most of them; '' if neither does.

    A file with both in most lines is one of semicolons: they are chosen because of commas in the cells.
    """
    counts: collections.Counter[str] = collections.Counter()
    for line in lines:
        for delimiter in _SPLIT_CSV:
            try:
                counts[delimiter] += len(_split_csv(line, delimiter)) > 1
            except csv.Error:
                continue
    best = max((";", ","), key=lambda delimiter: counts[delimiter])
    return best if 2 * counts[best] > len(lines) else ""


def _split_csv(line: str, delimiter: str) -> list[str]:
    """The cells of one line: an open quotation mark is an error here, not a cell of many lines."""
    return next(csv.reader([line], delimiter=delimiter, skipinitialspace=True, strict=True), [])


def _lines(head: bytes) -> list[str]:
    """The whole lines of a file's start that have something in them."""
    lines = head.decode(errors="replace").split("\n")
    return [line for line in (lines[:-1] or lines) if line.strip()]
