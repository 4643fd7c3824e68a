"""A corpus of very few documents, such as a book, cut up so that every shard has something to read."""

import hashlib
import itertools
import re
from collections.abc import Sequence

from linkjax.data.documents import Document
from linkjax.errors import UserError

_PIECES_PER_SHARD = 4
_PLACE_TO_CUT = re.compile(r"\s|[。！？]")  # after it


def at_least(documents: Sequence[Document | int], shards: int, component: str) -> Sequence[Document | int]:
    """The documents, or where they are fewer than `shards`, pieces of them of much the same length.

    A piece ends after a space, or a sentence without any, and has an id of its own, made from its document's. What
    stands for a damaged document is left as it is.

    Raises:
      UserError: there are too few words for a piece a shard.
    """
    if len(documents) >= shards:
        return documents
    whole = [document for document in documents if isinstance(document, Document)]
    length = sum(len(document.text) for document in whole) // (shards * _PIECES_PER_SHARD)
    pieces = [piece for document in whole for piece in _cut(document, max(length, 1))]
    if len(pieces) < shards:
        raise UserError(
            f"'{component}' has {len(documents)} documents and few words, too little for {shards} virtual shards:"
            " set --config.virtual_shards lower, or add text."
        )
    return [*pieces, *(document for document in documents if isinstance(document, int))]


def _cut(document: Document, length: int) -> list[Document]:
    starts = [0]
    while place := _PLACE_TO_CUT.search(document.text, starts[-1] + length - 1):
        starts.append(place.end())
    texts = (document.text[start:end] for start, end in itertools.pairwise([*starts, None]))
    return [Document(_piece_id(document.id, start), text) for start, text in zip(starts, texts, strict=True) if text]


def _piece_id(document_id: int, start: int) -> int:
    key = document_id.to_bytes(8, "little") + start.to_bytes(8, "little")
    return int.from_bytes(hashlib.blake2b(key, digest_size=8).digest(), "little")
