"""PanLex Lite, an SQLite database (`panlex_lite.zip`).

Releases name their tables in two ways: langvar (id, uid, lang_code), expr (id, langvar, txt) and denotationx (meaning,
expr, grp, quality), or, in older ones, abbreviated: lv (lv, uid, lc), ex (ex, lv, tt) and dnx (mn, ex, ui, uq), as in
https://www.nltk.org/_modules/nltk/corpus/reader/panlex_lite.html

The file is not trusted: opened read-only and as unchanging, plain tables only (no views, no virtual tables), its
schema may call no functions, and no text or row of more than 1 MiB is taken.
"""

import collections
import contextlib
import sqlite3
from collections.abc import Iterator

from linkjax.errors import UserError
from linkjax.lexicon.formats.languages import is_same_language
from linkjax.lexicon.formats.reading import Reading

_MAGIC = b"SQLite format 3\0"
_LONGEST = 1 << 20
_SCHEMAS = (
    {
        "langvar": ("id", "uid", "lang_code"),
        "expr": ("id", "langvar", "txt"),
        "denotationx": ("expr", "meaning", "grp", "quality"),
    },
    {"lv": ("lv", "uid", "lc"), "ex": ("ex", "lv", "tt"), "dnx": ("ex", "mn", "ui", "uq")},
)


def is_database(head: bytes) -> bool:
    """Whether a file that starts so is an SQLite database."""
    return head.startswith(_MAGIC)


def translate(reading: Reading, language: str) -> Iterator[tuple[str, str, dict[str, int]]]:
    """Yields (English, target, source group -> best quality), target expressions in the database's order.

    Raises:
      UserError: the file is broken, compressed or not PanLex Lite, or has nothing of the language.
    """
    try:
        with contextlib.closing(_connect(reading)) as database:
            yield from _translate(reading, database, language)
    except (sqlite3.Error, UnicodeDecodeError) as error:
        reading.malformed("SQLite database", f"cannot be read ({error})", ends=True)


def _connect(reading: Reading) -> sqlite3.Connection:
    with reading.path.open("rb") as file:
        if not is_database(file.read(len(_MAGIC))):
            raise UserError(f"{reading.path} is compressed: unpack the SQLite database first.")
    database = sqlite3.connect(f"{reading.path.resolve().as_uri()}?mode=ro&immutable=1", uri=True)
    database.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LONGEST)
    for pragma in ("trusted_schema = OFF", "query_only = ON", "cell_size_check = ON", "mmap_size = 0"):
        database.execute(f"PRAGMA {pragma}")
    return database


def _translate(
    reading: Reading, database: sqlite3.Connection, language: str
) -> Iterator[tuple[str, str, dict[str, int]]]:
    schema = next((schema for schema in _SCHEMAS if _has_tables(database, schema)), None)
    if schema is None:
        raise UserError(f"{reading.path} is no PanLex Lite database: tables langvar, expr and denotationx expected.")
    (langvar, langvar_columns), (expr, expr_columns), (denotation, denotation_columns) = schema.items()
    variety_id, uid, code = langvar_columns
    expression_id, variety, text = expr_columns
    expression, meaning, group, quality = denotation_columns

    varieties = [
        number
        for number, found in database.execute(f"SELECT {variety_id}, {code} FROM {langvar} ORDER BY {uid}")
        if isinstance(number, int) and isinstance(found, str) and is_same_language(found, language)
    ]
    if not varieties:
        raise UserError(f"{reading.path}: PanLex has no variety of --language={language}: see its {langvar} table.")
    # CROSS JOIN keeps this order, from the small side: SQLite would else guess, without statistics. The plus signs let
    # it make an index of its own where the file has none, whatever the columns' types.
    query = f"""
        SELECT target.{text}, source.{text}, mine.{group}, mine.{quality}
        FROM {expr} AS target
        CROSS JOIN {denotation} AS mine ON mine.{expression} = +target.{expression_id}
        CROSS JOIN {denotation} AS other ON other.{meaning} = +mine.{meaning}
        CROSS JOIN {expr} AS source ON source.{expression_id} = +other.{expression}
        WHERE target.{variety} = ? AND source.{variety} IN (SELECT {variety_id} FROM {langvar} WHERE {uid} = 'eng-000')
    """
    for number in varieties:
        current, qualities = None, collections.defaultdict(dict)
        for target, source, source_group, value in database.execute(query, (number,)):
            if not (isinstance(target, str) and isinstance(source, str) and isinstance(value, int)):
                reading.malformed(f"{expr} table", f"'{str(target)[:40]}', '{str(source)[:40]}' is not a pair of texts")
                continue
            if target != current:
                yield from ((english, current, best) for english, best in qualities.items())
                current, qualities = target, collections.defaultdict(dict)
            best = qualities[source]
            best[source_group] = max(best.get(source_group, 0), value)
        yield from ((english, current, best) for english, best in qualities.items())


def _has_tables(database: sqlite3.Connection, schema: dict[str, tuple[str, ...]]) -> bool:
    """Whether the database has these columns in plain tables."""
    for table, columns in schema.items():
        row = database.execute("SELECT sql FROM sqlite_master WHERE name = ?", (table,)).fetchone()
        if row is None or not isinstance(row[0], str) or not row[0].upper().startswith("CREATE TABLE"):
            return False
        names = {column for (column,) in database.execute("SELECT name FROM pragma_table_info(?)", (table,))}
        if not set(columns) <= names:
            return False
    return True
