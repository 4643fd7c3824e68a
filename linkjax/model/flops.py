"""What a decoder of a shape costs: parameters, and floating-point operations of its matrix products.

A multiply-add is two operations. Per token of a row of L, forward: two for every weight of a matrix product, and for
attention 2 L H K in each layer: queries with keys and weights with values are 2 H K each for every key, and a causal
row has L / 2 keys on average. (Rows of several documents take fewer; they are counted as one document.) The embedding
lookup costs nothing, the vocabulary's projection is a matrix product like the others, norms, softmax and rotations are
left out. The backward pass costs twice the forward pass; what is computed again to save memory is not counted.
"""

from typing import NamedTuple

from linkjax.model.decoder import ModelSettings, padded_vocabulary


class Parameters(NamedTuple):
    """Numbers of weights: of the blocks with the last norm, and of the embeddings, input and output."""

    blocks: int
    embeddings: int

    @property
    def total(self) -> int:
        return sum(self)


class Flops(NamedTuple):
    """Per token in training, forward and backward."""

    blocks: int
    attention: int
    vocabulary: int

    @property
    def total(self) -> int:
        return sum(self)


def parameters(model: ModelSettings, vocabulary: int) -> Parameters:
    """Exact, with the padding of the vocabulary."""
    norms = 2 * model.width + (2 * model.head_width if model.qk_norm else 0)
    matrices = (1 if model.tied_embeddings else 2) * padded_vocabulary(vocabulary) * model.width
    return Parameters(model.layers * (_block_weights(model) + norms) + model.width, matrices)


def training_flops(model: ModelSettings, vocabulary: int, length: int) -> Flops:
    """See the head of this file."""
    return Flops(
        3 * 2 * model.layers * _block_weights(model),
        3 * 2 * model.layers * model.heads * model.head_width * length,
        3 * 2 * padded_vocabulary(vocabulary) * model.width,
    )


def _block_weights(model: ModelSettings) -> int:
    """In matrix products of one block."""
    attention = 2 * model.width * model.head_width * (model.heads + model.kv_heads)
    return attention + 3 * model.width * model.hidden
