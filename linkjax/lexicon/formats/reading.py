"""What every format's reader is given: the file, what the user said of it, and where to complain."""

import collections
import contextlib
import dataclasses
import pathlib
from collections.abc import Iterator

from linkjax.errors import UserError
from linkjax.files import open_bytes

_LINE_BYTES = 1 << 20


@dataclasses.dataclass(frozen=True)
class ReadOptions:
    """How a word list is read.

    Attributes:
      format: name of the format (`linkjax.lexicon.formats.FORMATS`); '' = known by its content.
      language: BCP 47 code of the target language; files of many languages need it, and with it
        translations in a script the language is not written in are dropped. '' = not said.
      keep_good_lines: whether malformed lines are counted and left out; else the first one is an error.
      keep_identical: whether pairs of identical sides (Kenya - Kenya) are kept.
      target_first: whether the file has the target language in its first column or as its headwords.
      minimum_weight: pairs of a lower weight are left out; only for formats with weights.
    """

    format: str = ""
    language: str = ""
    keep_good_lines: bool = False
    keep_identical: bool = False
    target_first: bool = False
    minimum_weight: float = 0.0


class Reading:
    """One word list being read.

    Attributes:
      path: the file, plain or compressed (`.gz`, `.bz2`, `.xz`).
      options: what the user said.
      counts: what was left out or changed so far, by reason.
    """

    def __init__(self, path: pathlib.Path, options: ReadOptions = ReadOptions()):
        self.path, self.options = path, options
        self.counts: collections.Counter[str] = collections.Counter()

    def malformed(self, place: int | str, what: str, ends: bool = False) -> None:
        """Complains of a line (its number, from 1) or another place: an error, or one more line left out.

        Args: `ends`, whether nothing after it can be read.

        Raises:
          UserError: the user did not ask to keep the good lines.
        """
        where = f"line {place}" if isinstance(place, int) else place
        if not self.options.keep_good_lines:
            kept = "takes what is before it" if ends else "leaves such lines out"
            mend = f"`python -m linkjax.lexicon convert --keep_good_lines` {kept}"
            raise UserError(f"{self.path}, {where}: {what} ({mend}).")
        self.counts["dropped: malformed line"] += 1
        if ends:
            self.counts["files of which the rest could not be read"] += 1

    def lines(self, encoding: str = "utf-8", longest: int = _LINE_BYTES) -> Iterator[tuple[int, str]]:
        """Yields (number, line without its end) of all lines with something in them, reading as it goes.

        A line that is not of this encoding, or longer than `longest` bytes, is malformed. A byte-order mark is
        left out.
        """
        with self.open() as file:
            number = 0
            while raw := file.readline(longest + 1):
                number += 1
                if len(raw) > longest:
                    while raw and not raw.endswith(b"\n"):
                        raw = file.readline(longest)
                    self.malformed(number, f"longer than {longest:,} bytes, so not a line of a word list")
                    continue
                if number == 1:
                    raw = raw.removeprefix(b"\xef\xbb\xbf")
                try:
                    line = raw.decode(encoding).rstrip("\r\n")
                except UnicodeDecodeError as error:
                    self.malformed(number, f"not {encoding.upper()} text ({error.reason})")
                    continue
                if line.strip():
                    yield number, line

    @contextlib.contextmanager
    def open(self):
        """Opens the file as bytes, decompressed.

        Raises:
          UserError: here or while reading: missing, cut off, not what its suffix says.
        """
        with open_bytes(self.path) as file:
            yield file

    def head(self, size: int = 65536) -> bytes:
        """The first bytes, decompressed."""
        with self.open() as file:
            return file.read(size)
