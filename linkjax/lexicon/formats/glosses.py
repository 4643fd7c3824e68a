"""English glosses of a dictionary whose headwords are of the target language: which of them are words."""

import re
from collections.abc import Iterator

from linkjax.lexicon.formats.reading import Reading

_NOTE = re.compile(r"\([^()]*\)|\[[^\[\]]*\]|\{[^{}]*\}")
_OPENING = re.compile(r"^(?:to|an?|the) ", re.IGNORECASE)
_LONGEST = 3


def remove_notes(text: str) -> str:
    """The text without what stands in brackets, nested ones too, and with single spaces."""
    while text != (text := _NOTE.sub(" ", text)):
        pass
    return " ".join(text.split())


def short_glosses(reading: Reading, text: str, separators: str) -> Iterator[str]:
    """Yields the parts of a gloss that may stand for the headword in a text: at most three words.

    A leading "to" or article is kept and not counted. Longer parts are definitions, counted as such.
    """
    for part in re.split(f"[{re.escape(separators)}]", remove_notes(text)):
        gloss = part.strip(" .")
        if not gloss:
            continue
        if len(_OPENING.sub("", gloss, count=1).split()) > _LONGEST or any(bracket in gloss for bracket in "()[]{}"):
            reading.counts["dropped: definition, not a translation"] += 1
        else:
            yield gloss
