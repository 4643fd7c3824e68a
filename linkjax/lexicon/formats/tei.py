"""FreeDict's TEI P5 dictionaries (https://github.com/freedict/fd-dictionaries/wiki/FreeDict-HOWTO), streamed.

    <entry>
      <form><orth>cabinet</orth><pron>kabɪnət</pron></form>
      <sense><cit type="trans"><quote>kabine</quote></cit></sense>
    </entry>

Translations of examples, inflected forms and related entries within an entry are not those of its headword, and are
left out. Some files (English-Swahili) have their translations in `<def>`: it is read where an entry has no `<quote>`,
without its explanations (items of more than three words more than the headword). Commas and semicolons separate
translations.
"""

import collections
import pathlib
import re
from collections.abc import Iterator
from xml.etree import ElementTree

from linkjax.lexicon.formats.elements import stream_elements
from linkjax.lexicon.formats.reading import Reading
from linkjax.lexicon.lexicon import Pair

NAME = "tei"
TITLE = "FreeDict's TEI files"

_ENTRIES = ("entry", "{http://www.tei-c.org/ns/1.0}entry")
_ITEMS = re.compile(r"[,;]\s")
_MOST_WORDS = 3  # of a translation, more than the headword has
_TRANSLATION = {"trans", "translation"}
_INFLECTED = {"infl", "inflected"}


def matches(path: pathlib.Path, head: bytes) -> bool:
    return b"http://www.tei-c.org/ns/1.0" in head or b"<TEI" in head


def read(reading: Reading) -> Iterator[Pair]:
    """Yields a pair for each spelling and translation of each entry."""
    for _, entry in stream_elements(reading, _ENTRIES):
        for one, other in _read_entry(entry, reading.counts):
            yield Pair(other, one) if reading.options.target_first else Pair(one, other)


def _read_entry(entry: ElementTree.Element, counts: collections.Counter[str]) -> Iterator[tuple[str, str]]:
    headwords = list(_find(entry, "orth"))
    quotes = list(_find(entry, "quote"))
    for text in quotes or _find(entry, "def"):
        for item in _ITEMS.split(text):
            for headword in headwords:
                if quotes or len(item.split()) <= _MOST_WORDS + len(headword.split()):
                    yield headword, item
                else:
                    counts["dropped: explanation, not a translation"] += 1


def _find(entry: ElementTree.Element, name: str) -> Iterator[str]:
    """Yields the texts of the elements `name` that belong to the headword, in order."""
    waiting = [entry]
    while waiting:
        element = waiting.pop()
        if _name(element) == name:
            yield "".join(element.itertext())
        elif element is entry or not _is_foreign(element):
            waiting += reversed(element)


def _is_foreign(element: ElementTree.Element) -> bool:
    """Whether what is within an element is not about its entry's headword."""
    kind = element.get("type", "")
    match _name(element):
        case "cit":
            return kind not in _TRANSLATION
        case "form":
            return kind in _INFLECTED
        case "re" | "xr" | "entry":
            return True
    return False


def _name(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]
