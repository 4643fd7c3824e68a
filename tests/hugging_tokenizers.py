"""Tokenizers as models of Hugging Face's have them, trained small.

Pipelines: GPT-2, Qwen3, Llama 3, SmolLM, Llama 2 as their `tokenizer.json` on huggingface.co describe them; and two of
no model's, one that joins words and one that looks words up by their likeliest pieces.
"""

import json
import pathlib

import tokenizers
from tokenizers import Regex, decoders, models, normalizers, pre_tokenizers, processors, trainers

QWEN = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
LLAMA3 = QWEN.replace(r"\p{N}|", r"\p{N}{1,3}|")
TWO_WORDS = r"\p{L}+ \p{L}+|."
END = "<|endoftext|>"


def train(kind, lines, size=600):
    """The tokenizer as the library has it."""
    return {"llama2": _llama2, "unigram": _unigram}.get(kind, _byte_level)(kind, lines, size)


def write(kind, lines, folder, size=600):
    """A model's folder without the model."""
    folder.mkdir(parents=True, exist_ok=True)
    train(kind, lines, size).save(str(folder / "tokenizer.json"))
    return folder


def reference(folder: pathlib.Path):
    """The library's own, which makes no special tokens of text."""
    own = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    own.encode_special_tokens = True
    return lambda text: own.encode(text, add_special_tokens=False).ids


def _byte_level(kind, lines, size):
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=kind in ("gpt2", "smollm"))
    splits = {"qwen": QWEN, "llama3": LLAMA3, "two_words": TWO_WORDS}
    first = [pre_tokenizers.Split(Regex(splits[kind]), "isolated")] if kind in splits else []
    if kind == "smollm":
        first = [pre_tokenizers.Digits(individual_digits=True)]
    made = tokenizers.Tokenizer(models.BPE(ignore_merges=kind == "llama3"))
    made.pre_tokenizer = pre_tokenizers.Sequence([*first, byte_level])
    made.decoder = decoders.ByteLevel()
    if kind == "qwen":
        made.normalizer = normalizers.NFC()
    specials = ["<|begin_of_text|>", "<|end_of_text|>"] if kind == "llama3" else [END, "<|im_end|>"]
    trainer = trainers.BpeTrainer(
        vocab_size=size, initial_alphabet=byte_level.alphabet(), special_tokens=specials, show_progress=False
    )
    made.train_from_iterator(lines, trainer)
    if kind == "llama3":
        made.post_processor = _prepending(specials[0], 0)
    return made


def _llama2(kind, lines, size):
    made = tokenizers.Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>", fuse_unk=True))
    made.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")  # to train alone: merges stay within words
    specials = ["<unk>", "<s>", "</s>"]
    trainer = trainers.BpeTrainer(
        vocab_size=size, special_tokens=[*specials, *(f"<0x{byte:02X}>" for byte in range(256))], show_progress=False
    )
    made.train_from_iterator(lines, trainer)
    described = json.loads(made.to_str()) | {"pre_tokenizer": None}
    described["added_tokens"] = [token for token in described["added_tokens"] if token["content"] in specials]
    made = tokenizers.Tokenizer.from_str(json.dumps(described))
    made.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    made.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    made.post_processor = _prepending("<s>", 1)
    return made


def _unigram(kind, lines, size):
    made = tokenizers.Tokenizer(models.Unigram())
    made.pre_tokenizer, made.decoder = pre_tokenizers.Metaspace(prepend_scheme="first"), decoders.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=size, special_tokens=["<pad>", "</s>", "<unk>"], unk_token="<unk>", show_progress=False
    )
    made.train_from_iterator(lines, trainer)
    return made


def _prepending(name, number):
    return processors.TemplateProcessing(single=f"{name} $A", special_tokens=[(name, number)])
