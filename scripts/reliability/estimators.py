"""Every estimator that bouba exports, found by looking, made small and fitted."""

from __future__ import annotations

import inspect

import numpy as np
from sklearn.base import BaseEstimator

import bouba
from bouba import InfoNCE, Views
from bouba.adapt.domain_aligner import DomainAligner

EXPORTED = {
    name: getattr(bouba, name)
    for name in bouba.__all__
    if inspect.isclass(getattr(bouba, name)) and issubclass(getattr(bouba, name), BaseEstimator)
}
ARRAYS = tuple(name for name, cls in EXPORTED.items() if issubclass(cls, DomainAligner))
"""These take two arrays, some of them labels too, and give one."""
LABELLED = ("JDA",)
ESTIMATORS = sorted(set(EXPORTED) - {"ZeroShotClassifier"})  # that one is made of a fitted one
QUICK = {"epochs": 2, "dim": 4, "batch_size": 40, "n_components": 3}


def make(name: str, **arguments) -> BaseEstimator:
    """An estimator that is fitted in a second."""
    parameters = EXPORTED[name]().get_params()
    chosen = {key: value for key, value in (QUICK | arguments).items() if key in parameters}
    if name == "Learner":
        chosen["objective"] = InfoNCE()
    if name == "FusionRegressor":
        chosen["label"] = "size"
    return EXPORTED[name](**chosen)


def rows(left: np.ndarray, right: np.ndarray, *, classes: np.ndarray, sizes: np.ndarray, name: str) -> Views:
    """Two views with a label that suits the estimator, and two domains."""
    domain = np.where(np.arange(len(left)) % 2, "shop", "studio")
    label = {"size": sizes} if name == "FusionRegressor" else {"kind": classes}
    return Views({"left": left, "right": right}, domain=domain, y=label)


def fit(name: str, views: Views, **arguments) -> BaseEstimator:
    """Fitted on views; those that take arrays get left as source and right as target."""
    model = make(name, **arguments)
    if name in ARRAYS:
        labels = views.y["kind"] if name in LABELLED else None
        return model.fit(np.stack(list(views["left"])), np.stack(list(views["right"])), labels=labels)
    return model.fit(views, target="shop") if name == "AdaptedCLIP" else model.fit(views)


def outputs(name: str, model, views: Views) -> dict[str, np.ndarray]:
    """Everything that a fitted model says of rows, as arrays by name."""
    if name in ARRAYS:
        return {"transformed": np.asarray(model.transform(np.stack(list(views["left"]))))}
    found = {f"embedding of {view}": np.asarray(z) for view, z in model.embed(views).items()}
    if getattr(model, "predicts", False):
        predicted = model.predict(views)
        pairs = predicted.items() if isinstance(predicted, dict) else [("label", predicted)]
        found |= {f"prediction of {label}": np.asarray(value) for label, value in pairs}
    return found
