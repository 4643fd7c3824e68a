"""Rows of tokens: documents substituted, tokenized, cut and packed, within one virtual shard.

B rows, L tokens of a row. A row carries (numpy, without the B):

    tokens_BxL        int32   what the model reads; a document's first token is `start`, which stands for just that
    targets_BxL       int32   what it should say next
    loss_weights_BxL  float32 1 where the target counts
    segments_BxL      int32   1, 2, ... per document in the row, 0 = padding
    positions_BxL     int32   place within the segment
    swapped_BxL       uint8   1 where the *target* token is (part of) a swapped-in word
    component_B       int32   index of the mixture's component
"""

import collections
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import grain
import numpy as np

from linkjax.data.documents import Document, Documents
from linkjax.data.encoder import Encoded, Encoder
from linkjax.errors import UserError

_PACKED_TOGETHER = 32  # rows that are open at once; more pack tighter and cost more to resume
_READ_TOGETHER = 1 << 16  # characters
_Ahead = tuple[int, Encoded | None]  # a document's id, or the index of one that is damaged
_COLUMNS = ("targets", "tokens", "loss_weights", "swapped")  # of a stretch; together, packing costs a third


class ShuffledDocuments:
    """Every `step`-th block of documents from block `first` on, pass after pass, each pass in an order of its own.

    The documents are fixed before they are shuffled, so a pass is a pass whatever the seed. Where all are in memory,
    a block is one document. Otherwise blocks are read whole: a pass goes through them in random order, a window of
    several at a time, and through the documents of a window in random order. So little is held, and a position is
    reached by reading one window.
    """

    _WINDOW_BYTES = 16 * 2**20  # compressed, of all shards together
    _LEAST_WINDOW_BYTES = 256 * 2**10  # of one
    _MOST_WINDOW_BLOCKS = 64

    def __init__(self, documents: Documents | Sequence[Document | int], first: int, step: int, seed: int):
        self._documents, self._seed = documents, (seed, first)
        block, self._window_blocks = 1, 1
        if isinstance(documents, Documents) and documents.block > 1:
            block = min(documents.block, max(len(documents) // (16 * step), 1))  # or shards would differ much in size
            in_window = max(self._WINDOW_BYTES / step, self._LEAST_WINDOW_BYTES) / (block * documents.mean_bytes)
            self._window_blocks = min(max(int(in_window), 4), self._MOST_WINDOW_BLOCKS)
        self._block = block
        self._mine = np.arange(first, -(-len(documents) // block), step)
        self._length = int(self._sizes(self._mine).sum())
        self._pass, self._order, self._ends = -1, self._mine, np.empty(0, np.int64)
        self._window: tuple[int, int, list[Document | int]] = (-1, 0, [])  # pass, first place, documents

    def __len__(self) -> int:
        """Documents of one pass."""
        return self._length

    def __getitem__(self, position: int) -> tuple[Document | int, int]:
        """The document at `position`, counted over all passes, and its pass; the index of one that is damaged."""
        pass_index, place = divmod(position, self._length)
        held, start, documents = self._window
        if held != pass_index or not start <= place < start + len(documents):
            start, documents = self._read(pass_index, place)
            self._window = pass_index, start, documents
        return documents[place - start], pass_index

    def _read(self, pass_index: int, place: int) -> tuple[int, list[Document | int]]:
        """The window that has this place of a pass: its first place, and its documents in their order."""
        if pass_index != self._pass:
            self._order = self._mine[np.random.default_rng([*self._seed, pass_index]).permutation(len(self._mine))]
            self._ends = np.cumsum(self._sizes(self._order))[self._window_blocks - 1 :: self._window_blocks]
            self._pass = pass_index
        window = int(np.searchsorted(self._ends, place, side="right"))
        blocks = self._order[window * self._window_blocks : (window + 1) * self._window_blocks].tolist()
        start = int(self._ends[window - 1]) if window else 0
        if self._block == 1:
            return start, [self._documents[index] for index in blocks]
        ends = (min((block + 1) * self._block, len(self._documents)) for block in blocks)
        documents = [
            document
            for block, end in zip(blocks, ends, strict=True)
            for document in self._documents.read(block * self._block, end)
        ]
        order = np.random.default_rng([*self._seed, pass_index, window + 1]).permutation(len(documents))
        return start, [documents[index] for index in order]

    def _sizes(self, blocks: np.ndarray) -> np.ndarray:
        return np.minimum((blocks + 1) * self._block, len(self._documents)) - blocks * self._block


class Stretches(grain.IterDataset):
    """Documents as stretches of at most `length` tokens: {"columns": TxC int32 (`_COLUMNS`), "counts", "document": id}.

    Loss weights are the bits of their float32.
    """

    def __init__(
        self,
        documents: ShuffledDocuments,
        encoder: Encoder,
        length: int,
        expected_documents: float,
        most_passes: float = 0.0,
        course: tuple[np.ndarray, np.ndarray] = (np.array([0.0, 1.0]), np.array([0.0, 1.0])),
    ):
        """Args:
        expected_documents: of the whole run, for the progress that a ratio's schedule follows.
        most_passes: over the documents; 0 = no limit.
        course: shares of these documents, and the run's progress when they have been read.
        """
        super().__init__()
        self.documents, self.encoder, self.length = documents, encoder, length
        self._expected_documents, self._course = expected_documents, course
        self.most_documents = max(round(most_passes * len(documents)), 1) if most_passes else sys.maxsize

    def progress(self, positions: np.ndarray) -> np.ndarray:
        """Of the training, 0 to 1, when the documents at these positions are read."""
        return np.interp(positions / self._expected_documents, *self._course)

    def __iter__(self) -> grain.DatasetIterator:
        return _StretchesIterator(self)


class _StretchesIterator(grain.DatasetIterator):
    def __init__(self, dataset: Stretches):
        super().__init__()
        self._dataset = dataset
        self._position = 0  # documents given out
        self._offset = 0  # tokens of the present document already given out
        self._ahead: collections.deque[_Ahead] = collections.deque()  # documents from `position` on
        self._damaged: set[int] = set()  # indices of those met so far

    def __next__(self) -> dict[str, Any]:
        return self.take(self._dataset.length)

    def take(self, length: int) -> dict[str, Any]:
        """A stretch of at most `length` tokens of what is next."""
        if self._position >= self._dataset.most_documents:
            raise StopIteration
        if not self._ahead:
            self._ahead.extend(self._read())
        document, current = self._ahead[0]
        if current is None:
            document, current = self._past_damage()
        start, end = self._offset, min(self._offset + length, len(current.tokens_T))
        columns_TxC = np.empty((end - start, len(_COLUMNS)), np.int32)
        columns_TxC[:, 0] = current.targets_T[start:end]
        columns_TxC[0, 1] = current.tokens_T[start - 1] if start else self._dataset.encoder.tokenizer.start
        columns_TxC[1:, 1] = current.tokens_T[start : end - 1]
        columns_TxC[:, 2] = current.loss_weights_T[start:end].view(np.int32)
        columns_TxC[:, 3] = current.swapped_T[start:end]
        counts = current.counts if start == 0 else np.zeros_like(current.counts)
        if end < len(current.tokens_T):
            self._offset = end
        else:
            self._position, self._offset = self._position + 1, 0
            self._ahead.popleft()
        return {"columns": columns_TxC, "counts": counts, "document": document}

    def _past_damage(self) -> tuple[int, Encoded]:
        """The next document that is not damaged."""
        for _ in range(2 * len(self._dataset.documents)):  # the bad ones of two passes may follow each other
            document, current = self._ahead[0]
            if current is not None:
                return document, current
            self._damaged.add(document)
            self._ahead.popleft()
            self._position, self._offset = self._position + 1, 0
            if self._position >= self._dataset.most_documents:
                raise StopIteration
            if not self._ahead:
                self._ahead.extend(self._read())
        raise UserError(
            f"all {len(self._dataset.documents):,} documents of a virtual shard are damaged: copy or prepare the folder"
            " again."
        )

    def _read(self) -> Iterator[_Ahead]:
        """Some documents at once: what each becomes does not depend on the others."""
        found, passes, size = [], [], 0
        most = self._dataset.most_documents - self._position
        while size < _READ_TOGETHER and len(found) < most:
            document, pass_index = self._dataset.documents[self._position + len(found)]
            found.append(document)
            passes.append(pass_index)
            size += 1 if isinstance(document, int) else len(document.text) + 1
        whole = [place for place, document in enumerate(found) if not isinstance(document, int)]
        progress = self._dataset.progress(self._position + np.array(whole, np.int64))
        documents, passes = [found[place] for place in whole], [passes[place] for place in whole]
        encoded = iter(self._dataset.encoder.encode(documents, passes, progress) if whole else ())
        return ((one, None) if isinstance(one, int) else (one.id, next(encoded)) for one in found)

    def get_state(self) -> dict[str, Any]:
        damaged = {"damaged": sorted(self._damaged)} if self._damaged else {}
        return {"position": self._position, "offset": self._offset, **damaged}

    def set_state(self, state: dict[str, Any]) -> None:
        self._position, self._offset = state["position"], state["offset"]
        self._damaged = set(state.get("damaged", []))
        self._ahead.clear()


class PackedRows(grain.IterDataset):
    """Rows of one component: stretches packed best-fit by Grain's packer. Only documents longer than a row are cut.

    Beside a row's fields: "counts", what was read for it (`COUNTS`; a cut document counts in its first row), and
    "documents", the ids of its segments.
    """

    def __init__(self, stretches: Stretches, component: int, most_segments: int = 0):
        """Args: `most_segments` of a row, 0 = no limit."""
        self._component = component
        super().__init__(
            grain.experimental.BestFitPackIterDataset(
                stretches,
                length_struct={"columns": stretches.length},
                num_packing_bins=_PACKED_TOGETHER,
                max_sequences_per_bin=most_segments or None,
                meta_features=("counts", "document"),
            )
        )

    def __iter__(self) -> grain.DatasetIterator:
        return _PackedRowsIterator(iter(self._parent), self._component)


class _PackedRowsIterator(grain.DatasetIterator):
    def __init__(self, packed: grain.DatasetIterator, component: int):
        super().__init__(packed)
        self._component = component

    def __next__(self) -> dict[str, Any]:
        row = next(self._parent)
        places = row["columns_segment_ids"], row["columns_positions"]
        return _row(row["columns"], *places, self._component, row["counts"], row["document"])

    def get_state(self) -> dict[str, Any]:
        return self._parent.get_state()

    def set_state(self, state: dict[str, Any]) -> None:
        self._parent.set_state(state)


class ConcatenatedRows(grain.IterDataset):
    """Rows of one component: documents one after the other, cut where a row is full. No padding but at the end.

    The fields are those of `PackedRows`. The rest of a cut document is a segment of its own in the next row.
    """

    def __init__(self, stretches: Stretches, component: int, most_segments: int = 0):
        """Args: `most_segments` of a row, which has padding where it would have more; 0 = no limit."""
        super().__init__(stretches)
        self._length, self._component = stretches.length, component
        self._most_segments = most_segments or stretches.length

    def __iter__(self) -> grain.DatasetIterator:
        return _ConcatenatedRowsIterator(iter(self._parent), self._length, self._component, self._most_segments)


class _ConcatenatedRowsIterator(grain.DatasetIterator):
    def __init__(self, stretches: _StretchesIterator, length: int, component: int, most_segments: int):
        super().__init__(stretches)
        self._length, self._component, self._most_segments = length, component, most_segments

    def __next__(self) -> dict[str, Any]:
        stretches: list[dict[str, Any]] = []
        sizes: list[int] = []
        while sum(sizes) < self._length and len(sizes) < self._most_segments:
            try:
                stretches.append(self._parent.take(self._length - sum(sizes)))
            except StopIteration:
                if not stretches:
                    raise
                break
            sizes.append(len(stretches[-1]["columns"]))
        columns_LxC = np.zeros((self._length, len(_COLUMNS)), np.int32)
        segments_L, positions_L = np.zeros((2, self._length), np.int32)
        size = sum(sizes)
        columns_LxC[:size] = np.concatenate([stretch["columns"] for stretch in stretches])
        segments_L[:size] = np.repeat(np.arange(1, len(sizes) + 1), sizes)
        positions_L[:size] = np.concatenate([np.arange(size) for size in sizes])
        counts = [stretch["counts"] for stretch in stretches]
        documents = [stretch["document"] for stretch in stretches]
        return _row(columns_LxC, segments_L, positions_L, self._component, counts, documents)

    def get_state(self) -> dict[str, Any]:
        return self._parent.get_state()

    def set_state(self, state: dict[str, Any]) -> None:
        self._parent.set_state(state)


def _row(
    columns_LxC: np.ndarray,
    segments_L: np.ndarray,
    positions_L: np.ndarray,
    component: int,
    counts: Sequence[np.ndarray],
    documents: list[int],
) -> dict[str, Any]:
    targets_L, tokens_L, loss_weights_L, swapped_L = np.ascontiguousarray(columns_LxC.T)
    return {
        "tokens_BxL": tokens_L,
        "targets_BxL": targets_L,
        "loss_weights_BxL": loss_weights_L.view(np.float32),
        "segments_BxL": segments_L,
        "positions_BxL": positions_L,
        "swapped_BxL": swapped_L.astype(np.uint8),
        "component_B": np.int32(component),
        "counts": np.sum(counts, axis=0),
        "documents": documents,
    }


PACKINGS = {"best_fit": PackedRows, "concatenate": ConcatenatedRows}
