"""A SentencePiece model as a `tokenizer.json`, the format of Hugging Face's tokenizers library.

What is written there makes the library do as `linkjax.data.tokenizer` does: a space before the text, spaces as '▁',
words cut before each '▁', the model's pieces by their scores (unigram) or merges (BPE), what is in no piece as its
bytes. The ids are the same, but where two ways to cut a word have one score ('999' into '9', '99' or '99', '9'): there
rounding decides, in 32 bits for SentencePiece and in 64 for the library.

SentencePiece's model: https://github.com/google/sentencepiece/blob/master/src/sentencepiece_model.proto, in protobuf's
wire format, https://protobuf.dev/programming-guides/encoding/. It is read here, because Python's classes for it come
with a package that TensorFlow wants in another version.
tokenizer.json: https://huggingface.co/docs/tokenizers/components.
"""

import dataclasses
import re
import struct
from collections.abc import Iterator
from typing import Any

from linkjax.data.special_ids import first_of
from linkjax.data.tokenizer import PAD, UNK
from linkjax.errors import UserError
from linkjax.files import parse_json
from linkjax.huggingface.folder import json_text

TOKENIZER, TOKENIZER_CONFIG = "tokenizer.json", "tokenizer_config.json"
_SPACE = "▁"
_NORMAL, _UNKNOWN, _CONTROL, _USER_DEFINED, _BYTE = 1, 2, 3, 4, 6
_UNIGRAM, _BPE = 1, 2
_BYTE_NAMES = r"0x[0-9A-F]{2}>"


@dataclasses.dataclass(frozen=True)
class _Piece:
    text: str
    score: float
    kind: int


@dataclasses.dataclass(frozen=True)
class _Model:
    """What is of use of a SentencePiece model."""

    pieces: tuple[_Piece, ...]
    kind: int
    byte_fallback: bool
    as_prefix: bool  # a space is the first character of what follows, also before the text


def to_json(model: bytes) -> dict[str, Any]:
    """The content of tokenizer.json.

    Raises:
      UserError: the library has nothing that does the same.
    """
    read = _read(model)
    normal = {piece.text for piece in read.pieces if piece.kind in (_NORMAL, _USER_DEFINED)}
    others = [piece.text for piece in read.pieces if piece.kind not in (_NORMAL, _USER_DEFINED, _BYTE)]
    words: dict[str, Any] = _split(_SPACE, "MergedWithNext", "String")
    if read.kind == _UNIGRAM:
        # There the names of pieces that stand for no text match a text that spells them. Cut in two, none does.
        spelled = "|".join([_BYTE_NAMES, *(re.escape(name[1:]) for name in others if name.startswith("<"))])
        steps = [words, _split(f"<(?={spelled})", "MergedWithPrevious", "Regex")]
        words = {"type": "Sequence", "pretokenizers": steps}
        pieces = _unigram(read)
    else:
        pieces = _bpe(read, normal)
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {"id": number, "content": piece.text, "single_word": False, "lstrip": False, "rstrip": False,
             "normalized": False, "special": True}
            for number, piece in enumerate(read.pieces) if piece.kind in (_CONTROL, _UNKNOWN)
        ],
        "normalizer": {
            "type": "Sequence",
            "normalizers": [
                {"type": "Prepend", "prepend": _SPACE},
                {"type": "Replace", "pattern": {"String": " "}, "content": _SPACE},
            ],
        },
        "pre_tokenizer": words,
        "post_processor": _beginning(read.pieces[PAD].text, PAD),
        "decoder": {
            "type": "Sequence",
            "decoders": [
                {"type": "Replace", "pattern": {"String": _SPACE}, "content": " "},
                {"type": "ByteFallback"},
                {"type": "Fuse"},
                {"type": "Strip", "content": " ", "start": 1, "stop": 0},
            ],
        },
        "model": pieces,
    }  # fmt: skip


def beginning_with(described: bytes, start: int | None, name: str | None) -> bytes:
    """A tokenizer.json that puts this token, or none, before a text: the same bytes where it does so already.

    A model's tokenizer_config.json may have said otherwise, in fields that only some classes of tokenizers know.
    """
    content = parse_json(described, TOKENIZER)
    if next(first_of(content.get("post_processor")), None) == start:
        return described
    content["post_processor"] = None if start is None else _beginning(name, start)
    return json_text(content).encode()


def _beginning(name: str, number: int) -> dict[str, Any]:
    begins = [{"SpecialToken": {"id": name, "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}]
    return {
        "type": "TemplateProcessing",
        "single": begins,
        "pair": [*begins, {"Sequence": {"id": "B", "type_id": 1}}],
        "special_tokens": {name: {"id": name, "ids": [number], "tokens": [name]}},
    }


def to_config(start: str | None, eos: str, unknown: str | None, length: int) -> dict[str, Any]:
    """The content of tokenizer_config.json, of the names of special pieces.

    Padding is with the end: were it with the start, transformers would take a text's start for padding.
    """
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": start,
        "eos_token": eos,
        "unk_token": unknown,
        "pad_token": eos,
        "model_max_length": length,
        "clean_up_tokenization_spaces": False,
        # By default transformers 4 would add token_type_ids, which no decoder takes.
        "model_input_names": ["input_ids", "attention_mask"],
        # What a text spells is text, not the end of it.
        "split_special_tokens": True,
    }


def unknown(described: Any) -> str | None:
    """The name of the piece for what is in no other, of what tokenizer.json says."""
    model = described.get("model", {})
    if model.get("type") == "Unigram" and isinstance(number := model.get("unk_id"), int):
        return model["vocab"][number][0]
    return model.get("unk_token")


def _split(pattern: str, behaviour: str, kind: str) -> dict[str, Any]:
    return {"type": "Split", "pattern": {kind: pattern}, "behavior": behaviour, "invert": False}


def _unigram(read: _Model) -> dict[str, Any]:
    most = max(piece.score for piece in read.pieces if piece.kind == _NORMAL)

    def score(piece: _Piece) -> float:
        # As SentencePiece scores the symbols of a user: above all that they could be cut into.
        return len(piece.text.encode()) * most - 0.1 if piece.kind == _USER_DEFINED else piece.score

    vocabulary = [[piece.text, score(piece)] for piece in read.pieces]
    return {"type": "Unigram", "unk_id": UNK, "vocab": vocabulary, "byte_fallback": read.byte_fallback}


def _bpe(read: _Model, normal: set[str]) -> dict[str, Any]:
    """Any two pieces that make a third are merged, those of the best score first."""
    if symbols := [piece.text for piece in read.pieces if piece.kind == _USER_DEFINED]:
        raise UserError(
            f"the tokenizer's BPE has {symbols[0]!r:.40} as a symbol of a user's, and tokenizer.json has no way to say"
            " so: only a unigram model with such can be exported."
        )
    merges = []
    for piece in sorted(read.pieces, key=lambda piece: -piece.score):
        if piece.kind == _NORMAL:
            cuts = ((piece.text[:cut], piece.text[cut:]) for cut in range(1, len(piece.text)))
            merges += [[first, second] for first, second in cuts if first in normal and second in normal]
    return {
        "type": "BPE",
        "dropout": None,
        "unk_token": read.pieces[UNK].text,
        "continuing_subword_prefix": None,
        "end_of_word_suffix": None,
        "fuse_unk": True,
        "byte_fallback": read.byte_fallback,
        "ignore_merges": False,
        "vocab": {piece.text: number for number, piece in enumerate(read.pieces)},
        "merges": merges,
    }


def _read(model: bytes) -> _Model:
    pieces: list[_Piece] = []
    trainer: dict[int, Any] = {}
    normaliser: dict[int, Any] = {}
    try:
        for number, value in _fields(model):
            if number == 1:
                about = dict(_fields(value))
                pieces.append(_Piece(about[1].decode(), about.get(2, 0.0), about.get(3, _NORMAL)))
            elif number == 2:
                trainer = dict(_fields(value))
            elif number == 3:
                normaliser = dict(_fields(value))
    except (IndexError, KeyError, TypeError, ValueError, struct.error, AttributeError) as error:
        raise UserError(f"the tokenizer is no SentencePiece model that can be read: {error}.") from error
    as_prefix = bool(normaliser.get(3, 1) and normaliser.get(5, 1) and not trainer.get(24, 0))
    read = _Model(tuple(pieces), trainer.get(3, _UNIGRAM), bool(trainer.get(35, 0)), as_prefix)
    if read.kind not in (_UNIGRAM, _BPE):
        raise UserError("the tokenizer's SentencePiece model is neither unigram nor BPE: only these can be exported.")
    if not read.as_prefix:
        raise UserError("the tokenizer's SentencePiece model puts no '▁' before a text: it cannot be exported.")
    if unused := [piece for piece in pieces if piece.kind not in (_NORMAL, _UNKNOWN, _CONTROL, _USER_DEFINED, _BYTE)]:
        raise UserError(f"the tokenizer has the unused piece {unused[0].text!r:.40}: it cannot be exported.")
    return read


def _fields(message: bytes) -> Iterator[tuple[int, Any]]:
    """Number and value of each field of a message: an int, a float or bytes."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        number, wire = key >> 3, key & 7
        if wire == 0:
            value, at = _varint(message, at)
        elif wire == 1:
            (value,), at = struct.unpack_from("<d", message, at), at + 8
        elif wire == 5:
            (value,), at = struct.unpack_from("<f", message, at), at + 4
        elif wire == 2:
            length, at = _varint(message, at)
            value, at = message[at : at + length], at + length
        else:
            raise ValueError(f"a field has wire type {wire}")
        yield number, value


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[at]
        if shift > 63:
            raise ValueError("a number has more than 64 bits")
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
