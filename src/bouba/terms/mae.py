"""MAE: what is hidden of a cell is decoded from the embedding of what is left."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from bouba.batch import picked
from bouba.errors import ModalityError, UsageError
from bouba.nn.by_view import ByView
from bouba.nn.decoder import decoder_for
from bouba.terms.checks import check_finite, check_views
from bouba.terms.rows import averaged
from bouba.terms.term import Needs, Parts, Space, Term


def masked_reconstruction(z: Tensor, raw: Tensor, hidden: Tensor, decoder: nn.Module) -> Tensor:
    """Mean squared error of the hidden numbers of a view, decoded from embeddings of what was not hidden.

        L = sum_ij m_ij (raw_ij - g(z_i)_j)^2 / sum_ij m_ij,   m_ij = 1 where number j of row i was hidden, else 0

    Args:
        z: (B, d) embeddings. raw: (B, p), the whole, of order 1 a number. hidden: bool (B, p).
        decoder: g, from (B, d) to (B, p).

    Returns:
        A scalar, float32 (float64 for float64 input); 0 where nothing is hidden.

    Raises:
        UsageError: shapes that do not fit. DataError: NaN or infinity in z or raw; names the row.

    Reference: He, Chen, Xie, Li, Dollar and Girshick 2022, Masked Autoencoders Are Scalable Vision Learners, section 3
    (the error is of masked patches alone).

    >>> hidden = torch.tensor([[True, False], [True, False]])
    >>> masked_reconstruction(torch.ones(2, 2), torch.tensor([[3.0, 9], [1, 9]]), hidden, nn.Identity())
    tensor(2.)
    """
    check_finite("z", z)
    check_finite("raw", raw)
    decoded = decoder(z)
    if not decoded.shape == raw.shape == hidden.shape or len(raw) == 0:
        shapes = f"decoded {tuple(decoded.shape)}, raw {tuple(raw.shape)} and hidden {tuple(hidden.shape)}"
        raise UsageError(f"masked_reconstruction needs three of one shape (B, p) with B >= 1, got {shapes}")
    error = (decoded.to(torch.promote_types(raw.dtype, torch.float32)) - raw).square()
    return error.masked_fill(~hidden, 0.0).sum() / hidden.sum().clamp(min=1)


@dataclass(frozen=True)
class MAE(Term):
    """Patches of a cell are hidden from its tower, and decoded from the embedding of the rest: a masked autoencoder.

        L = 1/|V| sum over views v of masked_reconstruction(z_v of what is left, raw_v, hidden_v, g_v)

    Pictures lose 8 x 8 patches in part and are decoded as thumbnails, sounds patches of their spectrogram, two
    sixteenths of the clip by an eighth of the bands, vectors numbers. A blank patch is middling grey, or the mean. It
    needs no twins and no pairs; Reconstruction hides nothing, and learns to copy what this learns to infer.

    Towers here give one embedding a cell and no tokens, so that the whole picture passes through the tower with its
    holes in it, and the decoder sees the embedding alone: what is hidden has to be inferred by the tower. The paper
    drops hidden patches, which saves time, and decodes from tokens, which lets a tower stay local.

    Args:
        share: of the patches that is hidden, in (0, 1).
        views: which views; all whose encoder can hide patches when None.
        hidden: width of each decoder's hidden layer; of pictures, four times the channels of the smallest maps.

    Logs `explained.<view>`: the share of the variance of what was hidden that comes back.

    Reference: He et al. 2022, Masked Autoencoders Are Scalable Vision Learners; Huang et al. 2022, Masked Autoencoders
    that Listen (spectrograms). Departures: see above; thumbnails and slices instead of all pixels and frames.

    >>> MAE(share=0.5, views=("image",))
    MAE(share=0.5, views=('image',), hidden=256)
    """

    share: float = 0.75
    views: tuple[str, ...] | None = None
    hidden: int = 256

    def needs(self) -> Needs:
        return Needs(embeddings=(), raw=True, masked=self.share, masked_views=self.views)

    def state(self, space: Space) -> ByView:
        check_views("MAE names", self.views, space.dims)
        possible = [view for view in space.masks if view in space.raw]
        refused = [view for view in self.views or space.dims if view not in possible]
        if refused and (self.views or not possible):
            raise ModalityError(
                f"MAE cannot hide a part of {', '.join(map(repr, refused))}: the encoder has no patches that could be "
                f"decoded; views that have: {', '.join(map(repr, possible)) or 'none'}"
            )
        if not 0 < self.share < 1:
            raise UsageError(f"share is of the patches that are hidden, above 0 and below 1, got {self.share}")
        if self.hidden < 1:
            raise UsageError(f"hidden must be at least 1, got {self.hidden}")
        views = self.views or possible
        return ByView({v: decoder_for(space.dims[v], space.raw[v], hidden=self.hidden) for v in views})

    def loss(self, batch, state):
        costs, parts = [], Parts()
        for view, decoder in state.items():
            rows = batch.rows_with(view)
            if rows is not None and not len(rows):
                continue
            z, raw, hidden = (picked(of[view], rows) for of in (batch.masked, batch.raw, batch.hidden))
            costs.append(masked_reconstruction(z, raw, hidden, decoder))
            deviations = (raw - raw.mean(0)).square().masked_fill(~hidden, 0.0).sum() / hidden.sum().clamp(min=1)
            parts[f"explained.{view}"] = 1 - costs[-1].detach() / deviations.clamp(min=1e-6)
        return averaged(costs), parts
