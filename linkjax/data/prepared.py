"""The prepared folder: the border between reading data (SeqIO) and training on it.

manifest.json            components, rates, online operations, counts, hashes
documents/*.arrayrecord  the training documents, id + text
heldout/NAME.jsonl       documents kept out of training, {"id", "text"}
tokenizer.model          SentencePiece
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
from collections.abc import Iterable, Iterator

from linkjax.data.documents import Document, Documents
from linkjax.data.tokenizer import Tokenizer
from linkjax.errors import UserError
from linkjax.files import fingerprint
from linkjax.lexicon import Lexicon, WordStatistics, read_lexicon
from linkjax.substitution import LinkSettings

FORMAT = 3
MANIFEST = "manifest.json"
SETTINGS = ("task_module", "mixture", "evaluations", "lexicon", "tokenizer")  # of a run, that decide the contents
WORD_LISTS = ("exclude", "domain_words")  # settings of the intervention that name a list


class Prepared:
    """A prepared folder, opened for reading."""

    def __init__(self, folder: pathlib.Path):
        """Raises UserError where `folder` is not a whole prepared folder of this format."""
        self.folder = folder
        self._documents: dict[str, Documents] = {}
        try:
            self.manifest = json.loads((folder / MANIFEST).read_text())
        except (OSError, ValueError) as error:
            raise UserError(f"{folder} is not a prepared folder: {MANIFEST} cannot be read ({error}).") from error
        if self.manifest.get("format") != FORMAT:
            raise UserError(
                f"{folder} has format {self.manifest.get('format')}, this version reads {FORMAT}: prepare it again."
            )
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
            "byte_trigram_bits_per_byte": {
                component["language"]: component["heldout"]["byte_trigram_bits_per_byte"]
                for component in self.components
            },
        }

    @functools.cached_property
    def tokenizer(self) -> Tokenizer:
        return Tokenizer.load(self.folder / "tokenizer.model")

    @functools.cached_property
    def lexicons(self) -> dict[str, Lexicon]:
        """By target language."""
        return {
            language: read_lexicon(self.folder / f"lexicons/{language}.tsv") for language in self.manifest["lexicons"]
        }

    @functools.cached_property
    def statistics(self) -> dict[str, dict[str, WordStatistics]]:
        """By target language, of each lexicon's sources."""
        languages = self.manifest["lexicons"]
        return {language: read_statistics(self.folder / f"statistics/{language}.tsv") for language in languages}

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
            yield from documents.read(start, min(start + documents.block, len(documents)))

    def documents(self, component: dict) -> Documents:
        name = component["name"]
        if name not in self._documents:
            files = {self.folder / "documents" / file: count for file, count in component["files"].items()}
            self._documents[name] = Documents(files)
        return self._documents[name]

    def heldout(self, component: dict) -> list[Document]:
        records = read_jsonl(self.folder / "heldout" / f"{component['name']}.jsonl")
        return [Document(record["id"], record["text"]) for record in records]

    def items(self, evaluation: str) -> list[dict]:
        return read_jsonl(self.folder / "evaluation" / f"{evaluation}.jsonl")


def write_jsonl(records: Iterable[dict], path: pathlib.Path) -> int:
    count = 0
    with path.open("w", encoding="utf-8") as file:
        for record in records:
            file.write(json.dumps(record, ensure_ascii=False) + "\n")
            count += 1
    return count


def read_jsonl(path: pathlib.Path) -> list[dict]:
    with path.open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def write_statistics(statistics: dict[str, WordStatistics], path: pathlib.Path) -> None:
    lines = (
        f"{word}\t{entry.english_count}\t{entry.target_count}\t{entry.target_pieces:.4f}\n"
        for word, entry in sorted(statistics.items())
    )
    path.write_text("".join(lines), encoding="utf-8", newline="\n")


def read_statistics(path: pathlib.Path) -> dict[str, WordStatistics]:
    with path.open(encoding="utf-8", newline="\n") as file:
        rows = (line.rstrip("\n").split("\t") for line in file)
        return {word: WordStatistics(int(en), int(target), float(pieces)) for word, en, target, pieces in rows}
