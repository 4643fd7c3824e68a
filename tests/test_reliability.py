"""What comes over a run: signals, disks, other runs, numbers that go wrong. Real commands where it can be."""

import json
import pathlib
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from linkjax import train as verb
from linkjax.config import load_config
from linkjax.errors import Interrupted, UserError
from linkjax.training.checkpoints import Checkpoints
from linkjax.training.guard import EVENTS
from linkjax.training.interruptions import Interruptions
from linkjax.training.metrics import read_metrics
from linkjax.training.step import Trainer
from tests.disks import failed, failing_disk, on_read_only, on_small_disk, plain_environment

ROOT = pathlib.Path(__file__).parent.parent
SMALL = {"world.subjects": 80, "model.layers": 1, "checkpoint_every": 5}  # of the prepared world
TIMES = ("tokens_per_second", "waiting_share", "compile_seconds")


def options(data, workdir, **settings):
    settings = {
        "world.subjects": 80,
        "model.layers": 1,
        "steps": 30,
        "eval_every": 15,
        "checkpoint_every": 5,
    } | settings
    settings |= {"data": data}
    given = [f"--config.{name.replace('__', '.')}={value}" for name, value in settings.items()]
    return ["-m", "linkjax.train", f"--config={ROOT}/configs/base.py:cpu", f"--workdir={workdir}", *given]


def start(arguments, environment=None):
    return subprocess.Popen(
        [sys.executable, *arguments], cwd=ROOT, env=environment or plain_environment(), stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def end(process, code, limit=120):
    _, said = process.communicate(timeout=limit)
    assert process.returncode == code, said
    assert "Traceback" not in said, said
    return said


def wait_until(true, process, limit=120):
    deadline = time.monotonic() + limit
    while not true():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.005)


def steps_logged(workdir):
    return [record["step"] for record in read_metrics(workdir)]


def without_times(workdir):
    return [{k: v for k, v in record.items() if k not in TIMES} for record in read_metrics(workdir)]


@pytest.fixture(scope="module")
def endless(toy_folder, tmp_path_factory):
    """A run with many steps, gone on with by several tests."""
    workdir = tmp_path_factory.mktemp("endless") / "run"
    return workdir, options(toy_folder, workdir, steps=100_000, eval_every=100_000, checkpoint_every=1000)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 75), (signal.SIGUSR1, 75), (signal.SIGINT, 130)])
def test_a_signal_saves_and_leaves(endless, number, code):
    workdir, arguments = endless
    before = len(steps_logged(workdir))
    process = start(arguments)
    wait_until(lambda: len(steps_logged(workdir)) > before + 5, process)
    process.send_signal(number)
    begun = time.monotonic()
    said = end(process, code)
    assert time.monotonic() - begun < 20
    step = Checkpoints(workdir / "checkpoints").newest()
    assert f"stopped at step {step} of 100000" in said
    assert steps_logged(workdir) == list(range(1, step + 1))
    assert before == 0 or f"going on from step {before} of" in said
    assert number.name in (workdir / EVENTS).read_text().splitlines()[-1]


def test_ctrl_c_twice_stops_at_once(endless):
    workdir, arguments = endless
    process = start(arguments)
    before = len(steps_logged(workdir))
    wait_until(lambda: len(steps_logged(workdir)) > before + 5, process)
    process.send_signal(signal.SIGSTOP)  # so that both are there before a step has ended
    for _ in range(2):
        process.send_signal(signal.SIGINT)
        time.sleep(0.01)
    process.send_signal(signal.SIGCONT)
    said = end(process, 130)
    assert "stopped" in said


def test_a_second_run_in_the_folder_is_refused_and_the_first_goes_on(endless):
    workdir, arguments = endless
    process = start(arguments)
    before = len(steps_logged(workdir))
    wait_until(lambda: len(steps_logged(workdir)) > before, process)
    said = end(start(arguments), 2)
    assert f"error: {workdir} is being trained by process {process.pid} on" in said
    now = len(steps_logged(workdir))
    wait_until(lambda: len(steps_logged(workdir)) > now, process)
    process.send_signal(signal.SIGTERM)
    end(process, 75)


def test_a_signal_during_a_save_loses_neither(toy_folder, tmp_path):
    workdir = tmp_path / "run"
    slow = failing_disk(tmp_path, "checkpoints/writing", 1000, "fsync", error=0, delay=0.05)
    settings = {"steps": 100_000, "eval_every": 100_000, "checkpoint_every": 10}
    process = start(options(toy_folder, workdir, **settings), slow)
    wait_until((workdir / "checkpoints/writing/10").exists, process)
    process.send_signal(signal.SIGTERM)
    end(process, 75)
    checkpoints = Checkpoints(workdir / "checkpoints")
    assert [checkpoints.fault(step) for step in checkpoints.steps()] == [None, None]
    assert checkpoints.steps()[-1] == steps_logged(workdir)[-1]
    assert not (checkpoints.folder / "writing").exists()


def test_training_goes_on_while_a_checkpoint_is_written(toy_folder, tmp_path):
    workdir = tmp_path / "run"
    slow = failing_disk(tmp_path, "checkpoints/writing", 1000, "fsync", error=0, delay=0.5)
    process = start(options(toy_folder, workdir, steps=100_000, checkpoint_every=10), slow)
    wait_until((workdir / "checkpoints/writing/10").exists, process)
    wait_until(lambda: len(steps_logged(workdir)) > 14, process)
    assert not (workdir / "checkpoints/10").exists()
    process.kill()
    process.wait()
    said = end(start([*options(toy_folder, workdir, steps=100_000), "--config.steps=3"]), 2)  # other settings
    assert "steps was 100000 and is 3" in said


def test_a_store_that_fails_now_and_then_is_asked_again(toy_folder, tmp_path):
    workdir = tmp_path / "run"
    failing = failing_disk(tmp_path, "checkpoints/writing", 3, "fsync", "rename")
    said = end(start(options(toy_folder, workdir, steps=15, checkpoint_every=5), failing), 0)
    assert failed(tmp_path) == 3
    assert "cannot be written" in said
    assert "trying again in 1 s" in said
    assert Checkpoints(workdir / "checkpoints").newest() == 15
    assert steps_logged(workdir) == list(range(1, 16))


def test_a_store_that_does_not_answer_at_all_ends_the_run_with_a_sentence(toy_folder, tmp_path, monkeypatch):
    monkeypatch.setattr("linkjax.training.checkpoints._WAITS", (0.01, 0.01))
    monkeypatch.setattr(
        "linkjax.training.checkpoints.write_manifest", lambda *_: (_ for _ in ()).throw(OSError(5, "EIO"))
    )
    with pytest.raises(
        UserError, match=r"step 5 cannot be written to .*, tried 3 times \(.*see that the store answers"
    ):
        in_process(toy_folder, tmp_path / "run", steps=5)


def test_a_terminal_that_is_gone_ends_no_run(toy_folder, tmp_path):
    workdir = tmp_path / "run"
    process = start(options(toy_folder, workdir, steps=40, eval_every=5))
    wait_until(lambda: len(steps_logged(workdir)) > 5, process)
    process.stderr.close()
    assert process.wait(timeout=120) == 0
    assert (workdir / "summary.json").exists()
    process.stdout.close()


def test_a_full_disk_is_a_sentence_and_what_was_saved_stays(toy_folder, tmp_path):
    workdir = tmp_path / "run"
    arguments = options(toy_folder, workdir / "run", steps=400, checkpoint_every=5, keep_checkpoints=100)
    workdir.mkdir()
    done = on_small_disk(workdir, "6m", arguments, keep="run")
    assert done.returncode == 2, done.stderr
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert "No space left on device" in errors[0]
    assert "make room" in errors[0]
    assert "Traceback" not in done.stderr
    checkpoints = Checkpoints(workdir.with_name("run.kept") / "run/checkpoints")
    assert checkpoints.steps()
    assert all(checkpoints.fault(step) is None for step in checkpoints.steps())


def test_a_read_only_folder_is_a_sentence(toy_folder, tmp_path):
    workdir = tmp_path / "run"
    workdir.mkdir()
    for folder in (workdir, workdir / "new"):
        done = on_read_only(workdir, options(toy_folder, folder))
        assert done.returncode == 2, done.stderr
        [line] = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
        assert "Read-only file system" in line
        assert "Traceback" not in done.stderr


### In this process: what cannot be timed from outside.


def in_process(data, workdir, **settings):
    config = load_config(f"{ROOT}/configs/base.py:cpu")
    settings = {
        "world.subjects": 80,
        "model.layers": 1,
        "steps": 20,
        "eval_every": 10,
        "checkpoint_every": 5,
    } | settings
    with config.unlocked():
        config.update_from_flattened_dict({**settings, "data": str(data)})
    return verb.train(config.lock(), workdir)


@pytest.fixture
def poison(monkeypatch):
    """Makes the gradients of the n-th batches, counted over the whole process, not finite."""
    place, count = Trainer.place, [0]

    def of(*which):
        def place_some(trainer, rows):
            count[0] += 1
            if count[0] in which:
                rows = {**rows, "loss_weights_BxL": np.full_like(rows["loss_weights_BxL"], np.nan)}
            return place(trainer, rows)

        monkeypatch.setattr(Trainer, "place", place_some)

    return of


def events(workdir, kind):
    records = map(json.loads, (workdir / EVENTS).read_text().splitlines())
    return [record for record in records if record["event"] == kind]


def test_a_bad_gradient_is_skipped_and_its_documents_named(toy_folder, toy, tmp_path, poison):
    poison(8)
    summary = in_process(toy_folder, tmp_path / "run")
    assert summary["skipped_steps"] == 1
    [event] = events(tmp_path / "run", "bad gradient")
    assert event["step"] == 8
    assert event["loss"] is None
    known = {document.id for component in toy.components for document in toy.documents(component)}
    named = [int(one, 16) for row in event["rows"] for one in row["documents"]]
    assert named
    assert set(named) <= known
    assert steps_logged(tmp_path / "run") == list(range(1, 21))


def test_a_bad_gradient_stops_the_run_where_it_is_to(toy_folder, tmp_path, poison):
    poison(8)
    with pytest.raises(UserError, match=r"bad gradient at step 8: .*--config.guard.bad_gradient=skip"):
        in_process(toy_folder, tmp_path / "run", **{"guard.bad_gradient": "stop"})
    assert Checkpoints(tmp_path / "run/checkpoints").newest() == 5
    poison()
    summary = in_process(toy_folder, tmp_path / "run", **{"guard.bad_gradient": "skip"})  # a harmless change
    assert summary["skipped_steps"] == 0


@pytest.mark.parametrize(("which", "to"), [(1, 10), (2, 5), (9, 5)])
def test_a_bad_gradient_leads_back_to_a_checkpoint_and_past_its_data(toy_folder, tmp_path, poison, which, to):
    """As if the run had been at that checkpoint with the data read since left out; whatever is killed on the way."""
    poison(13)
    rewinding = {"guard.bad_gradient": "rewind", "guard.rewind_checkpoints": which}
    workdir = tmp_path / "run"
    summary = in_process(toy_folder, workdir, **rewinding)
    assert summary["skipped_steps"] == 0
    [event] = events(workdir, "rewind")
    assert (event["step"], event["to"]) == (13, to)
    assert steps_logged(workdir) == list(range(1, 21))
    assert len(list((workdir / "checkpoints").glob("10.rewound-*"))) == (to == 5)
    checkpoints = Checkpoints(workdir / "checkpoints")
    assert [checkpoints.fault(step) for step in checkpoints.steps()] == [None, None]


def test_without_a_checkpoint_it_leads_back_to_the_beginning(toy_folder, tmp_path, poison):
    poison(3)
    summary = in_process(toy_folder, tmp_path / "run", **{"guard.bad_gradient": "rewind"})
    assert summary["skipped_steps"] == 0
    assert events(tmp_path / "run", "rewind")[0]["to"] == 0


def test_asked_to_leave_in_an_evaluation_it_makes_up_for_it_later(toy_folder, tmp_path, monkeypatch):
    whole = tmp_path / "whole"
    in_process(toy_folder, whole)

    scored, score = [0], Trainer.score

    class Asked(Interruptions):
        """A signal that comes with the second batch to be scored at step 10."""

        asked = property(lambda self: "SIGTERM" if scored[0] >= 2 else "", lambda self, value: None)
        code = property(lambda self: 75, lambda self, value: None)

    def count(trainer, *arguments):
        scored[0] += 1
        return score(trainer, *arguments)

    with monkeypatch.context() as patched:
        patched.setattr(verb, "Interruptions", Asked)
        patched.setattr(Trainer, "score", count)
        with pytest.raises(Interrupted, match="stopped at step 10 of 20") as interrupted:
            in_process(toy_folder, tmp_path / "run")
    assert interrupted.value.code == 75
    assert scored[0] == 2  # it did not finish the evaluation
    assert steps_logged(tmp_path / "run") == list(range(1, 10))

    place = Trainer.place

    def die(trainer, rows):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):  # after it has made up for it
        patched.setattr(Trainer, "place", die)
        in_process(toy_folder, tmp_path / "run")
    assert steps_logged(tmp_path / "run") == list(range(1, 11))
    assert Trainer.place is place
    in_process(toy_folder, tmp_path / "run")
    assert without_times(tmp_path / "run") == without_times(whole)


def test_without_its_config_a_run_still_knows_with_which_settings_it_was_begun(toy_folder, tmp_path):
    in_process(toy_folder, tmp_path / "run", steps=10)
    for name in ("config.json", "summary.json"):
        (tmp_path / "run" / name).unlink()
    with pytest.raises(UserError, match=r"link.ratio was 0.5 and is 0.25, steps was 10 and is 20"):
        in_process(toy_folder, tmp_path / "run", **{"link.ratio": 0.25})


def test_the_best_and_every_so_many_th_stay(toy_folder, tmp_path):
    workdir = tmp_path / "run"
    keeping = {"keep_checkpoints": 1, "keep_every": 10, "keep_best": "bits_per_byte/en", "checkpoint_every": 2}
    in_process(toy_folder, workdir, **keeping)
    scores = {record["step"]: record.get("bits_per_byte/en") for record in read_metrics(workdir)}
    assert [step for step, score in scores.items() if score is not None] == list(range(2, 21, 2))
    best = min(range(2, 21, 2), key=scores.get)
    assert Checkpoints(workdir / "checkpoints").steps() == sorted({10, 20, best})
    with pytest.raises(UserError, match="keep_best is 'bits', which is not measured: choose one of"):
        in_process(toy_folder, tmp_path / "other", keep_best="bits")


def test_tasks_are_asked_less_often_than_bits_per_byte(toy_folder, tmp_path):
    in_process(toy_folder, tmp_path / "run", steps=10, eval_every=2, rank_every=3)  # evaluations after 2, 4 ... steps
    asked, measured = (
        [record["step"] for record in read_metrics(tmp_path / "run") if metric in record]
        for metric in ("fact_accuracy/english", "bits_per_byte/en")
    )
    assert asked == [6, 10] and measured == [2, 4, 6, 8, 10]
    with pytest.raises(UserError, match="rank_every is 2, and keep_best needs all scores each time"):
        in_process(toy_folder, tmp_path / "other", rank_every=2, keep_best="bits_per_byte/en")


def test_a_score_of_a_task_is_kept_best_where_a_checkpoint_is_no_evaluation(toy_folder, tmp_path):
    best = {"keep_best": "fact_accuracy/english", "checkpoint_every": 3, "eval_every": 2}
    in_process(toy_folder, tmp_path / "run", steps=4, **best)
    asked = [record["step"] for record in read_metrics(tmp_path / "run") if "fact_accuracy/english" in record]
    assert asked == [2, 3, 4]


def test_by_the_minutes(toy_folder, tmp_path):
    settings = {"checkpoint_every": 1000, "checkpoint_minutes": 1e-9, "keep_checkpoints": 100}
    in_process(toy_folder, tmp_path / "run", steps=4, **settings)
    assert Checkpoints(tmp_path / "run/checkpoints").steps() == [1, 2, 3, 4]
