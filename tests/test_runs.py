"""Real commands in real processes: every config, resume after a kill, errors as sentences."""

import json
import os
import pathlib
import shutil
import signal
import statistics
import subprocess
import sys
import time

import pytest

from linkjax.training.metrics import read_metrics

ROOT = pathlib.Path(__file__).parent.parent
WORLD = ["--config.world.subjects=80"]  # the prepared one's
TIMES = ("tokens_per_second", "waiting_share", "compile_seconds")


TRAIN_AND_LOOK_FOR_TENSORFLOW = """
import runpy, sys
runpy.run_module("linkjax.train", run_name="__main__", alter_sys=True)
found = [name for name in ("tensorflow", "seqio", "tensorflow_datasets") if name in sys.modules]
assert "jax" in sys.modules and not found, found
"""


def environment():
    env = {**os.environ, "JAX_PLATFORMS": "cpu"}
    env.pop("XLA_FLAGS", None)
    return env


def command(verb, *arguments):
    return [sys.executable, "-m", f"linkjax.{verb}", *map(str, arguments)]


def run(verb, *arguments, code=0):
    done = subprocess.run(
        command(verb, *arguments), cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=400, check=False
    )
    assert done.returncode == code, done.stderr
    return done


@pytest.fixture(scope="module")
def text_files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("text")
    (folder / "en.txt").write_text("".join(f"The dog {i} sees the cat by the water.\n" for i in range(300)))
    (folder / "sw.txt").write_text("".join(f"Mbwa {i} anaona paka karibu na maji.\n" for i in range(100)))
    (folder / "lexicon.tsv").write_text("dog\tmbwa\ncat\tpaka\nwater\tmaji\n")
    return folder


def local_text(folder):
    return [
        "--config=configs/local_text.py:cpu",
        f"--config.english={folder}/en.txt",
        f"--config.target={folder}/sw.txt",
        f"--config.lexicon={folder}/lexicon.tsv",
        "--config.target_language=sw",
    ]


def test_base_config_end_to_end(tmp_path):
    workdir = tmp_path / "run"
    asked = ["--config=configs/base.py:cpu", "--config.eval_every=2", f"--workdir={workdir}"]
    done = subprocess.run(
        [sys.executable, "-c", TRAIN_AND_LOOK_FOR_TENSORFLOW, *asked],
        cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=400, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    summary = json.loads((workdir / "summary.json").read_text())
    for name in [
        "steps",
        "fact_accuracy/target_heldout",
        "fact_accuracy/target_told",
        "fact_accuracy/target_nowhere",
        "fact_accuracy/english",
        "fact_accuracy_open/target_heldout",
        "bits_per_byte/en",
        "bits_per_byte/qaa",
        "loss/swapped",
        "loss/unswapped",
        "loss/en",
        "loss/qaa",
        "link/eligible_share",
        "link/swapped_share",
        "tokens/toy_world_english",
        "tokens/toy_world_target",
        "passes/toy_world_english",
        "passes/toy_world_target",
    ]:
        assert isinstance(summary[name], int | float), name
    records = read_metrics(workdir)
    assert [record["step"] for record in records] == list(range(1, 21))
    rates = [record["tokens_per_second"] for record in records]
    # A step is timed when it is done, also after an evaluation: there the one before it is not waited for.
    assert statistics.median(rates[2::2]) < 4 * statistics.median(rates[3::2])
    assert list((workdir / "tensorboard").iterdir())
    assert json.loads((workdir / "config.json").read_text())["steps"] == 20
    assert "fact_accuracy target_heldout" in done.stdout
    assert "\r" not in done.stderr  # quiet lines where it is piped

    again = run("train", *asked)  # finished: reported, left alone
    assert "holds a finished run" in again.stdout
    assert "fact_accuracy target_heldout" in again.stdout
    assert read_metrics(workdir) == records

    results = run("evaluate", f"--checkpoint={workdir}", f"--out={tmp_path}/results.json")
    assert "fact_accuracy target_heldout" in results.stdout
    scores = json.loads((tmp_path / "results.json").read_text())
    for name in ("fact_accuracy/target_heldout", "bits_per_byte/qaa"):
        assert scores[name] == pytest.approx(summary[name], abs=1e-6)
    first, second = (
        run("generate", f"--checkpoint={workdir}@20", "--prompt=Anna keeps", "--tokens=4", "--seed=3").stdout
        for _ in range(2)
    )
    assert first == second
    assert first.startswith("Anna keeps")


def test_local_text_config_end_to_end(tmp_path, text_files):
    workdir = tmp_path / "run"
    run("train", *local_text(text_files), f"--workdir={workdir}")
    summary = json.loads((workdir / "summary.json").read_text())
    assert summary["link/swapped_share"] > 0.1
    assert summary["bits_per_byte/sw"] > 0
    assert summary["passes/local_text_sw"] > 0


def test_real_swahili(tmp_path, real_data):
    split = [ROOT / "tools/split_verses.py", real_data / "sw/new_testament.tsv", "--heldout=JOH,ACT,ROM,HEB,1CO"]
    subprocess.run([sys.executable, *map(str, split), f"--out={tmp_path}/sw"], check=True, capture_output=True)
    run(
        "train",
        "--config=configs/local_text.py:cpu",
        f"--config.english={real_data}/en/wikipedia.txt",
        f"--config.target={tmp_path}/sw/train.txt",
        f"--config.target_heldout={tmp_path}/sw/heldout.txt",
        f"--config.lexicon={real_data}/lexicons/wiktionary.en-sw.tsv",
        "--config.target_language=sw",
        f"--workdir={tmp_path}/run",
    )
    summary = json.loads((tmp_path / "run/summary.json").read_text())
    assert 0.3 < summary["link/eligible_share"] < 0.5
    assert summary["link/swapped_share"] == pytest.approx(summary["link/eligible_share"] / 2, rel=0.1)
    assert 2.5 < summary["byte_trigram_bits_per_byte"]["sw"] < 3
    assert summary["bits_per_byte/sw"] < 5


def test_killed_and_started_again_it_goes_on_exactly(tmp_path, toy_folder):
    def arguments(workdir):
        sizes = ["--config.steps=40", "--config.checkpoint_every=8", "--config.eval_every=20"]
        return ["--config=configs/base.py:cpu", *WORLD, f"--config.data={toy_folder}", f"--workdir={workdir}", *sizes]

    def losses(workdir):
        return [{k: v for k, v in record.items() if k not in TIMES} for record in read_metrics(workdir)]

    run("train", *arguments(tmp_path / "whole"))
    killed = tmp_path / "killed"
    process = subprocess.Popen(
        command("train", *arguments(killed)),
        cwd=ROOT,
        env=environment(),
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    deadline = time.time() + 300
    while len(read_metrics(killed)) < 21 and time.time() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert 21 <= len(read_metrics(killed)) < 40
    done = run("train", *arguments(killed))
    assert "going on from step" in done.stderr
    assert losses(killed) == losses(tmp_path / "whole")
    whole, resumed = (json.loads((tmp_path / name / "summary.json").read_text()) for name in ("whole", "killed"))
    assert {k: v for k, v in whole.items() if k not in TIMES} == {k: v for k, v in resumed.items() if k not in TIMES}


def test_stopped_by_a_signal_while_it_prepares_it_leaves_no_process(tmp_path, text_files):
    process = subprocess.Popen(
        command("train", *local_text(text_files), f"--workdir={tmp_path}/run"),
        cwd=ROOT,
        env=environment(),
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    while not (tmp_path / "run/.data.partial/work").exists() and process.poll() is None:
        time.sleep(0.01)
    process.terminate()
    _, said = process.communicate(timeout=100)  # waits for all that may write there
    assert process.returncode == 75, said
    assert "the same command goes on from there" in said and "Traceback" not in said
    assert not (tmp_path / "run/data").exists()


def test_other_settings_in_an_unfinished_run_are_refused(tmp_path, toy_folder):
    workdir = tmp_path / "run"
    base = ["--config=configs/base.py:cpu", *WORLD, f"--config.data={toy_folder}", f"--workdir={workdir}"]
    run("train", *base)
    (workdir / "summary.json").unlink()
    written = json.loads((workdir / "config.json").read_text())
    del written["guard"], written["link"]["case"], written["keep_every"]  # by a version that did not have them
    (workdir / "config.json").write_text(json.dumps(written))
    done = run("train", *base, "--config.link.ratio=0.25", code=2)
    assert "link.ratio was 0.5 and is 0.25" in done.stderr
    done = run("train", *base, "--config.world.seed=4", f"--workdir={tmp_path}/new", code=2)
    assert "was prepared with other settings: world.seed was 0 and is 4" in done.stderr
    assert not (tmp_path / "new").exists()
    other = tmp_path / "other"
    shutil.copytree(toy_folder, other)
    manifest = json.loads((other / "manifest.json").read_text())
    manifest["components"][0]["rate"] = 0.5
    (other / "manifest.json").write_text(json.dumps(manifest))
    done = run("train", *base, f"--config.data={other}", code=2)
    assert "not the prepared folder that this run was begun on" in done.stderr
    run("train", *base, "--config.workers=1")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--config.link.ratio=1.5"], "link.ratio is 1.5"),
        (["--config.link.ratoi=0.5"], "did you mean 'config.link.ratio'?"),
        (["--config.link.ratio=much"], "could not convert string to float: 'much'"),
        (["--config=nowhere.py"], "config file 'nowhere.py' does not exist"),
        (["--config=configs/studies/toy_link.py"], "the config has no 'steps'"),
        (["--config=tests/conftest.py"], "has no get_config()"),
        (["--config=README.md"], "neither .py nor .json"),
        (["--config=configs/base.py:cup"], "config argument ':cup' is not known"),
        (["--config.link.seed=-1"], "link.seed is -1"),
        (["--wrkdir=x"], "did you mean 'workdir'?"),
        (["steps=3"], "unexpected argument 'steps=3'"),
        (["--config.virtual_shards=3"], "not a multiple of virtual_shards 3"),
        (["--config.mesh.tensor=3"], "there are 1"),
        (["--config.data=tests"], "tests is not a prepared folder"),
        (["--config.lexicon=nowhere.tsv"], "nowhere.tsv cannot be read"),
    ],
    ids=str,
)
def test_mistakes_are_one_sentence_and_leave_nothing(tmp_path, arguments, says):
    first = [] if any(argument.startswith("--config=") for argument in arguments) else ["--config=configs/base.py:cpu"]
    done = run("train", *first, *arguments, f"--workdir={tmp_path}/run", code=2)
    errors = [line for line in done.stderr.splitlines() if not line.startswith("preparing")]
    assert len(errors) == 1, done.stderr
    assert errors[0].startswith("error: ")
    assert says in errors[0]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("verb", ["train", "prepare", "evaluate", "generate"])
def test_help_teaches(verb):
    done = run(verb, "--help")
    assert f"python -m linkjax.{verb}" in done.stdout
    if verb == "train":
        assert "--config.link.ratio=0.5\n      share of the eligible words" in done.stdout
        settings = [line for line in done.stdout.splitlines() if line.startswith("  --config.")]
        assert len(settings) > 40
        assert "\n      \n" not in done.stdout  # every setting says what it means
