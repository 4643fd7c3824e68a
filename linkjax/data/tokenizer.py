"""SentencePiece, trained on the user's text, and text -> ids word by word with provenance flags; other tokenizers."""

import collections
import dataclasses
import io
import pathlib
from collections.abc import Iterable, Sequence

import numpy as np
import sentencepiece

from linkjax.data import fast_tokenizer
from linkjax.data.fast_tokenizer import FastTokenizer
from linkjax.data.special_ids import IDS
from linkjax.errors import UserError
from linkjax.files import read_whole
from linkjax.settings import setting
from linkjax.substitution import Span

FILE = "tokenizer.model"
PAD, EOS, UNK = 0, 1, 2  # SeqIO's packer drops real tokens where id 0 is one
_CACHED_WORDS, _CACHED_CHARACTERS = 1_000_000, 64  # how many, and of how many characters at most
_MOST_BYTES = 1 << 27  # of a model
_PROBE = "ﬁve  spaces\tＡ 語\U0001f98a "  # what a normaliser would change, and what is in no small vocabulary


@dataclasses.dataclass(frozen=True)
class TokenizerSettings:
    """How the tokenizer is made, or which one is used."""

    path: str = setting("", "tokenizer to use: a SentencePiece model (pad 0, EOS 1, UNK 2), a tokenizer.json or its"
                           " model's folder; empty = train one")  # fmt: skip
    kind: str = setting("unigram", "unigram or bpe")
    vocabulary_size: int = setting(16384, "pieces; fewer where the text is too small for so many")
    train_bytes: int = setting(10_000_000, "bytes of each component's text that the tokenizer is trained on, at most")

    def __post_init__(self):
        if self.kind not in ("unigram", "bpe"):
            raise UserError(f"tokenizer.kind is '{self.kind}': choose unigram or bpe.")
        if self.vocabulary_size < 300:
            raise UserError(
                f"tokenizer.vocabulary_size is {self.vocabulary_size}: bytes alone need 259, choose 300 or more."
            )


def train_tokenizer(texts: Iterable[str], vocabulary_size: int, kind: str) -> bytes:
    """Trains a SentencePiece model and returns its bytes.

    Pad 0, EOS 1, UNK 2, byte fallback, and the identity normaliser: pieces never cross a space and text
    decodes to itself. Where the text is too small for `vocabulary_size`, a unigram model gets smaller.
    """
    model = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=(line for text in texts for line in text.split("\n") if line),
            model_writer=model,
            vocab_size=vocabulary_size,
            model_type=kind,
            hard_vocab_limit=False,
            normalization_rule_name="identity",
            remove_extra_whitespaces=False,
            byte_fallback=True,
            character_coverage=0.9999,
            pad_id=PAD,
            eos_id=EOS,
            unk_id=UNK,
            bos_id=-1,
            max_sentence_length=1 << 20,
            num_threads=2,
            minloglevel=2,
        )
    except (RuntimeError, OSError) as error:
        raise UserError(
            f"the tokenizer could not be trained with vocabulary_size {vocabulary_size}: {error}"
        ) from error
    return model.getvalue()


class Tokenizer:
    """A SentencePiece model with its fixed ids (pad 0, EOS 1, UNK 2).

    Attributes:
      eos, start, pad: ids that stand behind a document, before it, and where there is none.
      adds_space: whether a text gets a space before it, as the words within it have.
    """

    eos, start, pad = EOS, PAD, PAD
    adds_space = True

    def __init__(self, model: bytes):
        self._model = model
        self._processor = sentencepiece.SentencePieceProcessor(model_proto=model)
        found = (self._processor.pad_id(), self._processor.eos_id(), self._processor.unk_id())
        if found != (PAD, EOS, UNK):
            raise UserError(f"the tokenizer has pad, EOS, UNK ids {found}; LinkJAX needs (0, 1, 2).")
        self._space = self._processor.piece_to_id("▁")
        if self._processor.decode(self._processor.encode(_PROBE)) != _PROBE:
            raise UserError(
                "the tokenizer does not give a text back as it was: LinkJAX needs the identity normaliser"
                " (extra spaces kept) and byte fallback."
            )
        self._words: dict[str, list[int]] = {}
        self._signs_within = {sign for token in range(len(self)) for sign in "\n\t" if self._is_within(sign, token)}

    def __reduce__(self):
        return Tokenizer, (self._model,)

    @classmethod
    def load(cls, path: pathlib.Path) -> "Tokenizer":
        """Raises UserError where the file is no such model."""
        model = read_whole(path, _MOST_BYTES, "that is no SentencePiece model")
        try:
            return cls(model)
        except (OSError, RuntimeError, ValueError) as error:
            raise UserError(f"tokenizer {path} is not a SentencePiece model that can be read: {error}.") from error

    def __len__(self) -> int:
        return self._processor.get_piece_size()

    @property
    def processor(self) -> sentencepiece.SentencePieceProcessor:
        """SentencePiece itself."""
        return self._processor

    def save(self, folder: pathlib.Path) -> None:
        """As `load_tokenizer` reads it."""
        (folder / FILE).write_bytes(self._model)

    def piece(self, token: int) -> str:
        return self._processor.id_to_piece(token)

    def piece_bytes(self, token: int) -> bytes:
        """Bytes of text that a token stands for."""
        piece = self.piece(token)
        if self._processor.is_byte(token):
            return bytes([int(piece[3:5], 16)])  # <0xE8>
        return piece.replace("▁", " ").encode()

    def cuts_before(self, sign: str) -> bool:
        """Whether no piece joins a line end or a tab to what is beside it, as it joins letters."""
        return sign not in self._signs_within

    def _is_within(self, sign: str, token: int) -> bool:
        piece = self.piece(token)
        return sign in piece and len(piece) > 1

    def decode(self, ids: Sequence[int]) -> str:
        return self._processor.decode([int(token) for token in ids])

    def encode(self, text: str) -> list[int]:
        """Ids of `text` without EOS: SentencePiece's, word by word, several times faster than whole lines.

        The same ids as for the whole line, but where two segmentations of a word have one score: there
        rounding within the line decides for SentencePiece, and here a word always gets the same ids.
        """
        if not text:
            return []
        ids: list[int] = []
        for word in text.split(" "):
            ids += self._word(word)
        return ids

    def count(self, texts: Sequence[str]) -> int:
        """Tokens of some texts together: every different word is looked at once."""
        # Nothing between two spaces is a token as well, while an empty text has none.
        words = collections.Counter(" ".join(filter(None, texts)).split(" ")) if any(texts) else {}
        return sum(count * len(self.encode(word) or " ") for word, count in words.items())

    def encode_all(self, texts: Sequence[tuple[str, Sequence[Span]]]) -> list[tuple[np.ndarray, np.ndarray]]:
        """`encode_with_spans` of many."""
        return [self.encode_with_spans(text, spans) for text, spans in texts]

    def encode_with_spans(self, text: str, spans: Sequence[Span]) -> tuple[np.ndarray, np.ndarray]:
        """Ids of `text` and, for each, whether any of its bytes lies in one of `spans` (sorted, disjoint).

        Pieces never cross a space, so only the words that a span touches are looked at piece by piece.
        """
        if not spans:
            ids = np.array(self.encode(text), np.int32)
            return ids, np.zeros(len(ids), np.uint8)
        ids, flags = [], []
        end, pending = -1, 0
        for word in text.split(" "):
            start, end = end + 1, end + 1 + len(word)
            pieces = self._word(word)
            ids += pieces
            while pending < len(spans) and spans[pending].end < start:  # `start - 1` is the space before
                pending += 1
            if pending == len(spans) or spans[pending].start >= end:
                flags += [0] * len(pieces)
            elif spans[pending].start <= start and spans[pending].end >= end and pieces[0] != self._space:
                flags += [1] * len(pieces)
            else:
                flags += self._piece_flags(word, start, spans[pending:])
        return np.array(ids, np.int32), np.array(flags, np.uint8)

    def _piece_flags(self, word: str, start: int, spans: Sequence[Span]) -> list[int]:
        """Flags of the pieces of the space before `text[start]` and the word after it."""
        touched = [False] * (1 + len(word))
        for span in spans:
            if span.start >= start + len(word):
                break
            for index in range(max(span.start, start - 1), min(span.end, start + len(word))):
                touched[index - start + 1] = True
        characters = f" {word}".replace("▁", " ")  # that sign is a space to SentencePiece
        by_byte = [flag for character, flag in zip(characters, touched, strict=True) for _ in character.encode()]
        flags, position = [], 0
        for token in self._word(word):
            # A piece that stands for one byte has the flag of the character the byte is part of.
            length = self._bytes(token)
            flags.append(int(any(by_byte[position : position + length])))
            position += length
        return flags

    def tokens_at(self, text: str, places: Sequence[int]) -> list[int]:
        """Which tokens of `encode(text)` some of its characters begin in."""
        ends = np.cumsum([self._bytes(token) for token in self.encode(text)])
        before = np.cumsum([1, *(len(character.encode()) for character in text.replace("▁", " "))])
        return np.searchsorted(ends, before[list(places)], side="right").tolist()

    def _bytes(self, token: int) -> int:
        """Bytes of text that a token stands for; a space is before every word, and before the first as well."""
        return 1 if self._processor.is_byte(token) else len(self.piece(token).replace("▁", " ").encode())

    def _word(self, word: str) -> list[int]:
        ids = self._words.get(word)
        if ids is None:
            ids = self._processor.encode(word) if word else [self._space]
            if len(word) <= _CACHED_CHARACTERS:
                if len(self._words) > _CACHED_WORDS:
                    self._words.clear()
                self._words[word] = ids
        return ids


AnyTokenizer = Tokenizer | FastTokenizer


def load_tokenizer(path: pathlib.Path) -> AnyTokenizer:
    """A SentencePiece model, a `tokenizer.json`, or the one that a folder has; of both the latter.

    Raises:
      UserError: there is none, or it cannot be used.
    """
    found = tokenizer_file(path)
    return FastTokenizer.load(found) if found.suffix == ".json" else Tokenizer.load(found)


def tokenizer_file(path: pathlib.Path) -> pathlib.Path:
    """The file of a tokenizer, itself or its folder given."""
    if not path.is_dir():
        return path
    found = [path / name for name in (fast_tokenizer.FILE, FILE) if (path / name).is_file()]
    if not found:
        raise UserError(f"{path} has no tokenizer: neither {fast_tokenizer.FILE} nor {FILE} is in it.")
    return found[0]


def tokenizer_names(path: pathlib.Path) -> list[str]:
    """Names of the files that a tokenizer is kept in, the one that `tokenizer_file` finds first."""
    return [path.name, IDS] if path.suffix == ".json" else [path.name]
