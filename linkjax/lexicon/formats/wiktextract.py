"""Wiktionary as extracted by wiktextract, one JSON object a line: https://kaikki.org/dictionary/rawdata.html

The fields are those of https://github.com/tatuylonen/wiktextract#word-entries. Two layouts are read, told
apart line by line:
- English words with `translations`, at the top level or within a sense; a translation has a `word` and a
  `lang_code`, called `code` in older files.
- Words of the target language with English `glosses` (the files of one language at kaikki.org), turned round:
  every short gloss is a source. Inflected forms ("plural of mtu") are left out.
"""

import json
import pathlib
import re
from collections.abc import Iterator
from typing import Any

from linkjax.lexicon.formats.glosses import short_glosses
from linkjax.lexicon.formats.languages import is_same_language, require_language
from linkjax.lexicon.formats.reading import Reading
from linkjax.lexicon.lexicon import Pair

NAME = "wiktextract"
TITLE = "Wiktionary extract of kaikki.org (wiktextract JSON lines)"

_LINE_BYTES = 1 << 24  # the longest entries, of many translations, have some megabytes
_KEYS = (b'"word"', b'"senses"', b'"glosses"', b'"translations"', b'"lang_code"', b'"pos"')
_NO_WORDS = ("affix", "character", "circumfix", "infix", "interfix", "letter", "prefix", "punct", "romanization")
_NO_WORDS += ("suffix", "symbol")
_FORM = re.compile(r"\b(?:plural|singular|participle|tense|form|spelling|misspelling|inflection|degree) of\b")
_NAME_GLOSS = re.compile(r"\b(?:surname|given name)\b")


def matches(path: pathlib.Path, head: bytes) -> bool:
    """An object a line, with the keys of a word entry."""
    return head.lstrip(b"\xef\xbb\xbf \r\n").startswith(b"{") and sum(key in head for key in _KEYS) >= 2


def read(reading: Reading) -> Iterator[Pair]:
    """Yields the pairs of the language the user names.

    Raises:
      UserError: no language is named, or a line is malformed.
    """
    language = require_language(reading)
    for number, line in reading.lines(longest=_LINE_BYTES):
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError) as error:
            reading.malformed(number, f"not JSON ({error})")
            continue
        if not isinstance(entry, dict):
            reading.malformed(number, f"a JSON {type(entry).__name__}, not an object")
            continue
        word, code = entry.get("word"), entry.get("lang_code")
        if not isinstance(word, str) or not word:  # redirects have a title instead
            reading.counts["dropped: entry without a word"] += 1
        elif entry.get("pos") in _NO_WORDS:
            reading.counts["dropped: affix, character or symbol"] += 1
        elif code in ("en", None):
            yield from _translations(reading, entry, word, language)
        elif isinstance(code, str) and is_same_language(code, language):
            yield from _glosses(reading, entry, word)


def _translations(reading: Reading, entry: dict[str, Any], word: str, language: str) -> Iterator[Pair]:
    for holder in (entry, *_objects(entry, "senses")):
        for translation in _objects(holder, "translations"):
            code = translation.get("lang_code") or translation.get("code")
            if not isinstance(code, str) or not is_same_language(code, language):
                continue
            target = translation.get("word")
            if isinstance(target, str) and target.strip():
                yield Pair(word, target)
            else:
                reading.counts["dropped: translation without a word"] += 1


def _glosses(reading: Reading, entry: dict[str, Any], word: str) -> Iterator[Pair]:
    for sense in _objects(entry, "senses"):
        glosses = sense.get("glosses")
        # Of nested senses the last gloss is the sense's own, the others are its parents'.
        gloss = glosses[-1] if isinstance(glosses, list) and glosses else ""
        if not isinstance(gloss, str) or not gloss:
            reading.counts["dropped: sense without a gloss"] += 1
        elif "form_of" in sense or "alt_of" in sense or _FORM.search(gloss):
            reading.counts["dropped: inflected form or variant"] += 1
        elif entry.get("pos") == "name" and _NAME_GLOSS.search(gloss):
            reading.counts["dropped: personal name"] += 1
        else:
            yield from (Pair(source, word) for source in short_glosses(reading, gloss, ";,"))


def _objects(holder: dict[str, Any], key: str) -> list[dict[str, Any]]:
    found = holder.get(key)
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []
