"""The steps of a task that are LinkJAX's own, as SeqIO preprocessors. Imports TensorFlow."""

import dataclasses
import difflib
import functools
import threading
from collections.abc import Callable, Mapping

import numpy as np
import tensorflow as tf

from linkjax.data.documents import document_id
from linkjax.errors import UserError
from linkjax.lexicon import Lexicon, ReadOptions, WordStatistics, read_lexicon
from linkjax.substitution import LinkSettings, Substitution

UINT64 = (1 << 64) - 1
_BATCH = 64  # documents, for one call from tf.data into Python


@dataclasses.dataclass(frozen=True)
class MakeDocuments:
    """Offline preprocessor: text -> {'id', 'targets'}; the id is an int64 (bits of the unsigned one).

    The text is in `column` of the examples, or is all that an example has.
    """

    component: str
    language: str
    column: str = "text"

    def __call__(self, dataset: tf.data.Dataset) -> tf.data.Dataset:
        def identify(texts):
            return np.array([document_id(self.component, text) for text in texts], np.uint64).view(np.int64)

        def convert(texts):
            identifiers = tf.numpy_function(identify, [texts], tf.int64, stateful=False)
            return {"id": tf.ensure_shape(identifiers, [None]), "targets": texts}

        batches = self._texts(dataset).batch(_BATCH)
        return batches.map(convert, num_parallel_calls=tf.data.AUTOTUNE).unbatch()

    def _texts(self, dataset: tf.data.Dataset) -> tf.data.Dataset:
        spec = dataset.element_spec
        if isinstance(spec, Mapping):
            if self.column not in spec:
                close = difflib.get_close_matches(self.column, spec, n=1)
                hint = f": did you mean '{close[0]}'?" if close else "."
                raise UserError(f"{self.component} has no column '{self.column}' (it has: {', '.join(spec)}){hint}")
            dataset, spec = dataset.map(lambda example: example[self.column]), spec[self.column]
        if not isinstance(spec, tf.TensorSpec) or spec.dtype != tf.string or spec.shape.rank:
            raise UserError(f"{self.component}: '{self.column}' is no text but {spec}: name the column of the text.")
        return dataset


@dataclasses.dataclass(frozen=True)
class LexicalSubstitution:
    """Online preprocessor: LINK on the 'targets' text of a document, keyed by its 'id'.

    SeqIO repeats a data set before its online steps, so here every pass has the swaps of pass 0.

    Attributes:
      lexicons: target language -> path of a bilingual word list, or a function that returns one.
      settings: of the intervention; a LinkJAX run takes its own from its config.
      statistics: by language, of the lexicons' words; needed where `settings.needs_statistics`.
      eligible_shares: by language, of the text's words; needed for `settings.ratio_of` words only.
    """

    lexicons: Mapping[str, str | Callable[[], str]]
    settings: LinkSettings = LinkSettings()
    statistics: Mapping[str, Mapping[str, WordStatistics]] | None = None
    eligible_shares: Mapping[str, float] | None = None

    def read(self) -> dict[str, Lexicon]:
        """The lexicons, by language."""
        paths = {language: path() if callable(path) else path for language, path in self.lexicons.items()}
        return {language: read_lexicon(path, ReadOptions(language=language)) for language, path in paths.items()}

    def __call__(self, dataset: tf.data.Dataset) -> tf.data.Dataset:
        lock = threading.Lock()  # tf.data calls from threads of its own

        @functools.cache
        def substitution():
            return Substitution(self.read(), self.settings, self.statistics, self.eligible_shares)

        def swap(identifier, text):
            with lock:
                return substitution()(int(identifier) & UINT64, text.decode()).text.encode()

        def convert(example):
            text = tf.numpy_function(swap, [example["id"], example["targets"]], tf.string, stateful=False)
            return {**example, "targets": tf.ensure_shape(text, [])}

        return dataset.map(convert)


@dataclasses.dataclass(frozen=True)
class RankingItems:
    """Offline preprocessor of an evaluation task: names its metric and passes the items on.

    Items are as `linkjax.data.items` has them, with both 'prompt' and 'prompts', of which one is empty.

    Attributes:
      metric: what the scores are called.
      chance: of guessing; None = one over the number of an item's choices.
    """

    metric: str
    chance: float | None = None

    def __call__(self, dataset: tf.data.Dataset) -> tf.data.Dataset:
        return dataset
