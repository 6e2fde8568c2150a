"""Do made items show what was asked, and the views of a made row the same? By labels that a judge gives them."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bouba.errors import DataError


def cross_coherence(made: ArrayLike, asked: ArrayLike) -> NDArray[np.float64]:
    """How often items show what the views show that they were made from.

        1/n sum_j [ label of made_ij = label_i ]   for each row i

    Args:
        made: (rows, n) labels that a judge gives to n items made for each row, or (rows,). asked: (rows,) true labels.

    Returns:
        (rows,) shares in [0, 1]; chance is about 1 / classes.

    Raises:
        DataError: shapes that do not fit, or no rows.

    Reference: Shi et al. 2019, Variational Mixture-of-Experts Autoencoders, section 4.2 (cross-coherence).

    >>> cross_coherence([["a", "b"], ["c", "c"]], ["a", "c"]).tolist()
    [0.5, 1.0]
    """
    labels, truth = np.asarray(made), np.asarray(asked)
    labels = labels[:, None] if labels.ndim == 1 else labels
    if labels.ndim != 2 or truth.shape != labels.shape[:1] or 0 in labels.shape:
        raise DataError(f"made must hold labels (rows, n) and asked (rows,), got {labels.shape} and {truth.shape}")
    return (labels == truth[:, None]).mean(1)


def joint_coherence(labels: ArrayLike) -> NDArray[np.float64]:
    """Whether all views of a row that was made of nothing show the same.

        [ label of view 1 = ... = label of view V ]   for each row

    Args:
        labels: (rows, V) that a judge gives to the views of each row, V of 2 or more.

    Returns:
        (rows,) of 0 and 1; of C classes, equally frequent, chance is C^(1 - V). 1 is also what one item gives that is
        made over and over: look at `frechet_distance` or the shares of the classes, too.

    Raises:
        DataError: another shape, or one view.

    Reference: Shi et al. 2019, section 4.2 (joint coherence).

    >>> joint_coherence([["a", "a"], ["a", "b"]]).tolist()
    [1.0, 0.0]
    """
    given = np.asarray(labels)
    if given.ndim != 2 or given.shape[1] < 2 or not len(given):
        raise DataError(f"joint coherence compares labels of two views or more, (rows, V), got shape {given.shape}")
    return (given == given[:, :1]).all(1).astype(float)
