"""Tokenizers of Hugging Face's (`tokenizer.json`), such as an imported model brings.

Format: https://huggingface.co/docs/tokenizers. What its normaliser does to text is the model's own affair: text need
not come back as it was. Special tokens are never made of text that spells them, and none is added.
"""

import functools
import json
import pathlib
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import tokenizers

from linkjax.data import word_borders
from linkjax.data.special_ids import IDS, SpecialIds, read_ids
from linkjax.errors import UserError
from linkjax.files import parse_json, read_whole
from linkjax.substitution import Span

FILE = "tokenizer.json"
_MOST_BYTES = 1 << 27
_BYTE = re.compile("<0x([0-9A-F]{2})>")
BEFORE = "a"  # stands before a segment that is not a text's first
_TOGETHER = 1 << 20  # characters encoded at once
# Texts on which the segments' ids have to be the whole's before that is relied on.
_PROBES = (
    "The old man's 1984 houses, 12345 of them (all red).  They'LL say:\n\n\tno  more \n than  3.14 !\r\n",
    "Ça va ? Größe İstanbul'da  naïve\u00a0cafe\u0301 \u0301x ﬁve Ａ ½ x² e\u0327\u0301 q",
    "猫は 犬 が、好き。 ไทย 각각 اللغة العربية \U0001f98a \U0001f469\u200d\U0001f4bb \u200b \ufeff a",
    "▁x ▁▁ y▁ z <s> </s> a<unk> <|endoftext|> b <0x41> c\u2028d\u3000e \x85 f \x1c g",
    "def f(x):\n    return x + 1  # it's ok\n\n\n\n\tif a:\n\t\tb = 'c'   \n",
    "   begins with spaces, ends with them   ",
    "…… —— ''' \"'s\" don't DON'T 'tis http://a.b/c?d=e&f -- ~~ __init__ #1 $2 100% ±3 №4 § ™",
)


class FastTokenizer:
    """A tokenizer of the library `tokenizers` with the methods of `Tokenizer`.

    Attributes:
      description: what `tokenizer.json` holds.
      ids: eos, start and pad, see `SpecialIds`; they are attributes as well.
      adds_space: whether a text gets a space before it, as the words within it have.
      cuts_at_borders: whether ids of a text are those of its segments (`word_borders`): known by the tokenizer's
        structure, and tried.
      before: tokens of `BEFORE`, which has to stand before a segment that is tokenized alone and is not the first.
    """

    def __init__(self, description: bytes, ids: SpecialIds):
        """Args: `description`, what `tokenizer.json` holds.

        Raises:
          UserError: it cannot be used, or has no such ids.
        """
        self.description, self.ids = description, ids
        self.eos, self.start, self.pad = ids
        described = parse_json(description, FILE)
        try:
            self._specials = _set_specials_apart(described, ids)
            self._tokenizer = tokenizers.Tokenizer.from_str(json.dumps(described))
            self._tokenizer.encode_special_tokens = True
            self._look_at(described)
        except UserError:
            raise
        except BaseException as error:  # a panic of the library is no Exception
            if isinstance(error, KeyboardInterrupt | SystemExit):
                raise
            raise UserError(f"{FILE} cannot be used ({error or type(error).__name__}): fetch it again.") from error

    def _look_at(self, described: dict[str, Any]) -> None:
        self._size = max(self._tokenizer.get_vocab(with_added_tokens=True).values()) + 1
        decoder = json.dumps(described.get("decoder"))
        self._byte_level = '"ByteLevel"' in decoder
        self._byte_fallback = '"ByteFallback"' in decoder
        self._added = set(self._tokenizer.get_added_tokens_decoder())
        for name in self._specials.values():
            for text in (name, f"a {name} b", f"a{name}b"):
                if found := {self.eos, self.start} & set(self.encode(text)):
                    raise UserError(f"{FILE} makes the special token {min(found)} of the text {text!r:.80}: mend it.")
        first = self.encode(BEFORE)
        self.before = len(first)
        self.adds_space = b"".join(map(self.piece_bytes, first)) == f" {BEFORE}".encode()
        self.cuts_at_borders = word_borders.cuts_at_borders(described) and all(map(self._is_of_segments, _PROBES))

    def __reduce__(self):
        return FastTokenizer, (self.description, self.ids)

    @classmethod
    def load(cls, path: pathlib.Path) -> "FastTokenizer":
        """Its special ids are those that the folder of the file says.

        Raises UserError where the file is no such tokenizer.
        """
        description = read_whole(path, _MOST_BYTES, "that is no tokenizer")
        described = parse_json(description, str(path))
        try:
            return cls(description, read_ids(path.parent, described))
        except (KeyError, TypeError, AttributeError, IndexError) as error:
            raise UserError(f"tokenizer {path} is not like one ({error!r:.200}): fetch it again.") from error
        except UserError as error:
            raise UserError(f"tokenizer {path}: {error}") from error

    def save(self, folder: pathlib.Path) -> None:
        """As `load` reads it."""
        (folder / FILE).write_bytes(self.description)
        (folder / IDS).write_text(json.dumps(self.ids._asdict()) + "\n")

    def __len__(self) -> int:
        return self._size

    def piece(self, token: int) -> str:
        return self._specials.get(token) or self._tokenizer.id_to_token(token) or ""

    def piece_bytes(self, token: int) -> bytes:
        """Bytes of text that a token stands for."""
        piece = self.piece(token)
        if token in self._added or (self._byte_level and not _byte_of().keys() >= set(piece)):
            return piece.encode()
        if self._byte_level:
            return bytes(_byte_of()[character] for character in piece)
        if self._byte_fallback and (byte := _BYTE.fullmatch(piece)):
            return bytes([int(byte[1], 16)])
        return piece.replace(word_borders.BLANK, " ").encode()

    def decode(self, ids: Sequence[int]) -> str:
        return self._tokenizer.decode([int(token) for token in ids], skip_special_tokens=True)

    def encode(self, text: str) -> list[int]:
        """Ids of `text` without special ones."""
        return self._tokenizer.encode(text, add_special_tokens=False).ids

    def count(self, texts: Iterable[str]) -> int:
        """Tokens of some texts together."""
        return sum(len(found) for some in _together(texts) for found in self._encoded(some))

    def encode_with_spans(self, text: str, spans: Sequence[Span]) -> tuple[np.ndarray, np.ndarray]:
        """Ids of `text` and, for each, whether any of its bytes lies in one of `spans` (sorted, disjoint)."""
        ((ids, flags),) = self.encode_all([(text, spans)])
        return ids, flags

    def encode_all(self, texts: Sequence[tuple[str, Sequence[Span]]]) -> list[tuple[np.ndarray, np.ndarray]]:
        """`encode_with_spans` of many."""
        found = self._encoded([text for text, _ in texts], places=any(spans for _, spans in texts))
        result = []
        for encoding, (text, spans) in zip(found, texts, strict=True):
            ids = np.array(encoding.ids, np.int32)
            result.append((ids, self._flags(encoding, text, spans) if spans else np.zeros(len(ids), np.uint8)))
        return result

    def tokens_at(self, text: str, places: Sequence[int]) -> list[int]:
        """Which tokens of `encode(text)` some of its characters begin in."""
        (encoding,) = self._encoded([text], places=True)
        _, ends = _places(encoding, text)
        return np.searchsorted(ends, np.array(places), side="right").tolist()

    def _encoded(self, texts: Sequence[str], places: bool = False) -> list[tokenizers.Encoding]:
        encode = self._tokenizer.encode_batch if places else self._tokenizer.encode_batch_fast
        return encode(list(texts), add_special_tokens=False)

    def _flags(self, encoding: tokenizers.Encoding, text: str, spans: Sequence[Span]) -> np.ndarray:
        starts, ends = _places(encoding, text)
        first, last = np.array([(start, end) for start, end, _ in spans]).T
        nearest = np.searchsorted(last, starts, side="right")  # the first span that ends behind where a token starts
        flags = np.append(first, len(text))[nearest] < ends
        if len(flags) and self.adds_space and text[0] != " " and self.piece_bytes(encoding.ids[0]) == b" ":
            flags[0] = False  # it holds no byte of the text
        return flags.astype(np.uint8)

    def _is_of_segments(self, text: str) -> bool:
        first, *others = word_borders.segments(text)
        ids = self.encode(first)
        for other in others:
            ids += self.encode(BEFORE + other)[self.before :]
        return ids == self.encode(text)


def _places(encoding: tokenizers.Encoding, text: str) -> tuple[np.ndarray, np.ndarray]:
    """Where each token starts and ends in the text, in characters.

    What the normaliser took away, or joined to what is before it, is part of the token before it.
    """
    starts, ends = np.array(encoding.offsets, np.int64).reshape(-1, 2).T
    return starts, np.maximum(ends, np.append(starts[1:], len(text)))


def _set_specials_apart(described: dict[str, Any], ids: SpecialIds) -> dict[int, str]:
    """Takes out of a description what would add special tokens to a text, or find them in it.

    Returns the special tokens' names.
    """
    described |= {"truncation": None, "padding": None, "post_processor": None}
    model = described["model"]
    if "dropout" in model:
        model["dropout"] = None
    added = described.setdefault("added_tokens", []) or []
    in_model = model["vocab"] if model["type"] == "Unigram" else {}
    for number in set(ids) - {token["id"] for token in added}:
        pieces = dict(enumerate(name for name, _ in in_model)) or {of: name for name, of in model["vocab"].items()}
        if number not in pieces:
            raise UserError(f"{FILE} lacks a token that is named, {number}: fetch the whole model again.")
        rules = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
        added.append({"id": number, "content": pieces[number], "special": True, **rules})
    described["added_tokens"] = sorted(added, key=lambda token: token["id"])
    names = {}
    for token in described["added_tokens"]:
        token["special"] = token["special"] or token["id"] in ids
        if not token["special"]:
            continue
        names[token["id"]] = token["content"]
        if token["id"] < len(in_model) and in_model[token["id"]][0] == token["content"]:
            # A unigram model finds all its pieces in text, but none with a space, which is something else by then.
            token["content"] = f" {token['content']}"
            in_model[token["id"]][0] = token["content"]
    return names


def _together(texts: Iterable[str]) -> Iterator[list[str]]:
    some, size = [], 0
    for text in texts:
        some.append(text)
        size += len(text)
        if size >= _TOGETHER:
            yield some
            some, size = [], 0
    yield some


@functools.cache
def _byte_of() -> dict[str, int]:
    """Bytes by the letters that stand for them: printable ones of Latin-1 for themselves, the others from U+0100 on.

    https://github.com/openai/gpt-2/blob/master/src/encoder.py (bytes_to_unicode)
    """
    own = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in own]
    return {chr(byte): byte for byte in own} | {chr(0x100 + place): byte for place, byte in enumerate(others)}
