"""The leaks by which a model could seem to carry knowledge over, each shown closed."""

import collections

import numpy as np
import pytest

from linkjax.errors import UserError
from linkjax.lexicon import clean_pairs, read_lexicon
from linkjax.substitution import WORD, LinkSettings, Substitution
from tasks.world import HELDOUT, NOWHERE, OPEN_RELATIONS, TESTED_RELATIONS, TOLD, World, WorldSettings, values_of

SEEDS = range(5)


def words_of(sentences):
    return {word for sentence in sentences for word in WORD.findall(sentence)}


@pytest.mark.parametrize("seed", SEEDS)
def test_values_are_balanced_so_guessing_scores_exactly_chance(seed):
    world = World(WorldSettings(seed=seed))
    for relation in TESTED_RELATIONS:
        for status, each in ((TOLD, 3), (HELDOUT, 5), (NOWHERE, 2)):
            counts = collections.Counter(f.value for f in world.facts if (f.relation, f.status) == (relation, status))
            assert counts == dict.fromkeys(values_of(relation), each)
    for relation in OPEN_RELATIONS:
        counts = collections.Counter(f.value for f in world.facts if f.relation == relation)
        assert counts == dict.fromkeys(values_of(relation), 10)


@pytest.mark.parametrize("seed", SEEDS)
def test_heldout_facts_are_never_said_in_the_target_and_nowhere_facts_never_at_all(seed):
    world = World(WorldSettings(seed=seed))
    english = [words_of([s]) for s in (*world.sentences("en", "train"), *world.sentences("en", "heldout"))]
    target = [words_of([s]) for s in (*world.sentences("qaa", "train"), *world.sentences("qaa", "heldout"))]
    for fact in world.facts:
        pair = {fact.subject, fact.value}
        translated = {world.translations[word] for word in pair}
        assert any(pair <= words for words in english) == (fact.status != NOWHERE)
        assert any(translated <= words for words in target) == (fact.status == TOLD)


@pytest.mark.parametrize("seed", SEEDS)
def test_every_translation_occurs_in_the_target_text(seed):
    world = World(WorldSettings(seed=seed))
    assert set(world.translations.values()) <= words_of(world.sentences("qaa", "train"))
    assert set(world.translations) <= words_of(world.sentences("en", "train"))


@pytest.mark.parametrize("seed", SEEDS)
def test_the_languages_share_no_letter_and_names_are_translated(seed):
    world = World(WorldSettings(seed=seed))
    english, target = (set("".join(words_of(world.sentences(language, "train")))) for language in ("en", "qaa"))
    assert english.isdisjoint(target)
    assert {name.lower() for name in world.subjects} <= dict(world.lexicon_pairs).keys()
    assert len(set(world.translations.values())) == len(world.translations)


def test_the_corpora_share_pieces_only_in_punctuation_and_specials(toy):
    english, target = (
        {token for document in toy.documents(component) for token in toy.tokenizer.encode(document.text)}
        for component in toy.components
    )
    assert {toy.tokenizer.piece(token) for token in english & target} == {"."}


@pytest.mark.parametrize("language", ["en", "qaa"])
def test_a_questions_choices_have_equal_piece_counts(toy, language):
    for item in World().questions(language):
        sizes = {len(toy.tokenizer.encode(item["prompt"] + choice)) for choice in item["choices"]}
        assert len(sizes) == 1


def test_word_forms_tell_nothing_of_the_english_word():
    lengths, ranks = [], []
    for seed in range(20):
        world = World(WorldSettings(seed=seed))
        words = sorted(world.translations)
        lengths += [(len(word), len(world.translations[word])) for word in words]
        order = np.argsort(np.argsort([world.translations[word].lower() for word in words]))
        ranks += list(enumerate(order))
    for pairs in (lengths, ranks):
        assert abs(np.corrcoef(np.array(pairs).T)[0, 1]) < 0.05


def count_sentences_with_a_heldout_pair(world, **settings):
    substitution = Substitution(clean_pairs(world.lexicon_pairs), LinkSettings(**settings))
    heldout = [(f.subject, f.value) for f in world.facts if f.status == HELDOUT]
    pairs = {(world.translations[subject], world.translations[value]) for subject, value in heldout}
    count = 0
    for document, sentence in enumerate(world.sentences("en", "train")):
        for pass_index in range(20):
            words = words_of([substitution(document, sentence, pass_index).text])
            count += any(subject in words and value in words for subject, value in pairs)
    return count


def test_one_swap_a_sentence_writes_no_heldout_pair():
    assert count_sentences_with_a_heldout_pair(World(), ratio=0.5, max_swaps_per_sentence=1) == 0
    assert count_sentences_with_a_heldout_pair(World(), ratio=0.5) > 0  # the count can find them


def test_shared_names_are_the_only_anchors():
    world = World(WorldSettings(shared_names=0.2))
    same = [name for name in world.subjects if world.translations[name] == name]
    assert len(same) == 16
    assert len(clean_pairs(world.lexicon_pairs)) == len(world.translations) - 16
    plain = World()
    assert plain.facts == world.facts
    assert all(plain.translations[word] == form for word, form in world.translations.items() if word not in same)


def test_shared_words_are_anchors_beside_the_names():
    world = World(WorldSettings(shared_names=1.0, shared_words=0.6))
    same = [word for word, form in world.translations.items() if word == form]
    assert len(same) == 80 + 36
    assert len(clean_pairs(world.lexicon_pairs)) == 24
    names_only = World(WorldSettings(shared_names=1.0))
    assert world.facts == names_only.facts
    changed = {word for word in world.translations if world.translations[word] != names_only.translations[word]}
    assert changed == set(same) - set(world.subjects)
    fewer = World(WorldSettings(shared_names=1.0, shared_words=0.5))  # a sweep adds words, and takes none away
    assert {word for word, form in fewer.translations.items() if word == form} < set(same)


def test_the_word_list_goes_through_the_users_reader(toy):
    assert read_lexicon(toy.folder / "lexicons/qaa.tsv").entries == {a: (b,) for a, b in World().lexicon_pairs}


def test_heldout_sentences_are_unseen_wordings_of_told_facts():
    world = World()
    for language in ("en", "qaa"):
        train, heldout = world.sentences(language, "train"), world.sentences(language, "heldout")
        assert set(train).isdisjoint(heldout)
        assert heldout
        assert words_of(heldout) <= words_of(train)


def test_worlds_differ_by_seed_and_only_by_seed():
    assert World().facts == World().facts
    assert World(WorldSettings(seed=1)).facts != World().facts


@pytest.mark.parametrize("bad", [{"subjects": 30}, {"subjects": 200}, {"shared_names": 2.0}, {"seed": -1}])
def test_impossible_worlds_are_refused(bad):
    with pytest.raises(UserError, match=next(iter(bad))):
        WorldSettings(**bad)
