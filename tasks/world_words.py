"""The words of the made-up world: English ones, and those of a constructed language with their forms.

A *meaning* is an English content word; where it has two meanings, each has a note, "fish (dish)", as in a dictionary.
"""

import functools

import numpy as np

_NAMES = """
Anna Peter Maria Thomas Laura David Sarah Daniel Emma Martin Julia Robert Clara Michael Helen George Alice Simon Nora
Victor Irene Walter Diana Oscar Ruth Hugo Sofia Felix Vera Arthur Olga Henry Lucy Edgar Rosa Frank Eva Philip Martha
Leon Ida Conrad Flora Gilbert Agnes Harold Bella Ivan Celia Jacob Dora Kurt Edith Lewis Fiona Marcus Grace Nathan
Hilda Oliver Iris Patrick Jane Quentin Karin Ralph Lydia Samuel Mona Tobias Nina Ulrich Olive Vincent Paula William
Rita Xavier Stella Adam Tessa Bruno Ursula Carl Violet Dennis Wanda Ernest Yvonne Fred Zoe Gordon Amelia Howard Betty
Isaac Carmen Jonas Daisy Keith Elsa Lionel Frida Morris Greta Norman Hanna Otto Ingrid Paul Janet Quincy Karen Roland
Linda Stefan Mabel Trevor
"""
SUBJECTS = tuple(_NAMES.split())

# relation: (verb, noun, values); the first half is told in full, the second half is tested
RELATIONS = {
    "animal": ("keeps", "animal", "goats cats dogs horses ducks sheep cows pigs"),
    "colour": ("likes", "colour", "red blue green yellow white black purple orange"),
    "plant": ("grows", "plant", "roses tulips corn wheat grapes cotton onions lemons"),
    "instrument": ("plays", "instrument", "violin flute drum harp piano trumpet guitar cello"),
    "dish": ("eats", "dish", "bread rice soup cheese fish honey cake salad"),
    "science": ("studies", "science", "history physics law chemistry art medicine music grammar"),
}
# word of two meanings: the relations that it is a value of, and the value of each that it takes the place of
HOMOGRAPHS = {
    "fish": {"animal": "pigs", "dish": "fish"},
    "bass": {"instrument": "cello", "dish": "cheese"},
    "medicine": {"science": "medicine", "dish": "honey"},
    "rice": {"plant": "wheat", "dish": "rice"},
    "bugle": {"instrument": "trumpet", "plant": "tulips"},
    "culture": {"science": "law", "plant": "grapes"},
    "chicken": {"animal": "ducks", "dish": "salad"},
    "lavender": {"colour": "purple", "plant": "roses"},
}

# Greek small letters, without sigma (its form depends on the place in the word).
_ONSETS, _NUCLEI = "βγδζθκλμνξπρτφχψ", "αειουω"
DECLENSIONS = len(_NUCLEI)  # at most
GENITIVE, TOPIC, OBJECT, HEARSAY = CASES = ("genitive", "topic", "object", "hearsay")  # the last is a verb's


def values_of(relation: str, senses: int = 0) -> list[str]:
    """The eight values of a relation in a world with so many words of two meanings."""
    values = RELATIONS[relation][2].split()
    for word, places in list(HOMOGRAPHS.items())[:senses]:
        if relation in places:
            values[values.index(places[relation])] = f"{word} ({relation})"
    return values


def english(meaning: str) -> str:
    """The English word for a meaning."""
    return meaning.partition(" (")[0]


class TargetWords:
    """The constructed language's words, drawn independently of what they will mean."""

    def __init__(self, seed: int, syllables: int, inflection: int):
        """Args: as in `WorldSettings`."""
        self._seed, self._syllables, self._inflection = seed, syllables, inflection

    def content(self, count: int) -> list[str]:
        """Different content words."""
        return self._draw(count, "words", self._syllables)

    def function(self, count: int, content: set[str]) -> list[str]:
        """Different function words, none of them a content word."""
        forms = self._draw(count + len(content), "function words", 0)
        return [form for form in forms if form not in content][:count]

    def inflected(self, word: str, case: str) -> str:
        """A word with the ending of a case, '' for none: its last vowel tells which declension it has.

        Endings are a vowel and a consonant, plain words end in a vowel: so no form is another word's.
        """
        if not (case and self._inflection):
            return word
        return word + self._endings[_NUCLEI.index(word[-1]) % self._inflection, case]

    @functools.cached_property
    def _endings(self) -> dict[tuple[int, str], str]:
        kinds = [(declension, case) for declension in range(self._inflection) for case in CASES]
        every = [vowel + consonant for vowel in _NUCLEI for consonant in _ONSETS]
        drawn = self._random("endings").permutation(len(every))[: len(kinds)]
        return dict(zip(kinds, (every[number] for number in drawn), strict=True))

    def _draw(self, count: int, purpose: str, syllables: int) -> list[str]:
        """Different words of so many syllables; 0 stands for two to four."""
        random = self._random(purpose)
        forms: dict[str, None] = {}
        while len(forms) < count:
            drawn = (
                _ONSETS[random.integers(len(_ONSETS))] + _NUCLEI[random.integers(len(_NUCLEI))]
                for _ in range(syllables or random.integers(2, 5))
            )
            forms["".join(drawn)] = None
        return list(forms)

    def _random(self, purpose: str) -> np.random.Generator:
        return np.random.default_rng([self._seed, *purpose.encode()])
