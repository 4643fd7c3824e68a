"""Rows of benchmarks that TFDS has prepared on disk, https://www.tensorflow.org/datasets. Imports TFDS when it reads.

Nothing is downloaded here: `tfds build piqa --data_dir=benchmarks` does that. The names of features are those of
TFDS's own builders, https://github.com/tensorflow/datasets (tensorflow_datasets/datasets, tensorflow_datasets/text).
"""

import dataclasses
import pathlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from linkjax.errors import UserError
from tasks.benchmarks.rows import Row


@dataclasses.dataclass(frozen=True)
class Tfds:
    """A benchmark as TFDS has it.

    Attributes:
      folder: its name and config with {language}; the version's folder is below.
      splits: of ours -> TFDS's.
      columns: makes a published row of one of TFDS's, and the language.
    """

    folder: str
    splits: Mapping[str, str]
    columns: Callable[[dict[str, Any], str], dict[str, Any]] = lambda values, language: values

    def find(self, data: pathlib.Path, language: str) -> pathlib.Path | None:
        """The newest version of it under the folder of the benchmarks."""
        found = (data / self.folder.format(language=language)).glob("*/dataset_info.json")
        versions = [path.parent for path in found if path.parent.name.replace(".", "").isdecimal()]
        return max(versions, key=lambda path: [int(part) for part in path.name.split(".") if part], default=None)

    def rows(self, folder: pathlib.Path, split: str, language: str) -> Iterator[Row]:
        """The rows of a split of ours, in TFDS's order.

        Raises:
          UserError: it cannot be read, or has no such split.
        """
        for number, values in enumerate(_examples(folder, self.splits[split]), start=1):
            row = Row(f"{folder}, {self.splits[split]}, example {number}", values)
            try:
                yield Row(row.place, self.columns(values, language))
            except (KeyError, TypeError, ValueError) as error:
                raise row.wrong(f"it is not as TFDS has it ({' '.join(map(str, error.args)):.100})") from error


def _examples(folder: pathlib.Path, split: str) -> Iterator[dict[str, Any]]:
    try:
        import tensorflow as tf
        import tensorflow_datasets as tfds

        from tasks.tfds_text import own_features_only
    except ImportError as error:
        raise UserError(f"reading {folder} needs packages: pip install 'linkjax[seqio]'.") from error
    try:
        with own_features_only(str(folder)):
            builder = tfds.builder_from_directory(str(folder))
        features = builder.info.features
        if split not in builder.info.splits:
            raise UserError(
                f"{folder} has no split '{split}' (it has: {', '.join(builder.info.splits)}): build it again."
            )
        if builder.info.file_format == tfds.core.FileFormat.ARRAY_RECORD:
            examples = iter(builder.as_data_source(split))
        else:
            in_order = tfds.ReadConfig(interleave_cycle_length=1)
            examples = builder.as_dataset(split=split, read_config=in_order).as_numpy_iterator()
        for example in examples:
            yield _plain(features, example)
    except (tf.errors.OpError, OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError) as error:
        what = " ".join(str(error).split())[:200]
        raise UserError(f"{folder}, {split} cannot be read ({what}): build or fetch it again.") from error


def _plain(feature: Any, value: Any) -> Any:
    """A value as JSON has it, with classes by their names."""
    import tensorflow_datasets as tfds

    if isinstance(feature, tfds.features.FeaturesDict):
        return {name: _plain(inner, value[name]) for name, inner in feature.items()}
    if isinstance(feature, tfds.features.Sequence):
        inner = feature.feature
        if isinstance(inner, tfds.features.FeaturesDict):
            return {name: [_plain(of, one) for one in value[name]] for name, of in inner.items()}
        return [_plain(inner, one) for one in value]
    if isinstance(feature, tfds.features.ClassLabel):
        return feature.int2str(int(value)) if value >= 0 else None
    return value.decode() if isinstance(value, bytes) else np.asarray(value).tolist()
