"""The prepared folder: the border between reading data (SeqIO) and training on it.

manifest.json            components, rates, online operations, counts, hashes
documents/*.arrayrecord  the training documents, id + text
heldout/NAME.jsonl       documents kept out of training, {"id", "text"}
tokenizer.model          SentencePiece; or Hugging Face's tokenizer.json, and tokenizer_ids.json
lexicons/LANGUAGE.tsv    the cleaned word lists, if there are any
statistics/LANGUAGE.tsv  word, English count, target count, pieces of a translation
words/NAME.txt           word lists that settings of the intervention name: exclude, domain_words
evaluation/NAME.jsonl    items to rank
"""

import dataclasses
import functools
import hashlib
import json
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from linkjax.data.damage import Damage
from linkjax.data.documents import Document, Documents
from linkjax.data.items import read_items
from linkjax.data.jsonl import is_text, read_jsonl
from linkjax.data.manifest import read_manifest
from linkjax.data.tokenizer import AnyTokenizer, load_tokenizer, tokenizer_file
from linkjax.errors import UserError
from linkjax.files import fingerprint, open_bytes
from linkjax.lexicon import Lexicon, WordStatistics, read_lexicon
from linkjax.substitution import LinkSettings

# Settings of a run that decide the contents.
SETTINGS = ("task_module", "mixture", "evaluations", "evaluation_data", "lexicon", "tokenizer")
WORD_LISTS = ("exclude", "domain_words")  # settings of the intervention that name a list
_STATISTICS_BYTES = 1 << 20  # of a line


class Prepared:
    """A prepared folder, opened for reading."""

    def __init__(self, folder: pathlib.Path, most_damaged: int = 0):
        """Raises UserError where `folder` is not a whole prepared folder of this format.

        Args: `most_damaged`, documents that may be left out because they cannot be read.
        """
        self.folder, self.damage = folder, Damage(most_damaged)
        self._documents: dict[str, Documents] = {}
        self.manifest = read_manifest(folder)
        for name, about in self.manifest["files"].items():
            path = folder / name
            # The training documents may be too many to read them all at every start.
            size_only = name.startswith("documents/")
            if (
                not path.is_file()
                or path.stat().st_size != about["bytes"]
                or not (size_only or fingerprint(path) == about)
            ):
                raise UserError(f"{path} is missing or damaged: copy or prepare the folder again.")

    @property
    def components(self) -> list[dict]:
        return self.manifest["components"]

    @property
    def languages(self) -> list[str]:
        return list(dict.fromkeys(component["language"] for component in self.components))

    @functools.cached_property
    def fingerprint(self) -> str:
        """SHA-256 over components and the hashes of all files: equal for equal data, wherever the folder is."""
        decisive = {name: self.manifest[name] for name in ("components", "files")}
        return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()

    def yardsticks(self) -> dict[str, dict[str, float | None]]:
        """What scores are read against: chance by metric, a byte trigram's bits per byte by language."""
        return {
            "chance": {task["metric"]: task["chance"] for task in self.manifest["evaluations"]},
            "byte_trigram_bits_per_byte": trigrams(self.components),
        }

    @functools.cached_property
    def tokenizer(self) -> AnyTokenizer:
        return load_tokenizer(self.folder)

    @property
    def tokenizer_file(self) -> pathlib.Path:
        return tokenizer_file(self.folder)

    @functools.cached_property
    def lexicons(self) -> dict[str, Lexicon]:
        """By target language."""
        return {
            language: read_lexicon(self.folder / f"lexicons/{language}.tsv") for language in self.manifest["lexicons"]
        }

    @functools.cached_property
    def statistics(self) -> dict[str, dict[str, WordStatistics]]:
        """By target language, of each lexicon's sources."""
        found = {}
        for language, lexicon in self.lexicons.items():
            path = self.folder / f"statistics/{language}.tsv"
            found[language] = read_statistics(path)
            if missing := lexicon.entries.keys() - found[language].keys():
                raise UserError(f"{path} lacks {len(missing):,} words, '{min(missing)}': prepare the folder again.")
        return found

    @property
    def lexicon_hashes(self) -> dict[str, str]:
        """Fingerprints of the lexicons by target language."""
        return {language: about["sha256"] for language, about in self.manifest["lexicons"].items()}

    def with_word_lists(self, link: LinkSettings) -> LinkSettings:
        """The settings with this folder's copies of the word lists they name."""
        copies = {name: self.folder / "words" / f"{name}.txt" for name in WORD_LISTS if getattr(link, name)}
        return dataclasses.replace(link, **{name: str(path) for name, path in copies.items() if path.exists()})

    def sample(self, component: dict, size: int) -> Iterator[Document]:
        """Documents from all over a component, about `size` bytes."""
        documents = self.documents(component)
        step = documents.block * max(1, -(-component["bytes"] // size))
        for start in range(0, len(documents), step):
            read = documents.read(start, min(start + documents.block, len(documents)))
            yield from (document for document in read if isinstance(document, Document))

    def documents(self, component: dict) -> Documents:
        name = component["name"]
        if name not in self._documents:
            files = {self.folder / "documents" / file: count for file, count in component["files"].items()}
            self._documents[name] = Documents(files, self.damage)
        return self._documents[name]

    def heldout(self, component: dict) -> list[Document]:
        """Raises UserError where the file is not of documents."""
        path = self.folder / "heldout" / f"{component['name']}.jsonl"
        records = read_jsonl(path)
        for number, record in enumerate(records, start=1):
            known = isinstance(record.get("id"), int) and 0 <= record["id"] < 2**64 and is_text(record.get("text"))
            if not known:
                raise UserError(f"{path}, line {number} is no document with id and text: prepare the folder again.")
        return [Document(record["id"], record["text"]) for record in records]

    def items(self, evaluation: str) -> list[dict]:
        """Raises UserError where the file is not of items to rank."""
        return read_items(self.folder / "evaluation" / f"{evaluation}.jsonl")


def write_statistics(statistics: dict[str, WordStatistics], path: pathlib.Path) -> None:
    lines = (
        f"{word}\t{entry.english_count}\t{entry.target_count}\t{entry.target_pieces:.4f}\n"
        for word, entry in sorted(statistics.items())
    )
    path.write_text("".join(lines), encoding="utf-8", newline="\n")


def read_statistics(path: pathlib.Path) -> dict[str, WordStatistics]:
    """As `write_statistics` wrote them.

    Raises:
      UserError: it cannot be read, or a line is not like that.
    """
    statistics = {}
    with open_bytes(path) as file:
        number = 0
        while line := file.readline(_STATISTICS_BYTES):
            number += 1
            try:
                word, english, target, pieces = line.decode().removesuffix("\n").split("\t")
                entry = WordStatistics(int(english), int(target), float(pieces))
                known = all(0 <= value < 2**63 for value in dataclasses.astuple(entry))
            except ValueError:
                known = False
            if not known:
                raise UserError(f"{path}, line {number} is not of word statistics: prepare the folder again.")
            statistics[word] = entry
    return statistics


def trigrams(components: Sequence[Mapping[str, Any]]) -> dict[str, float | None]:
    """By language the bits per byte that a byte trigram has of held-out text; None where nothing is held out."""
    found: dict[str, list[tuple[int, float]]] = {component["language"]: [] for component in components}
    for component in components:
        about = component["heldout"]
        if (bits := about.get("byte_trigram_bits_per_byte")) is not None:
            found[component["language"]].append((about["bytes"], bits))
    return {language: float(np.average([bits for _, bits in of], weights=[size for size, _ in of])) if len(of) > 1
            else of[0][1] if of else None for language, of in found.items()}  # fmt: skip
