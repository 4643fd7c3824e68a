"""A new tokenizer in an old one's place: trained on text with the old one's settings, or a given one."""

import copy
import json
from collections.abc import Sequence

import tokenizers
from tokenizers import models, pre_tokenizers, trainers

from linkjax.data.tokenizer import Tokenizer, train_tokenizer
from linkjax.errors import UserError
from linkjax.vocabulary.texts import Text
from linkjax.vocabulary.tokens import Vocabulary
from linkjax.vocabulary.trimming import renumber

_ALPHABET = 2000  # characters that get a token of their own; of the others, their bytes do
_OWN_PIECES = 259  # of a trained SentencePiece model that are no pieces of text: bytes, pad, end and unknown


def train(vocabulary: Vocabulary, texts: Sequence[Text], size: int) -> Vocabulary:
    """A vocabulary of up to `size` ids, trained on texts: of the same model, special tokens and rules for words.

    Special tokens and single bytes that stand before all others in the old vocabulary do so in the new one, with the
    same ids; the others follow after the trained ones.

    Raises:
      UserError: `size` has no room for them.
    """
    fixed = [
        id
        for id, meaning in enumerate(vocabulary.meanings)
        if isinstance(meaning, tuple) or id in vocabulary.kept_apart or vocabulary.is_byte[id]
    ]
    front = [id for index, id in enumerate(fixed) if id == index]
    back = fixed[len(front) :]
    room = size - len(fixed)
    if room < 1:
        raise UserError(
            f"--vocabulary_size={size} is less than the {len(fixed)} special tokens and bytes of {vocabulary.place}"
            " and one more: choose a larger one."
        )
    specification = copy.deepcopy(vocabulary.specification)
    model = specification["model"]
    known = {vocabulary.tokens[id] for id in fixed}
    if vocabulary.kind == "BPE":
        learned, model["merges"] = _learn_merges(vocabulary, texts, room + 256)
        learned = [token for token in learned if token not in known][:room]
    else:
        scores = learn_pieces(texts, room)
        learned = sorted((piece for piece in scores if piece not in known), key=lambda piece: -scores[piece])[:room]
    tokens = [
        *(vocabulary.tokens[id] for id in front), *learned, *(vocabulary.tokens[id] for id in back)
    ]  # fmt: skip
    ids = {token: id for id, token in enumerate(tokens)}
    if vocabulary.kind == "BPE":
        model["vocab"] = ids
        model["merges"] = [pair for pair in model["merges"] if {*pair, "".join(pair)} <= ids.keys()]
    else:
        old = dict(model["vocab"])
        unknown = vocabulary.tokens[model["unk_id"]] if model.get("unk_id") is not None else None
        model["vocab"] = [[token, scores.get(token, old.get(token, 0.0))] for token in tokens]
        model["unk_id"] = ids.get(unknown)
    renumber(specification, ids)
    return Vocabulary(specification, f"the tokenizer trained in place of {vocabulary.place}")


def _learn_merges(vocabulary: Vocabulary, texts: Sequence[Text], size: int) -> tuple[list[str], list[list[str]]]:
    backend = tokenizers.Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        show_progress=False,
        limit_alphabet=_ALPHABET,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet() if vocabulary.writing == "bytes" else [],
    )
    stretches = (
        stretch
        for text in texts
        for stretch, count in sorted(text.stretches(vocabulary).items())
        for _ in range(count)
        if stretch.strip()
    )
    backend.train_from_iterator(stretches, trainer)
    model = json.loads(backend.to_str())["model"]
    return sorted(model["vocab"], key=model["vocab"].__getitem__), model["merges"]


def learn_pieces(texts: Sequence[Text], room: int) -> dict[str, float]:
    """Pieces of a Unigram model trained on texts, with their scores."""
    lines = (line for text in texts for line in text.lines.elements())
    trained = Tokenizer(train_tokenizer(lines, room + _OWN_PIECES, "unigram"))
    processor = trained.processor
    return {
        trained.piece(id): processor.get_score(id)
        for id in range(len(trained))
        if not (processor.is_byte(id) or processor.is_control(id) or processor.is_unknown(id))
    }
