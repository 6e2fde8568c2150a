"""How embeddings fill the sphere: the gap between modalities, alignment of pairs, uniformity of one view.

All three look at rows of length one (a row of zeros stays zero), as cosine retrieval does.
"""

import numpy as np
from numpy.typing import ArrayLike

from bouba.errors import DataError, UsageError
from bouba.metrics.checks import check_embeddings, check_same_width
from bouba.metrics.similarity import unit_rows


def modality_gap(z_a: ArrayLike, z_b: ArrayLike) -> float:
    """Distance between the centres of two modalities, | mean(a/|a|) - mean(b/|b|) |.

    It measures whether two modalities occupy two regions; `alignment`, whether partners are near. A gap
    does not by itself harm retrieval from one modality to another: every candidate is shifted alike.

    Args:
        z_a: (n, d). z_b: (m, d); rows need not be pairs.

    Returns:
        A number in [0, 2]; 0 for one centre.

    Raises:
        DataError: NaN or unequal widths.

    Reference: Liang et al. (2022), Mind the gap, section 2.

    >>> modality_gap([[1, 0]], [[-3, 0]])
    2.0
    """
    a, b = check_embeddings("z_a", z_a), check_embeddings("z_b", z_b)
    check_same_width("z_a", a, "z_b", b)
    return float(np.linalg.norm(unit_rows(a).mean(axis=0) - unit_rows(b).mean(axis=0)))


def alignment(z_a: ArrayLike, z_b: ArrayLike, *, alpha: float = 2.0) -> float:
    """How far partners are from each other, mean_i | a_i/|a_i| - b_i/|b_i| |^alpha; lower is better.

    Zero also when everything has collapsed to a point, so read it together with `uniformity`.

    Args:
        z_a: (n, d). z_b: (n, d); row i of both is one pair.
        alpha: exponent, above 0.

    Returns:
        A number in [0, 2^alpha].

    Raises:
        DataError: NaN, or shapes that differ. UsageError: alpha is not above 0.

    Reference: Wang and Isola (2020), Understanding contrastive representation learning through alignment and
    uniformity on the hypersphere, section 4.1.1.

    >>> alignment([[1, 0], [0, 1]], [[1, 0], [0, -1]])
    2.0
    """
    a, b = check_embeddings("z_a", z_a), check_embeddings("z_b", z_b)
    check_same_width("z_a", a, "z_b", b)
    if len(a) != len(b):
        raise DataError(f"alignment needs pairs, got {len(a)} rows of z_a and {len(b)} of z_b; pass equal rows")
    if not alpha > 0:
        raise UsageError(f"alpha must be above 0, got {alpha}")
    return float((np.linalg.norm(unit_rows(a) - unit_rows(b), axis=1) ** alpha).mean())


def uniformity(z: ArrayLike, *, t: float = 2.0, tile: int = 1024) -> float:
    """How evenly rows spread over the sphere, log mean_{i<j} exp(-t |z_i - z_j|^2); lower is more even.

    Args:
        z: (n, d), two rows or more.
        t: inverse width of the kernel, above 0.
        tile: rows compared at once; memory is about 8 * tile * n bytes.

    Returns:
        A number in [-4t, 0]; 0 when all rows are alike.

    Raises:
        DataError: NaN or fewer than two rows. UsageError: t is not above 0.

    Reference: Wang and Isola (2020), section 4.1.2.

    >>> uniformity([[1, 0], [1, 0]])
    0.0
    """
    rows = unit_rows(check_embeddings("z", z))
    n = len(rows)
    if n < 2:
        raise DataError("uniformity compares rows and needs two or more, got 1")
    if not t > 0:
        raise UsageError(f"t must be above 0, got {t}")
    square = np.einsum("nd,nd->n", rows, rows)
    total = 0.0
    for start in range(0, n, tile):
        part = slice(start, min(start + tile, n))
        distance = square[part, None] + square - 2 * rows[part] @ rows.T  # (tile, n)
        kernel = np.exp(-t * np.maximum(distance, 0))
        kernel[np.arange(len(kernel)), np.arange(n)[part]] = 0  # a row is no pair with itself
        total += kernel.sum()
    return min(0.0, float(np.log(max(total, np.finfo(np.float64).tiny) / (n * (n - 1)))))
