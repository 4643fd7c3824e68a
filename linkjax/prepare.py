"""Prepares data for training: SeqIO tasks -> documents on disk, tokenizer, evaluation items, manifest.

    python -m linkjax.prepare --config=configs/base.py --out=prepared/toy

`train` runs this by itself where its prepared folder is missing. The folder can then be carried to any
machine: training on it needs neither TensorFlow nor SeqIO. After a kill or Ctrl-C the same command goes on.

Large corpora: --processes=8, or over Apache Beam with --runner=DirectRunner or any other (docs/data.md); then --out is
on a file system that all workers see.

    python -m linkjax.prepare export --config=configs/base.py --config.data=prepared/toy --out=swapped

writes the text of a prepared folder with its words swapped, for any other trainer.

    python -m linkjax.prepare evaluations --tasks=xcopa_sw,arc_easy --evaluation_data=benchmarks --out=items

writes evaluation items alone, for runs that are trained already (docs/evaluation.md).
"""

import json
import pathlib
import shutil
import signal
import sys
from collections.abc import Iterator, Sequence

import ml_collections

from linkjax import __version__
from linkjax import config as configs
from linkjax.data import prepared
from linkjax.data.cutting import at_least
from linkjax.data.items import write_evaluations
from linkjax.data.jsonl import write_jsonl
from linkjax.data.manifest import FORMAT, MANIFEST
from linkjax.data.mixture import named_numbers, parse_rates
from linkjax.data.tokenizer import FILE, AnyTokenizer, load_tokenizer, tokenizer_file, train_tokenizer
from linkjax.errors import UserError
from linkjax.files import fingerprint
from linkjax.initial import with_model
from linkjax.lexicon import Lexicon, ReadOptions, read_lexicon, write_lexicon
from linkjax.lexicon.lint import lint
from linkjax.preparation import cloze
from linkjax.preparation.corpus import Corpus, read_corpora
from linkjax.preparation.evaluations import (
    Side,
    clozes_languages,
    write_benchmarks,
    write_clozes,
    write_clozes_of,
    write_registered,
)
from linkjax.preparation.partial import FOLDER, Exists, whole_or_not_at_all
from linkjax.preparation.registered import Registered
from linkjax.preparation.runners import Runner, RunnerSettings, shown
from linkjax.preparation.statistics import spread, summed, word_statistics, yardstick
from linkjax.preparation.units import Counting, Job
from linkjax.preparation.work import digest
from linkjax.substitution import LinkSettings, Substitution
from linkjax.substitution.word_lists import read_word_list


def prepare(
    config: ml_collections.ConfigDict,
    out: pathlib.Path,
    runner: RunnerSettings = RunnerSettings(),
    cache_dirs: Sequence[str] = (),
    wait: bool = False,
) -> None:
    """Writes the prepared folder `out`: whole, or not at all. Goes on where an earlier one was stopped.

    Args:
      config: of a run.
      out: does not exist.
      runner: who does the work.
      cache_dirs: folders in which `seqio_cache_tasks` has cached tasks; those are read from there.
      wait: for another process that makes `out`, and take what it has made.

    Raises:
      UserError: `out` exists or is being made, a corpus is missing or empty, the lexicon is unusable, or a task
        cannot be run without TensorFlow.
    """
    try:
        if out.exists():
            raise Exists(out)
        configs.run_settings(config)
        with whole_or_not_at_all(out, wait) as partial:
            job = Job(configs.to_json(config), partial.absolute(), tuple(cache_dirs))
            job.work.clear_unfinished()
            registered = job.register()
            with Runner(job, runner, registered) as workers:
                _fill(config, job, registered, workers)
    except Exists:
        if not wait:
            raise


def _fill(config: ml_collections.ConfigDict, job: Job, registered: Registered, runner: Runner) -> None:
    from linkjax.data import tasks as seqio_side  # TensorFlow, which is known to be there by now

    settings = configs.run_settings(config)
    folder = job.partial / FOLDER
    for name in ("documents", "heldout", "evaluation", "lexicons", "statistics", "words"):
        (folder / name).mkdir()
    substitutions = {task.name: seqio_side.online_steps(task) for task in registered.tasks}
    swapped = {name for name, steps in substitutions.items() if steps}
    languages = {task.name: seqio_side.component_of(task).language for task in registered.tasks}
    lexicons = _lexicons(settings, substitutions)
    for language, lexicon in lexicons.items():
        write_lexicon(lexicon, folder / f"lexicons/{language}.tsv")
    ### First what is told at once where it is wrong
    evaluations = write_registered(folder, registered.evaluations)
    clozes_languages(registered.clozes, languages.values())
    words = {name: read_word_list(getattr(settings.link, name)) for name in prepared.WORD_LISTS}
    if settings.tokenizer.path:
        _existing(settings.tokenizer.path)
    parse_rates(registered.rates, settings.rates)
    named_numbers("most_passes", settings.most_passes, list(registered.rates))
    ### Documents
    corpora = read_corpora(config, job, runner, registered.tasks)
    for name, corpus in corpora.items():
        at_least(corpus.documents, settings.virtual_shards, name)
        records = (one._asdict() for one in corpus.heldout)
        write_jsonl(records, folder / "heldout" / f"{name}.jsonl")
    ### Tokenizer and counts
    tokenizer = _tokenizer(job, settings, corpora, lexicons, swapped)
    evaluations += write_clozes(folder, registered.clozes, _sides(corpora, languages), tokenizer, lexicons)
    counts = _count(job, runner, corpora, lexicons, swapped, languages)
    components = []
    for name, corpus in corpora.items():
        operations = [{"operation": "lexical_substitution"} for _ in substitutions[name]]
        texts = [one.text for one in corpus.heldout]
        components.append(
            {
                "name": name,
                "language": languages[name],
                "rate": registered.rates[name],
                "files": {path.name: count for path, count in corpus.files.items()},
                "operations": [*operations, {"operation": "tokenize"}, {"operation": "append_eos"}],
                "documents": len(corpus.documents),
                "bytes": corpus.bytes,
                "tokens": sum(record["tokens"] for record in counts[name]),
                "heldout": {
                    "documents": len(texts),
                    "bytes": sum(len(text.encode()) for text in texts),
                    "byte_trigram_bits_per_byte": yardstick(corpus.documents, corpus.bytes, texts),
                },
            }
        )
    for language, lexicon in lexicons.items():
        english = summed(record["entries"][language] for name in sorted(swapped) for record in counts[name])
        mine = [name for name in corpora if languages[name] == language]
        target = summed(record["words"][language] for name in mine for record in counts[name])
        statistics = word_statistics(lexicon, tokenizer, english, target)
        prepared.write_statistics(statistics, folder / f"statistics/{language}.tsv")
    ### The rest
    for name in prepared.WORD_LISTS:
        if words[name]:
            (folder / f"words/{name}.txt").write_text("".join(f"{word}\n" for word in sorted(words[name])))
    known = {}
    for corpus in corpora.values():
        for path in corpus.files:
            known[path.rename(folder / "documents" / path.name)] = corpus.hashes[path]
    manifest = {
        "format": FORMAT,
        "linkjax": __version__,
        "settings": configs.decisive_for_data(config),
        "mixture": settings.mixture,
        "components": components,
        "evaluations": evaluations,
        "vocabulary_size": len(tokenizer),
        "lexicons": {
            language: {"entries": len(lexicon), "sha256": lexicon.fingerprint, "cleaning": lexicon.cleaning}
            for language, lexicon in lexicons.items()
        },
        "files": {
            str(path.relative_to(folder)): known.get(path) or fingerprint(path)
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        },
    }
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=2, ensure_ascii=False) + "\n")


def _sides(corpora: dict[str, Corpus], languages: dict[str, str]) -> list[Side]:
    return [
        Side(
            languages[name],
            lambda size, corpus=corpus: (document.text for document in spread(corpus.documents, corpus.bytes, size)),
            [document.text for document in corpus.heldout],
        )
        for name, corpus in corpora.items()
    ]


def _count(
    job: Job,
    runner: Runner,
    corpora: dict[str, Corpus],
    lexicons: dict[str, Lexicon],
    swapped: set[str],
    languages: dict[str, str],
) -> dict[str, list[dict]]:
    """Component -> what is counted in each of its files."""
    folder = job.partial / FOLDER
    tools = digest(
        fingerprint(tokenizer_file(folder)), {name: lexicon.fingerprint for name, lexicon in lexicons.items()}
    )
    units = {
        name: [
            Counting(
                name,
                str(path.relative_to(job.work.folder)),
                count,
                corpus.hashes[path]["sha256"],
                tools,
                tuple(lexicons) if name in swapped else (),
                (languages[name],) if languages[name] in lexicons else (),
            )
            for path, count in corpus.files.items()
        ]
        for name, corpus in corpora.items()
    }
    records = iter(runner.run([unit for some in units.values() for unit in some], "counting"))
    return {name: [next(records) for _ in some] for name, some in units.items()}


def _lexicons(settings, substitutions) -> dict[str, Lexicon]:
    """The tasks' lexicons by target language, or those that the run names in their place."""
    steps = [step for found in substitutions.values() for step in found]
    if any(step.lexicons != steps[0].lexicons for step in steps):
        raise UserError("the mixture's tasks use different lexicons; one run takes one for each language.")
    if not steps:
        return {}
    if settings.lexicon:
        paths = {language: settings.lexicon.replace("{language}", language) for language in steps[0].lexicons}
        lexicons = {language: read_lexicon(path, ReadOptions(language=language)) for language, path in paths.items()}
    else:
        lexicons = steps[0].read()
    for language, lexicon in lexicons.items():
        for fault in lint(lexicon, language).faults:
            print(f"warning: the lexicon for {language} may harm the run: {fault}", file=sys.stderr)
    return lexicons


def _tokenizer(
    job: Job, settings, corpora: dict[str, Corpus], lexicons: dict[str, Lexicon], swapped: set[str]
) -> AnyTokenizer:
    """Trains the tokenizer on all components and on what LINK can make of them, or copies the one given.

    Text with every word of the lexicons swapped is in it whatever the run's ratio, so that all arms of a
    comparison share one tokenizer.
    """
    path = job.partial / FOLDER / FILE
    if settings.tokenizer.path:
        tokenizer = load_tokenizer(_existing(settings.tokenizer.path))
        tokenizer.save(path.parent)
        return tokenizer

    def texts() -> Iterator[str]:
        for name, corpus in corpora.items():
            sample = list(spread(corpus.documents, corpus.bytes, settings.tokenizer.train_bytes))
            yield from (document.text for document in sample)
            if name in swapped:
                for language, lexicon in lexicons.items():
                    swap_all = Substitution({language: lexicon}, LinkSettings(ratio=1.0))
                    yield from (done.text for done in swap_all.documents(sample))

    def train(folder: pathlib.Path) -> dict:
        print("training the tokenizer", file=sys.stderr)
        model = train_tokenizer(texts(), settings.tokenizer.vocabulary_size, settings.tokenizer.kind)
        (folder / path.name).write_bytes(model)
        return {}

    of = digest(
        configs.decisive_for_data(configs.from_text(job.config))["tokenizer"],
        [[about["sha256"] for about in corpus.hashes.values()] for corpus in corpora.values()],
        {language: lexicon.fingerprint for language, lexicon in lexicons.items()},
        sorted(swapped),
    )
    if not job.work.is_whole(path.name, of):
        job.work.make(path.name, of, train)
    shutil.copyfile(job.work.path(path.name) / path.name, path)
    return load_tokenizer(path)


def _existing(path: str) -> pathlib.Path:
    if not pathlib.Path(path).exists():
        raise UserError(f"tokenizer.path '{path}' does not exist.")
    return pathlib.Path(path)


def run(
    config: ml_collections.ConfigDict,
    out: str,
    processes: str,
    runner: str,
    beam_options: str,
    cache_dir: str,
    wait: str,
) -> None:
    if wait not in ("yes", "no"):
        raise UserError(f"--wait is '{wait}': choose yes or no.")
    if processes and not processes.isdecimal():
        raise UserError(f"--processes is '{processes}': choose 1 or more.")
    config = with_model(config)
    settings = RunnerSettings(int(processes or max(config.workers, 1)), runner, beam_options)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what is done is kept, and workers are ended
    prepare(config, _named(out), settings, tuple(filter(None, map(str.strip, cache_dir.split(",")))), wait == "yes")


def run_export(config: ml_collections.ConfigDict, out: str, format: str, pass_index: str) -> None:
    """Writes a prepared folder's text with its words swapped into the folder `out`: whole, or not at all."""
    from linkjax.data.export import FORMATS, export

    config = with_model(config)
    settings = configs.run_settings(config)
    folder = _named(out)
    if not settings.data:
        raise UserError("--config.data is missing: name the prepared folder; it is made where it does not exist.")
    if format not in FORMATS:
        raise UserError(f"--format is '{format}': choose one of {', '.join(FORMATS)}.")
    if not pass_index.isdecimal() or int(pass_index) >= 2**32:
        raise UserError(f"--pass_index is '{pass_index}': choose 0, 1, 2 ..., below 2^32.")
    if folder.exists():
        raise UserError(f"{folder} exists already: remove it or choose another --out.")
    data = pathlib.Path(settings.data)
    if not data.exists():
        prepare(config, data, wait=True)
    source = prepared.Prepared(data)
    configs.check_prepared_so(config, source)
    with whole_or_not_at_all(folder, goes_on=False) as partial:
        counts = export(source, settings.link, partial / FOLDER, format, int(pass_index), shown)
    for name, of in counts["components"].items():
        if of["words"]:
            print(
                f"{name}: {of['documents']:,} documents, {of['words']:,} words, {of['eligible_words']:,} of them"
                f" eligible; {of['swaps']:,} swaps for {of['distinct_targets']:,} different words"
            )
        else:
            print(f"{name}: {of['documents']:,} documents, as they were")
    print(f"written to {folder}")


def run_evaluations(tasks: str, evaluation_data: str, data: str, out: str) -> None:
    """Writes the items of benchmarks and clozes into the folder `out`: whole, or not at all."""
    names = list(dict.fromkeys(filter(None, map(str.strip, tasks.split(",")))))
    if not names:
        raise UserError("--tasks is missing: name benchmarks, e.g. --tasks=xcopa_sw,arc_easy (docs/evaluation.md).")
    clozes = [name for name in names if cloze.parse(name)]
    if clozes and not data:
        raise UserError(f"{clozes[0]} needs a tokenizer and training text: name a prepared folder, --data=RUN/data.")
    folder = _named(out)
    if folder.exists():
        raise UserError(f"{folder} exists already: remove it or choose another --out.")
    with whole_or_not_at_all(folder, goes_on=False) as partial:
        (partial / FOLDER / "evaluation").mkdir()
        benchmarks = [name for name in names if name not in clozes]
        evaluations = write_benchmarks(partial / FOLDER, benchmarks, evaluation_data)
        if clozes:
            evaluations += write_clozes_of(partial / FOLDER, clozes, prepared.Prepared(pathlib.Path(data)))
        write_evaluations(partial / FOLDER, evaluations)
    for about in evaluations:
        print(f"{about['name']}: {about['items']:,} items, chance {100 * about['chance']:.1f} %")
    print(f"written to {folder}")


def _named(out: str) -> pathlib.Path:
    if not out:
        raise UserError("--out is missing: name the folder to write.")
    return pathlib.Path(out)


_EXPORT = """Writes the text of a prepared folder with its words swapped, for any other trainer.

    python -m linkjax.prepare export --config=configs/base.py --config.data=prepared/toy --out=swapped

OUT/COMPONENT.jsonl has a line per document: id, text, and its swaps (start, end, original); Parquet the same;
text has one document a line. OUT/counts.json says what was swapped and by which settings."""

_EVALUATIONS = """Writes evaluation items from the files of benchmarks, for runs that are trained already.

    python -m linkjax.prepare evaluations --tasks=xcopa_sw,arc_easy --evaluation_data=benchmarks --out=items

docs/evaluation.md lists the tasks, and says which files belong where."""

if __name__ == "__main__":
    if sys.argv[1:2] == ["evaluations"]:
        options = {
            "tasks": ("", "benchmarks and clozes, separated by commas, e.g. xcopa_sw,arc_easy,cloze_sw:news.txt"),
            "evaluation_data": ("", "folder of the benchmarks' files"),
            "data": ("", "prepared folder whose tokenizer, text and lexicon a cloze is made with"),
            "out": ("", "folder to write; must not exist"),
        }
        configs.main_without_config(run_evaluations, _EVALUATIONS, options, [sys.argv[0], *sys.argv[2:]])
    elif sys.argv[1:2] == ["export"]:
        options = {
            "out": ("", "folder to write; must not exist"),
            "format": ("jsonl", "jsonl, parquet or text"),
            "pass_index": ("0", "which pass over the corpus: each has swaps of its own"),
        }
        configs.main(run_export, _EXPORT, options, [sys.argv[0], *sys.argv[2:]])
    else:
        options = {
            "out": ("", "folder to write; must not exist"),
            "processes": ("", "processes of this machine that read and count; default config.workers, at least 1"),
            "runner": ("", "Apache Beam runner that reads and counts, e.g. DirectRunner; its workers must see --out"),
            "beam_options": ("", "options of Apache Beam, e.g. '--project=mine --region=europe-west4'"),
            "cache_dir": ("", "folders of tasks cached by seqio_cache_tasks, separated by commas"),
            "wait": ("no", "yes: for another process that makes the same folder, and take what it has made"),
        }
        configs.main(run, __doc__, options, sys.argv)
