"""Records of documents that cannot be read: they are left out and counted, up to a limit."""

from typing import NamedTuple

from linkjax.errors import UserError


class Damaged(NamedTuple):
    """Records `first` to `last` of a file that are damaged together, and what is wrong with them."""

    path: str
    first: int
    last: int
    why: str

    def __str__(self) -> str:
        records = f"record {self.first:,}" if self.first == self.last else f"records {self.first:,} to {self.last:,}"
        return f"{self.path} is damaged ({records}: {self.why})"


class Damage:
    """What was found damaged so far, each record once.

    Attributes:
      most: records of all files that may be damaged.
      found: in the order of their finding.
    """

    def __init__(self, most: int = 0):
        self.most = most
        self.found: list[Damaged] = []
        self._records: set[tuple[str, int]] = set()

    def __len__(self) -> int:
        """How many records."""
        return len(self._records)

    def add(self, damaged: Damaged) -> bool:
        """Whether it was not known before.

        Raises:
          UserError: it is more than may be.
        """
        records = {(damaged.path, record) for record in range(damaged.first, damaged.last + 1)}
        if records <= self._records:
            return False
        self._records |= records
        if len(self) > self.most:
            limit = f", {len(self):,} documents so far, and most_damaged is {self.most:,}" if self.most else ""
            raise UserError(f"{damaged}{limit}: copy or prepare the folder again.")
        self.found.append(damaged)
        return True
