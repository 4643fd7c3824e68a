"""The SeqIO side: how a data set is defined, and what may stand after its cache placeholder.

Imports TensorFlow; only `prepare`, `tasks/` and other SeqIO programs import it.
"""

import collections
import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import seqio
import tensorflow as tf

from linkjax.data import sources
from linkjax.data.documents import Document
from linkjax.data.steps import UINT64, LexicalSubstitution, MakeDocuments, RankingItems
from linkjax.data.texts import FunctionTexts, Texts
from linkjax.errors import UserError
from linkjax.lexicon import ReadOptions, read_lexicon
from linkjax.substitution import LinkSettings


def add_text_task(
    name: str,
    texts: Callable[[str], Iterable[str]] | Texts | seqio.DataSource,
    *,
    splits: Sequence[str] = (),
    language: str,
    column: str = "text",
    lexicons: Mapping[str, str | Callable[[], str]] | None = None,
    link: LinkSettings = LinkSettings(),
    vocabulary: seqio.Vocabulary | None = None,
) -> seqio.Task:
    """Registers a task of plain documents, replacing one of the same name.

    Args:
      name: of the task; part of its documents' ids.
      texts: a function split -> its texts, `Texts` that can be read in parts, or any data source of SeqIO's.
      splits: 'train', and 'heldout' where there is one; a data source has its own.
      language: BCP 47 code, names the language in metrics.
      column: of a data source's examples, the one with the text.
      lexicons: word lists by target language; given, the documents go through `LexicalSubstitution`.
      link: settings of the substitution in plain SeqIO programs.
      vocabulary: for plain SeqIO programs, bytes by default, `linkjax.data.vocabularies` has one for a tokenizer of
        Hugging Face's; `prepare` trains its own.
    """
    source = texts
    if isinstance(source, seqio.DataSource):
        if splits:
            raise UserError(f"task {name} names splits, but its source has its own: give them to the source.")
    else:
        source = sources.TextSource(texts if isinstance(texts, Texts) else FunctionTexts(name, texts), splits)
    preprocessors = [MakeDocuments(name, language, column), seqio.CacheDatasetPlaceholder()]
    if lexicons:
        preprocessors.append(LexicalSubstitution(lexicons, link))
    preprocessors += [seqio.preprocessors.tokenize, seqio.preprocessors.append_eos_after_trim]
    features = {"targets": seqio.Feature(vocabulary or seqio.ByteVocabulary(), add_eos=True)}
    _forget(seqio.TaskRegistry, name)
    return seqio.TaskRegistry.add(name, source, preprocessors=preprocessors, output_features=features)


def add_word_list_task(name: str, lexicon: str | Callable[[], str], *, language: str) -> seqio.Task:
    """Registers a bilingual word list as text, a document "dog - mbwa" for each pair: what swaps are compared with.

    Args: `lexicon` is the list's path, or a function that returns it; `language` is the target's.
    """

    def texts(split: str) -> Iterator[str]:
        del split
        path = lexicon() if callable(lexicon) else lexicon
        for source, target, _, _ in read_lexicon(path, ReadOptions(language=language)).pairs():
            yield f"{source} - {target}"

    return add_text_task(name, texts, splits=("train",), language=language)


def add_ranking_task(
    name: str, items: Callable[[], Iterable[dict]], *, metric: str, chance: float | None = None
) -> seqio.Task:
    """Registers an evaluation task, replacing one of the same name; SeqIO has its items in split 'test'.

    Args:
      name: of the task.
      items: what `linkjax.data.items` describes; without 'split' they are of 'test'.
      metric: what the scores are called.
      chance: of guessing; by default one over the number of an item's choices, on average.
    """
    texts = tf.TensorSpec([None], tf.string)
    signature = {key: tf.TensorSpec([], tf.string) for key in ("id", "prompt", "group", "cluster", "split")}
    signature |= {"prompts": texts, "choices": texts, "answer": tf.TensorSpec([], tf.int64)}

    def examples() -> Iterator[dict]:
        try:
            for item in items():
                yield {"prompt": "", "prompts": [], "split": "test"} | item
        except UserError as error:
            sources.raised.append(error)
            raise

    def dataset(split, shuffle_files, seed=None):
        del split, shuffle_files, seed
        return tf.data.Dataset.from_generator(examples, output_signature=signature)

    text = seqio.Feature(seqio.PassThroughVocabulary(0), rank=0, dtype=tf.string)
    several = dataclasses.replace(text, rank=1)
    features = {"prompt": text, "prompts": several, "choices": several}
    _forget(seqio.TaskRegistry, name)
    return seqio.TaskRegistry.add(
        name,
        seqio.FunctionDataSource(dataset, splits=["test"]),
        preprocessors=[RankingItems(metric, chance), seqio.CacheDatasetPlaceholder()],
        output_features=features,
    )


def add_mixture(name: str, rates: Mapping[str, float]) -> seqio.Mixture:
    """Registers a mixture, replacing one of the same name.

    LinkJAX takes `rates` as shares of *tokens*; SeqIO itself samples *examples* by them
    (`example_rates` converts).
    """
    _forget(seqio.MixtureRegistry, name)
    return seqio.MixtureRegistry.add(name, list(rates.items()))


def example_rates(manifest: Mapping) -> dict[str, float]:
    """SeqIO example rates that give the token shares of a prepared folder's manifest, on average."""
    rates = {
        component["name"]: component["rate"] * component["documents"] / component["tokens"]
        for component in manifest["components"]
    }
    return {name: rate / sum(rates.values()) for name, rate in rates.items()}


def splits(task: seqio.Task) -> list[str]:
    """The splits of a task: of its cache, where `seqio_cache_tasks` has made one that SeqIO knows of."""
    return list(task.splits)


def shards(task: seqio.Task, split: str) -> list[str]:
    """The parts that a task's source, or its cache, can be read in, by name: its files, mostly."""
    return [str(shard) for shard in _source(task, split).list_shards(split)]


def documents(
    task: seqio.Task, split: str, shard: int = 0, count: int = 1, counts: collections.Counter[str] | None = None
) -> Iterator[Document]:
    """The documents of a task after its offline part: of all, or of one of `count` = len(`shards`) parts.

    The parts, one after the other, are the whole. Where `task.source.drop_duplicates` is set, texts met before are
    left out of a whole, while a part does not know what is in the others.

    Args: `counts` is filled with what was left out, by reason; without it that is told on standard error. Sources
      other than `TextSource`, and offline steps of one's own, count nothing.
    """
    if not task.cache_dir and (texts := _nothing_but_texts(task)) is not None:
        yield from texts.documents(split, shard, count, counts)
        return
    # Sources of SeqIO's interleave their files unless they are read one by one.
    whole = count > 1 or (isinstance(task.source, sources.TextSource) and not task.cache_dir)
    parts = [(shard, count)] if whole else _one_by_one(task, split)
    for part in parts:
        for example in _offline(task, split, *part):
            yield Document(int(example["id"]) & UINT64, _text(task, example["targets"]))


def ranking_items(task: seqio.Task) -> Iterator[dict]:
    """The items of an evaluation task, as plain Python values."""
    for example in _offline(task, "test"):
        item = {key: value.decode() for key, value in example.items() if isinstance(value, bytes)}
        item |= {key: [text.decode() for text in example[key]] for key in ("prompts", "choices")}
        item["answer"] = int(example["answer"])
        item.pop("prompt" if item["prompts"] else "prompts")
        yield item


def component_of(task: seqio.Task) -> MakeDocuments:
    """What the task says of itself in its offline part."""
    return _only(task, MakeDocuments, "add_text_task")


def ranking_of(task: seqio.Task) -> RankingItems:
    return _only(task, RankingItems, "add_ranking_task")


def online_steps(task: seqio.Task) -> list[LexicalSubstitution]:
    """The substitution after the placeholder, if any.

    Raises:
      UserError: something stands there that the training runtime, which has no TensorFlow, cannot do.
    """
    known = (
        seqio.preprocessors.tokenize,
        seqio.preprocessors.append_eos,
        seqio.preprocessors.append_eos_after_trim,
    )
    steps = list(task.preprocessors)
    places = [index for index, step in enumerate(steps) if isinstance(step, seqio.CacheDatasetPlaceholder)]
    if not places:
        raise UserError(f"task {task.name} has no seqio.CacheDatasetPlaceholder(): put it after the offline steps.")
    found = []
    for step in steps[places[0] + 1 :]:
        if isinstance(step, LexicalSubstitution):
            found.append(step)
        elif step not in known:
            name = getattr(step, "__name__", type(step).__name__)
            raise UserError(
                f"task {task.name} has '{name}' after seqio.CacheDatasetPlaceholder(), which the training runtime"
                " does not know: move it before the placeholder."
            )
    return found


def _only(task: seqio.Task, kind: type, maker: str):
    found = [step for step in task.preprocessors if isinstance(step, kind)]
    if len(found) != 1:
        raise UserError(f"task {task.name} has {len(found)} {kind.__name__} steps, not one: register it with {maker}.")
    return found[0]


def _nothing_but_texts(task: seqio.Task) -> Texts | None:
    """The texts of a task whose offline part does no more than make documents of them: no need for tf.data."""
    steps = list(task.preprocessors)
    alone = len(steps) > 1 and type(steps[0]) is MakeDocuments and isinstance(steps[1], seqio.CacheDatasetPlaceholder)
    if alone and isinstance(task.source, sources.TextSource) and task.source.texts.name == steps[0].component:
        return task.source.texts
    return None


def _one_by_one(task: seqio.Task, split: str) -> list[tuple[int, int]]:
    count = len(shards(task, split))
    if not count:
        raise UserError(f"task {task.name} has no files for '{split}': check its source.")
    return [(shard, count) for shard in range(count)]


def _source(task: seqio.Task, split: str) -> seqio.DataSource:
    """Where a task's documents come from: what its offline part made of the source, where that is cached."""
    return task._get_cached_source(split) if task.cache_dir else task.source


def _offline(task: seqio.Task, split: str, shard: int = 0, count: int = 1) -> Iterator[dict]:
    sources.raised.clear()
    part = seqio.ShardInfo(shard, count) if count > 1 else None
    source = _source(task, split)
    dataset = source.get_dataset(split=split, shuffle=False, shard_info=part)
    if source is task.source:
        dataset = task.preprocess_precache(dataset)
    try:
        yield from dataset.as_numpy_iterator()
    except tf.errors.OpError as error:
        if sources.raised:
            raise sources.raised.pop() from None
        if isinstance(error, tf.errors.DataLossError | tf.errors.NotFoundError):
            place = f"task {task.name}, '{split}'" if source is task.source else shards(task, split)[shard]
            what = f"{place} cannot be read ({sources.reason(error)})"
            raise UserError(f"{what}: fetch or write it again.") from error
        raise


def _text(task: seqio.Task, raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise UserError(f"task {task.name} has a document that is not UTF-8: {raw[:40]!r}.") from error


def _forget(registry, name: str) -> None:
    if name in registry.names():
        registry.remove(name)
