"""What a method goes by besides the two vocabularies: texts, word vectors, a target-language model, a word list."""

import collections
import dataclasses
import functools
import pathlib

import numpy as np

from linkjax.errors import UserError
from linkjax.huggingface.folder import ModelFolder
from linkjax.lexicon import Lexicon
from linkjax.lexicon.coverage import word_pattern
from linkjax.vocabulary.texts import Text
from linkjax.vocabulary.tokens import Vocabulary
from linkjax.vocabulary.word_vectors import WordVectors, read_vectors, train_vectors

METHODS = {
    "mean": "the mean of the rows of the pieces that a new token's text was cut into before",
    "random": "drawn from a normal distribution with the old rows' mean and deviation in each dimension",
    "salt": "SALT: by a linear map from a target-language model, for each token its own",
    "focus": "FOCUS: the mean of shared tokens' rows, weighted by target-language word vectors",
    "wechsel": "WECHSEL: the mean of the rows of English tokens near it, once a word list has aligned word vectors",
    "clp": "CLP-Transfer: the mean of shared tokens' rows, weighted by a target-language model's embeddings",
    "translation": "the mean of the rows of the English translations of the words that hold it, by a word list alone",
}
_TARGET_VECTORS = ("--target_text (word vectors are trained on it) or --word_vectors", "target_text", "word_vectors")
_ENGLISH_VECTORS = ("--english_text or --english_vectors", "english_text", "english_vectors")
_TARGET_MODEL, _LEXICON = ("--target_model", "target_model"), ("--lexicon", "lexicon")
_NEEDS = {
    "salt": (_TARGET_VECTORS, _TARGET_MODEL),
    "focus": (_TARGET_VECTORS,),
    "wechsel": (_TARGET_VECTORS, _ENGLISH_VECTORS, _LEXICON),
    "clp": (_TARGET_MODEL,),
    "translation": (_LEXICON,),
}
_EMBEDDINGS = ("embed_tokens.weight", "word_embeddings.weight", "wte.weight")
_OUTPUT = "lm_head.weight"


class EmbeddedModel:
    """A model's folder, seen as a vocabulary with a row of embeddings for each id.

    Attributes:
      folder, vocabulary: of the model.
      input: the name of the embeddings.
      output: the name of the output embeddings where they are others.
    """

    def __init__(self, path: pathlib.Path):
        """Raises UserError where the folder has no embeddings or no tokenizer that is known."""
        self.folder = ModelFolder.open(path)
        self.vocabulary = Vocabulary.load(path)
        found = [name for name in self.folder.names if name.endswith(_EMBEDDINGS)]
        if len(found) != 1:
            raise UserError(f"{path} has {len(found)} tensors that end in {', '.join(_EMBEDDINGS)}: one is expected.")
        self.input = found[0]
        tied = self.folder.config.get("tie_word_embeddings", False)
        self.output = _OUTPUT if _OUTPUT in self.folder.names and not tied else None
        shapes = [self.folder.shape(name) for name in (self.input, self.output) if name]
        if len(set(shapes)) > 1 or len(shapes[0]) != 2 or not all(shapes[0]):
            raise UserError(f"{path} has embeddings of the shapes {shapes}: one row for each token is expected.")

    def rows(self, output: bool) -> np.ndarray:
        """rows_VxD of the input, or of the output; these are the input's where the two are tied."""
        return self.folder.read(self.output if output and self.output else self.input)


@dataclasses.dataclass(frozen=True)
class Aids:
    """What the user gave; None where it was not."""

    target_text: Text | None = None
    english_text: Text | None = None
    word_vectors: pathlib.Path | None = None
    english_vectors: pathlib.Path | None = None
    target_model: EmbeddedModel | None = None
    lexicon: Lexicon | None = None
    seed: int = 0

    def check(self, method: str) -> None:
        """Raises UserError where the method needs what was not given."""
        missing = [said for said, *names in _NEEDS.get(method, ()) if not any(getattr(self, name) for name in names)]
        if missing:
            raise UserError(f"--method={method} needs {' and '.join(missing)}: give that, or choose another method.")

    @functools.cached_property
    def target_words(self) -> WordVectors:
        return self._words(self.word_vectors, self.target_text)

    @functools.cached_property
    def english_words(self) -> WordVectors:
        return self._words(self.english_vectors, self.english_text)

    def _words(self, path: pathlib.Path | None, text: Text | None) -> WordVectors:
        if path:
            return read_vectors(path)
        find = word_pattern().findall
        return train_vectors(((find(line.lower()), count) for line, count in sorted(text.lines.items())), self.seed)

    @functools.cached_property
    def translations(self) -> dict[str, dict[str, float]]:
        """Target word, lower-cased -> its English translations and their weights."""
        found: dict[str, dict[str, float]] = collections.defaultdict(dict)
        for pair in self.lexicon.pairs():
            found[pair.target.lower()][pair.source] = 1.0 if pair.weight is None else max(pair.weight, 0.0)
        return dict(found)
