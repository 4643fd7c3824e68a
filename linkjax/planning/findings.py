"""What was found in files: how much text, whether it is what it is said to be, what the word list reaches."""

import collections
import dataclasses
import itertools
import math
import re
import unicodedata
from collections.abc import Iterable, Mapping

import simplemma

from linkjax.data.tokenizer import Tokenizer, TokenizerSettings, train_tokenizer
from linkjax.errors import UserError
from linkjax.lexicon import Lexicon, ReadOptions, read_lexicon
from linkjax.lexicon.coverage import count_english, count_targets, measure
from linkjax.lexicon.lint import lint
from linkjax.lexicon.scripts import starts_unsegmented
from linkjax.planning.samples import Sample, sample
from linkjax.substitution import LinkSettings, Substitution
from tasks.text_files import LocalText, LocalTextSettings

UNKNOWN = "und"  # BCP 47: undetermined
VOCABULARY = 8192
_TOKENIZER_CHARACTERS = 1_000_000
_MOST_BYTES = TokenizerSettings().train_bytes  # of each language, that a run's tokenizer sees
_PIECE_BYTES = 4
_WORD = re.compile(r"[^\W\d_]+")
# Share of the running words that an English dictionary has: 95 to 97 % of English texts, 12 of Swahili and Turkish,
# 26 of German help pages (names of programs).
_ENGLISH, _NOT_ENGLISH = 0.8, 0.6
# Share of the target text's running words that are translations in the list: 33 to 63 % where both are of one
# language, 1 to 12 % (short words) where they are not. A right list may be small, so that few words of a text are in
# it; but then many of its translations, 5 to 50 %, stand in the text, and 0 to 2 % of a wrong list's.
_LEAST_RUNNING, _LEAST_FOUND = 0.2, 0.02
_LEAST_WORDS = 20_000
_LEAST_COVERAGE = 0.01
_FEW_TOKENS = 20_000  # some sixty kilobytes


@dataclasses.dataclass(frozen=True)
class Text:
    """The text of a language.

    Attributes:
      tokens: estimated.
      english: share of the running words that are in an English dictionary.
      of: the sample that all of it is from.
    """

    tokens: int
    english: float
    of: Sample


@dataclasses.dataclass(frozen=True)
class WordList:
    """What a lexicon does for these texts.

    Attributes:
      entries, pairs: in the list.
      swappable: share of the running English words that a run could swap; None where there is no English.
      uncovered: the most frequent English words that are not in it.
      found: share of its translations that stand in the sample of the target text; None where there is none.
      running: share of the running target words that are among its translations; None where words have no spaces.
    """

    entries: int
    pairs: int
    swappable: float | None
    uncovered: tuple[str, ...]
    found: float | None
    running: float | None


@dataclasses.dataclass(frozen=True)
class Findings:
    """Attributes:
    english: None where there is none.
    targets, lists: by language, those that can be read.
    problems: what is in the way of any run, each with its mend.
    warnings: what somebody should look at.
    """

    english: Text | None
    targets: Mapping[str, Text]
    lists: Mapping[str, WordList]
    problems: tuple[str, ...]
    warnings: tuple[str, ...]


def examine(settings: LocalTextSettings) -> Findings:
    """Looks at all that is named; what is wrong is collected, so that it can be mended at once."""
    problems: list[str] = []
    warnings: list[str] = []

    def tried(work, *arguments):
        try:
            return work(*arguments)
        except UserError as error:
            problems.append(str(error).replace("--config.", "--"))
            return None

    samples: dict[str, Sample] = {}
    for language in ("en", *settings.languages):
        if found := tried(_sample, settings, language):
            samples[language] = found
    lexicons: dict[str, Lexicon] = {}
    for language in settings.languages:
        path = settings.lexicon.replace("{language}", language)
        if found := tried(read_lexicon, path, ReadOptions(language="" if language == UNKNOWN else language)):
            lexicons[language] = found
    texts = _count_tokens(samples, lexicons)
    english = texts.pop("en", None)
    if english:
        _check_english(settings, english, problems, warnings)
    for language, text in texts.items():
        _check_target(language, text, problems, warnings)
    lists = {}
    for language, lexicon in lexicons.items():
        lists[language] = found = look_up(lexicon, samples.get("en"), samples.get(language))
        check_list(language, lexicon, found, samples.get(language), problems, warnings)
    return Findings(english, texts, lists, tuple(dict.fromkeys(problems)), tuple(dict.fromkeys(warnings)))


def _sample(settings: LocalTextSettings, language: str) -> Sample:
    side = "english" if language == "en" else "target"
    patterns = getattr(settings, side).replace("{language}", language)
    found = sample(LocalText.of(settings, language))
    if not found.documents:
        why = f" ({found.note})" if found.note else ""
        raise UserError(
            f"--{side}={patterns} has no document to train on{why}: name files with"
            f" {'English text' if side == 'english' else f'text of {_say(language)}, some hundred kilobytes or more'}."
        )
    return found


def _say(language: str) -> str:
    return "the target language" if language == UNKNOWN else f"'{language}'"


def _count_tokens(samples: Mapping[str, Sample], lexicons: Mapping[str, Lexicon]) -> dict[str, Text]:
    """By the tokens that a byte takes of a small tokenizer, trained as a run's would be (`linkjax.prepare`).

    That sees as much of each language as there is, up to a bound, and English with every word swapped.
    """
    if not samples:
        return {}
    most = max(min(found.bytes, _MOST_BYTES) for found in samples.values())
    parts = {}
    for language, found in samples.items():
        share = _TOKENIZER_CHARACTERS * min(found.bytes, _MOST_BYTES) / most
        parts[language] = found.texts[:: math.ceil(sum(map(len, found.texts)) / share)]
    swapped = [
        done.text
        for lexicon in lexicons.values()
        for done in Substitution({"": lexicon}, LinkSettings(ratio=1.0)).documents(enumerate(parts.get("en", ())))
    ]
    try:
        tokenizer = Tokenizer(
            train_tokenizer(itertools.chain(*parts.values(), swapped), VOCABULARY, "bpe")
        )  # ten times as fast
    except UserError:  # too little text for SentencePiece to say anything about
        return {
            language: Text(found.bytes // _PIECE_BYTES, _english_share(found.texts), found)
            for language, found in samples.items()
        }
    texts = {}
    for language, found in samples.items():
        tokens = sum(len(tokenizer.encode(one)) + 1 for one in found.texts)
        size = sum(len(one.encode()) for one in found.texts)
        texts[language] = Text(round(found.bytes * tokens / size), _english_share(found.texts), found)
    return texts


def _words(texts: Iterable[str]) -> collections.Counter[str]:
    return collections.Counter(word for text in texts for word in _WORD.findall(text.lower()))


def _english_share(texts: Iterable[str]) -> float:
    counts = _words(texts)
    known = sum(count for word, count in counts.items() if simplemma.is_known(word, lang="en"))
    return known / max(counts.total(), 1)


def look_up(lexicon: Lexicon, english: Sample | None, target: Sample | None) -> WordList:
    """What a lexicon does for samples of the two languages."""
    swappable, uncovered, found, running = None, (), None, None
    if english:
        swappable = Substitution({"": lexicon}, LinkSettings()).eligible_shares(english.texts)[""]
        counts = count_english((_joined(english.texts),), lexicon.entries)
        uncovered = tuple(word for word, _ in measure(counts, lexicon.entries.keys(), 10).uncovered) if counts else ()
    if target:
        translations = {one for source, targets in lexicon.entries.items() for one in targets if one.lower() != source}
        joined = _joined(target.texts)
        seen = count_targets((joined,), translations)
        found = len(seen.keys() & translations) / max(len(translations), 1)
        if not any(starts_unsegmented(one) for one in list(translations)[:100]):
            listed = {unicodedata.normalize("NFC", word) for one in translations for word in _WORD.findall(one.lower())}
            counts = _words((joined,))
            running = sum(count for word, count in counts.items() if word in listed) / max(counts.total(), 1)
    pairs = sum(map(len, lexicon.entries.values()))
    return WordList(len(lexicon), pairs, swappable, uncovered, found, running)


def _joined(texts: Iterable[str]) -> str:
    return unicodedata.normalize("NFC", "\n".join(texts))


def _check_english(settings: LocalTextSettings, text: Text, problems: list[str], warnings: list[str]) -> None:
    said = f"{text.english:.0%} of the words of --english={settings.english} are in an English dictionary"
    if text.english < _NOT_ENGLISH:
        problems.append(f"{said}, where English text has 95 %: name English text there.")
    elif text.english < _ENGLISH:
        warnings.append(f"{said}, where English text has 95 %: look for text in other languages, tables or code")


def _check_target(language: str, text: Text, problems: list[str], warnings: list[str]) -> None:
    if text.tokens < _FEW_TOKENS:
        warnings.append(f"{text.tokens:,} tokens of {_say(language)} are too few to learn from: bring a book at least")
    said = f"{text.english:.0%} of the words of the target text are in an English dictionary"
    if text.english >= _ENGLISH:
        problems.append(f"{said}: --target is English; name text of {_say(language)} there.")
    elif text.english >= 1 - _NOT_ENGLISH:
        warnings.append(f"{said}: take out what was left in English")


def check_list(
    language: str,
    lexicon: Lexicon,
    found: WordList,
    target: Sample | None,
    problems: list[str],
    warnings: list[str],
) -> None:
    """Adds what is wrong with a lexicon and what to look at."""
    findings = lint(lexicon, "" if language == UNKNOWN else language, found.swappable)
    fits = (found.running or 0) >= _LEAST_RUNNING and (found.found or 0) >= _LEAST_FOUND
    for fault in findings.faults:
        if fits and fault.startswith("the translations look like"):
            warnings.append(f"the lexicon for {language}: {fault}")  # a relative: the text has its words all the same
        else:
            problems.append(f"the lexicon for {_say(language)} should not be used as it is: {fault}")
    warnings += findings.warnings
    if found.swappable is not None and found.swappable < _LEAST_COVERAGE:
        problems.append(
            f"the lexicon for {_say(language)} has {found.swappable:.1%} of the English words: its English side is to"
            " be the first column, in words as they stand in the text (docs/lexicons.md says where lists are)."
        )
    if found.found is not None and not findings.faults:
        foreign = found.found < _LEAST_FOUND and (found.running is None or found.running < _LEAST_RUNNING)
        if foreign and sum(map(len, target.texts)) > 5 * _LEAST_WORDS:
            problems.append(
                f"{found.found:.1%} of the lexicon's translations stand in the target text, which is of another"
                f" language, it seems: give the lexicon and the text of {_say(language)}."
            )
        elif foreign:
            warnings.append(f"only {found.found:.1%} of the lexicon's translations stand in the target text")
    if language == UNKNOWN:
        warnings.append(
            "language and script of the lexicon were not checked: name the language, e.g. --target_language=sw"
        )
    else:
        warnings += (note for note in findings.notes if "pip install" in note)
