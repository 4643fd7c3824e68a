import json
import pathlib
from types import SimpleNamespace

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linkjax.errors import UserError
from linkjax.huggingface.folder import ModelFolder
from linkjax.vocabulary.__main__ import main
from linkjax.vocabulary.arguments import build_parser
from linkjax.vocabulary.merges import learn_merges, merged
from linkjax.vocabulary.texts import Text
from linkjax.vocabulary.token_vectors import word_pieces
from linkjax.vocabulary.tokens import Vocabulary
from linkjax.vocabulary.word_vectors import read_vectors
from tests import hugging_tokenizers
from tests.vocabulary_folders import ENGLISH, KINDS, SWAHILI, write_model

EMBEDDINGS, OUTPUT = "model.embed_tokens.weight", "lm_head.weight"
OTHER = [*ENGLISH, "The lazy road!  Русский 漢字 \U0001f98a\tna\u0301", "x", " "]


@pytest.fixture(scope="module")
def texts(tmp_path_factory) -> dict[str, pathlib.Path]:
    folder = tmp_path_factory.mktemp("texts")
    files = {"english": ENGLISH, "swahili": SWAHILI}
    for name, lines in files.items():
        (folder / name).write_text("\n".join(lines), encoding="utf-8")
    return {name: folder / name for name in files}


@pytest.fixture(scope="module", params=KINDS)
def model(request, tmp_path_factory) -> pathlib.Path:
    return write_model(tmp_path_factory.mktemp("model") / "m", KINDS[request.param](), tied=False, spare=3)


def run(verb: str, model: pathlib.Path, out: pathlib.Path, capsys, **options) -> dict:
    """Runs the command line and gives its report."""
    flags = [f"--{name}={value}" for name, value in options.items()]
    try:
        main([verb, f"--model={model}", f"--out={out}", "--json", *flags])
    except SystemExit as error:
        raise AssertionError(capsys.readouterr().err) from error
    return json.loads(capsys.readouterr().out)


def refused(capsys, *argv: str) -> str:
    """The one sentence that a mistake gets."""
    with pytest.raises(SystemExit) as ending:
        main(list(argv))
    said = capsys.readouterr().err
    assert ending.value.code == 2 and said.startswith("error: ") and said.count("\n") == 1
    return said


def rows(folder: pathlib.Path, name: str = EMBEDDINGS) -> np.ndarray:
    return ModelFolder.open(folder).read(name)


def written(vocabulary: Vocabulary, line: str) -> list[str]:
    return [vocabulary.tokens[id] for id in vocabulary.encode(line)]


def there_and_back(vocabulary: Vocabulary, line: str) -> str:
    return vocabulary.backend.decode(vocabulary.encode(line))


def test_extending_leaves_ids_rows_and_english_alone(model, texts, tmp_path, capsys):
    old = Vocabulary.load(model)
    size = len(old) + 25
    report = run("extend", model, tmp_path / "out", capsys, target_text=texts["swahili"],
                 english_text=texts["english"], vocabulary_size=size)  # fmt: skip
    new = Vocabulary.load(tmp_path / "out")
    assert len(old) + 10 < len(new) <= size
    assert new.tokens[: len(old)] == old.tokens and new.special == old.special
    assert [new.encode(line) for line in ENGLISH] == [old.encode(line) for line in ENGLISH]
    assert [there_and_back(new, line) for line in OTHER] == [there_and_back(old, line) for line in OTHER]
    assert [there_and_back(new, line) for line in SWAHILI] == SWAHILI
    before, after = report["tokens_per_word"]["target text"]
    assert after < 0.85 * before
    for name in (EMBEDDINGS, OUTPUT):
        before, after = rows(model, name), rows(tmp_path / "out", name)
        assert len(after) == max(len(new), len(before))
        np.testing.assert_array_equal(after[: len(old)], before[: len(old)])
        for id in range(len(old), len(new)):
            pieces = old.pieces(new.meanings[id])
            np.testing.assert_allclose(after[id], before[pieces].mean(axis=0), rtol=1e-5, atol=1e-6)
    config, was = ModelFolder.open(tmp_path / "out").config, ModelFolder.open(model).config
    assert "## Vocabulary" in (tmp_path / "out/README.md").read_text()
    assert config == {**was, "vocab_size": len(rows(tmp_path / "out"))}


@pytest.mark.parametrize("kind", KINDS)
def test_extending_for_a_script_of_its_own(kind, tmp_path, capsys):
    """Its characters had no tokens, only bytes."""
    model = write_model(tmp_path / "m", KINDS[kind]())
    old = Vocabulary.load(model)
    line = "ውሻው በሰነፉ ውሻ ላይ ይዘላል፣ ሌሎቹም ውሾች ይጮኻሉ"
    (tmp_path / "text").write_text((line + "\n") * 3, encoding="utf-8")
    run("extend", model, tmp_path / "out", capsys, target_text=tmp_path / "text", vocabulary_size=len(old) + 60)
    new = Vocabulary.load(tmp_path / "out")
    assert there_and_back(new, line) == line
    assert len(new.encode(line)) < 0.5 * len(old.encode(line))
    assert [new.encode(line) for line in ENGLISH] == [old.encode(line) for line in ENGLISH]


def test_without_english_text_more_is_merged(texts, tmp_path, capsys):
    model = write_model(tmp_path / "m", KINDS["byte-level"]())
    old = Vocabulary.load(model)
    options = {"target_text": texts["swahili"], "vocabulary_size": len(old) + 200}
    free = run("extend", model, tmp_path / "free", capsys, **options, english_text=texts["english"])
    greedy = run("extend", model, tmp_path / "greedy", capsys, **options)
    assert greedy["tokens_per_word"]["target text"][1] <= free["tokens_per_word"]["target text"][1]
    new = Vocabulary.load(tmp_path / "greedy")
    assert any(new.encode(line) != old.encode(line) for line in ENGLISH)  # so the text given is what protects it


@settings(max_examples=40)
@given(st.lists(st.text(alphabet="abc", min_size=1, max_size=9), min_size=1, max_size=8), st.integers(1, 12))
def test_merges_learned_are_what_counting_anew_each_time_gives(words, most):
    counts = {tuple(word): 1 + index for index, word in enumerate(dict.fromkeys(words))}
    cut = {word: list(word) for word in counts}
    expected, taken = [], set("abc")
    while len(expected) < most:
        found: dict = {}
        for word, count in counts.items():
            for pair in zip(cut[word], cut[word][1:], strict=False):
                found[pair] = found.get(pair, 0) + count
        usable = [pair for pair, count in found.items() if count >= 2 and "".join(pair) not in taken]
        usable = [pair for pair in usable if pair != ("a", "b")]
        if not usable:
            break
        best = min(usable, key=lambda pair: (-found[pair], pair))
        expected.append(best)
        taken.add("".join(best))
        cut = {word: merged(cut[word], best) for word in cut}
    assert learn_merges(counts, most, set("abc"), {("a", "b")}) == expected


def test_nothing_is_merged_into_a_token_that_there_is():
    """It has merges of its own already, which would make it in other places as well."""
    assert learn_merges({("a", "b", "c"): 3}, 5, {"a", "b", "c", "ab"}, ()) == [("b", "c"), ("a", "bc")]
    assert learn_merges({("a", "b", "c"): 3}, 5, {"a", "b", "c", "ab", "bc"}, ()) == []


def test_trimming_to_texts_cuts_them_as_before(model, texts, tmp_path, capsys):
    old = Vocabulary.load(model)
    report = run("trim", model, tmp_path / "out", capsys, target_text=texts["swahili"])
    new = Vocabulary.load(tmp_path / "out")
    assert len(new) < len(old) and report["ids"] == [len(old), len(new)]
    as_written = [
        [vocabulary.tokens[id] for id in vocabulary.encode(line)] for vocabulary in (old, new) for line in SWAHILI
    ]
    assert as_written[: len(SWAHILI)] == as_written[len(SWAHILI) :]
    assert {new.tokens[id] for id in new.special} == {old.tokens[id] for id in old.special}
    assert [new.backend.decode(new.encode(line)) for line in OTHER] == [
        old.backend.decode(old.encode(line)) for line in OTHER
    ]
    for name in (EMBEDDINGS, OUTPUT):
        expected = rows(model, name)[[old.tokens.index(token) for token in new.tokens]]
        np.testing.assert_array_equal(rows(tmp_path / "out", name), expected)
    folder = ModelFolder.open(tmp_path / "out")
    assert new.tokens[folder.config["eos_token_id"]] == old.tokens[ModelFolder.open(model).config["eos_token_id"]]
    generation = json.loads((tmp_path / "out/generation_config.json").read_text())
    assert generation["eos_token_id"] == [folder.config["eos_token_id"]]
    for token in ((new.specification["post_processor"] or {}).get("special_tokens") or {}).values():
        assert [new.tokens[id] for id in token["ids"]] == token["tokens"]


def test_trimming_to_a_text_keeps_what_is_between_its_lines(tmp_path, capsys):
    text = "The dog jumps.\n\n\tif a:\n\n\tb.\n" * 30
    model = write_model(tmp_path / "m", json.loads(hugging_tokenizers.train("qwen", [text, *SWAHILI], 300).to_str()))
    (tmp_path / "text.txt").write_text(text)
    run("trim", model, tmp_path / "out", capsys, target_text=tmp_path / "text.txt")
    old, new = Vocabulary.load(model), Vocabulary.load(tmp_path / "out")
    assert len(new) < len(old) and written(new, text) == written(old, text)


def test_odd_tokenizer_files_are_sentences(texts, tmp_path, capsys):
    specification = KINDS["byte-level"]()
    around = [token for token in specification["model"]["vocab"] if len(token) > 3][-1]  # of English words
    special = {around: {"id": around, "ids": [specification["model"]["vocab"][around]], "tokens": [around]}}
    begins = [{"SpecialToken": {"id": around, "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}]
    template = {"type": "TemplateProcessing", "single": begins, "pair": begins, "special_tokens": special}
    template["pair"] = [*begins, {"Sequence": {"id": "B", "type_id": 1}}]
    model = write_model(tmp_path / "m", specification | {"post_processor": template})
    target, out = f"--target_text={texts['swahili']}", f"--out={tmp_path / 'out'}"
    for more in (["trim"], ["replace", "--vocabulary_size=300"]):
        assert "post_processor" in refused(capsys, *more, f"--model={model}", target, out)
    empty = tmp_path / "empty.json"
    empty.write_text(json.dumps({"model": {"type": "BPE", "vocab": {}, "merges": []}}))
    assert "no tokens" in refused(capsys, "replace", f"--model={model}", f"--tokenizer={empty}", out)
    model = write_model(tmp_path / "other", specification)
    (model / "tokenizer_config.json").write_text(json.dumps({"added_tokens_decoder": {"1": {"content": ["a"]}}}))
    run("trim", model, tmp_path / "out", capsys, target_text=texts["swahili"])


@pytest.mark.parametrize("kind", ["byte-level", "unigram"])
def test_trimming_to_a_script(kind, tmp_path, capsys, monkeypatch):
    russian = ["Быстрая коричневая лиса прыгает через ленивую собаку, и собака лает на лису."] * 10
    monkeypatch.setattr("tests.vocabulary_folders.ENGLISH", ENGLISH + russian)
    model = write_model(tmp_path / "m", KINDS[kind]())
    old = Vocabulary.load(model)
    run("trim", model, tmp_path / "out", capsys, scripts="Latn")
    new = Vocabulary.load(tmp_path / "out")
    gone = [meaning for meaning in old.meanings if meaning not in new.meanings]
    whole = [text if isinstance(text, str) else text.decode(errors="ignore") for text in gone]
    assert len(gone) > 20 and all(any("а" <= sign.lower() <= "я" for sign in text) for text in whole)
    for line in (*ENGLISH, "naïve café 12!  x\ty"):
        assert written(new, line) == written(old, line)
    assert there_and_back(new, russian[0]) == russian[0]  # by its bytes


def test_scripts_that_stand_for_several_are_all_of_them():
    parser = build_parser()
    arguments = parser.parse_args(["trim", "--model=m", "--out=o", "--scripts=Latn, Jpan"])
    assert arguments.scripts == ("Latn", "Hani", "Hira", "Kana")


def test_replacing_trains_of_the_same_kind(model, texts, tmp_path, capsys):
    old = Vocabulary.load(model)
    report = run("replace", model, tmp_path / "out", capsys, target_text=texts["swahili"], vocabulary_size=360)
    new = Vocabulary.load(tmp_path / "out")
    assert len(new) <= 360 and (new.kind, new.writing) == (old.kind, old.writing)
    assert {new.tokens[id] for id in new.special} == {old.tokens[id] for id in old.special}
    assert [there_and_back(new, line) for line in OTHER] == [there_and_back(old, line) for line in OTHER]
    assert report["tokens_per_word"]["target text"][1] < 0.8 * report["tokens_per_word"]["target text"][0]
    before, after = rows(model), rows(tmp_path / "out")
    assert len(after) == len(new)
    shared = [(id, old.meanings.index(meaning)) for id, meaning in enumerate(new.meanings) if meaning in old.meanings]
    assert len(shared) == report["rows"]["input"]["copied"]["rows"] > 20
    for id, was in shared:
        np.testing.assert_array_equal(after[id], before[was])
    config = ModelFolder.open(tmp_path / "out").config
    assert new.tokens[config["eos_token_id"]] == old.tokens[ModelFolder.open(model).config["eos_token_id"]]


def write_vectors(path: pathlib.Path, words: list[str], width: int = 6, seed: int = 0) -> pathlib.Path:
    rng = np.random.default_rng(seed)
    lines = [f"{len(words)} {width}", *(f"{word} {' '.join(map(str, rng.standard_normal(width)))}" for word in words)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def words_of(lines: list[str]) -> list[str]:
    return sorted({word.strip(".,").lower() for line in lines for word in line.split()})


@pytest.fixture(scope="module")
def aids(texts, tmp_path_factory) -> dict[str, pathlib.Path]:
    """All that any method asks for."""
    folder = tmp_path_factory.mktemp("aids")
    swahili, english = words_of(SWAHILI), words_of(ENGLISH)
    pairs = [f"{source}\t{target}" for source in english[:20] for target in swahili if target.isalpha()]
    (folder / "words.tsv").write_text("\n".join(pairs) + "\n", encoding="utf-8")
    return {
        "word_vectors": write_vectors(folder / "sw.vec", swahili),
        "english_vectors": write_vectors(folder / "en.vec", english, seed=1),
        "target_model": write_model(folder / "target", KINDS["unigram"](), tied=False, seed=5),
        "lexicon": folder / "words.tsv",
    }


@pytest.mark.parametrize("method", ["random", "salt", "focus", "wechsel", "clp", "translation"])
def test_methods_at_the_command_line(method, texts, aids, tmp_path, capsys):
    model = write_model(tmp_path / "m", KINDS["byte-level"](), tied=method != "salt", dtype=ml_dtypes.bfloat16)
    old = Vocabulary.load(model)
    options = {"target_text": texts["swahili"], "vocabulary_size": 400, "method": method, **aids}
    report = run("extend", model, tmp_path / "out", capsys, **options)
    new = Vocabulary.load(tmp_path / "out")
    found = report["rows"]["input"]
    assert found["copied"]["rows"] == len(old)
    assert found["by the method"]["rows"] > 10
    assert sum(way["rows"] for way in found.values()) == len(new)
    assert ("output" in report["rows"]) == (method == "salt")
    after = rows(tmp_path / "out")
    assert after.dtype == ml_dtypes.bfloat16 and np.isfinite(after.astype(np.float32)).all()
    run("extend", model, tmp_path / "again", capsys, **options)
    assert (tmp_path / "out/model.safetensors").read_bytes() == (tmp_path / "again/model.safetensors").read_bytes()


def test_a_given_tokenizer_brings_its_end(texts, aids, tmp_path, capsys):
    """The end of a text has another name there; tokens are the same whichever way their spaces are written."""
    model = write_model(tmp_path / "m", KINDS["byte-level"]())
    old, target = Vocabulary.load(model), Vocabulary.load(aids["target_model"])
    run("replace", model, tmp_path / "out", capsys, tokenizer=aids["target_model"])
    new = Vocabulary.load(tmp_path / "out")
    assert new.tokens == target.tokens
    config = ModelFolder.open(tmp_path / "out").config
    assert new.tokens[config["eos_token_id"]] == "</s>"
    before, after = rows(model), rows(tmp_path / "out")
    for role in ("<pad>", "</s>"):  # what begins a text is, to a model that has no such token, what ends the one before
        np.testing.assert_array_equal(after[new.tokens.index(role)], before[old.tokens.index("<|endoftext|>")])
    np.testing.assert_array_equal(after[new.tokens.index("▁the")], before[old.tokens.index("Ġthe")])


def test_transformers_loads_what_is_written(model, texts, tmp_path, capsys):
    transformers = pytest.importorskip("transformers")
    torch = pytest.importorskip("torch")
    size = len(Vocabulary.load(model)) + 20
    run("extend", model, tmp_path / "extended", capsys, target_text=texts["swahili"], vocabulary_size=size)
    run("trim", tmp_path / "extended", tmp_path / "trimmed", capsys, target_text=texts["swahili"])
    run("replace", model, tmp_path / "replaced", capsys, target_text=texts["swahili"], vocabulary_size=360)
    for name in ("extended", "trimmed", "replaced"):
        ours = Vocabulary.load(tmp_path / name)
        tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / name)
        for line in OTHER:
            assert tokenizer(line, add_special_tokens=False).input_ids == ours.encode(line)
        assert tokenizer.eos_token_id == ModelFolder.open(tmp_path / name).config["eos_token_id"]
        loaded = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / name)
        logits = loaded(torch.tensor([ours.encode(SWAHILI[0])])).logits
        assert logits.shape[-1] == len(rows(tmp_path / name)) and torch.isfinite(logits).all()


@pytest.mark.parametrize("method", ["focus", "wechsel"])
def test_vectors_trained_here(method, texts, aids, tmp_path, capsys):
    """On tokens for the one, on the words of both languages for the other."""
    pytest.importorskip("gensim")
    model = write_model(tmp_path / "m", KINDS["byte-level"]())
    options = {"target_text": texts["swahili"], "vocabulary_size": 380, "method": method}
    if method == "wechsel":
        options |= {"english_text": texts["english"], "lexicon": aids["lexicon"]}
    report = run("extend", model, tmp_path / "out", capsys, **options)
    assert report["rows"]["input"]["by the method"]["rows"] > 10
    run("extend", model, tmp_path / "again", capsys, **options)
    np.testing.assert_array_equal(rows(tmp_path / "out"), rows(tmp_path / "again"))
    run("extend", model, tmp_path / "other", capsys, **options, seed=1)
    assert not np.array_equal(rows(tmp_path / "out"), rows(tmp_path / "other"))


def test_words_are_cut_as_they_are_mostly_written(tmp_path):
    (tmp_path / "de.txt").write_text("Der Hund bellt, der kleine Hund.\nEin Hund lief, und der HUND bellte.\n")
    text = Text(str(tmp_path / "de.txt"))
    assert text.words["hund"] == 4 and text.forms["hund"] == "Hund" and text.forms["der"] == "der"
    vocabulary = SimpleNamespace(pieces=list)
    assert "".join(word_pieces(vocabulary, text)("hund")) == " Hund"
    assert "".join(word_pieces(vocabulary, text)("mbwa")) == "".join(word_pieces(vocabulary, None)("mbwa")) == " mbwa"


def test_vectors_are_read_up_to_a_bound(tmp_path):
    path = write_vectors(tmp_path / "a.vec", ["mbwa", "New York", "mbwa", "paka", "maji"])
    found = read_vectors(path, most=3)
    assert found.words == ("mbwa", "New York", "paka")  # a word may hold a space; the first of two counts
    assert found.vectors_NxW.shape == (3, 6)
    np.testing.assert_allclose(
        found.vectors_NxW[2, 0], float(path.read_text().splitlines()[4].split(" ")[1]), rtol=1e-6
    )


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "line 1"),
        (b"mbwa 1 2 3\n", "line 1"),
        (b"2 3\nmbwa 1 2\n", "line 2: .*2 numbers instead of 3"),
        (b"2 3\nmbwa 1 2 3\npaka 1 x 3\n", "line 3"),
        (b"2 3\nmbwa 1 nan 3\n", "not finite"),
        (b"2 3\n\xff\xfe 1 2 3\n", "line 2"),
        (b"1 3\n" + b"x" * 3_000_000, "line 2"),
        (b"99999999999999 99999999999999\n", "line 1"),
        (b"2 3\n", "no word"),
    ],
)
def test_broken_vectors_are_a_sentence(content, said, tmp_path):
    (tmp_path / "a.vec").write_bytes(content)
    with pytest.raises(UserError, match=f"a.vec.*{said}"):
        read_vectors(tmp_path / "a.vec")


def test_mistakes_are_sentences(texts, tmp_path, capsys):
    model = write_model(tmp_path / "m", KINDS["byte-level"]())
    start = ["extend", f"--model={model}", f"--out={tmp_path / 'out'}"]
    learn = [f"--target_text={texts['swahili']}", "--vocabulary_size=400"]
    assert "--target_text and --vocabulary_size" in refused(capsys, *start)
    assert "no room" in refused(capsys, *start, learn[0], "--vocabulary_size=300")
    for method, needs in {"salt": "--target_model", "clp": "--target_model", "translation": "--lexicon",
                          "wechsel": "--english_text or --english_vectors and --lexicon"}.items():  # fmt: skip
        assert needs in refused(capsys, *start, *learn, f"--method={method}")
    assert "invalid choice" in refused(capsys, *start, "--method=magic")
    (tmp_path / "sw.bin").write_bytes(b"\xba\x16\x4f\x2f")
    assert ".vec" in refused(capsys, *start, *learn, "--method=focus", f"--word_vectors={tmp_path / 'sw.bin'}")
    assert "drops nothing" in refused(capsys, "trim", *start[1:])
    for script in ("latin", "Cyrn"):
        assert "no script" in refused(capsys, "trim", *start[1:], f"--scripts={script}")
    assert "needs a tokenizer" in refused(capsys, "replace", *start[1:])
    assert "exists" in refused(capsys, "extend", f"--model={model}", f"--out={model}", *learn)
    for model_json in ({"type": "WordPiece", "vocab": {"a": 0}, "unk_token": "a", "continuing_subword_prefix": "##",
                        "max_input_chars_per_word": 9}, {"type": "BPE", "vocab": {"a": 4_000_000_000}, "merges": []},
                       {"type": "BPE", "vocab": [1], "merges": 3}, {}):  # fmt: skip
        (model / "tokenizer.json").write_text(json.dumps({"model": model_json}))
        assert "tokenizer.json" in refused(capsys, *start, *learn)
    (model / "tokenizer.json").write_text("[1")
    assert "not JSON" in refused(capsys, *start, *learn)
    assert not (tmp_path / "out").exists()
