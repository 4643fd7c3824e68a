"""The strains of a real language: each is there, and none opens a leak. The default world stays what it was."""

import collections
import dataclasses
import hashlib
import json

import numpy as np
import pytest

from linkjax.config import load_config, run_settings, section
from linkjax.data.tokenizer import Tokenizer, train_tokenizer
from linkjax.errors import UserError
from linkjax.lexicon import clean_pairs
from linkjax.studies.arms import read_study
from linkjax.studies.runs import list_runs
from linkjax.substitution import LinkSettings, Substitution
from tasks.world import HELDOUT, NOWHERE, TESTED_RELATIONS, TOLD, World, WorldSettings
from tasks.world_words import CASES, HOMOGRAPHS, RELATIONS, english
from tests.conftest import ROOT
from tests.test_world import words_of

CONFIG = load_config(str(ROOT / "configs/strained_world.py"))
STRAINED = section(CONFIG.world, WorldSettings)


@pytest.fixture(scope="module", params=[0, 1, 2])
def world(request) -> World:
    return World(dataclasses.replace(STRAINED, seed=request.param))


def said(world, language, fact):
    """What every sentence has that says a fact, whatever its wording: words of which one is in it, of each group."""
    verb, noun, _ = RELATIONS[fact.relation]
    if language == "en":
        return [{fact.subject}, {verb, noun}, {english(fact.value)}]
    return [set(world.forms(fact.subject)), set(world.forms(fact.value))]


def swapped(world, **settings):
    """Each English training sentence after its swaps."""
    substitution = Substitution(clean_pairs(world.lexicon_pairs), LinkSettings(**settings))
    return [done.text for done in substitution.documents(enumerate(world.sentences("en", "train")))]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, "df685a8742dc976870af0c284c6fc663c5e532faf7983e95b1ed430656670b58"),
        (
            {"seed": 3, "subjects": 24, "shared_names": 0.5},
            "baa1b33c9e77d513b3aee6a70c7261efb573eb3e5213724e28273a9afb8c6fc4",
        ),
    ],
)
def test_without_strains_the_world_is_byte_for_byte_what_it_was_before_there_were_any(settings, expected):
    world = World(WorldSettings(**settings))
    sentences = [world.sentences(language, split) for language in ("en", "qaa") for split in ("train", "heldout")]
    everything = [sentences, *(list(world.questions(language)) for language in ("en", "qaa")), world.lexicon_pairs]
    assert hashlib.sha256(json.dumps(everything, ensure_ascii=False).encode()).hexdigest() == expected


def test_values_are_balanced(world):
    for relation in TESTED_RELATIONS:
        for status, each in ((TOLD, 4), (HELDOUT, 7), (NOWHERE, 3)):
            counts = collections.Counter(f.value for f in world.facts if (f.relation, f.status) == (relation, status))
            assert counts == dict.fromkeys(world.values_of(relation), each)


@pytest.fixture(scope="module")
def tokenizer(world) -> Tokenizer:
    """As `prepare` trains it."""
    texts = [*world.sentences("en", "train"), *swapped(world, ratio=1.0), *world.sentences("qaa", "train")]
    return Tokenizer(train_tokenizer(texts, CONFIG.tokenizer.vocabulary_size, CONFIG.tokenizer.kind))


def test_whatever_endings_a_model_prefers_it_scores_exactly_chance(world, tokenizer):
    counts = collections.Counter(word for s in world.sentences("qaa", "train") for word in s.rstrip(".").split())
    preferences = {
        "few pieces": lambda item, choice: len(tokenizer.encode(item["prompt"] + choice)),
        "many pieces": lambda item, choice: -len(tokenizer.encode(item["prompt"] + choice)),
        "short": lambda _, choice: len(choice),
        "frequent": lambda _, choice: -counts[choice.strip(" .")],
        "rare": lambda _, choice: counts[choice.strip(" .")],
        "first": lambda _, choice: choice,
    }
    items = [item for language in ("en", "qaa") for item in world.questions(language)]
    for name, cost in preferences.items():
        right = collections.defaultdict(list)
        for item in items:
            chosen = min(item["choices"], key=lambda choice, item=item: (cost(item, choice), choice))
            right[item["group"]].append(item["choices"].index(chosen) == item["answer"])
        assert {group: np.mean(of) for group, of in right.items()} == dict.fromkeys(right, 1 / 8), name


def test_endings_to_choose_from_are_different_words_of_as_many_letters(world):
    for item in world.questions("qaa"):
        assert len(set(item["choices"])) == 8
        assert len({len(choice) for choice in item["choices"]}) == 1


def test_heldout_facts_are_never_said_in_the_target_in_any_form_and_nowhere_facts_never_at_all(world):
    sentences = {
        language: [words_of([s]) for split in ("train", "heldout") for s in set(world.sentences(language, split))]
        for language in ("en", "qaa")
    }
    for language, silent in (("en", (NOWHERE,)), ("qaa", (NOWHERE, HELDOUT))):
        for fact in world.facts:
            groups = said(world, language, fact)
            found = any(all(group & words for group in groups) for words in sentences[language])
            assert found == (fact.status not in silent), fact


def test_one_swap_a_sentence_writes_no_heldout_pair(world):
    pairs = [[set(world.forms(f.subject)), set(world.forms(f.value))] for f in world.facts if f.status == HELDOUT]
    by_name = collections.defaultdict(set)
    for names, values in pairs:
        for name in names:
            by_name[name] |= values

    def count(**settings):
        sentences = (words_of([text]) for text in swapped(world, **settings))
        return sum(any(by_name[word] & words for word in words & by_name.keys()) for words in sentences)

    assert count(ratio=1.0, max_swaps_per_sentence=1) == 0
    assert count(ratio=1.0) > 0  # the count can find them


def test_listed_words_are_in_both_texts_in_the_form_that_the_list_has(world):
    target, source = ({w.lower() for w in words_of(world.sentences(of, "train"))} for of in ("qaa", "en"))
    assert {form for _, form in world.lexicon_pairs} <= target
    assert {word for word, _ in world.lexicon_pairs} <= source
    assert not {w.lower() for w in words_of(world.sentences("qaa", "heldout"))} - target


def test_the_languages_share_no_letter(world):
    letters = [set("".join(words_of(world.sentences(language, "train")))) for language in ("en", "qaa")]
    assert letters[0].isdisjoint(letters[1])


def test_words_have_two_pieces_or_more_on_average(world, tokenizer):
    content = {form: len(tokenizer.encode(form)) for meaning in world.translations for form in world.forms(meaning)}
    words = [word for sentence in world.sentences("qaa", "train") for word in sentence.rstrip(".").split()]
    assert np.mean([content[word] for word in words if word in content]) >= 2  # of running words
    assert np.mean([content[form] for form in world.translations.values()]) >= 2  # of the list


def test_much_of_the_text_has_endings_that_the_list_has_not_and_each_form_is_one_word_s(world):
    listed = {form for _, form in world.lexicon_pairs}
    every = collections.Counter(form for meaning in world.translations for form in world.forms(meaning))
    assert set(every.values()) == {1}
    content = [word for s in world.sentences("qaa", "train") for word in s.rstrip(".").split() if word in every]
    inflected = [word for word in content if word not in world.translations.values()]
    assert 0.4 < len(inflected) / len(content) < 0.7
    assert listed.isdisjoint(word.lower() for word in inflected)
    plain = {word[-1] for word in world.translations.values()}
    assert plain.isdisjoint(word[-1] for word in inflected)  # so whatever the words are, no form is another word's
    endings = {word[-2:] for word in inflected}
    assert STRAINED.inflection * (len(CASES) - 1) < len(endings) <= STRAINED.inflection * len(CASES)


def test_a_word_of_two_meanings_has_two_translations_and_half_of_its_swaps_are_wrong(world):
    entries = clean_pairs(world.lexicon_pairs).entries
    assert {word for word, targets in entries.items() if len(targets) > 1} == HOMOGRAPHS.keys()
    right, wrong = 0, 0
    for before, after in zip(world.sentences("en", "train"), swapped(world, ratio=1.0), strict=True):
        value = before.rstrip(".").split()[-1]
        if value in HOMOGRAPHS:
            (relation,) = (r for r in HOMOGRAPHS[value] if words_of([before]) & set(RELATIONS[r][:2]))
            drawn = after.rstrip(".").split()[-1]
            assert drawn in entries[value]
            right += drawn == world.translations[f"{value} ({relation})"]
            wrong += drawn != world.translations[f"{value} ({relation})"]
    assert right + wrong > 500
    assert right / (right + wrong) == pytest.approx(0.5, abs=0.1)


def test_people_are_spoken_of_as_their_rank_says_and_in_both_languages_alike(world):
    counts = sorted(world.mentions.values(), reverse=True)
    assert counts == [round((112 / rank) ** STRAINED.zipf) for rank in range(1, 113)]
    assert counts[0] > 10 and counts[-1] == 1
    for language in ("en", "qaa"):
        for sentence, count in collections.Counter(world.sentences(language, "train")).items():
            (subject,) = (
                name
                for name in world.subjects
                if words_of([sentence]) & ({name} if language == "en" else set(world.forms(name)))
            )
            assert count == world.mentions[subject]
        assert set(collections.Counter(world.sentences(language, "heldout")).values()) == {1}


def test_the_list_lacks_the_rarest_words_and_a_larger_share_lacks_those_too(world):
    counts = collections.Counter(word for s in world.sentences("en", "train") for word in s.rstrip(".").split())
    listed = {word for word, _ in world.lexicon_pairs}
    words = {english(meaning) for meaning in world.translations}
    assert {word.lower() for word in words} - listed == {word.lower() for word in world.unlisted}
    assert len(world.unlisted) == round(STRAINED.unlisted * len(words))
    assert max(counts[word] for word in world.unlisted) <= min(counts[word] for word in words - world.unlisted)
    more = World(dataclasses.replace(world.settings, unlisted=0.3))
    assert world.unlisted < more.unlisted
    assert more.sentences("qaa", "train") == world.sentences("qaa", "train")


def test_shared_names_take_no_endings(world):
    shared = World(dataclasses.replace(world.settings, shared_names=0.25))
    same = {name for name in shared.subjects if shared.translations[name] == name}
    assert len(same) == 28
    words = words_of(shared.sentences("qaa", "train"))
    assert same == {word for word in words if word.isascii()}


def test_shared_words_of_two_meanings_take_no_endings(world):
    shared = World(dataclasses.replace(world.settings, shared_words=1.0))
    assert shared.forms("fish (dish)") == ("fish",)
    assert len(shared.sentences("qaa", "train")) > 1000


@pytest.mark.parametrize(
    "bad",
    [
        {"syllables": 1},
        {"syllables": 99},
        {"inflection": 7},
        {"inflection": -1},
        {"senses": 9},
        {"zipf": -0.5},
        {"zipf": float("nan")},
        {"unlisted": 1.5},
    ],
)
def test_impossible_strains_are_refused(bad):
    with pytest.raises(UserError, match=f"world.{next(iter(bad))} is"):
        WorldSettings(**bad)


@pytest.mark.parametrize("argument", ["", ":cpu"])
def test_the_study_of_it_can_be_run(argument, tmp_path):
    study = read_study(load_config(str(ROOT / f"configs/studies/strained_link.py{argument}")))
    runs = list_runs(study, tmp_path)
    settings = {run.arm.name: run_settings(run.config) for run in runs}
    assert settings["baseline"].link.ratio == 0 < settings["link"].link.ratio
    assert {settings[name].model for name in ("baseline", "link", "scramble")} == {settings["link"].model}
    assert study.is_tested("fact_accuracy/target_heldout") and study.is_tested("bits_per_byte/en")
