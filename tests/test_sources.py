"""Texts are read in parts that make up the whole, and memory does not grow with the documents."""

import collections
import functools
import gzip
import json
import pickle
import random
import tracemalloc

import hypothesis
import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
import seqio
import tensorflow as tf
from hypothesis import strategies

import tasks.toy_world
from linkjax.data import tasks as seqio_side
from linkjax.data.ids import IdSet
from linkjax.data.texts import Part, Texts, left_out
from linkjax.errors import UserError
from tasks.text_files import LocalText

PART = 1000
TEXTS = [f"Mbwa {i} – «karibu» 猫🐈 {'na ' * (i % 40)}." for i in range(300)]


@pytest.fixture
def small_parts(monkeypatch):
    monkeypatch.setattr("tasks.file_parts._PART_BYTES", PART)


def json_lines(texts):
    return "".join(json.dumps({"text": text}) + "\n" for text in texts)


def write(folder, kind, texts, name="a"):
    path = folder / f"{name}.{kind}"
    if kind == "parquet":
        pyarrow.parquet.write_table(pyarrow.table({"text": texts}), path, row_group_size=7)
    else:
        content = json_lines(texts) if kind.startswith("jsonl") else "\n".join(texts)
        path.write_bytes(gzip.compress(content.encode()) if kind.endswith(".gz") else content.encode())
    return path


def task_of(texts, splits=("train",)):
    return seqio_side.add_text_task("t", texts, splits=splits, language="en")


def read(task, split="train", *part):
    return list(seqio_side.documents(task, split, *part))


def read_by_seqio(task, split="train", shard=0, count=1):
    """As SeqIO itself has them before its cache."""
    source = task.source.get_dataset(split=split, shuffle=False, shard_info=seqio.ShardInfo(shard, count))
    examples = task.preprocess_precache(source).as_numpy_iterator()
    return [(int(example["id"]) & (1 << 64) - 1, example["targets"].decode()) for example in examples]


@pytest.mark.parametrize(
    ("kind", "parts"), [("txt", 20), ("jsonl", 20), ("parquet", 9), ("txt.gz", 1), ("jsonl.gz", 1)]
)
def test_the_parts_make_up_the_whole(tmp_path, small_parts, kind, parts):
    files = [write(tmp_path, kind, TEXTS, name) for name in "ab"]
    task = task_of(LocalText("t", files, (), "line", 0.3), ("train", "heldout"))
    names = seqio_side.shards(task, "train")
    assert len(set(names)) == len(names)
    assert len(names) == 2 if parts == 1 else len(names) > 2 * parts
    wholes = {}
    for split in ("train", "heldout"):
        whole = wholes[split] = read(task, split)
        for count in {2, min(7, len(names)), len(names)}:
            assert [d for shard in range(count) for d in read(task, split, shard, count)] == whole
        by_seqio = [d for shard in range(2) for d in read_by_seqio(task, split, shard, 2)]
        assert by_seqio == whole == read_by_seqio(task, split)
    texts = [document.text for split in wholes for document in wholes[split]]
    assert sorted(texts) == sorted(TEXTS * 2)
    # No part has a multiple of what it should.
    sizes = [sum(len(d.text.encode()) + 30 for d in read(task, "train", i, len(names))) for i in range(len(names))]
    assert parts == 1 or max(sizes) < 4 * PART


@hypothesis.given(strategies.lists(strategies.text(alphabet="a \r", max_size=9), max_size=20), strategies.booleans())
@hypothesis.settings(max_examples=60, suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture])
def test_lines_are_cut_anywhere_without_loss(tmp_path, monkeypatch, lines, end):
    (tmp_path / "a.txt").write_text("\n".join(lines) + "\n" * end, newline="")
    whole = [d.text for d in LocalText("t", (tmp_path / "a.txt",), (), "line", 0.0).documents("train")]
    for size in (1, 2, 3, 7):
        monkeypatch.setattr("tasks.file_parts._PART_BYTES", size)
        text = LocalText("t", (tmp_path / "a.txt",), (), "line", 0.0)
        assert [d.text for d in text.documents("train")] == whole
    monkeypatch.undo()
    assert whole == [line.rstrip("\r") for line in lines if line.strip()]


def test_only_the_first_part_has_a_byte_order_mark(tmp_path, small_parts):
    texts = [f"\ufeff{text}" for text in TEXTS]  # so that every part begins with one
    (tmp_path / "a.txt").write_text("\n".join(texts), encoding="utf-8-sig")
    assert [d.text for d in read(task_of(LocalText("t", (tmp_path / "a.txt",), (), "line", 0.0)))] == texts


@pytest.mark.parametrize(
    ("kind", "bad", "says"),
    [
        ("jsonl", b'{"text": 7}', r"line 251: 'text' is no text but int 7"),
        ("jsonl", b'{"txt": 7}', r"line 251 has no column 'text'"),
        ("jsonl", b"junk", r"line 251 is not JSON"),
        ("jsonl", b'{"text": "\\ud83d"}', r"line 251: 'text' has half"),
        ("txt", b"junk \xff", r"\(invalid start byte on line 251\)"),
        ("txt", b"x" * 70_000, r"line 251 is longer than 60,000 bytes"),
    ],
    ids=range(6),
)
def test_a_part_names_the_true_line(tmp_path, monkeypatch, small_parts, kind, bad, says):
    monkeypatch.setattr("tasks.file_parts._LINE_BYTES", 60_000)
    path = write(tmp_path, kind, TEXTS)
    lines = path.read_bytes().split(b"\n")
    path.write_bytes(b"\n".join([*lines[:250], bad, *lines[250:]]))
    task = task_of(LocalText("t", (path,), (), "line", 0.0))
    count = len(seqio_side.shards(task, "train"))
    found = []
    for shard in range(count):
        try:
            read(task, "train", shard, count)
        except UserError as error:
            found.append(str(error))
    assert len(found) == 1
    with pytest.raises(UserError, match=rf"a\.{kind}.*{says}"):
        raise UserError(found[0])


def test_a_part_names_the_true_row(tmp_path, small_parts):
    path = tmp_path / "a.parquet"
    raw = pyarrow.array([text.encode() for text in TEXTS[:250]] + [b"\xff"], pyarrow.binary())
    binary = pyarrow.StringArray.from_buffers(len(raw), raw.buffers()[1], raw.buffers()[2])
    pyarrow.parquet.write_table(pyarrow.table({"text": binary}), path, row_group_size=7)
    task = task_of(LocalText("t", (path,), (), "line", 0.0))
    count = len(seqio_side.shards(task, "train"))
    assert count > 5
    with pytest.raises(UserError, match=r"a\.parquet, row 251: 'text' is not UTF-8 text"):
        read(task, "train", count - 1, count)


def test_files_that_cannot_be_looked_into_are_named(tmp_path):
    (tmp_path / "a.parquet").write_bytes(b"PAR1")
    with pytest.raises(UserError, match=r"a\.parquet cannot be read after row 0"):
        seqio_side.shards(task_of(LocalText("t", (tmp_path / "a.parquet",), (), "line", 0.0)), "train")
    with pytest.raises(UserError, match=r"gone\.txt cannot be read: No such file"):
        seqio_side.shards(task_of(LocalText("t", (tmp_path / "gone.txt",), (), "line", 0.0)), "train")


def test_a_whole_is_free_of_duplicates_and_a_part_is_left_to_its_reader(tmp_path, small_parts, capsys):
    said = [text for text in TEXTS for _ in range(2)] + TEXTS[:100]
    task = task_of(LocalText("t", (write(tmp_path, "txt", said),), (), "line", 0.0, drop_duplicates=True))
    assert task.source.drop_duplicates
    assert [document.text for document in read(task)] == TEXTS
    assert capsys.readouterr().err == "t, train: 400 of 700 documents left out (400 met before)\n"
    count = len(seqio_side.shards(task, "train"))
    assert [d.text for shard in range(count) for d in read(task, "train", shard, count)] == said
    assert capsys.readouterr().err == ""
    assert not task_of(lambda split: TEXTS).source.drop_duplicates


def test_what_parts_leave_out_is_told_by_part_or_counted(tmp_path, small_parts, capsys):
    path = write(tmp_path, "txt", TEXTS)
    task = task_of(LocalText("t", (path,), (), "line", 0.0, maximum_characters=100))
    counts = collections.Counter()
    whole = read(task, "train", 0, 1, counts)
    assert capsys.readouterr().err == ""
    assert (
        left_out(counts)
        == f"{300 - len(whole):,} of 300 documents left out ({300 - len(whole)} longer than 100 characters)"
    )
    in_parts, parts = collections.Counter(), len(seqio_side.shards(task, "train"))
    for shard in range(parts):
        read(task, "train", shard, parts, in_parts)
    assert in_parts == counts
    assert capsys.readouterr().err == ""
    read(task, "train", 1, parts)
    assert capsys.readouterr().err.startswith(f"t, train, part 2 of {parts}: ")
    assert left_out(collections.Counter(read=3)) == ""


def test_heldout_files_are_read_once_for_all_parts(tmp_path, small_parts, monkeypatch):
    files = (write(tmp_path, "txt", TEXTS),)
    heldout = (write(tmp_path, "jsonl", TEXTS[::10], "heldout"),)
    task = task_of(LocalText("t", files, heldout, "line", 0.0), ("train", "heldout"))
    opened = collections.Counter()
    import tasks.file_parts

    open_bytes = tasks.file_parts.open_bytes
    monkeypatch.setattr("tasks.file_parts.open_bytes", lambda path: opened.update([path.name]) or open_bytes(path))
    count = len(seqio_side.shards(task, "train"))
    train = [d.text for shard in range(count) for d in read(task, "train", shard, count)]
    assert train == [text for i, text in enumerate(TEXTS) if i % 10]
    assert opened["heldout.jsonl"] == len(seqio_side.shards(task, "heldout"))
    assert opened["a.txt"] == count


def test_texts_of_ones_own_may_come_in_parts():
    class Counting(Texts):
        name = "t"

        def parts(self, split):
            return [Part(f"{i}", functools.partial(map, str, range(10 * i, 10 * i + 10))) for i in range(3)]

    task = task_of(Counting())
    assert seqio_side.shards(task, "train") == ["0", "1", "2"]
    assert [d.text for d in read(task)] == [str(i) for i in range(30)]
    assert [d.text for d in read(task, "train", 1, 3)] == [str(i) for i in range(10, 20)]
    assert read_by_seqio(task, "train", 1, 3) == read(task, "train", 1, 3)


def test_steps_of_ones_own_go_through_tf_data():
    def shout(dataset):
        return dataset.map(lambda example: {**example, "targets": tf.strings.upper(example["targets"])})

    plain = task_of(lambda split: TEXTS)
    steps = [plain.preprocessors[0], shout, *plain.preprocessors[1:]]
    task = seqio.Task("shouted", plain.source, plain.output_features, steps)
    found = read(task)
    assert [document.text for document in found] == [tf.strings.upper(text).numpy().decode() for text in TEXTS] != TEXTS
    assert [document.id for document in found] == [document.id for document in read(plain)]


# Sources of SeqIO's.


def test_any_source_of_seqios_can_be_a_text_task(tmp_path):
    for shard in range(3):
        (tmp_path / f"lines-{shard}.txt").write_text("\n".join(TEXTS[shard::3]))
        with tf.io.TFRecordWriter(f"{tmp_path}/records-{shard}") as writer:
            for text in TEXTS[shard::3]:
                feature = tf.train.Feature(bytes_list=tf.train.BytesList(value=[text.encode()]))
                features = tf.train.Features(feature={"content": feature})
                writer.write(tf.train.Example(features=features).SerializeToString())
    in_order = [text for shard in range(3) for text in TEXTS[shard::3]]
    description = {"content": tf.io.FixedLenFeature([], tf.string)}
    sources = [
        seqio.TextLineDataSource({"train": f"{tmp_path}/lines-*"}),
        seqio.TFExampleDataSource({"train": f"{tmp_path}/records-*"}, description),
    ]
    expected = read(task_of(lambda split: in_order))
    for source in sources:
        task = seqio_side.add_text_task("t", source, language="en", column="content")
        assert read(task) == expected
        assert [d for shard in range(3) for d in read(task, "train", shard, 3)] == expected
        assert next(iter(task.get_dataset({"targets": 9}, "train", shuffle=False)))["targets"].shape == [9]


@pytest.mark.parametrize(
    ("examples", "says"),
    [
        ({"txt": ["a"], "n": [1]}, r"t has no column 'text' \(it has: txt, n\): did you mean 'txt'\?"),
        ({"text": [1]}, r"t: 'text' is no text but TensorSpec.*name the column"),
        ({"text": [["a"]]}, r"t: 'text' is no text"),
    ],
)
def test_a_source_without_the_text_is_named(examples, says):
    source = seqio.FunctionDataSource(
        lambda split, shuffle_files: tf.data.Dataset.from_tensor_slices(examples), splits=["train"]
    )
    with pytest.raises(UserError, match=says):
        read(seqio_side.add_text_task("t", source, language="en"))


def test_the_splits_of_a_source_are_its_own():
    with pytest.raises(UserError, match="task t names splits, but its source has its own"):
        task_of(seqio.TextLineDataSource({"train": "a"}))


def test_files_of_a_source_that_are_missing_or_cut_off_are_a_sentence(tmp_path):
    def task(pattern):
        description = {"text": tf.io.FixedLenFeature([], tf.string)}
        source = seqio.TFExampleDataSource({"train": f"{tmp_path}/{pattern}"}, description)
        return seqio_side.add_text_task("t", source, language="en")

    (tmp_path / "a").write_bytes(b"no records at all\n" * 10)
    with pytest.raises(UserError, match="task t has no files for 'train'"):
        read(task("b*"))
    with pytest.raises(UserError, match=r"^task t, 'train' cannot be read \(corrupted record at 0\): fetch"):
        read(task("a*"))


# Programs that know SeqIO only.


def decoded(task, split="train", **how):
    dataset = task.get_dataset({"targets": 1024}, split=split, **how)
    return [seqio.ByteVocabulary().decode(example["targets"].tolist()) for example in dataset.as_numpy_iterator()]


def test_seqio_reads_shards_of_the_toy_world(monkeypatch):
    tasks.toy_world.register()
    task = seqio.get_mixture_or_task("toy_world_target")
    shards = [decoded(task, shuffle=False, shard_info=seqio.ShardInfo(i, 3)) for i in range(3)]
    whole = [document.text for document in seqio_side.documents(task, "train")]
    assert sorted(text for shard in shards for text in shard) == sorted(whole)
    assert all(abs(len(shard) - len(whole) / 3) < 1 for shard in shards)


def test_seqio_shards_parts_and_repeats_them_whole(tmp_path, small_parts):
    path = write(tmp_path, "txt", TEXTS + TEXTS[:100])
    task = task_of(LocalText("t", (path,), (), "line", 0.0, drop_duplicates=True))
    shards = [decoded(task, shuffle=False, shard_info=seqio.ShardInfo(i, 4)) for i in range(4)]
    assert {text for shard in shards for text in shard} == set(TEXTS)
    twice = decoded(task, shuffle=True, num_epochs=2, seed=0)
    assert sorted(twice) == sorted(TEXTS * 2)
    assert twice[: len(TEXTS)] != TEXTS


# Ids.


@hypothesis.given(strategies.lists(strategies.integers(0, 2**64 - 1) | strategies.integers(0, 20), max_size=200))
def test_an_id_set_is_a_set(ids):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("linkjax.data.ids._FEWEST_RECENT", 3)
        found, expected = IdSet(), set()
        for identifier in ids:
            assert found.add(identifier) == (identifier not in expected)
            expected.add(identifier)
            assert len(found) == len(expected)
        sent = pickle.loads(pickle.dumps(found))
        assert len(sent) == len(expected)
        assert all(identifier in found and identifier in sent for identifier in ids)
        assert not any(sent.add(identifier) for identifier in ids)
        assert [i for i in range(25) if i in found] == [i for i in range(25) if i in expected]


def test_an_id_takes_eight_bytes():
    count = 150_000
    ids = np.random.default_rng(0).integers(0, 2**64, count, np.uint64)
    found = IdSet()
    tracemalloc.start()
    try:
        for identifier in ids:
            found.add(int(identifier))
        found._merge()
        held = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert len(found) == count
    assert held < 9 * count


def test_parts_are_the_same_whatever_was_read_before(tmp_path, small_parts):
    files = [write(tmp_path, "txt", TEXTS)]
    text = LocalText("t", files, (), "line", 0.2)
    count = len(text.parts("train"))
    order = list(range(count))
    random.Random(0).shuffle(order)
    once = {shard: list(text.documents("train", shard, count)) for shard in order}
    again = LocalText("t", files, (), "line", 0.2)
    assert all(list(again.documents("train", shard, count)) == once[shard] for shard in range(count))
