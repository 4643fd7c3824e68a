"""The grammar of the lexicon command line, and what its help says."""

import argparse
import math
import pathlib

from linkjax.arguments import Parser
from linkjax.lexicon.formats import FORMATS

_ABOUT = """\
Word lists at the command line: look at one, bring it to our format, join several, make controls.

A word list is good for training when most of its pairs are right and its sources are frequent words. Start with
'inspect': it says what is in a file and whether it is fit for use. 'convert' writes any known format as the
tab-separated list (source, target, weight, origin) that every verb reads. A verb explains itself: VERB --help."""

_HELP = {
    "inspect": """\
Says what is in a word list, what was cleaned, and whether it is fit for use; changes nothing.

Coverage is the number to look at: the share of running English words that have an entry decides how much can be
swapped at all. Lists of a few thousand frequent words reach 30 to 50 %. With lemmas, 'dogs' counts where 'dog' has
an entry. --corpus is best the English text you train on; of large files the beginnings are read, 50 million
characters in all.

A fault ends the program with exit code 1, so that a script can stop there: columns reversed, translations of
another language or script than --language says, or a few words that translate everything.

  python -m linkjax.lexicon inspect en-sw.tsv --language=sw --corpus='english/*.txt.gz' --target_corpus=swahili.txt""",
    "convert": """\
Reads a word list of any known format, cleans it, and writes it as tab-separated source, target, weight, origin.

Prints each cleaning step with the number of pairs. What is written here is read back as it is.

  python -m linkjax.lexicon convert freedict-eng-swh.index --language=sw --out=en-sw.tsv""",
    "merge": """\
Joins word lists of one language: all pairs of all lists, each with the names of the files that have it.

A pair that several lists have stands first among its source's translations, then the order of the files counts:
name the best list first. Weights are kept only where every list has them, since their units differ.

  python -m linkjax.lexicon merge wiktionary.tsv freedict.tsv --out=en-sw.tsv""",
    "thin": """\
Keeps a share of the entries: what would a smaller word list have done?

With one seed a smaller share is a subset of a larger one, so that runs over shares differ in size alone.

  python -m linkjax.lexicon thin en-sw.tsv --coverage=0.5 --out=en-sw.half.tsv""",
    "holdout": """\
Splits off entries that training never swaps, to ask later whether the model has learned their translations.

With one seed a smaller share is a subset of a larger one; the draw is independent of that of 'thin'.

  python -m linkjax.lexicon holdout en-sw.tsv --share=0.1 --out=train.tsv --heldout_out=probe.tsv""",
    "scramble": """\
Makes the mandatory control: the same words are inserted as often, but in the wrong places. What training gains over
it, it owes to the pairs being right.

Each source gets the whole translation set of another source that is alike in three things: how often the English
corpus has it, how often the target corpus has its translations, and how long these are. No tokenizer is at hand
here, so that the length is in characters, by four; 'prepare' does the same with the run's own tokenizer pieces.
Prints how far the inserted words of the two lists still differ, every occurrence swapped and senses even.

  python -m linkjax.lexicon scramble en-sw.tsv --corpus=english.txt --target_corpus=swahili.txt --out=wrong.tsv""",
    "domain": """\
Writes the words that are typical of one English text against another, most typical first, one a line: the word list
that --config.link.select=domain (or non_domain) and --config.link.domain_words ask for.

  python -m linkjax.lexicon domain --domain=medicine.txt --general='english/*.txt' --out=medical_words.txt""",
}


def build_parser() -> argparse.ArgumentParser:
    reading = argparse.ArgumentParser(add_help=False)
    group = reading.add_argument_group("how a file is read")
    group.add_argument("--language", default="", metavar="sw", help="BCP 47 code that the translations should be of")
    group.add_argument("--format", default="", help=f"known by the content where left out; one of {', '.join(FORMATS)}")
    group.add_argument("--target_first", action="store_true", help="English is in the second column, not the first")
    group.add_argument("--minimum_weight", type=_weight, default=0.0, metavar="W", help="leave out pairs below W")
    group.add_argument("--keep_identical", action="store_true", help="keep pairs of identical sides (Kenya - Kenya)")
    group.add_argument("--keep_good_lines", action="store_true", help="leave malformed lines out, instead of stopping")

    parser = Parser(prog="python -m linkjax.lexicon", description=_ABOUT)
    verbs = parser.add_subparsers(required=True, metavar="VERB")

    def add(name, summary, *arguments, parents=(reading,)):
        verb = verbs.add_parser(name, help=summary, description=_HELP[name], parents=parents)
        verb.set_defaults(verb=name)
        for flag, settings in arguments:
            verb.add_argument(flag, **settings)

    file = ("file", {"type": pathlib.Path, "help": "word list of any known format, `.gz`, `.bz2` and `.xz` too"})
    out = ("--out", {"type": pathlib.Path, "required": True, "help": "file to write; must not exist"})
    seed = ("--seed", {"type": _seed, "default": 0, "help": "of the draw; the same seed draws the same words"})
    corpus = {"metavar": "PATHS", "help": "English text files, names or globs with commas between, `.gz` too"}
    target_corpus = {"metavar": "PATHS", "help": "text files of the target language, as --corpus"}
    add(
        "inspect",
        "what is in a list, what it covers, whether it is fit for use",
        file,
        ("--corpus", {"default": "", **corpus}),
        ("--target_corpus", {"default": "", **target_corpus}),
        ("--json", {"action": "store_true", "help": "print the report as one JSON object"}),
    )
    add("convert", "any format to our tab-separated list", file, out)
    add(
        "merge",
        "several lists made one, with the lists that have each pair",
        ("files", {"nargs": "+", "type": pathlib.Path, "metavar": "FILE", "help": "two word lists or more"}),
        out,
    )
    add(
        "thin",
        "control: a share of the entries",
        file,
        out,
        seed,
        ("--coverage", {"type": _share, "required": True, "help": "share of the entries to keep, 0 to 1"}),
    )
    add(
        "holdout",
        "split off entries that training never swaps",
        file,
        out,
        seed,
        ("--heldout_out", {"type": pathlib.Path, "required": True, "help": "file for the held-out entries"}),
        ("--share", {"type": _share, "default": 0.1, "help": "share of the entries to hold out"}),
    )
    add(
        "scramble",
        "control: wrong pairs, alike in frequency and length",
        file,
        out,
        seed,
        ("--corpus", {"required": True, **corpus}),
        ("--target_corpus", {"required": True, **target_corpus}),
    )
    add(
        "domain",
        "words typical of one text against another",
        out,
        ("--domain", {"required": True, **corpus}),
        ("--general", {"required": True, **corpus}),
        ("--most", {"type": _count, "default": 2000, "help": "words at most (default 2000)"}),
        parents=(),
    )
    return parser


def _count(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"'{text}' is no number of words: give 1 or more")
    return int(text)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def _weight(text: str) -> float:
    if not math.isfinite(_number(text)):
        raise argparse.ArgumentTypeError(f"'{text}' is no weight: give a number")
    return float(text)


def _share(text: str) -> float:
    value = _number(text)
    if not 0 < value <= 1:
        raise argparse.ArgumentTypeError(f"'{text}' is no share: give a number above 0 and at most 1")
    return value


def _seed(text: str) -> int:
    if not text.isdecimal() or int(text) >= 2**64:
        raise argparse.ArgumentTypeError(f"'{text}' is no seed: give a whole number from 0 to 2^64 - 1")
    return int(text)
