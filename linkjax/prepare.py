"""Prepares data for training: SeqIO tasks -> documents on disk, tokenizer, evaluation items, manifest.

    python -m linkjax.prepare --config=configs/base.py --out=prepared/toy

`train` runs this by itself where its prepared folder is missing. The folder can then be carried to any
machine: training on it needs neither TensorFlow nor SeqIO.

    python -m linkjax.prepare export --config=configs/base.py --config.data=prepared/toy --out=swapped

writes the text of a prepared folder with its words swapped, for any other trainer.
"""

import collections
import contextlib
import importlib
import itertools
import json
import os
import pathlib
import shutil
import sys
from collections.abc import Iterable, Iterator

import ml_collections
from tqdm import tqdm

from linkjax import __version__
from linkjax import config as configs
from linkjax.data import documents as documents_on_disk
from linkjax.data import prepared
from linkjax.data.cutting import at_least
from linkjax.data.documents import Document
from linkjax.data.tokenizer import Tokenizer, train_tokenizer
from linkjax.errors import UserError
from linkjax.evaluation.byte_ngram import trigram_bits_per_byte
from linkjax.files import fingerprint
from linkjax.lexicon import Lexicon, ReadOptions, WordStatistics, read_lexicon, write_lexicon
from linkjax.lexicon.lint import lint
from linkjax.substitution import WORD, LinkSettings, Substitution
from linkjax.substitution.word_lists import read_word_list

_HELDOUT_BYTES = 1_000_000  # of a component, so that evaluating as it goes stays cheap


def prepare(config: ml_collections.ConfigDict, out: pathlib.Path) -> None:
    """Writes the prepared folder `out`: whole, or not at all.

    Raises:
      UserError: `out` exists, a corpus is missing or empty, the lexicon is unusable, or a task cannot be
        run without TensorFlow.
    """
    settings = configs.run_settings(config)
    if out.exists():
        raise UserError(f"{out} exists already: remove it or choose another --out.")
    tasks, rates, evaluations = _register(config, settings)
    with _whole_or_not_at_all(out) as partial:
        for name in ("documents", "heldout", "evaluation", "lexicons", "statistics", "words"):
            (partial / name).mkdir()
        manifest = _fill(partial, config, settings, tasks, rates, evaluations)
        (partial / prepared.MANIFEST).write_text(json.dumps(manifest, indent=2, ensure_ascii=False) + "\n")


@contextlib.contextmanager
def _whole_or_not_at_all(out: pathlib.Path) -> Iterator[pathlib.Path]:
    """A folder beside `out` to fill, renamed to it at the end; nothing is left where that is not reached."""
    created = [folder for folder in out.parents if not folder.exists()]
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{out.parent} cannot be made: {error.strerror}.") from error
    for left in out.parent.glob(f".{out.name}.partial-*"):  # by processes that were killed
        if not pathlib.Path(f"/proc/{left.name.rpartition('-')[2]}").exists():
            shutil.rmtree(left, ignore_errors=True)
    partial = out.with_name(f".{out.name}.partial-{os.getpid()}")
    try:
        partial.mkdir()
        yield partial
        try:
            partial.rename(out)
        except OSError as error:
            raise UserError(f"{out} has been made by another process meanwhile: use that one.") from error
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        for folder in created:
            with contextlib.suppress(OSError):  # somebody else has put something there
                folder.rmdir()
        raise


def _register(config, settings):
    """Imports the task module, lets it read the config, and looks up the mixture's tasks."""
    # Text only: TensorFlow shall neither take a GPU nor talk of its absence.
    os.environ |= {"CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    try:
        with _without_chatter():
            import seqio  # costs seconds: not at the top, so that --help and errors come at once
    except ModuleNotFoundError as error:
        raise UserError(
            "preparing data needs SeqIO: pip install 'linkjax[seqio]', or train on a folder prepared elsewhere."
        ) from error
    try:
        module = importlib.import_module(settings.task_module)
    except (ModuleNotFoundError, TypeError, ValueError) as error:
        if not isinstance(error, ModuleNotFoundError) or (error.name and settings.task_module.startswith(error.name)):
            raise UserError(
                f"task_module '{settings.task_module}' is not a Python module that can be found."
            ) from error
        raise
    if hasattr(module, "configure"):
        module.configure(config)
    evaluations = list(filter(None, settings.evaluations.split(",")))
    for name in (settings.mixture, *evaluations):
        if name not in {*seqio.TaskRegistry.names(), *seqio.MixtureRegistry.names()}:
            raise UserError(f"'{name}' is no task or mixture that {settings.task_module} registers.")
    mixture = seqio.get_mixture_or_task(settings.mixture)
    tasks = list(seqio.get_subtasks(mixture))
    weights = {task.name: mixture.get_rate(task) if hasattr(mixture, "get_rate") else 1.0 for task in tasks}
    rates = {name: weight / sum(weights.values()) for name, weight in weights.items()}
    return tasks, rates, [seqio.get_mixture_or_task(name) for name in evaluations]


def _fill(folder: pathlib.Path, config, settings, tasks, rates, evaluations) -> dict:
    from linkjax.data import tasks as seqio_side

    substitutions = {task.name: seqio_side.online_steps(task) for task in tasks}
    lexicons = _lexicons(settings, substitutions)
    components = []
    for task in tasks:
        about = seqio_side.component_of(task)
        files = documents_on_disk.write_documents(
            _progress(seqio_side.documents(task, "train"), f"reading {task.name}"),
            folder / "documents",
            task.name,
        )
        if not files:
            raise UserError(f"the corpus of '{task.name}' has no documents: check its files.")
        heldout = list(seqio_side.documents(task, "heldout")) if "heldout" in task.source.splits else []
        heldout = list(_at_most(heldout, _HELDOUT_BYTES))
        prepared.write_jsonl((document._asdict() for document in heldout), folder / "heldout" / f"{task.name}.jsonl")
        operations = [{"operation": "lexical_substitution"} for _ in substitutions[task.name]]
        components.append(
            {
                "name": task.name,
                "language": about.language,
                "rate": rates[task.name],
                "files": files,
                "operations": [*operations, {"operation": "tokenize"}, {"operation": "append_eos"}],
            }
        )
    corpora = {
        component["name"]: documents_on_disk.Documents(
            {folder / "documents" / name: count for name, count in component["files"].items()}
        )
        for component in components
    }
    swapped = {name for name, steps in substitutions.items() if steps}
    tokenizer = _tokenizer(folder, settings, corpora, lexicons, swapped)
    for component in components:
        name = component["name"]
        heldout = prepared.read_jsonl(folder / "heldout" / f"{name}.jsonl")
        texts = [record["text"] for record in heldout]
        component |= _counts(_progress(corpora[name], f"counting {name}"), tokenizer)
        at_least(corpora[name], settings.virtual_shards, name)
        component["heldout"] = {
            "documents": len(texts),
            "bytes": sum(len(text.encode()) for text in texts),
            "byte_trigram_bits_per_byte": _yardstick(corpora[name], texts),
        }
    for language, lexicon in lexicons.items():
        write_lexicon(lexicon, folder / f"lexicons/{language}.tsv")
        english = [corpora[name] for name in sorted(swapped)]
        target = [corpora[component["name"]] for component in components if component["language"] == language]
        statistics = word_statistics(lexicon, tokenizer, english, target)
        prepared.write_statistics(statistics, folder / f"statistics/{language}.tsv")
    for name in prepared.WORD_LISTS:
        if words := read_word_list(getattr(settings.link, name)):
            (folder / f"words/{name}.txt").write_text("".join(f"{word}\n" for word in sorted(words)))
    scores = []
    for task in evaluations:
        about = seqio_side.ranking_of(task)
        count = prepared.write_jsonl(seqio_side.ranking_items(task), folder / "evaluation" / f"{task.name}.jsonl")
        scores.append({"name": task.name, "metric": about.metric, "chance": about.chance, "items": count})
    return {
        "format": prepared.FORMAT,
        "linkjax": __version__,
        "settings": configs.decisive_for_data(config),
        "mixture": settings.mixture,
        "components": components,
        "evaluations": scores,
        "vocabulary_size": len(tokenizer),
        "lexicons": {
            language: {"entries": len(lexicon), "sha256": lexicon.fingerprint, "cleaning": lexicon.cleaning}
            for language, lexicon in lexicons.items()
        },
        "files": {
            str(path.relative_to(folder)): fingerprint(path) for path in sorted(folder.rglob("*")) if path.is_file()
        },
    }


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


def _tokenizer(folder: pathlib.Path, settings, corpora, lexicons: dict[str, Lexicon], swapped: set[str]) -> Tokenizer:
    """Trains the tokenizer on all components and on what LINK can make of them, or copies the one given.

    Text with every word of the lexicons swapped is in it whatever the run's ratio, so that all arms of a
    comparison share one tokenizer.
    """
    path = folder / "tokenizer.model"
    if settings.tokenizer.path:
        shutil.copyfile(_existing(settings.tokenizer.path), path)
        return Tokenizer.load(path)

    def texts() -> Iterator[str]:
        for name, corpus in corpora.items():
            sample = list(_spread(corpus, settings.tokenizer.train_bytes))
            yield from (document.text for document in sample)
            if name in swapped:
                for language, lexicon in lexicons.items():
                    swap_all = Substitution({language: lexicon}, LinkSettings(ratio=1.0))
                    yield from (done.text for done in swap_all.documents(sample))

    print("training the tokenizer", file=sys.stderr)
    path.write_bytes(train_tokenizer(texts(), settings.tokenizer.vocabulary_size, settings.tokenizer.kind))
    return Tokenizer.load(path)


def _at_most(documents: list[Document], size: int) -> Iterator[Document]:
    """All documents, or those of the lowest ids (a fair draw) that fit into `size` bytes."""
    if sum(len(document.text.encode()) for document in documents) <= size:
        yield from documents
        return
    for document in sorted(documents):
        size -= len(document.text.encode())
        if size < 0:
            return
        yield document


def _spread(corpus: Iterable[Document], size: int) -> Iterator[Document]:
    """Documents from all over the corpus, about `size` bytes."""
    total = sum(len(document.text.encode()) for document in corpus)
    step = max(1, -(-total // max(size, 1)))
    return itertools.islice(iter(corpus), 0, None, step)


def word_statistics(
    lexicon: Lexicon,
    tokenizer: Tokenizer,
    english: Iterable[Iterable[Document]],
    target: Iterable[Iterable[Document]],
) -> dict[str, WordStatistics]:
    """Frequency and length of each lexicon entry; a translation of several words counts as its rarest word."""
    counting = Substitution(lexicon)
    english_counts: collections.Counter[str] = collections.Counter()
    for corpus in english:
        english_counts += counting.entry_counts(document.text for document in corpus)
    target_counts = collections.Counter(
        word.lower() for corpus in target for document in corpus for word in WORD.findall(document.text)
    )

    def target_count(translation: str) -> int:
        return min((target_counts[word.lower()] for word in WORD.findall(translation)), default=0)

    return {
        source: WordStatistics(
            english_counts[source],
            sum(map(target_count, translations)),
            sum(len(tokenizer.encode(text)) for text in translations) / len(translations),
        )
        for source, translations in lexicon.entries.items()
    }


def _counts(corpus: Iterable[Document], tokenizer: Tokenizer) -> dict[str, int]:
    """Documents, bytes and tokens (with one EOS a document) of a corpus before substitution."""
    counts = {"documents": 0, "bytes": 0, "tokens": 0}
    for document in corpus:
        counts["documents"] += 1
        counts["bytes"] += len(document.text.encode())
        counts["tokens"] += len(tokenizer.encode(document.text)) + 1
    return counts


def _yardstick(corpus: Iterable[Document], heldout: list[str]) -> float | None:
    """Byte-trigram bits per byte, from at most 20 MB of the corpus; None where nothing is held out."""
    sample = _spread(corpus, 20_000_000)
    return trigram_bits_per_byte((document.text for document in sample), heldout) if heldout else None


def _existing(path: str) -> str:
    if not pathlib.Path(path).is_file():
        raise UserError(f"tokenizer.path '{path}' does not exist.")
    return path


@contextlib.contextmanager
def _without_chatter() -> Iterator[None]:
    """Silences what TensorFlow's C++ side writes to standard error on import; exceptions still come through."""
    standard_error = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(standard_error, 2)
        os.close(standard_error)
        os.close(nowhere)


def _progress(items: Iterable, label: str) -> Iterable:
    return tqdm(items, desc=label, unit=" documents", disable=not sys.stderr.isatty(), leave=False)


def run(config: ml_collections.ConfigDict, out: str) -> None:
    prepare(config, _named(out))


def run_export(config: ml_collections.ConfigDict, out: str, format: str, pass_index: str) -> None:
    """Writes a prepared folder's text with its words swapped into the folder `out`: whole, or not at all."""
    from linkjax.data.export import FORMATS, export

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
        prepare(config, data)
    source = prepared.Prepared(data)
    configs.check_prepared_so(config, source)
    with _whole_or_not_at_all(folder) as partial:
        counts = export(source, settings.link, partial, format, int(pass_index), _progress)
    for name, of in counts["components"].items():
        if of["words"]:
            print(
                f"{name}: {of['documents']:,} documents, {of['words']:,} words, {of['eligible_words']:,} of them"
                f" eligible; {of['swaps']:,} swaps for {of['distinct_targets']:,} different words"
            )
        else:
            print(f"{name}: {of['documents']:,} documents, as they were")
    print(f"written to {folder}")


def _named(out: str) -> pathlib.Path:
    if not out:
        raise UserError("--out is missing: name the folder to write.")
    return pathlib.Path(out)


_EXPORT = """Writes the text of a prepared folder with its words swapped, for any other trainer.

    python -m linkjax.prepare export --config=configs/base.py --config.data=prepared/toy --out=swapped

OUT/COMPONENT.jsonl has a line per document: id, text, and its swaps (start, end, original); Parquet the same;
text has one document a line. OUT/counts.json says what was swapped and by which settings."""

if __name__ == "__main__":
    if sys.argv[1:2] == ["export"]:
        options = {
            "out": ("", "folder to write; must not exist"),
            "format": ("jsonl", "jsonl, parquet or text"),
            "pass_index": ("0", "which pass over the corpus: each has swaps of its own"),
        }
        configs.main(run_export, _EXPORT, options, [sys.argv[0], *sys.argv[2:]])
    else:
        configs.main(run, __doc__, {"out": ("", "folder to write; must not exist")}, sys.argv)
