"""Word list formats: one module each (the plain tables share one), with

NAME: what `--format` calls it.
TITLE: what it is, in a few words.
matches(path, head): whether a file that starts with the bytes `head` (decompressed) is of this format.
read(reading): yields its raw `Pair`s, English first, one translation each, in the file's order.
"""

from types import ModuleType, SimpleNamespace

from linkjax.errors import UserError
from linkjax.lexicon.formats import (
    cedict,
    dictd,
    dix,
    edict,
    eflomal,
    fast_align,
    jmdict,
    moses,
    panlex,
    tables,
    tei,
    wiktextract,
)
from linkjax.lexicon.formats.reading import Reading, ReadOptions

# In the order they are asked; a plain table is what is left.
_MODULES: tuple[ModuleType | SimpleNamespace, ...] = (
    wiktextract,
    panlex,
    jmdict,
    dix,
    cedict,
    edict,
    eflomal,
    moses,
    fast_align,
    dictd,
    tei,
    tables.TSV,
    tables.CSV,
    tables.MUSE,
)

FORMATS: dict[str, ModuleType | SimpleNamespace] = {module.NAME: module for module in _MODULES}


def find_format(reading: Reading) -> ModuleType | SimpleNamespace:
    """The format that the user names, else the first that knows the file.

    Raises:
      UserError: there is no such format, or none knows the file.
    """
    name = reading.options.format
    if name:
        if name not in FORMATS:
            raise UserError(f"lexicon format '{name}' is not known: choose one of {', '.join(FORMATS)}.")
        return FORMATS[name]
    head = reading.head()
    for module in FORMATS.values():
        if module.matches(reading.path, head):
            return module
    raise UserError(f"lexicon {reading.path} is of no format known here: name one of {', '.join(FORMATS)}.")


__all__ = ["FORMATS", "ReadOptions", "Reading", "find_format"]
