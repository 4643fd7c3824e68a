"""From raw pairs of a word list to a lexicon, every change counted."""

import collections
import dataclasses
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator

from linkjax.lexicon.formats.reading import ReadOptions
from linkjax.lexicon.lexicon import Lexicon, Pair
from linkjax.lexicon.scripts import script_of, scripts_of

_NOTE = re.compile(r"[(\[{（【][^][(){}（）【】]*[])}）】]")
_STRAY_BRACKET = re.compile(r"^.*[])}）】]|[(\[{（【].*$")
_DEEPEST = 4  # brackets within brackets
_SPACES = re.compile(r"[\s_~]+")
_STRESS = re.compile(r"(?<=[\u0400-\u052f])[\u0300\u0301]")
# Vowel points and the like, which dictionaries print and texts do not.
_POINTS = re.compile("[\u064b-\u0652\u0670\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7]")
_UNPOINTED = {"ar", "arb", "fa", "he", "ur"}
# Controls, halves of surrogate pairs, soft hyphen, zero-width space, marks of direction, byte-order mark. The two
# joiners are spelling in Indic scripts and Persian, and stay.
_INVISIBLE = re.compile(
    r"[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\xad\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ud800-\udfff\ufeff]"
)
_PREFIXES = ("to ", "a ", "an ", "the ")
# A list that writes its verbs with "to" does so by the hundred; in another, "to boot" and "the finger" are idioms.
_PREFIX_SHARE = 0.01
_SHOUTED_SHARE = 0.9
_SHOUTED_LEAST = 10
LIGHT = "weight below the minimum"
_DOTTED_I = {"az", "crh", "tr"}


def clean_pairs(
    pairs: Iterable[Pair | tuple[str, str]],
    options: ReadOptions = ReadOptions(),
    counts: collections.Counter[str] | None = None,
) -> Lexicon:
    """Builds a Lexicon from raw pairs, counting every pair that is changed or dropped.

    Sources become lower case, and lose "to ", "a ", "an " or "the " where at least one in a hundred has it.
    Translations are in the order of their weights, best first, where they have any, else as they came.

    Args:
      options: `language`, `keep_identical` and `minimum_weight` are used.
      counts: what a reader has counted already; the counts here are added to it.
    """
    counts = collections.Counter() if counts is None else counts
    cleaned = [_clean(Pair(*pair), counts) for pair in pairs]
    counts["pairs read"] += len(cleaned)
    cleaned = _remove_prefixes(cleaned, counts)
    cleaned = _remove_points(cleaned, options.language, counts)
    cleaned = _lower_targets(cleaned, options.language, counts)
    capitalised = _find_capitalised(pair.source for pair in cleaned)
    kept = []
    for pair in cleaned:
        pair = pair._replace(source=_lower(pair.source))
        fault = next(_faults(pair, options), None)
        if fault:
            counts[f"dropped: {fault}"] += 1
        else:
            kept.append(pair)
    lexicon = _merge(_drop_other_scripts(kept, options.language, counts), counts)
    counts["pairs kept"] += sum(map(len, lexicon.entries.values()))
    used = {step: count for step, count in counts.items() if count}
    return dataclasses.replace(lexicon, cleaning=used, capitalised=frozenset(capitalised & lexicon.entries.keys()))


def _clean(pair: Pair, counts: collections.Counter[str]) -> Pair:
    sides = [pair.source, pair.target]
    for name, step in _STEPS.items():
        changed = [step(side) for side in sides]
        counts[name] += changed != sides
        sides = changed
    source, target = sides
    plain = source.replace("’", "'")
    counts["typographic apostrophe of a source made plain"] += plain != source
    source = plain
    whole = target.strip("- ") or target  # stems are listed with one: Swahili -kubwa, German ab-
    counts["hyphen at a translation's end removed"] += whole != target
    return pair._replace(source=source, target=whole)


def _compose(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def _remove_notes(text: str) -> str:
    """Leaves out what is in brackets, or before a bracket that was never opened, or after one never closed."""
    bare = text
    for _ in range(_DEEPEST):
        bare = _NOTE.sub("", bare)
    bare = _STRAY_BRACKET.sub("", bare)
    return text if bare == text else " ".join(bare.split())


_STEPS: dict[str, Callable[[str], str]] = {
    "invisible characters removed": lambda text: _INVISIBLE.sub("", text),
    "recomposed (NFC)": _compose,
    "note in brackets removed": _remove_notes,
    "typographic hyphen made '-'": lambda text: text.replace("\u2010", "-").replace("\u2011", "-"),
    "question or exclamation mark at an end removed": lambda text: text.strip("?!¿¡？！ ") or text,
    "stress mark removed": lambda text: _STRESS.sub("", text),
    "'_', '~' or white space made one space": lambda text: _SPACES.sub(" ", text).strip(),
}


def _lower(text: str) -> str:
    return _compose(text.lower())


def _remove_prefixes(pairs: list[Pair], counts: collections.Counter[str]) -> list[Pair]:
    found = collections.Counter(_prefix(pair.source) for pair in pairs)
    usual = {prefix for prefix in _PREFIXES if found[prefix] >= _PREFIX_SHARE * len(pairs)}
    bare = []
    for pair in pairs:
        prefix = _prefix(pair.source)
        if prefix in usual:
            pair = pair._replace(source=pair.source[len(prefix) :])
            counts["'to ', 'a ', 'an ' or 'the ' removed"] += 1
        bare.append(pair)
    return bare


def _prefix(source: str) -> str:
    lowered = source[:4].lower()
    return next((prefix for prefix in _PREFIXES if lowered.startswith(prefix)), "")


def _remove_points(pairs: list[Pair], language: str, counts: collections.Counter[str]) -> list[Pair]:
    """Leaves out what Arabic, Persian, Urdu and Hebrew write in dictionaries only."""
    if _subtag(language) not in _UNPOINTED:
        return pairs
    bare = [pair._replace(target=_POINTS.sub("", pair.target)) for pair in pairs]
    counts["vowel points removed"] += sum(pair != before for pair, before in zip(bare, pairs, strict=True))
    return bare


def _subtag(language: str) -> str:
    return language.replace("_", "-").split("-")[0].lower()


def _lower_targets(pairs: list[Pair], language: str, counts: collections.Counter[str]) -> list[Pair]:
    """Lowers the translations in capitals where nearly all are: then capitals say nothing."""
    cased = sum(pair.target.upper() != pair.target.lower() for pair in pairs)
    shouted = sum(pair.target.isupper() for pair in pairs)
    if cased < _SHOUTED_LEAST or shouted <= _SHOUTED_SHARE * cased:
        return pairs
    counts["translation in capitals lowered"] += shouted
    dotted = _subtag(language) in _DOTTED_I
    lowered = []
    for pair in pairs:
        if pair.target.isupper():
            target = pair.target.replace("İ", "i").replace("I", "ı") if dotted else pair.target
            pair = pair._replace(target=_lower(target))
        lowered.append(pair)
    return lowered


def _find_capitalised(sources: Iterable[str]) -> set[str]:
    """Lower-cased sources that are never written otherwise than with one capital, at the start."""
    always: dict[str, bool] = {}
    for source in sources:
        if source:
            key = _lower(source)
            always[key] = always.get(key, True) and _is_capitalised(source)
    capitalised = {source for source, capital in always.items() if capital}
    return set() if 2 * len(capitalised) > len(always) else capitalised


def _is_capitalised(source: str) -> bool:
    first, rest = source[0], source[1:]
    if not (first.isupper() or first.istitle()) or source.capitalize().lower() != _lower(source):
        return False
    return source == "I" or (bool(rest) and not rest.isupper())


def _faults(pair: Pair, options: ReadOptions) -> Iterator[str]:
    """Yields why a cleaned pair cannot be used, if it cannot."""
    if not pair.source or not pair.target:
        yield "one side empty"
    if not _has_letter(pair.target):
        yield "translation without a letter"
    if not _has_letter(pair.source):
        yield "source without a letter"
    if pair.source.startswith("-") or pair.source.endswith("-"):
        yield "source that is part of a word"
    if not options.keep_identical and pair.source == _lower(pair.target):
        yield "identical sides"
    if options.minimum_weight and pair.weight is not None and pair.weight < options.minimum_weight:
        yield LIGHT


def _has_letter(text: str) -> bool:
    return any(map(str.isalpha, text))


def _drop_other_scripts(pairs: list[Pair], language: str, counts: collections.Counter[str]) -> list[Pair]:
    """Leaves out translations with no letter of the language's scripts, unless most are so: a list to look at."""
    scripts = scripts_of(language) if language else None
    if not scripts:
        return pairs
    right = [pair for pair in pairs if any(script_of(letter) in scripts for letter in pair.target)]
    if 2 * len(right) <= len(pairs):
        return pairs
    counts["dropped: translation in another script"] += len(pairs) - len(right)
    return right


def _merge(pairs: list[Pair], counts: collections.Counter[str]) -> Lexicon:
    """Joins doubles: the first one's place, the highest weight, all origins."""
    merged: dict[str, dict[str, Pair]] = {}
    for pair in pairs:
        senses = merged.setdefault(pair.source, {})
        first = senses.setdefault(pair.target, pair)
        if first is not pair:
            counts["dropped: duplicate"] += 1
            weights = [weight for weight in (first.weight, pair.weight) if weight is not None]
            origins = dict.fromkeys(name for name in (*first.origin.split("+"), *pair.origin.split("+")) if name)
            senses[pair.target] = first._replace(weight=max(weights, default=None), origin="+".join(origins))
    entries, weights, origins = {}, {}, {}
    for source, senses in merged.items():
        ranked = sorted(senses.values(), key=lambda pair: (pair.weight is None, -(pair.weight or 0.0)))
        entries[source] = tuple(pair.target for pair in ranked)
        weights.update({(source, pair.target): pair.weight for pair in ranked if pair.weight is not None})
        origins.update({(source, pair.target): pair.origin for pair in ranked if pair.origin})
    return Lexicon(entries, {}, weights, origins)
