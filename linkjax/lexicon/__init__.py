"""Bilingual word lists: reading them, cleaning them, and the controls made from them."""

from linkjax.lexicon.controls import WordStatistics, scramble, thin
from linkjax.lexicon.lexicon import Lexicon
from linkjax.lexicon.readers import read_lexicon, write_lexicon

__all__ = ["Lexicon", "WordStatistics", "read_lexicon", "scramble", "thin", "write_lexicon"]
