"""By what trials of a search are compared: one number a fitted model, on rows that it was not fitted on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from bouba.data.target import Target
from bouba.data.views import Views
from bouba.errors import UsageError
from bouba.evaluation.evaluate import query_scores
from bouba.evaluation.model import as_model
from bouba.evaluation.predictions import domains
from bouba.runs.method import Method


@dataclass(frozen=True)
class Judge:
    """The score of a fitted model; higher is better.

        predicts a label      accuracy, or R^2 of numbers, the mean over labels
        aligns                mean reciprocal rank of the true partner, over ordered pairs of views
        neither               the method's own `score`: variance explained, minus squared error of a translator
        with a target domain  information, from its predictions for the target's cells; see `bouba.adapt.rank`

    Args:
        rows: that no trial is fitted on; of the target their labels, captions and pairings are not read.
        target: the domain without labels, if there is one.
    """

    rows: Views
    target: Target | None = None

    def __call__(self, model: Any) -> float:
        """The score. UsageError, DataError: rows that say nothing of it."""
        if self.target is not None:
            return self._without_labels(model)
        if as_model(model).predicts or not as_model(model).aligns:
            return float(model.score(self.rows))
        return self._reciprocal_rank(model)

    def metric(self, method: Method) -> str:
        """What the score is called."""
        if self.target is not None:
            return "information, without the target's labels"
        if method.predicts:
            return {"class": "accuracy", "number": "R²", "labels": "mean of accuracy and R²"}[method.predicts]
        if method.translates:
            return "minus the mean squared error"
        return "mean reciprocal rank" if method.needs_views > 1 or method.unpaired else "the method's own score"

    def _reciprocal_rank(self, model: Any) -> float:
        views = self.rows.select(*(view for view in self.rows.columns if view in model.kinds_))
        embedded: Mapping[str, np.ndarray] = model.embed(views)
        sums, count = 0.0, 0
        for _, rows in domains(views, True):
            z = {name: values[rows] for name, values in embedded.items()}
            for *_, per_query in query_scores(views[rows], z, as_model(model)):
                sums += float(per_query["reciprocal_rank"].mean()) * len(rows)
                count += len(rows)
        if not count:
            raise UsageError("no two rows of the validation rows have two views")
        return sums / count

    def _without_labels(self, model: Any) -> float:
        from bouba.adapt import rank

        assert self.target is not None
        return rank({"": model}, self.rows, target=self.target).scores["information"][""]
