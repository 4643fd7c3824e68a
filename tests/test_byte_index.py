import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from linkjax.substitution.byte_index import ByteIndex

PIECES = st.lists(st.one_of(st.binary(max_size=20), st.binary(min_size=60, max_size=90)), min_size=1, max_size=40)


def find(index, pieces, names):
    text = b"".join(pieces)
    sizes = np.array([len(piece) for piece in pieces])
    starts = np.cumsum(sizes) - sizes

    def add(piece):
        assert piece not in names
        names[piece] = len(names)
        return names[piece]

    return index.find(text, starts, sizes, add).tolist()


@given(st.lists(PIECES, min_size=1, max_size=4))
def test_equal_bytes_have_equal_numbers_and_no_others(batches):
    index, names = ByteIndex(), {}
    for pieces in batches:
        assert find(index, pieces, names) == [names[piece] for piece in pieces]


def test_it_grows():
    index, names = ByteIndex(), {}
    pieces = [f"w{number * 7919}".encode() * (1 + number % 3) for number in range(60_000)]
    assert find(index, pieces, names) == [names[piece] for piece in pieces]
    assert find(index, pieces[::-1], names) == [names[piece] for piece in pieces[::-1]]
    assert len(names) == 60_000


def test_equal_hashes_are_told_apart(monkeypatch):
    monkeypatch.setattr(ByteIndex, "_hash", lambda self, lanes, starts, sizes: np.full(len(starts), 5, np.uint64))
    index, names = ByteIndex(), {}
    pieces = [b"a rather long stretch", b"a rather long strand.", b"a rather short one", b"x", b"a rather long stretch"]
    long_ones = [piece for piece in pieces if len(piece) > 8]  # of up to eight bytes the hash is the bytes
    assert find(index, long_ones, names) == [names[piece] for piece in long_ones]
    assert find(index, long_ones[::-1], names) == [names[piece] for piece in long_ones[::-1]]
