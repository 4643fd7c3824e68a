"""TFRecord files, and data sets that TFDS has prepared: the same documents, and a broken one a sentence."""

import gzip
import itertools
import pathlib
import subprocess
import sys

import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

from linkjax.data import tasks as seqio_side
from linkjax.errors import UserError
from linkjax.prepare import prepare
from tasks.text_files import LocalText, find_files
from tasks.tfds_text import tfds_parts
from tasks.tfrecord_files import tfrecord_texts
from tests.test_text_files import local_text_config

TEXTS = [f"Mbwa {i} anaona paka – «karibu» na\nmaji 猫🐈 {'na ' * (i % 7)}." for i in range(300)]
ONE = b"x" * 20


def example(column="text", **values):
    """The record of a text, or of other features."""
    kinds = {
        bytes: lambda value: tf.train.Feature(bytes_list=tf.train.BytesList(value=[value])),
        list: lambda value: tf.train.Feature(bytes_list=tf.train.BytesList(value=value)),
        int: lambda value: tf.train.Feature(int64_list=tf.train.Int64List(value=[value])),
        float: lambda value: tf.train.Feature(float_list=tf.train.FloatList(value=[value])),
    }
    feature = {name: kinds[type(value)](value) for name, value in values.items()}
    return tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString()


def write_records(path, records, compression=""):
    with tf.io.TFRecordWriter(str(path), compression) as writer:
        for record in records:
            writer.write(record)
    return path


def write_texts(path, texts=TEXTS, compression="", column="text"):
    records = [example(**{column: text.encode(), "title": b"t", "n": i}) for i, text in enumerate(texts)]
    return write_records(path, records, compression)


def write_tfds(folder, name, texts=TEXTS, heldout=("said", "never"), column="text"):
    """A data set of two files and two splits, with TFDS's own description of it."""
    folder = folder / name / "1.3.0"
    folder.mkdir(parents=True)
    stem = name.partition("/")[0]
    for split, said, count in (("train", texts, 2), ("validation", heldout, 1)):
        for shard in range(count):
            part = said[len(said) * shard // count : len(said) * (shard + 1) // count]
            write_texts(folder / f"{stem}-{split}.tfrecord-{shard:05d}-of-{count:05d}", part, column=column)
    features = {column: tfds.features.Text(), "title": tfds.features.Text(), "n": tfds.features.Scalar(tf.int64)}
    tfds.folder_dataset.write_metadata(data_dir=str(folder), features=features)
    return folder


def read(*files, split="train", heldout=(), **settings):
    texts = LocalText("t", files, heldout, "line", 0.0, **settings)
    return [document.text for document in texts.documents(split)]


# TFRecord


@pytest.mark.parametrize("name", ["a.tfrecord", "a.tfrecords", "a-train.tfrecord-00000-of-00001", "a.tfrecord.gz"])
def test_records_give_their_texts(tmp_path, name):
    path = write_texts(tmp_path / name, TEXTS, "GZIP" if name.endswith("gz") else "")
    assert read(path) == TEXTS
    assert (
        read(write_texts(path, TEXTS, "GZIP" if name.endswith("gz") else "", "content"), text_column="content") == TEXTS
    )


def test_a_record_without_a_value_is_no_document(tmp_path, capsys):
    records = [
        example(text=[]),
        example(text=b"one"),
        tf.train.Example(features=tf.train.Features(feature={"text": tf.train.Feature()})).SerializeToString(),
    ]
    assert read(write_records(tmp_path / "a.tfrecord", records)) == ["one"]
    assert capsys.readouterr().err == "t, train: 2 of 3 documents left out (2 without text)\n"
    assert read(write_records(tmp_path / "a.tfrecord", [])) == []


@pytest.mark.parametrize(
    ("record", "says"),
    [
        (b"junk junk junk", r"record 71 is no tf\.train\.Example: write one for each document"),
        (example(txt=b"a", n=1), r"record 71 has no column 'text' \(it has: n, txt\): set --config\.text_column"),
        (example(text=7), r"record 71: 'text' is no text but list \[7\]: set --config\.text_column"),
        (example(text=0.5), r"record 71: 'text' is no text but list \[0\.5\]"),
        (example(text=[b"a", b"b"]), r"record 71: 'text' has 2 texts: write one document a record"),
        (example(text=b"\xff"), r"record 71: 'text' is not UTF-8 text \(invalid start byte\)"),
    ],
    ids=range(6),
)
def test_broken_records_are_named(tmp_path, record, says):
    good = [example(text=text.encode()) for text in TEXTS]
    write_records(tmp_path / "a.tfrecord", [*good[:70], record, *good[70:]])
    with pytest.raises(UserError, match=rf"a\.tfrecord, {says}"):
        read(tmp_path / "a.tfrecord")
    with pytest.raises(UserError, match=rf"a\.tfrecord, {says}"):
        list(tfrecord_texts(tmp_path / "a.tfrecord", "text", skip=60))


def test_damage_is_found_by_checksum_and_named_with_the_good_records(tmp_path):
    path = write_records(tmp_path / "a.tfrecord", [example(text=ONE)] * 300)
    whole = path.read_bytes()
    size = len(whole) // 300
    for place in (0, 9, 13, size - 1):  # length, its checksum, text, its checksum
        damaged = bytearray(whole)
        damaged[200 * size + place] ^= 1
        path.write_bytes(damaged)
        with pytest.raises(UserError, match=r"a\.tfrecord cannot be read after 200 good records \(\w.*\): fetch"):
            read(path)
        with pytest.raises(UserError, match="after 200 good records"):
            list(tfrecord_texts(path, "text", skip=90))
    for cut in (1, 11, 12, size - 1):
        path.write_bytes(whole[: 130 * size + cut])
        with pytest.raises(UserError, match=r"a\.tfrecord cannot be read after 130 good records \(.*cut off.*\)"):
            read(path)
    path.write_bytes(b"plain text\n" * 100)
    with pytest.raises(UserError, match=r"a\.tfrecord cannot be read after 0 good records \(the next one is .*\)"):
        read(path)


def checksum(data):
    """Masked CRC-32C of https://www.tensorflow.org/tutorials/load_data/tfrecord#tfrecords_format_details."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) % (1 << 32)


@pytest.mark.parametrize("length", [1000, 1 << 40, (1 << 64) - 20])
@pytest.mark.parametrize("compress", [bytes, gzip.compress])
def test_a_length_that_cannot_be_is_not_believed(tmp_path, length, compress):
    head = length.to_bytes(8, "little")
    path = write_texts(tmp_path / "a.tfrecord")
    content = path.read_bytes() + head + checksum(head).to_bytes(4, "little") + b"x" * 100
    path = tmp_path / ("b.tfrecord" if compress is bytes else "b.tfrecord.gz")
    path.write_bytes(compress(content))
    with pytest.raises(UserError, match=r"b\.tfrecord(\.gz)? cannot be read after 300 good records \(the next one"):
        read(path)


def test_the_good_records_are_given_before_the_sentence(tmp_path):
    path = write_texts(tmp_path / "a.tfrecord")
    path.write_bytes(path.read_bytes()[:-1])
    texts = LocalText("t", (path,), (), "line", 0.0).documents("train")
    assert [document.text for document in itertools.islice(texts, 299)] == TEXTS[:-1]
    with pytest.raises(UserError, match="after 299 good"):
        next(texts)


@pytest.mark.parametrize("damage", ["half", "end", "trailer", "plain", "flip"])
def test_damaged_gzip_records_are_named(tmp_path, damage):
    path = write_texts(tmp_path / "a.tfrecord.gz", TEXTS, "GZIP")
    whole = path.read_bytes()
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 255
    contents = {"half": whole[: len(whole) // 2], "end": whole[:-30], "plain": gzip.decompress(whole), "flip": flipped}
    path.write_bytes(contents.get(damage, whole[:-8]))
    with pytest.raises(UserError, match=r"a\.tfrecord\.gz cannot be read after \d+ good records \(\w.*\): fetch"):
        read(path)


def test_other_compressions_of_records_are_refused(tmp_path):
    (tmp_path / "a.tfrecord.zst").write_bytes(b"")
    with pytest.raises(UserError, match=r"a\.tfrecord\.zst is a TFRecord file compressed as \.zst, but only \.gz"):
        read(tmp_path / "a.tfrecord.zst")


# TFDS


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tfds")
    write_tfds(folder, "wiki40b/sw")
    write_tfds(folder, "plain", ["one", "two", "one"])
    return folder


def test_a_data_set_gives_its_texts_by_file(data_dir):
    for name in ("tfds:wiki40b/sw", "tfds:wiki40b/sw:1.3.0", "tfds:wiki40b/sw:1.*.*@train"):
        assert read(name, tfds_data_dir=str(data_dir)) == TEXTS
    assert read("tfds:wiki40b/sw@validation", tfds_data_dir=str(data_dir)) == ["said", "never"]
    assert read("tfds:wiki40b/sw@train[40%:60%]", tfds_data_dir=str(data_dir)) == TEXTS[120:180]
    assert read("tfds:wiki40b/sw@train[-1:]+validation", tfds_data_dir=str(data_dir)) == [TEXTS[-1], "said", "never"]
    parts = tfds_parts("tfds:wiki40b/sw@train[100:]", "text", str(data_dir))
    assert [len(list(part.texts())) for part in parts] == [50, 150]
    dataset = tfds.builder_from_directory(data_dir / "wiki40b/sw/1.3.0").as_dataset("train")
    assert sorted(row["text"].decode() for row in dataset.as_numpy_iterator()) == sorted(TEXTS)


def test_data_sets_and_files_may_be_mixed(data_dir, tmp_path):
    (tmp_path / "a.txt").write_text("one\nthree\n")
    files = find_files(f"tfds:plain, {tmp_path}/*.txt,tfds:plain@validation", "t")
    assert read(*files, tfds_data_dir=str(data_dir)) == ["one", "two", "one", "one", "three", "said", "never"]
    assert read(*files, tfds_data_dir=str(data_dir), heldout=files[:1]) == ["three", "said", "never"]
    task = seqio_side.add_text_task(
        "t", LocalText("t", files, (), "line", 0.0, tfds_data_dir=str(data_dir)), splits=["train"], language="en"
    )
    assert len(seqio_side.shards(task, "train")) == 4


@pytest.mark.parametrize(
    ("name", "says"),
    [
        (
            "wiki40b/sv",
            r"wiki40b/sv is not in .* \(it has: plain:1\.3\.0, wiki40b/sw:1\.3\.0; did you mean 'wiki40b/sw:"
            r"1\.3\.0'\?\): set --config\.tfds_data_dir, or fetch it: tfds build wiki40b/sv --data_dir=",
        ),
        ("wiki40b/sw:9.9.9", r"wiki40b/sw:9\.9\.9 is not in .* did you mean 'wiki40b/sw:1\.3\.0'"),
        ("c4/multilingual@sw", r"c4/multilingual is not in .*fetch it: tfds build c4/multilingual --data_dir="),
        ("wiki41b", r"did you mean 'wiki40b'\?\): set --config\.tfds_data_dir, or check the name"),
        ("no name!", r"'tfds:no name!' is no name of TFDS: write it like"),
        ("", r"'tfds:' is no name of TFDS"),
        ("plain@trian", r"has no split 'trian' \(it has: train, validation; did you mean 'train'\?\)"),
        ("plain@train[", r"has no split 'train\['"),
        ("plain@train[10:2%", r"has no split"),
    ],
    ids=range(9),
)
def test_names_that_are_not_there_are_a_sentence(data_dir, name, says):
    with pytest.raises(UserError, match=says) as caught:
        read(f"tfds:{name}", tfds_data_dir=str(data_dir))
    assert "\n" not in str(caught.value)


def test_a_data_set_without_the_column_is_named(data_dir):
    with pytest.raises(
        UserError, match=r"tfds:plain has no column 'txt' \(it has: .*text.*\): set --config\.text_column"
    ):
        read("tfds:plain", text_column="txt", tfds_data_dir=str(data_dir))
    with pytest.raises(UserError, match=r"tfds:plain: 'n' is no text but Scalar: set --config\.text_column"):
        read("tfds:plain", text_column="n", tfds_data_dir=str(data_dir))
    with pytest.raises(UserError, match=r"is not in /nowhere \(it has: no data sets"):
        read("tfds:plain", tfds_data_dir="/nowhere")


def test_a_data_set_of_other_files_is_named(tmp_path):
    info = write_tfds(tmp_path, "plain") / "dataset_info.json"
    info.write_text(info.read_text().replace('"fileFormat": "tfrecord"', '"fileFormat": "array_record"'))
    with pytest.raises(UserError, match=r"tfds:plain is in array_record files: build it again with `tfds build --file"):
        read("tfds:plain", tfds_data_dir=str(tmp_path))


def test_damage_within_a_data_set_is_named_by_file(tmp_path):
    folder = write_tfds(tmp_path, "plain")
    path = folder / "plain-train.tfrecord-00001-of-00002"
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(UserError, match=r"train\.tfrecord-00001-of-00002 cannot be read after 149 good records"):
        read("tfds:plain", tfds_data_dir=str(tmp_path))
    path.unlink()
    with pytest.raises(
        UserError, match=r"train\.tfrecord-00001-of-00002 cannot be read after 0 good records \(.*No such"
    ):
        read("tfds:plain", tfds_data_dir=str(tmp_path))


def test_a_run_is_prepared_from_tfds_and_records(tmp_path, data_dir):
    config = local_text_config(tmp_path)
    write_tfds(tmp_path, "english", [f"The dog {i} sees the cat by the water." for i in range(300)])
    write_texts(tmp_path / "sw.tfrecord", [f"Mbwa {i} anaona paka karibu na maji." for i in range(200)])
    config.english, config.target, config.tfds_data_dir = "tfds:english", f"{tmp_path}/*.tfrecord", str(tmp_path)
    prepare(config, tmp_path / "out")
    config.english = "tfds:english@trian"
    with pytest.raises(UserError, match="did you mean 'train'"):
        prepare(config, tmp_path / "again")
    assert not (tmp_path / "again").exists()


def test_configs_and_plain_text_need_no_tensorflow(tmp_path):
    (tmp_path / "a.txt").write_text("one\n")
    program = (
        "import sys, pathlib\nfrom tasks.text_files import LocalText\n"
        f"text = LocalText('t', (pathlib.Path('{tmp_path}/a.txt'),), (), 'line', 0.0)\n"
        "assert [d.text for d in text.documents('train')] == ['one']\n"
        "assert not {'tensorflow', 'seqio', 'jax'} & set(sys.modules)\n"
    )
    root = pathlib.Path(__file__).parent.parent
    subprocess.run([sys.executable, "-c", program], check=True, cwd=root, timeout=60)
