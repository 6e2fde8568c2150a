"""Are the classes in the embedding: linear probe, nearest neighbours, class embeddings, and their scores."""

from collections.abc import Hashable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bouba.errors import DataError, UsageError
from bouba.metrics.checks import check_embeddings, check_labels, check_same_width, encode, sort_labels
from bouba.metrics.similarity import ranking_space, unit_rows


def accuracy(y_true: ArrayLike, y_pred: ArrayLike) -> float:
    """Share of rows with the right label, in [0, 1]; compare with `majority_chance`.

    >>> accuracy(["cat", "dog"], ["cat", "cat"])
    0.5
    """
    (true, predicted), _ = encode(*_check_pair(y_true, y_pred))
    return float((true == predicted).mean())


def confusion(
    y_true: ArrayLike, y_pred: ArrayLike, classes: ArrayLike | None = None
) -> tuple[NDArray[np.int64], list[Hashable]]:
    """How often class i was called class j.

    Args:
        y_true: (n,) labels. y_pred: (n,) labels.
        classes: order of rows and columns; every label that occurs, sorted, when None.

    Returns:
        counts (C, C), rows are the truth and columns the prediction; and the C classes.

    Raises:
        DataError: a label is not among `classes`.

    >>> confusion(["a", "b", "b"], ["a", "a", "b"])[0].tolist()
    [[1, 0], [1, 1]]
    """
    true, predicted = _check_pair(y_true, y_pred)
    occurring = dict.fromkeys(true.tolist() + predicted.tolist())
    order = sort_labels(occurring) if classes is None else check_labels("classes", classes).tolist()
    if unknown := [label for label in occurring if label not in set(order)]:
        raise DataError(f"labels {unknown[:5]!r} are not among the {len(order)} classes; add them to `classes`")
    place = {label: i for i, label in enumerate(order)}
    cells = [place[t] * len(order) + place[p] for t, p in zip(true.tolist(), predicted.tolist())]
    return np.bincount(cells, minlength=len(order) ** 2).reshape(len(order), len(order)), order


def macro_f1(y_true: ArrayLike, y_pred: ArrayLike) -> float:
    """F1 of each class, 2 TP / (2 TP + FP + FN), averaged over the classes that occur in either array.

    Use it instead of `accuracy` when classes are of unequal size and the small ones matter.

    >>> round(macro_f1(["a", "a", "b"], ["a", "a", "a"]), 3)
    0.4
    """
    counts, _ = confusion(y_true, y_pred)
    return float((2 * np.diag(counts) / (counts.sum(axis=0) + counts.sum(axis=1))).mean())


def majority_chance(train_y: ArrayLike, test_y: ArrayLike) -> float:
    """Accuracy on `test_y` of always guessing the most frequent label of `train_y`.

    Several labels equally frequent count as a random pick among them: the mean of their accuracies.

    >>> majority_chance(["a", "a", "b"], ["a", "b", "b", "b"])
    0.25
    """
    train, test = check_labels("train_y", train_y), check_labels("test_y", test_y)
    (train_code, test_code), labels = encode(train, test)
    frequency = np.bincount(train_code, minlength=len(labels))
    commonest = np.flatnonzero(frequency == frequency.max())
    return float(np.isin(test_code, commonest).mean() / len(commonest))


def linear_probe(train_z: ArrayLike, train_y: ArrayLike, test_z: ArrayLike, *, random_state: int | None = 0) -> NDArray:
    """Labels of `test_z` by a logistic regression on frozen embeddings.

    Rows are scaled to length one and columns standardised on the training rows, then an l2-penalised
    softmax regression is fitted (C = 0.1). It measures whether planes separate the classes;
    `knn` measures whether neighbours agree, `zero_shot` needs no training labels.

    Args:
        train_z: (n, d). train_y: (n,) labels of any dtype. test_z: (m, d).
        random_state: kept for a common signature; the fit is deterministic.

    Returns:
        (m,) labels with the dtype of `train_y`.

    Raises:
        DataError: fewer than two classes, NaN, or shapes that do not match.

    Reference: Radford et al. (2021), CLIP, section 3.2. Departures: columns are standardised, and C is
    fixed instead of swept, so that a probe costs a second and never looks at test labels.

    >>> linear_probe([[1, 0], [0, 1]], ["x", "y"], [[2, 1]]).tolist()
    ['x']
    """
    from sklearn.linear_model import LogisticRegression  # a second to import: only who probes pays
    from sklearn.preprocessing import StandardScaler
    from threadpoolctl import threadpool_limits

    train, code, labels, test = _check_task(train_z, train_y, test_z)
    if len(labels) < 2:
        raise DataError(f"a linear probe needs two classes or more, got 1 ({labels.tolist()[0]!r}); check train_y")
    scaler = StandardScaler().fit(unit_rows(train))
    model = LogisticRegression(C=0.1, max_iter=1000, random_state=random_state)
    with threadpool_limits(1):  # small products: two threads on busy cores took 50 times the CPU of one
        model.fit(scaler.transform(unit_rows(train)), code)
    return labels[model.predict(scaler.transform(unit_rows(test)))]


def knn(
    train_z: ArrayLike,
    train_y: ArrayLike,
    test_z: ArrayLike,
    k: int = 5,
    *,
    similarity: str = "cosine",
    tile: int = 1024,
) -> NDArray:
    """Labels of `test_z` by a vote of the k nearest training rows; a tied vote goes to the nearest of them.

    No fit and no penalty to choose: use it instead of `linear_probe` to ask about local structure.

    Args:
        train_z: (n, d). train_y: (n,) labels of any dtype. test_z: (m, d). k: 1 to n.
        similarity: what nearest means. tile: test rows at once; memory is about 16 * tile * n bytes.

    Returns:
        (m,) labels with the dtype of `train_y`.

    Raises:
        UsageError: k is not between 1 and n. DataError: NaN or shapes that do not match.

    >>> knn([[1, 0], [0, 1]], ["x", "y"], [[2, 1]], k=1).tolist()
    ['x']
    """
    train, code, labels, test = _check_task(train_z, train_y, test_z)
    if not 1 <= k <= len(train):
        raise UsageError(f"k must be between 1 and the {len(train)} training rows, got {k}")
    q, g = ranking_space(test, train, similarity)
    parts = []
    for start in range(0, len(q), tile):
        costs = q[start : start + tile] @ g.T  # (tile, n)
        near = np.argpartition(costs, k - 1, axis=1)[:, :k]
        by_cost = np.argsort(np.take_along_axis(costs, near, axis=1), axis=1, kind="stable")
        voted = code[np.take_along_axis(near, by_cost, axis=1)]  # (tile, k), nearest first
        votes = (voted[:, :, None] == voted[:, None, :]).sum(axis=2)
        parts.append(np.take_along_axis(voted, votes.argmax(axis=1)[:, None], axis=1)[:, 0])
    return labels[np.concatenate(parts)]


def zero_shot(z: ArrayLike, class_z: ArrayLike, classes: ArrayLike, similarity: str = "cosine") -> NDArray:
    """Label of the class embedding nearest to each row; no training labels needed.

    Args:
        z: (n, d). class_z: (C, d), e.g. the embedded class names. classes: (C,) their labels.
        similarity: "cosine", "dot" or "euclidean".

    Returns:
        (n,) labels with the dtype of `classes`; of equally near classes the first.

    >>> zero_shot([[2, 1]], [[1, 0], [0, 1]], ["x", "y"]).tolist()
    ['x']
    """
    rows, centres = check_embeddings("z", z), check_embeddings("class_z", class_z)
    check_same_width("z", rows, "class_z", centres)
    labels = check_labels("classes", classes, len(centres))
    q, g = ranking_space(rows, centres, similarity)
    return labels[(q @ g.T).argmin(axis=1)]


def _check_pair(y_true: ArrayLike, y_pred: ArrayLike) -> tuple[NDArray, NDArray]:
    true = check_labels("y_true", y_true)
    return true, check_labels("y_pred", y_pred, len(true))


def _check_task(
    train_z: ArrayLike, train_y: ArrayLike, test_z: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.intp], NDArray, NDArray[np.float64]]:
    """Training rows, their class codes, the label of each code, and the test rows."""
    train, test = check_embeddings("train_z", train_z), check_embeddings("test_z", test_z)
    check_same_width("train_z", train, "test_z", test)
    y = check_labels("train_y", train_y, len(train))
    (code,), _ = encode(y)
    return train, code, y[np.unique(code, return_index=True)[1]], test
