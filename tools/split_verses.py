"""Splits a `BOOK.CHAPTER.VERSE<TAB>text` file by book into plain text for training and for evaluation.

    python tools/split_verses.py new_testament.tsv --heldout=JOH,ACT,ROM,HEB,1CO --out=sw

Writes OUT/train.txt and OUT/heldout.txt, a verse a line. A held-out verse that shares five words in a row
with training, or a shorter one that is there as a whole, is dropped: held-out means unseen.
"""

import argparse
import pathlib
import sys

_WINDOW = 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("verses", type=pathlib.Path)
    parser.add_argument("--heldout", required=True, help="books kept out of training, separated by commas")
    parser.add_argument("--out", type=pathlib.Path, required=True, help="folder to write")
    arguments = parser.parse_args()
    books = set(arguments.heldout.split(","))
    train, heldout = [], []
    try:
        lines = arguments.verses.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        sys.exit(f"error: {arguments.verses} cannot be read: {error}.")
    for line in lines:
        place, _, text = line.partition("\t")
        (heldout if place.partition(".")[0] in books else train).append(text)
    seen = {window for text in train for window in _windows(text)}
    kept = [text for text in heldout if seen.isdisjoint(_windows(text))]
    if not train or not kept:
        sys.exit(f"error: {len(train)} verses for training and {len(kept)} held out: check the names in --heldout.")
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "train.txt").write_text("\n".join(train) + "\n", encoding="utf-8")
    (arguments.out / "heldout.txt").write_text("\n".join(kept) + "\n", encoding="utf-8")
    print(f"{len(train)} verses to train on, {len(kept)} held out, {len(heldout) - len(kept)} dropped as seen")


def _windows(text: str) -> set[tuple[str, ...]]:
    words = text.lower().split()
    return {tuple(words[start : start + _WINDOW]) for start in range(max(len(words) - _WINDOW, 0) + 1)}


if __name__ == "__main__":
    main()
