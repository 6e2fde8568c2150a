"""FOSCTTM: how many strangers stand nearer than the partner."""

import numpy as np
from numpy.typing import ArrayLike

from bouba.errors import DataError, UsageError
from bouba.metrics.checks import check_embeddings, check_same_width
from bouba.metrics.similarity import ranking_space, rounding


def foscttm(z_a: ArrayLike, z_b: ArrayLike, *, similarity: str = "euclidean", tile: int = 1024) -> float:
    """Fraction of samples closer than the true match, mean over all rows and both directions; lower is better.

        1/2n sum_i  #{j: b_j nearer to a_i than b_i} / (n - 1)   +   the same from b_i

    The measure of alignments that were made without pairs. Unlike recall@k it tells a rough alignment, which brings
    partners into one neighbourhood, from none at all. A stranger exactly as near as the partner counts half.

    Args:
        z_a, z_b: (n, d), row i of both is one thing, n of two or more.
        similarity: "euclidean", "cosine" or "dot".
        tile: rows compared at once; memory is about 8 * tile * n bytes.

    Returns:
        A number in [0, 1]: 0 where every partner is nearest, 0.5 by chance or where all rows are alike.

    Raises:
        DataError: NaN, unequal shapes or fewer than two rows. UsageError: a similarity or tile that makes no sense.

    Reference: Liu, Huang, Singh, Vert and Noble 2019, Jointly embedding multiple single-cell omics measurements.
    Departure: ties, which scores closer than rounding are.

    >>> foscttm([[0.0], [1.0], [2.0]], [[0.1], [1.1], [2.1]])
    0.0
    """
    a, b = check_embeddings("z_a", z_a), check_embeddings("z_b", z_b)
    check_same_width("z_a", a, "z_b", b)
    if len(a) != len(b) or len(a) < 2:
        raise DataError(f"foscttm needs two pairs or more, got {len(a)} rows of z_a and {len(b)} of z_b")
    if tile < 1:
        raise UsageError(f"tile must be 1 or more, got {tile}")
    n, total = len(a), 0.0
    for one, other in ((a, b), (b, a)):
        q, g = ranking_space(one, other, similarity)
        for start in range(0, n, tile):
            rows = np.arange(start, min(start + tile, n))
            costs = q[rows] @ g.T  # (tile, n)
            true = costs[np.arange(len(rows)), rows][:, None]
            alike = np.abs(costs - true) <= rounding(q[rows], g)[:, None]
            total += ((costs < true) & ~alike).sum() + (alike.sum() - len(rows)) / 2
    return float(total / (2 * n * (n - 1)))
