"""Swapped text at the command line: `python -m linkjax.substitution --help`."""

import argparse
import dataclasses
import functools
import itertools
import pathlib
import shutil
import sys
from collections.abc import Sequence

from linkjax.data.documents import document_id
from linkjax.errors import UserError, errors_as_sentences
from linkjax.files import open_text
from linkjax.lexicon import ReadOptions, read_lexicon
from linkjax.substitution import LinkSettings, Substitution
from linkjax.substitution.preview import side_by_side, summary

_ABOUT = """\
Shows text before and after its words are swapped, side by side, with the swapped words marked.

Look at your data before you train on it: are the right words swapped, and for the right ones?

  python -m linkjax.substitution preview --lexicon=en-sw.tsv --language=sw --text=english.txt -n 5

Each line of the file is a document; those shown are from all over it. The settings of the intervention are flags,
with the meaning that --config.link.* has in training; --ratio_of=words is measured on this file."""
# Settings of training alone: they need its data, or change nothing that can be seen.
_NOT_SHOWN = (
    "scramble",
    "random_targets",
    "schedule",
    "ratio_end",
    "ratio_steps",
    "language_weights",
    "loss_on_swapped",
)
_MOST_LINES, _MOST_CHARACTERS = 1_000_000, 1 << 20


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the command line; ends the program with exit code 2 on a mistake of the user's."""
    with errors_as_sentences():
        arguments = vars(_parser().parse_args(argv))
        settings = LinkSettings(**{field.name: arguments[field.name] for field in _shown_settings()})
        language = arguments["language"]
        lexicon = read_lexicon(arguments["lexicon"], ReadOptions(language=language))
        texts = _lines(arguments["text"])
        shares = None
        if settings.ratio_of == "words":
            measuring = Substitution({language: lexicon}, dataclasses.replace(settings, ratio_of="eligible"))
            shares = measuring.eligible_shares(texts)
        substitution = Substitution({language: lexicon}, settings, eligible_shares=shares)
        count = min(arguments["n"], len(texts))
        chosen = [texts[index * len(texts) // count] for index in range(count)]
        terminal = sys.stdout.isatty()
        width = shutil.get_terminal_size((120, 24)).columns
        documents = []
        for text in chosen:
            done = substitution(document_id(arguments["component"], text.encode()), text, arguments["pass_index"])
            documents.append(done)
            lines = list(side_by_side(text, done, width, terminal))
            cut = ["..."] if len(lines) > arguments["lines"] else []
            print(*lines[: arguments["lines"]], *cut, sep="\n", end="\n\n")
        print(summary(documents))


def _lines(path: pathlib.Path) -> list[str]:
    with open_text(path) as file:
        lines = itertools.islice(iter(functools.partial(file.readline, _MOST_CHARACTERS), ""), _MOST_LINES)
        texts = [line.rstrip("\r\n") for line in lines if line.strip()]
    if not texts:
        raise UserError(f"{path} has no text.")
    return texts


def _parser() -> argparse.ArgumentParser:
    layout = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser("python -m linkjax.substitution", description=_ABOUT, formatter_class=layout)
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    preview = verbs.add_parser("preview", help="show text before and after", description=_ABOUT, formatter_class=layout)
    preview.add_argument("--lexicon", required=True, type=pathlib.Path, help="word list of any format")
    preview.add_argument("--text", required=True, type=pathlib.Path, help="English text, a document a line; .gz too")
    preview.add_argument("--language", default="", help="code of the target language, e.g. sw")
    preview.add_argument("-n", type=_positive, default=5, help="how many documents to show (default 5)")
    preview.add_argument("--lines", type=_positive, default=16, help="of each document, at most (default 16)")
    preview.add_argument(
        "--pass_index", type=_pass, default=0, help="which pass over the corpus (default 0, the first)"
    )
    preview.add_argument(
        "--component", default="local_text_english", help="the SeqIO task whose swaps these are (default %(default)s)"
    )
    for field in _shown_settings():
        kind = _truth if isinstance(field.default, bool) else type(field.default)
        text = f"{field.metadata['help']} (default {field.default!r})".replace("%", "%%")
        preview.add_argument(f"--{field.name}", type=kind, default=field.default, help=text, metavar="VALUE")
    return parser


def _shown_settings() -> list[dataclasses.Field]:
    return [field for field in dataclasses.fields(LinkSettings) if field.name not in _NOT_SHOWN]


def _truth(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise argparse.ArgumentTypeError(f"'{text}' is neither True nor False")
    return text.lower() == "true"


def _pass(text: str) -> int:
    if not text.isdecimal() or int(text) >= 2**32:
        raise argparse.ArgumentTypeError(f"'{text}' is no pass: 0, 1, 2 ..., below 2^32")
    return int(text)


def _positive(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"'{text}' is no number from 1 on")
    return int(text)


if __name__ == "__main__":
    main()
