"""Makes the files of configs/studies/swahili.py: text in two languages, a word list, and what is asked.

    python tools/swahili_study.py --real_data=DIR --out=runs/swahili_files

DIR has en/web_bible.txt, en/wikipedia.txt, en/office_help.txt, sw/new_testament.tsv, xcopa/test.sw.jsonl and, in
lexicons/, wiktionary.en-sw.tsv and freedict-eng-swh.index with its .dict.dz. Of five books of the New Testament no
Swahili is trained on. For half of their verses the English is not trained on either, nor any English line that shares
eight words in a row with one of those; which half is drawn for each seed by a hash of the verse's place. In OUT:

    sw/train.txt, sw/heldout.txt   Swahili; held-out verses share no five words in a row with training
    sw/measured.txt                every other one of the held-out verses, for bits per byte along the way
    en_heldout.txt                 one English line of 200, none of them of a held-out verse
    SEED/en.txt                    English to train on
    SEED/read.txt, withheld.txt    Swahili verses whose English is in en.txt, and those whose English is not
    SEED/en_read.txt ...           the same verses in English
    sw/half.txt                    every other verse of the Swahili to train on
    en-sw.tsv                      both word lists merged; each alone in lexicons/
    bible_words.txt                words that the Bible has more of than the other English
    xcopa/                         the test items alone: nothing is tuned on the others, so runs are scored on these
"""

import argparse
import hashlib
import pathlib
import shutil
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from split_verses import read_verses, split, windows, write
from web_bible import verse_lines

from linkjax.errors import errors_as_sentences
from linkjax.lexicon.coverage import count_english
from linkjax.lexicon.domain import domain_words
from linkjax.lexicon.formats import ReadOptions
from linkjax.lexicon.merging import merge
from linkjax.lexicon.readers import read_lexicon, write_lexicon

HELDOUT_BOOKS = ("JOH", "ACT", "ROM", "HEB", "1CO")
QUOTED = 8  # words in a row that another line must not share with withheld English
_ENGLISH = ("web_bible", "wikipedia", "office_help")
_LISTS = {"wiktionary": "wiktionary.en-sw.tsv", "freedict": "freedict-eng-swh.index"}
_HELDOUT_ONE_IN = 200
_TYPICAL = 2000  # words of the Bible


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--real_data", type=pathlib.Path, required=True, help="folder of the texts and word lists")
    parser.add_argument("--out", type=pathlib.Path, required=True, help="folder to write")
    parser.add_argument("--seeds", type=int, default=5, help="of the study")
    arguments = parser.parse_args()
    with errors_as_sentences():
        print(make(arguments.real_data, arguments.out, arguments.seeds))


def make(data: pathlib.Path, out: pathlib.Path, seeds: int) -> str:
    """Writes the files and says what is in them."""
    verses = read_verses(data / "sw/new_testament.tsv")
    swahili = split(verses, HELDOUT_BOOKS)
    english = {name: _lines(data / f"en/{name}.txt") for name in _ENGLISH}
    lines = [line for of_file in english.values() for line in of_file]  # the Bible's first: its numbers stay
    places = verse_lines(english["web_bible"], verses)
    asked = {place: places[place] for place in swahili.heldout if place in places}
    sharing = lines_sharing(lines, asked)
    kept_apart = {number for number, line in enumerate(lines) if number not in sharing and _is_heldout(line)}
    write(swahili, out / "sw")
    _write(out / "sw/half.txt", list(swahili.train.values())[::2])
    _write(out / "sw/measured.txt", list(swahili.heldout.values())[::2])
    _write(out / "en_heldout.txt", (lines[number] for number in sorted(kept_apart)))
    said = [f"{len(swahili.train)} Swahili verses to train on, {len(swahili.heldout)} held out, {len(asked)} to ask of"]
    for seed in range(seeds):
        withheld = {place for place in asked if is_withheld(place, seed)}
        gone = {number for number, of in sharing.items() if not withheld.isdisjoint(of)}
        read = [place for place in asked if asked[place] not in gone]
        (out / str(seed)).mkdir(exist_ok=True)
        left = (line for number, line in enumerate(lines) if number not in gone and number not in kept_apart)
        _write(out / f"{seed}/en.txt", left)
        for name, places in (("read", read), ("withheld", [place for place in asked if place in withheld])):
            _write(out / f"{seed}/{name}.txt", (verses[place] for place in places))
            _write(out / f"{seed}/en_{name}.txt", (lines[asked[place]] for place in places))
        also = len(gone) - len(withheld)
        said.append(f"seed {seed}: {len(read)} read, {len(withheld)} withheld; {also} more English lines left out")
    lists = {name: read_lexicon(data / f"lexicons/{file}", ReadOptions(language="sw")) for name, file in _LISTS.items()}
    merged = merge(lists)
    write_lexicon(merged, out / "en-sw.tsv")
    (out / "lexicons").mkdir(exist_ok=True)
    for name, entries in lists.items():
        write_lexicon(entries, out / f"lexicons/{name}.tsv")
    bible, *other = (count_english(english[name]) for name in _ENGLISH)
    _write(out / "bible_words.txt", (word for word, _ in domain_words(bible, sum(other, start=Counter()), _TYPICAL)))
    (out / "xcopa").mkdir(exist_ok=True)
    shutil.copyfile(data / "xcopa/test.sw.jsonl", out / "xcopa/test.sw.jsonl")
    return "\n".join([*said, f"{len(merged):,} entries in the word list"])


def is_withheld(place: str, seed: int) -> bool:
    return hashlib.blake2b(f"{seed} {place}".encode(), digest_size=1).digest()[0] < 128


def lines_sharing(lines: Sequence[str], asked: Mapping[str, int]) -> dict[int, set[str]]:
    """Index of a line -> the verses it shares eight words in a row with; a verse's own line is among them.

    Args: `asked`, place -> index of the verse's line.
    """
    verses_with: dict[tuple[str, ...], set[str]] = {}
    for place, number in asked.items():
        for window in windows(lines[number], QUOTED):
            verses_with.setdefault(window, set()).add(place)
    found: dict[int, set[str]] = {}
    for number, line in enumerate(lines):
        if shared := windows(line, QUOTED) & verses_with.keys():
            found[number] = set().union(*(verses_with[window] for window in shared))
    return found


def _is_heldout(line: str) -> bool:
    drawn = int.from_bytes(hashlib.blake2b(line.encode(), digest_size=8).digest(), "big")
    return drawn % _HELDOUT_ONE_IN == 0


def _lines(path: pathlib.Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        sys.exit(f"error: {path} cannot be read: {error}.")


def _write(path: pathlib.Path, lines: Iterable[str]) -> None:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


if __name__ == "__main__":
    main()
