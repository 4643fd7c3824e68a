"""The grammar of the vocabulary command line, and what its help says."""

import argparse
import pathlib

from linkjax.arguments import Parser
from linkjax.lexicon.scripts import scripts_in
from linkjax.vocabulary.aids import METHODS

_ABOUT = """\
Gives a finished model another vocabulary: a folder in Hugging Face's layout in, such a folder out.

An English model cuts Swahili into crumbs: two or three tokens a word, which makes it slow and its context short.
'extend' adds tokens for the target language, 'replace' changes all of them, 'trim' drops those of scripts that nobody
needs here. Rows of the embeddings that the model has for a token are kept; the others are made by --method.
Then train on: python -m linkjax.train --config.init_from=OUT ... A verb explains itself: VERB --help."""

_HELP = {
    "extend": """\
Adds tokens for the target language. Every token keeps its id and its row.

Byte-pair models learn further merges on the target text, which come after all they have; Unigram models get pieces of a
model trained on it. With --english_text no token is added that would stand in that text: it is cut as before.

  python -m linkjax.vocabulary extend --model=qwen --target_text=sw.txt --english_text=en.txt \\
      --vocabulary_size=160000 --method=focus --out=qwen-sw""",
    "replace": """\
Puts another tokenizer in the place of the model's: a given one, or one trained on the texts, with the rules for words
and the special tokens of the old one.

Tokens that both have are copied (with WECHSEL and translation only special ones and bytes, as their authors do it).

  python -m linkjax.vocabulary replace --model=llama --tokenizer=swahili-model --method=salt \\
      --target_model=swahili-model --target_text=sw.txt --out=llama-sw""",
    "trim": """\
Drops tokens written in scripts that are not in use, or that do not stand in the texts given, or both. No row changes.

Text in the scripts that stay, or the texts given, is cut as before; other text gets more tokens or bytes.

  python -m linkjax.vocabulary trim --model=qwen --scripts=Latn --out=qwen-latin""",
}


def build_parser() -> argparse.ArgumentParser:
    parser = Parser(prog="python -m linkjax.vocabulary", description=_ABOUT)
    verbs = parser.add_subparsers(required=True, metavar="VERB", dest="verb")
    summaries = {
        "extend": "add tokens for the target language",
        "replace": "another tokenizer, given or trained",
        "trim": "drop tokens that are not in use",
    }
    for verb, summary in summaries.items():
        made = verbs.add_parser(verb, help=summary, description=_HELP[verb])
        made.add_argument("--model", type=pathlib.Path, required=True, help="folder with the model")
        made.add_argument("--out", type=pathlib.Path, required=True, help="folder to write; must not exist")
        made.add_argument("--target_text", default="", metavar="PATHS", help="text files of the target language, names"
                          " or globs with commas between, `.gz` too")  # fmt: skip
        made.add_argument("--english_text", default="", metavar="PATHS", help="the same in English")
        made.add_argument("--json", action="store_true", help="print the report as one JSON object")
        if verb == "trim":
            made.add_argument("--scripts", type=_scripts, default=(), help="codes of ISO 15924, commas between: Latn")
            continue
        made.add_argument("--vocabulary_size", type=_count, default=0, help="ids of the new tokenizer, at most")
        made.add_argument("--method", choices=METHODS, default="mean", help=_methods())
        made.add_argument("--word_vectors", type=pathlib.Path, help="of the target language, fastText's .vec")
        made.add_argument("--english_vectors", type=pathlib.Path, help="of English, for wechsel")
        made.add_argument("--target_model", type=pathlib.Path, help="folder of a target-language model, for salt, clp")
        made.add_argument("--lexicon", type=pathlib.Path, help="word list, for wechsel and translation")
        made.add_argument("--language", default="", metavar="sw", help="BCP 47 code of the word list's translations")
        made.add_argument("--seed", type=_seed, default=0, help="of random rows and trained word vectors (default 0)")
        if verb == "replace":
            made.add_argument("--tokenizer", type=pathlib.Path, help="folder with tokenizer.json and what stands beside"
                              " it; trained on the texts where left out")  # fmt: skip
    return parser


def _methods() -> str:
    return "where new rows come from (default mean). " + "; ".join(f"{name}: {text}" for name, text in METHODS.items())


def _scripts(text: str) -> tuple[str, ...]:
    found: list[str] = []
    for script in filter(None, map(str.strip, text.split(","))):
        if (parts := scripts_in(script)) is None:
            raise argparse.ArgumentTypeError(f"'{script}' is no script that is known: give codes, as Latn, Cyrl, Hans")
        found += sorted(parts)
    return tuple(found)


def _count(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) < 2**24:
        raise argparse.ArgumentTypeError(f"'{text}' is no size of a vocabulary: give a number from 1 to 2^24 - 1")
    return int(text)


def _seed(text: str) -> int:
    if not text.isdecimal() or int(text) >= 2**32:
        raise argparse.ArgumentTypeError(f"'{text}' is no seed: give a whole number from 0 to 2^32 - 1")
    return int(text)
