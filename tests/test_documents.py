"""Documents on disk: read back, damaged, and shuffled by blocks."""

import itertools

import numpy as np
import pytest

from linkjax.data.documents import Document, Documents, write_documents
from linkjax.data.rows import ShuffledDocuments
from linkjax.errors import UserError
from tests.test_stream import same, take


@pytest.fixture
def on_disk(monkeypatch):
    """Small sets are not held in memory."""
    monkeypatch.setattr(Documents, "_MEMORY_BYTES", 0)


def written(folder, count, text=lambda i: f"text {i} é"):
    documents = [Document(2**64 - 1 - i, text(i)) for i in range(count)]
    counts = write_documents(documents, folder, "c")
    return documents, {folder / name: count for name, count in counts.items()}


def test_documents_read_back_from_memory_and_from_files(tmp_path, monkeypatch):
    monkeypatch.setattr("linkjax.data.documents._RECORDS_PER_FILE", 20)
    documents, files = written(tmp_path, 50)
    assert list(files.values()) == [20, 20, 10]
    assert list(Documents(files)) == documents
    assert Documents(files).block == 1
    monkeypatch.setattr(Documents, "_MEMORY_BYTES", 0)
    read = Documents(files)
    assert read.block > 1
    assert [read[i] for i in reversed(range(50))] == documents[::-1]
    for start, stop in itertools.combinations(range(0, 51, 5), 2):
        assert read.read(start, stop) == documents[start:stop]
    with pytest.raises(IndexError):
        read[50]


@pytest.mark.parametrize(("count", "shards"), [(3000, 4), (3001, 4), (257, 8), (70, 64)])
def test_blocks_of_all_shards_are_the_documents_once_a_pass(tmp_path, on_disk, count, shards):
    documents, files = written(tmp_path, count)
    orders = [ShuffledDocuments(Documents(files), shard, shards, 7) for shard in range(shards)]
    for pass_index in range(2):
        found = [[order[pass_index * len(order) + i] for i in range(len(order))] for order in orders]
        assert {of for part in found for _, of in part} == {pass_index}
        assert sorted(document for part in found for document, _ in part) == sorted(documents)
    assert max(map(len, orders)) - min(map(len, orders)) <= count / shards / 16 + 1


def test_a_shard_has_the_same_documents_in_every_pass_in_another_order(tmp_path, on_disk):
    _, files = written(tmp_path, 3000)
    order = ShuffledDocuments(Documents(files), 1, 2, 7)
    first, second = ([order[p * len(order) + i][0].id for i in range(len(order))] for p in range(2))
    assert sorted(first) == sorted(second)
    assert first != second
    # Within a window, neighbours of the file are seldom neighbours: that would be no shuffle.
    places = 2**64 - 1 - np.array(first, np.uint64)
    assert np.mean(np.abs(np.diff(places.astype(np.int64))) == 1) < 0.05


def test_a_place_is_found_without_those_before_it(tmp_path, on_disk):
    _, files = written(tmp_path, 3000)
    in_turn = ShuffledDocuments(Documents(files), 1, 2, 7)
    expected = [in_turn[i] for i in range(2 * len(in_turn))]
    for place in np.random.default_rng(0).permutation(len(expected))[:50].tolist():
        assert ShuffledDocuments(Documents(files), 1, 2, 7)[place] == expected[place]


def test_little_is_held_of_a_large_set(tmp_path, on_disk, monkeypatch):
    monkeypatch.setattr(ShuffledDocuments, "_MOST_WINDOW_BLOCKS", 4)
    _, files = written(tmp_path, 20_000)
    order = ShuffledDocuments(Documents(files), 0, 2, 7)
    read = []
    monkeypatch.setattr(
        order._documents, "read", lambda *bounds: read.append(bounds) or Documents.read(order._documents, *bounds)
    )
    order[0]
    assert sum(stop - start for start, stop in read) <= 4 * 256
    order[1]
    assert len(read) == 4


def test_resume_from_documents_on_disk(toy, stream_settings, on_disk, monkeypatch):
    monkeypatch.setattr(toy, "_documents", {})
    whole, _ = take(toy, stream_settings, 8)
    states = {}
    for host in range(2):
        states |= take(toy, stream_settings, 3, host=host, hosts=2)[1]
    assert same(whole[3:], take(toy, stream_settings, 5, states=states)[0])


@pytest.mark.parametrize("memory", [0, 2**26])
def test_no_flipped_byte_goes_unnoticed(tmp_path, monkeypatch, memory):
    """Each flip is found by a checksum and the file named, or changes no document."""
    monkeypatch.setattr(Documents, "_MEMORY_BYTES", memory)
    rng = np.random.default_rng(0)
    documents, files = written(tmp_path, 2000, lambda i: " ".join(map(str, rng.integers(0, 10**6, i % 40))))
    (path,) = files
    whole = path.read_bytes()
    faults = 0
    for place in rng.integers(0, len(whole), 60).tolist():
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x10]) + whole[place + 1 :])
        try:
            assert Documents(files).read(0, 2000) == documents
        except UserError as error:
            faults += 1
            assert str(path) in str(error)
    assert faults > 10
    for length in (0, 10, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(UserError, match=rf"{path.name} is damaged"):
            Documents(files).read(0, 2000)


@pytest.mark.parametrize("memory", [0, 2**26])
def test_a_sample_is_from_all_over_and_of_its_size(toy, tmp_path, monkeypatch, memory):
    monkeypatch.setattr(Documents, "_MEMORY_BYTES", memory)
    documents, files = written(tmp_path, 20_000)
    monkeypatch.setattr(toy, "documents", lambda component: Documents(files))
    size = sum(len(document.text.encode()) for document in documents)
    sample = list(toy.sample({"bytes": size}, size // 10))
    assert sum(len(document.text.encode()) for document in sample) == pytest.approx(size / 10, rel=0.1)
    places = [2**64 - 1 - document.id for document in sample]
    assert places == sorted(set(places))
    assert min(places) < 2_000
    assert max(places) > 18_000
    assert list(Documents(files)) == documents
