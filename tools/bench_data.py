"""How fast the data path is, against SeqIO's on the same task.

    python tools/bench_data.py --english=wikipedia.txt --short=verses.txt --lexicon=en-de.tsv

Text files with one document a line. LinkJAX reads documents from disk, swaps words, tokenizes and packs them in one
process; SeqIO reads the same documents from its own cache of the same task through `task.get_dataset`, with the
same swaps and the same SentencePiece model, and packs by `seqio.DecoderFeatureConverter(pack=True)`. They take
turns; compared are medians of real tokens a second, with tables warm on both sides (`first_pass_ratio` is the very
first reading, where they are not). The last line is JSON; `..._cores` is processor time over time: tf.data uses all
cores there are.
"""

import argparse
import json
import os
import pathlib
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence

import numpy as np
from tqdm import tqdm

from linkjax.data.documents import Document, Documents, document_id, write_documents
from linkjax.data.encoder import Encoder
from linkjax.data.rows import PackedRows, ShuffledDocuments, Stretches
from linkjax.data.tokenizer import Tokenizer, train_tokenizer
from linkjax.errors import UserError, errors_as_sentences
from linkjax.files import open_text
from linkjax.lexicon import ReadOptions, read_lexicon
from linkjax.substitution import LinkSettings, Substitution

_LENGTH = 1024  # of a row


class Side:
    """One of what is compared, measured turn by turn."""

    def __init__(self, read: Callable[[], int]):
        """Args: `read`, which reads all documents once and returns their tokens."""
        self._read = read
        self.speeds: list[float] = []  # tokens a second
        self.cores: list[float] = []

    def turn(self) -> None:
        begun, begun_processor = time.perf_counter(), time.process_time()
        tokens = self._read()
        seconds = time.perf_counter() - begun
        self.speeds.append(tokens / seconds)
        self.cores.append((time.process_time() - begun_processor) / seconds)


def linkjax_side(documents: Documents, encoder: Encoder) -> Side:
    """Each turn is the next pass, with swaps of its own."""
    stretches = Stretches(ShuffledDocuments(documents, 0, 1, 0), encoder, _LENGTH, len(documents))
    rows = iter(PackedRows(stretches, 0))

    def read() -> int:
        tokens = given = 0
        while given < len(documents):
            row = next(rows)
            given += int(row["counts"][0])
            tokens += int(np.count_nonzero(row["segments_BxL"]))
        return tokens

    return Side(read)


def seqio_side(
    name: str, documents: Sequence[Document], folder: pathlib.Path, lexicons: dict[str, str] | None, link: LinkSettings
) -> Side:
    """Each turn reads one data set anew, whose substitution stays warm."""
    os.environ |= {"CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    import seqio

    from linkjax.data import tasks

    task = tasks.add_text_task(
        name,
        lambda split: (),
        splits=("train",),
        language="en",
        lexicons=lexicons,
        link=link,
        vocabulary=seqio.SentencePieceVocabulary(str(folder / "tokenizer.model")),
    )
    _write_cache(folder / name, documents, seqio.__version__)
    seqio.add_global_cache_dirs([str(folder)])
    lengths = {"targets": _LENGTH}
    dataset = task.get_dataset(lengths, split="train", use_cached=True, shuffle=True, seed=0, num_epochs=1)
    packed = seqio.DecoderFeatureConverter(pack=True)(dataset, task_feature_lengths=lengths)
    return Side(lambda: sum(int(np.count_nonzero(row["decoder_segment_ids"])) for row in packed.as_numpy_iterator()))


def _write_cache(folder: pathlib.Path, documents: Sequence[Document], version: str) -> None:
    """What `seqio_cache_tasks` leaves of a task, which would need Beam.

    Format: https://github.com/google/seqio/blob/main/seqio/beam_utils.py
    """
    import tensorflow as tf

    folder.mkdir()
    features = {"id": {"dtype": "int64", "shape": []}, "targets": {"dtype": "string", "shape": []}}
    info = {"num_shards": 1, "features": features, "seqio_version": version}
    (folder / "info.train.json").write_text(json.dumps(info))
    (folder / "stats.train.json").write_text(json.dumps({"examples": len(documents)}))
    with tf.io.TFRecordWriter(str(folder / "train.tfrecord-00000-of-00001")) as writer:
        for document in documents:
            signed = document.id - (1 << 64) if document.id >> 63 else document.id
            feature = {
                "id": tf.train.Feature(int64_list=tf.train.Int64List(value=[signed])),
                "targets": tf.train.Feature(bytes_list=tf.train.BytesList(value=[document.text.encode()])),
            }
            writer.write(tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString())
    (folder / "COMPLETED").touch()


def read_documents(file: pathlib.Path, size: int) -> list[Document]:
    """The first lines of a file, about `size` bytes."""
    documents: list[Document] = []
    with open_text(file) as lines:
        for line in lines:
            if size <= 0:
                break
            if text := line.rstrip("\r\n"):
                documents.append(Document(document_id("bench", text.encode()), text))
                size -= len(text.encode())
    if not documents:
        raise UserError(f"{file} has no text: name a file with one document a line.")
    return documents


def bench(arguments: argparse.Namespace) -> dict[str, float]:
    link, language = LinkSettings(ratio=arguments.ratio), arguments.language
    lexicon = read_lexicon(arguments.lexicon, ReadOptions(language=language))
    paragraphs, verses = (read_documents(file, arguments.bytes) for file in (arguments.english, arguments.short))
    model = train_tokenizer((document.text for document in paragraphs), 8192, "unigram")
    sides: dict[str, Side] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        (folder / "tokenizer.model").write_bytes(model)
        for kind, documents, swaps in (("", paragraphs, True), ("short_", verses, True), ("plain_", paragraphs, False)):
            counts = write_documents(documents, folder, f"{kind}linkjax")
            files = {folder / name: count for name, count in counts.items()}
            encoder = Encoder(Tokenizer(model), Substitution({language: lexicon}, link) if swaps else None)
            sides[f"{kind}linkjax"] = linkjax_side(Documents(files), encoder)
            lexicons = {language: str(arguments.lexicon)} if swaps else None
            sides[f"{kind}seqio"] = seqio_side(f"{kind}seqio", documents, folder, lexicons, link)
        for _ in tqdm(range(1 + arguments.rounds), desc="rounds", disable=not sys.stderr.isatty(), leave=False):
            for side in sides.values():
                side.turn()
    first = {name: side.speeds.pop(0) for name, side in sides.items()}
    speeds = {name: statistics.median(side.speeds) for name, side in sides.items()}
    return {
        "linkjax_tokens_per_s": speeds["linkjax"],
        "seqio_tokens_per_s": speeds["seqio"],
        "ratio": speeds["linkjax"] / speeds["seqio"],
        "short_documents_ratio": speeds["short_linkjax"] / speeds["short_seqio"],
        "short_linkjax_tokens_per_s": speeds["short_linkjax"],
        "short_seqio_tokens_per_s": speeds["short_seqio"],
        "ratio_without_swaps": speeds["plain_linkjax"] / speeds["plain_seqio"],
        "first_pass_ratio": first["linkjax"] / first["seqio"],
        "linkjax_cores": statistics.median(sides["linkjax"].cores[1:]),
        "seqio_cores": statistics.median(sides["seqio"].cores[1:]),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--english", type=pathlib.Path, required=True, help="paragraphs, one a line")
    parser.add_argument("--short", type=pathlib.Path, required=True, help="short documents, one a line")
    parser.add_argument("--lexicon", type=pathlib.Path, required=True, help="word list of any format")
    parser.add_argument("--language", default="de", help="of the word list's translations (default de)")
    parser.add_argument("--ratio", type=float, default=0.3, help="share of the eligible words (default 0.3)")
    parser.add_argument("--bytes", type=int, default=1_500_000, help="of each file's text (default 1500000)")
    parser.add_argument("--rounds", type=int, default=5, help="turns that the medians are over (default 5)")
    with errors_as_sentences():
        results = bench(parser.parse_args())
    print(json.dumps({name: round(value, 3) for name, value in results.items()}))


if __name__ == "__main__":
    main()
