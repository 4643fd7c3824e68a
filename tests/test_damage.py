"""Damaged records of a prepared folder: left out, counted and said up to a limit, the same for everyone who reads."""

import collections
import contextlib
import dataclasses
import itertools
import json
import shutil

import numpy as np
import pytest
from array_record.python import array_record_module

from linkjax.data.damage import Damage, Damaged
from linkjax.data.documents import Document, Documents, encode, write_documents
from linkjax.data.pipeline import Stream, counters
from linkjax.data.prepared import Prepared
from linkjax.data.rows import PACKINGS
from linkjax.errors import UserError
from linkjax.substitution import LinkSettings
from tests.test_stream import same

FILE = "toy_world_target-train-000000-00000.arrayrecord"
BLOCKS = 2**10  # documents of at most these bytes are held in memory


@pytest.fixture(scope="module", params=["in memory", "in blocks"])
def memory(request):
    """Small folders are held in memory, others are read by blocks; worker processes only know the first."""
    before = Documents._MEMORY_BYTES
    if request.param == "in blocks":
        Documents._MEMORY_BYTES = BLOCKS
    yield request.param
    Documents._MEMORY_BYTES = before


@pytest.fixture(scope="module")
def damaged(toy_folder, tmp_path_factory):
    """A copy of the toy world with two flipped bits: its second component has lost two groups of documents."""
    folder = tmp_path_factory.mktemp("damaged") / "toy"
    shutil.copytree(toy_folder, folder)
    (path,) = (folder / "documents").glob("toy_world_target*")
    flip(path, 0.05)
    flip(path, 0.125)
    return folder


def flip(path, share):
    content = bytearray(path.read_bytes())
    content[int(len(content) * share)] ^= 4
    path.write_bytes(content)


@pytest.fixture(params=list(PACKINGS))
def settings(request, stream_settings):
    rates = "0:toy_world_target=0.5"
    return dataclasses.replace(stream_settings, packing=request.param, rates=rates, link=LinkSettings(ratio=0.0))


def lost_ids(toy, folder):
    """Of the documents that the damaged folder does not have any more."""
    component = Prepared(folder, 1000).components[1]
    whole, left = toy.documents(component), Prepared(folder, 1000).documents(component)
    lost = [index for index in range(len(whole)) if isinstance(left[index], int)]
    assert [left[index] for index in lost] == lost
    assert all(left[index] == whole[index] for index in range(len(whole)) if index not in lost)
    return {whole[index].id for index in lost}


def read(folder, settings, count, **kwargs):
    with contextlib.closing(Stream(Prepared(folder), settings, **kwargs)) as stream:
        batches, documents = [], []
        for _ in range(count):
            batches.append(next(stream))
            documents.append(stream.documents)
        return batches, documents, dict(stream.states)


def test_the_stream_goes_on_without_them(toy, damaged, settings, memory, capfd):
    lost = lost_ids(toy, damaged)
    assert len(lost) == 32
    _, documents, states = read(damaged, settings, 60)
    given = collections.Counter(itertools.chain.from_iterable(itertools.chain.from_iterable(documents)))
    assert not lost & set(given)
    (component,) = (one for one in toy.components if one["name"] == "toy_world_target")
    every = {document.id for document in toy.documents(component)}
    assert every - lost <= set(given)  # more than a pass
    measured = counters(states, toy.components)
    assert measured["passes/toy_world_target"] > 1.5
    assert (measured["damaged/toy_world_english"], measured["damaged/toy_world_target"]) == (0, 32)
    said = capfd.readouterr().err.splitlines()
    assert [line for line in said if "hash mismatch): left out" not in line] == []
    assert said[-1].endswith("left out, 32 of at most 100 so far")
    if memory == "in memory":
        assert len(said) == 2
        assert "arrayrecord is damaged (records " in said[0]


@pytest.mark.parametrize("workers", [0, 1])
def test_it_is_the_same_stream_for_everyone(damaged, settings, memory, workers, capfd):
    if workers and memory != "in memory":
        pytest.skip("workers hold the toy world in memory")
    whole, _, states = read(damaged, settings, 30)
    said = capfd.readouterr().err
    first, _, between = read(damaged, settings, 13, workers=workers)
    between = {int(shard): state for shard, state in json.loads(json.dumps(between)).items()}
    parts = [read(damaged, settings, 17, states=between, workers=workers, host=host, hosts=2) for host in range(2)]
    second = [
        {name: np.concatenate([left[name], right[name]]) for name in left}
        for left, right in zip(parts[0][0], parts[1][0], strict=True)
    ]
    assert same(whole, [*first, *second])
    assert parts[0][2] | parts[1][2] == states
    assert set(capfd.readouterr().err.splitlines()) >= set(said.splitlines()[:1])


@pytest.mark.parametrize("workers", [0, 1])
def test_more_than_may_be_ends_the_stream(damaged, settings, memory, workers):
    with pytest.raises(UserError) as raised:
        read(damaged, dataclasses.replace(settings, most_damaged=31), 60, workers=workers)
    said = str(raised.value)
    assert "toy_world_target" in said and ".arrayrecord is damaged (record" in said
    assert said.endswith(" documents so far, and most_damaged is 31: copy or prepare the folder again.")
    with pytest.raises(UserError, match=r"is damaged \(record.*: .*hash mismatch\): copy or prepare"):
        read(damaged, dataclasses.replace(settings, most_damaged=0), 60, workers=workers)
    read(damaged, dataclasses.replace(settings, most_damaged=32), 2, workers=workers)


def test_a_broken_index_ends_it_at_once_whatever_may_be_damaged(damaged, settings, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(damaged, folder)
    (path,) = (folder / "documents").glob("toy_world_target*")
    content = bytearray(path.read_bytes())
    content[-65536:] = bytes(65536)
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"arrayrecord is damaged \(.*\): copy or prepare"):
        read(folder, dataclasses.replace(settings, most_damaged=10**6), 1)
    path.write_bytes(content[:-1])
    with pytest.raises(UserError, match=r"arrayrecord is missing or damaged: copy or prepare"):
        read(folder, settings, 1)


@pytest.mark.parametrize("limit", [0, 2**26])
def test_records_that_are_no_documents_are_damaged(tmp_path, monkeypatch, limit):
    monkeypatch.setattr(Documents, "_MEMORY_BYTES", limit)
    path = tmp_path / "x.arrayrecord"
    writer = array_record_module.ArrayRecordWriter(str(path), "group_size:16")
    records = [encode(Document(index, f"text {index}")) for index in range(100)]
    records[7], records[50], records[99] = b"short", records[50] + b"\xff", b""
    for record in records:
        writer.write(record)
    writer.close()
    damage = Damage(3)
    documents = Documents({path: 100}, damage)
    for _ in range(2):
        found = list(documents)
        assert [one for one in found if isinstance(one, int)] == [7, 50, 99]
        assert [one for one in found if not isinstance(one, int)] == [
            Document(index, f"text {index}") for index in range(100) if index not in (7, 50, 99)
        ]
    assert [(one.first, one.last) for one in damage.found] == [(7, 7), (50, 50), (99, 99)]
    assert "(record 50: it is no document: 'utf-8' codec can't decode" in str(damage.found[1])
    with pytest.raises(UserError, match=r"x.arrayrecord is damaged \(record 7: it is no document"):
        list(Documents({path: 100}))


def test_files_of_which_nothing_is_left_are_a_sentence(toy, damaged, settings, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(damaged, folder)
    (path,) = (folder / "documents").glob("toy_world_target*")
    content = bytearray(path.read_bytes())
    for place in range(200, content.find(bytes(2000)), 40):
        content[place] ^= 4
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"all [\d,]+ documents of a virtual shard are damaged|is damaged"):
        read(folder, dataclasses.replace(settings, most_damaged=10**6), 100)


def test_a_record_counts_once_however_it_is_found():
    damage = Damage(20)
    assert damage.add(Damaged("a", 0, 15, "x"))
    assert not damage.add(Damaged("a", 4, 7, "x"))
    assert damage.add(Damaged("a", 14, 17, "x"))
    assert damage.add(Damaged("b", 0, 1, "x"))
    assert len(damage) == 20
    with pytest.raises(UserError, match=r"^b is damaged \(record 2: x\), 21 documents so far, and .* 20: copy"):
        damage.add(Damaged("b", 2, 2, "x"))


def test_a_disk_that_does_not_answer_is_no_damage(tmp_path, monkeypatch):
    monkeypatch.setattr(Documents, "_MEMORY_BYTES", 0)
    counts = write_documents((Document(index, "text") for index in range(100)), tmp_path, "x")
    documents = Documents({tmp_path / name: count for name, count in counts.items()}, Damage(1000))

    class Broken:
        def read(self, start, stop):
            raise RuntimeError("Input/output error; reading x at 7")

    monkeypatch.setattr(documents, "_reader", lambda file: Broken())
    with pytest.raises(UserError, match=r"damaged \(records 0 to 9: Input/output error; reading x at 7\): copy or"):
        documents.read(0, 10)
