"""The verses of the World English Bible's New Testament, as the Sword module of Debian's sword-text-web prints them.

A verse is a line, and no line has a reference. Each book begins with a line that is its title; within a book verses
are counted. The edition leaves out four verses of the usual count, which it tells in footnotes only, and has the last
three of Romans where many manuscripts have them, after 14:23 and in one line with it.
"""

import sys
from collections.abc import Iterable, Sequence

TITLES = {
    "MAT": "The Good News According to Matthew",
    "MAR": "The Good News According to Mark",
    "LUK": "The Good News According to Luke",
    "JOH": "The Good News According to John",
    "ACT": "The Acts of the Apostles",
    "ROM": "Paul’s Letter to the Romans",
    "1CO": "Paul’s First Letter to the Corinthians",
    "2CO": "Paul’s Second Letter to the Corinthians",
    "GAL": "Paul’s Letter to the Galatians",
    "EPH": "Paul’s Letter to the Ephesians",
    "PHI": "Paul’s Letter to the Philippians",
    "COL": "Paul’s Letter to the Colossians",
    "1TH": "Paul’s First Letter to the Thessalonians",
    "2TH": "Paul’s Second Letter to the Thessalonians",
    "1TI": "Paul’s First Letter to Timothy",
    "2TI": "Paul’s Second Letter to Timothy",
    "TIT": "Paul’s Letter to Titus",
    "PHM": "Paul’s Letter to Philemon",
    "HEB": "The Letter to the Hebrews",
    "JAM": "The Letter from James",
    "1PE": "Peter’s First Letter",
    "2PE": "Peter’s Second Letter",
    "1JO": "John’s First Letter",
    "2JO": "John’s Second Letter",
    "3JO": "John’s Third Letter",
    "JUD": "The Letter from Jude",
    "REV": "The Revelation to John",
}
_LEFT_OUT = {"LUK.17.36", "ACT.8.37", "ACT.15.34", "ACT.24.7"}
_JOINED, _JOINED_TO = {"ROM.16.25", "ROM.16.26", "ROM.16.27"}, "ROM.14.23"


def verse_lines(lines: Sequence[str], places: Iterable[str]) -> dict[str, int]:
    """Place -> index of its line, of those that have one of their own.

    Args: `places` are BOOK.CHAPTER.VERSE, all of a book in order; books that are not among them are passed over.

    Ends the program where the lines are of another edition.
    """
    starts: dict[str, int] = {}
    names = {title: name for name, title in TITLES.items()}
    for number, line in enumerate(lines):
        if name := names.get(line.strip()):
            if name in starts:
                sys.exit(f"error: line {number + 1} of the English Bible is the title '{line.strip()}' again.")
            starts[name] = number
    if list(starts) != list(TITLES):
        missing = next((title for name, title in TITLES.items() if name not in starts), "one after another")
        sys.exit(f"error: the titles of the English Bible's books are not as expected ({missing}): another edition.")
    ends = dict(zip(starts, [*list(starts.values())[1:], len(lines)], strict=True))
    counted: dict[str, list[str]] = {}
    for place in places:
        if place not in _LEFT_OUT | _JOINED:
            counted.setdefault(place.partition(".")[0], []).append(place)
    found: dict[str, int] = {}
    for name, of_book in counted.items():
        if name not in starts:
            sys.exit(f"error: the English Bible has no book {name}: it has {', '.join(starts)}.")
        first, end = starts[name] + 1, ends[name]
        if end - first != len(of_book):
            sys.exit(f"error: {name} has {end - first} verses in English and {len(of_book)} here: another edition.")
        found |= zip(of_book, range(first, end), strict=True)
    found.pop(_JOINED_TO, None)
    return found
