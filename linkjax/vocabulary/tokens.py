"""What the tokens of a tokenizer.json stand for, so that two vocabularies can be compared.

The format is that of the `tokenizers` library (https://huggingface.co/docs/tokenizers). Byte-level models write each
byte as a printable character, by the table of GPT-2
(https://github.com/openai/gpt-2/blob/master/src/encoder.py, bytes_to_unicode); models that come from SentencePiece
write a space as '▁' and a byte as '<0x0A>'; others write text as it is.
"""

import functools
import json
import pathlib
import re
from collections.abc import Sequence
from typing import Any

import tokenizers

from linkjax.errors import UserError
from linkjax.files import parse_json, read_whole

_MOST_BYTES, _MOST_IDS = 1 << 28, 1 << 24
_BYTE = re.compile("<0x([0-9A-F]{2})>")

# What a token stands for: its text; its bytes, where they are no whole text; or a special meaning, under a name.
Meaning = str | bytes | tuple[str, str]


class Vocabulary:
    """A tokenizer of the `tokenizers` library, of the model BPE or Unigram.

    Attributes:
      specification: what tokenizer.json says.
      kind: BPE or Unigram.
      writing: how tokens are written: bytes, spaces or plain.
      tokens: id -> token as written; None where an id has none.
      special: the ids that text never becomes: beginning, end and the like.
      kept_apart: other ids added to the model by hand, which are found in text before anything else.
    """

    def __init__(self, specification: dict[str, Any], place: str):
        """Args: `place` is what an error calls it.

        Raises:
          UserError: it is no tokenizer of these models.
        """
        self.specification, self.place = specification, place
        try:
            self.backend = tokenizers.Tokenizer.from_str(json.dumps(specification))
            self.backend.encode_special_tokens = True  # what a text spells is text
        except BaseException as error:  # the library raises no narrower one, and a panic of it is no Exception
            if isinstance(error, KeyboardInterrupt | SystemExit):
                raise
            raise UserError(
                f"{place} is not a tokenizer that can be read ({error}): fetch or write it again."
            ) from error
        model = specification["model"]
        self.kind = model.get("type") or ("BPE" if "merges" in model else "Unigram")
        if self.kind not in ("BPE", "Unigram") or model.get("continuing_subword_prefix"):
            raise UserError(f"{place} has a model of the kind {self.kind}: LinkJAX knows BPE and Unigram.")
        self.writing = _writing(specification)
        entries = model["vocab"] if self.kind == "BPE" else {piece: id for id, (piece, _) in enumerate(model["vocab"])}
        added = specification.get("added_tokens") or []
        size = 1 + max([-1, *entries.values(), *(token["id"] for token in added)])
        if not size:
            raise UserError(f"{place} has no tokens: fetch the file again.")
        if size > _MOST_IDS:
            raise UserError(f"{place} has the id {size - 1:,}: no vocabulary is that large, fetch the file again.")
        self.tokens: list[str | None] = [None] * size
        for token, id in (*entries.items(), *((token["content"], token["id"]) for token in added)):
            self.tokens[id] = token
        self.special = frozenset(token["id"] for token in added if token.get("special"))
        self.kept_apart = frozenset(token["id"] for token in added if not token.get("special"))

    @classmethod
    def load(cls, path: pathlib.Path) -> "Vocabulary":
        """Reads a tokenizer.json, or that of a folder."""
        file = path / "tokenizer.json" if path.is_dir() else path
        raw = read_whole(file, _MOST_BYTES, "that is no tokenizer.json")
        specification = parse_json(raw, str(file))
        if not isinstance(specification, dict) or not isinstance(specification.get("model"), dict):
            raise UserError(f"{file} is not the tokenizer.json of a fast tokenizer: it has no model.")
        return cls(specification, str(file))

    def __len__(self) -> int:
        return len(self.tokens)

    @functools.cached_property
    def meanings(self) -> list[Meaning | None]:
        """What each id stands for."""
        return [self._meaning(id, token) for id, token in enumerate(self.tokens)]

    @functools.cached_property
    def is_byte(self) -> list[bool]:
        """Whether an id stands for a single byte, so that no text is without a token."""
        if self.writing == "bytes":
            return [token is not None and len(token) == 1 and token in _BYTE_OF for token in self.tokens]
        return [token is not None and bool(_BYTE.fullmatch(token)) for token in self.tokens]

    def is_spelled(self, id: int) -> bool:
        """Whether a token is written as the text is that it stands for, in whole characters or in bytes."""
        return id != self._unknown and (self.writing == "bytes" or not self.is_byte[id])

    def _meaning(self, id: int, token: str | None) -> Meaning | None:
        if token is None:
            return None
        if id in self.special or id == self._unknown:
            return "special", token
        if id in self.kept_apart:
            return token
        if self.writing == "bytes":
            return _text(bytes(_BYTE_OF[character] for character in token)) if _BYTE_OF.keys() >= set(token) else token
        if self.is_byte[id]:  # an ASCII byte is not the same as that character: it is for what no piece has
            byte = int(token[3:5], 16)
            return bytes([byte]) if byte >= 0x80 else ("byte", token)
        return token.replace("▁", " ") if self.writing == "spaces" else token

    @functools.cached_property
    def _unknown(self) -> int | None:
        model = self.specification["model"]
        return model.get("unk_id") if self.kind == "Unigram" else model["vocab"].get(model.get("unk_token"))

    def written(self, meaning: str | bytes) -> str | None:
        """Text or bytes as the model writes them; None where it cannot."""
        if self.writing == "bytes":
            raw = meaning.encode() if isinstance(meaning, str) else meaning
            return "".join(_CHARACTER_OF[byte] for byte in raw)
        if isinstance(meaning, bytes):
            return None
        return meaning.replace(" ", "▁") if self.writing == "spaces" else meaning

    def pieces(self, meaning: str | bytes) -> list[int]:
        """Ids of a stretch of text or of bytes that stands in the middle of a text; those that say nothing left out."""
        written = self.written(meaning)
        if written is None:
            ids = [self.backend.token_to_id(f"<0x{byte:02X}>") for byte in meaning]
        else:
            ids = [token.id for token in self.backend.model.tokenize(written)]
        return [id for id in ids if id is not None and id != self._unknown]

    def words(self, text: str) -> list[str]:
        """A text as the model gets it: in stretches that no token reaches across."""
        backend = self.backend
        if backend.normalizer is not None:
            text = backend.normalizer.normalize_str(text)
        stretches = [text]
        if backend.pre_tokenizer is not None:
            stretches = [stretch for stretch, _ in backend.pre_tokenizer.pre_tokenize_str(text)]
        if self.writing == "spaces":
            stretches = [word for stretch in stretches for word in _SPACED.findall(stretch)]
        return stretches

    def encode(self, text: str) -> list[int]:
        """Ids of a text, without what stands before and after it."""
        return self.backend.encode(text, add_special_tokens=False).ids


_SPACED = re.compile("▁*[^▁]+|▁+")


def match(new: Sequence[Meaning | None], old: Sequence[Meaning | None]) -> list[int | None]:
    """For each new token the old one that means the same."""
    known = {meaning: id for id, meaning in reversed(list(enumerate(old))) if meaning is not None}
    return [known.get(meaning) for meaning in new]


def _writing(specification: dict[str, Any]) -> str:
    parts = [specification.get(name) for name in ("normalizer", "pre_tokenizer", "decoder")]
    said = json.dumps(parts, ensure_ascii=False)
    if '"ByteLevel"' in said:
        return "bytes"
    return "spaces" if "▁" in said else "plain"  # Metaspace has it as its replacement


def _text(raw: bytes) -> str | bytes:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw


def _byte_characters() -> dict[int, str]:
    """GPT-2's table: the bytes that are printable in Latin-1 as themselves, the others from U+0100 on."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return {byte: chr(byte) for byte in printable} | {byte: chr(256 + index) for index, byte in enumerate(others)}


_CHARACTER_OF = _byte_characters()
_BYTE_OF = {character: byte for byte, character in _CHARACTER_OF.items()}
