"""Stretches of bytes -> numbers, thousands at a time."""

from collections.abc import Callable

import numpy as np

from linkjax.substitution.arrays import grown

_LANE = 8  # bytes looked at together
_LONGEST = 8 * _LANE  # longer stretches, few in any text, are looked up one by one
_ODD = np.uint64(0x9E3779B97F4A7C15)
_OTHER = np.uint64(0xBF58476D1CE4E5B9)
_32, _29 = np.uint64(32), np.uint64(29)
_MASKS = np.array([(1 << 8 * size) - 1 for size in range(_LANE + 1)], np.uint64)


class ByteIndex:
    """A hash table with open addressing whose look-up is a dozen array operations.

    A look-up compares the bytes themselves wherever they are more than the hash can hold, so different
    stretches never get the same number.
    """

    def __init__(self):
        self._bits = 14
        self._hashes = np.zeros(1 << self._bits, np.uint64)  # 0 = free
        self._numbers = np.zeros(1 << self._bits, np.int32)
        self._entries: list[tuple[np.ndarray, np.ndarray]] = []  # hashes and numbers in the table, by when they came
        self._count = 0
        self._one_by_one: dict[bytes, int] = {}  # long ones, and those whose hash another has
        self._bytes = np.zeros(1 << 16, np.uint8)  # of all stretches in the table
        self._used = 0
        self._places = np.zeros(1024, np.int64)  # number -> where its bytes are
        self._sizes = np.zeros(1024, np.uint8)

    def find(self, text: bytes, starts: np.ndarray, sizes: np.ndarray, add: Callable[[bytes], int]) -> np.ndarray:
        """Numbers of text[start : start + size] for each; `add` gives the number of one not met before."""
        padded = text + bytes(_LANE)
        lanes = np.ndarray((len(text) + 1,), np.uint64, padded, strides=(1,))  # the eight bytes from each place on
        hashes = self._hash(lanes, starts, sizes)
        numbers, found = self._look_up(hashes)
        new = np.flatnonzero(~found & (sizes <= _LONGEST))
        if len(new):
            _, first = np.unique(hashes[new], return_index=True)
            self._learn(text, hashes[new[first]], starts[new[first]], sizes[new[first]], add)
            numbers[new] = self._look_up(hashes[new])[0]
        other = (sizes > _LONGEST) | ~self._same(lanes, starts, sizes, numbers)
        for index in np.flatnonzero(other).tolist():
            stretch = text[starts[index] : starts[index] + sizes[index]]
            if stretch not in self._one_by_one:
                self._one_by_one[stretch] = add(stretch)
            numbers[index] = self._one_by_one[stretch]
        return numbers

    def _hash(self, lanes: np.ndarray, starts: np.ndarray, sizes: np.ndarray) -> np.ndarray:
        """Of up to eight bytes a bijection; of more, mixed lane by lane."""
        x = (lanes[starts] & _MASKS[np.minimum(sizes, _LANE)]) ^ sizes.astype(np.uint64)
        x *= _ODD
        x ^= x >> _32
        for longer, here in _further_lanes(lanes, starts, sizes):
            y = (x[longer] ^ here) * _OTHER
            x[longer] = y ^ (y >> _29)
        return np.maximum(x, np.uint64(1))

    def _same(self, lanes: np.ndarray, starts: np.ndarray, sizes: np.ndarray, numbers: np.ndarray) -> np.ndarray:
        """Whether what was found is byte for byte what was looked for."""
        same = sizes == self._sizes[numbers]
        longer = np.flatnonzero((sizes > _LANE) & same)
        if not len(longer):
            return same
        own = np.ndarray((len(self._bytes) - _LANE + 1,), np.uint64, self._bytes, strides=(1,))
        starts, sizes, places = starts[longer], sizes[longer], self._places[numbers[longer]]
        equal = lanes[starts] == own[places]
        both = zip(_further_lanes(lanes, starts, sizes), _further_lanes(own, places, sizes), strict=True)
        for (which, here), (_, there) in both:
            equal[which] &= here == there
        same[longer] = equal
        return same

    def _look_up(self, hashes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(numbers, whether there is one)."""
        slots = (hashes >> np.uint64(64 - self._bits)).astype(np.int64)
        there = self._hashes[slots]
        numbers = self._numbers[slots]
        found = there == hashes
        open_ = np.flatnonzero(~found & (there != 0))
        while len(open_):
            slots[open_] = (slots[open_] + 1) & ((1 << self._bits) - 1)
            there = self._hashes[slots[open_]]
            hit = there == hashes[open_]
            found[open_[hit]] = True
            numbers[open_[hit]] = self._numbers[slots[open_[hit]]]
            open_ = open_[~hit & (there != 0)]
        return numbers, found

    def _learn(self, text: bytes, hashes: np.ndarray, starts: np.ndarray, sizes: np.ndarray, add) -> None:
        stretches = [text[start:end] for start, end in zip(starts.tolist(), (starts + sizes).tolist(), strict=True)]
        numbers = np.array([add(stretch) for stretch in stretches], np.int32)
        self._keep(numbers, stretches, sizes)
        self._entries.append((hashes, numbers))
        self._count += len(hashes)
        if 2 * self._count > len(self._hashes):
            self._bits = (2 * self._count).bit_length() + 1
            self._hashes = np.zeros(1 << self._bits, np.uint64)
            self._numbers = np.zeros(1 << self._bits, np.int32)
            hashes, numbers = (np.concatenate(columns) for columns in zip(*self._entries, strict=True))
            self._entries = [(hashes, numbers)]
        self._insert(hashes, numbers)

    def _insert(self, hashes: np.ndarray, numbers: np.ndarray) -> None:
        """Each takes the first free slot from its own on; where several want one, the last has it."""
        slots = (hashes >> np.uint64(64 - self._bits)).astype(np.int64)
        while len(hashes):
            free = self._hashes[slots] == 0
            self._hashes[slots[free]] = hashes[free]
            self._numbers[slots[free]] = numbers[free]
            left = self._hashes[slots] != hashes
            hashes, numbers = hashes[left], numbers[left]
            slots = (slots[left] + 1) & ((1 << self._bits) - 1)

    def _keep(self, numbers: np.ndarray, stretches: list[bytes], sizes: np.ndarray) -> None:
        """Remembers the bytes of stretches, for the comparison."""
        joined = np.frombuffer(b"".join(stretches), np.uint8)
        self._places = grown(self._places, int(numbers.max()) + 1)
        self._sizes = grown(self._sizes, int(numbers.max()) + 1)
        self._bytes = grown(self._bytes, self._used + len(joined) + _LANE)
        self._bytes[self._used : self._used + len(joined)] = joined
        self._places[numbers] = self._used + np.cumsum(sizes) - sizes
        self._sizes[numbers] = sizes
        self._used += len(joined)


def _further_lanes(lanes: np.ndarray, starts: np.ndarray, sizes: np.ndarray):
    """Yields (which stretches have a further lane, that lane of each), lane after lane."""
    position = _LANE
    longer = np.flatnonzero((sizes > position) & (sizes <= _LONGEST))
    while len(longer):
        left = sizes[longer] - position
        yield longer, lanes[starts[longer] + position] & _MASKS[np.minimum(left, _LANE)]
        position += _LANE
        longer = longer[left > _LANE]
