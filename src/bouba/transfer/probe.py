"""How many labels a trained tower saves on a new task."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from bouba.data.characters import class_name
from bouba.data.matching import views_for
from bouba.data.read import as_views
from bouba.data.split import split
from bouba.data.views import Views, is_missing
from bouba.errors import DataError, ModalityError, UsageError, nearest
from bouba.evaluation import Record, Result, environment, seeds_interval
from bouba.evaluation.abilities import HasTowers
from bouba.evaluation.features import raw_features
from bouba.evaluation.fingerprint import fingerprint
from bouba.learner import Learner
from bouba.metrics import linear_probe as fitted_probe
from bouba.terms import Prediction
from bouba.transfer.trained import Trained

SHOTS = (1, 5, 10, 50)


def linear_probe(
    model: Any,
    views,
    y,
    *,
    view: str,
    shots: Sequence[int] = SHOTS,
    test: float | Views = 0.5,
    repeats: int = 10,
    against: Mapping[str, Any] | None = None,
    random_state: int = 0,
) -> Result:
    """The labels-needed curve: accuracy of a linear classifier on a frozen embedding, by labelled examples a class.

    For each number of shots, that many rows of each class are drawn `repeats` times, and each draw is judged on the
    same test rows. All embeddings get the same draws. The model's embedding is compared with the view's raw numbers,
    where
    its tower has such a form: an embedding that does not beat them has taught nothing about this label. `fine_tune`
    trains the tower too, which is better once there are labels enough; `ZeroShotClassifier` needs none.

    Args:
        model: fitted, with `embed`.
        views: labelled rows. y: the name of their label column, or (n,) labels, None where there is none.
        view: whose embedding.
        shots: labelled rows a class.
        test: the share of rows to judge on, or other Views that have the label column.
        repeats: draws of labelled rows, two or more.
        against: name -> another model with `embed`, say the same towers untrained, or trained otherwise.
        random_state: of the cut and of the draws.

    Returns:
        Records "<label>_accuracy@<shots>" by method ("trained", "raw" and those of `against`): the mean over draws with
        its 95% Student interval; chance is 1 / C. It prints with `.format()`.

    Raises:
        DataError: a class with fewer rows than shots, fewer than two classes. ModalityError: no such view.
        UsageError: shots or repeats too small.

    References: Alain and Bengio 2017, Understanding Intermediate Layers Using Linear Classifier Probes; Radford et al.
    2021, section 3.1.4 (curves by examples a class).

    >>> from bouba import CLIP
    >>> views = Views({"a": np.eye(8)[np.arange(64) % 8], "b": np.eye(8)[np.arange(64) % 8]})
    >>> model = CLIP(epochs=1, dim=8).fit(views)
    >>> curve = linear_probe(model, views, np.arange(64) % 2, view="a", shots=(1, 10), repeats=2)
    >>> sorted({r.method for r in curve}), curve.records[0].metric, curve.records[0].chance
    (['raw', 'trained'], 'y_accuracy@1', 0.5)
    """
    if repeats < 2 or not shots or min(shots) < 1:
        raise UsageError(f"repeats must be 2 or more and shots 1 or more, got {repeats} and {tuple(shots)}")
    views, label = _labelled(views, y, view)
    if isinstance(test, Views):
        train, held_out = views, _labelled(test, label, view)[0]
    else:
        parts = split(views, {"train": 1 - test, "test": test}, random_state=random_state)
        train, held_out = parts["train"], parts["test"]
    y_train, truth = _classes(train, label), _classes(held_out, label)
    draws = {k: list(_draws(y_train, k, repeats, label, random_state)) for k in shots}
    fields: dict[str, Any] = {"split": "test", "domain": "all", "direction": view, "seed": random_state}
    fields |= {"n": len(truth), "chance": 1 / len(set(y_train))}
    records = []
    for method, (z_train, z_test) in _embedded(model, against or {}, train, held_out, view).items():
        for k, drawn in draws.items():
            predictions = [fitted_probe(z_train[rows], y_train[rows], z_test) for rows in drawn]
            value, low, high = seeds_interval([float((predicted == truth).mean()) for predicted in predictions])
            records.append(Record(method, metric=f"{label}_accuracy@{k}", value=value, low=low, high=high, **fields))
    return Result(records, environment(random_state, fingerprint(train, held_out)))


def fine_tune(
    model: Any,
    views,
    y,
    *,
    view: str | Sequence[str] | None = None,
    train: bool = True,
    lr_scale: float = 0.3,
    epochs: int = 30,
    validation: float | Views | None = None,
    **training,
) -> Learner:
    """A classifier of a new label (or a regressor, of numbers) whose towers start from those of a trained model.

    Use it instead of `linear_probe` when there are some dozens of labels a class. The head is new: with few rows raise
    `epochs` until there are a hundred steps, or it learns less than a model that starts from nothing. Views are fused
    late: each predicts, and predictions are averaged. For another fusion hand the towers on:
    FusionClassifier({"photo": Trained.of(model, "photo")}).

    Args:
        model: fitted, with towers; it stays as it is.
        views: labelled rows. y: the name of their label column, or (n,) labels.
        view: which view or views; all that both have when None.
        train: step the towers' weights too; False trains the head alone.
        lr_scale: learning rate of what was trained before, as a share of everyone's.
        epochs, **training: see Learner. validation: see its `fit`.

    Returns:
        A fitted Learner; `predict(X)[label]`, `predict_proba(X)[label]`, `save`.

    Raises:
        ModalityError: a view that the model does not have. DataError: no labels.
    """
    views = views_for(model, as_views(views))
    specs = model.specs_ if isinstance(model, HasTowers) else {}
    shared = [name for name in views.columns if name in specs]
    names = [view] if isinstance(view, str) else shared if view is None else list(view)
    domain = views.domains[0] if len(views.domains) == 1 and specs else None
    domain = domain if domain is not None and domain in model.codes_.domains else None
    towers = {name: Trained.of(model, name, train=train, lr_scale=lr_scale, domain=domain) for name in names}
    views, label = _labelled(views, y, *names)
    learner = Learner(towers, Prediction((label,)), epochs=epochs, **{"dim": model.dim, **training})
    return learner.fit(views.select(*names), validation=validation)


def _labelled(views, y, *names: str) -> tuple[Views, str]:
    """The rows that have a label and one of the views named, and the name of the label column."""
    views = as_views(views)
    for view in names:
        if view not in views.columns:
            raise ModalityError(f"no view {view!r}{nearest(view, views.columns)}")
    if isinstance(y, str) and y not in views.y:
        raise DataError(f"no label column {y!r}{nearest(y, views.y)}")
    if not isinstance(y, str):
        views, y = views.replace(y={**views.y, "y": y}), "y"
    has_view = np.any([np.zeros(len(views), bool), *(views[view].present for view in names)], axis=0)
    usable = np.array([not is_missing(value) for value in views.y[y]], bool) & has_view
    if not usable.any():
        raise DataError(f"no row has a label {y!r} and a view of {', '.join(map(repr, names)) or 'both'}")
    return views[usable], y


def _classes(views: Views, label: str) -> np.ndarray:
    """Class names (n,)."""
    return np.array([class_name(value) for value in views.y[label]], dtype=object)


def _draws(y: np.ndarray, shots: int, repeats: int, label: str, random_state: int) -> Iterator[np.ndarray]:
    """Rows of a draw, `shots` of each class. One draw's smaller shots are among its larger ones."""
    classes, counts = np.unique(y, return_counts=True)
    if len(classes) < 2:
        raise DataError(f"a probe needs two classes or more, label {label!r} has {len(classes)}")
    if counts.min() < shots:
        few = classes[counts.argmin()]
        raise DataError(
            f"{shots} shots need as many training rows a class, {label!r} has {counts.min()} of {few!r}; ask fewer "
            "shots, or give a smaller share to test"
        )
    for repeat in range(repeats):
        order = np.random.default_rng([random_state, repeat]).permutation(len(y))
        yield np.concatenate([order[y[order] == name][:shots] for name in classes])


def _embedded(
    model: Any, against: Mapping[str, Any], train: Views, test: Views, view: str
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """method -> features of the training and of the test rows."""
    models = {"trained": model, **against}
    embeddings = {name: tuple(m.embed(part.select(view))[view] for part in (train, test)) for name, m in models.items()}
    raw_train, raw_test = raw_features(model, train, view), raw_features(model, test, view)
    if raw_train is not None and raw_test is not None:
        embeddings["raw"] = (raw_train, raw_test)
    return embeddings  # type: ignore[return-value]
