"""Looks into a checkpoint's model: alignment of the languages, and confusion of them.

    python -m linkjax.probe --checkpoint=runs/swahili
    python -m linkjax.probe --checkpoint=runs/swahili --parallel=verses.en-sw.tsv

Word translation: is an English word's vector nearest to that of one of its translations, among those of all words of
the lexicon? For entries that training swapped, and for those that `link.holdout` kept from it. Sentence retrieval: the
same of whole sentences, lines `english<TAB>translation` of --parallel. Confusion: the share of the other languages'
words in what the model writes after the beginnings of held-out texts, and the probability that it gives the other
languages' pieces in held-out text. Beside each number stands what guessing gives.
"""

import json
import pathlib
import sys
from typing import Any

import numpy as np

from linkjax import config as configs
from linkjax.data.prepared import Prepared
from linkjax.errors import UserError
from linkjax.evaluation.probes import Languages, layers, sentence_retrieval, vectors, word_translation
from linkjax.files import open_text
from linkjax.generate import generate
from linkjax.lexicon.controls import holdout
from linkjax.model.sampling import Sampling
from linkjax.training.load import Loaded, load
from linkjax.training.processes import check_alone
from linkjax.training.run_files import write_whole
from linkjax.training.sharding import row_parts

_SAMPLE_BYTES = 2_000_000  # of each component's training text, to know its words and pieces
_PROMPTS, _PROMPT_WORDS, _WRITTEN = 64, 12, 32
_TEXT_TOKENS = 64  # of a word or sentence that is looked at
_MOST_PAIRS = 2000


def probe(model: Loaded, prepared: Prepared, pairs: list[tuple[str, str]]) -> dict[str, Any]:
    """word_translation: language -> part of the lexicon -> layer; sentence_retrieval: layer; confusion: language."""
    names = layers(model.trainer)
    length = min(_TEXT_TOKENS, model.settings.sequence_length)

    def vectors_of(texts: list[str]) -> np.ndarray:
        return vectors(model.trainer, model.params, model.tokenizer, texts, length)

    link, translation = model.settings.link, {}
    for language, lexicon in prepared.lexicons.items():
        kept, heldout = holdout(lexicon, link.holdout, link.seed)
        parts = {"swapped": kept.entries, "held out": heldout.entries}
        translation[language] = {part: word_translation(of, vectors_of, names) for part, of in parts.items() if of}
    return {
        "word_translation": translation,
        "sentence_retrieval": sentence_retrieval(pairs, vectors_of, names) if pairs else {},
        "confusion": confusion(model, prepared),
    }


def confusion(model: Loaded, prepared: Prepared) -> dict[str, dict[str, float]]:
    """By language with held-out text: foreign words of what is written, and foreign probability while reading."""
    samples: dict[str, list[str]] = {}
    heldout: dict[str, list[str]] = {}
    for component in prepared.components:
        language = component["language"]
        samples.setdefault(language, []).extend(d.text for d in prepared.sample(component, _SAMPLE_BYTES))
        heldout.setdefault(language, []).extend(document.text for document in prepared.heldout(component))
    languages, found = Languages(samples, model.tokenizer), {}
    for language, all_texts in heldout.items():
        count = min(len(all_texts), _PROMPTS)  # from all over: files have an order
        texts = [all_texts[number * len(all_texts) // count] for number in range(count)]
        halves = [text.split() for text in texts]
        beginnings = [" ".join(words[: min(len(words) // 2, _PROMPT_WORDS)]) for words in halves]
        room = model.settings.sequence_length - 1
        prompts = [text for text in beginnings if text and len(model.tokenizer.encode(text)) < room]
        if not prompts:
            continue
        written = [model.tokenizer.decode(ids) for ids in generate(model, prompts, Sampling(), _WRITTEN)]
        words, real = (languages.foreign_words(language, of) for of in (written, texts))
        found[language] = {
            "foreign_words": words["share"],
            "words": words["words"],
            "foreign_words_of_heldout_text": real["share"],
            "foreign_probability": _foreign_probability(model, texts, languages.foreign_pieces(language)),
        }
    return found


def _foreign_probability(model: Loaded, texts: list[str], pieces_V: np.ndarray) -> float:
    """Mean over the tokens of held-out texts, each cut to a row, a row or so at a time: logits take room."""
    trainer, length = model.trainer, model.settings.sequence_length
    rows = row_parts(trainer.mesh)
    total, count = 0.0, 0
    for start in range(0, len(texts), rows):
        some = [model.tokenizer.encode(text)[: length - 1] for text in texts[start : start + rows]]
        tokens_BxL, segments_BxL = np.zeros((2, rows, length), np.int32)
        tokens_BxL[:, 0] = model.tokenizer.start
        for row, ids in enumerate(some):
            tokens_BxL[row, 1 : len(ids) + 1] = ids
            segments_BxL[row, : len(ids)] = 1
        positions_BxL = np.tile(np.arange(length, dtype=np.int32), (rows, 1))
        batch = {"tokens_BxL": tokens_BxL, "segments_BxL": segments_BxL, "positions_BxL": positions_BxL}
        mass_BxL = np.asarray(trainer.mass(model.params, trainer.place_whole(batch), pieces_V))
        total += float(mass_BxL[segments_BxL > 0].sum())
        count += int(segments_BxL.sum())
    return total / max(count, 1)


def read_pairs(path: pathlib.Path) -> list[tuple[str, str]]:
    """Lines `english<TAB>translation`, the first 2,000.

    Raises:
      UserError: a line is not like that, or there are fewer than two.
    """
    pairs = []
    with open_text(path) as file:
        for number, line in enumerate(file, start=1):
            parts = line.rstrip("\r\n").split("\t")
            if len(parts) != 2 or not all(part.strip() for part in parts):
                raise UserError(f"{path}, line {number} is not 'english<TAB>translation': {line.strip()[:80]!r}.")
            pairs.append((parts[0], parts[1]))
            if len(pairs) == _MOST_PAIRS:
                break
    if len(pairs) < 2:
        raise UserError(f"{path} has {len(pairs)} pairs of sentences: it takes two at least, better hundreds.")
    return pairs


def table(found: dict[str, Any]) -> str:
    """The best layer of each, beside the embeddings."""
    lines = []
    for language, parts in found["word_translation"].items():
        for part, by_layer in parts.items():
            lines += _lines(f"word translation {language}, {part}", by_layer)
    lines += _lines("sentence retrieval", found["sentence_retrieval"])
    for language, of in found["confusion"].items():
        written, real, mass = (100 * of[name] for name in ("foreign_words", "foreign_words_of_heldout_text",
                                                           "foreign_probability"))  # fmt: skip
        beside = f"of {of['words']} written; {real:.1f} % of held-out text itself"
        lines.append(f"  {f'foreign words after {language}':<36} {written:6.1f} %  {beside}")
        lines.append(f"  {f'foreign probability in {language}':<36} {mass:6.1f} %")
    return "\n".join(lines) or "  nothing could be probed: there is no lexicon and no held-out text"


def _lines(what: str, by_layer: dict[str, dict[str, float]]) -> list[str]:
    if not by_layer:
        return []
    best = max(by_layer, key=lambda layer: by_layer[layer]["precision"])
    shown = list(dict.fromkeys(["input", best, "output"]))
    return [
        f"  {what:<36} {100 * by_layer[layer]['precision']:6.1f} %  chance {100 * by_layer[layer]['chance']:.2f} %"
        f"  {layer}{' (best)' if layer == best else ''}, {by_layer[layer]['n']} asked"
        for layer in shown
    ]


def run(checkpoint: str, data: str, parallel: str, out: str) -> None:
    if not checkpoint:
        raise UserError("--checkpoint is missing: name a run's folder, RUN or RUN@STEP.")
    pairs = read_pairs(pathlib.Path(parallel)) if parallel else []
    check_alone("linkjax.probe")
    model = load(checkpoint)
    prepared = Prepared(pathlib.Path(data or model.settings.data or model.run / "data"))
    found = {"checkpoint": str(model.run), "step": model.step, **probe(model, prepared, pairs)}
    print(table(found))
    path = pathlib.Path(out) if out else model.run / "evaluation" / f"{model.step}-probes.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, json.dumps(found, indent=1, ensure_ascii=False) + "\n")
    print(f"\nwritten to {path}")


if __name__ == "__main__":
    options = {
        "checkpoint": ("", "a run's folder, RUN for its newest checkpoint or RUN@STEP"),
        "data": ("", "prepared folder with lexicon and held-out text; default: the run's own"),
        "parallel": ("", "file of sentences and their translations, english<TAB>translation"),
        "out": ("", "results file; default: RUN/evaluation/STEP-probes.json"),
    }
    configs.main_without_config(run, __doc__, options, sys.argv)
