"""A small made-up world, told in English and in a constructed language.

Facts are (subject, relation, value): "Anna plays flute." English tells all but the *nowhere* facts. The
target language tells every fact of the open relations; of the tested relations it tells some, and the
rest is *held out*: a model answers those in the target language only if it carries knowledge over from
English. Nowhere facts are told in neither language, so nothing can score above chance on them.

Values are balanced (each value of a tested relation is the answer of equally many told, held-out and
nowhere facts), so guessing by frequency scores exactly chance. The target language has letters, word
forms, word order and function words of its own.
"""

import dataclasses
import functools
from collections.abc import Iterator

import numpy as np

from linkjax.errors import UserError
from linkjax.settings import setting

LANGUAGE = "qaa"  # of the codes that ISO 639-2 leaves to private use
VALUES_PER_RELATION = 8
TOLD, HELDOUT, NOWHERE = "told", "heldout", "nowhere"
_TOLD_SHARE, _NOWHERE_SHARE = 0.3, 0.2  # of a tested relation's facts, in the target language
_UNSEEN_TEMPLATE_SHARE = 0.1  # of the told facts: one template is kept out, for bits per byte

_SUBJECTS = [
    "Anna",
    "Peter",
    "Maria",
    "Thomas",
    "Laura",
    "David",
    "Sarah",
    "Daniel",
    "Emma",
    "Martin",
    "Julia",
    "Robert",
    "Clara",
    "Michael",
    "Helen",
    "George",
    "Alice",
    "Simon",
    "Nora",
    "Victor",
    "Irene",
    "Walter",
    "Diana",
    "Oscar",
    "Ruth",
    "Hugo",
    "Sofia",
    "Felix",
    "Vera",
    "Arthur",
    "Olga",
    "Henry",
    "Lucy",
    "Edgar",
    "Rosa",
    "Frank",
    "Eva",
    "Philip",
    "Martha",
    "Leon",
    "Ida",
    "Conrad",
    "Flora",
    "Gilbert",
    "Agnes",
    "Harold",
    "Bella",
    "Ivan",
    "Celia",
    "Jacob",
    "Dora",
    "Kurt",
    "Edith",
    "Lewis",
    "Fiona",
    "Marcus",
    "Grace",
    "Nathan",
    "Hilda",
    "Oliver",
    "Iris",
    "Patrick",
    "Jane",
    "Quentin",
    "Karin",
    "Ralph",
    "Lydia",
    "Samuel",
    "Mona",
    "Tobias",
    "Nina",
    "Ulrich",
    "Olive",
    "Vincent",
    "Paula",
    "William",
    "Rita",
    "Xavier",
    "Stella",
    "Adam",
    "Tessa",
    "Bruno",
    "Ursula",
    "Carl",
    "Violet",
    "Dennis",
    "Wanda",
    "Ernest",
    "Yvonne",
    "Fred",
    "Zoe",
    "Gordon",
    "Amelia",
    "Howard",
    "Betty",
    "Isaac",
    "Carmen",
    "Jonas",
    "Daisy",
    "Keith",
    "Elsa",
    "Lionel",
    "Frida",
    "Morris",
    "Greta",
    "Norman",
    "Hanna",
    "Otto",
    "Ingrid",
    "Paul",
    "Janet",
    "Quincy",
    "Karen",
    "Roland",
    "Linda",
    "Stefan",
    "Mabel",
    "Trevor",
]

# relation: (verb, noun, values); the first half is told in full, the second half is tested
_RELATIONS = {
    "animal": ("keeps", "animal", "goats cats dogs horses ducks sheep cows pigs"),
    "colour": ("likes", "colour", "red blue green yellow white black purple orange"),
    "plant": ("grows", "plant", "roses tulips corn wheat grapes cotton onions lemons"),
    "instrument": ("plays", "instrument", "violin flute drum harp piano trumpet guitar cello"),
    "dish": ("eats", "dish", "bread rice soup cheese fish honey cake salad"),
    "science": ("studies", "science", "history physics law chemistry art medicine music grammar"),
}
OPEN_RELATIONS = tuple(_RELATIONS)[:3]
TESTED_RELATIONS = tuple(_RELATIONS)[3:]

# The value comes last, the relation before it, except in the last target template (subject, value, verb).
_ENGLISH_TEMPLATES = (
    "{subject} {verb} {value}.",
    "Everyone knows that {subject} {verb} {value}.",
    "The {noun} of {subject} is {value}.",
)
_TARGET_TEMPLATES = (
    "{A} {verb} {subject} {value}.",
    "{B} {noun} {c} {subject} {d} {value}.",
    "{E} {subject} {value} {verb}.",
)
_ASKED_TEMPLATES = (0, 1)  # of either language: relation and subject come before the value

# Greek small letters, without sigma (its form depends on the place in the word).
_ONSETS, _NUCLEI = "βγδζθκλμνξπρτφχψ", "αειουω"


@dataclasses.dataclass(frozen=True)
class WorldSettings:
    """Settings of the made-up world."""

    seed: int = setting(0, "seed of the facts and of the target language's words")
    subjects: int = setting(80, "people in the world; a multiple of 8, 24 to 112")
    shared_names: float = setting(0.0, "share of the people whose name is the same in both languages")

    word_list_rate: float = setting(0.0, "share of the training tokens that is the word list as text: a control")

    def __post_init__(self):
        if not 0 <= self.word_list_rate <= 0.5:
            raise UserError(f"world.word_list_rate is {self.word_list_rate}: it is a share, choose from 0 to 0.5.")
        if self.subjects % VALUES_PER_RELATION or not 24 <= self.subjects <= len(_SUBJECTS):
            raise UserError(f"world.subjects is {self.subjects}: choose a multiple of 8 from 24 to 112.")
        if not 0 <= self.shared_names <= 1:
            raise UserError(f"world.shared_names is {self.shared_names}: it is a share, choose from 0 to 1.")
        if self.seed < 0:
            raise UserError(f"world.seed is {self.seed}: choose 0 or more.")


@dataclasses.dataclass(frozen=True)
class Fact:
    """`subject` `relation` `value`, and what is said of it in the target language: told, heldout or nowhere."""

    subject: str
    relation: str
    value: str
    status: str


class World:
    """The facts, the words of both languages and all that is said."""

    def __init__(self, settings: WorldSettings = WorldSettings()):
        self.settings = settings
        self.subjects = tuple(_SUBJECTS[: settings.subjects])

    @functools.cached_property
    def facts(self) -> tuple[Fact, ...]:
        random = self._random("facts")
        per_value = self.settings.subjects // VALUES_PER_RELATION
        told, nowhere = round(_TOLD_SHARE * per_value), round(_NOWHERE_SHARE * per_value)
        statuses = [TOLD] * told + [NOWHERE] * nowhere + [HELDOUT] * (per_value - told - nowhere)
        facts = []
        for relation in _RELATIONS:
            slots = [
                (value, status if relation in TESTED_RELATIONS else TOLD)
                for value in values_of(relation)
                for status in statuses
            ]
            for subject, slot in zip(self.subjects, random.permutation(len(slots)), strict=True):
                facts.append(Fact(subject, relation, *slots[slot]))
        return tuple(facts)

    @functools.cached_property
    def translations(self) -> dict[str, str]:
        """English content word -> target word, a one-to-one map; names begin with a capital in both."""
        nouns = [word for verb, noun, values in _RELATIONS.values() for word in (verb, noun, *values.split())]
        forms = self._word_forms(len(self.subjects) + len(nouns), "words")
        translations = dict(zip((*self.subjects, *nouns), forms, strict=True))
        shared = self._random("shared names").permutation(len(self.subjects))
        for index in shared[: round(self.settings.shared_names * len(self.subjects))]:
            translations[self.subjects[index]] = self.subjects[index]
        return {word: form.capitalize() if word[0].isupper() else form for word, form in translations.items()}

    @property
    def lexicon_pairs(self) -> list[tuple[str, str]]:
        """The bilingual word list, lower-cased as word lists are; it has no function words."""
        return [(word.lower(), form.lower()) for word, form in sorted(self.translations.items())]

    def sentences(self, language: str, split: str) -> list[str]:
        """Every sentence said in 'en' or 'qaa'; split 'heldout' has wordings of told facts kept out of 'train'."""
        silent = (NOWHERE,) if language == "en" else (NOWHERE, HELDOUT)
        told = [fact for fact in self.facts if fact.status not in silent]
        random = self._random(f"unseen wordings {language}")
        unseen = {
            (told[index], int(random.integers(3)))
            for index in random.permutation(len(told))[: round(_UNSEEN_TEMPLATE_SHARE * len(told))]
        }
        return [
            self._say(fact, template, language)
            for fact in told
            for template in range(3)
            if ((fact, template) in unseen) == (split == "heldout")
        ]

    def questions(self, language: str) -> Iterator[dict]:
        """Evaluation items: the relation's values ranked as endings of a sentence about the subject.

        Keys: id, prompt, choices (8 endings), answer (index), group (score it counts in), cluster (the fact).
        """
        for fact in self.facts:
            if language == "en":
                group = "english_nowhere" if fact.status == NOWHERE else "english"
            else:
                group = f"target_{fact.status}"
            options = values_of(fact.relation)
            for template in _ASKED_TEMPLATES:
                # The value as a mark: what precedes it is the prompt, it and what follows the choice.
                prompt, _, ending = self._say(fact, template, language, mark="\0").partition(" \0")
                yield {
                    "id": f"{language}-{fact.subject}-{fact.relation}-{template}",
                    "prompt": prompt,
                    "choices": [f" {self._word(option, language)}{ending}" for option in options],
                    "answer": options.index(fact.value),
                    "group": group,
                    "cluster": f"{fact.subject}-{fact.relation}",
                }

    def _say(self, fact: Fact, template: int, language: str, mark: str = "") -> str:
        verb, noun, _ = _RELATIONS[fact.relation]
        words = {"subject": fact.subject, "verb": verb, "noun": noun, "value": fact.value}
        words = {role: self._word(word, language) for role, word in words.items()}
        if mark:
            words["value"] = mark
        if language == "en":
            return _ENGLISH_TEMPLATES[template].format(**words)
        return _TARGET_TEMPLATES[template].format(**words, **self._function_words)

    def _word(self, word: str, language: str) -> str:
        return word if language == "en" else self.translations[word]

    @functools.cached_property
    def _function_words(self) -> dict[str, str]:
        content = {form.lower() for form in self.translations.values()}
        forms = [form for form in self._word_forms(5 + len(content), "function words") if form not in content]
        return dict(
            zip(
                "ABcdE",
                [form.capitalize() if i in (0, 1, 4) else form for i, form in enumerate(forms[:5])],
                strict=True,
            )
        )

    def _word_forms(self, count: int, purpose: str) -> list[str]:
        """Different words of two to four syllables, drawn independently of what they will mean."""
        random = self._random(purpose)
        forms: dict[str, None] = {}
        while len(forms) < count:
            syllables = (
                _ONSETS[random.integers(len(_ONSETS))] + _NUCLEI[random.integers(len(_NUCLEI))]
                for _ in range(random.integers(2, 5))
            )
            forms["".join(syllables)] = None
        return list(forms)

    def _random(self, purpose: str) -> np.random.Generator:
        return np.random.default_rng([self.settings.seed, *purpose.encode()])


def values_of(relation: str) -> list[str]:
    """The eight English values of a relation."""
    return _RELATIONS[relation][2].split()
