"""How well the two cells of a pair go together."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bouba.errors import UsageError
from bouba.metrics.checks import check_embeddings, check_same_width
from bouba.metrics.similarity import unit_rows


def clip_score(a: ArrayLike, b: ArrayLike, *, weight: float = 2.5) -> NDArray[np.float64]:
    """CLIPScore of each pair of embeddings.

        CLIP-S(a, b) = w max(cos(a, b), 0)

    Args:
        a, b: (n, d) embeddings; row i of one is judged with row i of the other. weight: w, above 0.

    Returns:
        (n,) from 0, unrelated or opposed, to w. It compares pairs judged by one model, never two models.

    Raises:
        DataError: NaN or unequal widths. UsageError: other numbers of rows, or a weight of 0 or less.

    Reference: Hessel et al. 2021, CLIPScore: A Reference-free Evaluation Metric for Image Captioning, equation 1.

    >>> clip_score([[1, 0], [1, 0]], [[3, 4], [-1, 0]]).tolist()
    [1.5, 0.0]
    """
    a, b = check_embeddings("a", a), check_embeddings("b", b)
    check_same_width("a", a, "b", b)
    if len(a) != len(b) or not 0 < weight < np.inf:
        raise UsageError(f"clip_score takes pairs and a weight above 0, got {len(a)} and {len(b)} rows, {weight}")
    return weight * np.clip((unit_rows(a) * unit_rows(b)).sum(axis=1), 0, 1)
