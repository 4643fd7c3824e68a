"""Benchmarks as TFDS prepares them: the same questions as from the files they are published in."""

import json
import pathlib

import pytest
import tensorflow_datasets as tfds
from tensorflow_datasets.core.file_adapters import ADAPTER_FOR_FORMAT

from linkjax.errors import UserError
from tasks import benchmarks
from tests.benchmark_rows import PUBLISHED
from tests.test_benchmarks import publish

XNLI = ("ar", "bg", "de", "el", "en", "es", "fr", "hi", "ru", "sw", "th", "tr", "ur", "vi", "zh")


def build(data, name, splits, kind="tfrecord"):
    """A data set as TFDS's own builder would prepare it, of rows as that builder makes them."""
    builder = tfds.builder(name, data_dir=str(data))
    features, folder, form = builder.info.features, pathlib.Path(builder.data_dir), tfds.core.FileFormat(kind)
    folder.mkdir(parents=True)
    template = tfds.core.ShardedFileTemplate(
        data_dir=folder, dataset_name=builder.name, filetype_suffix=form.file_suffix
    )
    about = []
    for split, rows in splits.items():
        path = folder / f"{builder.name}-{split}.{form.file_suffix}-00000-of-00001"
        records = [(str(number), features.serialize_example(row)) for number, row in enumerate(rows)]
        ADAPTER_FOR_FORMAT[form].write_examples(str(path), records)
        about.append(
            tfds.core.SplitInfo(name=split, shard_lengths=[len(rows)], num_bytes=0, filename_template=template)
        )
    tfds.folder_dataset.write_metadata(data_dir=str(folder), features=features, split_infos=about, check_data=False)
    return folder


def arc(row):
    letters = dict(zip("12345", "ABCDE", strict=True))
    labels = [letters.get(label, label) for label in row["choices"]["label"]]
    answer = letters.get(row["answerKey"], row["answerKey"])
    return row | {"choices": {"text": row["choices"]["text"], "label": labels}, "answerKey": answer}


def openbookqa(row):
    choices = dict(zip(("choice_A", "choice_B", "choice_C", "choice_D"), row["choices"]["text"], strict=True))
    return {
        "question": {"stem": row["question_stem"], **choices},
        "answerKey": row["answerKey"],
        "fact1": "",
        "humanScore": 1.0,
        "clarity": 1.0,
        "turkIdAnonymized": "",
    }


def winogrande(row):
    return {name: row[name] for name in ("sentence", "option1", "option2")} | {"label": row["answer"]}


def xnli(row):
    """The other languages say something else."""
    both = {kind: {code: f"{code}?" for code in XNLI} | {"sw": row[kind]} for kind in ("premise", "hypothesis")}
    return {**both, "label": row["label"]}


# task -> (TFDS's name, the split that is our test, rows of PUBLISHED -> TFDS's)
IN_TFDS = {
    "arc_easy": ("ai2_arc/ARC-Easy", "test", arc),
    "arc_challenge": ("ai2_arc/ARC-Challenge", "test", arc),
    "openbookqa": ("openbookqa", "test", openbookqa),
    "piqa": ("piqa", "validation", lambda row: {"id": "", **row}),
    "winogrande": ("winogrande", "validation", winogrande),
    "xnli_sw": ("xnli", "test", xnli),
    "paws_de": (
        "paws_x_wiki/de", "test", lambda row: {name: row[name] for name in ("sentence1", "sentence2", "label")}
    ),
}  # fmt: skip


def questions(name, data):
    return [
        {kind: item[kind] for kind in item if kind not in ("id", "cluster")} for item in benchmarks.items(name, data)
    ]


@pytest.mark.parametrize("task", IN_TFDS)
@pytest.mark.parametrize("kind", ["tfrecord", "array_record"])
def test_tfds_asks_what_the_published_files_ask(tmp_path, task, kind):
    name, split, convert = IN_TFDS[task]
    rows = publish(tmp_path / "files", task)
    expected = questions(task, str(tmp_path / "files"))
    splits = {split: [convert(row) for row in rows]}
    if split == "test":
        splits["validation"] = [convert(rows[0])]
    build(tmp_path / "tfds", name, splits, kind)
    found = questions(task, str(tmp_path / "tfds"))
    assert [item for item in found if item["split"] == "test"] == expected
    assert found[len(expected) :] == ([expected[0] | {"split": "validation"}] if split == "test" else [])
    identifiers = [item["id"] for item in benchmarks.items(task, str(tmp_path / "tfds"))]
    assert len(set(identifiers)) == len(identifiers)


def test_what_is_in_tfds_is_documented():
    said = (pathlib.Path(__file__).parent.parent / "docs/evaluation.md").read_text()
    read = {
        benchmark.tfds.folder.format(language="de") for benchmark in benchmarks.BENCHMARKS.values() if benchmark.tfds
    }
    assert {name for name, _, _ in IN_TFDS.values()} == read
    assert all(f"`{name}`" in said or f"tfds build {name} " in said for name in read)


def test_files_come_first_and_of_versions_the_newest(tmp_path):
    row = IN_TFDS["piqa"][2](PUBLISHED["piqa"][1][0])
    folder = build(tmp_path, "piqa", {"validation": [row | {"goal": "new"}]})
    assert "new" in questions("piqa", str(tmp_path))[0]["prompt"]
    folder.rename(folder.with_name("10.0.0"))
    build(tmp_path, "piqa", {"validation": [row | {"goal": "old"}]})
    assert "new" in questions("piqa", str(tmp_path))[0]["prompt"]
    publish(tmp_path, "piqa")
    assert "Kukata mti" in questions("piqa", str(tmp_path))[0]["prompt"]
    with pytest.raises(UserError, match="has no file for piqa_sw"):
        questions("piqa_sw", str(tmp_path))


def test_what_is_wrong_is_a_sentence(tmp_path):
    rows = [winogrande(row) for row in PUBLISHED["winogrande"][1]]
    folder = build(tmp_path, "winogrande", {"validation": [*rows, rows[0] | {"label": -1}]})

    def says(what):
        with pytest.raises(UserError, match=what):
            questions("winogrande", str(tmp_path))

    says(r"winogrande/1\.2\.0, validation, example 3: 'answer' is None, not one of 1, 2")
    (file,) = folder.glob("*tfrecord*")
    file.write_bytes(file.read_bytes()[:-5])
    says(r"winogrande/1\.2\.0, validation cannot be read \(.*\): build or fetch it again")
    about = folder / "features.json"
    whole = about.read_text()
    features = json.loads(whole)
    features["pythonClassName"] = "os.path.Evil"
    about.write_text(json.dumps(features))
    says(r"winogrande/1\.2\.0 has a feature of class 'os\.path\.Evil', which is not TFDS's own")
    about.write_text("{")
    says("cannot be read")
    about.write_text(whole)
    splits = json.loads((folder / "dataset_info.json").read_text())
    splits["splits"][0]["name"] = "train"
    (folder / "dataset_info.json").write_text(json.dumps(splits))
    says(r"has no split 'validation' \(it has: train\): build it again")
    with pytest.raises(UserError, match=r"looked for .*; or \.\./xnli of TFDS\): set evaluation_data"):
        questions("xnli_sw", str(tmp_path))
