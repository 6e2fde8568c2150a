"""What a recall would be among more, or fewer, things than it was measured on."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betaln, expit
from scipy.stats import hypergeom

from bouba.errors import DataError, UsageError
from bouba.metrics.checks import check_labels, encode

FEWEST = 50  # rivals below which nothing is said of a gallery that is larger
MEANS, CONCENTRATIONS = np.linspace(-8, 1, 37), np.linspace(-2, 6, 25)  # logits, and logarithms, of the grid


class GalleryRecall:
    """Recall@k of the same queries among `size` things, from the ranks they had among others.

    A query whose right answer had a of M rivals above it finds it in a gallery with G rivals with probability

        G <= M    P(X <= k - 1), X ~ Hypergeometric(M, a, G): the mean over all ways to leave rivals out, unbiased
        G >  M    E[P(Y <= k - 1)], Y ~ Binomial(G, p), p ~ Beta(alpha + a, beta + M - a)

    where p is the share of all rivals that the query ranks above its answer, and Beta(alpha, beta) its distribution
    over queries, of greatest likelihood on a grid (beta-binomial; empirical Bayes). The first is arithmetic. The second
    is a model: it holds as far as new rivals are like those that were there.

    Args:
        rank: (n,) of the first right answer, from 1; a fraction, as ties give, is interpolated between whole ones, or
            read as it is by the model.
        rivals: (n,) wrong things that each query was ranked among, M.
        relevant: (n,) right answers of each query; a gallery of `size` things holds them all.
        size: things in the gallery that is asked about. k: as in recall@k.

    Raises:
        DataError: unequal lengths, ranks that do not fit. UsageError: k or size below 1.

    Reference: Skellam 1948 (the beta-binomial distribution); Robbins 1956 (empirical Bayes).
    """

    def __init__(
        self, rank: ArrayLike, rivals: ArrayLike, relevant: ArrayLike | int = 1, *, size: int = 1000, k: int = 10
    ):
        above = np.asarray(rank, np.float64) - 1
        if above.ndim != 1 or not len(above):
            raise DataError(f"ranks are a vector of one or more, got shape {above.shape}")
        there = np.broadcast_to(np.asarray(rivals, np.float64), above.shape)
        drawn = size - np.broadcast_to(np.asarray(relevant, np.float64), above.shape)
        if k < 1 or (drawn < 0).any():
            raise UsageError(f"k is 1 or more, and a gallery holds every right answer, got k={k}, size={size}")
        if not ((above >= 0) & (above <= there)).all():
            raise DataError("a rank lies between 1 and one more than there are rivals")
        self.k, self.size = k, size
        cells, self._which = np.unique(np.stack([above, there, drawn], 1), axis=0, return_inverse=True)
        self._which = self._which.reshape(-1)
        self._above, self._rivals, self._drawn = cells.T

    @property
    def measured(self) -> bool:
        """Whether there were as many rivals as are asked about, so that nothing is extrapolated."""
        return bool((self._drawn <= self._rivals).all())

    @property
    def known(self) -> bool:
        """Whether there were rivals enough to say anything."""
        return self.measured or bool(self._rivals.min() >= FEWEST)

    def __call__(self, weights: ArrayLike | None = None) -> float:
        """Mean over the queries, each counted `weights` (n,) times."""
        counts = np.bincount(self._which, weights, len(self._above))
        values = self._left_out if self.measured else self._modelled[int(np.argmax(self._likelihood @ counts))]
        return float(values @ counts / counts.sum())

    @property
    def chance(self) -> float:
        """What a random order of the gallery gives, the mean over the queries."""
        counts = np.bincount(self._which)
        misses = hypergeom.pmf(0, self.size, self.size - self._drawn, self.k)
        return float(1 - misses @ counts / counts.sum())

    @cached_property
    def _left_out(self) -> NDArray[np.float64]:
        """Of each distinct query, by the hypergeometric distribution."""
        lower = np.floor(self._above)
        at = [hypergeom.cdf(self.k - 1, self._rivals, a, self._drawn) for a in (lower, np.ceil(self._above))]
        return at[0] + (self._above - lower) * (at[1] - at[0])

    @cached_property
    def _grid(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """alpha and beta (g, 1)."""
        mean, concentration = (m.reshape(-1, 1) for m in np.meshgrid(expit(MEANS), np.exp(CONCENTRATIONS)))
        return mean * concentration, (1 - mean) * concentration

    @cached_property
    def _likelihood(self) -> NDArray[np.float64]:
        """(g, distinct queries) log likelihood, but for a constant."""
        alpha, beta = self._grid
        return betaln(self._above + alpha, self._rivals - self._above + beta) - betaln(alpha, beta)

    @cached_property
    def _modelled(self) -> NDArray[np.float64]:
        """(g, distinct queries) probability that at most k - 1 of the G rivals stand above."""
        alpha, beta = self._grid
        a, b, n = alpha + self._above, beta + self._rivals - self._above, self._drawn
        term = np.exp(betaln(a, b + n) - betaln(a, b))  # none above
        total = term.copy()
        for x in range(self.k - 1):  # from x to x + 1 above
            term *= np.clip(n - x, 0, None) / (x + 1) * (a + x) / np.maximum(b + n - x - 1, 1e-300)
            total += term
        return np.clip(total, 0, 1)


def recall_at_gallery_size(
    rank: ArrayLike,
    gallery_key: ArrayLike,
    query_key: ArrayLike | None = None,
    *,
    size: int = 1000,
    k: int = 10,
) -> float | None:
    """Recall@k of these queries among `size` things instead of those that they were ranked among; see GalleryRecall.

    Args:
        rank: (n,) as `retrieval` gives it. gallery_key: (m,) of the things they were ranked among.
        query_key: (n,) of the queries; `gallery_key` when None. size: things of the other gallery. k: as in recall@k.

    Returns:
        The mean; None where the gallery is to be larger and there were fewer than FEWEST rivals to learn that from.

    Raises:
        DataError: keys of another length, or a query whose key no thing has.

    >>> import numpy as np
    >>> rank = np.array([1.0, 3.0, 9.0, 100.0] * 30)
    >>> round(recall_at_gallery_size(rank, np.arange(120), size=60, k=3), 3)
    0.535
    """
    estimate = gallery_recall(rank, gallery_key, query_key, size=size, k=k)
    return estimate() if estimate.known else None


def gallery_recall(
    rank: ArrayLike, gallery_key: ArrayLike, query_key: ArrayLike | None = None, *, size: int = 1000, k: int = 10
) -> GalleryRecall:
    """The estimate behind `recall_at_gallery_size`, to be asked again with other weights."""
    gallery = check_labels("gallery_key", gallery_key, None)
    queries = gallery if query_key is None else check_labels("query_key", query_key, len(np.asarray(rank)))
    (query_code, gallery_code), keys = encode(queries, gallery)
    relevant = np.bincount(gallery_code, minlength=len(keys))[query_code]
    if len(relevant) != len(np.asarray(rank)) or not relevant.all():
        raise DataError("ranks need a key each, which some thing of the gallery has")
    return GalleryRecall(rank, len(gallery) - relevant, relevant, size=size, k=k)
