"""Reconstruction: a view has to be decodable from its embedding."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from bouba.batch import picked
from bouba.device import waits
from bouba.errors import ModalityError, UsageError
from bouba.nn.by_view import ByView
from bouba.nn.decoder import decoder_for
from bouba.terms.checks import check_finite, check_views
from bouba.terms.rows import averaged
from bouba.terms.term import Needs, Space, Term

if TYPE_CHECKING:
    from bouba.batch import Batch


def reconstruction(z: Tensor, raw: Tensor, decoder: nn.Module) -> Tensor:
    """Mean squared error of a view decoded from embeddings.

        L = 1/(B p) sum_i || raw_i - g(z_i) ||^2

    Args:
        z: (B, d) embeddings.
        raw: (B, p), what each should give back, of order 1 a coordinate.
        decoder: g, maps (B, d) to (B, p).

    Returns:
        The loss, a scalar, float32 (float64 for float64 input); 1 where each coordinate is off by 1.

    Raises:
        UsageError: shapes that do not fit. DataError: NaN or infinity in z or raw; names the row.

    Reference: Bourlard and Kamp 1988, Auto-association by multilayer perceptrons and singular value decomposition.

    >>> reconstruction(torch.ones(2, 3), torch.zeros(2, 3), nn.Identity())
    tensor(1.)
    """
    check_finite("z", z)
    check_finite("raw", raw)
    decoded = decoder(z)
    if decoded.shape != raw.shape or len(raw) == 0:
        raise UsageError(f"a decoder must give back raw {tuple(raw.shape)} with rows, gave {tuple(decoded.shape)}")
    error = decoded.to(torch.promote_types(raw.dtype, torch.float32)) - raw
    return error.square().mean()


@dataclass(frozen=True)
class Reconstruction(Term):
    """A decoder a view that gives the view back: numbers as they were standardised, pictures as thumbnails.

        L = 1/|V| sum over views v in V of reconstruction(z_v, raw_v, g_v),   over the rows that have the view

    Contrastive terms keep what the views share and may drop all else; this keeps what only one view holds.
    InfoNCE() + 0.1 * Reconstruction() is a contrastive encoder-decoder, Correlation() + 0.1 * Reconstruction() is
    DCCAE, and by itself it is an autoencoder a view, which needs no pairs. With `cross` every view is decoded from
    every view of its row, so that they must hold the same. With `fused` every view is decoded from the fused vector of
    its row, those that modality dropout hid from it too: a multimodal autoencoder.

    Args:
        views: which views to decode; all that can be when None.
        hidden: width of each decoder's hidden layer; of pictures, four times the channels of the smallest maps.
        cross: also decode each view from the embeddings of the row's other views, by the same decoder.
        fused: decode every view from the fused vector instead; needs a fusion.

    Logs `explained.<view>`: the share of the batch's variance that comes back, 1 - error / variance; 0 is what the
    mean alone would give. With `cross` also `explained.<view>.from.<other>`.

    References: Wang, Arora, Livescu and Bilmes 2015, On Deep Multi-View Representation Learning (DCCAE); Ngiam et al.
    2011, Multimodal Deep Learning (`cross`, `fused`). Departures: any number of views, masked missing views, a mean
    over coordinates, so that wide views do not outweigh narrow ones.

    >>> 0.1 * Reconstruction(hidden=64)
    0.1 * Reconstruction(views=None, hidden=64, cross=False, fused=False)
    """

    views: tuple[str, ...] | None = None
    hidden: int = 256
    cross: bool = False
    fused: bool = False

    def __post_init__(self) -> None:
        if self.cross and self.fused:
            raise UsageError("Reconstruction decodes from the other views (cross) or from the fused vector, not both")

    def needs(self) -> Needs:
        return Needs(raw=True, fused=self.fused)

    def state(self, space: Space) -> ByView:
        if self.fused and space.fused is None:
            raise UsageError("Reconstruction(fused=True) needs a fusion, for example fusion=SumFusion(drop=0.3)")
        check_views("Reconstruction names", self.views, space.dims)
        decodable = ", ".join(map(repr, space.raw)) or "none"
        closed = [view for view in self.views or () if view not in space.raw]
        if closed or not space.raw:
            cannot = ", ".join(map(repr, closed or space.dims))
            raise ModalityError(
                f"Reconstruction cannot decode {cannot}: the encoder has no raw form; views that can be: {decodable}"
            )
        if self.hidden < 1:
            raise UsageError(f"hidden must be at least 1, got {self.hidden}")
        widths = {view: space.fused if self.fused else space.dims[view] for view in self.views or space.raw}
        return ByView({v: decoder_for(width or 0, space.raw[v], hidden=self.hidden) for v, width in widths.items()})

    def loss(self, batch, state):
        costs, parts = [], {}
        for view, decoder in state.items():
            for source, z in self._sources(view, batch).items():
                rows = batch.rows_with(view, source)
                if rows is not None and not len(rows):
                    continue
                raw = picked(batch.raw[view], rows)
                value = reconstruction(picked(z, rows), raw, decoder)
                costs.append(value)
                variance = raw.var(0, correction=0).mean()
                if waits(variance.device) or variance > 0:
                    name = f"explained.{view}" if source == view else f"explained.{view}.from.{source}"
                    parts[name] = 1 - value.detach() / variance
        return averaged(costs), parts

    def _sources(self, view: str, batch: Batch) -> Mapping[str, Tensor]:
        """The embeddings a view is decoded from, by the view that has to be present for it."""
        if self.fused:
            return {} if batch.fused is None else {view: batch.fused}
        return batch.z if self.cross else {view: batch.z[view]}
