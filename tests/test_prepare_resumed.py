"""Preparing data in parts: stopped and gone on with, by several processes, with duplicates and damage."""

import errno
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from linkjax.config import load_config, to_json
from linkjax.data.documents import document_id
from linkjax.data.prepared import Prepared
from linkjax.errors import UserError
from linkjax.preparation import runners, units
from linkjax.preparation.duplicates import met_before
from linkjax.preparation.partial import Stopped, whole_or_not_at_all
from linkjax.preparation.runners import RunnerSettings
from linkjax.preparation.units import lowest_ids, stretches
from linkjax.prepare import prepare
from tests.conftest import ROOT


def hashes(folder):
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture
def config(tmp_path):
    """Three English files with a text in all of them, two of the target language."""
    folder = tmp_path / "text"
    folder.mkdir()
    for part in range(3):
        lines = [f"The dog {part} {number} sees the cat by the water.\n" for number in range(150)]
        (folder / f"en{part}.txt").write_text("".join([*lines, "A dog that is everywhere.\n", lines[7]]))
    for part in range(2):
        lines = [f"Mbwa {part} {number} anaona paka karibu na maji.\n" for number in range(60)]
        (folder / f"sw{part}.txt").write_text("".join(lines))
    (folder / "lexicon.tsv").write_text("dog\tmbwa\ncat\tpaka\nwater\tmaji\n")
    config = load_config(str(ROOT / "configs/local_text.py:cpu"))
    config.english, config.target = str(folder / "en*.txt"), str(folder / "sw*.txt")
    config.lexicon, config.target_language = str(folder / "lexicon.tsv"), "sw"
    return config


class Death(BaseException):
    """A kill, as far as one process can die of it and be tested."""


def dying_at(monkeypatch, moment):
    """Dies when the piece of work numbered `moment` is to be made; returns the names of those made."""
    made = []
    real = units.Work.make

    def make(self, name, of, fill):
        if len(made) == moment:
            raise Death
        real(self, name, of, fill)
        made.append(name)

    monkeypatch.setattr("linkjax.preparation.work.Work.make", make)
    return made


@pytest.mark.parametrize("moment", [1, 7, 10, 11, 15])
def test_what_is_done_is_not_done_again(tmp_path, config, monkeypatch, capsys, moment):
    config.drop_duplicates = True
    with monkeypatch.context() as patch:
        everything = dying_at(patch, -1)
        prepare(config, tmp_path / "whole")
    with monkeypatch.context() as patch:
        before = dying_at(patch, moment)
        with pytest.raises(Death):
            prepare(config, tmp_path / "out")
    assert "the same command goes on from there" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    with monkeypatch.context() as patch:
        after = dying_at(patch, -1)
        prepare(config, tmp_path / "out")
    assert sorted(before + after) == sorted(everything) and len(before) == moment
    assert "parts are done already" in capsys.readouterr().err
    assert hashes(tmp_path / "out") == hashes(tmp_path / "whole")
    assert {path.name for path in tmp_path.iterdir()} == {"text", "whole", "out"}


@pytest.mark.parametrize("change", ["setting", "source", "damage", "truncation"])
def test_what_was_made_of_something_else_is_made_again(tmp_path, config, monkeypatch, change):
    with monkeypatch.context() as patch:
        dying_at(patch, 12)
        with pytest.raises(Death):
            prepare(config, tmp_path / "out")
    (file, *_) = sorted((tmp_path / ".out.partial/work").glob("local_text_english-train-000001/*.arrayrecord"))
    if change == "setting":
        config.minimum_characters = 30
    elif change == "source":
        with (tmp_path / "text/en1.txt").open("a") as text:
            text.write("A new dog.\n")
    elif change == "damage":
        data = bytearray(file.read_bytes())
        data[len(data) // 2] ^= 1
        file.write_bytes(data)
    else:
        os.truncate(file, 100)
    prepare(config, tmp_path / "out")
    prepare(config, tmp_path / "fresh")
    assert hashes(tmp_path / "out") == hashes(tmp_path / "fresh")


def test_a_second_process_is_refused_and_harms_nothing(tmp_path, config):
    with whole_or_not_at_all(tmp_path / "out") as partial:
        (partial / "folder/mine").write_text("mine")
        with pytest.raises(UserError, match=rf"out is being prepared by process {os.getpid()} on .+, for \d s: wait"):
            prepare(config, tmp_path / "out")
    assert (tmp_path / "out/mine").read_text() == "mine"
    assert not partial.exists()


def test_of_those_that_come_at_once_one_fills_the_folder(tmp_path):
    out, ended = tmp_path / "out", []

    def fill():
        try:
            with whole_or_not_at_all(out) as partial:
                (partial / "folder/file").write_text("all")
            ended.append("whole")
        except UserError:
            ended.append("refused")

    for _ in range(150):
        fills = [threading.Thread(target=fill) for _ in range(4)]
        for one in fills:
            one.start()
        for one in fills:
            one.join()
        assert sorted(ended) == ["refused"] * 3 + ["whole"]
        assert [path.name for path in tmp_path.iterdir()] == ["out"]
        shutil.rmtree(out)
        ended.clear()


def test_processes_change_nothing(tmp_path, config):
    config.drop_duplicates = True
    prepare(config, tmp_path / "one")
    prepare(config, tmp_path / "two", RunnerSettings(processes=2))
    assert hashes(tmp_path / "one") == hashes(tmp_path / "two")
    assert len(Prepared(tmp_path / "one").components[0]["files"]) == 3


def test_an_error_in_a_worker_is_the_same_sentence(tmp_path, config):
    (tmp_path / "text/en1.txt").write_bytes(b"fine\n\xff\xfe\n")
    with pytest.raises(UserError, match=r"en1\.txt is not UTF-8 text \(invalid start byte on line 2\)"):
        prepare(config, tmp_path / "deep/out", RunnerSettings(processes=2))
    assert [path.name for path in tmp_path.iterdir()] == ["text"]


def suicide(unit):
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_killed_worker_is_a_sentence_and_what_is_done_is_kept(tmp_path, config, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(runners, "_do_here", suicide)
        with pytest.raises(Stopped, match="was killed"):
            prepare(config, tmp_path / "out", RunnerSettings(processes=2))
    assert (tmp_path / ".out.partial").is_dir()
    prepare(config, tmp_path / "out")
    assert not (tmp_path / ".out.partial").exists()


def test_duplicates_are_dropped_across_files(tmp_path, config, capsys):
    (tmp_path / "heldout.txt").write_text("The dog 1 3 sees the cat by the water.\n" * 2 + "Unheard of.\n")
    config.english_heldout = str(tmp_path / "heldout.txt")
    config.drop_duplicates = True
    prepare(config, tmp_path / "out")
    folder = Prepared(tmp_path / "out")
    texts = [document.text for document in folder.documents(folder.components[0])]
    lines = [line for part in range(3) for line in (tmp_path / f"text/en{part}.txt").read_text().splitlines()]
    heldout = [document.text for document in folder.heldout(folder.components[0])]
    assert texts == [line for line in dict.fromkeys(lines) if line not in heldout]
    assert heldout == ["The dog 1 3 sees the cat by the water.", "Unheard of."]
    assert (
        "local_text_english, train: 6 of 456 documents left out (1 held out, 5 met before)" in capsys.readouterr().err
    )


COMMAND = [sys.executable, "-m", "linkjax.prepare"]


def start(config_file, out, *options):
    arguments = [*COMMAND, f"--config={config_file}", f"--out={out}", *options]
    return subprocess.Popen(arguments, cwd=ROOT, stderr=subprocess.PIPE, text=True, start_new_session=True)


def test_killed_at_any_moment_the_rest_gives_the_same_folder(tmp_path, config):
    """One moment; `tools/kill_prepare.py` takes as many as one likes."""
    prepare(config, tmp_path / "whole")
    file = tmp_path / "config.json"
    file.write_text(to_json(config))
    draw = random.Random(0)
    process = start(file, tmp_path / "out", "--processes=2")
    while not (tmp_path / ".out.partial/work").exists() and process.poll() is None:
        time.sleep(0.01)
    time.sleep(draw.uniform(0, 3))
    process.kill()
    process.wait()
    process = start(file, tmp_path / "out", "--processes=2")
    _, said = process.communicate(timeout=100)
    assert process.returncode == 0, said
    assert hashes(tmp_path / "out") == hashes(tmp_path / "whole")


def test_stopped_by_a_signal_it_says_that_it_goes_on_and_leaves_no_process(tmp_path, config):
    file = tmp_path / "config.json"
    file.write_text(to_json(config))
    process = start(file, tmp_path / "out", "--processes=2")
    while not (tmp_path / ".out.partial/work").exists() and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=100)
    assert process.returncode == 143, said
    assert "the same command goes on from there" in said and "Traceback" not in said
    with pytest.raises(ProcessLookupError):
        for _ in range(100):  # the last of them, which counts what is shared, ends after the others
            os.killpg(process.pid, 0)
            time.sleep(0.1)
    assert (tmp_path / ".out.partial").is_dir() and not (tmp_path / "out").exists()


def test_one_that_waits_takes_what_another_makes_or_makes_it_where_that_one_died(tmp_path, config):
    prepare(config, tmp_path / "whole")
    file = tmp_path / "config.json"
    file.write_text(to_json(config))
    with whole_or_not_at_all(tmp_path / "out") as partial:
        waiting = start(file, tmp_path / "out", "--wait=yes")
        assert f"out is being prepared by process {os.getpid()} on" in waiting.stderr.readline()
        (partial / "folder/mine").write_text("mine")
    assert waiting.wait(20) == 0
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine"]
    shutil.rmtree(tmp_path / "out")
    dying = start(file, tmp_path / "out")
    while not (tmp_path / ".out.partial/work").exists() and dying.poll() is None:
        time.sleep(0.01)
    dying.send_signal(signal.SIGSTOP)
    waiting = start(file, tmp_path / "out", "--wait=yes")
    assert f"out is being prepared by process {dying.pid} on" in waiting.stderr.readline()
    dying.kill()
    dying.communicate()
    _, said = waiting.communicate(timeout=100)
    assert waiting.returncode == 0, said
    assert hashes(tmp_path / "out") == hashes(tmp_path / "whole")
    assert not (tmp_path / ".out.partial").exists()


def test_the_lowest_ids_are_found_as_a_stream():
    draw = random.Random(1)
    documents = [units.Document(draw.getrandbits(64), "x" * draw.randrange(1, 50)) for _ in range(500)]
    for size in (0, 10, 500, 5000, 10**6):
        expected, total = [], 0
        for document in sorted(documents):
            total += len(document.text)
            if total > size:
                break
            expected.append(document)
        kept = lowest_ids(enumerate(documents), size)
        assert [place for place, _ in kept] == sorted(place for place, _ in kept)
        assert sorted(document for _, document in kept)[: len(expected)] == expected
        assert len(kept) == min(len(expected) + 1, len(documents))
    twice = [(place, units.Document(document_id("c", b"a"), "a")) for place in range(9)]
    assert [place for place, _ in lowest_ids(twice, 100, once=True)] == [0]


def test_a_document_larger_than_all_that_may_be_held_out_is_held_out_alone(tmp_path, config, monkeypatch):
    monkeypatch.setattr(units, "HELDOUT_BYTES", 10)
    prepare(config, tmp_path / "out")
    prepared = Prepared(tmp_path / "out")
    assert [len(prepared.heldout(component)) for component in prepared.components] == [1, 1]


@pytest.mark.parametrize(
    "full",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        RuntimeError("write() failed: No space left on device"),
        OSError(errno.EDQUOT, os.strerror(errno.EDQUOT)),
    ],
)
def test_a_full_disk_is_a_sentence_and_what_is_done_is_kept(tmp_path, full):
    with (
        pytest.raises(UserError, match="no space is left"),
        whole_or_not_at_all(tmp_path / "out") as partial,
    ):
        (partial / "work").mkdir()
        raise full
    assert (tmp_path / ".out.partial/work").is_dir() and not (tmp_path / "out").exists()
    with pytest.raises(UserError, match="no space is left"), whole_or_not_at_all(tmp_path / "more", goes_on=False):
        raise full
    assert not [*tmp_path.glob(".more*")] and not (tmp_path / "more").exists()


def test_documents_met_before_are_found_in_all_files(tmp_path):
    draw = np.random.default_rng(0)
    for most in (20, 1000, 2**63):
        parts = [draw.integers(0, most, size).astype(np.uint64) for size in (300, 0, 1, 500)]
        files = [tmp_path / f"{number}.npy" for number in range(len(parts))]
        for file, part in zip(files, parts, strict=True):
            np.save(file, part)
        heldout = {3, 5, int(parts[3][7])}
        met, expected = set(heldout), []
        for part in parts:
            expected.append([identifier in met or met.add(identifier) for identifier in part.tolist()])
        found = [drop.tolist() for drop in met_before(files, heldout)]
        assert found == [list(map(bool, drop)) for drop in expected]


@pytest.mark.parametrize("count", [1, 2, 64, 65, 1000, 3000, 10**6])
def test_units_cover_all_shards_once(count):
    found = stretches(count)
    assert [shard for first, last in found for shard in range(first, last)] == list(range(count))
    assert len(found) <= 1024


def test_options_that_cannot_be_are_refused():
    with pytest.raises(UserError, match="--processes is 0"):
        RunnerSettings(0)
    with pytest.raises(UserError, match="without --runner"):
        RunnerSettings(1, "", "--x=1")
    assert json.dumps(stretches(1)) == "[[0, 1]]"
