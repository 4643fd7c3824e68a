"""English lemmas: `dogs` has no entry in many a small word list where `dog` has one."""

import functools

from simplemma.strategies import DictionaryLookupStrategy

_DICTIONARY = DictionaryLookupStrategy()  # simplemma's rules for words it does not know cost 40 us and find no more
_APOSTROPHES = str.maketrans("’ʼ", "''")
CONTRACTED = frozenset(
    ["he", "here", "how", "it", "let", "she", "that", "there", "what", "when", "where", "who", "why"]
)


@functools.lru_cache(maxsize=1 << 17)
def english_lemma(word: str) -> str | None:
    """The lemma of a lower-case English word (in simplemma's dictionary), None where it is the word itself.

    A possessive 's is taken off first. Contractions have none: `it's` is no form of `it`, nor `don't` one of `do`.
    """
    bare = word.translate(_APOSTROPHES).removesuffix("'s")
    if not bare or "'" in bare or (bare != word and bare in CONTRACTED):
        return None
    lemma = (_DICTIONARY.get_lemma(bare, "en") or bare).lower()
    return None if lemma == word else lemma
