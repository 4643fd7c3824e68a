"""A user's own text files: which they are, and their documents. No TensorFlow here."""

import dataclasses
import glob
import pathlib
from collections.abc import Iterator, Sequence

from linkjax.data.documents import document_id
from linkjax.errors import UserError
from linkjax.files import open_text
from linkjax.settings import setting


@dataclasses.dataclass(frozen=True)
class LocalTextSettings:
    """Files of a run on a user's own text. Paths are globs; several are separated by commas."""

    english: str = setting("", "English text files, e.g. 'en/*.txt,more.txt.gz'")
    target: str = setting("", "target-language text files, e.g. 'sw/*.txt' or '{language}/*.txt'")
    target_language: str = setting("", "code of the target language, e.g. sw; several are separated by commas")
    target_rate: float = setting(0.1, "share of the training tokens that is target-language text, of all languages")
    document: str = setting("line", "what is a document: a line or a file")
    heldout_share: float = setting(0.02, "share of the documents kept for bits per byte, where no files are given")
    english_heldout: str = setting("", "English files for bits per byte, in place of a share")
    target_heldout: str = setting("", "target-language files for bits per byte, in place of a share")
    lexicon: str = setting("", "bilingual word list of any format of docs/lexicons.md, e.g. 'en-{language}.tsv'")

    def __post_init__(self):
        for name in ("english", "target", "target_language", "lexicon"):
            if not getattr(self, name):
                raise UserError(f"{name} is not given: set --config.{name}=...")
        if self.document not in ("line", "file"):
            raise UserError(f"document is '{self.document}': choose line or file.")
        if not 0 < self.target_rate < 1:
            raise UserError(f"target_rate is {self.target_rate}: it is a share, choose between 0 and 1.")
        if not 0 <= self.heldout_share < 1:
            raise UserError(f"heldout_share is {self.heldout_share}: it is a share, choose from 0 to below 1.")
        if "en" in self.languages:
            raise UserError("target_language is 'en': name the language of --config.target.")
        if len(self.languages) > 1:
            for name in ("target", "lexicon", "target_heldout"):
                if getattr(self, name) and "{language}" not in getattr(self, name):
                    raise UserError(
                        f"{name} is '{getattr(self, name)}' for the languages {self.target_language}: write"
                        " '{language}' where their paths differ."
                    )

    @property
    def languages(self) -> list[str]:
        """The target languages."""
        return [language.strip() for language in self.target_language.split(",") if language.strip()]


@dataclasses.dataclass(frozen=True)
class LocalText:
    """The documents of some files, split by their ids or by file."""

    name: str
    files: Sequence[pathlib.Path]
    heldout_files: Sequence[pathlib.Path]
    document: str
    heldout_share: float

    def documents(self, split: str) -> Iterator[str]:
        """Documents with something in them. A text that is held out is nowhere in training, whatever the file."""
        if not self.heldout_files:
            for text in self._read(self.files):
                if (self._id(text) < self.heldout_share * 2**64) == (split == "heldout"):
                    yield text
        elif split == "heldout":
            yield from self._read(self.heldout_files)
        else:
            heldout = {self._id(text) for text in self._read(self.heldout_files)}
            yield from (text for text in self._read(self.files) if self._id(text) not in heldout)

    def _id(self, text: str) -> int:
        return document_id(self.name, text.encode())

    def _read(self, files: Sequence[pathlib.Path]) -> Iterator[str]:
        """A document of one line has no line end."""
        for path in files:
            with open_text(path) as file:
                texts = (line.rstrip("\r\n") for line in file) if self.document == "line" else (file.read(),)
                yield from (text for text in texts if text.strip())


def find_files(patterns: str, name: str) -> tuple[pathlib.Path, ...]:
    """Files of comma-separated globs, sorted.

    Raises:
      UserError: a pattern matches no file.
    """
    found: dict[pathlib.Path, None] = {}
    for pattern in filter(None, patterns.split(",")):
        paths = [pathlib.Path(path) for path in sorted(glob.glob(pattern.strip(), recursive=True))]
        files = [path for path in paths if path.is_file()]
        if not files:
            raise UserError(f"no file matches '{pattern.strip()}' (for {name}): check the path.")
        found |= dict.fromkeys(files)
    return tuple(found)
