"""Fusion: the embeddings of a row's views -> one vector, whichever of them are present.

A fusion comes in two forms, as encoders do: a small frozen description (`GatedFusion(drop=0.3)`) that prints, compares
and saves, and the module it builds. All take z (B, V, d) and present (B, V); what stands in an absent place is never
read. `drop` hides views at random while training (modality dropout), so that the model learns to do without.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from bouba.declared import Declared
from bouba.errors import UsageError
from bouba.nn.traced_layer import traced_layer


def kept_views(present: Tensor, drop: float) -> Tensor:
    """bool (B, V): each view that is present stays with probability 1 - drop; at least one, where there is one.

    Args:
        present: bool (B, V). drop: in [0, 1).

    Reference: Neverova et al. 2016, ModDrop.
    """
    uniform = torch.rand(present.shape, device=present.device).masked_fill(~present, -1.0)
    return present & ((uniform >= drop) | (uniform == uniform.amax(1, keepdim=True)))


@dataclass(frozen=True)
class Fusion(Declared, ABC):
    """Description of a fusion.

    Args:
        drop: probability in [0, 1) that a view is hidden while training; one always stays.
    """

    drop: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.drop < 1:
            raise UsageError(f"drop is a probability in [0, 1), got {self.drop}")

    @property
    def hiding(self) -> float:
        """How often a view is hidden while training: `drop`."""
        return self.drop

    def embedding_width(self, dim: int) -> int:
        """The width of the embeddings that it makes a vector of width `dim` of: as wide, by default."""
        return dim

    @abstractmethod
    def build(self, views: int, dim: int) -> nn.Module:
        """The module: z (B, views, embedding_width(dim)), present bool (B, views) -> (B, dim)."""


class _Concat(nn.Module):
    def __init__(self, spec: ConcatFusion, views: int, dim: int):
        super().__init__()
        self.absent = nn.Parameter(torch.zeros(views, dim))
        layers = [nn.LayerNorm(views * dim), nn.Linear(views * dim, spec.hidden), nn.GELU(), nn.Dropout(spec.dropout)]
        self.layers = nn.Sequential(*layers, nn.Linear(spec.hidden, dim))

    def forward(self, z: Tensor, present: Tensor) -> Tensor:
        return self.layers(torch.where(present[:, :, None], z, self.absent.to(z.dtype)).flatten(1))


@dataclass(frozen=True)
class ConcatFusion(Fusion):
    """All embeddings side by side, then an MLP: y = W2 gelu(W1 [z_1; ...; z_V] + b1) + b2.

    An absent view is a trained vector of its own, never zeros. The richest in what it can express about views
    together, and the one that most needs `drop` where views are missing at prediction.

    Args:
        hidden: width of the hidden layer. dropout: on it, while training.
    """

    hidden: int = 256
    dropout: float = 0.1

    def build(self, views: int, dim: int) -> nn.Module:
        return _Concat(self, views, dim)


class _Sum(nn.Module):
    def forward(self, z: Tensor, present: Tensor) -> Tensor:
        return torch.where(present[:, :, None], z, 0).sum(1)


@dataclass(frozen=True)
class SumFusion(Fusion):
    """y = sum of z_v over the views that are present.

    Under a linear head the evidence of the views adds up, as in a product of experts: a row with one view gets
    less sure predictions than a row with six. The steadiest where many views are missing.

    Reference: Hinton 2002, Training Products of Experts.
    """

    def build(self, views: int, dim: int) -> nn.Module:
        return _Sum()


class _Gated(nn.Module):
    def __init__(self, views: int, dim: int):
        super().__init__()
        self.value = nn.Parameter(torch.empty(views, dim, dim))
        self.gate = nn.Parameter(torch.empty(views, dim, dim))
        self.bias = nn.Parameter(torch.zeros(2, views, dim))
        for weights in (*self.value, *self.gate):
            nn.init.xavier_uniform_(weights)

    def forward(self, z: Tensor, present: Tensor) -> Tensor:
        z = torch.where(present[:, :, None], z, 0)
        values = torch.tanh(torch.einsum("bvd,vde->bve", z, self.value) + self.bias[0])
        gates = torch.einsum("bvd,vde->bve", z, self.gate) + self.bias[1]
        return (values * masked_softmax(gates, present[:, :, None])).sum(1)


def masked_softmax(scores: Tensor, present: Tensor) -> Tensor:
    """Softmax over dimension 1 among what is present; zeros in a row where nothing is."""
    scores = scores.masked_fill(~present, torch.finfo(scores.dtype).min)
    return torch.where(present, scores.softmax(1), 0)


@dataclass(frozen=True)
class GatedFusion(Fusion):
    """Each coordinate is shared out among the views by gates that they compute: y = sum_v g_v * tanh(W_v z_v).

        g = softmax over the views that are present of G_v z_v, a coordinate at a time

    A view without information in a row can get a small weight. Good where which view to trust changes from row to row.

    Reference: Arevalo et al. 2017, Gated Multimodal Units. Departure: a view's gate reads that view alone and the
    gates of a row sum to 1, so that absent views are left out exactly.
    """

    def build(self, views: int, dim: int) -> nn.Module:
        return _Gated(views, dim)


class _Attention(nn.Module):
    def __init__(self, spec: AttentionFusion, views: int, dim: int):
        super().__init__()
        if dim % spec.heads:
            raise UsageError(f"dim must be a multiple of heads, got {dim} and {spec.heads}")
        self.which = nn.Parameter(0.02 * torch.randn(views, dim))
        self.asker = nn.Parameter(0.02 * torch.randn(1, 1, dim))
        layer = nn.TransformerEncoderLayer(
            dim, spec.heads, 2 * dim, spec.dropout, "gelu", batch_first=True, norm_first=True
        )
        self.layers = nn.TransformerEncoder(layer, spec.layers, nn.LayerNorm(dim), enable_nested_tensor=False)

    def forward(self, z: Tensor, present: Tensor) -> Tensor:
        tokens = torch.where(present[:, :, None], z + self.which.to(z.dtype), 0)
        tokens = torch.cat([self.asker.to(z.dtype).expand(z.shape[0], 1, -1), tokens], 1)
        hidden = torch.cat([torch.zeros_like(present[:, :1]), ~present], 1)
        if not torch.jit.is_tracing():
            return self.layers(tokens, src_key_padding_mask=hidden)[:, 0]
        for layer in self.layers.layers:
            tokens = traced_layer(layer, tokens, hidden)
        return tokens[:, 0] if self.layers.norm is None else self.layers.norm(tokens[:, 0])


@dataclass(frozen=True)
class AttentionFusion(Fusion):
    """A transformer over the views of a row, read at a learnt token; absent views are masked.

    Views may change one another's meaning before they are summed. Needs more rows than the others.

    Args:
        heads, layers: of the transformer; dim must be a multiple of heads. dropout: while training.

    Reference: Vaswani et al. 2017; Tsai et al. 2019, Multimodal Transformer (departure: one token a view).
    """

    heads: int = 4
    layers: int = 1
    dropout: float = 0.1

    def build(self, views: int, dim: int) -> nn.Module:
        return _Attention(self, views, dim)


class _LowRank(nn.Module):
    def __init__(self, spec: LowRankFusion, views: int, dim: int):
        super().__init__()
        self.factor = nn.Parameter(torch.empty(views, dim, spec.rank, dim))
        self.shift = nn.Parameter(torch.ones(views, spec.rank, dim))  # the appended 1 of [z; 1]
        nn.init.normal_(self.factor, std=dim**-0.5)
        self.mix = nn.Parameter(torch.randn(spec.rank) * spec.rank**-0.5)

    def forward(self, z: Tensor, present: Tensor) -> Tensor:
        factors = torch.einsum("bvd,vdre->bvre", torch.where(present[:, :, None], z, 0), self.factor) + self.shift
        product = torch.where(present[:, :, None, None], factors, 1).prod(1)  # (B, rank, dim)
        return torch.einsum("bre,r->be", product - 1, self.mix)


@dataclass(frozen=True)
class LowRankFusion(Fusion):
    """Every product of coordinates of different views, by a tensor of low rank.

        y = sum_r m_r (prod_v W_vr [z_v; 1] - 1)

    The product runs over the views that are present; the factor of an absent one is 1.

    Args:
        rank: of the tensor.

    Reference: Zadeh et al. 2017, Tensor Fusion Network; Liu et al. 2018, Efficient Low-rank Multimodal Fusion.
    Departures: absent views leave the product, and a row without any view gives 0.
    """

    rank: int = 8

    def build(self, views: int, dim: int) -> nn.Module:
        return _LowRank(self, views, dim)


@dataclass(frozen=True)
class StackedFusion(Fusion):
    """Another fusion, whose predictions are then stacked with those of each view alone: one weight a member, none below
    0, fitted on rows that the members were not trained on; see `bouba.learner.stacking.Stack`.

    The network is trained as with `inner`. Then it is trained `folds` times more, each time without a part of the rows
    (whole keys and groups), to predict these from all views together and from each alone; a linear head on log
    probabilities, or on numbers, is fitted to that. Where a view is missing its member gives what is known without any.

    Take it where late fusion and joint fusion are about as good, each on other rows; it costs `folds` trainings more.
    For FusionClassifier, FusionRegressor and MultitaskLearner. `saliency` explains the joint prediction alone.

    Args:
        inner: the fusion of the network. folds: parts of the rows, 2 or more. drop: see Fusion; of `inner` when 0.

    Reference: Wolpert 1992, Stacked Generalization; Breiman 1996, Stacked Regressions.
    """

    inner: Fusion = SumFusion()
    folds: int = 4

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.folds < 2:
            raise UsageError(f"folds is 2 or more, got {self.folds}")
        if isinstance(self.inner, StackedFusion):
            raise UsageError("StackedFusion takes a fusion that is not stacked itself")

    @property
    def hiding(self) -> float:
        return self.joint.drop

    @property
    def joint(self) -> Fusion:
        """The fusion that is trained."""
        return replace(self.inner, drop=self.drop or self.inner.drop)

    def embedding_width(self, dim: int) -> int:
        return self.inner.embedding_width(dim)

    def build(self, views: int, dim: int) -> nn.Module:
        return self.inner.build(views, dim)
