"""Block conjugate gradients for canonical variates of views too wide for any matrix of columns by columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from scipy import linalg, sparse

ROWS = 4096
"""Rows multiplied at once, so that what is read and written stays in the cache."""
STORED = 2**22
"""Stored numbers of a sparse view that are summed at once."""


class ShrunkCovariance:
    """B = (1 - r) Xc'Xc / (n t) + r I of one view, as products with X; Xc is X less its means, t its mean variance.

    Nothing is centred: Xc w = X w - 1 (mean'w), which is dense only in rows by directions.

    Args:
        values: (n, d) floats, array or CSR matrix. Products are computed in their precision, m x m matrices in double.
        ridge: r in (0, 1].

    Attributes: `mean`, `variance` (d,), of the columns; 0 where a column is constant. `unit`, sqrt(t). `floor`:
    directions that differ by a smaller share than this are taken for one, lest rounding grow from step to step; it
    depends on the precision of X less its means.
    """

    def __init__(self, values: Any, ridge: float):
        n = values.shape[0]
        if sparse.issparse(values) and not values.has_canonical_format:
            values = values.copy()
            values.sum_duplicates()
        self.values = values
        self.mean, self.variance = _moments(values)
        self.unit = float(np.sqrt(self.variance.mean())) or 1.0
        self.data_share, self.ridge = float(1 - ridge), float(ridge)
        diagonal = self.data_share * self.variance / self.unit**2 + self.ridge
        self.inverse_diagonal = (1 / diagonal).astype(values.dtype)[:, None]
        rounding = np.finfo(values.dtype).eps * (1 + np.sqrt((self.mean**2).mean()) / self.unit)
        self.floor = float(min(0.01, 3 * np.sqrt(rounding)))
        self._shift = self.mean.astype(values.dtype)
        self._scale = values.dtype.type(n**-0.5 / self.unit)

    def image(self, directions: np.ndarray) -> np.ndarray:
        """(d, m) -> Xc w / sqrt(n t), (n, m)."""
        out = self.values @ directions
        out -= self._shift @ directions
        out *= self._scale
        return out

    def pull(self, images: np.ndarray) -> np.ndarray:
        """(n, m) -> Xc' f / sqrt(n t), (d, m)."""
        out = self.values.T @ images
        out -= np.outer(self._shift, images.sum(0))
        out *= self._scale
        return out

    def solve(self, right: np.ndarray, steps: int) -> tuple[np.ndarray, np.ndarray]:
        """B^-1 right by conjugate gradients from zero, preconditioned by the diagonal; (d, m), and its image (n, m)."""
        direction = right * self.inverse_diagonal
        image = self.image(direction)
        if steps == 1:  # their span is what counts, not their length
            return direction, image
        residual, energy = right.copy(), inner(right, direction)
        solution, solution_image = np.zeros_like(direction), np.zeros_like(image)
        for step in range(steps):
            curvature = self.data_share * inner(image, image) + self.ridge * inner(direction, direction)
            length = (energy * reciprocal(curvature)).astype(right.dtype)
            solution += length * direction
            solution_image += length * image
            if step + 1 < steps:
                residual -= length * (self.data_share * self.pull(image) + self.ridge * direction)
                corrected = residual * self.inverse_diagonal
                before, energy = energy, inner(residual, corrected)
                direction = corrected + (energy * reciprocal(before)).astype(right.dtype) * direction
                image = self.image(direction)
        return solution, solution_image


class Span:
    """The 3m directions of one view that an iteration combines: the current ones w, search directions, last steps.

    Args:
        covariance: of the view. start: (d, m) directions.
    """

    def __init__(self, covariance: ShrunkCovariance, start: np.ndarray):
        self.covariance = covariance
        self.m = start.shape[1]
        self.basis = np.zeros((len(start), 3 * self.m), start.dtype)
        self.images = np.zeros((covariance.values.shape[0], 3 * self.m), start.dtype)
        self.basis[:, : self.m] = start
        self.images[:, : self.m] = covariance.image(start)

    @property
    def directions(self) -> np.ndarray:
        """(d, m), the current ones, w."""
        return self.basis[:, : self.m]

    @property
    def variates(self) -> np.ndarray:
        """(n, m) their images."""
        return self.images[:, : self.m]

    def set_residual(self, others: np.ndarray, rho: np.ndarray) -> np.ndarray:
        """Put the residual r = A w - rho B w in place of the search directions; r' diag(B)^-1 r, (m,), its size.

        A w is Xc' of the other views' variates, which add up to `others`.
        """
        b, rho = self.covariance, rho.astype(self.basis.dtype)
        residual = b.pull(others - self.variates * (b.data_share * rho))
        residual -= self.directions * (b.ridge * rho)
        self.basis[:, self.m : 2 * self.m] = residual
        return inner(residual, residual * b.inverse_diagonal)

    def solve_residual(self, steps: int) -> None:
        """Search directions B^-1 r in place of r."""
        ahead = slice(self.m, 2 * self.m)
        self.basis[:, ahead], self.images[:, ahead] = self.covariance.solve(self.basis[:, ahead], steps)

    def whitener(self) -> np.ndarray:
        """(3m, q) combinations of the directions that are orthonormal in B; those that add nothing are left out."""
        b = self.covariance
        gram = b.data_share * _gram(self.images, self.images) + b.ridge * _gram(self.basis, self.basis)
        m, floor = self.m, b.floor
        current = _orthonormal(gram[:m, :m], 100 * np.finfo(self.basis.dtype).eps)
        apart = np.vstack([-current @ (current.T @ gram[:m, m:]), np.eye(2 * m)])  # new directions less current ones
        left = apart.T @ gram @ apart
        new = left.diagonal() > floor * gram.diagonal()[m:]  # the others are rounding
        fresh = apart[:, new] @ _orthonormal(left[np.ix_(new, new)], floor)
        return np.hstack([np.pad(current, ((0, 2 * m), (0, 0))), fresh])

    def move(self, combination: np.ndarray) -> None:
        """Go to these (3m, m) combinations of the directions, and keep the step taken as the last m."""
        rotation = np.zeros((3 * self.m, 2 * self.m), self.basis.dtype)
        rotation[:, : self.m] = combination
        rotation[self.m :, self.m :] = combination[self.m :]
        for table in (self.basis, self.images):
            for start in range(0, len(table), ROWS):
                rows = table[start : start + ROWS]
                moved = rows @ rotation
                rows[:, : self.m], rows[:, 2 * self.m :] = moved[:, : self.m], moved[:, self.m :]


def iterate(spans: Sequence[Span], leading: int, steps: int) -> Iterator[tuple[np.ndarray, float]]:
    """Largest rho of A w = rho B w, A the covariances between views, B = diag(B_1..B_M) those within, as shrunk.

        residual   r_i = A_i w - rho B_i w_i
        inner      d_i = B_i^-1 r_i, a few conjugate-gradient steps
        outer      w_i <- the best in span(w_i, d_i, p_i), by the small eigenproblem;  p_i, the step made

    With one step this is LOBPCG, which costs a product with X and one with X' a view and an iteration.

    Args:
        spans: of M views of the same rows; they are moved, and hold the solution found so far.
        leading: how many directions are judged; the others only speed them up.
        steps: of the inner conjugate gradients.

    Yields:
        rho (m,), and the residual of the leading ones: sqrt(mean of r' diag(B)^-1 r) / rho_1. The relative error of rho
        is about its square.

    Reference: Knyazev 2001, Toward the optimal preconditioned eigensolver: LOBPCG. Departures: each view has its own
    combination, which is a larger search space; directions that nearly coincide are left out by their eigenvalues.
    """
    while True:
        rho = _rayleigh_ritz(spans)
        total = sum(span.variates for span in spans)
        square = np.sum([span.set_residual(total - span.variates, rho)[:leading] for span in spans], axis=0)
        yield rho, float(np.sqrt(square.mean()) / max(rho[0], np.finfo(float).tiny))
        for span in spans:
            span.solve_residual(steps)


def _rayleigh_ritz(spans: Sequence[Span]) -> np.ndarray:
    """Move to the best combinations; their rho (m,), 0 where there is no direction left that agrees."""
    whiten = [span.whitener() for span in spans]
    ends = np.cumsum([0, *(w.shape[1] for w in whiten)])
    agree = np.zeros((ends[-1], ends[-1]))
    for i, one in enumerate(spans):
        for j, other in enumerate(spans[:i]):
            block = whiten[i].T @ _gram(one.images, other.images) @ whiten[j]
            agree[ends[i] : ends[i + 1], ends[j] : ends[j + 1]] = block
    m = spans[0].m
    top = max(0, ends[-1] - m)
    values, vectors = linalg.eigh(agree, lower=True, subset_by_index=[top, ends[-1] - 1])
    rho, positive = np.zeros(m), values[::-1] > 0
    rho[: positive.sum()] = values[::-1][positive]
    for i, span in enumerate(spans):
        combination = np.zeros((3 * m, m))
        combination[:, : positive.sum()] = whiten[i] @ vectors[ends[i] : ends[i + 1], ::-1][:, positive]
        span.move(combination)
    return rho


def _moments(values: Any) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance (d,) of each column in double precision; columns that vary by rounding alone are constant."""
    n, d = values.shape
    total, _ = _sums(values, np.zeros(d))
    mean = total / n
    total, square = _sums(values, mean)  # about the mean, and the total is the error of the mean
    variance = square / n - (total / n) ** 2
    mean += total / n
    return mean, np.where(variance > (8 * np.finfo(float).eps * np.abs(mean)) ** 2, variance, 0)


def _sums(values: Any, origin: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sums of x - origin and of its square, (d,) each."""
    n, d = values.shape
    if not sparse.issparse(values):
        moved = (values[start : start + ROWS] - origin for start in range(0, n, ROWS))
        sums = np.sum([(chunk.sum(0), (chunk**2).sum(0)) for chunk in moved], axis=0)
        return sums[0], sums[1]
    zeros = n - np.bincount(values.indices, minlength=d)
    total, square = -zeros * origin, zeros * origin**2
    for start in range(0, values.nnz, STORED):
        columns = values.indices[start : start + STORED]
        stored = values.data[start : start + STORED] - origin[columns]
        total += np.bincount(columns, stored, d)
        square += np.bincount(columns, stored**2, d)
    return total, square


def _gram(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return (a.T @ b).astype(np.float64)


def inner(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(m,) inner product of each column of `a` with the same column of `b`, added up in double precision."""
    return np.einsum("ij,ij->j", a, b, dtype=np.float64)


def reciprocal(numbers: np.ndarray) -> np.ndarray:
    """1 / x, and 0 for 0."""
    return np.divide(1.0, numbers, out=np.zeros_like(numbers), where=numbers > 0)


def _orthonormal(gram: np.ndarray, floor: float) -> np.ndarray:
    """Combinations C with C' gram C = I; those of less than `floor` of their parts are left out."""
    scale = reciprocal(np.sqrt(gram.diagonal()))
    values, vectors = linalg.eigh(scale[:, None] * gram * scale)
    large = values > floor
    return scale[:, None] * vectors[:, large] / np.sqrt(values[large])
