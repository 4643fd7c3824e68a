"""The texts of a component, in parts that are read each by itself. No TensorFlow here."""

import abc
import collections
import dataclasses
import functools
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from tqdm import tqdm

from linkjax.data.documents import Document, document_id
from linkjax.data.ids import IdSet

READ = "read"  # in the counts: how many there were, let in or left out
MET_BEFORE = "met before"


class Part(NamedTuple):
    """Some of a split's texts: what to call them, and how to read them from the start."""

    name: str
    texts: Callable[[], Iterable[str]]


class Texts(abc.ABC):
    """Texts in parts. The parts of a split, and the texts of each, always come in the same order.

    Attributes:
      name: of the component, in its documents' ids.
      drop_duplicates: whether a text met before is left out. Whoever reads single parts has to do it himself:
        a part does not know what is in the others.
    """

    name: str
    drop_duplicates: bool = False

    @abc.abstractmethod
    def parts(self, split: str) -> Sequence[Part]:
        """The parts of a split."""

    def chosen(
        self, split: str, texts: Iterable[str], counts: collections.Counter[str], met: IdSet | None
    ) -> Iterator[Document]:
        """The documents of some texts that are let in; the others are counted by reason.

        Args: `met` are the ids met so far, where duplicates are to be left out.
        """
        del split
        for text in texts:
            counts[READ] += 1
            document = Document(document_id(self.name, text.encode()), text)
            if met is not None and not met.add(document.id):
                counts[MET_BEFORE] += 1
            else:
                yield document

    def documents(
        self, split: str, shard: int = 0, count: int = 1, counts: collections.Counter[str] | None = None
    ) -> Iterator[Document]:
        """The documents of a split, or of one of `count` runs of its parts, which make up the whole in this order.

        Args: `counts` is filled with what was read and left out; without it that is told on standard error.
        """
        parts = self.parts(split)
        mine = parts[len(parts) * shard // count : len(parts) * (shard + 1) // count]
        found = collections.Counter() if counts is None else counts
        met = IdSet() if self.drop_duplicates and len(mine) == len(parts) else None
        yield from self.chosen(split, (text for part in mine for text in part.texts()), found, met)
        if counts is None and (line := left_out(found)):
            which = f"{split}, part {shard + 1} of {count}" if count > 1 else split
            tqdm.write(f"{self.name}, {which}: {line}", file=sys.stderr)  # beside the progress bar of `prepare`


@dataclasses.dataclass(frozen=True)
class FunctionTexts(Texts):
    """Texts that a function gives for a split, in one part."""

    name: str
    function: Callable[[str], Iterable[str]]

    def parts(self, split: str) -> Sequence[Part]:
        return [Part(split, functools.partial(self.function, split))]


def left_out(counts: collections.Counter[str]) -> str:
    """'4 of 9 documents left out (4 met before)', or nothing."""
    reasons = {reason: count for reason, count in counts.items() if reason != READ and count}
    if not reasons:
        return ""
    listed = ", ".join(f"{count:,} {reason}" for reason, count in reasons.items())
    return f"{sum(reasons.values()):,} of {counts[READ]:,} documents left out ({listed})"
