"""Benchmarks: the files as they are published become the questions that lm-evaluation-harness asks."""

import csv
import json
import re

import pyarrow
import pyarrow.parquet
import pytest

from linkjax.config import load_config
from linkjax.data.items import ItemFolder
from linkjax.data.prepared import Prepared
from linkjax.errors import UserError
from linkjax.prepare import prepare, run_evaluations
from tasks import benchmarks
from tasks.benchmarks.rows import Row, read_rows
from tests.benchmark_rows import PUBLISHED
from tests.conftest import ROOT
from tests.harness_pairs import harness_pairs, our_pairs


def write_lines(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


def publish(folder, name):
    """Writes a benchmark's rows in the file they are published in; returns the rows."""
    file, rows, _ = PUBLISHED[name]
    path = folder / file
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".parquet":
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    elif path.suffix == ".tsv":
        with path.open("w", encoding="utf-8", newline="") as out:
            plain = {"quoting": csv.QUOTE_NONE, "quotechar": None} if name.startswith("paws") else {}
            table = csv.DictWriter(out, list(rows[0]), delimiter="\t", **plain)
            table.writeheader()
            table.writerows(rows)
    elif path.suffix == ".json":
        path.write_text(json.dumps(rows), encoding="utf-8")
    else:
        write_lines(path, rows)
    return rows


@pytest.mark.parametrize("name", [name for name, (_, _, definition) in PUBLISHED.items() if definition])
def test_published_files_ask_what_the_harness_asks_of_their_rows(tmp_path, name):
    rows = publish(tmp_path, name)
    ours = our_pairs(list(benchmarks.items(name, str(tmp_path))))
    assert ours == harness_pairs(PUBLISHED[name][2], rows)


@pytest.mark.parametrize("name", PUBLISHED)
def test_items_are_sound(tmp_path, name):
    rows = publish(tmp_path, name)
    items = list(benchmarks.items(name, str(tmp_path)))
    assert len(items) == len(rows) == len({item["id"] for item in items})
    for item in items:
        pairs = our_pairs([item])[0][0]
        assert len(set(pairs)) == len(pairs) > item["answer"] >= 0
        assert all(choice.strip() for choice in item["choices"])
        assert ("prompt" in item) == (not name.startswith(("xwinograd", "winogrande")))  # the same for all choices
        assert item["split"] == "test" and item["group"] and item["cluster"]
    said = json.dumps(items, ensure_ascii=False).lower()
    beyond_ascii = {letter for letter in json.dumps(rows, ensure_ascii=False).lower() if ord(letter) > 127}
    assert beyond_ascii <= set(said)


_OTHERS = {
    "label": (0, 1),
    "answer_right_ending": (1, 2),
    "correct_answer_num": ("1", "2"),
    "category": ("travel", "sports"),
    "answer": ("1", "2"),
    "answerKey": ("1", "2"),
}


@pytest.mark.parametrize("name", [name for name in PUBLISHED if not name.startswith(("multiblimp", "sciq"))])
def test_the_right_answer_changes_nothing_else(tmp_path, name):
    publish(tmp_path, name)
    benchmark, language = benchmarks.find(name)
    for row in read_rows(tmp_path / PUBLISHED[name][0], benchmark.quoted):
        (column,) = _OTHERS.keys() & row.values.keys()
        letters = column.startswith("answer") and str(row.values[column]).isalpha()
        others = ("A", "B") if letters else _OTHERS[column]
        asked = [benchmark.question(Row("", row.values | {column: other}), language) for other in others]
        assert [question.answer for question in asked] == [_answer(column, other) for other in others]
        assert asked[0].prompt == asked[1].prompt and asked[0].choices == asked[1].choices


def _answer(column, label):
    if column == "category":
        return ("science/technology", "travel", "politics", "sports").index(label)
    return label if column == "label" else "AB".index(label) if label in ("A", "B") else int(label) - 1


def test_every_benchmark_is_published_here_and_documented():
    tested = {benchmarks.find(name)[0].name for name in PUBLISHED}
    assert tested == set(benchmarks.BENCHMARKS)
    rows = [line for line in (ROOT / "docs/evaluation.md").read_text().splitlines() if line.startswith("| `")]
    documented = [name for row in rows for name in re.findall(r"`(\w+)`", row.split("|")[1])]
    expected = []
    for benchmark in benchmarks.BENCHMARKS.values():
        expected += [benchmark.name] * benchmark.english + [f"{benchmark.name}_LANGUAGE"]
    assert sorted(documented) == sorted(expected)


@pytest.mark.parametrize("language", ["et", "sw", "tr"])
def test_real_xcopa_asks_what_the_harness_asks(real_data, language):
    items = list(benchmarks.items(f"xcopa_{language}", str(real_data)))
    for split, name, count in (("test", "test", 500), ("validation", "val", 100)):
        mine = [item for item in items if item["split"] == split]
        assert len(mine) == count
        rows = [json.loads(line) for line in (real_data / f"xcopa/{name}.{language}.jsonl").open(encoding="utf-8")]
        assert our_pairs(mine) == harness_pairs(f"xcopa/default_{language}.yaml", rows)


def copa(**changes):
    row = {"premise": "Mwanga uliwaka.", "choice1": "Niliona.", "choice2": "Nililala.", "question": "effect"}
    return row | {"label": 0, "idx": 7, "changed": False} | changes


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([copa(), copa()], r"test\.sw\.jsonl, line 2: the id '7' is already that of .*test\.sw\.jsonl, line 1"),
        ([copa(choice2=" ")], r"test\.sw\.jsonl, line 1: 'choice2' is empty"),
        ([copa(choice2=None)], r"line 1: 'choice2' is empty"),
        ([copa(), copa(idx=8, label=2)], r"line 2: 'label' is 2, not one of 0, 1"),
        ([copa(label=True)], r"line 1: 'label' is True, not one of"),
        ([copa(question="why")], r"line 1: 'question' is 'why', not one of cause, effect"),
        ([{"text": "Mwanga."}], r"line 1: no column '\w+' among text \(docs/evaluation\.md says which"),
        ([copa(premise=["a"])], r"line 1: 'premise' is \['a'\], not text"),
        ([copa(idx="\ud800")], r"line 1: 'idx' has half of a surrogate pair"),
        ([copa(idx=[1])], r"line 1: 'idx' is \[1\], not text"),
        ([copa(premise="\ud800 x.")], r"line 1: 'premise' has half of a surrogate pair"),
        ([["Mwanga"]], r"item 1 is a JSON str, no object"),
        ([], r"has no question in it"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_not_as_published_is_named(tmp_path, rows, says):
    path = tmp_path / "xcopa/test.sw.jsonl"
    path.parent.mkdir()
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(UserError, match=says):
        list(benchmarks.items("xcopa_sw", str(tmp_path)))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b'{"premise": \n', "line 1 is not JSON"),
        (b"\xff\xfe\x00", "is not UTF-8 text"),
        (b"[1, ", "is not JSON that can be read"),
    ],
)
def test_junk_is_a_sentence(tmp_path, content, says):
    (tmp_path / "xcopa").mkdir()
    (tmp_path / "xcopa/test.sw.jsonl").write_bytes(content)
    with pytest.raises(UserError, match=says):
        list(benchmarks.items("xcopa_sw", str(tmp_path)))


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("xcopa_xx", r"'xcopa_xx' names 'xx', which is no language of xcopa \(it has: et, .*sw"),
        ("xcopa", r"'xcopa' names no language of xcopa"),
        ("xcopy_sw", r"'xcopy_sw' is no benchmark: did you mean 'xcopa'"),
        ("xcopa_sw", r"xcopa has no file for xcopa_sw \(looked for .* or test\.sw\.jsonl\): set evaluation_data"),
    ],
)
def test_tasks_that_are_not_there_are_named(tmp_path, name, says):
    with pytest.raises(UserError, match=says):
        list(benchmarks.items(name, str(tmp_path)))
    with pytest.raises(UserError, match="'nowhere', is none: set evaluation_data"):
        list(benchmarks.items("xcopa_sw", "nowhere"))


@pytest.mark.parametrize(
    ("name", "file", "content"),
    [
        (
            "arc_easy",
            "ARC-Easy-Test.jsonl",
            '{"id": "M1", "question": {"stem": "What?", "choices": [{"text": "a", "label": "A"}, {"text": "b", "label":'
            ' "B"}]}, "answerKey": "B"}\n',
        ),
        (
            "openbookqa",
            "Data/Main/test.jsonl",
            '{"id": "7", "question": {"stem": "What?", "choices": [{"text": "a", "label": "A"}, {"text": "b", "label":'
            ' "B"}]}, "answerKey": "B"}\n',
        ),
        (
            "xstorycloze_en",
            "spring2016.val.en.tsv.split_20_80_eval.tsv",
            "InputStoryid\tInputSentence1\tInputSentence2\tInputSentence3\tInputSentence4\tRandomFifthSentenceQuiz1\t"
            "RandomFifthSentenceQuiz2\tAnswerRightEnding\nx\tOne.\tTwo.\tThree.\tFour.\ta\tb\t2\n",
        ),
    ],
)
def test_the_originals_own_layouts(tmp_path, name, file, content):
    path = tmp_path / benchmarks.find(name)[0].name / file
    path.parent.mkdir(parents=True)
    path.write_text(content)
    (item,) = benchmarks.items(name, str(tmp_path))
    assert (item["choices"], item["answer"]) == ([" a", " b"], 1)
    assert item["prompt"] in ("Question: What?\nAnswer:", "What?", "One. Two. Three. Four.")


def test_tables_and_parquet_name_the_row(tmp_path):
    publish(tmp_path, "sib200_swh_Latn")
    table = tmp_path / PUBLISHED["sib200_swh_Latn"][0]
    table.write_text(table.read_text() + "7\ttravel\n")
    with pytest.raises(UserError, match=r"test\.tsv, line 4 has 2 fields, not 3"):
        list(benchmarks.items("sib200_swh_Latn", str(tmp_path)))
    publish(tmp_path, "xcopa_it")
    parquet = tmp_path / PUBLISHED["xcopa_it"][0]
    rows = [row | {"idx": number} for number in (1, 2, 2) for row in PUBLISHED["xcopa_it"][1]]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), parquet)
    with pytest.raises(UserError, match=r"0000\.parquet, row 3: the id '2' is already that of .*parquet, row 2"):
        list(benchmarks.items("xcopa_it", str(tmp_path)))
    parquet.write_bytes(parquet.read_bytes()[:-9])
    with pytest.raises(UserError, match=r"0000\.parquet cannot be read after row 0"):
        list(benchmarks.items("xcopa_it", str(tmp_path)))


def test_validation_items_come_along_where_there_are_files(tmp_path):
    (tmp_path / "arc_easy/sw").mkdir(parents=True)
    rows = PUBLISHED["arc_easy"][1]
    write_lines(tmp_path / "arc_easy/sw/test.jsonl", rows)
    assert {item["split"] for item in benchmarks.items("arc_easy_sw", str(tmp_path))} == {"test"}
    write_lines(tmp_path / "arc_easy/sw/validation.jsonl", rows)
    items = list(benchmarks.items("arc_easy_sw", str(tmp_path)))
    assert [item["id"] for item in items] == ["test-M_1", "test-M_2", "validation-M_1", "validation-M_2"]
    assert {item["group"] for item in items} == {"sw"}


def test_choices_that_are_equal_are_left_out_and_counted(tmp_path, capsys):
    write_lines(tmp_path / "xcopa/test.sw.jsonl", [copa(), copa(idx=8, choice2="Niliona.")])
    assert [item["id"] for item in benchmarks.items("xcopa_sw", str(tmp_path))] == ["test-7"]
    assert "1 of 2 rows left out (1 with equal choices, 0 without text)" in capsys.readouterr().err


def test_empty_endings_of_translations_are_left_out_and_counted(tmp_path, capsys):
    """They are published so, some with nothing but a mark in brackets; the English original is not."""
    rows = PUBLISHED["hellaswag_eu"][1]
    rows = [rows[0], *({**rows[0], "endings": ["kula.", ending, "a", "b"]} for ending in ("", "[title]"))]
    write_lines(tmp_path / "hellaswag/eu/val.jsonl", rows)
    assert len(list(benchmarks.items("hellaswag_eu", str(tmp_path)))) == 1
    assert "2 of 3 rows left out (0 with equal choices, 2 without text)" in capsys.readouterr().err
    write_lines(tmp_path / "hellaswag/default/validation.jsonl", rows)
    with pytest.raises(UserError, match="line 2: a choice is empty"):
        list(benchmarks.items("hellaswag", str(tmp_path)))


def test_prepare_makes_item_files_of_any_mixture(tmp_path, real_data):
    config = load_config(str(ROOT / "configs/base.py:cpu"))
    with config.unlocked():
        config.evaluations, config.evaluation_data = "toy_world_facts,xcopa_sw", str(real_data)
    prepare(config, tmp_path / "prepared")
    folder = Prepared(tmp_path / "prepared")
    about = folder.manifest["evaluations"][1]
    assert about == {"name": "xcopa_sw", "metric": "xcopa", "chance": 0.5, "items": 600}
    assert folder.items("xcopa_sw") == list(benchmarks.items("xcopa_sw", str(real_data)))
    run_evaluations("xcopa_sw", str(real_data), "", str(tmp_path / "items"))
    alone = ItemFolder(tmp_path / "items")
    assert alone.evaluations == [about]
    assert alone.items("xcopa_sw") == folder.items("xcopa_sw") == ItemFolder(tmp_path / "prepared").items("xcopa_sw")
    (tmp_path / "items/evaluation/xcopa_sw.jsonl").write_text("{}\n")
    with pytest.raises(UserError, match=r"xcopa_sw\.jsonl is missing or damaged"):
        alone.items("xcopa_sw")


def test_prepare_tells_what_is_wrong_with_a_benchmark_and_leaves_nothing(tmp_path):
    write_lines(tmp_path / "data/xcopa/test.sw.jsonl", [copa(), copa()])
    config = load_config(str(ROOT / "configs/base.py:cpu"))
    with config.unlocked():
        config.evaluations, config.evaluation_data = "xcopa_sw", str(tmp_path / "data")
    with pytest.raises(UserError, match=r"test\.sw\.jsonl, line 2: the id '7'"):
        prepare(config, tmp_path / "out")
    with pytest.raises(UserError, match=r"test\.sw\.jsonl, line 2: the id '7'"):
        run_evaluations("xcopa_sw", str(tmp_path / "data"), "", str(tmp_path / "out"))
    assert [path.name for path in tmp_path.iterdir()] == ["data"]
