"""How much of real text a lexicon reaches: words counted in corpora, sources and translations looked up in them."""

import collections
import dataclasses
import functools
import glob
import itertools
import pathlib
import re
import sys
import unicodedata
from collections.abc import Collection, Iterable, Iterator, Mapping

from tqdm import tqdm

from linkjax.errors import UserError
from linkjax.files import open_text
from linkjax.lexicon.lemmas import english_lemma
from linkjax.lexicon.scripts import starts_unsegmented

SAMPLE_CHARACTERS = 50_000_000
_BLOCK_CHARACTERS = 1 << 20
_LINE_CHARACTERS = 1 << 16
_TOKEN = re.compile(r"[^\W\d_]+(?:['-][^\W\d_]+)*|\S")  # an English word, or a mark that parts two words
_TYPOGRAPHIC = str.maketrans("’‐‑", "'--")  # as the sources of a cleaned lexicon are written


@dataclasses.dataclass(frozen=True)
class Coverage:
    """What share of an English text the sources of a lexicon cover.

    Attributes:
      words: running words counted.
      running, running_lemmas: share of the running words that are covered, as they stand and with their lemmas.
      types, types_lemmas: the same over distinct words.
      uncovered: the most frequent words without an entry, lemmas tried, with their counts.
    """

    words: int
    running: float
    running_lemmas: float
    types: float
    types_lemmas: float
    uncovered: tuple[tuple[str, int], ...]


class Corpus:
    """Text files, read up to a bound in all.

    Attributes:
      files: each once, in order.
      characters: read so far.
      cut: whether something of a file was left out.
    """

    def __init__(self, patterns: str, limit: int = SAMPLE_CHARACTERS):
        """Args: `patterns`, names or globs with commas between.

        Raises:
          UserError: a pattern matches no file.
        """
        files: dict[pathlib.Path, None] = {}
        for pattern in filter(None, map(str.strip, patterns.split(","))):
            found = [path for path in map(pathlib.Path, sorted(glob.glob(pattern, recursive=True))) if path.is_file()]
            if not found:
                raise UserError(f"corpus '{pattern}' matches no file: name text files or a glob, commas between.")
            files.update(dict.fromkeys(found))
        if not files:
            raise UserError(f"corpus '{patterns}' names no file.")
        self.files = tuple(files)
        self.characters, self.cut = 0, False
        self._limit = limit

    def blocks(self) -> Iterator[str]:
        """Yields the text in blocks of whole lines, NFC: the beginning of each file, with an equal share of the bound.

        What a short file leaves of its share goes to the files after it.
        """
        left = self._limit
        with tqdm(total=left, unit="char", unit_scale=True, leave=False, disable=not sys.stderr.isatty()) as bar:
            for number, path in enumerate(self.files):
                share = left // (len(self.files) - number)
                bar.set_description(path.name[:30])
                with open_text(path) as file:
                    while share > 0 and (block := file.read(min(share, _BLOCK_CHARACTERS))):
                        block += file.readline(_LINE_CHARACTERS)
                        share, left = share - len(block), left - len(block)
                        self.characters += len(block)
                        bar.update(len(block))
                        yield unicodedata.normalize("NFC", block)
                    self.cut = self.cut or bool(file.read(1))


def count_english(blocks: Iterable[str], sources: Iterable[str] = ()) -> collections.Counter[str]:
    """Counts lower-cased words, and as one those of them that form a source of several words (longest match)."""
    phrases: dict[str, list[tuple[list[str], str]]] = {}
    for source in sources:
        parts = _TOKEN.findall(source)
        if len(parts) > 1:
            phrases.setdefault(parts[0], []).append((parts, source))
    for starting in phrases.values():
        starting.sort(key=lambda phrase: -len(phrase[0]))
    counts: collections.Counter[str] = collections.Counter()
    for block in blocks:
        tokens = _TOKEN.findall(block.lower().translate(_TYPOGRAPHIC))
        counts.update(_join_phrases(tokens, phrases) if phrases else tokens)
    return collections.Counter({token: count for token, count in counts.items() if any(map(str.isalpha, token))})


def _join_phrases(tokens: list[str], phrases: Mapping[str, list[tuple[list[str], str]]]) -> Iterator[str]:
    position = 0
    while position < len(tokens):
        for parts, source in phrases.get(tokens[position], ()):
            if tokens[position : position + len(parts)] == parts:
                yield source
                position += len(parts)
                break
        else:
            yield tokens[position]
            position += 1


def count_targets(blocks: Iterable[str], targets: Iterable[str]) -> collections.Counter[str]:
    """Counts translations in text of the target language; one of several words counts as its rarest word.

    In scripts without spaces between words every place where the translation stands counts.
    """
    parts = {target: parts_of(target) for target in targets}
    found = count_parts(blocks, itertools.chain(*parts.values()))
    return collections.Counter({target: count for target, of in parts.items() if (count := rarest(of, found))})


def parts_of(target: str) -> list[str]:
    """What of a translation is counted in text: its words, or all of it in scripts without spaces."""
    plain = unicodedata.normalize("NFC", target).lower()
    return [plain] if any(map(starts_unsegmented, plain)) else word_pattern().findall(plain)


def rarest(parts: Iterable[str], counts: Mapping[str, int]) -> int:
    return min((counts.get(part, 0) for part in parts), default=0)


def count_parts(blocks: Iterable[str], parts: Iterable[str]) -> collections.Counter[str]:
    """How often each of the parts of translations stands in text of the target language."""
    parts = frozenset(parts)
    by_start: dict[str, list[str]] = {}
    for part in parts:
        if any(map(starts_unsegmented, part)):
            by_start.setdefault(part[:2], []).append(part)
    unspaced = frozenset(itertools.chain(*by_start.values()))
    words: collections.Counter[str] = collections.Counter()
    found: collections.Counter[str] = collections.Counter()
    for block in blocks:
        text = unicodedata.normalize("NFC", block).lower()
        words.update(word_pattern().findall(text))
        if by_start:
            found.update(_standing_in(text, by_start))
    return found + collections.Counter({word: words[word] for word in words.keys() & parts - unspaced})


def _standing_in(text: str, by_start: Mapping[str, list[str]]) -> Iterator[str]:
    for position in range(len(text)):
        for start in {text[position], text[position : position + 2]}:
            for plain in by_start.get(start, ()):
                if text.startswith(plain, position):
                    yield plain


@functools.cache
def word_pattern() -> re.Pattern[str]:
    r"""A word of any language: `\w` lacks the vowel signs of Indic scripts, which are marks."""
    marks = "".join(chr(code) for code in range(sys.maxunicode) if unicodedata.category(chr(code))[0] == "M")
    return re.compile(f"[\\w{marks}]+(?:['’ʼ-][\\w{marks}]+)*")


def measure(counts: Mapping[str, int], sources: Collection[str], uncovered: int = 20) -> Coverage:
    """Coverage of counted text by the sources of a lexicon.

    Raises:
      UserError: no word was counted.
    """
    running = running_lemmas = types = types_lemmas = words = 0
    missing: list[tuple[str, int]] = []
    for word, count in counts.items():
        weight = count * (1 + word.count(" "))
        words += weight
        if word in sources:
            running, types = running + weight, types + 1
        elif english_lemma(word) in sources:
            running_lemmas, types_lemmas = running_lemmas + weight, types_lemmas + 1
        else:
            missing.append((word, count))
    if not words:
        raise UserError("the corpus has no word: name text files in English.")
    missing.sort(key=lambda item: (-item[1], item[0]))
    return Coverage(
        words,
        running / words,
        (running + running_lemmas) / words,
        types / len(counts),
        (types + types_lemmas) / len(counts),
        tuple(missing[:uncovered]),
    )
