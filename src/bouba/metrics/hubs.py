"""Hubness: cells that are near to everything and crowd out what fits. Corrections for a matrix of similarities."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bouba.errors import UsageError

AT_ONCE = 4096  # cells of the gallery that are compared at once


def csls_offsets(gallery: NDArray, asking: NDArray, k: int = 10) -> NDArray[np.float64]:
    """(m,) mean similarity of each cell to the k cells of the asking side that are most similar to it.

        score(q, g) = 2 q.g - r(g),   r(g) = mean of the k largest q'.g over known q'

    Cross-domain similarity local scaling on the gallery's side: what a single question adds is the same for every cell,
    so one question at a time is corrected as well as many.

    Args:
        gallery: (m, d) cells, of length one where similarity is cosine. asking: (n, d) known cells of the other side.
        k: how many; all where there are fewer.

    Raises:
        UsageError: k below 1, or no known cell.

    Reference: Conneau et al. 2018, Word translation without parallel data.

    >>> csls_offsets(np.eye(2), np.array([[1.0, 0.0], [0.8, 0.6]]), k=1).round(1).tolist()
    [1.0, 0.6]
    """
    gallery, asking = np.asarray(gallery, float), np.asarray(asking, float)
    if k < 1 or not len(asking):
        raise UsageError(f"offsets need k of 1 or more and one known cell or more, got k={k} and {len(asking)} cells")
    k = min(k, len(asking))
    offsets = np.empty(len(gallery))
    for start in range(0, len(gallery), AT_ONCE):
        similarities = gallery[start : start + AT_ONCE] @ asking.T
        offsets[start : start + AT_ONCE] = np.partition(similarities, -k, axis=1)[:, -k:].mean(1)
    return offsets


def as_gallery(cells: NDArray, offsets: NDArray) -> NDArray:
    """(m, d + 1) cells whose dot product with `as_questions` is q.g - r(g) / 2, which orders them as CSLS does."""
    return np.hstack([cells, -np.asarray(offsets)[:, None] / 2])


def as_questions(questions: NDArray) -> NDArray:
    """(n, d + 1) questions for cells of `as_gallery`."""
    return np.hstack([questions, np.ones((len(questions), 1))])


def inverted_softmax(similarities: NDArray, temperature: float = 0.05) -> NDArray[np.float64]:
    """(n, m) probabilities of the question given the cell: softmax over the questions, not over the cells.

        p(q | g) = exp(s(q, g) / t) / sum_q' exp(s(q', g) / t)

    It needs many questions at once; for single ones take `csls_offsets`.

    Args:
        similarities: (n, m), questions by cells. temperature: above 0.

    Raises:
        UsageError: a temperature of 0 or below.

    Reference: Smith et al. 2017, Offline bilingual word vectors.
    """
    if temperature <= 0:
        raise UsageError(f"temperature must be above 0, got {temperature}")
    scaled = np.asarray(similarities, float) / temperature
    powers = np.exp(scaled - scaled.max(0, keepdims=True))
    return powers / powers.sum(0, keepdims=True)
