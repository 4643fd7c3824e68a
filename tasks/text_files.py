"""A user's own text files: which they are, and their documents. No TensorFlow here."""

import collections
import dataclasses
import functools
import glob
import pathlib
import re
import sys
from collections.abc import Iterable, Iterator, Sequence

from linkjax.data.documents import Document, document_id
from linkjax.data.ids import IdSet
from linkjax.data.texts import MET_BEFORE, READ, Part, Texts
from linkjax.errors import UserError
from linkjax.settings import setting
from tasks.file_parts import file_parts

TFDS = "tfds:"


@dataclasses.dataclass(frozen=True)
class LocalTextSettings:
    """Files of a run on a user's own text. Paths are globs or 'tfds:' names; several are separated by commas."""

    english: str = setting("", "English text files (docs/data.md), e.g. 'en/*.txt,more.jsonl.gz,web/*.parquet'")
    target: str = setting("", "target-language text files, e.g. 'sw/*.txt' or '{language}/*.txt'")
    target_language: str = setting("", "code of the target language, e.g. sw; several are separated by commas")
    target_rate: float = setting(0.1, "share of the training tokens that is target-language text, of all languages")
    document: str = setting("line", "what is a document of plain text: a line or a file")
    text_column: str = setting("text", "column of JSON lines, Parquet, TFRecord and TFDS that has the text")
    minimum_characters: int = setting(0, "shorter documents are left out")
    maximum_characters: int = setting(0, "longer documents are left out; 0 = no limit")
    drop_duplicates: bool = setting(False, "leave out texts met before; takes 8 bytes of memory a document")
    heldout_share: float = setting(0.02, "share of the documents kept for bits per byte, where no files are given")
    english_heldout: str = setting("", "English files for bits per byte, in place of a share")
    target_heldout: str = setting("", "target-language files for bits per byte, in place of a share")
    tfds_data_dir: str = setting("", "folder of TFDS data sets, for 'tfds:' names; empty = ~/tensorflow_datasets")
    word_list_rate: float = setting(0.0, "share of the training tokens that is the word list as text: a control")
    lexicon: str = setting("", "bilingual word list of any format of docs/lexicons.md, e.g. 'en-{language}.tsv'")

    def __post_init__(self):
        for name in ("english", "target", "target_language", "lexicon"):
            if not getattr(self, name):
                raise UserError(f"{name} is not given: set --config.{name}=...")
        if self.document not in ("line", "file"):
            raise UserError(f"document is '{self.document}': choose line or file.")
        if not self.text_column:
            raise UserError("text_column is empty: name the column that has the text.")
        if self.minimum_characters < 0:
            raise UserError(f"minimum_characters is {self.minimum_characters}: choose 0 or more.")
        if self.maximum_characters and self.maximum_characters < max(self.minimum_characters, 1):
            raise UserError(
                f"maximum_characters is {self.maximum_characters}: choose 0 (no limit) or at least"
                f" minimum_characters ({self.minimum_characters})."
            )
        if not 0 < self.target_rate < 1:
            raise UserError(f"target_rate is {self.target_rate}: it is a share, choose between 0 and 1.")
        if not 0 <= self.word_list_rate < 1 - self.target_rate:
            raise UserError(
                f"word_list_rate is {self.word_list_rate}: it is a share, choose from 0 to what target_rate"
                f" ({self.target_rate}) leaves to English."
            )
        if not 0 <= self.heldout_share < 1:
            raise UserError(f"heldout_share is {self.heldout_share}: it is a share, choose from 0 to below 1.")
        if not self.languages or len({*map(task_name, self.languages)}) < len(self.languages):
            raise UserError(f"target_language is '{self.target_language}': name one language or more, each once.")
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
class LocalText(Texts):
    """The documents of some files, split by their ids or by file. The fields are those of `LocalTextSettings`.

    A file is a path, or the name of a data set of TFDS (`tasks.tfds_text`).
    """

    name: str
    files: Sequence[pathlib.Path | str]
    heldout_files: Sequence[pathlib.Path | str]
    document: str
    heldout_share: float
    text_column: str = "text"
    minimum_characters: int = 0
    maximum_characters: int = 0
    drop_duplicates: bool = False
    tfds_data_dir: str = ""

    @classmethod
    def of(cls, settings: LocalTextSettings, language: str) -> "LocalText":
        """The texts of a run's English, or of one of its target languages.

        Raises:
          UserError: there are no such files.
        """
        side = "english" if language == "en" else "target"
        name = task_name("english" if language == "en" else language)
        files, heldout = (
            find_files(getattr(settings, of).replace("{language}", language), name) for of in (side, f"{side}_heldout")
        )
        return cls(
            name,
            files,
            heldout,
            settings.document,
            settings.heldout_share,
            settings.text_column,
            settings.minimum_characters,
            settings.maximum_characters,
            settings.drop_duplicates,
            settings.tfds_data_dir,
        )

    def parts(self, split: str) -> Sequence[Part]:
        return self._heldout_parts if split == "heldout" and self.heldout_files else self._parts

    def chosen(
        self, split: str, texts: Iterable[str], counts: collections.Counter[str], met: IdSet | None
    ) -> Iterator[Document]:
        """Documents with something in them. A text that is held out is nowhere in training, whatever the file."""
        if not self.heldout_files:
            if split == "heldout":  # of the same files, whose counts are told for training
                counts = collections.Counter()
            for document in self._let_in(texts, counts, met):
                if (document.id < self.heldout_share * 2**64) == (split == "heldout"):
                    yield document
        elif split == "heldout":
            yield from self._let_in(texts, counts, met)
        else:
            for document in self._let_in(texts, counts, met):
                if document.id in self._heldout_ids:
                    counts["held out"] += 1
                else:
                    yield document

    def _let_in(self, texts: Iterable[str], counts: collections.Counter[str], met: IdSet | None) -> Iterator[Document]:
        """The documents that the settings let in; the rest is counted by reason."""
        longest = self.maximum_characters or sys.maxsize
        for text in texts:
            counts[READ] += 1
            if not text.strip():
                counts["without text"] += 1
            elif len(text) < self.minimum_characters:
                counts[f"shorter than {self.minimum_characters:,} characters"] += 1
            elif len(text) > longest:
                counts[f"longer than {longest:,} characters"] += 1
            else:
                document = Document(document_id(self.name, text.encode()), text)
                if met is not None and not met.add(document.id):
                    counts[MET_BEFORE] += 1
                else:
                    yield document

    @functools.cached_property
    def _parts(self) -> list[Part]:
        return [part for file in self.files for part in self._parts_of(file)]

    @functools.cached_property
    def _heldout_parts(self) -> list[Part]:
        return [part for file in self.heldout_files for part in self._parts_of(file)]

    @functools.cached_property
    def _heldout_ids(self) -> IdSet:
        ids = IdSet()
        texts = (text for part in self._heldout_parts for text in part.texts())
        for _ in self._let_in(texts, collections.Counter(), ids):
            pass  # `ids` has met them
        return ids

    def _parts_of(self, file: pathlib.Path | str) -> list[Part]:
        if isinstance(file, str):
            from tasks.tfds_text import tfds_parts  # TensorFlow only where it is needed

            return tfds_parts(file, self.text_column, self.tfds_data_dir)
        return file_parts(file, self.document, self.text_column)


def task_name(part: str) -> str:
    """The name of the SeqIO task of a language, or of another part: SeqIO takes no hyphens, as zh-Hant has one."""
    return f"local_text_{re.sub(r'[^a-zA-Z0-9_.]', '_', part)}"


def find_files(patterns: str, name: str) -> tuple[pathlib.Path | str, ...]:
    """Files of comma-separated globs, sorted; a 'tfds:' name stays as it is.

    Raises:
      UserError: a pattern matches no file.
    """
    found: dict[pathlib.Path | str, None] = {}
    for pattern in filter(None, map(str.strip, patterns.split(","))):
        if pattern.startswith(TFDS):
            found[pattern] = None
            continue
        paths = [pathlib.Path(path) for path in sorted(glob.glob(pattern, recursive=True))]
        files = [path for path in paths if path.is_file()]
        if not files:
            raise UserError(f"no file matches '{pattern}' (for {name}): check the path.")
        found |= dict.fromkeys(files)
    return tuple(found)
