"""The item files of evaluation tasks: of SeqIO tasks, of benchmarks, and of clozes."""

import pathlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from linkjax.data.items import write_items
from linkjax.data.prepared import Prepared
from linkjax.data.tokenizer import AnyTokenizer
from linkjax.errors import UserError
from linkjax.lexicon import Lexicon
from linkjax.preparation import cloze

_VOCABULARY_BYTES = 1 << 26  # of a component's text that words are counted in


class Side(NamedTuple):
    """The text of a component: of its training documents a sample of so many bytes, and what is held out."""

    language: str
    training: Callable[[int], Iterable[str]]
    heldout: Sequence[str]


def write_registered(folder: pathlib.Path, tasks: Iterable[Any]) -> list[dict[str, Any]]:
    """Writes the items of SeqIO tasks and says what they measure."""
    from linkjax.data import tasks as seqio_side

    scores = []
    for task in tasks:
        about = seqio_side.ranking_of(task)
        scores.append(write_items(folder, task.name, about.metric, about.chance, seqio_side.ranking_items(task)))
    return scores


def write_benchmarks(folder: pathlib.Path, names: Iterable[str], data: str) -> list[dict[str, Any]]:
    """The same of benchmarks, without SeqIO."""
    from tasks import benchmarks

    return [write_items(folder, name, benchmarks.metric(name), None, benchmarks.items(name, data)) for name in names]


def write_clozes(
    folder: pathlib.Path,
    names: Sequence[str],
    sides: Sequence[Side],
    tokenizer: AnyTokenizer,
    lexicons: Mapping[str, Lexicon],
) -> list[dict[str, Any]]:
    """The same of clozes, 'cloze_LANGUAGE', 'cloze_LANGUAGE:FILE' or 'cloze_LANGUAGE_NAME:FILE'.

    Raises:
      UserError: there is no text of the language, or too little to make a cloze of.
    """
    scores: list[dict[str, Any]] = []
    languages = clozes_languages(names, [side.language for side in sides])
    for name, language in zip(names, languages, strict=True):
        group, file = cloze.parse(name)
        mine = [side for side in sides if side.language == language]
        mine = [side for side in mine if side.heldout] or mine  # word lists are no text to count words in
        training = (text for side in mine for text in side.training(_VOCABULARY_BYTES))
        vocabulary = cloze.Vocabulary(training, tokenizer, _words_of(lexicons, language))
        texts = cloze.file_texts(file) if file else (text for side in mine for text in side.heldout)
        items = cloze.cloze_items(texts, group, vocabulary, name)
        scores.append(write_items(folder, f"cloze_{group}", cloze.METRIC, None, items))
    return scores


def write_clozes_of(folder: pathlib.Path, names: Sequence[str], prepared: Prepared) -> list[dict[str, Any]]:
    """The same from the texts, tokenizer and lexicons of a prepared folder."""
    sides = [
        Side(
            component["language"],
            lambda size, component=component: (document.text for document in prepared.sample(component, size)),
            [document.text for document in prepared.heldout(component)],
        )
        for component in prepared.components
    ]
    return write_clozes(folder, names, sides, prepared.tokenizer, prepared.lexicons)


def clozes_languages(names: Sequence[str], languages: Iterable[str]) -> list[str]:
    """Of which of the languages that there is text in each cloze is.

    Raises:
      UserError: it is of none, its file is not there, or two are called alike.
    """
    known, found = list(dict.fromkeys(languages)), {}
    for name in names:
        group, file = cloze.parse(name)
        task, language = f"cloze_{group}", _language_of(group, known)
        if task in found:
            raise UserError(f"{task} is named twice: call one of them {task}_MORE:FILE.")
        if group != language and not file:
            raise UserError(f"{task} names no file: write {task}:FILE, or cloze_{language} for the held-out text.")
        if file and not pathlib.Path(file).exists():
            raise UserError(f"{file} cannot be read, of which {task} is to be made: it is not there.")
        found[task] = language
    return list(found.values())


def _language_of(group: str, languages: Sequence[str]) -> str:
    """Of LANGUAGE or LANGUAGE_NAME."""
    found = [language for language in languages if group == language or group.startswith(f"{language}_")]
    if not found:
        known = ", ".join(languages)
        raise UserError(f"cloze_{group} asks for text in '{group}', and there is text in {known}: name one of these.")
    return max(found, key=len)


def _words_of(lexicons: Mapping[str, Lexicon], language: str) -> Iterable[str]:
    if language in lexicons:
        return (target for targets in lexicons[language].entries.values() for target in targets)
    return (source for lexicon in lexicons.values() for source in lexicon.entries)  # English, and nothing of others
