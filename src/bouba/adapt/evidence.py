"""How correct a fitted model is, row by row, and how much weight a source row has for the target."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from bouba.data.characters import class_name
from bouba.data.views import Views, is_missing
from bouba.errors import DataError, UsageError, nearest
from bouba.evaluation.abilities import GivesProbabilities, NamesLabels, NamesViews
from bouba.evaluation.model import Embeds, Model, as_model
from bouba.learner import BaseLearner
from bouba.metrics import retrieval

CLIP = 20.0  # the largest weight of a row


def predicts_label(model: Any) -> bool:
    """Whether the model gives probabilities of a label's classes."""
    if isinstance(model, BaseLearner):
        return model.predicts
    return isinstance(model, GivesProbabilities) and (not isinstance(model, Model) or model.predicts)


def read_by(model: Any, views: Views) -> Views:
    """The views that the model was trained on; all of them where it does not name them."""
    if not isinstance(model, NamesViews):
        return views
    return views.select(*(name for name in views.columns if name in model.kinds_))


def embedded(model: Any, views: Views) -> dict[str, np.ndarray]:
    """view -> (n, d); nothing where the model does not embed."""
    return dict(model.embed(read_by(model, views))) if isinstance(model, Embeds) else {}


def of_label(model: Any, predicted: Any, label: str | None, views: Views) -> tuple[str, np.ndarray]:
    """A label and what is predicted of it: the one that is named, or the only one.

    Raises:
        UsageError: none is named, and there are several.
    """
    is_by_label = isinstance(predicted, Mapping)
    labels = list(predicted if is_by_label else model.labels_ if isinstance(model, NamesLabels) else views.y)
    if label is None and len(labels) == 1:
        label = labels[0]
    if label is None or label not in labels:
        raise UsageError(f"label={label!r} is not what {type(model).__name__} predicts{nearest(str(label), labels)}")
    return label, np.asarray(predicted[label] if is_by_label else predicted)


def correctness(model: Any, views: Views, label: str | None) -> tuple[np.ndarray, np.ndarray]:
    """How correct the model is on each row that can be judged, in [0, 1], and which rows these are.

    1 or 0 for a predicted label. Of a model that aligns views, the reciprocal rank of the true partner, averaged over
    the ordered pairs of views that the row has.

    Raises:
        DataError: no row can be judged. UsageError: the model neither predicts classes nor embeds.
    """
    if predicts_label(model):
        return _label_correctness(model, views, label)
    if not isinstance(model, Embeds):
        raise UsageError(f"{type(model).__name__} has neither predict_proba nor embed, so it cannot be judged")
    return _partner_correctness(model, views)


def _label_correctness(model: Any, views: Views, label: str | None) -> tuple[np.ndarray, np.ndarray]:
    """Of one label; averaged over all labels of classes that a row has where the model predicts several."""
    predicted = model.predict(read_by(model, views))
    several = label is None and isinstance(predicted, Mapping)
    by_label = dict(predicted) if several else dict([of_label(model, predicted, label, views)])
    numbers = model.codes_.numbers if isinstance(model, BaseLearner) else {}
    total, count = np.zeros(len(views)), np.zeros(len(views))
    for name in by_label.keys() - numbers.keys():
        rows = np.flatnonzero([not is_missing(value) for value in views.y.get(name, ())])
        pairs = zip(by_label[name][rows], views.y.get(name, rows)[rows], strict=True)
        total[rows] += [class_name(a) == class_name(b) for a, b in pairs]
        count[rows] += 1
    rows = np.flatnonzero(count)
    if not len(rows):
        names = ", ".join(map(repr, by_label))
        raise DataError(f"no row of these {len(views)} has label {names} to judge by; give rows whose class is known")
    return total[rows] / count[rows], rows


def _partner_correctness(model: Any, views: Views) -> tuple[np.ndarray, np.ndarray]:
    z, compared_by = embedded(model, views), as_model(model).compared_by
    total, count = np.zeros(len(views)), np.zeros(len(views))
    for a in z:
        for b in z:
            both = np.flatnonzero(views[a].present & views[b].present)
            if a == b or len(both) < 2:
                continue
            key = views.things[both]
            ranks = retrieval(z[a][both], z[b][both], key, key, similarity=compared_by)
            total[both] += ranks["reciprocal_rank"]
            count[both] += 1
    rows = np.flatnonzero(count)
    if not len(rows):
        raise DataError("no two rows have two views, so no pairing can be judged; give rows with pairs")
    return total[rows] / count[rows], rows


def density_ratio(z_source: np.ndarray, z_target: np.ndarray, *, random_state: int = 0) -> np.ndarray:
    """p_target(z) / p_source(z) at each source row, (n,), at most CLIP.

        w(z) = n p(target | z) / (m p(source | z))

    by a logistic regression that was fitted without the row (5 folds). Where the domains can be told apart without
    error the ratio cannot be estimated, and all weights are near 0.

    Args:
        z_source: (n, d). z_target: (m, d); two rows or more each.

    Reference: Bickel, Brueckner and Scheffer 2007, Discriminative Learning for Differing Training and Test
    Distributions.
    """
    from sklearn.linear_model import LogisticRegression  # a second to import: only when needed
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from threadpoolctl import threadpool_limits

    n, m = len(z_source), len(z_target)
    domain = np.repeat([0, 1], [n, m])
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=1000))
    folds = StratifiedKFold(min(5, n, m), shuffle=True, random_state=random_state)
    rows = np.concatenate([z_source, z_target])
    with threadpool_limits(1):
        log_p = cross_val_predict(model, rows, domain, cv=folds, method="predict_log_proba")[:n]  # (n, 2)
    return np.minimum(np.exp(np.minimum(log_p[:, 1] - log_p[:, 0] + np.log(n / m), 50.0)), CLIP)
