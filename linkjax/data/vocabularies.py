"""Tokenizers of Hugging Face's as vocabularies of SeqIO. Imports TensorFlow."""

import pathlib
from collections.abc import Sequence

import numpy as np
import seqio
import tensorflow as tf

from linkjax.data.tokenizer import load_tokenizer


class TokenizerVocabulary(seqio.Vocabulary):
    """For plain SeqIO programs, one text at a time; it starts documents as SeqIO does, with id 0.

    Where id 0 is a token of text, SeqIO's packer takes it for padding: pack such tasks with LinkJAX.
    """

    def __init__(self, path: str):
        """Args: `path`, of a `tokenizer.json` or its folder, or of a SentencePiece model of LinkJAX's."""
        super().__init__()
        self._path, self._tokenizer = path, load_tokenizer(pathlib.Path(path))

    def __eq__(self, other):
        return isinstance(other, TokenizerVocabulary) and self._path == other._path

    def __reduce__(self):
        return TokenizerVocabulary, (self._path,)

    @property
    def bos_id(self) -> int:
        return self._tokenizer.start

    @property
    def eos_id(self) -> int:
        return self._tokenizer.eos

    @property
    def unk_id(self) -> None:
        return None

    @property
    def _base_vocab_size(self) -> int:
        return len(self._tokenizer)

    def _encode(self, s: str) -> list[int]:
        return self._tokenizer.encode(s)

    def _decode(self, ids: Sequence[int]) -> str:
        return self._tokenizer.decode(ids)

    def _encode_tf(self, s: tf.Tensor) -> tf.Tensor:
        ids = tf.numpy_function(lambda text: np.array(self._encode(text.decode()), np.int32), [s], tf.int32)
        ids.set_shape([None])
        return ids

    def _decode_tf(self, ids: tf.Tensor) -> tf.Tensor:
        return tf.numpy_function(lambda some: self._decode(some.tolist()).encode(), [ids], tf.string)
