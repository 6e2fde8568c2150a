"""Means and covariances of views with missing rows, in one pass, that add up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from scipy.linalg import blas

from bouba.errors import DataError

CHUNK = 32 * 2**20
"""Bytes of rows that are centred at once. Larger ones leave the cache, smaller ones add into `products` too often."""


@dataclass(frozen=True)
class Moments:
    """Sums over any number of rows that give means and covariances of M views of D columns in all.

    With z the rows less `shift`, zero where a view is missing, and p (M,) 1 where a view is present:

        counts    sum p p'      products    sum z z'      sums    sum z p'

    so that every pair of views is estimated from the rows that have both:

        S_ij = products_ij / n - (sums_i,j / n) (sums_j,i / n)',   n = counts_ij

    Rows with fewer than two views teach no correspondence and are left out, so two views give the classic analysis of
    complete cases. Moments of parts of the rows add up to the moments of the whole, whatever their shifts.

    Args:
        names: of the views. widths: their columns.
        shift: (D,) any point near the means; the nearer, the fewer digits are lost.
        counts: (M, M). sums: (D, M).
        products: (D, D), symmetric; None where the rows are kept instead.
        rows: (n, D + M), z beside p, kept where there are fewer than half as many rows as columns: 40 rows of 4,000
            columns need no 4,000 x 4,000 numbers. None elsewhere.

    >>> x, y = np.random.default_rng(0).normal(size=(2, 100, 3))
    >>> halves = Moments.of({"x": x[:50], "y": y[:50]}) + Moments.of({"x": x[50:], "y": y[50:]})
    >>> bool(np.allclose(halves.covariance("x", "y"), x.T @ y / 100 - np.outer(x.mean(0), y.mean(0))))
    True
    """

    names: tuple[str, ...]
    widths: tuple[int, ...]
    shift: np.ndarray
    counts: np.ndarray
    sums: np.ndarray
    products: np.ndarray | None
    rows: np.ndarray | None = None

    @classmethod
    def of(cls, data: Mapping[str, np.ndarray], present: Mapping[str, np.ndarray] | None = None) -> Moments:
        """Moments of rows. They are read in chunks; the data are neither copied nor changed.

        Args:
            data: view -> (n, d) finite numbers.
            present: view -> bool (n,), False where the row lacks the view; all present when None.

        Raises:
            DataError: unequal rows.
        """
        if len({len(values) for values in data.values()}) > 1:
            raise DataError(
                f"views have {[len(values) for values in data.values()]} rows; moments pair them row by row"
            )
        has_view = None if present is None else np.stack([present[name] for name in data], axis=1)  # (n, M)
        if has_view is not None:
            has_view = None if has_view.all() else has_view & (has_view.sum(1) > 1)[:, None]
        widths = tuple(values.shape[1] for values in data.values())
        n, total = len(next(iter(data.values()))), sum(widths)
        both = total + len(widths)
        step = max(256, CHUNK // (8 * both))
        shift = np.concatenate([_early_mean(values, has_view, i, step) for i, values in enumerate(data.values())])
        if 2 * n < total:
            rows = _centred([values[:n] for values in data.values()], shift, has_view, np.empty((n, both)))
            z, p = rows[:, :total], rows[:, total:]
            return cls(tuple(data), widths, shift, p.T @ p, z.T @ p, None, rows)
        buffer, gram = np.empty((min(step, n), both)), np.zeros((both, both), order="F")
        for start in range(0, n, step):
            at = slice(start, start + step)
            parts = [values[at] for values in data.values()]
            chunk = _centred(parts, shift, None if has_view is None else has_view[at], buffer)
            gram = blas.dsyrk(1.0, chunk.T, beta=1.0, c=gram, overwrite_c=True)  # (z p)'(z p), upper triangle
        products = gram[:total, :total] + np.triu(gram[:total, :total], 1).T
        counts = np.triu(gram[total:, total:]) + np.triu(gram[total:, total:], 1).T
        return cls(tuple(data), widths, shift, counts, gram[:total, total:].copy(), products)

    def __add__(self, other: Moments) -> Moments:
        """Moments of the rows of both.

        Raises:
            DataError: other views, or the same in another order.
        """
        if (self.names, self.widths) != (other.names, other.widths):
            ours, theirs = dict(zip(self.names, self.widths)), dict(zip(other.names, other.widths))
            raise DataError(
                f"moments of {theirs} do not add to moments of {ours}; give the same views in the same order"
            )
        is_seen = np.repeat(self.counts.diagonal() > 0, self.widths)
        shift = np.where(is_seen, self.shift, other.shift)  # a view without any row may lie anywhere
        step = other.shift - shift
        if self.rows is not None and other.rows is not None:
            both = np.vstack([self.rows, other.rows])
            both[len(self.rows) :, : len(step)] += np.repeat(other._presence, other.widths, axis=1) * step
            z, p = both[:, : len(step)], both[:, len(step) :]
            stacked = Moments(self.names, self.widths, shift, p.T @ p, z.T @ p, None, both)
            return stacked if 2 * len(both) < len(step) else stacked.summed()
        if self.rows is not None or other.rows is not None:
            return self.summed() + other.summed()
        sums, n = other.sums, np.repeat(other.counts, other.widths, axis=0)  # (D, M)
        wide = np.repeat(sums, other.widths, axis=1)  # (D, D): sum of z_i over the rows that have view j
        moved = wide * step + (wide * step).T + np.repeat(n, other.widths, axis=1) * np.outer(step, step)
        return Moments(
            self.names,
            self.widths,
            shift,
            self.counts + other.counts,
            self.sums + sums + n * step[:, None],
            self.products + other.products + moved,  # type: ignore[operator]
        )

    def summed(self) -> Moments:
        """The same with `products` and without rows."""
        if self.rows is None:
            return self
        z = self.rows[:, : len(self.shift)]
        return replace(self, products=z.T @ z, rows=None)

    @property
    def most_rows(self) -> int:
        """Rows of the view that has most of them."""
        return int(self.counts.diagonal().max())

    @property
    def _presence(self) -> np.ndarray:
        """(n, M) 1 where a kept row has the view."""
        return self.rows[:, len(self.shift) :]  # type: ignore[index]

    def columns(self, name: str) -> slice:
        """Where a view's columns stand among the D."""
        i = self.names.index(name)
        start = sum(self.widths[:i])
        return slice(start, start + self.widths[i])

    def count(self, a: str, b: str) -> int:
        """Rows that have both views."""
        return int(self.counts[self.names.index(a), self.names.index(b)])

    def mean(self, name: str) -> np.ndarray:
        """(d,) mean over the rows that have the view and another."""
        i, at = self.names.index(name), self.columns(name)
        return self.shift[at] + self.sums[at, i] / max(1.0, self.counts[i, i])

    def covariance(self, a: str, b: str) -> np.ndarray:
        """S_ab (d_a, d_b), divided by the number of rows; zeros where no row has both."""
        i, j = self.names.index(a), self.names.index(b)
        at, to = self.columns(a), self.columns(b)
        n = max(1.0, self.counts[i, j])
        products = self.rows[:, at].T @ self.rows[:, to] if self.products is None else self.products[at, to]  # type: ignore[index]
        return products / n - np.outer(self.sums[at, j] / n, self.sums[to, i] / n)

    def between(self, a: str, b: str, left: np.ndarray | None = None, right: np.ndarray | None = None) -> np.ndarray:
        """left' S_ab right, where S_ab itself is not formed if rows are kept; None is I.

        Args:
            left: (d_a, k). right: (d_b, l).
        """
        if self.rows is None:
            out = self.covariance(a, b)
            out = out if left is None else left.T @ out
            return out if right is None else out @ right
        i, j = self.names.index(a), self.names.index(b)
        n = max(1.0, self.counts[i, j])
        (z_a, sum_a), (z_b, sum_b) = (
            (self.rows[:, at], total) if w is None else (self.rows[:, at] @ w, total @ w)
            for at, total, w in (
                (self.columns(a), self.sums[self.columns(a), j], left),
                (self.columns(b), self.sums[self.columns(b), i], right),
            )
        )
        return z_a.T @ z_b / n - np.outer(sum_a / n, sum_b / n)

    def of_columns(self, a: str, b: str, chosen: np.ndarray) -> np.ndarray:
        """(m, d_b) the rows of S_ab of m chosen columns of a; S_ab itself is not formed if rows are kept."""
        i, j = self.names.index(a), self.names.index(b)
        at, to = self.columns(a).start + chosen, self.columns(b)
        n = max(1.0, self.counts[i, j])
        products = self.rows[:, at].T @ self.rows[:, to] if self.products is None else self.products[at, to]  # type: ignore[index]
        return products / n - np.outer(self.sums[at, j] / n, self.sums[to, i] / n)

    def variances(self, name: str) -> np.ndarray:
        """(d,) the diagonal of a view's covariance."""
        i, at = self.names.index(name), self.columns(name)
        n = max(1.0, self.counts[i, i])
        squares = (self.rows[:, at] ** 2).sum(0) if self.products is None else self.products[at, at].diagonal()  # type: ignore[index]
        return squares / n - (self.sums[at, i] / n) ** 2

    def centred(self, name: str) -> np.ndarray | None:
        """(n, d) kept rows of a view less its mean, 0 where a row lacks it, over sqrt of how many have it; None where
        no rows are kept. The view's covariance is that of their products."""
        if self.rows is None:
            return None
        i, at = self.names.index(name), self.columns(name)
        n = max(1.0, self.counts[i, i])
        return (self.rows[:, at] - np.outer(self._presence[:, i], self.sums[at, i] / n)) / np.sqrt(n)


def _early_mean(values: np.ndarray, has_view: np.ndarray | None, i: int, rows: int) -> np.ndarray:
    """Mean of a view over the first rows that have it; zeros if none has."""
    first = values[:rows] if has_view is None else values[np.flatnonzero(has_view[:, i])[:rows]]
    return first.mean(0, dtype=np.float64) if len(first) else np.zeros(values.shape[1])


def _centred(parts: list[np.ndarray], shift: np.ndarray, has_view: np.ndarray | None, buffer: np.ndarray) -> np.ndarray:
    """(m, D + M) in `buffer`: rows less `shift`, 0 where a view is missing, and a column of presence for each view."""
    chunk = buffer[: len(parts[0])]
    chunk[:, len(shift) :] = 1 if has_view is None else has_view
    start = 0
    for i, part in enumerate(parts):
        at = slice(start, start := start + part.shape[1])
        np.subtract(part, shift[at], out=chunk[:, at])
        if has_view is not None:
            chunk[~has_view[:, i], at] = 0
    return chunk
