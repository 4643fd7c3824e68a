"""Bilingual word lists: reading them, cleaning them, and the controls made from them."""

from linkjax.lexicon.cleaning import clean_pairs
from linkjax.lexicon.controls import WordStatistics, random_targets, scramble, thin
from linkjax.lexicon.formats import ReadOptions
from linkjax.lexicon.lexicon import Lexicon, Pair
from linkjax.lexicon.readers import read_lexicon, write_lexicon

__all__ = [
    "Lexicon",
    "Pair",
    "ReadOptions",
    "WordStatistics",
    "clean_pairs",
    "random_targets",
    "read_lexicon",
    "scramble",
    "thin",
    "write_lexicon",
]
