"""A layer of a Transformer as a tracer follows it: nn.MultiheadAttention would fix the numbers of rows and places."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def traced_layer(layer: nn.Module, states: Tensor, past: Tensor) -> Tensor:
    """What a layer that normalises first makes of states (B, L, width) where it does not learn.

        h = h + attention(norm(h)),   h = h + MLP(norm(h))

    Args:
        past: bool (B, L), the places that nobody attends to.
    """
    assert isinstance(layer, nn.TransformerEncoderLayer), "that normalises first"
    attention = layer.self_attn
    heads, width = attention.num_heads, attention.head_dim
    projected = F.linear(layer.norm1(states), attention.in_proj_weight, attention.in_proj_bias)
    query, key, value = (part.unflatten(-1, (heads, width)).transpose(1, 2) for part in projected.chunk(3, -1))
    scores = query @ key.transpose(2, 3) / width**0.5  # (B, heads, L, L)
    weights = scores.masked_fill(past[:, None, None], torch.finfo(scores.dtype).min).softmax(-1)
    states = states + attention.out_proj((weights @ value).transpose(1, 2).flatten(2))
    return states + layer.linear2(layer.activation(layer.linear1(layer.norm2(states))))
