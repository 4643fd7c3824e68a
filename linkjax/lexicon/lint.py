"""Faults that make a word list unfit for use: each would train a model on wrong pairs without a word."""

import collections
import dataclasses
import random
from collections.abc import Iterable

import simplemma

from linkjax.lexicon.identification import find_label, rank_languages
from linkjax.lexicon.lexicon import Lexicon
from linkjax.lexicon.scripts import script_of, scripts_of

HUBS = 10
_HUB_ENTRIES = 10  # a target of fewer entries is no hub: in a list of 40 entries ten targets hold a quarter
_HUB_SHARE = 0.2
_WRONG_SCRIPT_SHARE = 0.5
_REVERSED_MARGIN = 0.3  # known English words among targets less those among sources; good lists have -0.7 to -0.9
_SAMPLE = 3000
_LEAST_WORDS = 30
_RELATIVES = 3  # related languages that may come before the stated one
_MARGIN = 0.3  # nats per character behind the likeliest language; good lists have 0.00 to 0.06
_WIDE_MARGIN = 1.0  # so far behind, a relative is wrong as well
_IDENTICAL_SHARE = 0.4
_LEAST_COVERAGE = 0.1


@dataclasses.dataclass(frozen=True)
class Findings:
    """What is wrong with a word list, in sentences.

    Attributes:
      faults: it should not be used as it is.
      warnings: it can be used, but somebody should look.
      notes: what could not be checked, and why.
    """

    faults: tuple[str, ...]
    warnings: tuple[str, ...]
    notes: tuple[str, ...]


def lint(lexicon: Lexicon, language: str = "", coverage: float | None = None) -> Findings:
    """Checks a cleaned word list.

    Args:
      lexicon: the list.
      language: BCP 47 code that the translations should be of; '' = not said.
      coverage: share of the running words of English text that it covers, where that was measured.
    """
    faults, notes = list(_hub_faults(lexicon)), []
    if fault := _reversed_fault(lexicon):
        faults.append(fault)  # and script and language are then the English words'
    elif not language:
        notes.append("language and script not checked: name the language with --language")
    else:
        for check in (_script_fault, _language_fault):
            fault, note = check(lexicon, language)
            notes += [note] if note else []
            if fault:
                faults.append(fault)
                break
    return Findings(tuple(faults), tuple(_warnings(lexicon, coverage)), tuple(notes))


def hubs(lexicon: Lexicon) -> tuple[list[tuple[str, int]], float]:
    """The ten targets of most entries, each with their number, and the share of all entries that has one of them."""
    counts = collections.Counter(target for targets in lexicon.entries.values() for target in targets)
    top = counts.most_common(HUBS)
    return top, _share_with(lexicon, [target for target, _ in top])


def script_mix(lexicon: Lexicon) -> dict[str, int]:
    """ISO 15924 script -> targets that have most of their letters in it, the commonest script first."""
    counts = collections.Counter(_script(target) for targets in lexicon.entries.values() for target in targets)
    return dict(counts.most_common())


def _hub_faults(lexicon: Lexicon) -> Iterable[str]:
    top = [(target, count) for target, count in hubs(lexicon)[0] if count >= _HUB_ENTRIES]
    share = _share_with(lexicon, [target for target, _ in top])
    if share > _HUB_SHARE:
        named = ", ".join(f"'{target}' ({count:,})" for target, count in top)
        yield (
            f"{share:.0%} of the {len(lexicon):,} entries have one of few translations: {named}; take out the lines "
            f"with those that are junk."
        )


def _share_with(lexicon: Lexicon, targets: list[str]) -> float:
    wanted = set(targets)
    holding = sum(not wanted.isdisjoint(translations) for translations in lexicon.entries.values())
    return holding / max(len(lexicon), 1)


def _reversed_fault(lexicon: Lexicon) -> str | None:
    sources = _known_share(lexicon.entries)
    targets = _known_share(target for translations in lexicon.entries.values() for target in translations)
    if targets - sources <= _REVERSED_MARGIN:
        return None
    return (
        f"{targets:.0%} of the translations are English words, but only {sources:.0%} of the sources: the columns are "
        f"reversed, so read the file with --target_first."
    )


def _known_share(texts: Iterable[str]) -> float:
    """Share of the texts that are of English words only."""
    sample = _sample(texts)
    known = sum(all(simplemma.is_known(word, lang="en") for word in text.lower().split()) for text in sample)
    return known / max(len(sample), 1)


def _script_fault(lexicon: Lexicon, language: str) -> tuple[str | None, str | None]:
    expected = scripts_of(language)
    if expected is None:
        return None, f"script not checked: it is not known how '{language}' is written"
    mix = script_mix(lexicon)
    total = sum(mix.values())
    wrong = {script: count for script, count in mix.items() if script not in expected}
    if sum(wrong.values()) <= _WRONG_SCRIPT_SHARE * total:
        return None, None
    return (
        f"{sum(wrong.values()) / total:.0%} of the translations are not in a script of '{language}' "
        f"({', '.join(sorted(expected))}), most of them in {next(iter(wrong))}: give the list of this language, or "
        f"the language of this list."
    ), None


def _language_fault(lexicon: Lexicon, language: str) -> tuple[str | None, str | None]:
    words = {
        target
        for source, targets in lexicon.entries.items()
        for target in targets
        if target.lower() != source and target.lower() not in lexicon.entries
    }
    if len(words) < _LEAST_WORDS:
        return None, f"language not checked: only {len(words)} translations that are no English words"
    try:
        ranked = rank_languages(words)
    except ImportError:
        return None, "language not checked: pip install py3langid"
    labels = [label for label, _ in ranked]
    label = find_label(language, labels)
    if label is None:
        return None, f"language not checked: py3langid does not know '{language}' (nearest to it: {labels[0]})"
    rank, behind = labels.index(label), -dict(ranked)[label]
    if behind <= (_WIDE_MARGIN if rank < _RELATIVES else _MARGIN):
        return None, None
    return (
        f"the translations look like '{labels[0]}', not like '{language}', which is number {rank + 1} of {len(labels)} "
        f"languages, {behind:.2f} nats per character behind: give the list of this language, or the language of this "
        f"list."
    ), None


def _warnings(lexicon: Lexicon, coverage: float | None) -> Iterable[str]:
    identical = identical_share(lexicon)
    if identical > _IDENTICAL_SHARE:
        yield f"{identical:.0%} of the pairs read have identical sides: names, or words left untranslated"
    if coverage is not None and coverage < _LEAST_COVERAGE:
        yield f"only {coverage:.1%} of the running English words are covered: expect little from so small a list"
    lowered = lexicon.cleaning.get("translation in capitals lowered", 0)
    if lowered:
        yield f"the whole list was in capitals: {lowered:,} translations were lowered, names and German nouns too"


def identical_share(lexicon: Lexicon) -> float:
    """Share of the pairs with identical sides, those that the cleaning dropped included."""
    same = [target.lower() == source for source, targets in lexicon.entries.items() for target in targets]
    dropped = lexicon.cleaning.get("dropped: identical sides", 0)
    return (sum(same) + dropped) / max(lexicon.cleaning.get("pairs read", 0), len(same))


def _sample(texts: Iterable[str]) -> list[str]:
    distinct = sorted(set(texts))
    random.Random(0).shuffle(distinct)
    return distinct[:_SAMPLE]


def _script(text: str) -> str:
    """The script of most of a text's letters; 'Zyyy' where it has none."""
    scripts = collections.Counter(script for script in map(script_of, text) if script != "Zyyy")
    return scripts.most_common(1)[0][0] if scripts else "Zyyy"
