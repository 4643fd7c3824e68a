"""LINK: words of an English text swapped for target-language words (arXiv 2605.23885)."""

from linkjax.substitution.engine import WORD, LinkSettings, Span, Substituted, Substitution, match_case

__all__ = ["WORD", "LinkSettings", "Span", "Substituted", "Substitution", "match_case"]
