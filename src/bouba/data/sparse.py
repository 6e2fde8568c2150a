"""Rows of numbers of which most are 0, as a column of cells."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from bouba.data import scratch

FEW = 10
"""Numbers other than 0 below which equal rows are no duplicates, but chance."""


@dataclass(frozen=True, eq=False)
class SparseRows:
    """A sparse matrix (n, d) as n cells. A cell is made dense when it is asked for; who can work with the whole takes
    `matrix`.

    Args:
        matrix: of SciPy, by rows (csr), in canonical form. present: bool (n,), False where a row is missing; None where
            none is.
    """

    matrix: Any
    present: np.ndarray | None = None

    ndim = 2

    @classmethod
    def of(cls, matrix: Any) -> SparseRows:
        """Any sparse matrix or array of SciPy, as floats."""
        from scipy import sparse

        rows = sparse.csr_matrix(matrix)
        if rows.dtype not in (np.float32, np.float64):
            rows = rows.astype(np.float64 if rows.dtype.itemsize > 4 else np.float32)
        if not rows.has_canonical_format or (rows.data == 0).any():
            rows = rows.copy()
            rows.sum_duplicates()
            rows.eliminate_zeros()
        return cls(rows)

    @property
    def shape(self) -> tuple[int, int]:
        return self.matrix.shape

    @property
    def dtype(self) -> np.dtype:
        return self.matrix.dtype

    def __len__(self) -> int:
        return self.matrix.shape[0]

    def __getitem__(self, row: int) -> np.ndarray:
        return self.matrix[[row]].toarray()[0]

    def placed(self, rows: np.ndarray, n: int) -> SparseRows:
        """n rows, these ones at `rows` (m,), the others missing."""
        from scipy import sparse

        lengths = np.zeros(n, np.int64)
        lengths[rows] = np.diff(self.matrix.indptr)
        ordered = self.matrix[np.argsort(rows, kind="stable")]
        ends = np.concatenate([[0], np.cumsum(lengths)])
        matrix = sparse.csr_matrix((ordered.data, ordered.indices, ends), shape=(n, self.shape[1]))
        return SparseRows(matrix, np.isin(np.arange(n), rows))

    def ordered(self, columns: np.ndarray) -> SparseRows:
        """The same rows with these columns."""
        return replace(SparseRows.of(self.matrix[:, columns]), present=self.present)

    def without(self, rows: np.ndarray) -> SparseRows:
        """The same with zeros where `rows`, bool (n,), is True."""
        matrix = self.matrix.copy()
        matrix.data[np.repeat(rows, np.diff(matrix.indptr))] = 0
        return replace(SparseRows.of(matrix), present=self.present)

    def finite(self) -> np.ndarray:
        """bool (n,), the rows without NaN or infinity."""
        wrong = np.concatenate([[0], np.cumsum(~np.isfinite(self.matrix.data))])
        return np.diff(wrong[self.matrix.indptr]) == 0

    def dense(self, rows: np.ndarray, at: np.ndarray, n: int) -> np.ndarray:
        """(n, d) with `rows` (m,) of these at `at` (m,), zeros elsewhere; mapped where it is large."""
        out = scratch.zeros((n, self.shape[1]), self.dtype)
        for part in scratch.blocks(len(rows), self.shape[1] * self.dtype.itemsize):
            out[at[part]] = self.matrix[rows[part]].toarray()
        return out

    def alike(self, rows: np.ndarray) -> np.ndarray:
        """int (m,), one number for all of `rows` (m,) that are equal; -1 where fewer than FEW numbers are not 0."""
        indptr, indices, data = self.matrix.indptr, self.matrix.indices, self.matrix.data
        ends = [(indptr[row], indptr[row + 1]) for row in rows.tolist()]
        number_of: dict[bytes, int] = {}
        cells = [indices[start:end].tobytes() + data[start:end].tobytes() for start, end in ends]
        numbers = [number_of.setdefault(cell, len(number_of)) for cell in cells]
        return np.where(np.diff(ends, axis=1)[:, 0] < FEW, -1, numbers) if ends else np.zeros(0, int)
