"""Which labels of a table are probably wrong, by probabilities of a model that did not learn them."""

from __future__ import annotations

import numpy as np


def label_errors(p: np.ndarray, given: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Confident learning: the rows that a model puts, with at least the confidence that is usual there, into another
    class than the given one.

        t_j = mean of p_ij over the rows i given as j
        likely_i = argmax over j with p_ij >= t_j of p_ij;   wrong where likely_i != given_i

    A threshold a class, so that neither a class that a model is always sure of nor one that it is never sure of fills
    the list. Rows that reach no threshold are not judged, nor those of which the given label is more probable.

    Args:
        p: (n, C) probabilities by a model that never saw row i with its label. given: (n,) codes of the labels.

    Returns:
        (m,) places of rows with a label that is probably wrong, those of the largest p[likely] - p[given] first; and
        (m,) their likely classes.

    Reference: Northcutt, Jiang, Chuang 2021, Confident Learning: Estimating Uncertainty in Dataset Labels, equations
        1 and 2 and the ranking by normalised margin.
    """
    p, given = np.asarray(p, np.float64), np.asarray(given, int)
    own = p[np.arange(len(p)), given]
    counts = np.bincount(given, minlength=p.shape[1])
    thresholds = np.where(counts, np.bincount(given, own, minlength=p.shape[1]) / np.maximum(counts, 1), np.inf)
    confident = np.where(p >= thresholds, p, -1.0)
    likely = confident.argmax(1)
    margins = p[np.arange(len(p)), likely] - own
    wrong = np.flatnonzero((confident.max(1) >= 0) & (margins > 0))
    order = np.lexsort((wrong, -margins[wrong]))
    return wrong[order], likely[wrong[order]]
