"""What a score of a match is worth: sets that hold the true partner, and the probability that a hit is right."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bouba.errors import UsageError
from bouba.metrics.checks import check_embeddings

SPLITS = 200


def conformal_cut(true_scores: ArrayLike, sure: float = 0.9) -> float:
    """The score from which on cells belong to a set that holds the true partner with probability `sure`.

        cut = the floor(alpha (n + 1))-th smallest of n true scores,   alpha = 1 - sure

    A new pair that is drawn as those n were scores below the cut with probability at most alpha, whatever the model;
    where no cell reaches the cut, "nothing here fits" is wrong for at most that share of the questions with an answer.

    Args:
        true_scores: (n,) of true pairs that the model never saw, one a thing. sure: between 0 and 1.

    Raises:
        UsageError: `sure` outside (0, 1), or fewer scores than it needs.

    Reference: Vovk, Gammerman, Shafer 2005, Algorithmic learning in a random world; Papadopoulos et al. 2002 (split).

    >>> conformal_cut(np.arange(1, 20) / 20, 0.9)
    0.1
    """
    scores = np.sort(np.asarray(true_scores, float))
    if not 0 < sure < 1:
        raise UsageError(f"sure is a probability between 0 and 1, got {sure:g}; for example 0.9")
    rank = math.floor((1 - sure) * (len(scores) + 1) + 1e-9)
    if rank < 1:
        needed = math.ceil(1 / (1 - sure) - 1 - 1e-9)
        raise UsageError(
            f"sure={sure:g} needs {needed} held-out pairs or more, there are {len(scores)}; take a lower one, or hold "
            "out more rows"
        )
    return float(scores[rank - 1])


def false_alarm_rate(true_scores: ArrayLike, score: float) -> float:
    """Share of questions with an answer of which "nothing here fits" is wrongly said, if it is said wherever the best
    score is at most this one; at most, as the answer need not be what scores best.

    >>> false_alarm_rate([0.1, 0.2, 0.3], 0.15)
    0.5
    """
    scores = np.asarray(true_scores, float)
    return float((np.count_nonzero(scores <= score) + 1) / (len(scores) + 1))


def coverage(true_scores: ArrayLike, sure: float = 0.9, *, splits: int = SPLITS, random_state: int = 0) -> NDArray:
    """(splits,) share of true partners within their sets: half of the scores, drawn at random, give the cut for the
    rest. The mean is `sure` or a little more.

    Raises:
        UsageError: too few scores; see `conformal_cut`.
    """
    scores = np.asarray(true_scores, float)
    random = np.random.default_rng(random_state)
    shares = []
    for _ in range(splits):
        order = random.permutation(len(scores))
        known, new = order[: len(order) // 2], order[len(order) // 2 :]
        shares.append(float(np.mean(scores[new] >= conformal_cut(scores[known], sure))))
    return np.array(shares)


def confidence_curve(scores: ArrayLike, right: ArrayLike) -> NDArray[np.float64]:
    """(2, m) scores in rising order and the share of hits that are right there; between them by straight lines.

    Isotonic regression: the share rises with the score, and is else as the hits were. One wrong hit more is counted at
    the largest score, so that a few right ones there do not make a certainty.

    Args:
        scores: (n,) of hits. right: (n,) bool.

    Reference: Zadrozny & Elkan 2002, Transforming classifier scores into accurate multiclass probability estimates.
    Departure: the wrong hit.
    """
    from sklearn.isotonic import IsotonicRegression

    scores, right = np.asarray(scores, float), np.asarray(right, float)
    fitted = IsotonicRegression(y_min=0, y_max=1).fit(np.append(scores, scores.max()), np.append(right, 0.0))
    return np.stack([fitted.X_thresholds_, fitted.y_thresholds_])


def confidence(curve: ArrayLike, scores: ArrayLike) -> NDArray[np.float64]:
    """The probability that hits with these scores are right, by a curve of `confidence_curve`."""
    x, y = np.asarray(curve, float)
    return np.interp(np.asarray(scores, float), x, y)


def presence_auroc(with_partner: ArrayLike, without: ArrayLike) -> float:
    """How well the best score tells whether the partner is there at all: area under the ROC curve, 0.5 by chance.

    Args:
        with_partner: (n,) best scores where the partner is among the cells. without: (m,) where it is not.

    >>> presence_auroc([0.9, 0.8, 0.4], [0.3, 0.4])
    0.9166666666666666
    """
    there, gone = check_embeddings("with_partner", np.reshape(with_partner, (-1, 1))), np.reshape(without, (-1, 1))
    from scipy.stats import rankdata

    ranks = rankdata(np.concatenate([there, gone]).ravel())
    n, m = len(there), len(gone)
    return float((ranks[:n].sum() - n * (n + 1) / 2) / (n * m))
