"""Looks at the training data as the model gets it.

    python -m linkjax.data inspect --config=configs/base.py --config.data=prepared/toy

prints rows of the training stream, decoded: each document with its borders, the swapped-in words marked, and
where padding begins. Then shares of the first batches: tokens of each component and language against the
mixture's rates, padding, words that could be swapped and were. `inspect --help` lists all settings.

    python -m linkjax.data show --data=prepared/toy --ids=0x3f2a91c04be87d15,1742

prints documents by their ids.
"""

import contextlib
import pathlib
import sys
from collections.abc import Sequence

import ml_collections
from tqdm import tqdm

from linkjax import config as configs
from linkjax.data.inspection import Sample, found, plain, row_lines
from linkjax.data.pipeline import Stream, StreamSettings
from linkjax.data.prepared import Prepared
from linkjax.errors import UserError, errors_as_sentences

_INSPECT = """Prints decoded rows of the training stream, and what its first batches are made of.

    python -m linkjax.data inspect --config=configs/base.py --config.data=prepared/toy --rows=4 --batches=20

The rows are the first ones of each component, in turns. Swapped-in words are in colour on a terminal, in
[brackets] otherwise; neighbours have one mark together. "another target" counts the tokens in whose place an
English word is to be predicted (--config.link.loss_on_swapped=original).

The folder is prepared where it does not exist; else no TensorFlow is needed. Row length, batch size, seeds and
LINK are the config's: try --config.sequence_length=128 or --config.link.ratio=0.5."""


def inspect(config: ml_collections.ConfigDict, rows: str, batches: str, data: str = "") -> None:
    """Prints rows and shares of the stream that training on the folder `data`, or `config.data`, would read."""
    settings = configs.run_settings(config)
    if not rows.isdecimal():
        raise UserError(f"--rows is '{rows}': choose 0, 1, 2 ...")
    if not batches.isdecimal() or int(batches) < 1:
        raise UserError(f"--batches is '{batches}': choose 1, 2, 3 ...")
    data = data or settings.data
    if not data:
        raise UserError("--config.data is missing: name the prepared folder; it is made where it does not exist.")
    folder = pathlib.Path(data)
    if not folder.exists():
        from linkjax.prepare import prepare

        print(f"preparing {folder}", file=sys.stderr)
        prepare(config, folder, wait=True)
    prepared = Prepared(folder)
    configs.check_prepared_so(config, prepared)
    stream_settings = StreamSettings.of(settings)
    sample = Sample(prepared, stream_settings, int(rows))
    with contextlib.closing(Stream(prepared, stream_settings)) as stream:
        for _ in tqdm(range(int(batches)), desc="batches", disable=not sys.stderr.isatty(), leave=False):
            sample.add(next(stream))
    for row in sample.rows():
        print(*row_lines(row, prepared.components, prepared.tokenizer, sys.stdout.isatty()), sep="\n", end="\n\n")
    print(*sample.shares(stream.states), sep="\n")


_SHOW = """Prints documents of a prepared folder by their ids, each with its component and its text before any swap.

    python -m linkjax.data show --data=prepared/toy --ids=0x3f2a91c04be87d15,1742 --characters=500

The folder is read from its beginning until all are found."""


def show(data: str, ids: str, characters: str, virtual_shards: str) -> None:
    """Prints documents as they are found.

    Raises:
      UserError: an id is none, or not in the folder.
    """
    if not data:
        raise UserError("--data is missing: name the prepared folder.")
    wanted = dict.fromkeys(_identifier(text.strip()) for text in ids.split(","))
    for name, text in (("characters", characters), ("virtual_shards", virtual_shards)):
        if not text.isdecimal() or len(text) > 18:
            raise UserError(f"--{name} is '{text}': choose 0, 1, 2 ...")
    prepared = Prepared(pathlib.Path(data), most_damaged=sys.maxsize)
    most = int(characters) or None
    for component, document in found(prepared, wanted, int(virtual_shards)):
        del wanted[document.id]
        size = len(document.text)
        print(f"{document.id:#x}: {component['name']} ({component['language']}), {size:,} characters")
        print(plain(document.text[:most]) + (" ..." if most and size > most else ""), end="\n\n")
    if wanted:
        lost = len(prepared.damage)
        raise UserError(
            f"{data} has no training document {', '.join(map(hex, wanted))}"
            + (f", but {lost:,} damaged ones" if lost else "")
            + ": name the folder that the run was trained on, and its --virtual_shards."
        )


def _identifier(text: str) -> int:
    digits, base = (text[2:], 16) if text[:2].lower() == "0x" else (text, 10)
    try:
        if digits.isalnum() and 0 <= int(digits[:40], base) < 2**64:
            return int(digits[:40], base)
    except ValueError:
        pass
    raise UserError(f"--ids has '{text:.60}': name ids of documents, 1742 or 0x6ce, separated by commas.")


_SHOW_OPTIONS = {
    "data": ("", "prepared folder"),
    "ids": ("", "of the documents, in decimal or as 0x..., separated by commas"),
    "characters": ("0", "of each text at most; 0 = all"),
    "virtual_shards": ("8", "of the run, where its corpus had fewer documents and was cut into pieces"),
}

_OPTIONS = {
    "rows": ("4", "rows to print"),
    "batches": ("20", "batches that the shares are of"),
    "data": ("", "prepared folder in place of --config.data, for a run's own --config=RUN/config.json"),
}


def main(argv: Sequence[str]) -> None:
    if argv[1:2] == ["inspect"]:
        configs.main(inspect, _INSPECT, _OPTIONS, [argv[0], *argv[2:]])
    elif argv[1:2] == ["show"]:
        configs.main_without_config(show, _SHOW, _SHOW_OPTIONS, [argv[0], *argv[2:]])
    elif any(argument in ("-h", "-help", "--help") for argument in argv[1:]):
        print(__doc__.strip())
    else:
        with errors_as_sentences():
            what = f"'{argv[1]}' is not known" if argv[1:] else "nothing is asked for"
            raise UserError(f"{what}: python -m linkjax.data --help says what there is.")


if __name__ == "__main__":
    main(sys.argv)
