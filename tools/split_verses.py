"""Splits a `BOOK.CHAPTER.VERSE<TAB>text` file by book into plain text for training and for evaluation.

    python tools/split_verses.py new_testament.tsv --heldout=JOH,ACT,ROM,HEB,1CO --out=sw

Writes OUT/train.txt and OUT/heldout.txt, a verse a line. A held-out verse that shares five words in a row
with training, or a shorter one that is there as a whole, is dropped: held-out means unseen.
"""

import argparse
import pathlib
import re
import sys
from collections.abc import Container
from typing import NamedTuple

_WINDOW = 5
_WORD = re.compile(r"\w+")


class Split(NamedTuple):
    """Verses by place, in order: to train on, held out, and dropped as seen."""

    train: dict[str, str]
    heldout: dict[str, str]
    dropped: dict[str, str]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("verses", type=pathlib.Path)
    parser.add_argument("--heldout", required=True, help="books kept out of training, separated by commas")
    parser.add_argument("--out", type=pathlib.Path, required=True, help="folder to write")
    arguments = parser.parse_args()
    found = split(read_verses(arguments.verses), set(arguments.heldout.split(",")))
    write(found, arguments.out)
    print(f"{len(found.train)} verses to train on, {len(found.heldout)} held out, {len(found.dropped)} dropped as seen")


def read_verses(path: pathlib.Path) -> dict[str, str]:
    """Place -> text. Ends the program where the file cannot be read, or has a place twice."""
    verses: dict[str, str] = {}
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        sys.exit(f"error: {path} cannot be read: {error}.")
    for number, line in enumerate(lines, start=1):
        place, _, text = line.partition("\t")
        if not line.strip():
            continue
        if place in verses:
            sys.exit(f"error: {path}, line {number} is verse {place!r:.80} again: it must be there once.")
        verses[place] = text
    return verses


def split(verses: dict[str, str], books: Container[str]) -> Split:
    """Ends the program where there is nothing to train on, or nothing held out."""
    found = Split({}, {}, {})
    for place, text in verses.items():
        if place.partition(".")[0] not in books:
            found.train[place] = text
    seen = {window for text in found.train.values() for window in windows(text, _WINDOW)}
    for place, text in verses.items():
        if place not in found.train:
            of_kind = found.heldout if seen.isdisjoint(windows(text, _WINDOW)) else found.dropped
            of_kind[place] = text
    if not found.train or not found.heldout:
        counts = f"{len(found.train)} verses for training and {len(found.heldout)} held out"
        sys.exit(f"error: {counts}: check the names of the held-out books.")
    return found


def write(found: Split, folder: pathlib.Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, verses in (("train", found.train), ("heldout", found.heldout)):
        (folder / f"{name}.txt").write_text("".join(f"{text}\n" for text in verses.values()), encoding="utf-8")


def windows(text: str, length: int) -> set[tuple[str, ...]]:
    """As many words in a row, from everywhere in a text; of a shorter one all of it. Case and signs do not count."""
    words = _WORD.findall(text.lower())
    return {tuple(words[start : start + length]) for start in range(max(len(words) - length, 0) + 1)}


if __name__ == "__main__":
    main()
