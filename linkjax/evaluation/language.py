"""How well a model reads held-out text of a language, and how much of its row that text takes."""

from typing import Any

import numpy as np

from linkjax.data.encoder import Encoder
from linkjax.data.pipeline import make_substitution, swaps_words
from linkjax.data.prepared import Prepared
from linkjax.data.tokenizer import AnyTokenizer
from linkjax.evaluation.scoring import PackedSequences, ScoreRows
from linkjax.substitution import LinkSettings

ENGLISH = "en"


class HeldoutText:
    """The held-out documents of one language, packed once.

    Documents longer than a row are read in stretches, each without what came before.
    """

    def __init__(self, texts: list[str], tokenizer: AnyTokenizer, *shape: int):
        """Args: `shape`, as `PackedSequences` takes it."""
        ids = [tokenizer.encode(text) for text in texts]
        self._packed = PackedSequences([(one, 0) for one in ids], *shape, start=tokenizer.start)
        self.bytes = np.array([len(text.encode()) for text in texts])
        self.words = sum(len(text.split()) for text in texts)
        self.tokens = np.array([len(one) for one in ids])

    def __len__(self) -> int:
        """Batches."""
        return len(self._packed)

    def bits_per_byte(self, score_rows: ScoreRows) -> float:
        """Over UTF-8 bytes, without the end of a document (as lm-evaluation-harness has it)."""
        losses, _ = self._packed.score(score_rows)
        return float(losses.sum() / np.log(2) / self.bytes.sum())

    def measure(self, score_rows: ScoreRows) -> dict[str, Any]:
        """bits_per_byte; the median and mean over documents of their perplexity per token, which no two tokenizers
        share; and each document's own."""
        losses, _ = self._packed.score(score_rows)
        perplexities = np.exp(losses / np.maximum(self.tokens, 1))
        return {
            "documents": len(self.bytes),
            "bytes": int(self.bytes.sum()),
            "tokens": int(self.tokens.sum()),
            "bits_per_byte": float(losses.sum() / np.log(2) / self.bytes.sum()),
            "perplexity_median": float(np.median(perplexities)),
            "perplexity_mean": float(np.mean(perplexities)),
            "perplexity_by_document": perplexities.tolist(),
            "bytes_by_document": self.bytes.tolist(),
            "bits_per_byte_by_document": (losses / np.log(2) / np.maximum(self.bytes, 1)).tolist(),
        }


def heldout_texts(prepared: Prepared, tokenizer: AnyTokenizer, *shape: int) -> dict[str, HeldoutText]:
    """By language; those that have none are left out."""
    result = {}
    for language in prepared.languages:
        texts = [
            document.text
            for component in prepared.components
            if component["language"] == language
            for document in prepared.heldout(component)
        ]
        if texts:
            result[language] = HeldoutText(texts, tokenizer, *shape)
    return result


def token_premiums(texts: dict[str, HeldoutText]) -> dict[str, dict[str, float | None]]:
    """What a language's text costs in tokens, and how many times that is what English costs (None without English).

    By bytes and by words between white space: on texts that say different things neither is the premium of Petrov et
    al. (2023, arXiv 2305.15425), which compares translations. Bytes flatter scripts of several bytes a letter, and
    words mean nothing where there are no spaces.
    """
    costs = {
        language: {
            "tokens_per_byte": text.tokens.sum() / text.bytes.sum(),
            "tokens_per_word": text.tokens.sum() / max(text.words, 1),
        }
        for language, text in texts.items()
    }
    english = costs.get(ENGLISH)
    return {
        language: {
            **{name: float(value) for name, value in cost.items()},
            "token_premium_by_bytes": english and float(cost["tokens_per_byte"] / english["tokens_per_byte"]),
            "token_premium_by_words": english and float(cost["tokens_per_word"] / english["tokens_per_word"]),
        }
        for language, cost in costs.items()
    }


class SwappedText:
    """Held-out English with its words swapped as in the run's training, in its first pass and at its end."""

    def __init__(self, prepared: Prepared, link: LinkSettings, tokenizer: AnyTokenizer, *shape: int):
        substitution = make_substitution(prepared, link)
        documents = [
            document
            for component in prepared.components
            if swaps_words(component)
            for document in prepared.heldout(component)
        ]
        encoded = []
        if substitution and documents:
            encoder = Encoder(tokenizer, substitution)
            encoded = encoder.encode(documents, [0] * len(documents), [1.0] * len(documents))
        self._packed = PackedSequences([(one.tokens_T.tolist(), 0) for one in encoded], *shape, start=tokenizer.start)
        self._swapped = np.concatenate([one.swapped_T for one in encoded] or [np.zeros(0)]) > 0

    def __len__(self) -> int:
        """Batches."""
        return len(self._packed)

    def measure(self, score_rows: ScoreRows) -> dict[str, float | int | None]:
        """Mean cross-entropy (nats) of swapped-in tokens and of the others; None where there are none."""
        losses = np.concatenate(self._packed.token_losses(score_rows) or [np.zeros(0)])
        result: dict[str, float | int | None] = {}
        for name, chosen in (("swapped", self._swapped), ("unswapped", ~self._swapped)):
            result[f"loss_{name}"] = float(losses[chosen].mean()) if chosen.any() else None
            result[f"tokens_{name}"] = int(chosen.sum())
        return result
