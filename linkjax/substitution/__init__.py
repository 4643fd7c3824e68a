"""LINK: words of an English text swapped for target-language words (arXiv 2605.23885)."""

from linkjax.substitution.block import Block, Substituted
from linkjax.substitution.chunks import Span
from linkjax.substitution.engine import Substitution
from linkjax.substitution.settings import LinkSettings
from linkjax.substitution.words import WORD

__all__ = ["WORD", "Block", "LinkSettings", "Span", "Substituted", "Substitution"]
