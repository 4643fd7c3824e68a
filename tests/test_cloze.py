"""The cloze of a language's own text: right by construction, matched, and the same for the same text."""

import itertools

import numpy as np
import pytest

from linkjax.config import load_config
from linkjax.data.items import ItemFolder
from linkjax.data.prepared import Prepared
from linkjax.data.tokenizer import Tokenizer, train_tokenizer
from linkjax.errors import UserError
from linkjax.lexicon import Lexicon
from linkjax.preparation.cloze import CHOICES, Vocabulary, cloze_items, parse, spaced_words
from linkjax.preparation.evaluations import Side, write_clozes, write_clozes_of
from linkjax.prepare import prepare, run_evaluations
from tests.conftest import ROOT

_WORDS = ["".join(parts) for parts in itertools.product(("ba", "ki", "mu", "ta", "so", "pe"), repeat=4)]
_TRANSLATIONS = _WORDS[::2]


def texts(count, seed):
    """Sentences of words as frequent as words are, some of them names."""
    random = np.random.default_rng(seed)
    weights = 1 / np.arange(10, len(_WORDS) + 10)
    order = np.random.default_rng(7).permutation(_WORDS)
    for _ in range(count):
        words = list(random.choice(order, random.integers(5, 10), p=weights / weights.sum()))
        if random.random() < 0.2:
            words[-1] = words[-1].capitalize()
        yield " ".join(words).capitalize() + ". Na hii " + " ".join(words[1:]) + "?"


@pytest.fixture(scope="module")
def tokenizer():
    return Tokenizer(train_tokenizer(texts(2000, 0), 600, "unigram"))


@pytest.fixture(scope="module")
def vocabulary(tokenizer):
    return Vocabulary(texts(2000, 0), tokenizer, _TRANSLATIONS)


def test_the_choices_cannot_be_told_apart_by_what_is_matched(tokenizer, vocabulary):
    heldout = list(texts(200, 1))
    items = cloze_items(heldout, "sw", vocabulary, "cloze_sw")
    assert len(items) > 100 and len({item["id"] for item in items}) == len(items)
    asked = {"".join(text.split()) for text in heldout}
    for item in items:
        whole = item["prompt"] + item["choices"][item["answer"]]
        assert any("".join(whole.split()) in text for text in asked)
        assert len(item["prompt"].split()) >= 4
        assert len({choice.lower() for choice in item["choices"]}) == CHOICES == len(item["choices"])
        words = [choice.strip(" .?") for choice in item["choices"]]
        right = words[item["answer"]]
        counts = np.array([vocabulary.counts[word] for word in words])
        assert (counts >= vocabulary.counts[right] / 2).all() and (counts <= vocabulary.counts[right] * 2).all()
        assert len({word.lower() in _TRANSLATIONS for word in words}) == 1
        assert len({word == word.lower() for word in words}) == 1
        assert len({len(tokenizer.encode(f"a {choice.strip()}")) for choice in item["choices"]}) == 1
        assert all(vocabulary.is_content(word) for word in words)
        assert not {word.lower() for word in words} & set(item["prompt"].lower().split())
    for order in (1, -1):  # neither the most frequent word nor the rarest is the answer more often than by chance
        ranked = [[order * vocabulary.counts[choice.strip(" .?")] for choice in item["choices"]] for item in items]
        best = [
            (counts[item["answer"]] == max(counts)) / counts.count(max(counts))
            for item, counts in zip(items, ranked, strict=True)
        ]
        assert abs(np.mean(best) - 1 / CHOICES) < 3 * np.sqrt(1 / 8 * 7 / 8 / len(items))
    answers = np.bincount([item["answer"] for item in items], minlength=CHOICES)
    assert answers.min() > 0 and answers.max() < len(items) / 3  # a constant answer is no good


def test_the_same_text_gives_the_same_items_in_any_order(vocabulary):
    heldout = list(texts(60, 2))
    items = cloze_items(heldout, "sw", vocabulary, "cloze_sw")
    assert cloze_items(heldout[::-1], "sw", vocabulary, "cloze_sw") == items
    more = {item["id"]: item for item in cloze_items([*heldout, *texts(60, 3)], "sw", vocabulary, "cloze_sw")}
    assert all(more[item["id"]] == item for item in items)


@pytest.mark.parametrize(
    "heldout",
    [
        [],
        list(texts(3, 4)),
        ["我们在学校里学习中文和数学。" * 9] * 50,
        ["neno la pekee hapa lisilojulikana kabisa."] * 50,
    ],
    ids=["nothing", "three", "no spaces", "unknown words"],
)
def test_too_little_to_ask_for_is_a_sentence(vocabulary, heldout):
    with pytest.raises(UserError, match=r"cloze_sw has \d sentences to ask for among \d+, fewer than 8: give more"):
        cloze_items(heldout, "sw", vocabulary, "cloze_sw")


def test_words_keep_vowel_signs_and_accents_and_lose_the_signs_after_them():
    text = " यह पानी है। Je l’ai vu, naïve! (siku) 3 saa-sita x2 “leo” mjini.”"
    assert [word for _, word in spaced_words(text)] == [
        "यह",
        "पानी",
        "है",
        "Je",
        "l’ai",
        "vu",
        "naïve",
        "saa-sita",
        "mjini",
    ]


def test_names():
    assert parse("cloze_sw") == ("sw", "")
    assert parse("cloze_sw:news/a:b.txt") == ("sw", "news/a:b.txt")
    assert parse("cloze_sw_news:a.txt") == ("sw_news", "a.txt")
    assert parse("xcopa_sw") is None


def test_a_word_list_read_as_text_changes_no_item(tmp_path, tokenizer):
    (tmp_path / "evaluation").mkdir()
    text = Side("sw", lambda size: texts(2000, 0), list(texts(200, 1)))
    words = Side("sw", lambda size: [f"dog - {word}" for word in _TRANSLATIONS], [])
    lexicons = {"sw": Lexicon({"dog": tuple(_TRANSLATIONS)})}
    made = []
    for sides in ([text], [text, words]):
        write_clozes(tmp_path, ["cloze_sw"], sides, tokenizer, lexicons)
        made.append((tmp_path / "evaluation/cloze_sw.jsonl").read_bytes())
    assert made[0] == made[1]


def test_prepare_makes_a_cloze_of_held_out_text_or_of_a_file(tmp_path):
    for name, seed, count in (("train", 5, 1500), ("heldout", 6, 200)):
        (tmp_path / f"{name}.txt").write_text("".join(f"{text}\n" for text in texts(count, seed)))
    (tmp_path / "en.txt").write_text("".join(f"The dog {number} sees the cat by the water.\n" for number in range(300)))
    (tmp_path / "list.tsv").write_text("".join(f"dog\t{word}\n" for word in _TRANSLATIONS[:50]) + "cat\tpaka\n")
    config = load_config(str(ROOT / "configs/local_text.py:cpu"))
    with config.unlocked():
        config.english, config.target = str(tmp_path / "en.txt"), str(tmp_path / "train.txt")
        config.target_heldout, config.lexicon = str(tmp_path / "heldout.txt"), str(tmp_path / "list.tsv")
        config.target_language, config.evaluations = "sw", "cloze_sw"
    prepare(config, tmp_path / "data")
    folder = Prepared(tmp_path / "data")
    assert folder.manifest["evaluations"][0] == {"name": "cloze_sw", "metric": "cloze", "chance": 1 / 8} | {
        "items": len(folder.items("cloze_sw"))
    }
    run_evaluations(f"cloze_sw:{tmp_path / 'heldout.txt'}", "", str(tmp_path / "data"), str(tmp_path / "items"))
    assert ItemFolder(tmp_path / "items").items("cloze_sw") == folder.items("cloze_sw")
    named = f"cloze_sw_news:{tmp_path / 'heldout.txt'}"
    run_evaluations(f"{named},cloze_sw", "", str(tmp_path / "data"), str(tmp_path / "two"))
    two = ItemFolder(tmp_path / "two")
    assert [item | {"group": "sw"} for item in two.items("cloze_sw_news")] == two.items("cloze_sw")
    assert {item["group"] for item in two.items("cloze_sw_news")} == {"sw_news"}
    assert [about["metric"] for about in two.evaluations] == ["cloze", "cloze"]
    with pytest.raises(UserError, match="cloze_sw_news is named twice: call one of them cloze_sw_news_MORE:FILE"):
        write_clozes_of(tmp_path / "data", [named, named], folder)
    with pytest.raises(UserError, match="cloze_sw_news names no file: write cloze_sw_news:FILE, or cloze_sw for"):
        write_clozes_of(tmp_path, ["cloze_sw_news"], folder)
    with pytest.raises(UserError, match=r"cloze_en has 0 sentences"):
        write_clozes_of(tmp_path, ["cloze_en"], folder)
    with pytest.raises(UserError, match=r"cloze_de asks for text in 'de', and there is text in en, sw"):
        write_clozes_of(tmp_path, ["cloze_de"], folder)
    with pytest.raises(UserError, match="cloze_sw:x needs a tokenizer and training text: name a prepared folder"):
        run_evaluations("cloze_sw:x", "", "", str(tmp_path / "more"))
    with pytest.raises(UserError, match=r"nothing\.txt cannot be read"):
        write_clozes_of(tmp_path, [f"cloze_sw:{tmp_path / 'nothing.txt'}"], folder)
