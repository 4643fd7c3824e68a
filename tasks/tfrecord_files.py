"""Texts of TFRecord files of `tf.train.Example`, https://www.tensorflow.org/tutorials/load_data/tfrecord.

Imports TensorFlow, whose reader checks the checksum of every record.
"""

import itertools
import pathlib
from collections.abc import Iterator

import tensorflow as tf
from google.protobuf.message import DecodeError

from linkjax.data.sources import reason
from linkjax.errors import UserError
from linkjax.files import is_compressed, open_bytes
from tasks.file_parts import checked, no_column

_BATCH = 64  # records: a call into tf.data costs as much as several
_LENGTH_BYTES, _HEAD_BYTES, _TAIL_BYTES = 8, 12, 4  # length, with its checksum, and the record's checksum
_LARGEST_FILE = 1 << 42  # bytes; file systems refuse to go to places far beyond


def tfrecord_texts(path: pathlib.Path, column: str, skip: int = 0, take: int | None = None) -> Iterator[str]:
    """The texts of a file's records, or of `take` after the first `skip`; gzip where its name ends in `.gz`."""
    for number, record in enumerate(itertools.islice(_records(path, skip), take), start=skip + 1):
        place = f"{path}, record {number}"
        try:
            features = tf.train.Example.FromString(record).features.feature
        except DecodeError as error:
            raise UserError(f"{place} is no tf.train.Example: write one for each document.") from error
        if column not in features:
            raise no_column(place, column, sorted(features))
        feature = features[column]
        if feature.WhichOneof("kind") not in (None, "bytes_list"):
            checked([*feature.int64_list.value, *feature.float_list.value], place, column)
        values = feature.bytes_list.value
        if len(values) > 1:
            raise UserError(f"{place}: '{column}' has {len(values)} texts: write one document a record.")
        try:
            yield values[0].decode() if values else ""
        except UnicodeDecodeError as error:
            raise UserError(f"{place}: '{column}' is not UTF-8 text ({error.reason}): write it as UTF-8.") from error


def _records(path: pathlib.Path, skip: int) -> Iterator[bytes]:
    if is_compressed(path) and path.suffix != ".gz":
        raise UserError(f"{path} is a TFRecord file compressed as {path.suffix}, but only .gz is read: decompress it.")
    complete, what = _complete(path)
    dataset = tf.data.TFRecordDataset(str(path), "GZIP" if path.suffix == ".gz" else "").take(complete).skip(skip)
    good = skip
    try:
        for batch in dataset.batch(_BATCH).as_numpy_iterator():
            yield from batch
            good += len(batch)
    except tf.errors.OpError:
        yield from _until_damage(path, dataset.skip(good - skip), good)
    if what:
        raise _damaged(path, complete, what)


def _complete(path: pathlib.Path) -> tuple[int, str]:
    """How many records are there in full, and what is wrong after them.

    TensorFlow takes a file that ends within the length of a record for a whole one, and dies of a length that is
    larger than the memory.
    """
    count = end = 0
    try:
        with open_bytes(path) as file:
            while head := file.read(_HEAD_BYTES):
                end += _HEAD_BYTES + int.from_bytes(head[:_LENGTH_BYTES], "little") + _TAIL_BYTES
                tail = end - _TAIL_BYTES
                if end > _LARGEST_FILE or file.seek(tail) != tail or len(file.read(_TAIL_BYTES)) < _TAIL_BYTES:
                    return count, "the next one is cut off or its length is wrong"
                count += 1
    except UserError as error:
        return count, getattr(error.__cause__, "strerror", None) or str(error.__cause__)
    return count, ""


def _until_damage(path: pathlib.Path, dataset: tf.data.Dataset, good: int) -> Iterator[bytes]:
    """One by one: a batch with a damaged record in it is none."""
    try:
        for record in dataset.as_numpy_iterator():
            yield record
            good += 1
    except tf.errors.OpError as error:
        raise _damaged(path, good, reason(error)) from error


def _damaged(path: pathlib.Path, good: int, what: str) -> UserError:
    return UserError(f"{path} cannot be read after {good:,} good records ({what}): fetch or write it again.")
