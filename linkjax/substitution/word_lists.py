"""Lists of English words that settings name: a file, or one that comes with LinkJAX."""

import pathlib

from linkjax.errors import UserError
from linkjax.files import read_text

# The closed classes: articles, pronouns, prepositions, conjunctions, auxiliaries, and the adverbs among them.
_FUNCTION_WORDS = """
a an the this that these those each every either neither some any no none all both half few many much more most
several such own other another same
i me my mine myself you your yours yourself yourselves he him his himself she her hers herself it its itself we us
our ours ourselves they them their theirs themselves one ones who whom whose which what whoever whatever whichever
someone somebody something anyone anybody anything everyone everybody everything nobody nothing
about above across after against along among amongst around as at before behind below beneath beside besides between
beyond by despite down during except for from in inside into like near of off on onto out outside over past per since
through throughout till to toward towards under underneath until up upon via with within without
and or but nor so yet if then else than because although though while whereas unless whether once lest
am is are was were be been being have has had having do does did doing done will would shall should can could may
might must ought need dare used
not never ever also just only even very too quite rather almost again there here where when why how thus hence
therefore however still already now
"""

_MOST_CHARACTERS = 1 << 26
NAMED = {"english_function_words": frozenset(_FUNCTION_WORDS.split())}


def read_word_list(name: str) -> frozenset[str]:
    """The lower-cased words of a named list, or of a file with one a line; none for ''.

    Raises:
      UserError: there is no such list or file, or it is empty.
    """
    if not name:
        return frozenset()
    if name in NAMED:
        return NAMED[name]
    path = pathlib.Path(name)
    if not path.is_file():
        raise UserError(f"word list '{name}' is neither a file nor one of {', '.join(NAMED)}.")
    text = read_text(path, _MOST_CHARACTERS, "it has one word a line")
    words = frozenset(line.strip().lower() for line in text.split("\n")) - {""}
    if not words:
        raise UserError(f"word list {path} is empty: it has one word a line.")
    return words
