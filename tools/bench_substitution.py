"""How fast words are swapped, against a plain regular-expression callback, and what LINK costs the data path.

    python tools/bench_substitution.py --english=wikipedia.txt --short=verses.txt --lexicon=en-de.tsv

Text files with one document a line. Everything is measured in turns, several times over, and medians are
compared; all tables are warm (`first_pass_ratio` is the very first reading, where they are not). The last line is
JSON: the ratios are how many times faster than the callback LinkJAX is, `path_overhead` is the time of reading,
swapping, tokenizing with flags and packing over that of the same without swaps and flags.
"""

import argparse
import functools
import json
import pathlib
import random
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence

import grain
import numpy as np
from tqdm import tqdm

from linkjax.data.documents import Document, Documents, document_id, write_documents
from linkjax.data.encoder import Encoder
from linkjax.data.rows import PackedRows, ShuffledDocuments, Stretches
from linkjax.data.tokenizer import EOS, PAD, Tokenizer, train_tokenizer
from linkjax.errors import errors_as_sentences
from linkjax.files import open_text
from linkjax.lexicon import Lexicon, read_lexicon
from linkjax.substitution import LinkSettings, Substitution

_WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")
_BLOCK = 1 << 16  # characters together, as the data path reads
_LENGTH = 1024  # of a row
_ALL_FEATURES = {
    "sense": "per_document",
    "exclude": "english_function_words",
    "max_swaps_per_sentence": 8,
    "schedule": "cosine",
    "holdout": 0.05,
}


def callback(text: str, random: Callable[[], float], lexicon: dict[str, list[str]], ratio: float) -> str:
    """What is measured against: the swap as anybody would first write it."""

    def swap(match):
        if random() >= ratio:
            return match.group()
        word = match.group()
        options = lexicon.get(word.lower())
        if options is None:
            return word
        option = options[int(random() * len(options))]
        return option.capitalize() if word[0].isupper() else option

    return _WORD.sub(swap, text)


def blocks_of(documents: Sequence[Document]) -> list[list[Document]]:
    blocks, size = [[]], 0
    for document in documents:
        blocks[-1].append(document)
        size += len(document.text)
        if size >= _BLOCK:
            blocks.append([])
            size = 0
    return [block for block in blocks if block]


def swap_all(substitution: Substitution, blocks: list[list[Document]]) -> int:
    """New texts, exact places of all swaps, and counts."""
    swapped = 0
    for block in blocks:
        ids, texts = [document.id for document in block], [document.text for document in block]
        for _, done in substitution.blocks(ids, texts, [0] * len(ids), [0.0] * len(ids)):
            done.texts()
            done.places()
            swapped += int(done.swapped_D.sum())
    return swapped


def callback_all(documents: Sequence[Document], lexicon: dict[str, list[str]], ratio: float) -> None:
    draw = random.Random(0).random
    for document in documents:
        callback(document.text, draw, lexicon, ratio)


class _PlainStretches(grain.IterDataset):
    """Documents as stretches of plain ids: no substitution, no flags, no counts."""

    def __init__(self, documents: ShuffledDocuments, tokenizer: Tokenizer, count: int):
        super().__init__()
        self.documents, self.tokenizer, self.count = documents, tokenizer, count

    def __iter__(self):
        return _PlainIterator(self)


class _PlainIterator(grain.DatasetIterator):
    def __init__(self, dataset: _PlainStretches):
        super().__init__()
        self._stretches = self._read(dataset)

    def __next__(self):
        return next(self._stretches)

    @staticmethod
    def _read(dataset: _PlainStretches):
        for position in range(dataset.count):
            document, _ = dataset.documents[position]
            targets = np.array([*dataset.tokenizer.encode(document.text), EOS], np.int32)
            tokens = np.append(np.int32(PAD), targets[:-1])
            columns = np.stack([targets, tokens], axis=1)
            for start in range(0, len(targets), _LENGTH):
                yield {"columns": columns[start : start + _LENGTH]}

    def get_state(self):
        return {}

    def set_state(self, state):
        del state


def plain_path(documents: Documents, tokenizer: Tokenizer) -> None:
    """Reads, tokenizes and packs one pass."""
    stretches = _PlainStretches(ShuffledDocuments(documents, 0, 1, 0), tokenizer, len(documents))
    packed = grain.experimental.BestFitPackIterDataset(
        stretches, length_struct={"columns": _LENGTH}, num_packing_bins=32
    )
    for _ in packed:
        pass


def path(documents: Documents, encoder: Encoder) -> None:
    """Reads, swaps (if the encoder does), tokenizes and packs one pass."""
    stretches = Stretches(ShuffledDocuments(documents, 0, 1, 0), encoder, _LENGTH, 2 * len(documents))
    rows = iter(PackedRows(stretches, 0))
    read = 0
    while read < len(documents):
        read += int(next(rows)["counts"][0])


def in_turns(runs: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Median seconds of each run."""
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in tqdm(range(rounds), desc="rounds", disable=not sys.stderr.isatty(), leave=False):
        for name, run in runs.items():
            begun = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - begun)
    return {name: statistics.median(values) for name, values in seconds.items()}


def read_documents(file: pathlib.Path) -> list[Document]:
    with open_text(file) as lines:
        texts = [line.rstrip("\r\n") for line in lines]
    return [Document(document_id("bench", text.encode()), text) for text in texts if text]


def bench(english: pathlib.Path, short: pathlib.Path, lexicon: Lexicon, ratio: float, rounds: int) -> dict[str, float]:
    words = {source: list(targets) for source, targets in lexicon.entries.items() if " " not in source}
    plain = Lexicon({source: tuple(targets) for source, targets in words.items()})
    core = LinkSettings(ratio=ratio, lemmas=False, multiword_sources=False, protect=False)
    everything = LinkSettings(ratio=ratio, ratio_end=ratio, **_ALL_FEATURES)
    paragraphs, verses = read_documents(english), read_documents(short)
    size = sum(len(document.text.encode()) for document in paragraphs)
    long_blocks, short_blocks = blocks_of(paragraphs), blocks_of(verses)

    begun = time.perf_counter()
    swap_all(Substitution(plain, core), long_blocks)
    first_pass = time.perf_counter() - begun

    core_swaps, all_swaps, short_swaps = (
        Substitution(plain, core),
        Substitution(lexicon, everything),
        Substitution(plain, core),
    )
    tokenizer = Tokenizer(train_tokenizer((document.text for document in paragraphs), 8192, "unigram"))
    processor = tokenizer.processor
    with tempfile.TemporaryDirectory() as folder:
        counts = write_documents(paragraphs, pathlib.Path(folder), "bench")
        documents = Documents({pathlib.Path(folder) / name: count for name, count in counts.items()})
        swapping, unswapped = Encoder(tokenizer, core_swaps), Encoder(tokenizer, None)
        runs = {
            "callback": functools.partial(callback_all, paragraphs, words, ratio),
            "linkjax": functools.partial(swap_all, core_swaps, long_blocks),
            "all_features": functools.partial(swap_all, all_swaps, long_blocks),
            "callback_short": functools.partial(callback_all, verses, words, ratio),
            "linkjax_short": functools.partial(swap_all, short_swaps, short_blocks),
            "sentencepiece": lambda: [processor.encode(document.text) for document in paragraphs],
            "path": functools.partial(path, documents, swapping),
            "path_plain": functools.partial(plain_path, documents, tokenizer),
            "path_ratio_0": functools.partial(path, documents, unswapped),
        }
        in_turns(runs, 1)  # warms the tables
        seconds = in_turns(runs, rounds)
    speed = {name: size / seconds[name] / 1e6 for name in ("linkjax", "callback", "sentencepiece")}
    return {
        "ratio_to_callback": seconds["callback"] / seconds["linkjax"],
        "ratio_to_callback_all_features": seconds["callback"] / seconds["all_features"],
        "ratio_short_documents": seconds["callback_short"] / seconds["linkjax_short"],
        **{f"{name}_mb_s": value for name, value in speed.items()},
        "path_overhead": seconds["path"] / seconds["path_plain"],
        "path_overhead_same_code": seconds["path"] / seconds["path_ratio_0"],
        "first_pass_ratio": seconds["callback"] / first_pass,
        "swapped_share": _swapped_share(core_swaps, long_blocks),
    }


def _swapped_share(substitution: Substitution, blocks: list[list[Document]]) -> float:
    done = [substitution(document.id, document.text) for document in blocks[0]]
    return sum(len(one.spans) for one in done) / sum(one.words for one in done)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--english", type=pathlib.Path, required=True, help="paragraphs, one a line")
    parser.add_argument("--short", type=pathlib.Path, required=True, help="short documents, one a line")
    parser.add_argument("--lexicon", type=pathlib.Path, required=True, help="word list of any format")
    parser.add_argument("--ratio", type=float, default=0.3, help="share of the eligible words (default 0.3)")
    parser.add_argument("--rounds", type=int, default=7, help="turns that the medians are over (default 7)")
    arguments = parser.parse_args()
    with errors_as_sentences():
        lexicon = read_lexicon(arguments.lexicon)
        results = bench(arguments.english, arguments.short, lexicon, arguments.ratio, arguments.rounds)
    print(json.dumps({name: round(value, 3) for name, value in results.items()}))


if __name__ == "__main__":
    main()
