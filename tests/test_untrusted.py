"""What a stranger's files may not do: run code, lead out of their folder, expand or nest without bound, or hang."""

import ast
import gzip
import json
import os
import pathlib
import random
import sqlite3
import subprocess
import sys
import tracemalloc
import zlib

import pytest

from linkjax import config as configs
from linkjax import files
from linkjax.data.jsonl import read_jsonl
from linkjax.data.manifest import read_manifest
from linkjax.data.prepared import Prepared, read_statistics
from linkjax.errors import UserError
from linkjax.lexicon import ReadOptions, read_lexicon
from linkjax.substitution.word_lists import read_word_list
from linkjax.training.metrics import read_metrics
from tasks.text_files import LocalText
from tools import fuzz

ROOT = pathlib.Path(__file__).parent.parent
BASE = str(ROOT / "configs/base.py:cpu")


def write(path, content):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def complaint(function, *arguments, **options):
    """The sentence of what is refused."""
    with pytest.raises(UserError) as caught:
        function(*arguments, **options)
    assert fuzz.is_sentence(str(caught.value))
    return str(caught.value)


def texts(path, document="line"):
    return list(LocalText("t", [path], (), document, 0.0).documents("train"))


# Code

RUNNING = {"pickle", "cPickle", "dill", "cloudpickle", "marshal", "shelve", "joblib", "yaml"}


def calls(tree):
    """Names of what is called, with the module before it where it is written so; and their keywords."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), {keyword.arg: keyword.value for keyword in node.keywords}


def test_nothing_of_ours_runs_data():
    sources = [path for room in ("linkjax", "tasks", "tools", "configs") for path in (ROOT / room).rglob("*.py")]
    assert len(sources) > 80
    running = set()
    for path in sources:
        tree = ast.parse(path.read_text())
        for node in ast.walk(tree):
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = {alias.name for alias in node.names} | {getattr(node, "module", "") or ""}
                running |= {(path.name, name) for name in names if name.split(".")[0] in RUNNING}
        for name, keywords in calls(tree):
            assert name not in ("eval", "exec", "compile", "os.system", "os.popen", "__import__"), f"{path}: {name}"
            pickled = keywords.get("allow_pickle")
            assert pickled is None or (isinstance(pickled, ast.Constant) and pickled.value is False), f"{path}: {name}"
            assert "shell" not in keywords, f"{path}: {name} by a shell"
            if name in ("importlib.import_module", "spec.loader.exec_module", "tarfile.open", "zipfile.ZipFile"):
                running.add((path.name, name))
    # A config that is code, the task module of a config, and what processes of ours say to each other.
    assert running == {
        ("config.py", "spec.loader.exec_module"),
        ("registered.py", "importlib.import_module"),
        ("worker.py", "importlib.import_module"),
        ("worker.py", "pickle"),
    }


@pytest.fixture
def planted(tmp_path, monkeypatch):
    """A module that leaves a mark when it is imported, where Python finds it."""
    (tmp_path / "planted").mkdir()
    (tmp_path / "planted/evil_tasks.py").write_text(f"open({str(tmp_path / 'mark')!r}, 'w').close()\n")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path / 'planted'}{os.pathsep}{ROOT}")
    return tmp_path / "mark"


def change(folder, **settings):
    config = configs.load_config(BASE).to_dict()
    return write(folder / "config.json", json.dumps(config | settings))


def prepare(*arguments):
    command = [sys.executable, "-m", "linkjax.prepare", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100)


def test_a_config_that_is_data_imports_nothing_of_its_own(tmp_path, planted):
    path = change(tmp_path, task_module="evil_tasks")
    done = prepare(f"--config={path}", f"--out={tmp_path / 'out'}")
    assert done.returncode == 2
    assert "evil_tasks" in done.stderr and "--config.task_module=evil_tasks" in done.stderr
    assert "Traceback" not in done.stderr
    assert not planted.exists()
    config = run_main([f"--config={path}", "--config.task_module=evil_tasks"])
    assert config.task_module == "evil_tasks"


@pytest.mark.parametrize(
    "name", ["os", "tasks", "tasks.", "tasks..os", ".tasks.a", "tasks.a b", "tasksevil", "tasks.a;b", 7]
)
def test_only_task_modules_of_ours_are_imported_unnamed(tmp_path, name):
    path = str(change(tmp_path, task_module=name))
    assert "task_module" in complaint(configs.check_code, configs.load_config(path), path, [path])
    configs.check_code(configs.load_config(path), path, [path, f"--config.task_module={name}"])


def test_compiled_programs_of_a_stranger_are_not_run(tmp_path):
    path = str(change(tmp_path, compilation_cache="/somewhere"))
    assert "compilation_cache" in complaint(configs.check_code, configs.load_config(path), path, [path])
    for harmless in ("", "none"):
        path = str(change(tmp_path, compilation_cache=harmless))
        configs.check_code(configs.load_config(path), path, [path])


def run_main(argv):
    seen = []
    configs.main(lambda config: seen.append(config), "", {}, ["verb", *argv])
    return seen[0]


def test_a_json_config_takes_settings_from_the_command_line(tmp_path):
    path = change(tmp_path, compilation_cache="/somewhere")
    options = ["--config.compilation_cache=none", "--config.steps=7", "--config.link.ratio=0.25"]
    config = run_main([f"--config={path}", *options])
    assert (config.steps, config.link.ratio, config.compilation_cache) == (7, 0.25, "none")
    before = configs.load_config(str(path))
    assert set(configs.differences(before, config)) == {"steps", "link.ratio", "compilation_cache"}
    assert run_main(["--config", str(path), *options]) == config


def test_a_run_of_code_that_the_user_chose_prepares(tmp_path):
    """What `train` tells the process that prepares is enough for it."""
    config = configs.load_config(BASE)
    with config.unlocked():
        config.task_module, config.compilation_cache = "mine.tasks", "/mine"
    path = str(write(tmp_path / "config.json", configs.to_json(config)))
    configs.check_code(configs.load_config(path), path, [path, *configs.code_options(config)])


def test_features_json_imports_nothing(tmp_path, planted, monkeypatch):
    tfds = pytest.importorskip("tensorflow_datasets")
    from tasks.tfds_text import tfds_parts

    monkeypatch.syspath_prepend(str(tmp_path / "planted"))
    folder = tmp_path / "said/1.0.0"
    folder.mkdir(parents=True)
    fuzz.READERS["tfrecord"].make(tmp_path)
    (tmp_path / "a.tfrecord").rename(folder / "said-train.tfrecord-00000-of-00001")
    tfds.folder_dataset.write_metadata(data_dir=str(folder), features={"text": tfds.features.Text()})
    assert tfds_parts("tfds:said", "text", str(tmp_path))
    features = (folder / "features.json").read_text()
    own = "tensorflow_datasets.core.features.text_feature.Text"
    assert own in features
    (folder / "features.json").write_text(features.replace(own, "evil_tasks.Text"))
    assert "evil_tasks.Text" in complaint(tfds_parts, "tfds:said", "text", str(tmp_path))
    assert not planted.exists()
    (folder / "features.json").write_text(features)
    assert tfds_parts("tfds:said", "text", str(tmp_path))


def test_what_a_message_quotes_cannot_command_a_terminal(tmp_path):
    path = write(tmp_path / "a.tsv", "house\tnyumba\n\x1b]0;owned\x07\x9b31m\u202ewater\n")
    said = complaint(read_word_list, str(tmp_path / "a\x1b[31m\nb"))
    assert "\\x1b" in said and "\\n" in said
    said = str(UserError(path.read_text()))
    assert not any(ord(sign) < 32 or sign in "\x9b\u202e\x7f" for sign in said)


# Names


@pytest.mark.parametrize(
    "name", ["../a", "/etc/passwd", "a/../../b", "", ".", "..", "a//b", "a/", "a\0b", "a\\b", "a\nb", 7, None, ["a"]]
)
def test_no_name_leads_out_of_its_folder(tmp_path, name):
    assert "name" in complaint(files.inside, tmp_path, name)


def test_names_within_a_folder_stay(tmp_path):
    for name in ("a", "documents/a:b-00000.arrayrecord", "a/b/c", "..a", "a..b"):
        assert files.inside(tmp_path, name).is_relative_to(tmp_path)
        assert ".." not in files.inside(tmp_path, name).parts


def edited(toy_folder, folder, edit):
    """A folder beside which lies a secret, with a manifest of a stranger's."""
    inner = folder / "prepared"
    inner.mkdir()
    for path in toy_folder.iterdir():
        if path.name != "manifest.json":
            (inner / path.name).symlink_to(path)
    manifest = json.loads((toy_folder / "manifest.json").read_text())
    edit(manifest)
    write(inner / "manifest.json", json.dumps(manifest))
    return inner


def in_files(manifest):
    manifest["files"]["../secret.jsonl"] = {"bytes": 1, "sha256": ""}


def in_component_files(manifest):
    manifest["components"][0]["files"] = {"../../secret": manifest["components"][0]["documents"]}


def in_component(manifest):
    manifest["components"][0]["name"] = "../../secret"


def in_languages(manifest):
    manifest["lexicons"] = {"../../secret": next(iter(manifest["lexicons"].values()))}


def in_evaluations(manifest):
    manifest["evaluations"][0]["name"] = "../../secret"


def in_evaluations_and_files(manifest):
    in_evaluations(manifest)
    manifest["files"]["evaluation/../../secret.jsonl"] = files.fingerprint(ROOT / "README.md")


@pytest.mark.parametrize(
    "edit", [in_files, in_component_files, in_component, in_languages, in_evaluations, in_evaluations_and_files]
)
def test_no_name_of_a_manifest_leads_out(toy_folder, tmp_path, edit):
    folder = edited(toy_folder, tmp_path, edit)
    write(tmp_path / "secret.jsonl", '{"id": "secret"}\n')
    assert "secret" in complaint(Prepared, folder)


@pytest.mark.parametrize(
    ("edit", "says"),
    [
        (lambda manifest: manifest.update(components=[]), "no components"),
        (lambda manifest: manifest.update(components={}), "components is no list"),
        (lambda manifest: manifest.pop("files"), "has no 'files'"),
        (lambda manifest: manifest["components"][0].update(rate=float("nan")), r"components\[0\].rate is nan"),
        (lambda manifest: manifest["components"][0].update(tokens=0), r"components\[0\].tokens is 0"),
        (lambda manifest: manifest["components"][0].update(tokens=True), r"components\[0\].tokens is True"),
        (lambda manifest: manifest["components"][0].update(bytes=2**64), r"components\[0\].bytes is 1844"),
        (lambda manifest: manifest["components"][1].update(manifest["components"][0]), "two of one name"),
        (lambda manifest: manifest["components"][0].update(documents=1), "counts 1 documents"),
        (lambda manifest: manifest["evaluations"][0].update(chance="1"), r"evaluations\[0\].chance is '1'"),
        (lambda manifest: manifest.update(format=99), "format 99"),
    ],
)
def test_a_manifest_is_what_it_should_be(toy_folder, tmp_path, edit, says):
    with pytest.raises(UserError, match=says):
        read_manifest(edited(toy_folder, tmp_path, edit))


def test_statistics_are_of_the_lexicon(toy_folder, tmp_path):
    folder = edited(toy_folder, tmp_path, lambda manifest: None)
    prepared = Prepared(folder)
    language = prepared.languages[1]
    lines = (folder / f"statistics/{language}.tsv").read_text().splitlines(keepends=True)
    (folder / "statistics").unlink()
    (folder / "statistics").mkdir()
    write(folder / f"statistics/{language}.tsv", "".join(lines[1:]))
    assert "lacks 1 words" in complaint(lambda: prepared.statistics)


def test_the_manifest_of_a_whole_folder_is(toy_folder):
    assert read_manifest(toy_folder) == json.loads((toy_folder / "manifest.json").read_text())


# Bounds

DEEP = "[" * 100_000 + "]" * 100_000


@pytest.mark.parametrize("content", [DEEP, '{"a":' * 100_000, "9" * 10_000, "{", b"\xff\xfe", "", '{"steps": 1e5'])
def test_deep_or_broken_json_is_a_sentence_wherever_it_is(tmp_path, content):
    path = write(tmp_path / "a.json", content)
    assert "a.json" in complaint(files.read_json, path)
    assert "a.json" in complaint(configs.from_json, path)
    write(tmp_path / "manifest.json", content)
    assert "manifest.json" in complaint(Prepared, tmp_path)
    line = content if isinstance(content, bytes) else content.encode()
    good = b'{"step": 1, "word": "a", "text": "b"}\n'
    lines = write(tmp_path / "a.jsonl", good + (line or b"{") + b"\n" + good)
    assert "line 2" in complaint(read_jsonl, lines)
    assert "line 2" in complaint(read_lexicon, lines, ReadOptions(format="wiktextract", language="sw"))
    if isinstance(content, str):
        assert "line 2" in complaint(texts, lines)
    write(tmp_path / "metrics.jsonl", b'{"step": 1}\n' + (line or b"{") + b'\n{"step": 2}\n')
    assert "line 2" in complaint(read_metrics, tmp_path)


@pytest.mark.parametrize(
    "value",
    [
        "5",
        "[1]",
        '{"loss": 1}',
        '{"step": "2"}',
        '{"step": 2, "loss": {}}',
        '{"step": true}',
        r'{"step": 2, "\ud800": 1}',
        f'{{"step": 2, "loss": {"9" * 400}}}',
    ],
)
def test_a_line_that_is_of_no_metrics_is_named(tmp_path, value):
    path = write(tmp_path / "metrics.jsonl", f'{{"step": 1, "loss": null}}\n{value}\n{{"step": 3}}\n')
    assert "line 2" in complaint(read_metrics, tmp_path)
    write(path, f'{{"step": 1, "loss": null}}\n{value}\n')  # what a crash may leave
    assert read_metrics(tmp_path) == [{"step": 1, "loss": None}]


def test_a_json_file_has_a_size(tmp_path):
    path = write(tmp_path / "a.json", json.dumps({"a": "x" * files.JSON_BYTES}))
    assert "1,048,576" in complaint(files.read_json, path)
    assert files.read_json(path, 2 * files.JSON_BYTES)["a"][:1] == "x"


@pytest.mark.parametrize(
    ("setting", "value"),
    [("steps", "7"), ("steps", None), ("steps", True), ("steps", 2**70), ("seed", 0.5), ("link", 3), ("mixture", ["a"]),
     ("link", {"ratio": float("nan")}), ("model", {"width": {}})],
)  # fmt: skip
def test_a_setting_of_another_type_is_named(tmp_path, setting, value):
    config = configs.load_config(BASE).to_dict()
    config[setting] = config[setting] | value if isinstance(value, dict) else value
    path = write(tmp_path / "a.json", json.dumps(config))
    named = next(iter(value)) if isinstance(value, dict) else setting
    assert named in complaint(lambda: configs.run_settings(configs.from_json(path)))


def bomb(suffix, size=1 << 31):
    """Zeros, `size` bytes when unpacked, made in pieces."""
    piece = bytes(1 << 20)
    if suffix == ".gz":
        packer = zlib.compressobj(9, wbits=31)
    elif suffix == ".zst":
        from backports import zstd

        packer = zstd.ZstdCompressor()
    return b"".join(packer.compress(piece) for _ in range(size >> 20)) + packer.flush()


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
def test_a_bomb_is_let_go(tmp_path, monkeypatch, suffix):
    monkeypatch.setattr(files, "_BOMB_BYTES", 1 << 22)
    path = write(tmp_path / f"a.txt{suffix}", bomb(suffix, 1 << 27))
    assert path.stat().st_size < 1 << 18
    tracemalloc.start()
    try:
        for read in (lambda: texts(path, "file"), lambda: read_word_list(str(path)), lambda: drain(path)):
            assert "times its size" in complaint(read)
        assert tracemalloc.get_traced_memory()[1] < 1 << 27
    finally:
        tracemalloc.stop()


def drain(path):
    with files.open_bytes(path) as file:
        while file.read(1 << 16):
            pass


def test_what_is_no_bomb_is_read_whole_and_from_any_place(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "_BOMB_BYTES", 1 << 10)
    content = random.Random(0).randbytes(1 << 19)
    with files.open_bytes(write(tmp_path / "a.gz", gzip.compress(content))) as file:
        assert file.read() == content
        for place in (7, 300_000, 5, len(content)):
            assert file.seek(place) == place
            assert file.read(9) == content[place : place + 9]
        assert file.seek(2 * len(content)) == len(content)


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: os.symlink("/dev/zero", path)])
def test_pipes_and_devices_are_no_files(tmp_path, make):
    for name in ("a.tsv", "a.txt.gz", "a.json", "tokenizer.model", "a.index", "a.dict.dz", "a.sqlite"):
        make(tmp_path / name)
        assert "not a file" in complaint(drain, tmp_path / name)
    assert "not a file" in complaint(read_lexicon, tmp_path / "a.tsv")
    assert "not a file" in complaint(read_lexicon, tmp_path / "a.index", ReadOptions(format="dictd"))
    assert "not a file" in complaint(read_lexicon, tmp_path / "a.sqlite", ReadOptions(language="sw"))
    assert "not a file" in complaint(configs.from_json, tmp_path / "a.json")
    assert "not a file" in complaint(read_statistics, tmp_path / "a.tsv")


def xml(prolog, body):
    start = f"<?xml version='1.0'?><!DOCTYPE dictionary [{prolog}]><dictionary><alphabet/>"
    return f"{start}<section>{body}</section></dictionary>"


LAUGHS = '<!ENTITY a0 "ha">' + "".join(f'<!ENTITY a{i} "{f"&a{i - 1};" * 10}">' for i in range(1, 10))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (xml(LAUGHS, "<e><i>&a9;</i></e>"), "'a1' is of other entities"),
        (
            xml(f'<!ENTITY a "{"ha" * 10_000}">', f"<e><i>{'&a;' * 100_000}</i></e>"),
            "'a' is of other",
        ),
        (xml(f'<!ATTLIST b x CDATA "{"ha" * 10_000}">', f"<e><i>{'<b/>' * 100_000}</i></e>"), "default value"),
        (
            xml("".join(f'<!ATTLIST b x{i} CDATA "haha">' for i in range(1000)), f"<e><i>{'<b/>' * 100_000}</i></e>"),
            "one that is long, 'x16'",
        ),
        (xml('<!ENTITY % p "<!ENTITY q 1>"> %p;', f"<e><i>{'<b>' * 100_000}</i></e>"), "100 deep"),
        (xml("", "<e>" * 100_000), "100 deep"),
        (xml("", f"<e><i>{'a' * (1 << 22)}</i></e>"), "no end of an element in 1,048,576 bytes"),
    ],
    ids=["laughs", "long entity", "long default", "many defaults", "parameters", "deep", "long"],
)
@pytest.mark.parametrize("form", ["dix", "tei", "jmdict"])
def test_xml_cannot_expand(tmp_path, content, says, form):
    if form != "dix":
        content = content.replace("<e>", "<entry>").replace("</e>", "</entry>").replace("dictionary", "TEI")
    path = write(tmp_path / "a.xml", content)
    tracemalloc.start()
    try:
        assert says in complaint(read_lexicon, path, ReadOptions(format=form))
        assert tracemalloc.get_traced_memory()[1] < 1 << 27
    finally:
        tracemalloc.stop()


def test_external_entities_are_not_fetched(tmp_path):
    secret = write(tmp_path / "secret", "siri")
    prolog = f'<!ENTITY x SYSTEM "{secret.as_uri()}">'
    path = write(tmp_path / "a.dix", xml(prolog, "<e><p><l>house</l><r>&x;</r></p></e>"))
    assert "siri" not in complaint(read_lexicon, path, ReadOptions(format="dix"))


@pytest.mark.parametrize(
    "trick",
    [
        "DROP TABLE expr; CREATE VIEW expr AS SELECT 10 AS id, 2 AS langvar, load_extension('evil') AS txt",
        "DROP TABLE expr; CREATE VIEW expr(id, langvar, txt) AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL"
        " SELECT i FROM n) SELECT i, 2, 'x' FROM n",
        "DROP TABLE expr; CREATE TABLE expr (id, langvar, txt GENERATED ALWAYS AS (hex(zeroblob(500000000))))",
        "DROP TABLE expr; CREATE VIRTUAL TABLE expr USING fts5(id, langvar, txt)",
        "UPDATE expr SET txt = printf('%.*c', 3000000, 'x')",
    ],
)
def test_a_database_only_gives_its_rows(tmp_path, trick):
    fuzz.READERS["panlex_sqlite"].make(tmp_path)
    path, options = tmp_path / "a.sqlite", ReadOptions(language="sw")
    assert read_lexicon(path, options).entries == {"house": ("nyumba",), "water": ("maji",)}
    with sqlite3.connect(path) as database:
        database.executescript(trick)
    database.close()
    before = path.read_bytes()
    said = complaint(read_lexicon, path, options)
    assert "too big" in said if "printf" in trick else "tables langvar, expr and denotationx" in said
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["a.sqlite"]


def test_a_word_list_has_a_size(tmp_path, monkeypatch):
    monkeypatch.setattr("linkjax.lexicon.readers._MOST_PAIRS", 3)
    rows = "".join(f"{word}\tneno{word}\n" for word in ("one", "two", "four", "five"))
    assert "more than 3 pairs" in complaint(read_lexicon, write(tmp_path / "a.tsv", rows))
    header = "source\ttarget\tweight\torigin\n"
    written = write(tmp_path / "b.tsv", header + rows.replace("\n", "\t\t\n"))
    assert "more than 3 pairs" in complaint(read_lexicon, written)


def test_a_document_has_a_size(tmp_path, monkeypatch):
    monkeypatch.setattr("tasks.file_parts._DOCUMENT_CHARACTERS", 1000)
    path = write(tmp_path / "a.txt", "x" * 1001)
    assert "1,000 characters" in complaint(texts, path, "file")
    assert [one.text for one in texts(write(path, "x" * 1000), "file")] == ["x" * 1000]


# Damage of all kinds


@pytest.mark.parametrize(
    "name", ["tsv.gz", "written", "jmdict", "wiktextract", "panlex_sqlite", "jsonl", "benchmark.tsv", "config", "model"]
)
def test_damaged_files_are_read_or_refused(tmp_path, name):
    """A few tries of what `tools/fuzz.py` does for minutes."""
    reader = fuzz.READERS[name]
    (tmp_path / "sample").mkdir()
    reader.make(tmp_path / "sample")
    assert fuzz.outcome(reader, tmp_path / "sample", "valid") == ("accepted", "")
    came = set()
    for number in range(25):
        outcome, said = fuzz.one_try(reader, tmp_path / "sample", tmp_path / "try", f"0 {name} {number}")
        assert outcome != "findings", said
        came.add(outcome)
    assert "accepted" in came


def test_the_fuzzer_finds_what_is_there(tmp_path):
    def read(folder, draw):
        if len((folder / "a").read_bytes()) != 3:
            raise KeyError("bug")

    reader = fuzz.Reader(lambda folder: write(folder / "a", b"abc"), read)
    (tmp_path / "sample").mkdir()
    reader.make(tmp_path / "sample")
    found = [fuzz.one_try(reader, tmp_path / "sample", tmp_path / "try", str(number)) for number in range(30)]
    assert any(kind == "findings" and "KeyError" in said for kind, said in found)
    assert found == [fuzz.one_try(reader, tmp_path / "sample", tmp_path / "try", str(number)) for number in range(30)]
