"""A small made-up world, told in English and in a constructed language.

Facts are (subject, relation, value): "Anna plays flute." English tells all but the *nowhere* facts. The
target language tells every fact of the open relations; of the tested relations it tells some, and the
rest is *held out*: a model answers those in the target language only if it carries knowledge over from
English. Nowhere facts are told in neither language, so nothing can score above chance on them.

Values are balanced (each value of a tested relation is the answer of equally many told, held-out and
nowhere facts), so guessing scores exactly chance: by frequency, by length, whatever is preferred. The target
language has letters, word forms, word order and function words of its own.

The *strains* of a real language are settings, all off by default: endings that the word list does not have, words of
two meanings, long words, people seldom spoken of, rare words missing from the list (`configs/strained_world.py`).
"""

import collections
import dataclasses
import functools
import re
from collections.abc import Iterator

import numpy as np

from linkjax.errors import UserError
from linkjax.settings import setting
from tasks.world_words import (
    CASES,
    DECLENSIONS,
    GENITIVE,
    HEARSAY,
    HOMOGRAPHS,
    OBJECT,
    RELATIONS,
    SUBJECTS,
    TOPIC,
    TargetWords,
    english,
    values_of,
)

LANGUAGE = "qaa"  # of the codes that ISO 639-2 leaves to private use
VALUES_PER_RELATION = 8
TOLD, HELDOUT, NOWHERE = "told", "heldout", "nowhere"
_TOLD_SHARE, _NOWHERE_SHARE = 0.3, 0.2  # of a tested relation's facts, in the target language
_UNSEEN_TEMPLATE_SHARE = 0.1  # of the told facts: one template is kept out, for bits per byte

OPEN_RELATIONS = tuple(RELATIONS)[:3]
TESTED_RELATIONS = tuple(RELATIONS)[3:]

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
# Of each target template, where words have endings; each plain form is in one of them.
_TARGET_CASES = (
    {"value": OBJECT},
    {"subject": GENITIVE},
    {"subject": TOPIC, "value": OBJECT, "verb": HEARSAY},
)
_ASKED_TEMPLATES = (0, 1)  # of either language: relation and subject come before the value


@dataclasses.dataclass(frozen=True)
class WorldSettings:
    """Settings of the made-up world."""

    seed: int = setting(0, "seed of the facts and of the target language's words")
    subjects: int = setting(80, "people in the world; a multiple of 8, 24 to 112")
    shared_names: float = setting(0.0, "share of the people whose name is the same in both languages")
    shared_words: float = setting(0.0, "share of the other content words that is the same in both languages")
    syllables: int = setting(0, "syllables of the target language's content words, 2 to 8; 0 = two to four, drawn")
    inflection: int = setting(0, "declensions of the target language, up to 6; 0 = words have no endings")
    senses: int = setting(0, "English words with two meanings, up to 8: the target language has a word for each")
    zipf: float = setting(0.0, "people are spoken of as often as their rank to the power of -zipf; 0 = all alike")
    unlisted: float = setting(0.0, "share of the English content words, the rarest, that the word list does not have")
    word_list_rate: float = setting(0.0, "share of the training tokens that is the word list as text: a control")

    def __post_init__(self):
        if not 0 <= self.word_list_rate <= 0.5:
            raise UserError(f"world.word_list_rate is {self.word_list_rate}: it is a share, choose from 0 to 0.5.")
        if self.subjects % VALUES_PER_RELATION or not 24 <= self.subjects <= len(SUBJECTS):
            raise UserError(f"world.subjects is {self.subjects}: choose a multiple of 8 from 24 to 112.")
        for name in ("shared_names", "shared_words", "unlisted"):
            if not 0 <= getattr(self, name) <= 1:
                raise UserError(f"world.{name} is {getattr(self, name)}: it is a share, choose from 0 to 1.")
        if self.seed < 0:
            raise UserError(f"world.seed is {self.seed}: choose 0 or more.")
        if self.syllables not in (0, *range(2, 9)):
            raise UserError(f"world.syllables is {self.syllables}: choose 2 to 8, or 0 for two to four.")
        for name, most in (("inflection", DECLENSIONS), ("senses", len(HOMOGRAPHS))):
            if not 0 <= getattr(self, name) <= most:
                raise UserError(f"world.{name} is {getattr(self, name)}: choose 0 to {most}.")
        if not 0 <= self.zipf <= 2:
            raise UserError(f"world.zipf is {self.zipf}: choose 0 to 2.")


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
        self.subjects = SUBJECTS[: settings.subjects]
        self._words = TargetWords(settings.seed, settings.syllables, settings.inflection)

    def values_of(self, relation: str) -> list[str]:
        """The eight values of a relation, as meanings (`tasks.world_words`)."""
        return values_of(relation, self.settings.senses)

    @functools.cached_property
    def facts(self) -> tuple[Fact, ...]:
        random = self._random("facts")
        per_value = self.settings.subjects // VALUES_PER_RELATION
        told, nowhere = round(_TOLD_SHARE * per_value), round(_NOWHERE_SHARE * per_value)
        statuses = [TOLD] * told + [NOWHERE] * nowhere + [HELDOUT] * (per_value - told - nowhere)
        facts = []
        for relation in RELATIONS:
            slots = [
                (value, status if relation in TESTED_RELATIONS else TOLD)
                for value in self.values_of(relation)
                for status in statuses
            ]
            for subject, slot in zip(self.subjects, random.permutation(len(slots)), strict=True):
                facts.append(Fact(subject, relation, *slots[slot]))
        return tuple(facts)

    @functools.cached_property
    def translations(self) -> dict[str, str]:
        """Meaning -> target word in its plain form, a one-to-one map; names begin with a capital in both."""
        nouns = [word for relation, about in RELATIONS.items() for word in (*about[:2], *self.values_of(relation))]
        forms = self._words.content(len(self.subjects) + len(nouns))
        translations = dict(zip((*self.subjects, *nouns), forms, strict=True))
        shared = self._random("shared names").permutation(len(self.subjects))
        for index in shared[: round(self.settings.shared_names * len(self.subjects))]:
            translations[self.subjects[index]] = self.subjects[index]
        shared = self._random("shared words").permutation(len(nouns))
        for index in shared[: round(self.settings.shared_words * len(nouns))]:
            translations[nouns[index]] = english(nouns[index])
        return {word: form.capitalize() if word[0].isupper() else form for word, form in translations.items()}

    def forms(self, meaning: str) -> tuple[str, ...]:
        """The forms of a target word, the plain one first; a word that the languages share has no other."""
        word = self.translations[meaning]
        return (word,) if word == english(meaning) else (word, *(self._words.inflected(word, case) for case in CASES))

    @property
    def lexicon_pairs(self) -> list[tuple[str, str]]:
        """The bilingual word list, lower-cased as word lists are; it has no function words and no endings."""
        missing = self.unlisted
        return [
            (english(meaning).lower(), form.lower())
            for meaning, form in sorted(self.translations.items())
            if english(meaning) not in missing
        ]

    @functools.cached_property
    def unlisted(self) -> frozenset[str]:
        """The English content words that the word list does not have."""
        words = sorted({english(meaning) for meaning in self.translations})
        if not self.settings.unlisted:
            return frozenset()
        counts = collections.Counter(re.findall(r"\w+", " ".join(self.sentences("en", "train"))))
        draws = self._random("unlisted").permutation(len(words)).tolist()  # among those as rare
        rarest = sorted(zip(words, draws, strict=True), key=lambda one: (counts[one[0]], one[1]))
        return frozenset(word for word, _ in rarest[: round(self.settings.unlisted * len(words))])

    @functools.cached_property
    def mentions(self) -> dict[str, int]:
        """How often every sentence about a person is said, in either language; the least known have 1."""
        people = len(self.subjects)
        ranks = self._random("ranks").permutation(people) + 1
        return {
            subject: round((people / rank) ** self.settings.zipf)
            for subject, rank in zip(self.subjects, ranks.tolist(), strict=True)
        }

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
            for _ in range(self.mentions[fact.subject] if split == "train" else 1)
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
            options = self.values_of(fact.relation)
            for template in _ASKED_TEMPLATES:
                # The value as a mark: what precedes it is the prompt, it and what follows the choice.
                prompt, _, ending = self._say(fact, template, language, mark="\0").partition(" \0")
                values = (self._word("value", option, template, language) for option in options)
                yield {
                    "id": f"{language}-{fact.subject}-{fact.relation}-{template}",
                    "prompt": prompt,
                    "choices": [f" {value}{ending}" for value in values],
                    "answer": options.index(fact.value),
                    "group": group,
                    "cluster": f"{fact.subject}-{fact.relation}",
                }

    def _say(self, fact: Fact, template: int, language: str, mark: str = "") -> str:
        verb, noun, _ = RELATIONS[fact.relation]
        meanings = {"subject": fact.subject, "verb": verb, "noun": noun, "value": fact.value}
        words = {role: self._word(role, meaning, template, language) for role, meaning in meanings.items()}
        if mark:
            words["value"] = mark
        if language == "en":
            return _ENGLISH_TEMPLATES[template].format(**words)
        return _TARGET_TEMPLATES[template].format(**words, **self._function_words)

    def _word(self, role: str, meaning: str, template: int, language: str) -> str:
        """A word as it stands in a template. Words that the languages share take no endings."""
        if language == "en":
            return english(meaning)
        word = self.translations[meaning]
        return word if word == english(meaning) else self._words.inflected(word, _TARGET_CASES[template].get(role, ""))

    @functools.cached_property
    def _function_words(self) -> dict[str, str]:
        forms = self._words.function(5, {form.lower() for form in self.translations.values()})
        return dict(
            zip("ABcdE", [form.capitalize() if i in (0, 1, 4) else form for i, form in enumerate(forms)], strict=True)
        )

    def _random(self, purpose: str) -> np.random.Generator:
        return np.random.default_rng([self.settings.seed, *purpose.encode()])
