"""People see the training rows: documents as they are read, marks where words are swapped, honest shares."""

import collections
import dataclasses
import re
import subprocess
import sys

import numpy as np
import pytest

from linkjax.data.__main__ import main
from linkjax.data.cutting import at_least
from linkjax.data.documents import Document
from linkjax.data.inspection import Sample, marked_text, row_lines
from linkjax.data.pipeline import Stream, make_substitution
from linkjax.data.prepared import Prepared
from linkjax.data.tokenizer import Tokenizer, train_tokenizer
from linkjax.substitution import LinkSettings, Span
from tests.conftest import ROOT


def read(toy, settings, batches, rows):
    sample, stream = Sample(toy, settings, rows), Stream(toy, settings)
    read = [next(stream) for _ in range(batches)]
    for batch in read:
        sample.add(batch)
    stream.close()
    return sample, read, dict(stream.states)


@pytest.fixture
def command(monkeypatch):
    """Runs `python -m linkjax.data ARGUMENTS` in this process, from the repository."""

    def run(*arguments):
        monkeypatch.chdir(ROOT)
        monkeypatch.setattr(sys, "argv", ["linkjax.data", *arguments])  # where absl looks for --config.KEY
        main(sys.argv)

    return run


@pytest.mark.parametrize("loss_on_swapped", ["yes", "no", "original"])
def test_segments_are_the_documents_with_their_swaps_marked(toy, stream_settings, loss_on_swapped):
    """The marked text of every document, made from the substitution's spans, is what its segment shows."""
    link = LinkSettings(ratio=0.5, loss_on_swapped=loss_on_swapped)
    substitution = make_substitution(toy, link)
    expected = {document.text for document in toy.documents(toy.components[1])}
    for document in toy.documents(toy.components[0]):
        done = substitution(document.id, document.text, 0)
        marked, end = "", 0
        for span in done.spans:
            marked += f"{done.text[end : span.start]}[{done.text[span.start : span.end]}]"
            end = span.end
        expected.add((marked + done.text[end:]).replace("] [", " "))
    sample, _, _ = read(toy, dataclasses.replace(stream_settings, link=link), 1, 16)
    segments = swapped = 0
    for row in sample.rows():
        title, *lines, padding = row_lines(row, toy.components, toy.tokenizer, colour=False)
        tokens = np.count_nonzero(row.fields["segments"])
        assert f"row {row.place}: {toy.components[row.fields['component']]['name']}" in title
        assert padding == (
            f"-- padding: from place {tokens + 1} on, {64 - tokens} of 64" if tokens < 64 else "-- no padding"
        )
        borders, texts = lines[::2], [line.removeprefix("  ") for line in lines[1::2]]
        assert [border.partition(":")[0] for border in borders] == [
            f"-- segment {number + 1}" for number in range(row.fields["segments"].max())
        ]
        assert sum(int(re.search(r": (\d+) tokens", border)[1]) for border in borders) == tokens
        for border, text in zip(borders, texts, strict=True):
            assert text in expected
            swaps = int(re.search(r"(\d+) swapped-in", border)[1])
            assert (swaps > 0) == ("[" in text)
            assert ("loss weight 0" in border) == (loss_on_swapped == "no" and swaps > 0)
            assert ("another target" in border) == (loss_on_swapped == "original" and swaps > 0)
            swapped += swaps
        segments += len(texts)
    assert segments > 50
    assert swapped > 50


def test_cut_documents_say_so(toy, stream_settings):
    """Rows of five tokens: beginnings, middles and ends of documents are shown as such."""
    settings = dataclasses.replace(stream_settings, sequence_length=5, link=LinkSettings(ratio=0.0))
    sample, _, _ = read(toy, settings, 8, 500)
    texts = {document.text for component in toy.components for document in toy.documents(component)}
    fits = {
        (False, False): str.__eq__,
        (False, True): str.startswith,
        (True, False): str.endswith,
        (True, True): str.__contains__,
    }
    seen = collections.Counter()
    for row in sample.rows():
        _, *lines, _ = row_lines(row, toy.components, toy.tokenizer, colour=False)
        for border, text in zip(lines[::2], (line.removeprefix("  ") for line in lines[1::2]), strict=True):
            kind = "goes on" in border, "cut here" in border
            assert any(fits[kind](whole, text) for whole in texts), (border, text)
            assert kind[0] == (text not in texts and not any(whole.startswith(text) for whole in texts if text)), text
            seen[kind] += 1
    assert seen[False, False] > 20
    assert seen[False, True] > 20
    assert seen[True, False] > 20


@pytest.mark.parametrize("colour", [False, True])
def test_marks_stand_around_whole_characters(colour):
    """Characters that the tokenizer spells in bytes, signs at a mark's edge, neighbours, controls of a terminal."""
    tokenizer = Tokenizer(train_tokenizer(["a few plain words and no others at all"] * 50, 300, "bpe"))
    text = "one 猫🦊, Ελλάς' two \x1b[31m"
    swapped = ["猫🦊", "Ελλάς", "two"]
    spans = [Span(text.index(word), text.index(word) + len(word), "") for word in swapped]
    tokens, flags = tokenizer.encode_with_spans(text, spans)
    shown = marked_text(tokens, flags, tokenizer, colour).removeprefix(" ")
    assert "\ufffd" not in shown
    assert "\x1b[31m" not in shown
    before, after = ("\033[1;32m\u2068", "\u2069\033[0m") if colour else ("[", "]")
    assert shown == f"one {before}猫🦊{after}, {before}Ελλάς{after}' {before}two{after} \u241b[31m"
    joined = [Span(spans[0].start, text.index("two") + 3, "")]
    tokens, flags = tokenizer.encode_with_spans(text, joined)
    assert marked_text(tokens, flags, tokenizer, colour).replace("\u241b[", "").count(before) == 1


def test_small_components_are_shown_too(toy, stream_settings):
    sample, batches, _ = read(toy, stream_settings, 3, 4)
    rows = sample.rows()
    assert [int(row.fields["component"]) for row in rows].count(1) == 2
    assert [row[:2] for row in rows] == sorted(row[:2] for row in rows)
    for row in rows:
        assert (row.fields["tokens"] == batches[row.batch - 1]["tokens_BxL"][row.place - 1]).all()


def test_shares_are_those_of_the_batches(toy, stream_settings):
    settings = dataclasses.replace(stream_settings, link=LinkSettings(ratio=0.5, loss_on_swapped="no"))
    sample, batches, states = read(toy, settings, 20, 0)
    shown = "\n".join(sample.shares(states))
    assert sample.rows() == []
    inside = np.concatenate([batch["segments_BxL"] > 0 for batch in batches])
    components = np.concatenate([batch["component_B"] for batch in batches])
    tokens = [int(inside[components == index].sum()) for index in range(2)]
    assert f"20 batches: {inside.size:,} places, {sum(tokens):,} tokens" in shown
    for component, count in zip(toy.components, tokens, strict=True):
        share, rate = 100 * count / sum(tokens), 100 * component["rate"]
        expected = rf"{component['name']} +{component['language']} +{count:,} +{share:.2f} % +{rate:.2f} % +\d+\.\d\d"
        assert re.search(expected, shown)
    assert f"padding: {100 * (1 - inside.mean()):.2f} % of the places" in shown
    swapped = sum(int(batch["swapped_BxL"].sum()) for batch in batches)
    assert f"swapped-in: {100 * swapped / sum(tokens):.2f} % of the tokens" in shown
    assert f"loss weight 0: {100 * swapped / sum(tokens):.2f} % of the tokens" in shown
    eligible, words = map(float, re.search(r"toy_world_english: (\S+)% eligible, (\S+)% swapped", shown).groups())
    assert words == pytest.approx(eligible / 2, abs=2)
    assert "together" not in shown


def test_components_of_one_language_are_also_shown_together(toy, stream_settings, monkeypatch):
    same = [component | {"language": "en", "operations": []} for component in toy.components]
    monkeypatch.setitem(toy.manifest, "components", same)
    sample, batches, states = read(toy, stream_settings, 2, 0)
    tokens = sum(int(np.count_nonzero(batch["segments_BxL"])) for batch in batches)
    shown = "\n".join(sample.shares(states))
    assert re.search(rf"together +en +{tokens:,} +100.00 % +100.00 %", shown)
    assert "no component has its words swapped" in shown


def test_shares_are_held_against_the_rates_of_the_batches_stage(toy, stream_settings):
    settings = dataclasses.replace(stream_settings, steps=40, rates="0.5:toy_world_target=0.5")
    sample, _, states = read(toy, settings, 40, 0)
    share, rate = map(
        float, re.search(r"toy_world_target .* (\S+) % +(\S+) %", "\n".join(sample.shares(states))).groups()
    )
    assert rate == pytest.approx(30, abs=1.5)  # half of the time 10 %, then 50 %; padding ends the run a little early
    assert share == pytest.approx(rate, abs=1.5)


def test_the_command_shows_rows_and_shares(command, toy_folder, capsys):
    command("inspect", f"--config.data={toy_folder}", "--rows=3", "--batches=2", "--config.link.ratio=0.9")
    shown = capsys.readouterr().out
    assert shown.count("-- segment 1: ") == shown.count("\nbatch 1, row ") + 1 == 3
    assert re.search(r"\[\w+", shown)
    assert "2 batches: 4,096 places" in shown
    command("inspect", f"--config.data={toy_folder}", "--batches=1", "--config.link.ratio=0")
    assert "[" not in capsys.readouterr().out


def test_a_prepared_folder_needs_no_tensorflow(toy_folder):
    code = (
        "import sys; sys.modules |= dict.fromkeys(['tensorflow', 'seqio'])\n"
        f"sys.argv = ['linkjax.data', 'inspect', '--config.data={toy_folder}', '--batches=1']\n"
        "import runpy; runpy.run_module('linkjax.data', run_name='__main__')"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "1 batches" in done.stdout


def test_a_missing_folder_is_prepared(command, tmp_path, capsys):
    command("inspect", "--config=configs/base.py:cpu", f"--config.data={tmp_path}/data", "--batches=1", "--rows=1")
    assert (tmp_path / "data/manifest.json").is_file()
    assert "1 batches" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "nothing is asked for: python -m linkjax.data --help"),
        (["inspct"], "'inspct' is not known"),
        (["inspect"], "--config.data is missing"),
        (["inspect", "--rows=many"], "--rows is 'many': choose 0, 1, 2"),
        (["inspect", "--batches=0"], "--batches is '0': choose 1, 2"),
        (["inspect", "--config.data=tests"], "tests is not a prepared folder"),
        (["inspect", "--config.dat=x"], "did you mean 'config.data'?"),
        (["inspect", "--config.data={toy}", "--config.virtual_shards=3"], "not a multiple of virtual_shards 3"),
        (["inspect", "--config.data={toy}", "--config.link.ratio=0.9", "--config.link.ratio_of=words"],
         "is out of reach"),
    ],
)  # fmt: skip
def test_mistakes_are_sentences(command, toy_folder, capsys, arguments, says):
    with pytest.raises(SystemExit) as error:
        command(*(argument.replace("{toy}", str(toy_folder)) for argument in arguments))
    assert error.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert says in said


@pytest.mark.parametrize(
    ("arguments", "says"), [(["--help"], "inspect --help"), (["inspect", "--help"], "--batches=20")]
)
def test_help_teaches(command, capsys, arguments, says):
    command(*arguments)
    assert says in capsys.readouterr().out


def test_documents_are_shown_by_their_ids(toy, toy_folder, command, capsys):
    english, target = (toy.documents(component)[50] for component in toy.components)
    command("show", f"--data={toy_folder}", f"--ids={english.id}, {target.id:#x}")
    assert capsys.readouterr().out == "".join(
        f"{document.id:#x}: {component['name']} ({component['language']}), {len(document.text)} characters\n"
        f"{document.text}\n\n"
        for component, document in zip(toy.components, (english, target), strict=True)
    )
    command("show", f"--data={toy_folder}", f"--ids={english.id}", "--characters=5")
    assert capsys.readouterr().out.endswith(f"\n{english.text[:5]} ...\n\n")


def test_pieces_of_a_book_are_shown(toy, tmp_path, monkeypatch, command, capsys):
    book = Document(1, "".join(f"word{i} " for i in range(1000)) + "\x1b[31m\x9b1m")
    pieces = at_least([book], 8, "book")
    monkeypatch.setattr(Prepared, "documents", lambda self, component: [book])
    command("show", f"--data={toy.folder}", f"--ids={pieces[3].id},{pieces[-1].id}")
    said = capsys.readouterr().out
    assert pieces[3].text in said
    assert "\u241b[31m\ufffd1m" in said and "\x1b" not in said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "--data is missing"),
        (["--data=."], "--ids has ''"),
        (["--data=.", "--ids=1,zwei"], "--ids has 'zwei'"),
        (["--data=.", "--ids=0x1ffffffffffffffff"], "--ids has '0x1f"),
        (["--data=.", "--ids=-3"], "--ids has '-3'"),
        (["--data=.", "--ids=" + "9" * 6000], "--ids has '999"),
        (["--data=.", "--ids=1", "--characters=x"], "--characters is 'x'"),
        (["--data=.", "--ids=1"], "is not a prepared folder"),
        (["--data=TOY", "--ids=1,0x2"], "has no training document 0x1, 0x2: name the folder"),
    ],
)
def test_what_cannot_be_shown_is_a_sentence(toy_folder, command, capsys, arguments, said):
    with pytest.raises(SystemExit) as ended:
        command("show", *(argument.replace("TOY", str(toy_folder)) for argument in arguments))
    assert ended.value.code == 2
    assert said in capsys.readouterr().err
