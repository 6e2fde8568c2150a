"""The cells of a view by the first numbers of their vectors, for models whose embeddings are nested."""

from __future__ import annotations

import numpy as np

from bouba.errors import UsageError
from bouba.search.cells import as_stored
from bouba.search.matrix import AT_ONCE, Extent, Matrix, coded, largest_length


class Narrow:
    """A Matrix of which the first numbers alone are multiplied, in memory: a quarter of them in a quarter of the time.

    Cosines are those of the shorter vectors, which are made of length one again. Offsets of whole vectors say nothing
    of them and are left out.

    Args:
        matrix: of one view. width: how many numbers. similarity: of the index.
    """

    def __init__(self, matrix: Matrix, width: int, similarity: str):
        n = len(matrix)
        self._matrix = matrix
        self.vectors = np.empty((n, width), np.float32)
        self.codes, self.scales = np.empty((n, width), np.int8), np.empty(n, np.float32)
        length = rounding = offset = 0.0
        self.offsets = np.zeros((n, 1 if similarity == "euclidean" else 0), np.float32)
        for start in range(0, n, AT_ONCE):
            part = slice(start, min(start + AT_ONCE, n))
            vectors = self.vectors[part] = as_stored(matrix.vectors[part, :width], unit=similarity == "cosine")
            codes, scales = self.codes[part], self.scales[part] = coded(vectors)
            if similarity == "euclidean":  # as matrix.MatrixWriter has them
                self.offsets[part, 0] = 0.5 * np.einsum("nd,nd->n", vectors, vectors, dtype=np.float64)
                offset = max(offset, largest_length(self.offsets[part]))
            length = max(length, largest_length(vectors))
            rounding = max(rounding, largest_length(vectors - scales[:, None] * codes))
        self.extent = Extent("", n, length, offset, rounding)

    @property
    def live(self) -> np.ndarray | None:
        """(n,) which cells are in the index; None where all are."""
        return self._matrix.live

    def __len__(self) -> int:
        return len(self._matrix)


def narrowed(queries: np.ndarray, width: int, dim: int, similarity: str) -> np.ndarray:
    """Queries (q, d + offsets), as the index compares them, by their first numbers: (q, width).

    Raises:
        UsageError: a width that no vector of the index has, or a query without a direction in it.
    """
    if isinstance(width, bool) or not isinstance(width, int | np.integer) or not 1 <= width <= dim:
        raise UsageError(f"width is from 1 to {dim}, the numbers of a vector of the index, got {width!r:.60}")
    first = queries[:, :width]
    if similarity == "cosine" and not first.any(axis=1).all():
        raise UsageError(f"the first {width} numbers of the query are all zeros and have no direction; take more")
    return as_stored(first, unit=similarity == "cosine")
