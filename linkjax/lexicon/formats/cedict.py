"""CC-CEDICT, Chinese to English, turned round: https://cc-cedict.org/wiki/format:syntax

Lines of `Traditional Simplified [pin1 yin1] /sense/sense/`, `[[pin1yin1]]` in version 2, `#` for comments; the
glosses of one sense are separated by `;` since 2022. A sense with Chinese in it names a classifier (`CL:隻`) or another
entry, and is no translation.
"""

import pathlib
import re
from collections.abc import Iterator

from linkjax.lexicon.formats.alignments import whole_lines
from linkjax.lexicon.formats.glosses import remove_notes, short_glosses
from linkjax.lexicon.formats.languages import is_traditional_chinese
from linkjax.lexicon.formats.reading import Reading
from linkjax.lexicon.lexicon import Pair

NAME = "cedict"
TITLE = "CC-CEDICT Chinese-English dictionary"

_LINE = re.compile(r"(\S+) (\S+) \[([^\]]*)\]{1,2} /(.+)/\s*$")
_REFERENCE = re.compile(
    r"fig\. |lit\. |abbr\. |surname |used in |"
    r"(?:also )?(?:see|written|called|known as) |"
    r"(?:\w+ )*(?:variant|form|equivalent) of |"
    r"(?:\w+ )?pr\.|"
    r"Kangxi radical|radical in Chinese"
)
_HAN = re.compile(r"[\u2e80-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")


def matches(path: pathlib.Path, head: bytes) -> bool:
    """Most lines that are no comments have two headwords, pinyin and glosses."""
    lines = [line for line in whole_lines(head) if not line.startswith("#")]
    return bool(lines) and 2 * sum(bool(_LINE.match(line)) for line in lines) > len(lines)


def read(reading: Reading) -> Iterator[Pair]:
    """Yields short glosses with the simplified form; the traditional one for zh-Hant, zh-TW and zh-HK.

    Raises:
      UserError: a line is malformed.
    """
    form = 1 if is_traditional_chinese(reading.options.language) else 2
    for number, line in reading.lines():
        if line.startswith("#"):
            continue
        found = _LINE.match(line)
        if not found:
            reading.malformed(number, f"'{line[:60]}' is not 'Traditional Simplified [pinyin] /gloss/'")
            continue
        for sense in found[4].split("/"):
            if _REFERENCE.match(bare := remove_notes(sense)) or _HAN.search(bare):
                reading.counts["dropped: classifier, name or cross-reference"] += 1
                continue
            yield from (Pair(source, found[form]) for source in short_glosses(reading, bare, ";"))
