"""People see their data: the preview, and the corpus for other trainers."""

import json
import pathlib

import pytest

from linkjax.data.prepared import Prepared
from linkjax.lexicon import clean_pairs
from linkjax.substitution import LinkSettings, Substitution
from linkjax.substitution.__main__ import main
from linkjax.substitution.preview import side_by_side, summary
from tests.conftest import ROOT

LEXICON = clean_pairs([("dog", "mbwa"), ("cat", "猫"), ("house", "בית")])


def test_both_sides_are_wrapped_with_the_swapped_words_marked():
    text = "The dog, the cat and the house: a dog again, and nothing else at all."
    done = Substitution(LEXICON, LinkSettings(ratio=1.0))(0, text)
    lines = list(side_by_side(text, done, 63, colour=False))
    left, right = zip(*(line.split(" │ ") for line in lines), strict=True)
    assert " ".join(part.strip() for part in left).replace("[", "").replace("]", "") == text
    assert " ".join(part.strip() for part in right).replace("[", "").replace("]", "") == done.text
    assert "[dog]," in left[0]
    assert "[mbwa]," in right[0]
    bars = {sum(2 if "\u4e00" <= character <= "\u9fff" else 1 for character in line.split("│")[0]) for line in lines}
    assert len(bars) == 1  # one straight line, wide characters or not
    coloured = "\n".join(side_by_side(text, done, 63, colour=True))
    assert "\033[1;32m\u2068mbwa\u2069\033[0m," in coloured
    assert (
        summary([done])
        == "15 words, 4 of them eligible (26.7 %); 4 swaps for 3 different words, 0 of them for the same"
    )


def test_preview_command(tmp_path, capsys):
    (tmp_path / "en.txt").write_text("".join(f"The dog number {i} is here.\n" for i in range(100)))
    (tmp_path / "lexicon.tsv").write_text("dog\tmbwa\n")
    arguments = ["preview", f"--lexicon={tmp_path}/lexicon.tsv", f"--text={tmp_path}/en.txt", "-n", "4"]
    main([*arguments, "--ratio=1"])
    shown = capsys.readouterr().out
    assert shown.count("[mbwa]") == shown.count("[dog]") == 4
    assert "number 0" in shown
    assert "number 75" in shown
    main([*arguments, "--ratio=0.2", "--ratio_of=words"])
    assert "20 words, 4 of them eligible (20.0 %); 4 swaps" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (["--text=nowhere.txt"], "error: nowhere.txt cannot be read"),
        (["--ratio=7"], "error: link.ratio is 7.0"),
        (["-n", "0"], "argument -n: '0' is no number from 1 on"),
        (["--pass_index=-1"], "'-1' is no pass"),
        (["--protect=maybe"], "'maybe' is neither True nor False"),
        (["--ratio=0.9", "--ratio_of=words"], "is out of reach: only 0.200"),
    ],
)
def test_mistakes_in_the_preview_are_sentences(tmp_path, capsys, more, says):
    (tmp_path / "en.txt").write_text("The dog is not here.\n")
    (tmp_path / "lexicon.tsv").write_text("dog\tmbwa\n")
    with pytest.raises(SystemExit) as error:
        main(["preview", f"--lexicon={tmp_path}/lexicon.tsv", f"--text={tmp_path}/en.txt", *more])
    assert error.value.code == 2
    assert says in capsys.readouterr().err


def export(
    folder: pathlib.Path, out: pathlib.Path, kind: str, pass_index: str = "0", lexicon_of_the_run: str = "", **link
):
    from linkjax.config import load_config
    from linkjax.prepare import run_export

    config = load_config(str(ROOT / "configs/base.py"))
    with config.unlocked():
        config.data, config.lexicon = str(folder), lexicon_of_the_run
        for name, value in link.items():
            config.link[name] = value
    run_export(config, str(out), kind, pass_index)
    return json.loads((out / "counts.json").read_text())


@pytest.mark.parametrize("kind", ["jsonl", "parquet", "text"])
def test_exported_text_is_what_training_reads(toy, tmp_path, kind):
    counts = export(toy.folder, tmp_path / "out", kind, "3", ratio=0.4)
    substitution = Substitution(toy.lexicons, LinkSettings(ratio=0.4))
    documents = list(toy.documents(toy.components[0]))
    expected = [substitution(document.id, document.text, 3) for document in documents]
    path = next((tmp_path / "out").glob("toy_world_english.*"))
    if kind == "text":
        assert path.read_text().splitlines() == [done.text for done in expected]
    else:
        if kind == "jsonl":
            records = [json.loads(line) for line in path.read_text().splitlines()]
        else:
            import pyarrow.parquet

            records = pyarrow.parquet.read_table(path).to_pylist()
        assert [record["text"] for record in records] == [done.text for done in expected]
        assert [record["id"] for record in records] == [f"{document.id:016x}" for document in documents]
        assert [record["swaps"] for record in records] == [[span._asdict() for span in done.spans] for done in expected]
    english = counts["components"]["toy_world_english"]
    assert english["swaps"] == sum(len(done.spans) for done in expected)
    assert english["words"] == sum(done.words for done in expected)
    assert counts["settings"]["ratio"] == 0.4
    assert counts["components"]["toy_world_target"]["swaps"] == 0
    assert counts["lexicons"] == toy.lexicon_hashes


def test_a_failed_export_leaves_nothing(toy, tmp_path, monkeypatch):
    from linkjax.errors import UserError

    monkeypatch.setattr(Prepared, "documents", lambda *_: [type(toy.heldout(toy.components[0])[0])(1, "two\nlines")])
    with pytest.raises(UserError, match=r"document 0000000000000001 of toy_world_english has several lines"):
        export(toy.folder, tmp_path / "deep/out", "text")
    assert not list(tmp_path.iterdir())
    with pytest.raises(UserError, match="prepared with other settings: lexicon was '' and is 'other"):
        export(toy.folder, tmp_path / "out", "jsonl", lexicon_of_the_run="other.tsv")
    with pytest.raises(UserError, match="--format is 'csv'"):
        export(toy.folder, tmp_path / "out", "csv")
