"""Items that were made, against real ones: right, like the real, different, new. All in an embedding space of your own.

The space decides what counts: take an aligner that was trained apart from what made the items, or they are judged by
their maker. Numbers of two spaces, or of galleries of two sizes, cannot be compared.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.distance import cdist, pdist

from bouba.errors import DataError
from bouba.metrics.checks import check_embeddings, check_same_width
from bouba.metrics.retrieval import retrieval


def r_precision(made: ArrayLike, truth: ArrayLike, *, k: int = 10, similarity: str = "cosine") -> NDArray[np.float64]:
    """How often the true item is among the k that are most like a made one.

        1/n sum_j [ rank of truth_i by similarity to made_ij <= k ]   for each row i

    Args:
        made: (rows, n, d) embeddings of n items made for each row, or (rows, d). truth: (rows, d) of the true items,
            which are the gallery too.
        k: how many may come first; chance is k / rows. similarity: as in `retrieval`.

    Returns:
        (rows,) shares in [0, 1]; equal similarities count as their expectation.

    Raises:
        DataError: NaN, or shapes that do not fit. UsageError: k below 1.

    Reference: Xu et al. 2018, AttnGAN, section 4.1 (R-precision). Departure: the true item is looked for by the made
    one, not the caption.

    >>> r_precision([[[1, 0], [0, 1]], [[0, 1], [0, 1]]], [[1, 0], [0, 1]], k=1).tolist()
    [0.5, 1.0]
    """
    items, real = _check_made(made), check_embeddings("truth", truth)
    if len(items) != len(real):
        raise DataError(f"made has {len(items)} rows and truth {len(real)}; give one true item a row")
    rows, n, _ = items.shape
    key = np.arange(rows)
    flat = items.reshape(rows * n, -1)
    return (
        retrieval(flat, real, key.repeat(n), key, similarity=similarity, ks=(k,))[f"recall@{k}"]
        .reshape(rows, n)
        .mean(1)
    )


def frechet_distance(made: ArrayLike, real: ArrayLike) -> float:
    """Squared Frechet distance of two sets of items, each taken for a normal distribution.

        |m_a - m_b|^2 + tr(S_a + S_b - 2 (S_a S_b)^(1/2)),   m means, S covariances

    It measures what is wrong on the whole (blur, kinds left out), not whether items go with their rows. Few items raise
    it, so compare sets of equal size, and with what real items of other rows give.

    Args:
        made: (n, d). real: (m, d); rows need not be pairs.

    Returns:
        0 for equal means and covariances, in squared units of the space.

    Raises:
        DataError: NaN, unequal widths, or one row.

    Reference: Dowson and Landau 1982; Heusel et al. 2017, GANs Trained by a Two Time-Scale Update Rule, equation 6.

    >>> round(frechet_distance([[0, 0], [2, 0]], [[3, 0], [5, 0]]), 6)
    9.0
    """
    a, b = check_embeddings("made", made), check_embeddings("real", real)
    check_same_width("made", a, "real", b)
    if min(len(a), len(b)) < 2:
        raise DataError(f"covariances need two rows or more, got {len(a)} made and {len(b)} real")
    root = _root(np.atleast_2d(np.cov(a, rowvar=False)))
    of_b = np.atleast_2d(np.cov(b, rowvar=False))
    cross = np.sqrt(np.linalg.eigvalsh(root @ of_b @ root).clip(0)).sum()  # tr (S_a S_b)^(1/2)
    shift = np.square(a.mean(0) - b.mean(0)).sum()
    return float(max(0.0, shift + np.square(root).sum() + np.trace(of_b) - 2 * cross))


def diversity(made: ArrayLike, real: ArrayLike) -> NDArray[np.float64]:
    """How much items differ that were made for one row.

        mean_{j<k} |made_ij - made_ik| / mean_{a<b} |real_a - real_b|   for each row i

    Args:
        made: (rows, n, d), n of 2 or more. real: (m, d) real items of different rows.

    Returns:
        (rows,): 0 where all are alike, 1 where they differ as much as items of different rows do. What is right lies
        between: it depends on how much a row leaves open.

    Raises:
        DataError: NaN, unequal widths, one item a row, or real items that are all alike.

    >>> diversity([[[0, 0], [1, 0]], [[0, 0], [0, 0]]], [[0, 0], [2, 0]]).tolist()
    [0.5, 0.0]
    """
    items, others = _check_made(made), check_embeddings("real", real)
    check_same_width("made", items[0], "real", others)
    if items.shape[1] < 2 or len(others) < 2:
        raise DataError(f"diversity compares items, got {items.shape[1]} made for each row and {len(others)} real")
    usual = pdist(others).mean()
    if not usual > 0:
        raise DataError("the real items are all alike, which nothing can be measured against")
    return np.array([pdist(row).mean() for row in items]) / usual


def novelty(made: ArrayLike, training: ArrayLike, held_out: ArrayLike) -> NDArray[np.float64]:
    """How far items lie from all that was trained on, against how far real items do that were not.

        min_t |made_i - training_t| / median_h min_t |held_out_h - training_t|

    Args:
        made: (rows, n, d) or (rows, d). training: (m, d). held_out: (h, d) real items of other rows.

    Returns:
        (rows,), means over the n items: 0 for copies, about 1 for items as new as real ones. Above 1 they are new in
        another way than real items are, as blurred pictures may be.

    Raises:
        DataError: NaN, unequal widths, or held-out items that stand in the training.

    >>> novelty([[0.0], [3.0]], [[0.0], [1.0]], [[2.0], [2.0]]).tolist()
    [0.0, 2.0]
    """
    items = _check_made(made)
    train_z, others = check_embeddings("training", training), check_embeddings("held_out", held_out)
    check_same_width("made", items[0], "training", train_z)
    check_same_width("held_out", others, "training", train_z)
    usual = np.median(cdist(others, train_z).min(1))
    if not usual > 0:
        raise DataError("half of the held-out items or more stand in the training; hold out other rows")
    rows, n, d = items.shape
    return cdist(items.reshape(rows * n, d), train_z).min(1).reshape(rows, n).mean(1) / usual


def _check_made(made: ArrayLike) -> NDArray[np.float64]:
    """(rows, n, d), finite."""
    items = np.asarray(made, np.float64)
    items = items[:, None] if items.ndim == 2 else items
    if items.ndim != 3 or 0 in items.shape:
        raise DataError(f"made must hold items of each row, (rows, n, d), got shape {np.shape(made)}")
    check_embeddings("made", items.reshape(len(items), -1))
    return items


def _root(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """The square root of a symmetric matrix without negative eigenvalues."""
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * np.sqrt(values.clip(0))) @ vectors.T
