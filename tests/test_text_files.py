"""Every kind of text file gives the same documents, and a broken one a sentence."""

import bz2
import gzip
import itertools
import json
import lzma
import random
import sys
import tracemalloc

import pyarrow
import pyarrow.parquet
import pytest
from backports import zstd

from linkjax.config import load_config
from linkjax.errors import UserError
from linkjax.files import content_suffix
from linkjax.prepare import prepare
from tasks.text_files import LocalText, LocalTextSettings, find_files
from tests.conftest import ROOT

TEXTS = [f"Mbwa {i} anaona paka – «karibu» na\tmaji 猫🐈 {'na ' * (i % 7)}." for i in range(700)]
COMPRESS = {"": bytes, ".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress, ".zst": zstd.compress}


def json_lines(texts, column="text"):
    return "".join(json.dumps({"id": i, column: text, "meta": {"text": 0}}) + "\n" for i, text in enumerate(texts))


def write_parquet(path, texts, column="text", **options):
    """The layout of FineWeb: the text among other columns, several row groups."""
    table = pyarrow.table(
        {column: texts, "id": [f"<urn:uuid:{i}>" for i in range(len(texts))], "score": [0.5] * len(texts)}
    )
    pyarrow.parquet.write_table(table, path, **{"row_group_size": 100, "compression": "snappy", **options})
    return path


def read(*files, split="train", heldout=(), document="line", share=0.0, **settings):
    texts = LocalText("t", files, heldout, document, share, **settings)
    return [document.text for document in texts.documents(split)]


@pytest.mark.parametrize("compression", COMPRESS)
@pytest.mark.parametrize("kind", [".txt", "", ".jsonl", ".json"])
def test_every_kind_of_lines_gives_the_same_documents(tmp_path, kind, compression):
    path = tmp_path / f"a.b{kind}{compression}"
    content = json_lines(TEXTS) if kind.startswith(".json") else "\n".join(TEXTS)
    path.write_bytes(COMPRESS[compression](content.encode()))
    assert content_suffix(path) == (kind or ".b")
    assert read(path) == TEXTS


@pytest.mark.parametrize("kind", ["string", "large_string", "dictionary<values=string, indices=int32>"])
@pytest.mark.parametrize("codec", ["snappy", "zstd", "gzip", "none"])
def test_parquet_gives_the_same_documents(tmp_path, codec, kind):
    types = {"string": pyarrow.string(), "large_string": pyarrow.large_string()}
    column = pyarrow.array(TEXTS, types.get(kind, pyarrow.string()))
    column = column if kind in types else column.dictionary_encode()
    assert str(column.type).startswith(kind.partition("<")[0])
    assert read(write_parquet(tmp_path / "a.parquet", column, compression=codec)) == TEXTS


def test_lines_may_end_as_windows_ends_them_and_start_with_a_mark(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"\xef\xbb\xbfone\r\n\r\n two\r\n")
    (tmp_path / "b.jsonl").write_bytes(b'\xef\xbb\xbf{"text": "one"}\r\n\r\n{"text": " two"}')
    assert read(tmp_path / "a.txt") == read(tmp_path / "b.jsonl") == ["one", " two"]


def test_only_plain_text_can_have_a_document_a_file(tmp_path):
    texts = ["one\nstill one", "two"]
    (tmp_path / "a.txt").write_text(texts[0])
    (tmp_path / "b.jsonl").write_text(json_lines(texts))
    write_parquet(tmp_path / "c.parquet", texts)
    assert read(*sorted(tmp_path.iterdir()), document="file") == [texts[0], *texts, *texts]


def test_the_column_can_be_named(tmp_path):
    (tmp_path / "a.jsonl").write_text(json_lines(TEXTS, "content"))
    write_parquet(tmp_path / "a.parquet", TEXTS, "content")
    for path in tmp_path.iterdir():
        assert read(path, text_column="content") == TEXTS


def test_zstandard_frames_follow_each_other(tmp_path):
    (tmp_path / "a.txt.zst").write_bytes(zstd.compress(b"one\nt") + zstd.compress(b"wo\n"))
    assert read(tmp_path / "a.txt.zst") == ["one", "two"]


def test_limits_are_inclusive_and_count_characters(tmp_path, capsys):
    texts = ["猫" * n for n in range(1, 8)]
    (tmp_path / "a.txt").write_text("\n".join(texts))
    assert read(tmp_path / "a.txt", minimum_characters=3, maximum_characters=5) == texts[2:5]
    assert capsys.readouterr().err == (
        "t, train: 4 of 7 documents left out (2 shorter than 3 characters, 2 longer than 5 characters)\n"
    )
    assert read(tmp_path / "a.txt", maximum_characters=7) == texts
    assert capsys.readouterr().err == ""


def test_a_text_met_before_is_left_out(tmp_path, capsys):
    (tmp_path / "a.txt").write_text("one\ntwo\none\n")
    (tmp_path / "b.jsonl").write_text(json_lines(["three", "two", "One", "three"]))
    write_parquet(tmp_path / "c.parquet", ["one", "four"])
    files = sorted(tmp_path.iterdir())
    assert len(read(*files)) == 9
    assert read(*files, drop_duplicates=True) == ["one", "two", "three", "One", "four"]
    assert capsys.readouterr().err == "t, train: 4 of 9 documents left out (4 met before)\n"


@pytest.mark.parametrize("drop", [False, True])
def test_what_is_held_out_depends_on_the_text_alone(tmp_path, drop):
    random.seed(0)
    texts = TEXTS + TEXTS[::3]
    found = []
    for turn in range(3):
        random.shuffle(texts)
        (tmp_path / f"{turn}a.txt").write_text("\n".join(texts[:300]))
        (tmp_path / f"{turn}b.jsonl").write_text(json_lines(texts[300:600]))
        write_parquet(tmp_path / f"{turn}c.parquet", texts[600:])
        files = sorted(tmp_path.glob(f"{turn}*"))
        sides = [read(*files, split=split, share=0.3, drop_duplicates=drop) for split in ("train", "heldout")]
        assert set(sides[0]).isdisjoint(sides[1])
        assert len(sides[0]) + len(sides[1]) == (len(TEXTS) if drop else len(texts))
        assert 0.2 < len(sides[1]) / len(sides[0] + sides[1]) < 0.4
        found.append([sorted(side) for side in sides])
    assert found[0] == found[1] == found[2]


def test_counts_are_told_once_for_the_files_of_a_share(tmp_path, capsys):
    (tmp_path / "a.jsonl").write_text('{"text": null}\n{"text": " "}\n' + json_lines(TEXTS))
    write_parquet(tmp_path / "b.parquet", ["one", None])
    for split in ("train", "heldout"):
        read(*sorted(tmp_path.iterdir()), split=split, share=0.5)
    assert capsys.readouterr().err == "t, train: 3 of 704 documents left out (3 without text)\n"


def test_counts_are_told_for_each_side_of_heldout_files(tmp_path, capsys):
    (tmp_path / "a.txt").write_text("one\ntwo\nthree\n")
    (tmp_path / "heldout.txt").write_text("two\ntwo\n")
    sides = [
        read(tmp_path / "a.txt", split=split, heldout=(tmp_path / "heldout.txt",), drop_duplicates=True)
        for split in ("train", "heldout")
    ]
    assert sides == [["one", "three"], ["two"]]
    assert capsys.readouterr().err == (
        "t, train: 1 of 3 documents left out (1 held out)\nt, heldout: 1 of 2 documents left out (1 met before)\n"
    )


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (
            b'{"text": "fine"}\n{"text": "broken\n',
            r"line 2 is not JSON \(Unterminated string .* character 10\): ",
        ),
        (b'{\n "text": "over lines"\n}\n', "line 1 is not JSON .*: write one object a line"),
        (b'["a", "b"]', "line 1 is a JSON list, no object: write one object a line"),
        (b"[" * 500_000, "line 1 is not JSON .*: write one object a line"),
        (b'{"text": ' + b"1" * 5000 + b"}", "line 1 is not JSON .*: write one object a line"),
        (
            b'{"text": "fine"}\n\n{"url": 1, "txt": ""}',
            r"line 3 has no column 'text' \(it has: url, txt\): set --config",
        ),
        (b'{"text": 7}', "line 1: 'text' is no text but int 7: set --config.text_column"),
        (b'{"text": ["fine"]}', "line 1: 'text' is no text but list"),
        (b'{"text": "\\ud83d"}', "line 1: 'text' has half of a surrogate pair"),
        (b'{"text": "fine"}\n{"text": "\xff"}', r"is not UTF-8 text \(invalid start byte on line 2\): convert it"),
        (b"\0\1\2\3" * 1000, "line 1 is not JSON"),
    ],
    ids=range(11),
)
def test_broken_json_lines_are_named(tmp_path, content, says):
    (tmp_path / "a.jsonl").write_bytes(content)
    with pytest.raises(UserError, match=rf"a\.jsonl[, ].*{says}"):
        read(tmp_path / "a.jsonl")


@pytest.mark.parametrize("kind", ["txt", "jsonl"])
def test_a_line_without_an_end_is_not_read_to_it(tmp_path, monkeypatch, kind):
    monkeypatch.setattr("tasks.file_parts._LINE_BYTES", 1000)
    (tmp_path / f"a.{kind}").write_text(json_lines(["fine", "x" * 2000]))
    with pytest.raises(UserError, match=rf"a\.{kind}, line 2 is longer than 1,000 bytes: write a document a line"):
        read(tmp_path / f"a.{kind}")


@pytest.mark.parametrize("compression", [suffix for suffix in COMPRESS if suffix])
def test_compressed_files_that_are_cut_off_or_are_none_are_named(tmp_path, compression):
    path = tmp_path / f"a.jsonl{compression}"
    whole = COMPRESS[compression](json_lines(TEXTS).encode())
    for content in (whole[: len(whole) // 2], whole[:-5], b"plain text\n" * 100):
        path.write_bytes(content)
        with pytest.raises(UserError, match=rf"a\.jsonl\{compression} cannot be read"):
            read(path)


@pytest.mark.parametrize("share", [0.0, 0.001, 0.5, 0.999])
def test_parquet_that_is_cut_off_is_named(tmp_path, share):
    path = write_parquet(tmp_path / "a.parquet", TEXTS)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(UserError, match=r"a\.parquet cannot be read after row 0 \(.*\): fetch or write it again"):
        read(path)


def test_parquet_that_is_damaged_within_is_named_with_the_row(tmp_path):
    path = write_parquet(tmp_path / "a.parquet", TEXTS, use_dictionary=False)
    damaged = bytearray(path.read_bytes())
    column = pyarrow.parquet.ParquetFile(path).metadata.row_group(5).column(0)
    damaged[column.data_page_offset : column.data_page_offset + column.total_compressed_size] = bytes(
        column.total_compressed_size
    )
    path.write_bytes(damaged)
    with pytest.raises(UserError, match=r"a\.parquet cannot be read after row (256|500) "):
        read(path)


def test_parquet_of_other_columns_is_named(tmp_path):
    path = write_parquet(tmp_path / "a.parquet", TEXTS, "content")
    with pytest.raises(UserError, match=r"has no column 'text' \(it has: content, id, score\): set --config"):
        read(path)
    with pytest.raises(UserError, match=r"a\.parquet, row 1: 'score' is no text but float 0\.5"):
        read(path, text_column="score")
    raw = pyarrow.array([b"fine", b"\xff"], pyarrow.binary())
    binary = pyarrow.StringArray.from_buffers(2, raw.buffers()[1], raw.buffers()[2])
    with pytest.raises(UserError, match=r"a\.parquet, row 2: 'text' is not UTF-8 text \(invalid start byte\)"):
        read(write_parquet(path, binary))
    (tmp_path / "b.parquet.gz").write_bytes(b"")
    with pytest.raises(UserError, match=r"is a compressed Parquet file, .*: decompress it"):
        read(tmp_path / "b.parquet.gz")


@pytest.mark.parametrize(
    ("package", "file", "says"),
    [("pyarrow", "a.parquet", "pip install pyarrow"), ("backports", "a.txt.zst", r"pip install backports\.zstd")],
)
def test_a_missing_package_is_named(tmp_path, monkeypatch, package, file, says):
    (tmp_path / file).write_bytes(b"")
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(UserError, match=says):
        read(tmp_path / file)


@pytest.mark.parametrize("kind", ["txt", "jsonl.gz", "txt.zst", "parquet"])
def test_a_large_file_is_never_in_memory(tmp_path, kind):
    rng = random.Random(0)
    texts = [rng.randbytes(1500).hex() for _ in range(8000)]
    path = tmp_path / f"a.{kind}"
    if kind == "parquet":
        write_parquet(path, texts, row_group_size=8000, use_dictionary=False)  # one row group
    else:
        content = json_lines(texts) if kind.startswith("json") else "\n".join(texts)
        path.write_bytes(COMPRESS[path.suffix if path.suffix in COMPRESS else ""](content.encode()))
    size = sum(map(len, texts))
    del texts
    content = None
    before, arrow = pyarrow.total_allocated_bytes(), 0
    tracemalloc.start()
    try:
        read_bytes = 0
        for document in LocalText("t", (path,), (), "line", 0.0).documents("train"):
            read_bytes += len(document.text)
            arrow = max(arrow, pyarrow.total_allocated_bytes() - before)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert read_bytes == size == 24_000_000
    assert peak < 2_000_000
    assert arrow < size / 3


def test_the_first_document_needs_the_first_bytes_alone(tmp_path):
    (tmp_path / "a.txt.zst").write_bytes(zstd.compress("\n".join(TEXTS * 100).encode())[:-100])
    documents = LocalText("t", (tmp_path / "a.txt.zst",), (), "line", 0.0).documents("train")
    assert [document.text for document in itertools.islice(documents, 700)] == TEXTS
    with pytest.raises(UserError, match="cannot be read"):
        list(documents)


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        ({"text_column": ""}, "text_column is empty"),
        ({"minimum_characters": -1}, "minimum_characters is -1: choose 0 or more"),
        ({"maximum_characters": -1}, "maximum_characters is -1: choose 0"),
        ({"target_language": ","}, "target_language is ',': name one language or more"),
        ({"target_language": "sw,sw"}, "target_language is 'sw,sw': name one language or more, each once"),
        ({"target_language": "zh-Hant,zh_Hant"}, "each once"),
        ({"minimum_characters": 9, "maximum_characters": 8}, r"maximum_characters is 8: .* minimum_characters \(9\)"),
    ],
    ids=str,
)
def test_impossible_settings_are_refused(bad, says):
    with pytest.raises(UserError, match=says):
        LocalTextSettings(**{"english": "a", "target": "b", "target_language": "sw", "lexicon": "c"} | bad)


def local_text_config(folder):
    config = load_config(str(ROOT / "configs/local_text.py:cpu"))
    config.english, config.target = f"{folder}/en*", f"{folder}/sw*"
    config.lexicon, config.target_language = f"{folder}/lexicon.tsv", "sw"
    (folder / "lexicon.tsv").write_text("dog\tmbwa\ncat\tpaka\nwater\tmaji\n")
    return config


def test_a_run_is_prepared_from_any_kind_to_the_same_bytes(tmp_path, capfd):
    english = [f"The dog {i} sees the cat by the water." for i in range(300)] + ["dog"]
    target = [f"Mbwa {i} anaona paka karibu na maji." for i in range(100)] * 2
    prepared = []
    for kind in ("text", "parquet"):
        folder = tmp_path / kind
        folder.mkdir()
        config = local_text_config(folder)
        config.minimum_characters, config.drop_duplicates, config.text_column = 5, True, "content"
        if kind == "text":
            (folder / "en.txt").write_text("\n".join(english))
            (folder / "sw.txt").write_text("\n".join(target))
        else:
            write_parquet(folder / "en.parquet", english, "content")
            (folder / "sw.jsonl.zst").write_bytes(zstd.compress(json_lines(target, "content").encode()))
        prepare(config, tmp_path / f"{kind}.out")
        said = [line for line in capfd.readouterr().err.splitlines() if "left out" in line]
        assert said == [
            "local_text_english, train: 1 of 301 documents left out (1 shorter than 5 characters)",
            "local_text_sw, train: 100 of 200 documents left out (100 met before)",
        ]
        files = [path for path in (tmp_path / f"{kind}.out").rglob("*") if path.is_file()]
        prepared.append({path.name: path.read_bytes() for path in files if path.name != "manifest.json"})
    assert prepared[0] == prepared[1]
    assert len(prepared[0]) > 5


def test_a_broken_file_leaves_nothing_prepared(tmp_path):
    folder = tmp_path / "text"
    folder.mkdir()
    (folder / "en.jsonl").write_text(json_lines(TEXTS) + '{"text": 1}\n')
    (folder / "sw.txt").write_text("\n".join(TEXTS))
    with pytest.raises(UserError, match=r"en\.jsonl, line 701: 'text' is no text but int 1"):
        prepare(local_text_config(folder), tmp_path / "deep" / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["text"]


def test_real_text_is_the_same_in_every_kind(tmp_path, real_data):
    source = real_data / "en/wikipedia.txt"
    texts = read(source)
    (tmp_path / "a.json.gz").write_bytes(gzip.compress(json_lines(texts).encode(), 1))
    (tmp_path / "b.txt.zst").write_bytes(zstd.compress(source.read_bytes()))
    write_parquet(tmp_path / "c.parquet", texts)
    assert len(texts) > 1000
    for path in find_files(f"{tmp_path}/*", "t"):
        assert read(path) == texts
