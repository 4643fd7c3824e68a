"""A set of document ids in 8 bytes each."""

import bisect

import numpy as np

_FEWEST_RECENT = 1 << 17


class IdSet:
    """A growing set of 64-bit ids: a sorted array, and a small set of those that came since it was last sorted.

    Takes 8 bytes an id and some megabytes besides; while the two are merged, three times that.
    """

    def __init__(self):
        self._sorted = memoryview(np.empty(0, np.uint64))  # gives plain integers, which NumPy's arrays do not
        self._recent: set[int] = set()

    def __len__(self) -> int:
        return len(self._sorted) + len(self._recent)

    def __contains__(self, identifier: int) -> bool:
        if identifier in self._recent:
            return True
        place = bisect.bisect_left(self._sorted, identifier)
        return place < len(self._sorted) and self._sorted[place] == identifier

    def add(self, identifier: int) -> bool:
        """Whether it is new."""
        if identifier in self:
            return False
        self._recent.add(identifier)
        if len(self._recent) >= max(_FEWEST_RECENT, len(self._sorted) // 32):
            self._merge()
        return True

    def __getstate__(self):  # for other processes: a view cannot be sent
        return np.asarray(self._sorted), self._recent

    def __setstate__(self, state):
        self._sorted, self._recent = memoryview(state[0]), state[1]

    def _merge(self) -> None:
        recent = np.fromiter(self._recent, np.uint64, len(self._recent))
        recent.sort()
        merged = np.concatenate([self._sorted, recent])
        merged.sort(kind="stable")  # merges sorted runs
        self._sorted = memoryview(merged)
        self._recent.clear()
