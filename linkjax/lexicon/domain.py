"""The words that are typical of one text against another: what the selection settings call a domain."""

import math
from collections.abc import Mapping


def domain_words(domain: Mapping[str, int], general: Mapping[str, int], most: int) -> list[tuple[str, float]]:
    """The words that a domain's text has more of than general text, most typical first.

    Log-odds ratio with an informative Dirichlet prior, the counts of both texts together, in units of its
    standard deviation (Monroe, Colaresi and Quinn 2008, "Fightin' Words", equation 22): a rare word has to
    differ by more than a frequent one. Below 1.96 it is no word of the domain.

    Args:
      domain, general: word -> count.
      most: words at most.

    Returns:
      (word, its score), highest first.
    """
    both = {word: domain.get(word, 0) + general.get(word, 0) for word in {*domain, *general}}
    total = sum(both.values())
    sizes = sum(domain.values()), sum(general.values())

    def log_odds(count: int, size: int, prior: int) -> float:
        return math.log((count + prior) / max(size + total - count - prior, 1))

    scores = []
    for word, prior in both.items():
        counts = domain.get(word, 0), general.get(word, 0)
        difference = log_odds(counts[0], sizes[0], prior) - log_odds(counts[1], sizes[1], prior)
        score = difference / math.sqrt(1 / (counts[0] + prior) + 1 / (counts[1] + prior))
        if score > 1.96:
            scores.append((word, score))
    return sorted(scores, key=lambda item: (-item[1], item[0]))[:most]
