"""PanLex, translations among thousands of languages: https://panlex.org and https://dev.panlex.org/database-design/

An expression (a word in a language variety) has denotations, each ties it to a meaning, and a meaning is of one
source. Two expressions of one meaning translate each other. Two published layouts are read:
- the CSV dump (`panlex_csv`): name its folder with `--format=panlex`, or any of its files;
- PanLex Lite, an SQLite database (`panlex_sqlite`).

The weight is PanLex's own translation quality: of each group of sources that has the pair the best quality
(0 to 9), summed over the groups, https://www.nltk.org/api/nltk.corpus.reader.panlex_lite.html. English is the variety
eng-000; all varieties of the target language are read.
"""

import pathlib
from collections.abc import Iterator

from linkjax.lexicon.formats import panlex_csv, panlex_sqlite
from linkjax.lexicon.formats.languages import require_language
from linkjax.lexicon.formats.reading import Reading
from linkjax.lexicon.lexicon import Pair

NAME = "panlex"
TITLE = "PanLex (folder of CSV files, or PanLex Lite's SQLite database)"


def matches(path: pathlib.Path, head: bytes) -> bool:
    """One of the dump's tables by its name and columns, or an SQLite database."""
    return panlex_csv.is_table(path, head) or panlex_sqlite.is_database(head)


def read(reading: Reading) -> Iterator[Pair]:
    """Yields the pairs of the language the user names.

    Raises:
      UserError: no language is named, PanLex has none of it, a table is missing or malformed.
    """
    language = require_language(reading)
    is_database = not reading.path.is_dir() and panlex_sqlite.is_database(reading.head(64))
    layout = panlex_sqlite if is_database else panlex_csv
    for source, target, qualities in layout.translate(reading, language):
        weight = float(sum(qualities.values()))
        if weight < reading.options.minimum_weight:
            reading.counts["dropped: quality below the minimum"] += 1
        else:
            yield Pair(source, target, weight)
