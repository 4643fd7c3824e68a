"""Small models in Hugging Face's layout, with random weights and tokenizers trained on a few lines."""

import json
import pathlib

import ml_dtypes
import numpy as np
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors, trainers

from linkjax.data.tokenizer import train_tokenizer
from linkjax.huggingface.folder import Tensor, write_folder
from linkjax.huggingface.tokenizer import to_config, to_json

WIDTH = 8
ENGLISH = [
    "The brown dog jumps over the lazy dog, and the other dogs bark at it in the dark.",
    "Water is good for you, as bread is, and salt on the bread is better than sugar.",
    "She said that there are 12 houses and 340 trees between the river and the road.",
] * 5
SWAHILI = [
    "Mbwa mwitu anaruka juu ya mbwa mvivu, na mbwa wengine wanabweka gizani.",
    "Maji ni mazuri kwako, kama mkate, na chumvi kwenye mkate ni bora kuliko sukari.",
    "Alisema kwamba kuna nyumba 12 na miti 340 kati ya mto na barabara, na mbwa.",
] * 5


def byte_level(ignore_merges: bool = False) -> dict:
    """A tokenizer as Qwen's: byte-level BPE, special tokens after all others; or as Llama 3's,
    which ignores merges and puts a token before a text.
    """
    tokenizer = Tokenizer(models.BPE(ignore_merges=ignore_merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=320, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(ENGLISH, trainer)
    tokenizer.add_special_tokens([AddedToken("<|endoftext|>", special=True), AddedToken("<|im_end|>", special=True)])
    if ignore_merges:
        start = [("<|im_end|>", tokenizer.token_to_id("<|im_end|>"))]
        tokenizer.post_processor = processors.TemplateProcessing(single="<|im_end|> $A", special_tokens=start)
    return json.loads(tokenizer.to_str())


def metaspace() -> dict:
    """A tokenizer as Llama 2's in its newer form: special tokens and bytes before all others."""
    tokenizer = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
    back = [decoders.ByteFallback(), decoders.Metaspace(prepend_scheme="first")]
    tokenizer.decoder = decoders.Sequence(back)
    first = ["<unk>", "<pad>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    trainer = trainers.BpeTrainer(vocab_size=400, special_tokens=first, show_progress=False)
    tokenizer.train_from_iterator(ENGLISH, trainer)
    said = json.loads(tokenizer.to_str())
    said["added_tokens"] = said["added_tokens"][:3]
    return said


def sentencepiece(kind: str, size: int = 380) -> dict:
    """A tokenizer as LinkJAX exports it."""
    return to_json(train_tokenizer(ENGLISH, size, kind))


KINDS = {
    "byte-level": byte_level,
    "byte-level, merges ignored": lambda: byte_level(ignore_merges=True),
    "metaspace": metaspace,
    "bpe": lambda: sentencepiece("bpe"),
    "unigram": lambda: sentencepiece("unigram"),
}


def write_model(
    folder: pathlib.Path, specification: dict, *, tied: bool = True, spare: int = 0, dtype=np.float32, seed: int = 0
) -> pathlib.Path:
    """A Llama of one layer. `spare` rows of its embeddings are of no token."""
    model = specification["model"]["vocab"]
    size = max(len(model), 1 + max(token["id"] for token in specification["added_tokens"])) + spare
    names = {token["content"]: token["id"] for token in specification["added_tokens"]}
    end = "</s>" if "</s>" in names else "<|endoftext|>"
    rng = np.random.default_rng(seed)
    shapes = {
        "model.embed_tokens.weight": (size, WIDTH),
        "model.layers.0.input_layernorm.weight": (WIDTH,),
        "model.layers.0.mlp.down_proj.weight": (WIDTH, 16),
        "model.layers.0.mlp.gate_proj.weight": (16, WIDTH),
        "model.layers.0.mlp.up_proj.weight": (16, WIDTH),
        "model.layers.0.post_attention_layernorm.weight": (WIDTH,),
        **{f"model.layers.0.self_attn.{name}_proj.weight": (WIDTH, WIDTH) for name in "kqvo"},
        "model.norm.weight": (WIDTH,),
        **({} if tied else {"lm_head.weight": (size, WIDTH)}),
    }
    tensors = {name: Tensor.of(rng.standard_normal(shape).astype(dtype)) for name, shape in shapes.items()}
    config = {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": size, "hidden_size": WIDTH,
        "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 2,
        "head_dim": 4, "hidden_act": "silu", "rms_norm_eps": 1e-6, "rope_theta": 10000.0, "max_position_embeddings": 64,
        "tie_word_embeddings": tied, "bos_token_id": None, "eos_token_id": names[end],
        "dtype": "bfloat16" if dtype == ml_dtypes.bfloat16 else "float32",
    }  # fmt: skip
    files = {
        "tokenizer.json": json.dumps(specification),
        "tokenizer_config.json": json.dumps(to_config("<pad>" if "<pad>" in names else None, end, None, 64)),
        "generation_config.json": json.dumps({"eos_token_id": [names[end]]}),
    }
    write_folder(folder, config, tensors, files)
    return folder
