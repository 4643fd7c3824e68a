"""EDICT and EDICT2, Japanese to English, turned round: https://www.edrdg.org/jmdict/edict_doc.html

Lines of `KANJI(marks);VARIANT [KANA;KANA] /(n) gloss/gloss/(P)/EntL1234567X/`, or `KANA /gloss/`, in EUC-JP
(`edict2`) or UTF-8 (`edict2u`). `(uk)` marks a sense usually written in kana, `(P)` an entry among the common
words. The weights are ours: 1.0 for the common words and 0.1 for all others, so that dog is 犬 before its rare and
slang names.
"""

import codecs
import pathlib
import re
from collections.abc import Iterator

from linkjax.lexicon.formats.glosses import short_glosses
from linkjax.lexicon.formats.reading import Reading
from linkjax.lexicon.lexicon import Pair

NAME = "edict"
TITLE = "EDICT or EDICT2 Japanese-English dictionary"

COMMON, RARE = 1.0, 0.1
_LINE = re.compile(r"([^\s\[\]/]+)(?: \[([^\]]+)\])? /(.*)$")
_MARKS = re.compile(r"\([^()]*\)")
_JAPANESE = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uff00-\uffef]")
_NEW_SENSE = re.compile(r"\(\d+\)")
_NO_GLOSS = re.compile(r"\(P\)$|EntL\d+X?$")


def matches(path: pathlib.Path, head: bytes) -> bool:
    """Most lines have one headword in Japanese, a reading perhaps, and glosses."""
    encoding = _encoding(head)
    text = codecs.getincrementaldecoder(encoding or "ascii")(errors="replace").decode(head)
    lines = [line for line in text.split("\n") if line.strip()][:100]
    known = sum(bool((found := _LINE.match(line)) and _JAPANESE.search(found[1])) for line in lines)
    return encoding is not None and 2 * known > len(lines)


def read(reading: Reading) -> Iterator[Pair]:
    """Yields short glosses with the first kanji form, or the first reading where that is the usual one.

    Raises:
      UserError: a line is malformed, or the file is neither UTF-8 nor EUC-JP.
    """
    for number, line in reading.lines(_encoding(reading.head()) or "utf-8"):
        found = _LINE.match(line.removeprefix("\u3000"))  # the line of the file's title opens with a wide space
        if not found:
            reading.malformed(number, f"'{line[:60]}' is not 'KANJI [KANA] /gloss/'")
            continue
        headword, reading_form, body = found.groups()
        if headword.startswith("？"):
            continue
        written = _first_form(headword)
        kana = _first_form(reading_form) if reading_form else written
        weight = COMMON if "/(P)/" in line else RARE
        usually_kana = False
        for gloss in body.split("/"):
            if _NO_GLOSS.match(gloss):
                continue
            usually_kana = "(uk)" in gloss or (usually_kana and not _NEW_SENSE.search(gloss))
            target = kana if usually_kana else written
            yield from (Pair(source, target, weight) for source in short_glosses(reading, gloss, ";"))


def _first_form(forms: str) -> str:
    return _MARKS.sub("", forms.split(";")[0])


def _encoding(head: bytes) -> str | None:
    """The first encoding that the head can be of, whose last character may be cut."""
    for encoding in ("utf-8", "euc_jp"):
        try:
            codecs.getincrementaldecoder(encoding)().decode(head)
        except UnicodeDecodeError:
            continue
        return encoding
    return None
