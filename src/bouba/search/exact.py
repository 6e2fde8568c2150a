"""Exact search: one product over a matrix finds the few cells that may be among the best, which float64 then scores.

The product, in float32 or of 8-bit codes, is off by less than a bound that is known. A cell whose product is below
that of the kth by more than twice the bound cannot be among the k best, so the answer does not depend on which product
was taken: codes read a quarter of the bytes and give the same hits.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np

from bouba.search.matrix import AT_ONCE, LARGEST_CODE, Extent

ONE, SEVERAL = 1 << 17, 1 << 14  # cells multiplied at a time with one query, or with several, which then stay in cache
QUERIES = 256  # at a time
GROUP = 128  # neighbouring cells of which the best is looked at first
GATHERED = 0.25  # share of the cells that pass a filter up to which only these are read
CODED = 1 << 22  # numbers in a matrix from which reading codes saves time
UNIT, SMALLEST = 2.0**-24, 2.0**-126  # of float32: rounding of a number near 1, and the smallest that is exact
LARGEST = 1e37

Part = slice | np.ndarray


class Cells(Protocol):
    """What is multiplied: a Matrix, or one of narrower vectors; see there."""

    extent: Extent
    vectors: np.ndarray
    offsets: np.ndarray
    codes: np.ndarray
    scales: np.ndarray

    @property
    def live(self) -> np.ndarray | None: ...
    def __len__(self) -> int: ...


class Product(Protocol):
    """The products of queries with cells.

    Attributes:
        bound: (q,) how far they may be off.
    """

    bound: np.ndarray

    def scores(self, part: Part) -> np.ndarray:
        """(q, cells) float32."""


def nearest(
    matrix: Cells,
    queries: np.ndarray,
    k: int,
    *,
    euclidean: bool = False,
    passing: np.ndarray | None = None,
    codes: bool | None = None,
) -> list[tuple[np.ndarray, np.ndarray]]:
    """For each query the positions and the exact scores of the cells that may be among its k best, ties included.

    Args:
        queries: (q, d + m) float32, the last m minus the weights of the offsets.
        euclidean: score by minus the distance, else by the product less the weighted offsets.
        passing: positions in order of the cells to look at; None for all.
        codes: multiply codes, or vectors; None chooses what is faster here.
    """
    found = []
    for start in range(0, len(queries), QUERIES):
        some = queries[start : start + QUERIES]
        for query, positions in zip(some, _candidates(matrix, some, k, euclidean, passing, codes), strict=True):
            found.append((positions, exact_scores(matrix, positions, query, euclidean)))
    return found


def exact_scores(matrix: Cells, positions: np.ndarray, query: np.ndarray, euclidean: bool) -> np.ndarray:
    """(n,) float64: scores of cells, the same for equal cells wherever they stand."""
    scores = np.empty(len(positions))
    vector, weights = np.split(query.astype(np.float64), [matrix.vectors.shape[1]])
    for start in range(0, len(positions), AT_ONCE):
        some = positions[start : start + AT_ONCE]
        cells = matrix.vectors.take(some, axis=0).astype(np.float64)  # (n, d)
        part = -np.sqrt(((cells - vector) ** 2).sum(axis=1)) if euclidean else (cells * vector).sum(axis=1)
        if len(weights):
            part = part + (matrix.offsets[some].astype(np.float64) * weights).sum(axis=1)
        scores[start : start + AT_ONCE] = part
    return scores + 0.0  # -0.0 is 0


def _candidates(
    matrix: Cells, queries: np.ndarray, k: int, euclidean: bool, passing: np.ndarray | None, codes: bool | None
) -> list[np.ndarray]:
    """For each query the positions of all cells that may be among its k best."""
    few = passing is not None and len(passing) <= GATHERED * len(matrix)
    among = len(matrix) if passing is None else len(passing)
    if among <= k:
        return [_everything(matrix, passing)] * len(queries)
    scaled = _scaled(matrix, queries, euclidean)
    takes_codes = codes_are_faster() and matrix.codes.size >= CODED if codes is None else codes
    product: Product = CodeProduct(matrix, scaled) if takes_codes else FloatProduct(matrix, scaled)
    if not np.isfinite(product.bound).all():
        return [_everything(matrix, passing)] * len(queries)
    best = Shortlist(k, product.bound, among)
    closed = None if few else _closed(matrix, passing)
    for part in _parts(passing if few and passing is not None else len(matrix), ONE if len(queries) == 1 else SEVERAL):
        scores = product.scores(part)
        if closed is not None:
            scores += closed[part]
        best.take(part, scores)
    return best.positions()


def _everything(matrix: Cells, passing: np.ndarray | None) -> np.ndarray:
    """Positions of all cells that count."""
    if passing is not None:
        return passing
    return np.arange(len(matrix)) if matrix.live is None else np.flatnonzero(matrix.live)


def _closed(matrix: Cells, passing: np.ndarray | None) -> np.ndarray | None:
    """(n,) float32: -inf for cells that do not count, 0 for others; None where all count."""
    if passing is None and matrix.live is None:
        return None
    closed = np.full(len(matrix), -np.inf, np.float32)
    closed[matrix.live if passing is None else passing] = 0
    return closed


def _parts(cells: int | np.ndarray, size: int) -> Iterator[Part]:
    """All cells by their number, or those at some positions, a block at a time."""
    n = cells if isinstance(cells, int) else len(cells)
    for start in range(0, n, size):
        stop = min(start + size, n)
        yield slice(start, stop) if isinstance(cells, int) else cells[start:stop]


def _scaled(matrix: Cells, queries: np.ndarray, euclidean: bool) -> np.ndarray:
    """Queries (q, d + m) whose products order cells as their scores do: times a power of two, so that none is lost in
    float32; for distances, -|x - q|^2 / 2 = x.q - |x|^2 / 2 - |q|^2 / 2, with the squares as offsets."""
    if euclidean:
        return np.hstack([queries, np.full((len(queries), 1), -1, np.float32)])
    largest = np.abs(queries).max(axis=1, keepdims=True).astype(np.float64)
    return (queries * 2.0 ** -np.frexp(largest)[1]).astype(np.float32)


class FloatProduct:
    """In float32, which rounds each of its steps.

    Reference: Higham 2002, Accuracy and stability of numerical algorithms, equation 3.5.
    """

    def __init__(self, matrix: Cells, queries: np.ndarray):
        self._matrix = matrix
        self.vectors, self.weights = np.split(queries, [matrix.vectors.shape[1]], axis=1)
        steps, extent = 2 * (queries.shape[1] + 4), matrix.extent
        sizes = extent.length * _lengths(self.vectors) + extent.offset * _lengths(self.weights)
        self.bound = np.where(sizes < LARGEST, steps * (UNIT * sizes + SMALLEST), np.inf)

    def scores(self, part: Part) -> np.ndarray:
        """(q, cells) float32."""
        cells = _taken(self._matrix.vectors, part)
        products = (cells @ self.vectors[0])[None] if len(self.vectors) == 1 else self.vectors @ cells.T
        return _with_offsets(products, self._matrix, self.weights, part)


class CodeProduct:
    """Of 8-bit codes of cells and queries, by whole numbers."""

    def __init__(self, matrix: Cells, queries: np.ndarray):
        import torch

        self._matrix, self._multiply, self._tensor = matrix, torch._int_mm, torch.from_numpy
        vectors, self.weights = np.split(queries, [matrix.vectors.shape[1]], axis=1)
        scales = np.abs(vectors).max(axis=1, keepdims=True) / LARGEST_CODE
        scales = np.where(scales > 0, scales, 1).astype(np.float32)
        codes = np.rint(vectors / scales)
        self._codes, self._scales = self._tensor(codes.astype(np.int8)), scales
        rest = _lengths(vectors.astype(np.float64) - scales.astype(np.float64) * codes)
        extent = matrix.extent
        self.bound = (
            FloatProduct(matrix, queries).bound
            + extent.rounding * _lengths(vectors)
            + (extent.length + extent.rounding) * rest
        )

    def scores(self, part: Part) -> np.ndarray:
        """(q, cells) float32."""
        cells = self._tensor(_taken(self._matrix.codes, part))
        products = self._multiply(self._codes, cells.T).float().mul_(self._tensor(_taken(self._matrix.scales, part)))
        return _with_offsets(products.mul_(self._tensor(self._scales)).numpy(), self._matrix, self.weights, part)


def _taken(numbers: np.ndarray, part: Part) -> np.ndarray:
    """Some rows; by their number `take` is ten times as fast as [] where rows are short."""
    return numbers[part] if isinstance(part, slice) else numbers.take(part, axis=0)


def _with_offsets(products: np.ndarray, matrix: Cells, weights: np.ndarray, part: Part) -> np.ndarray:
    if weights.any():
        products += weights @ _taken(matrix.offsets, part).T
    return products


def _lengths(vectors: np.ndarray) -> np.ndarray:
    return np.sqrt((vectors.astype(np.float64) ** 2).sum(axis=1)) * (1 + 1e-9)


def codes_are_faster() -> bool:
    """Whether products of 8-bit numbers can be had at once: by torch, if it is loaded, on a processor made for them."""
    torch: Any = sys.modules.get("torch")
    return torch is not None and torch.backends.mkldnn.is_available() and torch.cpu._is_vnni_supported()


class Shortlist:
    """The cells that may be among the k best of each query, while products come in.

    The kth best of the best of groups is one that k cells reach, so only groups that reach it are looked into.

    Args:
        bound: (q,) how far a product may be off. among: number of cells that will come.
    """

    def __init__(self, k: int, bound: np.ndarray, among: int):
        self._k, self._slack = k, 2 * bound
        self._size = GROUP
        while self._size > 1 and among // self._size < 8 * k:
            self._size //= 2
        self._best = np.full((len(bound), k), -np.inf, np.float32)  # of groups, the kth best first
        self._found: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []

    def take(self, part: Part, scores: np.ndarray) -> None:
        """Products (q, cells) of the cells of a part; -inf for a cell that does not count."""
        grouped = scores.shape[1] // self._size * self._size
        first = part.start if isinstance(part, slice) else part
        self._take(first, 0, scores[:, :grouped], self._size)
        self._take(first, grouped, scores[:, grouped:], 1)

    def _take(self, first: int | np.ndarray, start: int, scores: np.ndarray, size: int) -> None:
        if not scores.size:
            return
        groups = scores.reshape(len(scores), -1, size)
        best = groups.max(axis=2) if size > 1 else groups[:, :, 0]  # (q, groups)
        joined = np.hstack([self._best, best])
        self._best = np.partition(joined, -self._k, axis=1)[:, -self._k :]
        least = np.maximum(self._best[:, 0] - self._slack, np.finfo(np.float32).min)
        query, group = np.nonzero(best >= least[:, None])
        cells = groups[query, group]  # (groups, size)
        which, place = np.nonzero(cells >= least[query, None])
        places = start + group[which] * size + place
        positions = first + places if isinstance(first, int) else first[places]
        self._found.append((query[which], positions, cells[which, place]))

    def positions(self) -> list[np.ndarray]:
        """For each query, in order."""
        queries, positions, scores = (np.concatenate(part) for part in zip(*self._found, strict=True))
        found = []
        for query, slack in enumerate(self._slack):
            own = queries == query if len(self._slack) > 1 else slice(None)
            place, score = positions[own], scores[own]
            kth = np.partition(score, -self._k)[-self._k] if len(score) > self._k else -np.inf
            found.append(place[score >= kth - slack])
        return found
