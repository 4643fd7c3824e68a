"""JMdict, Japanese to English, XML, turned round: https://www.edrdg.org/jmdict/jmdict_dtd_h.html

Marks are entities of the file's own DTD (`&n;`, `&uk;`), which Expat replaces by their text. Entries with a priority
code of the common words (`news1`, `ichi1`, `spec1`, `spec2`, `gai1`) weigh as those that EDICT marks `(P)`.
"""

import pathlib
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator

from linkjax.lexicon.formats.edict import COMMON, RARE
from linkjax.lexicon.formats.elements import stream_elements
from linkjax.lexicon.formats.glosses import short_glosses
from linkjax.lexicon.formats.reading import Reading
from linkjax.lexicon.lexicon import Pair

NAME = "jmdict"
TITLE = "JMdict Japanese dictionary (XML)"

_LANGUAGE = "{http://www.w3.org/XML/1998/namespace}lang"
_PRIORITIES = frozenset({"news1", "ichi1", "spec1", "spec2", "gai1"})
_USUALLY_KANA = re.compile(r"uk$|word usually written using kana")


def matches(path: pathlib.Path, head: bytes) -> bool:
    """XML with JMdict's root."""
    return b"<!DOCTYPE JMdict" in head or b"<JMdict>" in head


def read(reading: Reading) -> Iterator[Pair]:
    """Yields short English glosses with the first kanji form, or the first reading where that is the usual one.

    Raises:
      UserError: the XML is broken.
    """
    for _, entry in stream_elements(reading, {"entry"}):
        kana = entry.findtext("r_ele/reb", "")
        written = entry.findtext("k_ele/keb", kana)
        weight = COMMON if _PRIORITIES & {code.text for code in _codes(entry)} else RARE
        for sense in entry.iterfind("sense"):
            target = kana if _is_usually_kana(sense) else written
            for gloss in sense.iterfind("gloss"):
                if gloss.get(_LANGUAGE, "eng") != "eng":
                    continue
                if gloss.get("g_type") == "expl":
                    reading.counts["dropped: definition, not a translation"] += 1
                elif target:
                    yield from (
                        Pair(source, target, weight) for source in short_glosses(reading, gloss.text or "", ";")
                    )


def _codes(entry: ElementTree.Element) -> Iterator[ElementTree.Element]:
    yield from entry.iterfind("k_ele/ke_pri")
    yield from entry.iterfind("r_ele/re_pri")


def _is_usually_kana(sense: ElementTree.Element) -> bool:
    return any(_USUALLY_KANA.match(mark.text or "") for mark in sense.iterfind("misc"))
