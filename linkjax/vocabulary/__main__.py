"""Another vocabulary for a model at the command line: `python -m linkjax.vocabulary --help`."""

import argparse
import functools
import json
import pathlib
import sys
from collections.abc import Sequence
from typing import Any

from tqdm import tqdm

from linkjax.errors import UserError, errors_as_sentences
from linkjax.huggingface.folder import Tensor, write_folder
from linkjax.lexicon import ReadOptions, read_lexicon
from linkjax.vocabulary.aids import Aids, EmbeddedModel
from linkjax.vocabulary.arguments import build_parser
from linkjax.vocabulary.extending import extend
from linkjax.vocabulary.initialisation import Initialisation
from linkjax.vocabulary.replacing import train
from linkjax.vocabulary.report import card, describe_rows, render
from linkjax.vocabulary.specials import files_of, moved_config, role_matches, roles_of
from linkjax.vocabulary.texts import Text
from linkjax.vocabulary.tokens import Vocabulary, match
from linkjax.vocabulary.trimming import trim

_BIAS = "lm_head.bias"


def main(argv: Sequence[str] | None = None) -> None:
    """Runs a verb; ends the program with exit code 2 on a mistake of the user's."""
    with errors_as_sentences():
        arguments = build_parser().parse_args(argv)
        report = run(arguments)
        print(json.dumps(report, ensure_ascii=False, indent=2) if arguments.json else render(report))


def run(arguments: argparse.Namespace) -> dict[str, Any]:
    """Writes the new folder and says what changed."""
    if arguments.out.exists() and not (arguments.out.is_dir() and not any(arguments.out.iterdir())):
        raise UserError(f"{arguments.out} exists: name a new folder, or remove it first.")
    model = EmbeddedModel(arguments.model)
    if _BIAS in model.folder.names:
        raise UserError(f"{arguments.model} has {_BIAS}, a number for each token, which is not supported here.")
    target = Text(arguments.target_text) if arguments.target_text else None
    english = Text(arguments.english_text) if arguments.english_text else None
    aids = _aids(arguments, target, english) if arguments.verb != "trim" else Aids()
    method = getattr(arguments, "method", "mean")
    aids.check(method)
    new, matched, beside = _CHANGES[arguments.verb](model, arguments, target, english)
    roles = roles_of(beside, new) if beside != arguments.model else {}
    for id, old in role_matches(model.folder.config, roles).items():
        matched[id] = old
    initialisation = Initialisation(method, model.vocabulary, new, matched, aids, keep=arguments.verb == "extend")
    made = {"input": initialisation.rows(model.rows(output=False))}
    if model.output:
        made["output"] = initialisation.rows(model.rows(output=True), output=True)
    names = {"input": model.input, "output": model.output}
    changed = {names[which]: Tensor.of(rows.rows_NxD) for which, rows in made.items()}
    folder = model.folder
    left_out = {"lm_head.weight"} - changed.keys()  # of tied embeddings: the same array under another name
    tensors = {name: changed.get(name) or folder.tensor(name) for name in folder.names if name not in left_out}
    texts = {"target text": target, "English text": english}
    report = {
        "ids": [len(model.vocabulary), len(new)],
        "method": None if arguments.verb == "trim" else method,
        "tokens_per_word": {
            name: [text.tokens_per_word(model.vocabulary), text.tokens_per_word(new)]
            for name, text in texts.items()
            if text
        },
        "rows": {which: describe_rows(rows) for which, rows in made.items()},
    }
    config = moved_config(folder.config, matched, len(made["input"].rows_NxD), roles)
    files = files_of(arguments.model, beside, new, matched, roles)
    files["README.md"] = card(arguments.model, arguments.verb, report)
    bar = functools.partial(tqdm, unit="tensor", leave=False, disable=not sys.stderr.isatty())
    write_folder(arguments.out, config, tensors, files, progress=bar)
    return report


def _aids(arguments: argparse.Namespace, target: Text | None, english: Text | None) -> Aids:
    lexicon = arguments.lexicon and read_lexicon(arguments.lexicon, ReadOptions(language=arguments.language))
    return Aids(
        target,
        english,
        arguments.word_vectors,
        arguments.english_vectors,
        EmbeddedModel(arguments.target_model) if arguments.target_model else None,
        lexicon,
        arguments.seed,
    )


_Change = tuple[Vocabulary, list[int | None], pathlib.Path]


def _extend(model: EmbeddedModel, arguments: argparse.Namespace, target: Text | None, english: Text | None) -> _Change:
    if not (target and arguments.vocabulary_size):
        raise UserError("extend learns new tokens: give --target_text and --vocabulary_size.")
    new = extend(model.vocabulary, target, english, arguments.vocabulary_size)
    matched = [*range(len(model.vocabulary)), *[None] * (len(new) - len(model.vocabulary))]
    return new, matched, arguments.model


def _replace(model: EmbeddedModel, arguments: argparse.Namespace, target: Text | None, english: Text | None) -> _Change:
    if arguments.tokenizer:
        new, beside = Vocabulary.load(arguments.tokenizer), arguments.tokenizer
        beside = beside if beside.is_dir() else beside.parent
    elif not (target and arguments.vocabulary_size):
        raise UserError("replace needs a tokenizer: give --tokenizer, or --target_text and --vocabulary_size.")
    else:
        new = train(model.vocabulary, [text for text in (target, english) if text], arguments.vocabulary_size)
        beside = arguments.model
    return new, match(new.meanings, model.vocabulary.meanings), beside


def _trim(model: EmbeddedModel, arguments: argparse.Namespace, target: Text | None, english: Text | None) -> _Change:
    new, kept = trim(model.vocabulary, arguments.scripts, [text for text in (target, english) if text])
    return new, list(kept), arguments.model


_CHANGES = {"extend": _extend, "replace": _replace, "trim": _trim}

if __name__ == "__main__":
    main()
