"""Texts as a SeqIO data source. Imports TensorFlow."""

from collections.abc import Iterable, Iterator, Sequence

import seqio
import tensorflow as tf

from linkjax.data.texts import Texts
from linkjax.errors import UserError

_BATCH, _BATCH_CHARACTERS = 256, 1 << 20  # a call from tf.data into Python costs as much as tens of documents

raised: list[UserError] = []  # within tf.data, which turns an exception of ours into one of its own


class TextSource(seqio.DataSource):
    """Texts for SeqIO: examples {'text'} in order, in parts where `shard_info` asks for them.

    Attributes:
      texts: what it gives.
      drop_duplicates: whether those who read single parts have to leave out texts met before; a whole is free of them.
    """

    def __init__(self, texts: Texts, splits: Iterable[str]):
        super().__init__(splits=splits)
        self.texts = texts
        self.drop_duplicates = texts.drop_duplicates

    @property
    def supports_arbitrary_sharding(self) -> bool:
        return False

    def list_shards(self, split: str) -> Sequence[str]:
        return [part.name for part in self.texts.parts(split)]

    def get_dataset(self, split="train", shuffle=True, seed=None, shard_info=None, **unused) -> tf.data.Dataset:
        """The texts in their order: SeqIO's own buffer shuffles."""
        del shuffle, seed, unused
        shard, count = (shard_info.index, shard_info.num_shards) if shard_info else (0, 1)
        signature = {"text": tf.TensorSpec([None], tf.string)}
        batches = tf.data.Dataset.from_generator(lambda: self._batches(split, shard, count), output_signature=signature)
        return batches.unbatch()

    def _batches(self, split: str, shard: int, count: int) -> Iterator[dict[str, list[str]]]:
        batch, characters = [], 0
        try:
            for document in self.texts.documents(split, shard, count):
                batch.append(document.text)
                characters += len(document.text)
                if len(batch) == _BATCH or characters > _BATCH_CHARACTERS:
                    yield {"text": batch}
                    batch, characters = [], 0
        except UserError as error:
            raised.append(error)
            raise
        yield {"text": batch}


def reason(error: tf.errors.OpError) -> str:
    """TensorFlow's message, less what it says of itself."""
    message = error.message.partition("\n")[0].rpartition("}} ")[2].partition(" [Op:")[0]
    return message.removesuffix(" (Is this even a TFRecord file?)").strip().rstrip(".")
