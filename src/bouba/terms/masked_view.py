"""Masked views: what a row's other views say together must tell which cell the hidden view holds."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from torch import Tensor, nn

from bouba.batch import picked
from bouba.errors import ModalityError, UsageError
from bouba.nn.by_view import ByView
from bouba.nn.decoder import decoder_for
from bouba.nn.temperature import Temperature
from bouba.terms.checks import check_views
from bouba.terms.info_nce import info_nce
from bouba.terms.reconstruction import reconstruction
from bouba.terms.rows import averaged, negatives, of_chance, summed
from bouba.terms.term import Needs, Parts, Space, Term

if TYPE_CHECKING:
    from bouba.batch import Batch


class MaskedState(nn.Module):
    """What MaskedView learns: tau, or a decoder a view."""

    def __init__(self, temperature: Temperature | None, decoders: ByView | None):
        super().__init__()
        self.temperature, self.decoders = temperature, decoders


@dataclass(frozen=True)
class MaskedView(Term):
    """Each view of a row in turn is hidden, and the vector fused from the rest predicts it.

        L = 1/|V| sum over views v in V of info_nce(f(z_u, u != v), z_v; tau),   over rows with v and another view
        with `raw`  1/|V| sum_v mean || raw_v - g_v(f(z_u, u != v)) ||^2

    f is the fusion, which it trains; with `drop` in it, other views are hidden at random besides. Afterwards
    `model.fuse(rows)` of rows that lack v lies beside `model.embed(...)["v"]`: several views together find a cell of
    another. InfoNCE compares views two by two and cannot learn what only two of them together tell;
    Reconstruction(fused=True) decodes what the fused vector may have read. A prediction that is told from those of
    other rows cannot collapse, as one by squared error of embeddings may.

    Args:
        views: which views are hidden; all when None.
        temperature: start of tau. learn: train it, as InfoNCE does.
        raw: give back the hidden cell itself, as Reconstruction does, in place of its embedding.
        hidden: width of the decoders' hidden layer, with `raw`.

    Logs `temperature` and `of_chance` as InfoNCE; with `raw` the cost of each view.

    References: Assran et al. 2023, Self-Supervised Learning from Images with a Joint-Embedding Predictive Architecture,
    section 3 (embeddings of what is hidden from the rest); van den Oord et al. 2018, equation 4 (by contrast); Bachmann
    et al. 2022, MultiMAE (`raw`, views as what is hidden). Departures: whole views are hidden, one at a time.

    >>> MaskedView(("audio",))
    MaskedView(views=('audio',), temperature=0.07, learn=True, raw=False, hidden=256)
    """

    views: tuple[str, ...] | None = None
    temperature: float = 0.07
    learn: bool = True
    raw: bool = False
    hidden: int = 256

    def needs(self) -> Needs:
        return Needs(pairs=True, unpaired=False, fused=True, rest=True, raw=self.raw, aligns=not self.raw)

    def state(self, space: Space) -> MaskedState:
        if space.fused is None:
            raise UsageError("MaskedView needs a fusion, for example fusion=GatedFusion()")
        if len(space.dims) < 2:
            raise UsageError(f"MaskedView needs two views or more, got {len(space.dims)}; name another column")
        check_views("MaskedView names", self.views, space.dims)
        names = self.views or tuple(space.raw if self.raw else space.dims)
        if not self.raw:
            if any(space.dims[view] != space.fused for view in names):
                raise UsageError(
                    "MaskedView compares the fused vector with embeddings; take a fusion as wide as they are"
                )
            return MaskedState(Temperature(self.temperature, trainable=self.learn), None)
        closed = ", ".join(repr(view) for view in names if view not in space.raw)
        if closed or not names:
            raise ModalityError(f"MaskedView cannot give back {closed or 'any view'}: no raw form of the encoder")
        decoders = {view: decoder_for(space.fused, space.raw[view], hidden=self.hidden) for view in names}
        return MaskedState(None, ByView(decoders))

    def loss(self, batch: Batch, state: MaskedState) -> tuple[Tensor | None, Parts]:
        costs, rivals, parts = [], [], Parts()
        for view in self.views or batch.rest:
            rows = batch.rows_where(partial(_with_company, view))
            count = len(batch.rows if rows is None else rows)
            if count < (1 if self.raw else 2):
                continue
            rest = picked(batch.rest[view], rows)
            if state.decoders is not None:
                if view in state.decoders:
                    costs.append(reconstruction(rest, picked(batch.raw[view], rows), state.decoders[view]))
                    parts[view] = costs[-1].detach()
                continue
            key = None if batch.key is None else picked(batch.key, rows)
            assert state.temperature is not None, "without decoders there is one"
            costs.append(info_nce(rest, picked(batch.z[view], rows), temperature=state.temperature(), key=key))
            rivals.append(negatives(key, count, rest.device))
        if state.temperature is not None:
            parts["temperature"] = state.temperature().detach()
        return averaged(costs), parts | (of_chance(summed(costs), rivals) if rivals else {})


def _with_company(view: str, batch: Batch) -> Tensor:
    """bool (B,), True where a row has a view, and another."""
    return batch.present[view] & (batch.view_counts > 1)
