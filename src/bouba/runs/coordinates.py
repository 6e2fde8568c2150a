"""Where the rows of an index lie on a map of two dimensions: t-SNE of some of them, all others beside their nearest."""

from __future__ import annotations

import contextlib
import os
import uuid
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bouba.runs.indexing import FUSED
from bouba.runs.known import WHOLE
from bouba.search.ways import row_vectors

if TYPE_CHECKING:
    from bouba.search import Index
    from bouba.search.listing import Listing

FOLDER = "map"
MOST = 5000  # rows that t-SNE places
DIRECTIONS = 50  # principal directions that it is given
NEAREST = 3  # of its rows, beside which each other row is placed
TAU = 0.05  # of the cosines to them, by which they are weighed
JITTER = 0.003  # of the width of the map, so that points do not fall together
FEWEST = 5  # rows below which there is nothing to arrange
AT_ONCE = 8192  # rows that are placed at a time
TSNE_SHARE = 0.5  # of the progress
Progress = Callable[[float], None]


@dataclass(frozen=True)
class Map:
    """The rows of an index as points.

    Args:
        rows: (n,) int64, ascending. x, y: (n,) float32 in [0, 1].
    """

    rows: np.ndarray
    x: np.ndarray
    y: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)


def coordinates(index: Index, progress: Progress = lambda share: None) -> Map:
    """One point a row of an index: near each other where rows are alike.

    A row is its vector of the whole row where the index has one, else the mean direction of its cells, each without the
    mean of its view. At most MOST rows, evenly taken, are placed by t-SNE of their first DIRECTIONS principal
    components; every other row at the mean of the NEAREST of these, weighed by exp(cosine / TAU). The same index gives
    the same map. Memory does not grow with the rows but for the points themselves.

    Args:
        progress: takes the share that is done.

    Reference: van der Maaten and Hinton 2008, Visualizing data using t-SNE; Kobak and Berens 2019, The art of using
        t-SNE for single-cell transcriptomics (PCA as a start; new points at their nearest neighbours').
    """
    listing = index.listing
    n = len(listing.rows)
    anchors = np.unique(np.linspace(0, n - 1, min(n, MOST)).round().astype(np.int64))
    vectors_at = _row_vectors(listing, index, anchors)
    anchor_vectors = vectors_at(anchors)
    progress(0.0)
    placed = _arranged(anchor_vectors)
    progress(TSNE_SHARE if len(anchors) < n else 1.0)
    points = np.empty((n, 2), np.float32)
    if len(anchors) < n:
        for start in range(0, n, AT_ONCE):
            part = np.arange(start, min(start + AT_ONCE, n))
            points[part] = _beside(vectors_at(part), anchor_vectors, placed)
            progress(TSNE_SHARE + (1 - TSNE_SHARE) * (part[-1] + 1) / n)
        points += np.random.default_rng(0).normal(0, JITTER, points.shape).astype(np.float32)
    points[anchors] = placed
    x, y = points.clip(0, 1).T
    return Map(listing.rows, np.ascontiguousarray(x), np.ascontiguousarray(y))


def _row_vectors(listing: Listing, index: Index, some: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """From places to vectors (m, d) float32 of length one. The means of views are those of `some` places."""
    whole = next((view for view in (WHOLE, FUSED) if view in index.views), None)
    views = index.views if whole is None else (whole,)
    means = [_mean(listing.vectors(some, view)) if whole is None else np.zeros(index.dim) for view in views]

    def vectors(places: np.ndarray) -> np.ndarray:
        return row_vectors([listing.vectors(places, view) for view in views], means).astype(np.float32)

    return vectors


def _mean(vectors: np.ndarray) -> np.ndarray:
    """The mean direction of the cells that are there."""
    lengths = np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
    there = lengths[:, 0] > 0
    return (vectors[there] / lengths[there]).sum(axis=0) / max(int(there.sum()), 1)


def _arranged(vectors: np.ndarray) -> np.ndarray:
    """(m, 2) float32 in [0, 1] of vectors (m, d)."""
    if len(vectors) < FEWEST:
        return np.stack([np.linspace(0, 1, len(vectors)), np.full(len(vectors), 0.5)], axis=1).astype(np.float32)
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    components = min(DIRECTIONS, *vectors.shape)
    if not np.ptp(vectors, axis=0).any():
        return np.full((len(vectors), 2), 0.5, np.float32)
    reduced = PCA(components, random_state=0).fit_transform(vectors.astype(np.float64))
    perplexity = min(30.0, (len(vectors) - 1) / 3)
    points = TSNE(init="pca" if components > 1 else "random", perplexity=perplexity, random_state=0).fit_transform(
        reduced
    )
    middle, width = (points.max(axis=0) + points.min(axis=0)) / 2, float(np.ptp(points, axis=0).max())
    return np.asarray(0.5 + (points - middle) / max(width, 1e-12), np.float32)


def _beside(vectors: np.ndarray, anchors: np.ndarray, placed: np.ndarray) -> np.ndarray:
    """(m, 2) of vectors (m, d): the weighed mean of the places of their nearest anchors."""
    cosines = vectors @ anchors.T
    each, found = np.arange(len(vectors)), []
    for _ in range(min(NEAREST, len(anchors))):
        best = cosines.argmax(axis=1)  # a few times: much faster than to sort a part
        found.append((best, cosines[each, best]))
        cosines[each, best] = -np.inf
    best, near = (np.stack(part, axis=1) for part in zip(*found, strict=True))  # (m, NEAREST)
    weights = np.exp((near - near[:, :1]) / TAU)
    return np.einsum("mk,mkc->mc", weights / weights.sum(axis=1, keepdims=True), placed[best])


def kept(folder: Path, version: str) -> Map | None:
    """The map of a version of an index that a run folder keeps; None where there is none that is whole."""
    try:
        with np.load(_file(folder, version)) as arrays:
            return Map(arrays["rows"], arrays["x"], arrays["y"])
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None


def keep(folder: Path, version: str, made: Map) -> None:
    """Write it there in one step, and remove those of older versions; nothing where the folder cannot be written."""
    file = _file(folder, version)
    part = file.with_name(f"{file.name}.{uuid.uuid4().hex[:8]}.part")
    with contextlib.suppress(OSError):
        file.parent.mkdir(exist_ok=True)
        try:
            with part.open("wb") as out:
                np.savez(out, rows=made.rows, x=made.x, y=made.y)
            os.replace(part, file)
        finally:
            part.unlink(missing_ok=True)
        for other in file.parent.glob("*.npz"):
            if other != file:
                other.unlink(missing_ok=True)


def _file(folder: Path, version: str) -> Path:
    return folder / FOLDER / f"{version}.npz"


def map_of(run: Any, progress: Progress | None, compute: bool) -> Map | None:
    """The map of a Run's index: remembered, else kept in its folder, else made where `compute`."""
    version = run.index.name
    if version not in run.maps:
        made = kept(run._place.folder, version)
        if made is None:
            if not compute:
                return None
            made = coordinates(run.index, progress or (lambda share: None))
            keep(run._place.folder, version, made)
        run.maps.clear()
        run.maps[version] = made
    return run.maps[version]
