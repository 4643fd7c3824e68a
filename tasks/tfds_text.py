"""Texts of data sets that TFDS has prepared on disk, https://www.tensorflow.org/datasets. Imports TensorFlow.

Nothing is downloaded here: `tfds build` does that. TFDS says where a data set is and which records of which files
a split has; these are TFRecord files with a text feature under its own name.
"""

import contextlib
import difflib
import functools
import pathlib
from collections.abc import Iterator

import tensorflow as tf
import tensorflow_datasets as tfds
from google.protobuf.json_format import ParseError

from linkjax.data.texts import Part
from linkjax.errors import UserError
from tasks.file_parts import no_column
from tasks.tfrecord_files import tfrecord_texts

_PREFIX, _SPLIT = "tfds:", "train"
_FEATURES = "tensorflow_datasets.core.features."


def tfds_parts(name: str, column: str, data_dir: str = "") -> list[Part]:
    """The files of 'tfds:NAME/CONFIG:VERSION@SPLIT'. Config, version and split ('train') may be left out.

    Raises:
      UserError: there is no such data set, version, split or column in `data_dir` (TFDS's own folder, if empty).
    """
    data_set, _, split = name.removeprefix(_PREFIX).partition("@")
    info = _builder(data_set, pathlib.Path(data_dir or tfds.core.constants.DATA_DIR).expanduser()).info
    if info.file_format != tfds.core.FileFormat.TFRECORD:
        kind = info.file_format.value
        raise UserError(f"{name} is in {kind} files: build it again with `tfds build --file_format=tfrecord`.")
    if column not in info.features:
        raise no_column(name, column, list(info.features))
    feature = info.features[column]
    if feature.shape != () or feature.tf_dtype != tf.string:
        kind = type(feature).__name__
        raise UserError(f"{name}: '{column}' is no text but {kind}: set --config.text_column to the text's column.")
    try:
        files = info.splits[split or _SPLIT].file_instructions
    except (ValueError, KeyError) as error:
        known = ", ".join(info.splits)
        raise UserError(
            f"{name} has no split '{split or _SPLIT}' (it has: {known}{_hint(split, list(info.splits))}): write"
            f" {_PREFIX}{data_set}@SPLIT."
        ) from error
    parts = []
    for file in files:
        path = pathlib.Path(file.filename)
        # A `take` of -1 is TFDS's for all that follow.
        texts = functools.partial(tfrecord_texts, path, column, file.skip, file.take if file.take >= 0 else None)
        whole = file.skip == 0 and file.take in (-1, file.examples_in_shard)
        parts.append(Part(str(path) if whole else f"{path}, from record {file.skip + 1}", texts))
    return parts


def _builder(name: str, data_dir: pathlib.Path) -> tfds.core.DatasetBuilder:
    try:
        with own_features_only(f"{_PREFIX}{name}"):
            return tfds.core.read_only_builder.builder_from_files(name, data_dir=data_dir)
    except tfds.core.DatasetNotFoundError as error:
        there = _prepared(data_dir)
        base, known = name.partition("/")[0].partition(":")[0], tfds.list_builders(with_community_datasets=False)
        if base in known:
            hint, mend = _hint(name, there), f"or fetch it: tfds build {name} --data_dir={data_dir}"
        else:
            hint, mend = _hint(name, there) or _hint(base, known), "or check the name"
        raise UserError(
            f"{_PREFIX}{name} is not in {data_dir} (it has: {', '.join(there)[:300] or 'no data sets'}{hint}):"
            f" set --config.tfds_data_dir, {mend}."
        ) from error
    except (ValueError, OSError, KeyError, TypeError, AttributeError, RecursionError, ParseError) as error:
        if _folders(name, data_dir):
            what = " ".join(str(error).split())[:200]
            raise UserError(
                f"the description of {_PREFIX}{name} in {data_dir} cannot be read ({what}): build or fetch it again."
            ) from error
        raise UserError(f"'{_PREFIX}{name}' is no name of TFDS: write it like {_PREFIX}wiki40b/en@train.") from error


@contextlib.contextmanager
def own_features_only(name: str) -> Iterator[None]:
    """TFDS imports whatever module a data set's features.json names; here it may name TFDS's own alone."""
    connector = tfds.features.FeatureConnector
    as_it_was = connector.__dict__["cls_from_name"]
    find = connector.cls_from_name

    def find_own(python_class_name: str) -> type[tfds.features.FeatureConnector]:
        if not str(python_class_name).startswith(_FEATURES):
            raise UserError(
                f"{name} has a feature of class '{python_class_name!s:.100}', which is not TFDS's own and"
                " would be run: write its text as JSON lines or Parquet."
            )
        return find(python_class_name)

    connector.cls_from_name = staticmethod(find_own)
    try:
        yield
    finally:
        connector.cls_from_name = as_it_was


def _folders(name: str, data_dir: pathlib.Path) -> list[pathlib.Path]:
    """Where data sets of a name may be."""
    base = name.partition("/")[0].partition(":")[0]
    return [folder for folder in data_dir.glob("*") if folder.name == base]


def _prepared(data_dir: pathlib.Path) -> list[str]:
    """Names of the data sets in a folder, with their configs and versions."""
    folders = (path.parent for depth in ("*/*", "*/*/*") for path in data_dir.glob(f"{depth}/features.json"))
    return sorted(f"{folder.parent.relative_to(data_dir)}:{folder.name}" for folder in folders)


def _hint(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean '{close[0]}'?" if close else ""
