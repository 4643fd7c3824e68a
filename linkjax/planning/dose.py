"""How many words to swap, and why."""

import dataclasses
from collections.abc import Iterable

# Share of all English words that is swapped. In the toy world 30 % taught what only English told, 17.5 % nearly as much
# (docs/results.md: 98.9 and 97.1 % of the untold facts, 12.3 without swaps); the run on Swahili in the README swapped
# 26 %. How much LINK's authors swapped is not known.
_SWAPPED = 0.25
_HIGHEST, _LOWEST = 0.8, 0.1
_FEW = 0.2
_LITTLE, _PLENTY = 0.01, 0.3


@dataclasses.dataclass(frozen=True)
class Dose:
    """`ratio` is that of `--config.link.ratio`, `swapped` the share of all English words that comes to."""

    ratio: float
    portion: float
    swapped: float
    reasons: tuple[str, ...]


def suggest(swappable: Iterable[float], rate: float, plenty: bool = True) -> Dose:
    """Args: the share of the English words that each lexicon covers, the share of the tokens in the languages, and
    whether there is as much text as the devices and the time have use for.
    """
    shares = list(swappable)
    covered = sum(shares) / len(shares)
    ratio = round(20 * min(max(_SWAPPED / covered, _LOWEST), _HIGHEST)) / 20
    reasons = [
        f"ratio {ratio:g} of {covered:.0%} swappable words swaps {ratio * covered:.0%} of all. In our toy world 30 %"
        " taught 98.9 % of what only English told and 17.5 % (one swap a sentence) 97.1 %, no swaps 12.3 %"
        " (docs/results.md); our Swahili run swapped 26 % (README.md). What LINK's authors swapped is not published"
        " (arXiv 2605.23885).",
        "portion 1: every English document is touched; nothing of ours speaks for less.",
    ]
    if covered < _FEW:
        reasons.append(
            "The list is small, and a larger one would help more than any ratio: add lists with"
            " `python -m linkjax.lexicon merge` (docs/lexicons.md says where they are)."
        )
    if rate < _LITTLE:
        reasons.append(
            f"The target text is so little that read as often as it bears it is {rate:.1%} of the tokens: more of it"
            " would help most."
        )
    if rate > _PLENTY and plenty:
        reasons.append(
            "There is much target text: expect less of LINK, since mixing languages hardly helps where both have"
            " plenty (arXiv 2601.00364); compare with --config.link.ratio=0."
        )
    reasons.append(
        "English gets somewhat worse for it. To know what the swaps are worth, run it once more with"
        " --config.link.ratio=0 and once with --config.link.scramble=True (wrong pairs, same dose)."
    )
    return Dose(ratio, 1.0, ratio * covered, tuple(reasons))
