"""PanLex's CSV dump: a folder of tables (`panlex-20240301-csv.zip`).

expr (id, langvar, txt, txt_degr), denotation (id, meaning, expr), meaning (id, source), langvar (id, lang_code,
var_code, ...) and source (id, ..., quality, grp, ...), the columns of https://dev.panlex.org/database-design/. expr
and denotation are gigabytes: each is read twice, and only what touches the target language is held.
"""

import collections
import csv
import pathlib
from collections.abc import Iterator

from linkjax.errors import UserError
from linkjax.lexicon.formats.languages import is_same_language
from linkjax.lexicon.formats.reading import Reading

_TABLES = {
    "expr": ("id", "langvar", "txt"),
    "denotation": ("meaning", "expr"),
    "meaning": ("id", "source"),
    "langvar": ("id", "lang_code", "var_code"),
    "source": ("id", "quality", "grp"),
}
_SUFFIXES = ("", ".gz", ".bz2", ".xz")


def is_table(path: pathlib.Path, head: bytes) -> bool:
    """Whether this is one of the tables, by its name and its first line."""
    columns = _TABLES.get(path.name.split(".")[0])
    first = head.removeprefix(b"\xef\xbb\xbf").split(b"\n")[0].decode("utf-8", errors="replace")
    return columns is not None and ".csv" in path.suffixes and set(columns) <= set(first.strip().split(","))


def translate(reading: Reading, language: str) -> Iterator[tuple[str, str, dict[str, int]]]:
    """Yields (English, target, source group -> best quality), target expressions in the file's order.

    Raises:
      UserError: a table is missing or malformed, or has nothing of the language.
    """
    english, varieties = set(), set()
    for variety, code, number in _rows(reading, "langvar"):
        if code == "eng" and number == "0":
            english.add(variety)
        elif is_same_language(code, language):
            varieties.add(variety)
    if not varieties:
        raise UserError(f"{reading.path}: PanLex has no variety of --language={language}: see its langvar table.")

    targets = {expression: text for expression, variety, text in _rows(reading, "expr") if variety in varieties}
    meanings_of = collections.defaultdict(list)
    candidates_of = collections.defaultdict(set)
    for meaning, expression in _rows(reading, "denotation"):
        if expression in targets:
            meanings_of[expression].append(meaning)
            candidates_of[meaning] = set()
    for meaning, expression in _rows(reading, "denotation"):
        if meaning in candidates_of and expression not in targets:
            candidates_of[meaning].add(expression)

    candidates = set().union(*candidates_of.values())
    sources = {
        expression: text
        for expression, variety, text in _rows(reading, "expr")
        if variety in english and expression in candidates
    }
    source_of = {meaning: source for meaning, source in _rows(reading, "meaning") if meaning in candidates_of}
    standing = {source: (group or source, quality) for source, quality, group in _rows(reading, "source")}

    for expression, text in targets.items():
        qualities: dict[str, dict[str, int]] = {}
        for meaning in meanings_of[expression]:
            group, quality = standing.get(source_of.get(meaning, ""), ("", "0"))
            for candidate in sorted(candidates_of[meaning] & sources.keys()):
                best = qualities.setdefault(candidate, {})
                best[group] = max(best.get(group, 0), _grade(quality))
        for candidate, best in qualities.items():
            yield sources[candidate], text, best


def _grade(quality: str) -> int:
    return int(quality) if quality.isdecimal() and len(quality) < 3 else 0


def _rows(reading: Reading, table: str) -> Iterator[list[str]]:
    """Yields the wanted columns of a table's rows.

    Raises:
      UserError: the table is missing or malformed.
    """
    lines = Reading(_table_file(reading.path, table), reading.options)
    lines.counts = reading.counts
    rows = csv.reader((line for _, line in lines.lines()), strict=True)
    wanted, header = _TABLES[table], None
    while True:
        try:
            row = next(rows)
        except StopIteration:
            break
        except csv.Error as error:
            lines.malformed(rows.line_num, f"not CSV ({error})")
            continue
        if header is None:
            header = row
            if not set(wanted) <= set(header):
                break
            places = [header.index(column) for column in wanted]
        elif len(row) == len(header):
            yield [row[place] for place in places]
        else:
            lines.malformed(rows.line_num, f"{len(row)} columns, {len(header)} expected")
    if not set(wanted) <= set(header or ()):
        found = ",".join(header or ())[:80]
        raise UserError(f"{lines.path}, line 1: columns {', '.join(wanted)} expected, found '{found}'.")


def _table_file(path: pathlib.Path, table: str) -> pathlib.Path:
    folder = path if path.is_dir() else path.parent
    found = [file for suffix in _SUFFIXES if (file := folder / f"{table}.csv{suffix}").is_file()]
    if not found:
        raise UserError(f"{folder}: PanLex's {table}.csv is missing: unpack the whole CSV dump into one folder.")
    return found[0]
