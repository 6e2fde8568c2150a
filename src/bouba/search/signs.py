"""Signs of vectors, a bit a number: a first look at a 32nd of the bytes, which leaves the choice to exact scores."""

from __future__ import annotations

import numpy as np

from bouba.errors import UsageError
from bouba.search.exact import exact_scores
from bouba.search.matrix import AT_ONCE, Matrix
from bouba.search.store import State


class Signs:
    """The cells of a view as bits, in memory.

        b(x) = [x > m],   m the mean of the cells;   far(x, q) = number of bits in which b(x) and b(q) differ

    Cells that differ from a query in few bits are scored again with their whole vectors, `refine` of them for each that
    is asked for. Signs of unit vectors differ in a share of about angle / pi of the bits, so the order by bits is that
    by cosine, with noise; taking off the mean keeps bits that all cells share from saying nothing.

    Reference: Charikar 2002, Similarity estimation techniques from rounding algorithms, section 3. Departures: the axes
    of the embedding instead of random ones; the mean.
    """

    def __init__(self, matrix: Matrix):
        n, d = matrix.vectors.shape
        self._matrix = matrix
        sums = [matrix.vectors[i : i + AT_ONCE].sum(axis=0, dtype=np.float64) for i in range(0, n, AT_ONCE)]
        self.centre = np.sum(sums, axis=0) / max(1, n)  # (d,)
        words = -(-d // 64)
        self.bits = np.empty((words, n), np.uint64)
        for start in range(0, n, AT_ONCE):
            self.bits[:, start : start + AT_ONCE] = self._of(matrix.vectors[start : start + AT_ONCE]).T

    def _of(self, vectors: np.ndarray) -> np.ndarray:
        """(n, words) of vectors (n, d)."""
        packed = np.packbits(vectors > self.centre, axis=1)
        return np.pad(packed, ((0, 0), (0, 8 * len(self.bits) - packed.shape[1]))).view(np.uint64)

    @property
    def nbytes(self) -> int:
        return self.bits.nbytes

    def far(self, query: np.ndarray) -> np.ndarray:
        """(n,) uint16: in how many bits each cell differs from a query (d,)."""
        far = np.zeros(self.bits.shape[1], np.uint16)
        for word, own in zip(self.bits, self._of(query[None])[0], strict=True):
            far += np.bitwise_count(word ^ own)
        return far

    def nearest(self, query: np.ndarray, many: int, passing: np.ndarray | None) -> np.ndarray:
        """Positions of at least `many` cells that differ from a query in the fewest bits, those as far as the last too.

        Args:
            passing: positions in order of the cells that count; None for all that are in the index.
        """
        far = self.far(query)
        if passing is None and self._matrix.live is not None:
            passing = np.flatnonzero(self._matrix.live)
        among = far if passing is None else far[passing]
        counts = np.bincount(among).cumsum()
        last = int(np.searchsorted(counts, min(many, len(among))))
        places = np.flatnonzero(among <= last)
        return places if passing is None else passing[places]

    def found(self, queries: np.ndarray, many: int, passing: np.ndarray | None) -> list[tuple[np.ndarray, np.ndarray]]:
        """For each of queries (q, d) positions of the cells nearest by signs, and their exact scores."""
        positions = [self.nearest(query, many, passing) for query in queries]
        return [(some, exact_scores(self._matrix, some, q, False)) for some, q in zip(positions, queries, strict=True)]


def check_refine(state: State, refine: int, queries: np.ndarray) -> None:
    """UsageError where signs say nothing of the order."""
    if isinstance(refine, bool) or not isinstance(refine, int | np.integer) or refine < 1:
        raise UsageError(
            f"refine is how many cells are scored for each that is asked for, 1 or more, got {refine!r:.60}"
        )
    if state.similarity != "cosine" or queries[:, state.dim :].any():
        raise UsageError("signs tell directions: refine goes with cosine, and without weights of offsets")
