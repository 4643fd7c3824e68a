import dataclasses
import hashlib
import json
import shutil
import subprocess
import sys

import pytest

from linkjax.config import check_prepared_so, load_config, run_settings
from linkjax.data.pipeline import make_substitution
from linkjax.data.prepared import Prepared, read_statistics, write_statistics
from linkjax.errors import UserError
from linkjax.lexicon import Lexicon, WordStatistics
from linkjax.lexicon.coverage import count_parts, parts_of
from linkjax.preparation.statistics import word_statistics
from linkjax.prepare import prepare
from linkjax.substitution import LinkSettings
from tasks.text_files import LocalText, LocalTextSettings, find_files
from tasks.world import World
from tests.conftest import ROOT


def tiny():
    return load_config(str(ROOT / "configs/base.py:cpu"))


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("world.subjects", 30, "world.subjects is 30"),
        ("mixture", "toy_wolrd", "'toy_wolrd' is no task or mixture"),
        ("evaluations", "toy_world_fcats", "'toy_world_fcats' is no task or mixture"),
        ("task_module", "tasks.nothing", "task_module 'tasks.nothing'"),
        ("task_module", "", "task_module ''"),
    ],
)
def test_what_cannot_be_prepared_is_named_and_leaves_nothing(tmp_path, key, value, says):
    config = tiny()
    with config.unlocked():
        config.update_from_flattened_dict({key: value})
    with pytest.raises(UserError, match=says):
        prepare(config, tmp_path / "deep" / "out")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("link.exclude", "nver.txt", "word list 'nver.txt' is neither a file"),
        ("tokenizer.path", "nowhere", "tokenizer.path 'nowhere' does not exist"),
        ("rates", "0.5:toy_world_tagret=0.3", "Did you mean 'toy_world_target'"),
        ("most_passes", "toy_world_target=many", "most_passes has"),
        ("evaluations", "cloze_sw", "asks for text in 'sw', and there is text in en, qaa"),
        ("evaluations", "cloze_qaa:none.txt", "none.txt cannot be read, of which cloze_qaa"),
    ],
)
def test_what_can_be_told_at_once_is_told_before_any_text_is_read(tmp_path, monkeypatch, key, value, says):
    monkeypatch.setattr("linkjax.prepare.read_corpora", lambda *_: pytest.fail("it was read"))
    config = tiny()
    with config.unlocked():
        config.update_from_flattened_dict({key: value})
    with pytest.raises(UserError, match=says):
        prepare(config, tmp_path / "out")


@pytest.mark.parametrize(
    ("file", "content", "says"),
    [
        ("en.txt", None, "no file matches"),
        ("sw.txt", b"\n \n", "the corpus of 'local_text_sw' has no documents for training"),
        ("sw.txt", b"Mbwa\n" * 3, "has 3 documents and few words, too little for 8 virtual shards"),
        ("en.txt", b"fine\n\xff\xfe\n", r"en\.txt is not UTF-8 text"),
        ("lexicon.tsv", b"no tab on this line\n", "line 1: expected two words"),
        ("lexicon.tsv", b"", "has no usable line"),
        ("lexicon.tsv", None, r"lexicon\.tsv cannot be read"),
    ],
    ids=str,
)
def test_bad_files_are_named_and_leave_nothing(tmp_path, file, content, says):
    folder = tmp_path / "text"
    folder.mkdir()
    (folder / "en.txt").write_text("".join(f"The dog {i} sees the cat by the water.\n" for i in range(300)))
    (folder / "sw.txt").write_text("".join(f"Mbwa {i} anaona paka karibu na maji.\n" for i in range(100)))
    (folder / "lexicon.tsv").write_text("dog\tmbwa\ncat\tpaka\nwater\tmaji\n")
    (folder / file).unlink()
    if content is not None:
        (folder / file).write_bytes(content)
    config = load_config(str(ROOT / "configs/local_text.py:cpu"))
    config.english, config.target, config.lexicon = (str(folder / n) for n in ("en.txt", "sw.txt", "lexicon.tsv"))
    config.target_language = "sw"
    with pytest.raises(UserError, match=says):
        prepare(config, tmp_path / "deep" / "run" / "data")
    assert [path.name for path in tmp_path.iterdir()] == ["text"]


def test_the_same_config_gives_the_same_bytes(tmp_path):
    for name in ("one", "two"):
        prepare(tiny(), tmp_path / name)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_manifest_tells_what_is_there(toy):
    world = World()
    english, target = toy.components
    assert [english["name"], target["name"]] == ["toy_world_english", "toy_world_target"]
    assert [english["language"], target["language"]] == ["en", "qaa"]
    assert [english["rate"], target["rate"]] == [0.9, 0.1]
    assert [step["operation"] for step in english["operations"]] == ["lexical_substitution", "tokenize", "append_eos"]
    assert [step["operation"] for step in target["operations"]] == ["tokenize", "append_eos"]
    for component, language in ((english, "en"), (target, "qaa")):
        texts = world.sentences(language, "train")
        assert component["documents"] == len(texts)
        assert component["bytes"] == sum(len(text.encode()) for text in texts)
        assert component["tokens"] == sum(len(toy.tokenizer.encode(text)) + 1 for text in texts)
        assert sorted(document.text for document in toy.documents(component)) == sorted(texts)
        assert [document.text for document in toy.heldout(component)] == world.sentences(language, "heldout")
        assert 1 < component["heldout"]["byte_trigram_bits_per_byte"] < 2
    for name, about in toy.manifest["files"].items():
        data = (toy.folder / name).read_bytes()
        assert about == {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    assert set(toy.manifest["files"]) | {"manifest.json"} == set(contents(toy.folder))
    assert toy.manifest["lexicons"]["qaa"]["sha256"] == toy.lexicons["qaa"].fingerprint


def test_word_statistics_count_both_texts(toy):
    world = World()
    english = " ".join(world.sentences("en", "train")).replace(".", "").lower().split()
    target = " ".join(world.sentences("qaa", "train")).replace(".", "").lower().split()
    for word in ("anna", "keeps", "violin"):
        translation = toy.lexicons["qaa"].entries[word][0]
        assert toy.statistics["qaa"][word] == WordStatistics(
            english.count(word), target.count(translation), len(toy.tokenizer.encode(translation))
        )


@pytest.mark.parametrize(
    ("text", "counts"),
    [
        (["我喜欢狗。狗在喝水。", "水很冷。好。"], {"狗": 2, "水": 2, "好": 1, "猫": 0}),
        (["कुत्ता किताब कि", "किताब"], {"कुत्ता": 1, "किताब": 2, "कि": 1, "त": 0}),
        (["Mbwa mkubwa sana. mbwa"], {"mbwa": 2, "mbwa mkubwa": 1, "paka": 0}),
    ],
)
def test_words_of_any_script_are_counted(toy, text, counts):
    """Scripts without spaces, and vowel signs that are no letters."""
    lexicon = Lexicon({f"english{place}": (word,) for place, word in enumerate(counts)})
    found = count_parts(text, [part for word in counts for part in parts_of(word)])
    statistics = word_statistics(lexicon, toy.tokenizer, {}, found)
    assert [statistics[source].target_count for source in lexicon.entries] == list(counts.values())


def test_statistics_read_back(tmp_path):
    statistics = {"a": WordStatistics(1, 2, 1.5), "ä": WordStatistics(0, 0, 3.0)}
    write_statistics(statistics, tmp_path / "s.tsv")
    assert read_statistics(tmp_path / "s.tsv") == statistics


def test_a_failure_on_the_way_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr("linkjax.prepare.write_lexicon", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        prepare(tiny(), tmp_path / "deep" / "er" / "out")
    assert list(tmp_path.iterdir()) == []


def test_what_a_kill_left_is_not_taken_for_a_folder(tmp_path):
    left = tmp_path / ".out.partial"
    (left / "folder" / "documents").mkdir(parents=True)
    (left / "folder" / "documents" / "stale.arrayrecord").write_bytes(b"x")
    (left / "work" / ".unfinished-x").mkdir(parents=True)
    prepare(tiny(), tmp_path / "out")
    assert not left.exists()
    assert "documents/stale.arrayrecord" not in contents(tmp_path / "out")
    with pytest.raises(UserError, match="exists already"):
        prepare(tiny(), tmp_path / "out")


def test_foreign_folders_are_refused(tmp_path, toy_folder):
    with pytest.raises(UserError, match="not a prepared folder"):
        Prepared(tmp_path)
    (tmp_path / "manifest.json").write_text(json.dumps({"format": 99}))
    with pytest.raises(UserError, match="has format 99"):
        Prepared(tmp_path)
    cut = tmp_path / "cut"
    shutil.copytree(toy_folder, cut)
    (cut / "lexicons/qaa.tsv").write_bytes((cut / "lexicons/qaa.tsv").read_bytes()[:-1])
    with pytest.raises(UserError, match=r"qaa\.tsv is missing or damaged"):
        Prepared(cut)


def test_a_tokenizer_can_be_given(tmp_path, toy_folder):
    config = tiny()
    config.tokenizer.path = str(toy_folder / "tokenizer.model")
    prepare(config, tmp_path / "out")
    assert (tmp_path / "out/tokenizer.model").read_bytes() == (toy_folder / "tokenizer.model").read_bytes()


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        ({"english": ""}, "english is not given"),
        ({"document": "page"}, "line or file"),
        ({"target_rate": 1.0}, "target_rate is 1.0"),
        ({"heldout_share": -0.1}, "heldout_share"),
        ({"target_language": "en"}, "target_language is 'en'"),
    ],
    ids=str,
)
def test_impossible_local_texts_are_refused(bad, says):
    good = {"english": "a", "target": "b", "target_language": "sw", "lexicon": "c"}
    with pytest.raises(UserError, match=says):
        LocalTextSettings(**{**good, **bad})


def test_what_is_held_out_is_nowhere_in_training(tmp_path):
    (tmp_path / "a.txt").write_text("one\ntwo\nthree\n")
    (tmp_path / "heldout.txt").write_text("two\nfour\n")
    files = find_files(f"{tmp_path}/*.txt", "t")
    text = LocalText("t", files, (tmp_path / "heldout.txt",), "line", 0.0)
    assert sorted(document.text for document in text.documents("train")) == ["one", "three"]
    assert sorted(document.text for document in text.documents("heldout")) == ["four", "two"]
    by_share = LocalText("t", files * 2, (), "line", 0.5)
    assert set(by_share.documents("train")).isdisjoint(by_share.documents("heldout"))
    assert len(list(by_share.documents("train"))) + len(list(by_share.documents("heldout"))) == 10


def test_verses_are_split_by_book_without_overlap(tmp_path):
    (tmp_path / "v.tsv").write_text(
        "MAT.1.1\tone two three four five six\nJOH.1.1\tseven two three four five six\nJOH.1.2\tquite another one\n"
    )
    arguments = [ROOT / "tools/split_verses.py", tmp_path / "v.tsv", "--heldout=JOH", f"--out={tmp_path}/out"]
    done = subprocess.run([sys.executable, *map(str, arguments)], check=True, capture_output=True, text=True)
    assert "1 verses to train on, 1 held out, 1 dropped as seen" in done.stdout
    assert (tmp_path / "out/heldout.txt").read_text() == "quite another one\n"


def write_two_languages(folder, words=300):
    (folder / "en.txt").write_text("".join(f"The dog {i} sees the cat by the water.\n" for i in range(words)))
    for language, dog, cat in (("sw", "mbwa", "paka"), ("de", "Hund", "Katze")):
        (folder / f"{language}.txt").write_text("".join(f"{dog} {cat} {i}\n" for i in range(60)))
        (folder / f"en-{language}.tsv").write_text(f"dog\t{dog}\ncat\t{cat}\n")
    config = load_config(str(ROOT / "configs/local_text.py:cpu"))
    config.english, config.target_language = str(folder / "en.txt"), "sw,de"
    config.target, config.lexicon = str(folder / "{language}.txt"), str(folder / "en-{language}.tsv")
    return config


def test_several_target_languages(tmp_path):
    config = write_two_languages(tmp_path)
    config.link.language_weights = "sw:3,de:1"
    config.link.exclude = str(tmp_path / "never.txt")
    (tmp_path / "never.txt").write_text("Cat\n")
    prepare(config, tmp_path / "out")
    folder = Prepared(tmp_path / "out")
    assert {c["language"]: c["rate"] for c in folder.components} == {"en": 0.9, "sw": 0.05, "de": 0.05}
    documents = {c["language"]: list(folder.documents(c)) for c in folder.components}
    english = documents["en"]
    assert set(folder.lexicons) == set(folder.statistics) == set(folder.lexicon_hashes) == {"sw", "de"}
    assert folder.statistics["de"]["dog"].target_count == len(documents["de"])
    assert folder.statistics["sw"]["cat"].english_count == len(english)
    (tmp_path / "never.txt").unlink()  # the folder has its own
    link = run_settings(config).link
    substitution = make_substitution(folder, dataclasses.replace(link, ratio=1.0))
    texts = [substitution(document.id, document.text).text for document in english]
    assert all("cat" in text for text in texts)
    assert abs(sum("mbwa" in text for text in texts) / len(texts) - 0.75) < 0.1
    assert all(("mbwa" in text) != ("Hund" in text) for text in texts)
    config.link.exclude = "english_function_words"
    with pytest.raises(UserError, match=r"prepared with other settings: link\.exclude was"):
        check_prepared_so(config, folder)


def test_a_language_s_code_may_have_a_hyphen_and_a_text_the_rate_zero(tmp_path):
    config = write_two_languages(tmp_path)
    for name in ("{}.txt", "en-{}.tsv"):
        (tmp_path / name.format("sw")).rename(tmp_path / name.format("sr-Latn"))
    config.target_language = "sr-Latn,de"
    config.rates = "0:local_text_de=0,0.8:local_text_sr_Latn=0.3"
    prepare(config, tmp_path / "out")
    folder = Prepared(tmp_path / "out")
    assert {one["name"]: one["language"] for one in folder.components} == {
        "local_text_english": "en",
        "local_text_sr_Latn": "sr-Latn",
        "local_text_de": "de",
    }
    assert set(folder.lexicons) == {"sr-Latn", "de"}


def test_a_mixture_s_rate_may_be_zero(tmp_path, toy_folder):
    folder = shutil.copytree(toy_folder, tmp_path / "folder")
    manifest = json.loads((folder / "manifest.json").read_text())
    for component, rate in zip(manifest["components"], (1, 0), strict=True):
        component["rate"] = rate
    (folder / "manifest.json").write_text(json.dumps(manifest))
    assert [component["rate"] for component in Prepared(folder).components] == [1, 0]


def test_languages_without_a_place_in_the_paths_are_refused(tmp_path):
    config = write_two_languages(tmp_path)
    config.lexicon = str(tmp_path / "en-sw.tsv")
    with pytest.raises(UserError, match=r"lexicon is '.*en-sw\.tsv' for the languages sw,de: write '\{language\}'"):
        prepare(config, tmp_path / "out")


def test_a_share_of_all_words_is_measured_on_the_folders_text(toy):
    link = LinkSettings(ratio=0.3, ratio_of="words")
    substitution = make_substitution(toy, link)
    documents = list(toy.documents(toy.components[0]))
    swaps = sum(len(substitution(document.id, document.text).spans) for document in documents)
    words = sum(substitution(document.id, document.text).words for document in documents)
    assert abs(swaps / words - 0.3) < 0.02
    with pytest.raises(
        UserError, match=r"link\.ratio 0\.8 of all words is out of reach: only 0\.59\d of them can be swapped"
    ):
        make_substitution(toy, LinkSettings(ratio=0.8, ratio_of="words"))


def test_a_lexicon_that_would_harm_the_run_is_warned_of(tmp_path, capsys):
    config = write_two_languages(tmp_path)
    words = [f"{a}{b}n" for a in ("la", "mo", "ti", "ro", "be", "su") for b in ("ko", "pi", "da", "fu", "ge", "sa")]
    (tmp_path / "en-sw.tsv").write_text("".join(f"{word}\tmbwa\n" for word in words) + "dog\tmbwa\ncat\tpaka\n")
    prepare(config, tmp_path / "out")
    assert "warning: the lexicon for sw may harm the run: " in capsys.readouterr().err
