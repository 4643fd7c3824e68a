"""Settings of the intervention, each with its meaning, and the ratio's course over training."""

import dataclasses
import math

import numpy as np

from linkjax.errors import UserError
from linkjax.settings import setting

_CHOICES = {
    "ratio_of": ("eligible", "words"),
    "schedule": ("constant", "linear", "cosine", "steps"),
    "select": ("uniform", "domain", "non_domain"),
    "sense": ("uniform", "first", "weighted", "per_document"),
    "case": ("match", "lexicon"),
    "loss_on_swapped": ("yes", "no", "original"),
}


@dataclasses.dataclass(frozen=True)
class LinkSettings:
    """Settings of the intervention. Ratio 0 leaves every document byte for byte as it is."""

    ratio: float = setting(0.5, "share of the eligible words (those in the lexicon) swapped in a touched document")
    ratio_of: str = setting("eligible", "what ratio is a share of: eligible words, or all words of a touched document")
    schedule: str = setting("constant", "course of the ratio over training: constant, linear, cosine or steps")
    ratio_end: float = setting(0.0, "ratio at the end of training, for schedule linear and cosine")
    ratio_steps: str = setting("", "for schedule steps: 'PROGRESS:RATIO,...' from ratio on, e.g. '0.5:0.25,0.9:0'")
    portion: float = setting(1.0, "share of the English documents that is touched, by document id and seed")
    portion_redraw: bool = setting(False, "draw the touched documents anew at every pass over the corpus")
    max_swaps_per_sentence: int = setting(0, "no more swaps than this in one sentence; 0 = no limit")
    select: str = setting("uniform", "which words of the lexicon: uniform (all), domain or non_domain (domain_words)")
    domain_words: str = setting("", "word list that says what is domain: a file, one word a line")
    exclude: str = setting("", "words never swapped: a file, one word a line, or 'english_function_words'")
    sense: str = setting(
        "uniform", "which translation: uniform, first, weighted (lexicon's) or per_document (one each)"
    )
    case: str = setting("match", "case of a translation: match (that of the word it replaces) or lexicon (as listed)")
    multiword_sources: bool = setting(True, "whether entries of several English words are swapped, longest first")
    multiword_targets: bool = setting(True, "whether translations of several words are used")
    lemmas: bool = setting(True, "whether a word not in the lexicon takes the translations of its lemma (dogs: dog)")
    protect: bool = setting(True, "leave URLs, e-mail, code, mark-up, acronyms and words with digits alone")
    language_weights: str = setting("", "with several target languages: their weights, 'sw:3,de:1'; empty = equal")
    coverage: float = setting(1.0, "control: share of the lexicon's entries that is used")
    holdout: float = setting(0.0, "share of the lexicon's entries never swapped, kept for probes")
    scramble: bool = setting(False, "control: wrong pairs, matched in frequency and length")
    random_targets: bool = setting(False, "control: words of the target text by their frequency, whatever they mean")
    loss_on_swapped: str = setting("yes", "loss on swapped-in tokens: yes, no, or original (the English word's piece)")
    seed: int = setting(0, "seed of all draws of the intervention")

    def __post_init__(self):
        for name in ("ratio", "ratio_end", "portion", "coverage", "holdout"):
            value = getattr(self, name)
            if not 0 <= value <= 1:
                raise UserError(f"link.{name} is {value}, but it is a share: choose a value from 0 to 1.")
        for name in ("max_swaps_per_sentence", "seed"):
            value = getattr(self, name)
            if not 0 <= value < 2**31:
                raise UserError(f"link.{name} is {value}: choose 0 or more, below 2^31.")
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                raise UserError(f"link.{name} is '{getattr(self, name)}': choose one of {', '.join(choices)}.")
        if self.select != "uniform" and not self.domain_words:
            raise UserError(f"link.select={self.select} needs a word list: name its file in link.domain_words.")
        if self.scramble and self.random_targets:
            raise UserError("link.scramble and link.random_targets are two controls: set one.")
        if self.ratio_of == "words" and self.max_swaps_per_sentence:
            raise UserError("link.ratio_of=words promises a share that link.max_swaps_per_sentence may cut: set one.")
        if (self.schedule == "steps") != bool(self.ratio_steps):
            raise UserError("link.schedule=steps and link.ratio_steps go together: set both or neither.")
        self.steps()
        self.weights()

    def steps(self) -> tuple[tuple[float, float], ...]:
        """(progress, ratio from there on) of schedule steps, in order."""
        steps = _pairs("ratio_steps", self.ratio_steps, "'0.5:0.25,0.9:0'")
        numbers = [(_number("ratio_steps", place), ratio) for place, ratio in steps]
        places = [place for place, _ in numbers]
        if places != sorted(set(places)) or not all(0 <= value <= 1 for step in numbers for value in step):
            raise UserError(f"link.ratio_steps is '{self.ratio_steps}': progress must rise, all numbers from 0 to 1.")
        return tuple(numbers)

    def weights(self) -> dict[str, float]:
        """Language -> weight, empty where none are given."""
        pairs = _pairs("language_weights", self.language_weights, "'sw:3,de:1'")
        weights = dict(pairs)
        if len(weights) < len(pairs):
            raise UserError(f"link.language_weights is '{self.language_weights}': a language is named twice.")
        if any(weight < 0 for weight in weights.values()) or (weights and not sum(weights.values())):
            raise UserError(f"link.language_weights is '{self.language_weights}': weights are 0 or more, not all 0.")
        return weights

    def ratios(self, progress: np.ndarray) -> np.ndarray:
        """The ratio at each point of training, 0 (start) to 1 (end)."""
        progress = np.clip(progress, 0.0, 1.0)
        if self.schedule == "steps":
            places, ratios = zip(*self.steps(), strict=True)
            return np.array([self.ratio, *ratios])[np.searchsorted(places, progress, side="right")]
        if self.schedule == "linear":
            return self.ratio + (self.ratio_end - self.ratio) * progress
        if self.schedule == "cosine":
            return self.ratio_end + (self.ratio - self.ratio_end) * (1 + np.cos(np.pi * progress)) / 2
        return np.full(len(progress), self.ratio)

    @property
    def needs_statistics(self) -> bool:
        """Whether its pairs are made from how frequent words are."""
        return self.scramble or self.random_targets

    @property
    def highest_ratio(self) -> float:
        later = {"steps": [ratio for _, ratio in self.steps()], "linear": [self.ratio_end], "cosine": [self.ratio_end]}
        return max([self.ratio, *later.get(self.schedule, [])])


def _pairs(name: str, text: str, example: str) -> list[tuple[str, float]]:
    pairs = []
    for part in filter(None, text.split(",")):
        key, colon, value = part.partition(":")
        if not colon:
            raise UserError(f"link.{name} is '{text}': write it like {example}.")
        pairs.append((key.strip(), _number(name, value)))
    return pairs


def _number(name: str, text: str) -> float:
    try:
        number = float(text)
    except ValueError as error:
        raise UserError(f"link.{name} has '{text}' where a number belongs.") from error
    if not math.isfinite(number):
        raise UserError(f"link.{name} has '{text}' where a finite number belongs.")
    return number
