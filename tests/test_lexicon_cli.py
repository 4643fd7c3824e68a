"""The lexicon command line, run in process: exit codes, reports, outputs written whole or not at all."""

import gzip
import json

import pytest

from linkjax.lexicon import Lexicon, read_lexicon
from linkjax.lexicon.__main__ import main
from linkjax.lexicon.merging import merge

SWAHILI = """
ndege samaki nyumba mlango dirisha kitabu mwalimu mwanafunzi shule chakula maji moto jua mwezi nyota mvua upepo bahari
ziwa mto mlima msitu mti ua jani tunda embe ndizi chungwa nyama wali mkate chumvi sukari maziwa kahawa chai kikombe
sahani kisu kijiko meza kiti kitanda nguo kiatu kofia barabara gari baiskeli treni mtoto mzee rafiki adui mfalme
""".strip()


@pytest.fixture
def run(capsys):
    def run(*arguments):
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as end:  # --help
            code = end.code
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return run


@pytest.fixture
def listed(tmp_path):
    """A list of 59 entries, with a little of everything."""
    lines = [f"word{i}\t{word}" for i, word in enumerate(SWAHILI.split())]
    lines += ["dog\tmbwa", "dog\tjibwa", "hot dog\tsoseji ya moto", "kenya\tKenya", "cat\tpaka (mnyama)", "big\t?"]
    path = tmp_path / "en-sw.tsv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def english(tmp_path):
    path = tmp_path / "english.txt.gz"
    path.write_bytes(gzip.compress(b"The dogs ate a hot dog. The dog! word0 The zebra.\n"))
    return path


@pytest.fixture
def swahili(tmp_path):
    path = tmp_path / "swahili.txt"
    path.write_text("Mbwa na paka.\n")
    return path


@pytest.fixture
def real_swahili(real_data):
    return real_data / "lexicons/wiktionary.en-sw.tsv"


def test_a_report_says_all(run, listed, english, swahili):
    code, out, err = run("inspect", listed, "--language=sw", f"--corpus={english}", f"--target_corpus={swahili}")
    assert (code, err) == (0, "")
    for said in (
        "tab-separated",
        "59 with 60 pairs",
        "at most 2",
        "1.7% of the sources, 1.7% of the targets",
        "1.6% of the pairs read",
        "Latn 100.0%",
        "1  dropped: identical sides",
        "1  dropped: translation without a letter",
        "1  note in brackets removed",
        "11 running English words",
        "running words     36.4%, with lemmas 45.5%",
        "the (3), ",
        "3.3% stand in the target text",
        "fit for use",
    ):
        assert said in out, said


def test_the_report_as_json_has_the_same(run, listed, english, swahili):
    code, out, _ = run(
        "inspect", listed, "--json", "--language=sw", f"--corpus={english}", f"--target_corpus={swahili}"
    )
    report = json.loads(out)
    assert code == 0
    assert report["fit"] is True
    assert report["entries"] == 59
    assert report["senses"] == {"mean": 60 / 59, "max": 2, "entries_with": {"1": 58, "2": 1, "3 or more": 0}}
    assert report["coverage"]["words"] == 11
    assert report["coverage"]["uncovered"]["the"] == 3
    assert report["coverage"]["files"] == 1
    assert report["targets_found"]["share"] == pytest.approx(2 / 60)
    assert report["cleaning"]["pairs kept"] == 60


def test_a_fault_is_exit_code_1(run, tmp_path, real_swahili):
    code, out, err = run("inspect", real_swahili, "--language=de")
    assert (code, err) == (1, "")
    assert "fault: the translations look like 'sw', not like 'de'" in out
    assert "fit for use" not in out
    assert run("inspect", real_swahili, "--language=swa")[0] == 0
    code, out, _ = run("inspect", real_swahili, "--language=de", "--json")
    assert code == 1
    assert json.loads(out)["fit"] is False


def test_the_mend_of_reversed_columns_mends_them(run, tmp_path, real_swahili):
    columns = [line.split("\t") for line in real_swahili.read_text(encoding="utf-8").splitlines()]
    path = tmp_path / "sw-en.tsv"
    path.write_text("".join(f"{target}\t{source}\n" for source, target in columns), encoding="utf-8")
    code, out, _ = run("inspect", path, "--language=sw")
    assert code == 1
    assert "--target_first" in out
    assert run("inspect", path, "--language=sw", "--target_first")[0] == 0


def test_coverage_of_real_text_is_known(run, real_data, real_swahili):
    code, out, _ = run("inspect", real_swahili, "--json", f"--corpus={real_data}/en/wikipedia.txt")
    coverage = json.loads(out)["coverage"]
    assert code == 0
    assert 0.30 < coverage["running"] < 0.45
    assert 0.05 < coverage["running_lemmas"] - coverage["running"] < 0.15
    assert next(iter(coverage["uncovered"])) == "the"


def test_converted_lists_read_back_the_same(run, tmp_path, listed):
    out = tmp_path / "out.tsv"
    code, printed, _ = run("convert", listed, f"--out={out}")
    assert code == 0
    assert "60  pairs kept" in printed
    assert read_lexicon(out).fingerprint == read_lexicon(listed).fingerprint
    assert run("convert", listed, "--keep_identical", f"--out={tmp_path}/all.tsv")[0] == 0
    assert read_lexicon(tmp_path / "all.tsv").entries["kenya"] == ("Kenya",)


def test_merging_keeps_who_has_a_pair_and_puts_agreement_first():
    merged = merge(
        {
            "a": Lexicon({"dog": ("jibwa", "mbwa"), "cat": ("paka",)}, {"pairs read": 3}),
            "b": Lexicon({"dog": ("mbwa", "umbwa")}, {"pairs read": 2}),
        }
    )
    assert merged.entries == {"dog": ("mbwa", "jibwa", "umbwa"), "cat": ("paka",)}
    assert merged.origins == {
        ("dog", "mbwa"): "a+b", ("dog", "jibwa"): "a", ("dog", "umbwa"): "b", ("cat", "paka"): "a"
    }  # fmt: skip
    assert merged.cleaning == {"pairs read": 5}


def test_merging_in_two_steps_is_merging():
    lists = {
        "a": Lexicon({"dog": ("x", "y")}),
        "b": Lexicon({"dog": ("y", "z"), "cat": ("p",)}),
        "c": Lexicon({"dog": ("z", "w", "y")}),
    }
    first = merge({"a": lists["a"], "b": lists["b"]})
    assert merge({"ab": first, "c": lists["c"]}).origins == merge(lists).origins
    assert merge(lists).entries["dog"] == ("y", "z", "x", "w")


def test_weights_are_merged_only_where_all_lists_have_them():
    one = Lexicon({"dog": ("x", "y")}, weights={("dog", "x"): 0.2, ("dog", "y"): 0.8})
    other = Lexicon({"dog": ("x",)}, weights={("dog", "x"): 0.9})
    assert merge({"a": one, "b": other}).weights == {("dog", "x"): 0.9, ("dog", "y"): 0.8}
    assert merge({"a": one, "b": Lexicon({"dog": ("x",)})}).weights == {}


def test_a_capital_counts_where_every_list_writes_it():
    one = Lexicon({"turkey": ("x",), "monday": ("y",)}, capitalised=frozenset({"turkey", "monday"}))
    assert merge({"a": one, "b": Lexicon({"turkey": ("z",)})}).capitalised == {"monday"}


def test_merged_files_are_named_by_their_stems(run, tmp_path):
    (tmp_path / "one.tsv").write_text("dog\tmbwa\ncat\tpaka\n")
    (tmp_path / "two.tsv.gz").write_bytes(gzip.compress(b"dog\tmbwa\ndog\tjibwa\n"))
    out = tmp_path / "all.tsv"
    code, printed, _ = run("merge", tmp_path / "one.tsv", tmp_path / "two.tsv.gz", f"--out={out}")
    assert code == 0
    assert "all: 2 entries (3 pairs)" in printed
    assert "in several lists: 1 pairs" in printed
    assert read_lexicon(out).origins == {("cat", "paka"): "one", ("dog", "mbwa"): "one+two", ("dog", "jibwa"): "two"}


def test_thinned_and_held_out_lists_are_written(run, tmp_path, listed):
    assert run("thin", listed, "--coverage=0.5", f"--out={tmp_path}/half.tsv")[0] == 0
    assert len(read_lexicon(tmp_path / "half.tsv")) == 30
    names = [tmp_path / "kept.tsv", tmp_path / "held.tsv"]
    code, printed, _ = run("holdout", listed, "--share=0.2", f"--out={names[0]}", f"--heldout_out={names[1]}")
    assert code == 0
    assert "held out 12 entries" in printed
    kept, held = map(read_lexicon, names)
    assert {**kept.entries, **held.entries} == read_lexicon(listed).entries


def test_held_out_synonyms_are_counted(run, tmp_path):
    path = tmp_path / "list.tsv"
    path.write_text("hound\tmbwa\ndog\tmbwa\n")
    arguments = [f"--out={tmp_path}/a.tsv", f"--heldout_out={tmp_path}/b.tsv", "--share=0.5"]
    assert "held-out entries with a translation that a kept entry has too: 1" in run("holdout", path, *arguments)[1]


def test_a_scrambled_list_inserts_words_like_the_true_ones(run, tmp_path, real_data, real_swahili):
    out = tmp_path / "wrong.tsv"
    text = [f"--corpus={real_data}/en/wikipedia.txt", f"--target_corpus={real_data}/sw/new_testament.tsv"]
    code, printed, _ = run("scramble", real_swahili, *text, f"--out={out}")
    assert code == 0
    assert "0 entries keep a right translation" in printed
    distance = float(printed.split("inserted words: ")[1].split(" ")[0])
    true, wrong = (float(line.split(": ")[1].rstrip("%")) for line in printed.splitlines()[2:])
    assert 0 < distance < 0.3
    assert abs(true - wrong) < 10  # points; plain shuffles lose 23 to 37
    before, after = read_lexicon(real_swahili).entries, read_lexicon(out).entries
    assert before.keys() == after.keys()
    assert sorted(before.values()) == sorted(after.values())


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "VERB"),
        (["inspekt", "LIST"], "inspekt"),
        (["inspect"], "file"),
        (["inspect", "none.tsv"], "none.tsv"),
        (["inspect", "LIST", "--langauge=sw"], "--langauge"),
        (["inspect", "LIST", "--lang=sw"], "--lang=sw"),
        (["inspect", "LIST", "--format=xyz"], "xyz"),
        (["inspect", "LIST", "--corpus=none*"], "none*"),
        (["inspect", "LIST", "--minimum_weight=nan"], "'nan' is no weight"),
        (["thin", "LIST", "--coverage=1.5", "--out=NEW"], "'1.5' is no share"),
        (["thin", "LIST", "--coverage=nan", "--out=NEW"], "'nan' is no share"),
        (["thin", "LIST", "--coverage=x", "--out=NEW"], "'x' is no share"),
        (["thin", "LIST", "--coverage=0.001", "--out=NEW"], "no entry"),
        (["thin", "LIST", "--coverage=1", "--out=NEW", "--seed=-1"], "'-1' is no seed"),
        (["thin", "LIST", "--coverage=1", "--out=LIST"], "exists"),
        (["thin", "LIST", "--coverage=1", "--out=no/such/folder.tsv"], "no folder"),
        (["convert", "LIST", "--out=NEW.gz"], "packed"),
        (["holdout", "LIST", "--out=NEW", "--heldout_out=NEW"], "two outputs"),
        (["holdout", "LIST", "--out=NEW", "--heldout_out=NEW2", "--share=1"], "no entry"),
        (["merge", "LIST", "--out=NEW"], "two files"),
        (["merge", "LIST", "LIST", "--out=NEW"], "'en-sw'"),
        (["scramble", "LIST", "--corpus=ZEBRAS", "--target_corpus=ZEBRAS", "--out=NEW"], "nothing would be swapped"),
    ],
)
def test_mistakes_are_one_sentence_and_leave_nothing(run, tmp_path, listed, arguments, says):
    (tmp_path / "zebras.txt").write_text("zebra zebra\n")
    names = {"LIST": listed, "NEW": tmp_path / "new", "ZEBRAS": tmp_path / "zebras.txt"}
    for name, path in names.items():
        arguments = [argument.replace(name, str(path)) for argument in arguments]
    before = sorted(tmp_path.iterdir())
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert says in err
    assert err.count("\n") == 1
    assert sorted(tmp_path.iterdir()) == before


def test_a_failed_write_leaves_nothing(run, tmp_path, listed, monkeypatch):
    def fail(lexicon, path):
        path.write_text("half a li")
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr("linkjax.lexicon.__main__.write_lexicon", fail)
    before = sorted(tmp_path.iterdir())
    code, _, err = run("convert", listed, f"--out={tmp_path}/new.tsv")
    assert code == 2
    assert "No space left" in err
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("verb", ["", "inspect", "convert", "merge", "thin", "holdout", "scramble"])
def test_help_teaches(run, verb):
    code, out, _ = run(*filter(None, [verb]), "--help")
    assert code == 0
    assert f"python -m linkjax.lexicon {verb}".strip() in out
    assert len(out) > 600
