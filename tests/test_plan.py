"""Plans: what is said of files is true, what is proposed fits and can be run, what is missing is named."""

import bz2
import dataclasses
import gzip
import json
import math
import random
import re
import subprocess
import sys

import jax
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linkjax import config as configs
from linkjax import plan as verb
from linkjax import train
from linkjax.model.sizes import SIZES
from linkjax.planning import devices, dose, findings, runs
from linkjax.planning.commands import continue_command, train_command
from linkjax.planning.devices import DEVICES, Machine
from linkjax.planning.samples import sample
from linkjax.training.sharding import make_mesh, rows_divide
from tasks.text_files import LocalText, LocalTextSettings
from tests.conftest import ROOT

_ENGLISH = """
dog cat water house tree river mother father child bread fish king road night day hand eye fire stone field
horse cow goat bird mountain sea moon sun star rain wind door window table chair book teacher school friend
"""
ENGLISH = _ENGLISH.split()
_SWAHILI = """
mbwa paka maji nyumba mti mto mama baba mtoto mkate samaki mfalme barabara usiku siku mkono jicho moto jiwe
shamba farasi ng'ombe mbuzi ndege mlima bahari mwezi jua nyota mvua upepo mlango dirisha meza kiti kitabu
mwalimu shule rafiki
"""
SWAHILI = _SWAHILI.split()


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A folder of English, of Swahili of a sort, and of a word list; what else tests need stands beside them."""
    folder = tmp_path_factory.mktemp("own files")
    draw = random.Random(0)
    english, swahili = [], []
    for number in range(1500):
        some = draw.sample(range(len(ENGLISH)), 4)
        one, two, three, four = (ENGLISH[place] for place in some)
        english.append(f"The {one} sees the {two} by the {three} and {number} of them go to the {four}.")
        one, two, three, four = (SWAHILI[place] for place in some)
        swahili.append(f"{one} anaona {two} karibu na {three} na {number} wanaenda kwa {four} leo asubuhi.")
    (folder / "en.txt").write_text("\n".join(english) + "\n")
    (folder / "sw's.txt").write_text("\n".join(swahili) + "\n")
    pairs = list(zip(ENGLISH, SWAHILI, strict=True))
    (folder / "en-sw.tsv").write_text("".join(f"{source}\t{target}\n" for source, target in pairs))
    (folder / "reversed.tsv").write_text("".join(f"{target}\t{source}\n" for source, target in pairs))
    (folder / "rare.tsv").write_text("".join(f"xylophone{place}\t{word}\n" for place, word in enumerate(SWAHILI)))
    (folder / "foreign.tsv").write_text("".join(f"{word}\t{word[::-1]}q\n" for word in ENGLISH))
    (folder / "empty.txt").write_text("\n\n")
    (folder / "numbers.tsv").write_text("1\t2\n3\t4\n")
    (folder / "long swahili.txt").write_text("\n".join(swahili * 3) + "\n")
    return folder


def run(capsys, files, *arguments, english="en.txt", target="sw's.txt", lexicon="en-sw.tsv"):
    """Exit code, what was printed, and what was complained of."""
    named = {"english": english, "target": target, "lexicon": lexicon}
    paths = [f"--{name}={files / value}" for name, value in named.items() if value]
    code = 0
    try:
        configs.main_without_config(verb.main, verb.__doc__, verb.options(), ["plan", *paths, *arguments])
    except SystemExit as end:
        code = end.code
    printed = capsys.readouterr()
    return code, printed.out, printed.err


def parsed(command, *more):
    """The config of a command as a shell and `linkjax.train` read it."""
    shell = subprocess.run(
        ["bash", "-c", f"python() {{ printf '%s\\0' \"$@\"; }}\n{command}"], capture_output=True, text=True, check=True
    )
    arguments = shell.stdout.split("\0")[:-1]
    assert arguments[:2] == ["-m", "linkjax.train"]
    found = []
    options = {"workdir": ("", "")}
    sys_argv = ["train", *arguments[2:], *more]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        patch.setattr(sys, "argv", sys_argv)
        configs.main(lambda config, workdir: found.append((config, workdir)), "", options, sys_argv)
    return found[0]


### What is said


def test_a_plan_says_what_is_there(capsys, files):
    code, out, err = run(capsys, files, "--target_language=sw", "--device=cpu", "--devices=2")
    assert (code, err) == (0, "")
    kept = [int(number.replace(",", "")) for number in re.findall(r"([\d,]+) documents to train on in 1 files", out)]
    assert len(kept) == 2 and all(1440 <= number < 1500 for number in kept)  # two in a hundred are held out
    assert "39 entries, 39 pairs; 27% of the English words" in out  # 4 of 15
    assert "100% of its translations stand in the target text" in " ".join(out.split())
    assert "--config=configs/local_text.py" in out and "--config.link.ratio=0.8" in out


def test_json_has_the_same(capsys, files):
    code, out, _ = run(capsys, files, "--target_language=sw", "--json=yes", "--device=h100")
    data = json.loads(out)
    assert code == 0
    assert data["findings"]["lists"]["sw"]["swappable"] == pytest.approx(4 / 15, abs=0.01)
    assert data["run"]["size"]["name"] == "0.9m" and data["run"]["limit"] == "text"
    assert data["run"]["reach"][0] == "350m"  # in a day on one of them
    assert data["command_on_several"].split()[-1] == "--config.mesh.fsdp=1"
    assert "texts" not in data["findings"]["english"]["of"]


def test_a_page_of_text_is_little(capsys, files):
    (files / "page.txt").write_text("Habari ya asubuhi. Mbwa na paka.\n" * 3)
    code, out, _ = run(capsys, files, "--target_language=sw", target="page.txt")
    assert code == 0
    assert "bring a book at least" in " ".join(out.split())


def test_a_language_need_not_be_named(capsys, files):
    code, out, _ = run(capsys, files)
    assert code == 0
    assert "name the language, e.g. --target_language=sw" in out
    assert "--config.target_language=und" in out


def test_a_plan_needs_no_tensorflow(files):
    code = """
import sys
from linkjax import config, plan
config.main_without_config(plan.main, "", plan.options(), sys.argv)
found = [name for name in ("tensorflow", "seqio", "tensorflow_datasets", "torch") if name in sys.modules]
assert not found, found
"""
    paths = [f"--english={files}/en.txt", f"--target={files}/sw's.txt", f"--lexicon={files}/en-sw.tsv"]
    done = subprocess.run(
        [sys.executable, "-c", code, *paths], capture_output=True, text=True, timeout=200, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "the command" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"target": ""}, "--target is missing: text in your language"),
        ({"target": "", "lexicon": ""}, "--lexicon is missing: a word list from English"),
        ({"target": "none*.txt"}, "no file matches"),
        ({"target": "empty.txt"}, "has no document to train on: name files with text of 'sw'"),
        ({"english": "empty.txt", "target": "empty.txt"}, "name files with English text"),
        ({"english": "sw's.txt"}, "in an English dictionary, where English text has 95 %: name English text there"),
        ({"target": "en.txt"}, "--target is English; name text of 'sw' there"),
        ({"lexicon": "empty.txt"}, "has no usable line"),
        ({"lexicon": "numbers.tsv"}, "has no usable line"),
        ({"lexicon": "reversed.tsv"}, "the columns are reversed, so read the file with --target_first"),
        ({"lexicon": "rare.tsv"}, "has 0.0% of the English words"),
    ],
)
def test_what_is_missing_is_named(capsys, files, arguments, says):
    code, _, err = run(capsys, files, "--target_language=sw", **arguments)
    assert code == 2
    assert says in err


def test_a_list_of_other_words_is_refused(capsys, files):
    code, _, err = run(capsys, files, target="long swahili.txt", lexicon="foreign.tsv")
    assert code == 2
    assert "0.0% of the lexicon's translations stand in the target text, which is of another language" in err


@pytest.mark.parametrize(
    ("argument", "says"),
    [
        ("--device=tpu", "choose one of cpu, h100, h200, a100, v5e, v5p, v6e"),
        ("--devices=0", "choose 1 or more"),
        ("--devices=many", "is no number"),
        ("--hours=0", "choose more than 0"),
        ("--hours=nan", "choose more than 0"),
        ("--drop_duplicates=perhaps", "choose True or False"),
        ("--minimum_characters=some", "is no number"),
        ("--heldout_share=2", "it is a share"),
    ],
)
def test_mistakes_are_sentences(capsys, files, argument, says):
    code, out, err = run(capsys, files, argument)
    assert (code, out) == (2, "")
    assert says in err


def test_two_problems_are_said_at_once(capsys, files):
    code, out, err = run(capsys, files, "--target_language=sw", target="empty.txt", lexicon="rare.tsv")
    assert code == 2
    assert "has no document" in err and "has 0.0% of the English words" in err
    assert "what was found" in out and "the command" not in out


### Samples


def texts_of(count):
    draw = random.Random(1)
    return [f"{number} " + " ".join(draw.choices(ENGLISH, k=draw.randrange(5, 60))) for number in range(count)]


def written(folder, kind, texts):
    path = folder / f"text{kind}"
    lines = "".join(f"{one}\n" for one in texts)
    if kind == ".parquet":
        import pyarrow.parquet

        table = pyarrow.table({"text": texts, "id": list(range(len(texts)))})
        pyarrow.parquet.write_table(table, path, row_group_size=500)
    elif kind == ".jsonl":
        path.write_text("".join(json.dumps({"id": place, "text": one}) + "\n" for place, one in enumerate(texts)))
    else:
        pack = {".txt.gz": gzip.compress, ".txt.bz2": bz2.compress}.get(kind, bytes)
        path.write_bytes(pack(lines.encode()))
    return path


@pytest.mark.parametrize("kind", [".txt", ".jsonl", ".parquet", ".txt.gz", ".txt.bz2"])
def test_large_files_are_estimated_from_a_sample(tmp_path, kind):
    texts = texts_of(12_000)
    size = sum(map(len, texts))
    path = written(tmp_path, kind, texts)
    whole = sample(LocalText("name", [path], (), "line", 0.0))
    assert (whole.documents, whole.bytes, whole.read) == (len(texts), size, 1.0)
    some = sample(LocalText("name", [path], (), "line", 0.0), most_bytes=400_000)
    assert some.read < 0.4
    assert some.documents == pytest.approx(len(texts), rel=0.15)
    assert some.bytes == pytest.approx(size, rel=0.15)


def test_of_many_files_some_are_opened(tmp_path, monkeypatch):
    texts = texts_of(3000)
    paths = []
    for place in range(600):
        path = tmp_path / f"{place:03}.txt"
        path.write_text("\n".join(texts[5 * place : 5 * place + 5]) + "\n")
        paths.append(path)
    found = sample(LocalText("name", paths, (), "line", 0.0))
    assert found.files == 600 and found.read < 0.5
    assert found.documents == pytest.approx(3000, rel=0.05)
    each = sample(LocalText("name", paths, (), "file", 0.0))
    assert each.documents == pytest.approx(600, rel=0.05)


def test_what_a_run_leaves_out_is_left_out(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("a long enough line\n" * 7 + "short\n" * 3)
    text = LocalText("name", [path], (), "line", 0.0, minimum_characters=10, drop_duplicates=True)
    found = sample(text)
    assert found.documents == 1
    assert "6 met before" in found.note and "3 shorter than 10 characters" in found.note


### What is proposed


@settings(max_examples=60)
@given(
    english=st.integers(1_000, 10**13),
    targets=st.lists(st.integers(100, 10**11), min_size=1, max_size=3),
    device=st.sampled_from([*DEVICES, "cpu"]),
    count=st.sampled_from([1, 2, 6, 8, 64]),
    hours=st.floats(0.01, 1e4),
)
def test_what_is_proposed_fits(english, targets, device, count, hours):
    machine = Machine(device, count)
    run = runs.choose(english, targets, machine, hours)
    assert run.steps >= 1 and run.batch_size % (run.microbatches * machine.parts) == 0
    assert run.batch_size % runs.SHARDS == 0
    assert run.memory <= machine.memory
    if run.steps >= 10:  # a step may be more than there is
        assert run.hours <= hours * 1.001
        assert run.english_passes <= runs.ENGLISH_PASSES * 1.12  # the rate is rounded
        assert run.target_passes <= runs.TARGET_PASSES * 1.06
    if run.size.name != runs.LADDER[0].name:
        assert run.tokens >= 0.9 * runs.FEWEST_TOKENS * run.size.weights
    assert 0 < run.rate <= runs.MOST_RATE


def test_more_of_anything_never_makes_it_smaller():
    def weights(english, count, hours):
        return runs.choose(english, [10**8], Machine("v5e", count), hours).size.weights

    order = [weights(10**tens, 8, 24) for tens in range(5, 13)]
    assert order == sorted(order) and order[0] < order[-1]
    order = [weights(10**11, 8, hours) for hours in (0.1, 1, 10, 100, 1000)]
    assert order == sorted(order) and order[0] < order[-1]
    order = [weights(10**12, count, 240) for count in (1, 8, 64, 256)]
    assert order == sorted(order) and order[0] < order[-1]


def test_little_target_text_is_not_read_too_often():
    run = runs.choose(10**9, [10**5], Machine("h100", 8), 24)
    assert run.rate < 0.01
    assert run.target_passes == pytest.approx(runs.TARGET_PASSES, rel=0.06)
    assert runs.choose(10**9, [10**9], Machine("h100", 8), 24).rate == 0.5


def test_memory_is_as_compiled():
    """Within a quarter, or half a GiB, of what the compiler for TPUs sets aside (docs/sizes.md)."""
    rows = re.findall(
        r"^\| (\S+) ?\*? \| v5e:(\d+)x(\d+) \| (?:data (\d+), )?fsdp (\d+) \| (\d+) \| [^|]+ \| ([\d.]+)(?: GiB)? \|",
        (ROOT / "docs/sizes.md").read_text(),
        re.MULTILINE,
    )
    assert len(rows) == 10
    for name, across, down, data, fsdp, microbatches, allocated in rows:
        model = SIZES[name.lower()]
        length = 2048 if name == "2.7B" else 1024
        chips = int(across) * int(down)
        assert chips == int(data or 1) * int(fsdp)
        found = devices.memory(model, 50_000, length, 1024 // int(microbatches) // chips, int(fsdp))
        assert found == pytest.approx(float(allocated), rel=0.25, abs=0.5), (name, across)


def test_speeds_of_a_cpu_are_those_measured():
    """docs/benchmarks.md: 75.0 ms for 32 rows of 64 of the toy model, on two cores."""
    measured = 32 * 64 / 0.075
    assert Machine("cpu", 2).tokens_per_second(SIZES["toy"], 1536, 64) == pytest.approx(measured, rel=0.5)
    assert "75.0 ms" in (ROOT / "docs/benchmarks.md").read_text()


def test_the_dose_is_what_our_results_say():
    results = json.loads((ROOT / "docs/results/toy_link/summary.json").read_text())
    said = " ".join(dose.suggest([0.52], 0.1).reasons)
    for arm, words in (("link_apart", "98.9 %"), ("one_swap", "97.1 %"), ("baseline_apart", "12.3 %")):
        assert f"{100 * results[arm]['fact_accuracy/target_heldout']['mean']:.1f} %" == words
        assert words in said
    assert dose.suggest([0.52], 0.1).ratio == 0.5
    assert dose.suggest([0.9], 0.1).ratio < dose.suggest([0.3], 0.1).ratio
    for plenty in (True, False):  # a large share of little text is not much text
        assert ("There is much target text" in " ".join(dose.suggest([0.5], 0.4, plenty).reasons)) == plenty
    assert dose.suggest([0.1], 0.1).swapped < 0.1 and "larger one would help" in " ".join(
        dose.suggest([0.1], 0.1).reasons
    )


@given(
    english=st.integers(10**5, 10**12),
    targets=st.lists(st.integers(10**5, 10**11), min_size=1, max_size=3),
    count=st.sampled_from([1, 6, 8, 64]),
)
def test_nothing_is_read_too_often_from_a_model_on(english, targets, count):
    machine = Machine("v5e", count)
    further = runs.choose_continuation(english, targets, machine)
    assert further.batch_size % (further.microbatches * machine.parts) == further.batch_size % runs.SHARDS == 0
    assert further.steps >= 1 and further.tokens == further.steps * further.batch_size * runs.CONTINUED_LENGTH
    if further.steps > 1:
        assert max(further.target_passes, further.english_passes) <= runs.ENGLISH_PASSES * 1.001


### What can be run


@pytest.mark.parametrize(("device", "count"), [("cpu", 8), ("h100", 8), ("v5e", 8), ("a100", 6)])
@pytest.mark.parametrize("tokens", [10**6, 10**8, 10**9, 10**10, 10**12])
def test_commands_say_what_was_chosen(device, count, tokens):
    machine = Machine(device, count)
    local = LocalTextSettings(
        english="my files/*.txt", target="it's.txt", target_language="sw", lexicon="a b.tsv", minimum_characters=5
    )
    run = runs.choose(tokens, [tokens // 20], machine, 1000)
    config, workdir = parsed(train_command(local, run, dose.suggest([0.5], run.rate), machine, "runs/my run"))
    assert workdir == "runs/my run"
    assert configs.section(config, LocalTextSettings) == dataclasses.replace(local, target_rate=run.rate)
    chosen = configs.run_settings(config)
    for name in ("layers", "width", "heads", "kv_heads", "head_width", "hidden", "dtype", "remat"):
        assert getattr(chosen.model, name) == getattr(run.size.model, name), name
    assert (chosen.steps, chosen.batch_size, chosen.microbatches) == (run.steps, run.batch_size, run.microbatches)
    assert chosen.sequence_length == run.size.length
    assert chosen.tokenizer.vocabulary_size == run.size.vocabulary
    assert math.isclose(chosen.optimizer.learning_rate, run.size.learning_rate)
    if device != "cpu":
        mesh = make_mesh(chosen.mesh, jax.devices()[:count])
        rows_divide(mesh, chosen.rows_at_once, chosen.sequence_length)
        assert chosen.model.width % mesh.shape["fsdp"] == 0
        assert (mesh.shape["fsdp"] == 8) == (count == 8 and run.size.weights > 300_000_000)


def test_a_run_from_a_model_says_what_was_chosen():
    machine = Machine("h100", 8)
    local = LocalTextSettings(english="en.txt", target="sw.txt", target_language="sw", lexicon="en-sw.tsv")
    further = runs.choose_continuation(10**7, [10**6], machine)
    config, workdir = parsed(continue_command(local, further, dose.suggest([0.5], 0.1), machine, "runs/sw-continued"))
    chosen = configs.run_settings(config)
    assert (workdir, chosen.init_from, config.target_rate) == ("runs/sw-continued", "MODEL_FOLDER", further.rate)
    assert (chosen.steps, chosen.batch_size, chosen.microbatches) == (
        further.steps, further.batch_size, further.microbatches
    )  # fmt: skip
    assert chosen.sequence_length == runs.CONTINUED_LENGTH
    assert chosen.mesh.fsdp == 8  # as many weights as are said to fit do so only if they are split
    rows_divide(make_mesh(chosen.mesh), chosen.rows_at_once, chosen.sequence_length)


def test_the_commands_run(capsys, files, tmp_path, monkeypatch):
    """For two steps, with a smaller model: on a CPU, and on eight devices."""
    _, out, _ = run(capsys, files, "--target_language=sw", "--device=h100", "--json=yes", f"--workdir={tmp_path}/run")
    data = json.loads(out)
    small = ["steps=2", "workers=0", "tokenizer.vocabulary_size=400", "model.layers=1", "eval_every=2"]
    summaries = []
    monkeypatch.setattr(train.report, "table", lambda summary: summaries.append(summary) or "")
    for name in ("command", "command_on_several"):
        config, workdir = parsed(data[name], *(f"--config.{one}" for one in small), f"--workdir={tmp_path}/{name}",
                                 f"--config.data={tmp_path}/data")  # fmt: skip
        train.run(config, workdir, coordinator="", processes="", process="")
    assert [summary["steps"] for summary in summaries] == [2, 2]
    assert all(summary["bits_per_byte/sw"] > 0 for summary in summaries)
    assert summaries[0]["link/swapped_share"] == pytest.approx(data["dose"]["swapped"], abs=0.05)


### Real files


@pytest.fixture(scope="module")
def swahili(real_data, tmp_path_factory):
    """The settings of docs/swahili.md, and what is found in its files."""
    folder = tmp_path_factory.mktemp("swahili")
    (folder / "en").symlink_to(real_data / "en")
    (folder / "en-sw.tsv").symlink_to(real_data / "lexicons/wiktionary.en-sw.tsv")
    verses = [str(real_data / "sw/new_testament.tsv"), "--heldout=JOH,ACT,ROM,HEB,1CO", f"--out={folder}/sw"]
    subprocess.run([sys.executable, str(ROOT / "tools/split_verses.py"), *verses], check=True, capture_output=True)
    local = LocalTextSettings(
        english="en/*.txt",
        target="sw/train.txt",
        target_heldout="sw/heldout.txt",
        target_language="sw",
        lexicon="en-sw.tsv",
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        yield local, findings.examine(local)


@pytest.fixture(scope="module")
def real_findings(swahili):
    return swahili[1]


def test_the_page_has_the_command_that_is_printed(swahili):
    local, found = swahili
    machine = Machine("cpu", 2)
    run = runs.choose(found.english.tokens, [found.targets["sw"].tokens], machine, 0.5)
    amount = dose.suggest([found.lists["sw"].swappable], run.rate)
    page = "\n".join(line.removeprefix("    ") for line in (ROOT / "docs/swahili.md").read_text().splitlines())
    assert train_command(local, run, amount, machine, "runs/sw") in page
    chosen = runs.choose_continuation(found.english.tokens, [found.targets["sw"].tokens], machine)
    further = continue_command(local, chosen, amount, machine, "runs/sw")
    (named,) = re.findall(r"(python -m linkjax\.train --config=configs/continued\.py(?: \\\n|.)*)", page)
    there = {argument for argument in named.replace("\\\n", " ").split() if "=" in argument}
    printed = {argument for argument in further.replace("\\\n", " ").split() if "=" in argument}
    differing = {argument.partition("=")[0] for argument in there ^ printed}
    assert differing == {
        "--workdir", "--config.init_from", "--config.eval_every", "--config.checkpoint_every"
    }  # fmt: skip


def test_real_swahili_is_advised_well(real_findings):
    assert not real_findings.problems
    assert real_findings.english.tokens == pytest.approx(2_750_000, rel=0.1)
    assert 0.45 < real_findings.lists["sw"].swappable < 0.6
    target = real_findings.targets["sw"].tokens
    cpu = runs.choose(real_findings.english.tokens, [target], Machine("cpu", 2), 0.5)
    assert cpu.size.name == "0.9m" and 1000 < cpu.steps < 3000  # as configs/local_text.py, which was tried
    for machine in (Machine("h100", 1), Machine("v5e", 8)):
        run = runs.choose(real_findings.english.tokens, [target], machine, 24)
        assert run.size.name == "0.9m" and run.limit == "text"
        assert run.english_passes <= 4.1 and run.target_passes <= 15


def test_a_list_of_another_language_is_refused(real_data, real_findings):
    """Even where nobody said the language."""
    from linkjax.lexicon import read_lexicon

    list_ = read_lexicon(real_data / "lexicons/wiktionary.en-tr.tsv")
    english, target = real_findings.english.of, real_findings.targets["sw"].of
    problems, warnings = [], []
    found = findings.look_up(list_, english, target)
    findings.check_list(findings.UNKNOWN, list_, found, target, problems, warnings)
    assert len(problems) == 1 and "stand in the target text, which is of another language" in problems[0]
