"""Text encoder trained from scratch: a Transformer over subwords learnt from the data."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from bouba.errors import UsageError
from bouba.towers.portable import Portable
from bouba.towers.spec import Learned
from bouba.towers.text import SubwordEncoder, SubwordSpec
from bouba.towers.traced import TracedTransformer


class TransformerEncoder(SubwordEncoder):
    """Subword numbers (B, L) -> features (B, width), the mean over real places after the last layer."""

    def __init__(self, spec: Transformer, learned: Learned):
        super().__init__(spec, learned)
        width = self.width = spec.width
        self.places = nn.Embedding(spec.longest, width)
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(
                width, spec.heads, 4 * width, spec.dropout, "gelu", batch_first=True, norm_first=True
            )
            for _ in range(spec.layers)
        )  # each with numbers of its own; nn.TransformerEncoder would start them as copies of one
        self.norm = nn.LayerNorm(width)

    def portable(self) -> Portable:
        return self.portable_as(TracedTransformer(self))

    def forward(self, tokens: Tensor, words: Tensor | None = None) -> Tensor:
        embedded, lengths = self.embedded(tokens)
        places = torch.arange(embedded.shape[1], device=tokens.device)
        past = places >= lengths[:, None]  # (B, L)
        states = self.dropout(embedded + self.places(places))  # (B, L, width)
        for layer in self.layers:
            states = layer(states, src_key_padding_mask=past)
        return self.norm(states).masked_fill(past[:, :, None], 0.0).sum(1) / lengths[:, None]


@dataclass(frozen=True)
class Transformer(SubwordSpec):
    """A Transformer over subwords, mean-pooled: features (B, width). For the other arguments see SubwordSpec.

        h_0 = embedding + place,   h = h + attention(norm(h)),   h = h + MLP(norm(h)),   features = mean norm(h_last)

    Every word attends to every other, so that it compares words far apart. LSTM needs fewer texts to learn order;
    NGrams ignores it and trains fastest.

    Args:
        layers: how many. heads: of the attention in each; they divide `width`.

    Reference: Vaswani et al. 2017, Attention Is All You Need (encoder); Xiong et al. 2020 (the norm before each part).
    Departures: position embeddings are learnt, mean-pooling.

    >>> transformer = Transformer(width=16, vocabulary=60)
    >>> encoder = transformer.build(transformer.learn(["a red apple", "a yellow pear"]))
    >>> encoder(**encoder.prepare(["an apple", "a pear and a red apple"])).shape
    torch.Size([2, 16])
    """

    layers: int = 2
    heads: int = 4

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.layers < 1 or self.heads < 1 or self.width % self.heads:
            raise UsageError(
                f"a Transformer has 1 layer or more, and heads that divide its width; got layers={self.layers}, "
                f"heads={self.heads}, width={self.width}"
            )

    def build(self, learned: Learned) -> TransformerEncoder:
        return TransformerEncoder(self, learned)
