"""FreeDict dictionaries for dictd: `NAME.index` beside `NAME.dict.dz` or `NAME.dict`; either may be named.

An index line is `key<TAB>offset<TAB>length` in dictd's base-64 digits (dictfmt(1), https://linux.die.net/man/1/dictfmt);
the entry there has a headword, its pronunciation and grammar on the first line, then a line per sense (FreeDict,
https://freedict.org/downloads/):

    cabinet /kˈabɪnət/
    1. camlı ve raflı olan dolap
    2. kabine, bakanlar kurulu
    3. gizli. cabinetmaker  ince iş yapan marangoz.

Many are printed dictionaries, scanned. Commas and semicolons separate translations. Left out, and counted, are:
all of an entry after its first sentence end, where phrases with the headword follow; what follows a colon, an
example; cross references; explanations (more than three words longer than the headword); items with the headword
within, with a double space (two things run together), with a mark inside a word, or with a hyphen in front.
Indented lines in quotation marks or with a label ("Synonym: ...") are not translations.
"""

import collections
import pathlib
import re
from collections.abc import Iterator

from linkjax.errors import UserError
from linkjax.files import read_whole
from linkjax.lexicon.formats.reading import Reading
from linkjax.lexicon.lexicon import Pair

NAME = "dictd"
TITLE = "FreeDict's dictd files (.index with .dict.dz or .dict)"

_DIGITS = {
    digit: value for value, digit in enumerate("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
}
_MOST_BYTES = 1 << 29
_MOST_ENTRY_BYTES = 1 << 16
_MOST_WORDS = 3  # of a translation, more than the headword has
_BODIES = (".dict.dz", ".dict")

_GRAMMAR = re.compile(r"\s{,4}<[^<>]*>\s{,4}")
_PRONUNCIATION = re.compile(r"(\s{1,4}/[^/]*/,?){1,9}$")
_NOT_TRANSLATION = re.compile(r"\s+(?:[\"“«]|[A-Za-z][A-Za-z -]*:\s)")
_NUMBER = re.compile(r"^\s*\d+\.\s+")
# FreeDict's English-Turkish file took some ends of words for abbreviations: "(kıs.)ım", "e(den.)", "impo(sin.)g".
_TORN_WORD = re.compile(r"(?<=\w)\((\w+)\.\)|\((\w+)\.\)(?=\w)")
# "See", "abbreviation of" and species' Latin names, as that file labels them.
_REFERENCE = re.compile(r"\(\s*(?:bak|bkz|kıs|see)\.?\s*\)")
_SPECIES = re.compile(r"\(\s*(?:bot|zool)\.?\s*\)\s*[A-Z]")
_NOTE = re.compile(r"\s{,4}(?:\([^()]*\)|\[[^][]*\]|\{[^{}]*\})\s{,4}")
_STRAY_BRACKET = re.compile(r"^.*\)|\(.*$")  # with what was within the brackets
_DEEPEST = 4  # brackets within brackets
# Words of up to three letters with a point and more after them are abbreviations (jdn., etw.).
_SENTENCE_END = re.compile(r"(?:(?<=\w\w\w\w)|(?<=\W))\.(?=\s)|[!?](?=\s)|[.!?]\s*$")
_ITEMS = re.compile(r"[,;]")
_BROKEN = re.compile(r"[^\W\d_][\d.:!?]+[^\W\d_]|[.:!?]\s|\.\.|\.$|[…|\"]")


def matches(path: pathlib.Path, head: bytes) -> bool:
    return path.name.endswith((".index", ".dict.dz")) or (
        path.suffix == ".dict" and path.with_suffix(".index").exists()
    )


def read(reading: Reading) -> Iterator[Pair]:
    """Yields the pairs in the order of the index.

    Raises:
      UserError: the index or the dictionary is missing or cut off, or the dictionary is too large.
    """
    index_path, body_path = _find_files(reading.path)
    body = read_whole(body_path, _MOST_BYTES, "that is no dictionary of word pairs")
    index = Reading(index_path, reading.options)
    index.counts = reading.counts
    seen = set()
    for number, line in index.lines():
        key, *places = line.split("\t")
        if key.startswith(("00database", "00-database")):
            continue
        try:
            start, length = map(_decode, places[:2])
            if length > _MOST_ENTRY_BYTES or start + length > len(body):
                raise ValueError(f"{length:,} bytes from byte {start:,} of {len(body):,} in {body_path.name}")
            entry = body[start : start + length].decode()
        except ValueError as error:
            index.malformed(number, f"expected key, offset and length of an entry, in dictd's base-64 digits ({error})")
            continue
        if (start, length) in seen:  # one entry under several keys
            continue
        seen.add((start, length))
        for headword, translation in _read_entry(entry, reading.counts):
            pair = Pair(headword, translation)
            yield Pair(translation, headword) if reading.options.target_first else pair


def _find_files(path: pathlib.Path) -> tuple[pathlib.Path, pathlib.Path]:
    suffix = next((suffix for suffix in (".index", *_BODIES) if path.name.endswith(suffix)), "")
    stem = path.name.removesuffix(suffix)
    bodies = [path] if suffix in _BODIES else [path.with_name(stem + suffix) for suffix in _BODIES]
    body = next((body for body in bodies if body.exists()), None)
    if body is None:
        raise UserError(f"no {stem}.dict.dz or {stem}.dict is beside {path}: a dictd dictionary needs both files.")
    return path.with_name(stem + ".index"), body


def _decode(digits: str) -> int:
    if not 1 <= len(digits) <= 12:  # 2^72 is beyond the end of any file
        raise ValueError(f"a number of {len(digits)} digits")
    value = 0
    for digit in digits:
        if digit not in _DIGITS:
            raise ValueError(f"'{digit}' is no such digit")
        value = value * 64 + _DIGITS[digit]
    return value


def _read_entry(entry: str, counts: collections.Counter[str]) -> Iterator[tuple[str, str]]:
    first, *lines = entry.strip("\n").split("\n")
    headwords = _split_headword(_restore(_PRONUNCIATION.sub("", _GRAMMAR.sub(" ", first).rstrip())))
    for line in lines:
        if _NOT_TRANSLATION.match(line):
            continue
        line = _restore(line)
        if _REFERENCE.search(line):
            counts["dropped: cross reference"] += 1
            continue
        sense, rest = _cut(_NUMBER.sub("", line), counts)
        for item in _ITEMS.split(sense):
            item = item.strip().lstrip(". ")
            fault = next(_faults(item, headwords), None)
            if fault:
                counts[f"dropped: {fault}"] += 1
            elif item:
                yield from ((headword, item) for headword in headwords)
        if rest:
            counts["dropped: rest of an entry after its first sentence"] += 1
            break


def _split_headword(text: str) -> list[str]:
    """The spellings of a headword: 'thrace, thracia', but not those given by an ending: 'tyrannic, -nical'."""
    first, *others = map(str.strip, text.split(","))
    if any(" " in part for part in (first, *others)):  # blood, sweat and tears
        return [text.strip()]
    return [first, *re.findall(r",\s+(\w[^\s,]*)", text)]


def _restore(text: str) -> str:
    return _TORN_WORD.sub(lambda match: match[1] or match[2], text)


def _cut(sense: str, counts: collections.Counter[str]) -> tuple[str, bool]:
    """A sense without notes, examples and what is after its first sentence; and whether there was such a rest."""
    bare = _GRAMMAR.sub(" ", _SPECIES.sub(" | ", sense))
    for _ in range(_DEEPEST):
        bare = _NOTE.sub(" ", bare)
    bare, colon, _ = _STRAY_BRACKET.sub("", bare).partition(": ")
    counts["dropped: example after a colon"] += bool(colon)
    end = _SENTENCE_END.search(bare)
    return (bare[: end.start()], bool(bare[end.end() :].strip())) if end else (bare, False)


def _faults(item: str, headwords: list[str]) -> Iterator[str]:
    """Yields why an item is no translation, if it is none."""
    words = item.casefold().split()
    if len(words) > _MOST_WORDS + len(headwords[0].split()):
        yield "explanation, not a translation"
    if "  " in item:
        yield "two things run together"
    if _BROKEN.search(item):
        yield "mark inside a word or an abbreviation"
    if item.startswith("-"):
        yield "ending of a word"
    if len(words) > 1 and any(_holds(words, headword.casefold()) for headword in headwords):
        yield "phrase with the headword"


def _holds(words: list[str], headword: str) -> bool:
    """Whether an item has the headword in it, or a derivative of it (panic: 'panicky ...')."""
    if headword in words or (" " in headword and headword in " ".join(words)):
        return True
    return len(headword) > 3 and any(word.startswith(headword) for word in words)
