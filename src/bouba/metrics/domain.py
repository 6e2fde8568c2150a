"""How well a linear classifier separates two domains, which adaptation should make impossible."""

import numpy as np
from numpy.typing import ArrayLike

from bouba.errors import DataError
from bouba.metrics.checks import check_embeddings, check_same_width


def domain_accuracy(z_source: ArrayLike, z_target: ArrayLike, *, random_state: int | None = 0) -> float:
    """Cross-validated accuracy of a linear classifier that names the domain of a row.

    Balanced: the mean of the accuracies on source and on target rows, so 0.5 is chance whatever the sizes.
    0.5 is what adaptation aims for, 1.0 means separate domains. It does not depend on classes:
    embeddings that are all alike get 0.5 too, so read it together with the accuracy of the task.

    Args:
        z_source: (n, d). z_target: (m, d). Each two rows or more; folds are min(5, n, m).
        random_state: of the split into folds.

    Returns:
        Accuracy in [0, 1]; below 0.5 by chance when the domains cannot be told apart.

    Raises:
        DataError: NaN, unequal widths, or a domain with one row.

    >>> domain_accuracy([[0], [1], [2]], [[7], [8], [9]])
    1.0
    """
    from sklearn.linear_model import LogisticRegression  # a second to import: only when needed
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from threadpoolctl import threadpool_limits

    source, target = check_embeddings("z_source", z_source), check_embeddings("z_target", z_target)
    check_same_width("z_source", source, "z_target", target)
    if (fewest := min(len(source), len(target))) < 2:
        raise DataError(
            f"cross-validation needs two rows or more in each domain, got {len(source)} source and "
            f"{len(target)} target rows; embed more of the smaller domain"
        )
    domain = np.repeat([0, 1], [len(source), len(target)])
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, class_weight="balanced", max_iter=1000))
    folds = StratifiedKFold(min(5, fewest), shuffle=True, random_state=random_state)
    with threadpool_limits(1):  # small products: two threads on busy cores took 50 times the CPU of one
        guess = cross_val_predict(model, np.concatenate([source, target]), domain, cv=folds)
    return float(np.mean([(guess[domain == d] == d).mean() for d in (0, 1)]))


def proxy_a_distance(z_source: ArrayLike, z_target: ArrayLike, *, random_state: int | None = 0) -> float:
    """How far apart two domains are for a linear classifier.

        d_A = 2 (1 - 2 err)

    with err the cross-validated balanced error of `domain_accuracy`, which is the same fact on another
    scale: use this one to compare with papers, that one to explain.

    Args:
        z_source: (n, d). z_target: (m, d).
        random_state: of the split into folds.

    Returns:
        2 for domains that can be told apart without error, about 0 for equal ones; slightly negative by
        chance, and not clipped, because clipping would make the mean over seeds too large.

    Raises:
        DataError: as `domain_accuracy`.

    Reference: Ben-David et al. (2007), Analysis of representations for domain adaptation, section 4; and
    (2010), A theory of learning from different domains. Departures: logistic regression instead of a Huber
    loss, cross-validated instead of one split, balanced over domains.

    >>> proxy_a_distance([[0], [1], [2]], [[7], [8], [9]])
    2.0
    """
    error = 1 - domain_accuracy(z_source, z_target, random_state=random_state)
    return 2 * (1 - 2 * error)
