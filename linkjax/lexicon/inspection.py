"""The report on a word list: what is in it, what it covers, and whether it is fit for use."""

import collections
import dataclasses
from typing import Any

from linkjax.lexicon.coverage import Corpus, count_english, count_targets, measure
from linkjax.lexicon.lexicon import Lexicon
from linkjax.lexicon.lint import hubs, identical_share, lint, script_mix


def inspect(
    lexicon: Lexicon, language: str = "", english: Corpus | None = None, target: Corpus | None = None
) -> dict[str, Any]:
    """All that is known of a lexicon, as one dictionary of plain values; shares are fractions of 1."""
    senses = [len(targets) for targets in lexicon.entries.values()]
    targets = [target for translations in lexicon.entries.values() for target in translations]
    top, share = hubs(lexicon)
    report: dict[str, Any] = {
        "language": language,
        "entries": len(lexicon),
        "pairs": len(targets),
        "cleaning": dict(lexicon.cleaning),
        "senses": {
            "mean": len(targets) / len(lexicon),
            "max": max(senses),
            "entries_with": {
                "1": senses.count(1),
                "2": senses.count(2),
                "3 or more": sum(count > 2 for count in senses),
            },
        },
        "multiword_sources": _share(" " in source for source in lexicon.entries),
        "multiword_targets": _share(" " in target for target in targets),
        "identical_pairs": identical_share(lexicon),
        "scripts": script_mix(lexicon),
        "hubs": {"share_of_entries": share, "entries_of": dict(top)},
    }
    covered = None
    if english:
        coverage = measure(count_english(english.blocks(), lexicon.entries), lexicon.entries.keys())
        covered = coverage.running_lemmas
        report["coverage"] = {**dataclasses.asdict(coverage), "uncovered": dict(coverage.uncovered), **_read(english)}
    if target:
        found = count_targets(target.blocks(), targets)
        distinct = set(targets)
        report["targets_found"] = {"share": len(found.keys() & distinct) / len(distinct), **_read(target)}
    findings = lint(lexicon, language, covered)
    return report | dataclasses.asdict(findings) | {"fit": not findings.faults}


def render(report: dict[str, Any]) -> str:
    """The report as lines to read."""
    senses, hub = report["senses"], report["hubs"]
    lines = [
        f"entries             {report['entries']:,} with {report['pairs']:,} pairs",
        f"senses an entry     {senses['mean']:.2f}, at most {senses['max']}; "
        + ", ".join(f"{count}: {entries / report['entries']:.1%}" for count, entries in senses["entries_with"].items()),
        f"of several words    {report['multiword_sources']:.1%} of the sources, "
        f"{report['multiword_targets']:.1%} of the targets",
        f"identical sides     {report['identical_pairs']:.1%} of the pairs read",
        "scripts             "
        + ", ".join(f"{script} {count / report['pairs']:.1%}" for script, count in report["scripts"].items()),
        f"commonest targets   ten stand in {hub['share_of_entries']:.1%} of the entries: "
        + (
            ", ".join(f"{target} ({count:,})" for target, count in hub["entries_of"].items() if count > 1)
            or "each in one"
        ),
    ]
    lines += ["cleaning"] + [f"  {count:>9,}  {step}" for step, count in report["cleaning"].items()]
    if coverage := report.get("coverage"):
        lines += [
            f"coverage of {coverage['words']:,} running English words ({_extent(coverage)}); an entry of several words "
            "counts where all of it stands, longest first",
            f"  running words     {coverage['running']:.1%}, with lemmas {coverage['running_lemmas']:.1%}",
            f"  distinct words    {coverage['types']:.1%}, with lemmas {coverage['types_lemmas']:.1%}",
            "  most frequent without an entry: "
            + ", ".join(f"{word} ({count:,})" for word, count in coverage["uncovered"].items()),
        ]
    if found := report.get("targets_found"):
        lines.append(
            f"targets found       {found['share']:.1%} stand in the target text ({_extent(found)}); one of several "
            "words counts if each of them does"
        )
    lines += [f"note: {note}" for note in report["notes"]]
    lines += [f"warning: {warning}" for warning in report["warnings"]]
    lines += [f"fault: {fault}" for fault in report["faults"]] or ["fit for use"]
    return "\n".join(lines)


def _read(corpus: Corpus) -> dict[str, Any]:
    return {"files": len(corpus.files), "characters": corpus.characters, "cut": corpus.cut}


def _extent(read: dict[str, Any]) -> str:
    part = "the beginnings only, " if read["cut"] else ""
    return f"files: {read['files']:,}, {part}{read['characters']:,} characters"


def _share(flags) -> float:
    counts = collections.Counter(flags)
    return counts[True] / max(counts.total(), 1)
