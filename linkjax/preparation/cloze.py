"""A cloze of a language's own text: which of eight words is the last content word of a sentence?

For languages that have no benchmark. An item is a sentence of text kept out of training, up to its last content word;
the choices are that word and seven others, each with the rest of the sentence. The others are words of the training
text that a model could not tell apart by length, frequency or origin: the same number of pieces and the same case, at
most twice or half as frequent in the training text, and in the lexicon where the right one is. The right one is as
often the rarest of the eight as the most frequent, or any between. A content word is one that is not among the
language's hundred most frequent, and is written between spaces: text without spaces has none. Sentences that have the
word twice are left out. Everything is drawn by hashes of the sentence, so that the same text gives the same items.
"""

import bisect
import collections
import functools
import hashlib
import heapq
import pathlib
import re
import unicodedata
from collections.abc import Iterable, Iterator

from linkjax.data.tokenizer import AnyTokenizer
from linkjax.errors import UserError

METRIC, CHOICES, LEAST = "cloze", 8, 8
_NAME = re.compile(r"cloze_([^:]+)(?::(.+))?", re.DOTALL)
_SENTENCE = re.compile(r"[^.!?…।؟።]+(?:[.!?…।؟።]+[\"'”’»)\]]*)?")
_SPACED = re.compile(r"(?<= )\S+")
_FUNCTION_WORDS, _WORDS_BEFORE, _RATIO = 100, 4, 2.0
_MOST, _TRIED = 1000, 200  # items; words drawn on either side of an item's
_SENTENCE_CHARACTERS = 400


def parse(name: str) -> tuple[str, str] | None:
    """What follows 'cloze_', LANGUAGE or LANGUAGE_NAME, and the file after a colon ('' = the held-out text)."""
    match = _NAME.fullmatch(name)
    return (match[1], match[2] or "") if match else None


def file_texts(path: str) -> Iterator[str]:
    """The documents of a user's file: its lines, or what its kind has for `text`.

    Raises:
      UserError: it cannot be read.
    """
    from tasks.file_parts import file_parts

    for part in file_parts(pathlib.Path(path), "line", "text"):
        yield from part.texts()


class Vocabulary:
    """The words that choices are taken from.

    Attributes:
      counts: how often each word, as it is written, is in the training text.
    """

    def __init__(self, texts: Iterable[str], tokenizer: AnyTokenizer, translations: Iterable[str]):
        """Args: `translations`, words of the language that its lexicon has."""
        self.counts = collections.Counter(word for text in texts for _, word in spaced_words(f" {text}"))
        small: collections.Counter[str] = collections.Counter()
        for word, count in self.counts.items():
            small[word.lower()] += count
        self._function_words = {word for word, _ in small.most_common(_FUNCTION_WORDS)}
        self._translations = {word.lower() for word in translations}
        self._tokenizer = tokenizer
        self._alike: dict[tuple[bool, bool], list[str]] = {}
        for word in sorted(self.counts, key=self._order):
            if self.counts[word] > 1 and self.is_content(word):
                self._alike.setdefault(self._kind(word), []).append(word)

    def is_content(self, word: str) -> bool:
        return len(word) > 1 and word.lower() not in self._function_words

    def others(self, word: str, ending: str, taken: str, seed: str) -> list[str]:
        """Seven words that match one, with the `ending` that follows them; none where there are too few.

        Args: `taken` is text whose words are not used.
        """
        alike = self._alike.get(self._kind(word), [])
        count = self.counts[word]
        if count < 2:
            return []
        first = bisect.bisect_left(alike, count / _RATIO, key=self.counts.__getitem__)
        end = bisect.bisect_right(alike, count * _RATIO, key=self.counts.__getitem__)
        place = bisect.bisect_left(alike, (count, word), key=self._order)
        met = {part.lower() for _, part in spaced_words(taken)} | {word.lower()}
        rarer = self._matching(alike, range(first, place), word, ending, met, f"{seed} rarer")
        oftener = self._matching(alike, range(place + 1, end), word, ending, met, f"{seed} oftener")
        if min(len(rarer), len(oftener)) < CHOICES - 1:
            return []
        # Any rank by frequency among the eight is as likely, so that frequency does not give the answer away.
        below = _draw(seed, "rank") % CHOICES
        return rarer[:below] + oftener[: CHOICES - 1 - below]

    def _matching(self, alike: list[str], places: range, word: str, ending: str, met: set[str], seed: str) -> list[str]:
        found: list[str] = []
        for attempt in range(_TRIED if places else 0):
            other = alike[places[_draw(seed, str(attempt)) % len(places)]]
            if other.lower() not in met and self._pieces(other + ending) == self._pieces(word + ending):
                met.add(other.lower())
                found.append(other)
                if len(found) == CHOICES - 1:
                    break
        return found

    def _order(self, word: str) -> tuple[int, str]:
        return self.counts[word], word

    def _kind(self, word: str) -> tuple[bool, bool]:
        return word.lower() in self._translations, word == word.lower()

    @functools.lru_cache(maxsize=1 << 16)  # noqa: B019 (lives as long as the program does)
    def _pieces(self, text: str) -> int:
        return len(self._tokenizer.encode(f"a {text}"))


def cloze_items(texts: Iterable[str], group: str, vocabulary: Vocabulary, name: str) -> list[dict]:
    """The items of some documents, at most a thousand.

    Raises:
      UserError: they have fewer than eight sentences to ask for.
    """
    seen = 0

    def sentences() -> Iterator[tuple[int, str, str]]:
        nonlocal seen
        for text in texts:
            document = f"{_draw(text):016x}"
            for sentence in _sentences(text):
                seen += 1
                yield _draw(sentence), sentence, document

    items: dict[str, dict] = {}
    for draw, sentence, document in heapq.nsmallest(4 * _MOST, sentences()):
        if len(items) < _MOST and (item := _item(f"{draw:016x}", sentence, vocabulary)):
            items[item["id"]] = {"group": group, "cluster": document, "split": "test"} | item
    if len(items) < LEAST:
        raise UserError(
            f"{name} has {len(items)} sentences to ask for among {seen:,}, fewer than {LEAST}: give more held-out text,"
            " of several words between spaces in each sentence that the training text has too."
        )
    return list(items.values())


def _item(identifier: str, sentence: str, vocabulary: Vocabulary) -> dict | None:
    found = [(place, word) for place, word in spaced_words(sentence) if vocabulary.is_content(word)]
    if not found:
        return None
    place, word = found[-1]
    prompt, ending = sentence[: place - 1], sentence[place + len(word) :]
    said = {one.lower() for _, one in spaced_words(f" {prompt}")}
    if len(prompt.split()) < _WORDS_BEFORE or word.lower() in said:  # a word said before would give itself away
        return None
    others = vocabulary.others(word, ending, f" {sentence}", identifier)
    if len(others) < CHOICES - 1:
        return None
    words = sorted([word, *others], key=lambda one: (_draw(identifier, one), one))
    return {
        "id": identifier,
        "prompt": prompt,
        "choices": [f" {one}{ending}" for one in words],
        "answer": words.index(word),
    }


def _sentences(text: str) -> Iterator[str]:
    for line in text.splitlines():
        for match in _SENTENCE.finditer(line):
            sentence = " ".join(match[0].split())
            if 0 < len(sentence) <= _SENTENCE_CHARACTERS:
                yield sentence


def spaced_words(text: str) -> Iterator[tuple[int, str]]:
    """Words that follow a space, less the signs after them, with their place."""
    for match in _SPACED.finditer(text):
        word = match[0]
        while word and unicodedata.category(word[-1])[0] not in "LMN":
            word = word[:-1]
        if word and all(unicodedata.category(letter)[0] in "LM" or letter in "'’-‐" for letter in word):
            yield match.start(), word


def _draw(*parts: str) -> int:
    return int.from_bytes(hashlib.blake2b("\0".join(parts).encode(), digest_size=8).digest(), "big")
