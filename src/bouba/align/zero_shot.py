"""ZeroShotClassifier: classes named in words, no labelled example."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.special import softmax

from bouba.data.matching import views_for
from bouba.data.pairing import row_values
from bouba.data.views import Views, is_missing
from bouba.errors import ModalityError, UsageError
from bouba.estimator import BaseEstimator, ClassifierMixin, check_is_fitted
from bouba.evaluation.abilities import temperature_of
from bouba.evaluation.class_names import class_embeddings
from bouba.evaluation.model import as_model
from bouba.metrics.similarity import similarities


class ZeroShotClassifier(ClassifierMixin, BaseEstimator):
    """Classes named in words: a classifier made of a fitted aligner and the names of the classes.

        p(c | x) = softmax_c  sim(z(x), z(c)) / tau,    z(c) the mean over templates with the name filled in

    Use it where there are no labels, or to see what labels would add: `linear_probe` needs labels and is
    better once there are a few per class.

    Args:
        model: a fitted aligner with a text view.
        classes: the labels; those in y when None.
        templates: sentences with {} where the name goes. Several are averaged, which usually helps.
        names: label -> its name in words; else the label itself, its - and _ as blanks.
        view: the view to classify; the only one that is not text when None.
        text: the text view that reads the names; the one whose alphabet fits them when None.
        temperature: tau of `predict_proba`; the model's own when None.

    Attributes: `classes_` (C,), `class_z_` (C, d).

    Raises:
        UsageError: no classes, or a template without {}. ModalityError: no text view, or no view to classify.

    Reference: Radford et al. 2021, Learning Transferable Visual Models From Natural Language Supervision, section 3.1.
    """

    def __init__(
        self,
        model: Any,
        classes: Sequence[str] | None = None,
        *,
        templates: Sequence[str] = ("{}",),
        names: Mapping[str, str] | None = None,
        view: str | None = None,
        text: str | None = None,
        temperature: float | None = None,
    ):
        self.model = model
        self.classes = classes
        self.templates = templates
        self.names = names
        self.view = view
        self.text = text
        self.temperature = temperature

    def __sklearn_clone__(self) -> ZeroShotClassifier:
        """A copy around the same model, which stays fitted: cross-validation must not train it again."""
        return type(self)(**self.get_params(deep=False))

    def fit(self, X=None, y=None) -> ZeroShotClassifier:
        """Embed the names. X is not read; y (n,) only for the labels that occur."""
        if self.classes is None and y is None:
            raise UsageError("ZeroShotClassifier needs classes: name them, or give y to take them from")
        labels = self.classes if self.classes is not None else [v for v in row_values("y", y) if not is_missing(v)]
        self.classes_ = np.unique(np.asarray(labels).astype(str))
        if len(self.classes_) < 2:
            raise UsageError(f"ZeroShotClassifier needs two classes or more, got {self.classes_.tolist()}")
        self.text_ = self.text or self.model.text_view(" ".join(self.classes_))
        self.class_z_ = class_embeddings(
            self.model, self.classes_.tolist(), view=self.text_, templates=self.templates, names=self.names
        )
        return self

    def decision_function(self, X) -> np.ndarray:
        """(n, C) similarities; Views, or what `bouba.read` takes."""
        check_is_fitted(self, "class_z_")
        views = views_for(self.model, X)
        name = self.view_of(views)
        if not views[name].present.all():
            absent = int((~views[name].present).sum())
            raise ModalityError(f"{absent} of {len(views)} rows have no {name!r}; choose rows that have one")
        z = self.model.embed(views.select(name))[name]
        return similarities(z, self.class_z_, as_model(self.model).compared_by)

    def predict_proba(self, X) -> np.ndarray:
        """(n, C), columns in the order of `classes_`."""
        tau = self.temperature or temperature_of(self.model) or 1.0
        return softmax(self.decision_function(X) / tau, axis=1)

    def predict(self, X) -> np.ndarray:
        """(n,) the nearest class of each row."""
        return self.classes_[self.decision_function(X).argmax(axis=1)]

    def score(self, X, y, sample_weight=None) -> float:
        """Accuracy on the rows of X; y (n,) is matched with them by its index, where both have one."""
        views = views_for(self.model, X)
        return super().score(views, row_values("y", y, views.row_names).astype(str), sample_weight)

    def view_of(self, views: Views) -> str:
        """The view that is classified. ModalityError where several could be."""
        if self.view is not None:
            return self.view
        others = [name for name, kind in views.modalities.items() if kind != "text" and name in self.model.kinds_]
        if len(others) != 1:
            raise ModalityError(f"which view is to be classified? there is {others or 'only text'}; say view=...")
        return others[0]
