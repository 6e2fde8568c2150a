"""Which of two embeddings is nearer: every similarity as one matrix product."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bouba.errors import DataError, UsageError, nearest

SIMILARITIES = ("cosine", "dot", "euclidean")


def unit_rows(z: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rows of `z` (n, d) at length one; a row of zeros stays zero, so its cosine with anything is 0."""
    largest = np.abs(z).max(axis=1, keepdims=True)
    scaled = z / np.where(largest > 0, largest, 1.0)  # so that squares neither overflow nor vanish
    length = np.linalg.norm(scaled, axis=1, keepdims=True)
    return scaled / np.where(length > 0, length, 1.0)


def ranking_space(
    queries: NDArray[np.float64], gallery: NDArray[np.float64], similarity: str
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Vectors whose product orders the gallery: `q @ g.T` is a cost, the nearest item has the lowest.

        cosine     -q/|q| . g/|g|
        dot        -q . g
        euclidean  |g|^2 / 2 - q . g  =  (|q - g|^2 - |q|^2) / 2

    Args:
        queries: (n, d). gallery: (m, d). similarity: one of the three names.

    Returns:
        q (n, d or d+1) and g (m, d or d+1). Costs compare items of one query, not two queries.

    Raises:
        UsageError: the similarity has no such name.
    """
    if similarity not in SIMILARITIES:
        raise UsageError(f"similarity {similarity!r} is not known{nearest(str(similarity), SIMILARITIES)}")
    if similarity == "cosine":
        return -unit_rows(queries), unit_rows(gallery)
    if similarity == "dot":
        return -queries, gallery
    centre = gallery.mean(axis=0)  # distances do not move with the origin; small numbers round less
    q, g = queries - centre, gallery - centre
    half_square = 0.5 * np.einsum("md,md->m", g, g)
    return np.column_stack([-q, np.ones(len(q))]), np.column_stack([g, half_square])  # (., d + 1)


def similarities(a: ArrayLike, b: ArrayLike, similarity: str = "cosine") -> NDArray[np.float64]:
    """(n, m) similarities of the rows of a (n, d) and b (m, d); "euclidean" is minus the distance.

    >>> similarities([[3.0, 0.0]], [[1.0, 0.0], [0.0, 2.0]], "euclidean").round(3).tolist()
    [[-2.0, -3.606]]
    """
    left, right = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if similarity == "euclidean":
        from scipy.spatial.distance import cdist

        return -cdist(left, right)
    q, g = ranking_space(left, right, similarity)
    return -(q @ g.T)


def rounding(q: NDArray[np.float64], g: NDArray[np.float64]) -> NDArray[np.float64]:
    """How far two costs of one query may lie apart by rounding alone, (n,).

        4 sqrt(d) eps |q| max |g|

    Equal rows can leave a matrix product with unequal last bits (the edge of a block is summed in another
    order); costs closer than this are one cost.

    Raises:
        DataError: products that overflow.
    """
    longest = np.linalg.norm(g, axis=1).max()
    bound = 4 * np.sqrt(q.shape[1]) * np.finfo(np.float64).eps * np.linalg.norm(q, axis=1) * longest
    if not np.isfinite(bound).all():
        raise DataError("the products of these embeddings are too large for a number; scale them down")
    return bound
