"""Apertium's bilingual dictionaries (`apertium-eng-spa.eng-spa.dix`), XML.

The elements and attributes are those of https://github.com/apertium/lttoolbox/blob/main/lttoolbox/dix.dtd, the
directions those of https://wiki.apertium.org/wiki/Lttoolbox/Direction: an entry marked `r="LR"` translates from
left to right only. The file's name says which language is left; with `target_first` English is the right one.
"""

import pathlib
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator

from linkjax.lexicon.formats.elements import stream_elements
from linkjax.lexicon.formats.reading import Reading
from linkjax.lexicon.lexicon import Pair

NAME = "dix"
TITLE = "Apertium bilingual dictionary (.dix)"

_STAND_INS = frozenset({"prpers", "prpos"})  # one lemma for all pronouns in Apertium's grammars, not a word


def matches(path: pathlib.Path, head: bytes) -> bool:
    """XML whose root is a dictionary with Apertium's sections or entries."""
    return b"<dictionary" in head and any(tag in head for tag in (b"<alphabet", b"<sdef", b"<pardef", b"<section"))


def read(reading: Reading) -> Iterator[Pair]:
    """Yields the entries that translate from English; those of a paradigm are endings, and left out.

    Raises:
      UserError: the XML is broken.
    """
    target_first = reading.options.target_first
    other_way = "LR" if target_first else "RL"
    for parent, entry in stream_elements(reading, {"e"}):
        if parent != "section":
            continue
        if entry.get("i") == "yes":
            reading.counts["dropped: entry marked as ignored"] += 1
        elif entry.get("r") == other_way:
            reading.counts["dropped: entry for the other direction"] += 1
        elif entry.find("re") is not None:
            reading.counts["dropped: regular expression"] += 1
        elif entry.find(".//j") is not None:
            reading.counts["dropped: several words joined without a space"] += 1
        else:
            left, right = _side(entry, "l"), _side(entry, "r")
            if not _STAND_INS.isdisjoint((left, right)):
                reading.counts["dropped: stand-in for all pronouns"] += 1
            elif left and right:
                yield Pair(right, left) if target_first else Pair(left, right)
            else:
                reading.counts["dropped: one side empty"] += 1


def _side(entry: ElementTree.Element, side: str) -> str:
    """Text of one side of an entry: of its pairs that side, of its identities (`i`, `ig`) all."""
    parts = (part.find(side) if part.tag == "p" else part for part in entry if part.tag in ("p", "i", "ig"))
    return " ".join("".join(_text(part) for part in parts if part is not None).split())


def _text(element: ElementTree.Element) -> str:
    """Text with groups (`g`) kept, blanks (`b`) as spaces and tags (`s`) left out."""
    pieces = [element.text or ""]
    for child in element:
        pieces += [" " if child.tag == "b" else _text(child) if child.tag == "g" else "", child.tail or ""]
    return "".join(pieces)
