"""Rows of tokens: documents substituted, tokenized, cut and packed, within one virtual shard.

B rows, L tokens of a row. A row carries (numpy, without the B):

    tokens_BxL        int32   what the model reads; a document's first token is PAD, standing for its start
    targets_BxL       int32   what it should say next
    loss_weights_BxL  float32 1 where the target counts
    segments_BxL      int32   1, 2, ... per document in the row, 0 = padding
    positions_BxL     int32   place within the segment
    swapped_BxL       uint8   1 where the *target* token is (part of) a swapped-in word
    component_B       int32   index of the mixture's component
"""

import collections
import sys
from collections.abc import Sequence
from typing import Any

import grain
import numpy as np

from linkjax.data.documents import Document
from linkjax.data.encoder import Encoded, Encoder
from linkjax.data.tokenizer import PAD

_PACKED_TOGETHER = 32  # rows that are open at once; more pack tighter and cost more to resume
_READ_TOGETHER = 1 << 16  # characters


class ShuffledDocuments:
    """Every `step`-th document from `first` on, pass after pass, each pass in an order of its own.

    The documents are fixed before they are shuffled, so a pass is a pass whatever the seed.
    """

    def __init__(self, documents: Sequence[Document], first: int, step: int, seed: int):
        self._documents = documents
        self._mine = range(first, len(documents), step)
        self._seed = (seed, first)
        self._pass, self._order = -1, np.empty(0, np.int64)

    def __len__(self) -> int:
        """Documents of one pass."""
        return len(self._mine)

    def __getitem__(self, position: int) -> tuple[Document, int]:
        """The document at `position`, counted over all passes, and its pass."""
        pass_index, place = divmod(position, len(self._mine))
        if pass_index != self._pass:
            self._order = np.random.default_rng([*self._seed, pass_index]).permutation(len(self._mine))
            self._pass = pass_index
        return self._documents[self._mine[self._order[place]]], pass_index


class Stretches(grain.IterDataset):
    """Documents as stretches of at most `length` tokens."""

    def __init__(
        self,
        documents: ShuffledDocuments,
        encoder: Encoder,
        length: int,
        expected_documents: float,
        most_passes: float = 0.0,
    ):
        """Args:
        expected_documents: of the whole run, for the progress that a ratio's schedule follows.
        most_passes: over the documents; 0 = no limit.
        """
        super().__init__()
        self.documents, self.encoder, self.length = documents, encoder, length
        self.expected_documents = expected_documents
        self.most_documents = round(most_passes * len(documents)) if most_passes else sys.maxsize

    def __iter__(self) -> grain.DatasetIterator:
        return _StretchesIterator(self)


class _StretchesIterator(grain.DatasetIterator):
    def __init__(self, dataset: Stretches):
        super().__init__()
        self._dataset = dataset
        self._position = 0  # documents given out
        self._offset = 0  # tokens of the present document already given out
        self._ahead: collections.deque[Encoded] = collections.deque()  # documents from `position` on

    def __next__(self) -> dict[str, np.ndarray]:
        if self._position >= self._dataset.most_documents:
            raise StopIteration
        if not self._ahead:
            self._ahead.extend(self._read())
        current = self._ahead[0]
        start, end = self._offset, min(self._offset + self._dataset.length, len(current.tokens_T))
        before = current.tokens_T[max(start - 1, 0) : end - 1]
        stretch = {
            "targets": current.targets_T[start:end],
            "tokens": np.append(np.int32(PAD), before) if start == 0 else before,
            "loss_weights": current.loss_weights_T[start:end],
            "swapped": current.swapped_T[start:end],
            "counts": current.counts if start == 0 else np.zeros_like(current.counts),
        }
        if end < len(current.tokens_T):
            self._offset = end
        else:
            self._position, self._offset = self._position + 1, 0
            self._ahead.popleft()
        return stretch

    def _read(self) -> list[Encoded]:
        """Some documents at once: what each becomes does not depend on the others."""
        found, passes, size = [], [], 0
        most = self._dataset.most_documents - self._position
        while size < _READ_TOGETHER and len(found) < most:
            document, pass_index = self._dataset.documents[self._position + len(found)]
            found.append(document)
            passes.append(pass_index)
            size += len(document.text) + 1
        places = self._position + np.arange(len(found))
        return self._dataset.encoder.encode(found, passes, places / self._dataset.expected_documents)

    def get_state(self) -> dict[str, Any]:
        return {"position": self._position, "offset": self._offset}

    def set_state(self, state: dict[str, Any]) -> None:
        self._position, self._offset = state["position"], state["offset"]
        self._ahead.clear()


class PackedRows(grain.IterDataset):
    """Rows of one component: stretches packed best-fit by Grain's packer.

    Beside a row's fields: "counts", what was read for it (`COUNTS`; a cut document counts in its first row).
    """

    def __init__(self, stretches: Stretches, component: int):
        self._component = component
        length = stretches.length
        super().__init__(
            grain.experimental.BestFitPackIterDataset(
                stretches,
                length_struct={
                    "targets": length,
                    "tokens": length,
                    "loss_weights": length,
                    "swapped": length,
                },
                num_packing_bins=_PACKED_TOGETHER,
                meta_features=("tokens", "loss_weights", "swapped", "counts"),
            )
        )

    def __iter__(self) -> grain.DatasetIterator:
        return _PackedRowsIterator(iter(self._parent), self._component)


class _PackedRowsIterator(grain.DatasetIterator):
    def __init__(self, packed: grain.DatasetIterator, component: int):
        super().__init__(packed)
        self._component = component

    def __next__(self) -> dict[str, np.ndarray]:
        row = next(self._parent)
        return {
            "tokens_BxL": row["tokens"],
            "targets_BxL": row["targets"],
            "loss_weights_BxL": row["loss_weights"],
            "segments_BxL": row["targets_segment_ids"],
            "positions_BxL": row["targets_positions"],
            "swapped_BxL": row["swapped"],
            "component_B": np.int32(self._component),
            "counts": np.sum(row["counts"], axis=0),
        }

    def get_state(self) -> dict[str, Any]:
        return self._parent.get_state()

    def set_state(self, state: dict[str, Any]) -> None:
        self._parent.set_state(state)
