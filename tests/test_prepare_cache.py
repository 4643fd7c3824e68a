"""Preparing what `seqio_cache_tasks` has cached, in its layout; `test_prepare_beam` lets SeqIO write it."""

import json

import pytest

from linkjax.data.prepared import Prepared
from linkjax.errors import UserError
from linkjax.prepare import prepare
from tests.test_prepare_resumed import config  # noqa: F401


def write_cache(folder, task, shards=2):
    """The files of seqio.scripts.cache_tasks_main: examples after the offline part, what they have, how many."""
    import seqio
    import tensorflow as tf

    from linkjax.data import tasks

    folder.mkdir(parents=True)
    for split in task.splits:
        examples = [
            {"id": document.id - (1 << 64) if document.id >> 63 else document.id, "targets": document.text.encode()}
            for document in tasks.documents(task, split)
        ]
        for shard in range(shards):
            path = folder / f"{split}.tfrecord-{shard:05d}-of-{shards:05d}"
            with tf.io.TFRecordWriter(str(path)) as writer:
                for example in examples[shard::shards]:
                    writer.write(seqio.dict_to_tfexample(example).SerializeToString())
        features = {"id": {"shape": [], "dtype": "int64"}, "targets": {"shape": [], "dtype": "string"}}
        about = {"num_shards": shards, "features": features, "seqio_version": seqio.__version__}
        (folder / f"info.{split}.json").write_text(json.dumps(about))
        (folder / f"stats.{split}.json").write_text(json.dumps({"examples": len(examples)}))
    (folder / "COMPLETED").write_text("")


@pytest.fixture
def cached(tmp_path, config):  # noqa: F811
    """The English task is cached; its texts are gone since."""
    import seqio

    from tasks.local_text import configure

    prepare(config, tmp_path / "source")
    configure(config)
    write_cache(tmp_path / "cache/local_text_english", seqio.TaskRegistry.get("local_text_english"))
    for file in (tmp_path / "text").glob("en*.txt"):
        file.write_text("something else\n" * 100)
    return tmp_path / "cache"


def test_a_cached_task_is_read_from_its_cache(tmp_path, config, cached):  # noqa: F811
    prepare(config, tmp_path / "out", cache_dirs=[str(cached)])
    one, other = (Prepared(tmp_path / name) for name in ("source", "out"))
    english, target = other.components
    assert sorted(other.documents(english)) == sorted(one.documents(one.components[0]))
    assert sorted(other.heldout(english)) == sorted(one.heldout(one.components[0]))
    assert list(other.documents(target)) == list(one.documents(one.components[1]))
    prepare(config, tmp_path / "without")
    without = Prepared(tmp_path / "without")
    assert {document.text for document in without.documents(without.components[0])} == {"something else"}


@pytest.mark.parametrize(
    "harm", [lambda data: data[:-5], lambda data: data[:900] + b"?" + data[901:]], ids=["cut", "flipped"]
)
def test_a_damaged_file_of_a_cache_is_named(tmp_path, config, cached, harm):  # noqa: F811
    file = cached / "local_text_english/train.tfrecord-00001-of-00002"
    file.write_bytes(harm(file.read_bytes()))
    with pytest.raises(UserError, match=r"english/train\.tfrecord-00001-of-00002 cannot be read"):
        prepare(config, tmp_path / "out", cache_dirs=[str(cached)])
    assert not (tmp_path / "out").exists()


def test_a_cache_folder_that_is_none_is_refused(tmp_path, config):  # noqa: F811
    with pytest.raises(UserError, match=r"--cache_dir names '.*nowhere', which is no folder"):
        prepare(config, tmp_path / "out", cache_dirs=[str(tmp_path / "nowhere")])
