"""Tokenizers of Hugging Face's: the data path gives the library's ids, flags hold, special tokens stay special."""

import json
import pathlib
import pickle
import unicodedata

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from linkjax.data import word_borders
from linkjax.data.documents import Document
from linkjax.data.encoder import Encoder
from linkjax.data.fast_tokenizer import FastTokenizer
from linkjax.data.special_ids import SpecialIds
from linkjax.data.tokenizer import Tokenizer, load_tokenizer
from linkjax.errors import UserError
from linkjax.lexicon import ReadOptions, clean_pairs, read_lexicon
from linkjax.substitution import LinkSettings, Span, Substitution
from tests import hugging_tokenizers
from tests.hugging_tokenizers import END

KINDS = ("gpt2", "qwen", "llama3", "smollm", "llama2", "unigram", "two_words")
SAMPLE = ["the dog and the cat's big red house, 1984", "DON'T  go\n\n\tfree of charge, well-known ice cream.",
          "mbwa 猫 家 大きい bure Größe naïve café </s>", "def f(x):\n    return x + 12345  # it's"] * 20  # fmt: skip
LEXICON = clean_pairs(
    [("dog", "mbwa"), ("dog", "jibwa kubwa"), ("cat", "猫"), ("house", "家"), ("free of charge", "bure"),
     ("big", "大きい"), ("ice cream", "アイス クリーム"), ("red", "e\u0301léphant")]
)  # fmt: skip
PARTS = ["dog", "cat", "house", "free", "of", "charge", "big", "red", "the", "don't", "1984", "x", " ", " ", " ", "  ",
         ". ", ", ", "\n", "\n\n", "\t", " \n", "\r\n", "   ", "-", "(", "DOG", "é", "e\u0301", "\u0301", "\u200d", "▁",
         "\u00a0", "\u3000", "\u2028", "\x85", "\x1c", "</s>", "<unk>", "<0x41>", END, "'s", "12", "각"]  # fmt: skip
TEXT = st.one_of(st.text(), st.lists(st.sampled_from(PARTS), max_size=25).map("".join))


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    base = tmp_path_factory.mktemp("tokenizers")
    return {kind: hugging_tokenizers.write(kind, SAMPLE, base / kind) for kind in KINDS}


@pytest.fixture(scope="module")
def loaded(folders):
    return {kind: load_tokenizer(folder) for kind, folder in folders.items()}


def documents_of(texts):
    return [Document(index * 7919, text) for index, text in enumerate(texts)]


def encoded(encoder, texts):
    return encoder.encode(documents_of(texts), [1] * len(texts), [0.0] * len(texts))


def test_words_are_tokenized_once_where_that_is_known_to_be_right(loaded):
    assert {kind for kind, tokenizer in loaded.items() if tokenizer.cuts_at_borders} == set(KINDS) - {"two_words"}


@pytest.mark.parametrize("kind", KINDS)
@given(texts=st.lists(TEXT, min_size=1, max_size=4), loss=st.sampled_from(["yes", "no"]))
@settings(max_examples=60)
def test_the_data_path_gives_the_librarys_ids(folders, loaded, kind, texts, loss):
    # The library's unigram models find special tokens in text, which ours must not.
    assume(kind != "unigram" or not any("<" in text for text in texts))
    own, tokenizer = hugging_tokenizers.reference(folders[kind]), loaded[kind]
    substitution = Substitution(LEXICON, LinkSettings(ratio=0.7, loss_on_swapped=loss))
    encoder = Encoder(tokenizer, substitution)
    for found in (encoded(encoder, texts), encoded(encoder, texts)):  # the second time from the table
        for document, one in zip(documents_of(texts), found, strict=True):
            done = substitution(document.id, document.text, 1)
            assert one.tokens_T.tolist() == [*own(done.text), tokenizer.eos]
            flags = tokenizer.encode_with_spans(done.text, done.spans)[1].tolist()
            assert one.swapped_T.tolist() == [*flags, 0]
            assert one.targets_T.tolist() == one.tokens_T.tolist()
            assert one.loss_weights_T.tolist() == [1 - (flag if loss == "no" else 0) for flag in [*flags, 0]]


def test_what_begins_a_document_has_tokens_of_its_own(folders, loaded):
    own = hugging_tokenizers.reference(folders["gpt2"])
    texts = ["dog\nhouse dog\nhouse", "dog\nhouse", "the", "big the", " the", "x" * 80 + "\ny " + "x" * 80 + "\ny"]
    encoder = Encoder(loaded["gpt2"], None)
    for _ in range(2):
        assert [one.tokens_T[:-1].tolist() for one in encoded(encoder, texts)] == list(map(own, texts))


def test_a_table_that_grows_too_large_is_begun_anew(folders, loaded, monkeypatch):
    own, encoder = hugging_tokenizers.reference(folders["qwen"]), Encoder(loaded["qwen"], None)
    monkeypatch.setattr("linkjax.data.segment_table._MOST_OTHERS", 3)
    for number in range(12):
        texts = [f"dog{number}\nhouse the  cat", "dog\nhouse the  cat"]
        assert [one.tokens_T[:-1].tolist() for one in encoded(encoder, texts)] == list(map(own, texts))
    (table,) = encoder._tables.values()
    assert len(table._others) < 8


@pytest.mark.parametrize("kind", ["gpt2", "llama2", "two_words"])
@given(
    text=st.text(alphabet="the fox ä語.\n🦊1", max_size=40),
    cuts=st.lists(st.integers(0, 40), max_size=8, unique=True).map(sorted),
)
def test_a_token_is_flagged_if_any_of_its_bytes_is_swapped(loaded, kind, text, cuts):
    tokenizer = loaded[kind]
    cuts = [cut for cut in cuts if cut <= len(text)]
    spans = [Span(a, b, "") for a, b in zip(cuts[::2], cuts[1::2], strict=False)]
    ids, flags = tokenizer.encode_with_spans(text, spans)
    assert ids.tolist() == tokenizer.encode(text)
    prefix = " " if tokenizer.adds_space and text else ""
    pieces = [tokenizer.piece_bytes(token) for token in ids]
    assert b"".join(pieces) == (prefix + text).encode()
    inside = [any(span.start <= index < span.end for span in spans) for index in range(len(text))]
    swapped = [False] * len(prefix)
    swapped += [flag for character, flag in zip(text, inside, strict=True) for _ in character.encode()]
    wholes = [0] * len(prefix) + [at for at, character in enumerate(text) for _ in character.encode()]
    ends = np.cumsum([len(piece) for piece in pieces]).tolist()
    expected, begins = [], []
    for piece, end in zip(pieces, ends, strict=True):
        # All pieces of a character have its flag.
        expected.append(int(any(swapped[end - len(piece) : end])))
        begins.append(wholes[end - len(piece) : end])
    assert flags.tolist() == expected
    places = range(len(text))
    found = tokenizer.tokens_at(text, places)
    assert all(place in begins[token] for place, token in zip(places, found, strict=True))


@given(text=TEXT, cuts=st.lists(st.integers(0, 40), max_size=6, unique=True).map(sorted))
def test_flags_of_text_that_a_normaliser_changes(loaded, text, cuts):
    tokenizer = loaded["qwen"]
    assert tokenizer.encode(text) == tokenizer.encode(unicodedata.normalize("NFC", text))
    cuts = [cut for cut in cuts if cut <= len(text)]
    spans = [Span(a, b, "") for a, b in zip(cuts[::2], cuts[1::2], strict=False)]
    _, flags = tokenizer.encode_with_spans(text, spans)
    for span in spans:  # what is left of a text without the span lacks nothing but flagged tokens
        _, here = tokenizer.encode_with_spans(text, [span])
        assert here.any()
        assert (flags >= here).all()
    assert spans or not flags.any()


def test_a_mark_that_joins_the_letter_before_it_flags_that(loaded):
    tokenizer = loaded["qwen"]
    ids, flags = tokenizer.encode_with_spans("x cafe\u0301 y", [Span(6, 7, "")])
    text = b"".join(tokenizer.piece_bytes(token) for token, flag in zip(ids, flags, strict=True) if flag)
    assert "é".encode()[-1:] in text
    assert b"y" not in text


@pytest.mark.parametrize("kind", ["qwen", "llama2", "two_words"])
def test_original_asks_for_the_english_words_first_piece_once(loaded, kind):
    substitution = Substitution(LEXICON, LinkSettings(ratio=1.0, loss_on_swapped="original", sense="first"))
    (one,) = encoded(Encoder(loaded[kind], substitution), ["the (dog, free of charge"])
    tokenizer, swapped = loaded[kind], one.swapped_T.astype(bool)
    assert tokenizer.decode(one.tokens_T[:-1]) == "the (mbwa, bure"
    asked = [tokenizer.piece_bytes(token) for token in one.targets_T[swapped & (one.loss_weights_T > 0)]]
    assert [piece.decode().strip(" (")[0] for piece in asked] == ["d", "f"]
    assert (one.targets_T[~swapped] == one.tokens_T[~swapped]).all()
    assert (one.loss_weights_T[~swapped] == 1).all()


@pytest.fixture(scope="module")
def lines(real_data):
    found = []
    for name in ("en/wikipedia.txt", "en/office_help.txt", "de/office_help.txt", "tr/office_help.txt",
                 "sw/new_testament.tsv"):  # fmt: skip
        found += (real_data / name).read_text().splitlines()[:400]
    code = [pathlib.Path(word_borders.__file__).read_text(), "\tif a:\n\t\tb  = 'c'   \r\n\r\n\r\n x\n"]
    pages = ["\n".join(found[at : at + 7]) for at in range(0, 400, 7)]
    return [*found, *code, *pages, "吾輩は猫である。名前は まだ無い。 dog の house。", "🦊🦊 the dog 👩‍💻  big house  "]


@pytest.fixture(scope="module")
def swapped_lines(lines, real_data):
    """The intervention, and what it makes of the lines."""
    lexicon = read_lexicon(real_data / "lexicons/wiktionary.en-sw.tsv", ReadOptions(language="sw"))
    substitution = Substitution({"sw": lexicon}, LinkSettings(ratio=0.6))
    return substitution, list(substitution.documents(documents_of(lines), 1))


@pytest.mark.parametrize("kind", ["qwen", "llama3", "smollm", "llama2"])
def test_real_lines_too(lines, swapped_lines, tmp_path, kind):
    folder = hugging_tokenizers.write(kind, lines[::7], tmp_path / kind, 2000)
    own, tokenizer = hugging_tokenizers.reference(folder), load_tokenizer(folder)
    assert tokenizer.cuts_at_borders
    substitution, texts = swapped_lines
    flags = tokenizer.encode_all([(done.text, done.spans) for done in texts])
    for done, (_, expected), one in zip(texts, flags, encoded(Encoder(tokenizer, substitution), lines), strict=True):
        assert one.tokens_T.tolist() == [*own(done.text), tokenizer.eos], done.text
        assert one.swapped_T[:-1].tolist() == expected.tolist()
    assert sum(len(done.spans) for done in texts) > 3000


def changed(folder, tmp_path, change):
    described = json.loads((folder / "tokenizer.json").read_text())
    change(described)
    (tmp_path / "tokenizer.json").write_text(json.dumps(described))
    return tmp_path


def added(content, **rules):
    rules = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized", "special"), False) | rules

    def change(described):
        number = 1 + max(described["model"]["vocab"].values())
        described["added_tokens"].append({"id": number, "content": content, **rules})

    return change


def merge_over_a_space(described):
    model = described["model"]
    model["vocab"]["e▁"] = len(model["vocab"])
    model["merges"].insert(0, ["e", "▁"])


JOINING = {
    "merge": ("llama2", merge_over_a_space),
    "whole texts in the vocabulary": ("llama2", lambda d: d["model"].update(ignore_merges=True)),
    "two words as one": ("gpt2", added("big house")),
    "takes the space behind": ("gpt2", added("dog", rstrip=True)),
    "lowercase": ("gpt2", lambda d: d.update(normalizer={"type": "Lowercase"})),
    "strip": ("qwen", lambda d: d.update(normalizer={"type": "Strip", "strip_left": True, "strip_right": True})),
    "regular expression": ("qwen", lambda d: d["pre_tokenizer"]["pretokenizers"][0]["pattern"].update(Regex=r"\S+\s*")),
    "spaces left out": ("llama2", lambda d: d.update(pre_tokenizer={"type": "WhitespaceSplit"}, normalizer=None)),
}


@pytest.mark.parametrize("case", JOINING)
def test_whole_texts_are_tokenized_where_it_may_be_wrong_otherwise(folders, tmp_path, case):
    kind, change = JOINING[case]
    folder = changed(folders[kind], tmp_path, change)
    own, tokenizer = hugging_tokenizers.reference(folder), load_tokenizer(folder)
    assert not tokenizer.cuts_at_borders
    texts = ["the dog's big house here", "free of charge  \n big house , dog ."]
    substitution = Substitution(LEXICON, LinkSettings(ratio=0.5))
    for document, one in zip(documents_of(texts), encoded(Encoder(tokenizer, substitution), texts), strict=True):
        assert one.tokens_T.tolist() == [*own(substitution(document.id, document.text, 1).text), tokenizer.eos]


@pytest.mark.parametrize("content", ["   ", "\n\n", "house", "<tool>"])
def test_a_vocabulary_of_the_users_within_words_changes_nothing(folders, tmp_path, content):
    folder = changed(folders["gpt2"], tmp_path, added(content))
    own, tokenizer = hugging_tokenizers.reference(folder), load_tokenizer(folder)
    assert tokenizer.cuts_at_borders
    texts = ["the house<tool>  big    house\n\n\nhouse    <tool>house the    "]
    (one,) = encoded(Encoder(tokenizer, None), texts)
    assert one.tokens_T.tolist() == [*own(texts[0]), tokenizer.eos]
    assert len(tokenizer) - 1 in one.tokens_T
    assert tokenizer.decode(one.tokens_T) == texts[0]


def test_our_own_tokenizer_as_it_is_exported(tmp_path):
    exported = pytest.importorskip("linkjax.huggingface.tokenizer")
    from linkjax.data.tokenizer import train_tokenizer

    for kind in ("unigram", "bpe"):
        model = train_tokenizer(SAMPLE, 400, kind)
        (tmp_path / "tokenizer.json").write_text(json.dumps(exported.to_json(model)))
        fast, ours = load_tokenizer(tmp_path), Tokenizer(model)
        assert (fast.eos, fast.start, len(fast)) == (ours.eos, ours.start, len(ours))
        assert fast.cuts_at_borders
        assert fast.adds_space
        substitution = Substitution(LEXICON, LinkSettings(ratio=0.7))
        texts = [*SAMPLE[:4], "the dog  and 猫 </s>\n\tcat", " big \n\n house"]
        for one, other in zip(*(encoded(Encoder(which, substitution), texts) for which in (fast, ours)), strict=True):
            assert all((a == b).all() for a, b in zip(one, other, strict=True))


### Special ids


@pytest.mark.parametrize("kind", KINDS)
def test_text_that_spells_a_special_token_is_text(loaded, kind):
    tokenizer = loaded[kind]
    for name in ("</s>", "<s>", "<pad>", END, "<|im_end|>", "<|begin_of_text|>", "<|end_of_text|>"):
        ids = tokenizer.encode(f"a{name} b {name}")
        assert not {tokenizer.eos, tokenizer.start} & set(ids)
        if kind != "unigram":  # which has no bytes to fall back on
            assert tokenizer.decode(ids) == f"a{name} b {name}"


def test_the_start_is_what_the_model_puts_before_a_text(loaded):
    ids = {kind: (one.piece(one.start), one.piece(one.eos)) for kind, one in loaded.items()}
    assert ids["llama2"] == ("<s>", "</s>")
    assert ids["llama3"] == ("<|begin_of_text|>", "<|end_of_text|>")
    assert ids["qwen"] == ids["gpt2"] == (END, END)
    assert ids["unigram"] == ("</s>", "</s>")


@pytest.mark.parametrize(
    ("kind", "files", "expected"),
    [
        # https://huggingface.co/Qwen/Qwen3-8B: a talk's turn ends with another token than a document
        ("qwen", {"config.json": {"bos_token_id": 0, "eos_token_id": 1},
                  "generation_config.json": {"eos_token_id": [1, 0], "pad_token_id": 0},
                  "tokenizer_config.json": {"add_bos_token": False, "bos_token": None, "eos_token": "<|im_end|>",
                                            "pad_token": END}}, (0, 0, 0)),
        ("qwen", {"config.json": {"eos_token_id": 1}}, (1, 1, 1)),
        ("gpt2", {"tokenizer_config.json": {"eos_token": {"content": "<|im_end|>"}, "pad_token": END}}, (1, 1, 0)),
        ("llama2", {"config.json": {"bos_token_id": 1, "eos_token_id": 2},
                    "tokenizer_config.json": {"add_bos_token": False}}, (2, 2, 2)),
        ("llama2", {"tokenizer_config.json": {"add_bos_token": None, "eos_token": "</s>"}}, (2, 1, 2)),
        ("gpt2", {"config.json": {"bos_token_id": 1, "eos_token_id": 0},
                  "tokenizer_config.json": {"add_bos_token": True}}, (0, 1, 0)),
    ],
)  # fmt: skip
def test_ids_are_those_that_the_folder_names(folders, tmp_path, kind, files, expected):
    folder = changed(folders[kind], tmp_path, lambda described: None)
    for name, content in files.items():
        (folder / name).write_text(json.dumps(content))
    tokenizer = load_tokenizer(folder)
    assert tokenizer.ids == expected
    (tmp_path / "copy").mkdir()
    tokenizer.save(tmp_path / "copy")
    copies = load_tokenizer(tmp_path / "copy"), load_tokenizer(tmp_path / "copy/tokenizer.json")
    for copy in (*copies, pickle.loads(pickle.dumps(tokenizer))):
        assert copy.ids == expected
        assert copy.description == (folders[kind] / "tokenizer.json").read_bytes() or copy.description
        assert copy.encode("the dog's </s>") == tokenizer.encode("the dog's </s>")


def test_what_is_no_tokenizer_is_said_so(folders, tmp_path):
    def refused(match, content=None, **files):
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        folder.mkdir()
        (folder / "tokenizer.json").write_text(content or (folders["gpt2"] / "tokenizer.json").read_text())
        for name, text in files.items():
            (folder / f"{name}.json").write_text(text)
        with pytest.raises(UserError, match=match):
            load_tokenizer(folder)

    whole = (folders["gpt2"] / "tokenizer.json").read_text()
    refused("not JSON", whole[:1000])
    refused(r"tokenizer\.json", "[]")
    refused(r"tokenizer\.json", '{"model": 3}')
    refused(r"tokenizer\.json", '{"added_tokens": [3], "model": {"type": "BPE", "vocab": {}, "merges": []}}')
    refused("cannot be used", whole.replace('"BPE"', '"Other"'))
    refused("which token ends a text", whole.replace(END, "<|other|>"))
    refused("lacks a token", None, config='{"eos_token_id": 4000}')
    refused("no JSON object", None, config="[]")
    refused("no record", None, tokenizer_ids='{"eos": 1}')
    with pytest.raises(UserError, match="has no tokenizer"):
        load_tokenizer(tmp_path)
    with pytest.raises(UserError, match="cannot be read"):
        load_tokenizer(tmp_path / "absent.json")
    with pytest.raises(UserError, match="lacks a token"):
        FastTokenizer(whole.encode(), SpecialIds(0, -1, 0))
