"""Closed forms as networks that can be traced, for programs without bouba: what reads a view, then its map."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from bouba.align.encoded import LEAST as LEAST_FEATURES
from bouba.align.encoded import Encoded
from bouba.align.features import CharacterGrams, Reduced
from bouba.align.maps import LEAST, Gaussian, Joined, Linear, Map, Narrowed, Relative
from bouba.align.plain import SIDE
from bouba.errors import UsageError
from bouba.towers.image import TOLERANCE
from bouba.towers.portable import Port, Portable, SideBySide, Steps, UnitRows, of_pictures, of_text

if TYPE_CHECKING:
    from bouba.align.closed_form import ClosedForm

WIDEST = 4096  # columns of a view whose map is found by trying
TRIED = 16  # rows by which it is judged whether a map is linear
TOLERATED = 1e-6  # of the largest number


class Affine(nn.Module):
    """(x - mean) W - offset, in double precision."""

    mean: Tensor
    weights: Tensor
    offset: Tensor

    def __init__(self, mean: np.ndarray, weights: np.ndarray, offset: Any = 0.0):
        super().__init__()
        for name, values in (("mean", mean), ("weights", weights), ("offset", offset)):
            self.register_buffer(name, _double(values))

    def forward(self, x: Tensor) -> Tensor:
        return (x.double() - self.mean) @ self.weights - self.offset


class GaussianKernel(nn.Module):
    """exp(-gamma |x - p_j|^2) - level_j of points p (m, d)."""

    points: Tensor
    level: Tensor

    def __init__(self, found: Gaussian):
        super().__init__()
        self.register_buffer("points", _double(found.points))
        self.register_buffer("level", _double(found.level))
        self.gamma = float(found.gamma)

    def forward(self, x: Tensor) -> Tensor:
        x = x.double()
        squared = (x * x).sum(1, keepdim=True) + (self.points * self.points).sum(1) - 2 * x @ self.points.T
        return torch.exp(squared.clamp(min=0) * -self.gamma) - self.level


class Similarities(nn.Module):
    """The largest similarities to anchors, to a power; see `maps.Relative`."""

    mean: Tensor
    anchors: Tensor

    def __init__(self, found: Relative):
        super().__init__()
        self.register_buffer("mean", _double(found.mean))
        self.register_buffer("anchors", _double(found.anchors))
        self.largest, self.power, self.unit = min(found.largest, len(found.anchors)), float(found.power), Unit()

    def forward(self, x: Tensor) -> Tensor:
        similarities = (self.unit(x.double() - self.mean) @ self.anchors.T).clamp(min=0)
        least = similarities.topk(self.largest, 1)[0][:, -1:]
        return torch.where(similarities >= least, similarities, torch.zeros_like(similarities)) ** self.power


class Unit(nn.Module):
    """Rows of length one, zeros for those without a direction; as `maps.unit`."""

    def forward(self, x: Tensor) -> Tensor:
        length = (x * x).sum(1, keepdim=True).sqrt()
        return torch.where(length > LEAST, x / length.clamp(min=LEAST), torch.zeros_like(x))


class Scaled(nn.Module):
    """c x, as float32 where `last`."""

    factor: Tensor

    def __init__(self, factor: Any, *, last: bool = False):
        super().__init__()
        self.register_buffer("factor", _double(factor))
        self.last = last

    def forward(self, x: Tensor) -> Tensor:
        return (x * self.factor).float() if self.last else x * self.factor


class Shared(nn.Module):
    """Networks of one input, their outputs side by side."""

    def __init__(self, networks: list[nn.Module]):
        super().__init__()
        self.inner = SideBySide(networks, [1] * len(networks))

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(*[x] * len(self.inner.networks))


class TfIdf(nn.Module):
    """Counts of n-grams (B, v) -> (1 + log count) idf of those that occur, with length one; in double precision."""

    idf: Tensor

    def __init__(self, idf: np.ndarray):
        super().__init__()
        self.register_buffer("idf", _double(idf))

    def forward(self, counts: Tensor) -> Tensor:
        counts = counts.double()
        weighted = torch.where(counts > 0, (1 + counts.clamp(min=1).log()) * self.idf, torch.zeros_like(counts))
        length = (weighted * weighted).sum(1, keepdim=True).sqrt()
        return weighted / torch.where(length > 0, length, torch.ones_like(length))


class Double(nn.Module):
    """The same in double precision."""

    def forward(self, x: Tensor) -> Tensor:
        return x.double()


def portable_view(model: ClosedForm, view: str, domain: str | None = None) -> Portable:
    """A fitted closed form for one view: what its cells become, and its part of the shared space (B, k).

    Args:
        domain: of the cells, where the model treats domains apart; None for one that is not known.

    Raises:
        UsageError: a reading or a map that has no network.
    """
    read = _reader(view, model.widths_[view], model.reducers_[view])
    steps = [_map(model, view, domain), Scaled(model._emphasis(view), last=True)]
    return replace(read, network=Steps(read.network, *steps))


def _reader(view: str, width: int, reducer: Any) -> Portable:
    """Cells -> features (B, d)."""
    if reducer is None:
        preparation = {"how": "numbers", "width": width}
        return Portable(nn.Identity(), {"values": Port("float32", (width,))}, preparation)
    if isinstance(reducer, Encoded):
        inner = reducer.encoder.portable_features()
        return replace(inner, network=Steps(inner.network, Double(), UnitRows(LEAST_FEATURES, keep=True)))
    if isinstance(reducer, Reduced) and reducer.kind in ("image", "vector"):
        network = Affine(reducer.mean, reducer.components.T)
        if reducer.kind == "vector":
            d = len(reducer.mean)
            return Portable(network, {"values": Port("float32", (d,))}, {"how": "numbers", "width": d})
        preparation = of_pictures(SIDE, crop=reducer.crop, tolerance=TOLERANCE)
        return Portable(Steps(Pixels(), network), {"pixels": Port("uint8", (3, SIDE, SIDE))}, preparation)
    if isinstance(reducer, CharacterGrams):
        rest = [] if reducer.components is None else [Affine(np.zeros(len(reducer.idf)), reducer.components.T)]
        counted = "of the lower-case text with runs of white space as one blank: for each word between blanks, with a "
        counted += "blank before and behind, its runs of 1 to 4 characters (a shorter word counts once, as it is)"
        grams = {"grams": counted, "vocabulary": list(reducer.vocabulary)}
        preparation = of_text("counts of n-grams", reducer.form, **grams)
        inputs = {"counts": Port("float32", (len(reducer.idf),))}
        return Portable(Steps(TfIdf(reducer.idf), *rest), inputs, preparation)
    kind = getattr(reducer, "kind", type(reducer).__name__)
    raise UsageError(f"the simple features of {kind} have no network; give view {view!r} a tower, or numbers")


class Pixels(nn.Module):
    """uint8 (B, 3, h, w) -> (B, h * w * 3) in [0, 1], as `plain_numbers` lays pictures out."""

    def forward(self, pixels: Tensor) -> Tensor:
        return (pixels.float() / 255).permute(0, 2, 3, 1).flatten(1).double()


def _map(model: Any, view: str, domain: str | None) -> nn.Module:
    """Features (B, d) -> variates (B, k) in double precision."""
    owner = getattr(model, "sides_", {}).get(view, view)
    maps = getattr(model, "maps_", None)
    if isinstance(maps, dict) and all(isinstance(found, Map) for found in maps.values()):
        network = _network(maps[owner])
        if centres := getattr(model, "centres_", None):
            mean = centres[owner].of_domain.get(domain or "", centres[owner].whole)
            return Steps(Less(mean), network)
        return network
    return _tried(model, view)


class Less(nn.Module):
    """x - mean, in double precision."""

    mean: Tensor

    def __init__(self, mean: np.ndarray):
        super().__init__()
        self.register_buffer("mean", _double(mean))

    def forward(self, x: Tensor) -> Tensor:
        return x.double() - self.mean


def _network(found: Map) -> nn.Module:
    """A map as a network. UsageError for a map of somebody else's."""
    match found:
        case Linear():
            return Affine(found.mean, found.weights)
        case Gaussian():
            return Steps(GaussianKernel(found), Affine(np.zeros(len(found.level)), found.weights, found.offset))
        case Relative():
            return Similarities(found)
        case Narrowed():
            return Steps(_network(found.inner), Affine(np.zeros(len(found.projection)), found.projection))
        case Joined():
            parts: list[nn.Module] = [
                Steps(_network(m), Unit(), Scaled(np.sqrt(w))) for m, w in zip(found.maps, found.weights)
            ]
            whole = Shared(parts)
            if found.projection is None:
                return whole
            return Steps(whole, Affine(np.zeros(len(found.projection)), found.projection), Unit())
    raise UsageError(f"a map by {type(found).__name__} has no network")


def _tried(model: Any, view: str) -> nn.Module:
    """The map of a view, found by projecting unit vectors and judged on others. UsageError where it is not linear."""
    d = model.widths_[view] if model.reducers_[view] is None else _width_of(model.reducers_[view])
    if d > WIDEST:
        raise UsageError(f"view {view!r} has {d:,} columns, and maps of up to {WIDEST:,} are exported")
    zero = model._project(view, np.zeros((1, d)))
    weights = model._project(view, np.eye(d)) - zero
    rows = np.random.default_rng(0).normal(size=(TRIED, d))
    expected, got = model._project(view, rows), rows @ weights + zero
    if not np.allclose(got, expected, rtol=0, atol=TOLERATED * max(1.0, float(np.abs(expected).max()))):
        raise UsageError(f"{type(model).__name__} maps {view!r} by more than a linear map, which has no network")
    return Affine(np.zeros(d), weights, -zero[0])


def _width_of(reducer: Any) -> int:
    if isinstance(reducer, Encoded):
        return reducer.encoder.width
    if isinstance(reducer, CharacterGrams) and reducer.components is None:
        return len(reducer.idf)
    return len(reducer.components)


def _double(values: Any) -> Tensor:
    return torch.as_tensor(np.array(values, dtype=np.float64))
