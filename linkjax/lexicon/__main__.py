"""Word lists at the command line: `python -m linkjax.lexicon --help`."""

import argparse
import collections
import functools
import json
import os
import pathlib
import sys
from collections.abc import Callable, Mapping, Sequence

from linkjax.errors import UserError, errors_as_sentences
from linkjax.files import is_compressed
from linkjax.lexicon import controls
from linkjax.lexicon.arguments import build_parser
from linkjax.lexicon.coverage import Corpus, count_english, count_targets
from linkjax.lexicon.domain import domain_words
from linkjax.lexicon.formats import Reading, ReadOptions, find_format
from linkjax.lexicon.inspection import inspect, render
from linkjax.lexicon.lexicon import Lexicon
from linkjax.lexicon.merging import merge
from linkjax.lexicon.readers import read_lexicon, write_lexicon

# Characters of a translation to one piece of a trained tokenizer, about: what `scramble` matches without one.
_PIECE_CHARACTERS = 4


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a verb; returns the exit code: 0, 1 for a list that is not fit for use, 2 for a mistake of the user's."""
    try:
        with errors_as_sentences():
            arguments = build_parser().parse_args(argv)
            return _VERBS[arguments.verb](arguments)
    except SystemExit as ending:
        return ending.code or 0
    return 0


def _inspect(arguments: argparse.Namespace) -> int:
    english = Corpus(arguments.corpus) if arguments.corpus else None
    target = Corpus(arguments.target_corpus) if arguments.target_corpus else None
    options = _options(arguments)
    lexicon = read_lexicon(arguments.file, options)
    title = find_format(Reading(arguments.file, options)).TITLE
    report = {"file": str(arguments.file), "format": title} | inspect(lexicon, options.language, english, target)
    if arguments.json:
        print(json.dumps(report, ensure_ascii=False, indent=2))
    else:
        print(f"{arguments.file}: {title}\n{render(report)}")
    return 0 if report["fit"] else 1


def _convert(arguments: argparse.Namespace) -> int:
    _check_new(arguments.out)
    lexicon = read_lexicon(arguments.file, _options(arguments))
    _write({arguments.out: lexicon})
    for step, count in lexicon.cleaning.items():
        print(f"{count:>9,}  {step}")
    return 0


def _merge(arguments: argparse.Namespace) -> int:
    _check_new(arguments.out)
    names = [_name(path) for path in arguments.files]
    twice = [name for name, count in collections.Counter(names).items() if count > 1]
    if len(names) < 2 or twice:
        raise UserError(
            f"two files are named '{twice[0]}', and a pair's origin is its file's name: rename one."
            if twice
            else "merge needs two files or more."
        )
    lexicons = {
        name: read_lexicon(path, _options(arguments)) for name, path in zip(names, arguments.files, strict=True)
    }
    merged = merge(lexicons)
    _write({arguments.out: merged})
    for name, lexicon in (*lexicons.items(), ("all", merged)):
        print(f"{name}: {_size(lexicon)}")
    print(f"in several lists: {sum('+' in origin for origin in merged.origins.values()):,} pairs")
    return 0


def _thin(arguments: argparse.Namespace) -> int:
    _check_new(arguments.out)
    lexicon = read_lexicon(arguments.file, _options(arguments))
    thinned = controls.thin(lexicon, arguments.coverage, arguments.seed)
    _write({arguments.out: thinned})
    print(f"kept {_size(thinned)} of {_size(lexicon)}")
    return 0


def _holdout(arguments: argparse.Namespace) -> int:
    _check_new(arguments.out, arguments.heldout_out)
    kept, heldout = controls.holdout(read_lexicon(arguments.file, _options(arguments)), arguments.share, arguments.seed)
    _write({arguments.out: kept, arguments.heldout_out: heldout})
    left = {target for targets in kept.entries.values() for target in targets}
    shared = sum(not left.isdisjoint(targets) for targets in heldout.entries.values())
    print(f"kept {_size(kept)}, held out {_size(heldout)}")
    print(f"held-out entries with a translation that a kept entry has too: {shared:,}; a probe should leave them out")
    return 0


def _scramble(arguments: argparse.Namespace) -> int:
    _check_new(arguments.out)
    english, target = Corpus(arguments.corpus), Corpus(arguments.target_corpus)
    lexicon = read_lexicon(arguments.file, _options(arguments))
    seen = count_targets(target.blocks(), (pair.target for pair in lexicon.pairs()))
    statistics = _statistics(lexicon, count_english(english.blocks(), lexicon.entries), seen)
    scrambled = controls.scramble(lexicon, statistics, arguments.seed)
    distance = controls.inserted_distance(lexicon, scrambled, statistics)
    _write({arguments.out: scrambled})
    same = sum(not set(targets).isdisjoint(scrambled.entries[source]) for source, targets in lexicon.entries.items())
    print(f"scrambled {_size(scrambled)}; {same:,} entries keep a right translation")
    print(f"distance of the inserted words: {distance:.3f} (total variation, 0 = as frequent as in the true list)")
    for name, each in (("true", lexicon), ("scrambled", scrambled)):
        shares = controls.inserted_shares(each, statistics)
        known = sum(share for word, share in shares.items() if seen[word])
        print(f"inserted words seen in the target text, {name} list: {known:.1%}")
    return 0


def _domain(arguments: argparse.Namespace) -> int:
    _check_new(arguments.out)
    domain, general = (count_english(Corpus(paths).blocks()) for paths in (arguments.domain, arguments.general))
    words = domain_words(domain, general, arguments.most)
    if not words:
        raise UserError(f"{arguments.domain} has no word more often than {arguments.general}: name two unlike texts.")
    text = "".join(f"{word}\n" for word, _ in words)
    _write_files({arguments.out: lambda path: path.write_text(text, encoding="utf-8")})
    print(f"{len(words):,} words, from {words[0][0]} ({words[0][1]:.1f}) to {words[-1][0]} ({words[-1][1]:.1f})")
    return 0


def _statistics(
    lexicon: Lexicon, english: Mapping[str, int], target: Mapping[str, int]
) -> dict[str, controls.WordStatistics]:
    return {
        source: controls.WordStatistics(
            english[source],
            sum(target[word] for word in targets),
            sum(map(len, targets)) / len(targets) / _PIECE_CHARACTERS,
        )
        for source, targets in lexicon.entries.items()
    }


def _check_new(*paths: pathlib.Path) -> None:
    """Refuses output files before any work is done for them."""
    for path in paths:
        if path.exists():
            raise UserError(f"{path} exists: name a new file, or remove it first.")
        if not path.parent.is_dir():
            raise UserError(f"{path} cannot be written: there is no folder {path.parent}.")
        if is_compressed(path):
            raise UserError(f"{path} would be plain text under the name of a packed file: end it in .tsv.")
    if len(set(paths)) < len(paths):
        raise UserError(f"{paths[0]} is named for two outputs: name two files.")


def _write(lexicons: Mapping[pathlib.Path, Lexicon]) -> None:
    """Writes all files whole, or none."""
    for path, lexicon in lexicons.items():
        if not lexicon.entries:
            raise UserError(f"{path} would have no entry: choose another share.")
    _write_files({path: functools.partial(write_lexicon, lexicon) for path, lexicon in lexicons.items()})


def _write_files(writers: Mapping[pathlib.Path, Callable[[pathlib.Path], object]]) -> None:
    partial = {path: path.with_name(f".{path.name}.{os.getpid()}.partial") for path in writers}
    try:
        for path, write in writers.items():
            write(partial[path])
        for path in writers:
            partial[path].replace(path)
    except OSError as error:
        raise UserError(f"{error.filename} cannot be written: {error.strerror}.") from error
    finally:
        for path in partial.values():
            path.unlink(missing_ok=True)


def _options(arguments: argparse.Namespace) -> ReadOptions:
    return ReadOptions(
        arguments.format,
        arguments.language,
        arguments.keep_good_lines,
        arguments.keep_identical,
        arguments.target_first,
        arguments.minimum_weight,
    )


def _name(path: pathlib.Path) -> str:
    """Of a list, as an origin, in which + stands between several."""
    name = pathlib.Path(path.stem).stem if is_compressed(path) else path.stem
    return name.replace("+", "_")


def _size(lexicon: Lexicon) -> str:
    return f"{len(lexicon):,} entries ({sum(map(len, lexicon.entries.values())):,} pairs)"


_VERBS = {
    "inspect": _inspect,
    "convert": _convert,
    "merge": _merge,
    "thin": _thin,
    "holdout": _holdout,
    "scramble": _scramble,
    "domain": _domain,
}

if __name__ == "__main__":
    sys.exit(main())
