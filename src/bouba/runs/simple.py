"""The strongest simple predictor: features that need no labels, and a head that scikit-learn solves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from scipy import sparse

from bouba.align.choosing import folds
from bouba.data.characters import class_name
from bouba.data.views import Views, is_missing
from bouba.errors import DataError
from bouba.metrics.regression import r_squared
from bouba.runs.simple_readers import Reader

STRENGTHS = (0.1, 1.0, 10.0, 100.0)
"""Inverse penalties of linear heads that are tried, on rows of length 1."""
CHOOSING, FITTED = 2000, 20_000  # training rows that settings are chosen on, and that heads are fitted on, at most
BOOSTED = {"max_iter": 60, "learning_rate": 0.15, "max_leaf_nodes": 15, "random_state": 0}
LEFT_OUT = 5  # parts of the rows, each judged by heads fitted on the others
SURELY_NOT = np.log(1e-6)  # log probability of a class that a head never saw


@dataclass
class Truth:
    """A label column of some rows.

    Args:
        known: (n,) whether the row has it. values: (n,) numbers, or codes of `classes`. classes: C names, () for
            numbers.
    """

    known: np.ndarray
    values: np.ndarray
    classes: tuple[str, ...]

    @classmethod
    def of(cls, column: np.ndarray, number: bool) -> Truth:
        known = np.array([not is_missing(value) for value in column], bool)
        if number:
            return cls(known, np.array([float(v) if k else 0.0 for v, k in zip(column, known, strict=True)]), ())
        names = [class_name(value) if k else "" for value, k in zip(column, known, strict=True)]
        classes = tuple(sorted({name for name, k in zip(names, known, strict=True) if k}))
        code = {name: place for place, name in enumerate(classes)}
        return cls(known, np.array([code.get(name, -1) for name in names]), classes)

    @property
    def prior(self) -> np.ndarray:
        """Log shares of the classes (C,), or the mean ()."""
        values = self.values[self.known]
        if not self.classes:
            return np.asarray(values.mean())
        return np.log(np.bincount(values, minlength=len(self.classes)) / len(values))

    def agreement(self, rows: np.ndarray, outputs: np.ndarray) -> float:
        """Accuracy or R^2 of outputs for some rows."""
        known = self.known[rows]
        truth, outputs = self.values[rows][known], outputs[known]
        if not self.classes:
            return r_squared(truth, outputs) if len(truth) > 1 else 0.0
        return float((outputs.argmax(1) == truth).mean()) if len(truth) else 0.0


@dataclass
class SimplePredictor:
    """Label columns from whichever views a row has, as PredictsLabels. Heads are solved when a set of views is first
    asked for, each on the training rows that have one of these views or more.

    Args:
        name: in records. readers: view -> how it is read; other views are not read.
        boosted: whether heads are boosted trees; else logistic regression for classes and ridge regression for numbers.
        random_state: of folds and of the rows that are drawn where there are very many.
    """

    name: str
    readers: Mapping[str, Reader]
    boosted: bool = False
    random_state: int = 0
    score_: float = 0.0
    strength_: float = 1.0
    _rows: np.ndarray = field(default_factory=lambda: np.zeros(0, int))
    _blocks: dict[str, Any] = field(default_factory=dict)
    _present: dict[str, np.ndarray] = field(default_factory=dict)
    _truths: dict[str, Truth] = field(default_factory=dict)
    _heads: dict[tuple[str, tuple[str, ...]], Any] = field(default_factory=dict)

    predicts: ClassVar[bool] = True

    def fit(self, views: Views, numeric: Mapping[str, bool]) -> SimplePredictor:
        """Read the training rows and choose how strongly heads are fitted by cross-validation on them.

        Args:
            views: training rows; those of one group, or key, are on one side of a fold.
            numeric: label -> whether it is a number.

        Raises:
            DataError: no row has one of the labels.
        """
        rows = np.random.default_rng(self.random_state).permutation(len(views))[:FITTED]
        views = views if len(views) <= FITTED else views[np.sort(rows)]
        self._rows = np.asarray(views.rows)
        self._blocks = {view: reader(view, views[view]) for view, reader in self.readers.items()}
        self._present = {view: views[view].present for view in self.readers}
        self._truths = {label: Truth.of(views.y[label], number) for label, number in numeric.items()}
        for label, truth in self._truths.items():
            if not truth.known.any():
                raise DataError(f"no training row has the label {label!r}")
        self._choose(views)
        return self

    def _choose(self, views: Views) -> None:
        """Take the strength of the best mean accuracy, or R^2, over folds and labels."""
        chosen = np.random.default_rng(self.random_state).permutation(len(views))[:CHOOSING]
        unit = _units(views)
        names = tuple(self.readers)
        strengths = (1.0,) if self.boosted else STRENGTHS
        scores: dict[float, list[float]] = {strength: [] for strength in strengths}
        if len(set(unit[chosen].tolist())) < 4:
            return
        for training, judged in folds(unit[chosen], self.random_state):
            for truth in self._truths.values():
                values = self._together(names, self._blocks, self._present, chosen[judged])
                for strength in strengths:
                    head = self._solved(truth, names, chosen[training], strength)
                    outputs = self._outputs_of(head, truth, values)
                    scores[strength].append(truth.agreement(chosen[judged], outputs))
        self.strength_ = max(strengths, key=lambda strength: float(np.mean(scores[strength])))
        self.score_ = float(np.mean(scores[self.strength_]))

    def outputs(self, X: Views, subsets: Sequence[Iterable[str]] | None = None) -> dict[str, np.ndarray]:
        """label -> (n, subsets, C) log probabilities, or (n, subsets) numbers; the prior where no view is read."""
        wanted = [set(self.readers)] if subsets is None else [set(subset) for subset in subsets]
        names = [view for view in self.readers if view in X.columns and any(view in subset for subset in wanted)]
        blocks = {view: self.readers[view](view, X[view]) for view in names}
        present = {view: X[view].present for view in names}
        out: dict[str, np.ndarray] = {}
        for label, truth in self._truths.items():
            parts = []
            for subset in wanted:
                used = tuple(view for view in names if view in subset)
                values = np.broadcast_to(truth.prior, (len(X), *truth.prior.shape)).copy()
                rows = np.flatnonzero(np.any([present[view] for view in used], axis=0)) if used else np.zeros(0, int)
                if len(rows):
                    head = self._head(label, used)
                    values[rows] = self._outputs_of(head, truth, self._together(used, blocks, present, rows))
                parts.append(values)
            out[label] = np.stack(parts, axis=1)
        return out

    def left_out(self, views: Views, label: str) -> np.ndarray:
        """(n, C) log probabilities, or (n,) numbers, of rows among which are those that it was fitted on; each of these
        by a head fitted on the rows of other groups, or keys, in LEFT_OUT parts. Prior where no view is read."""
        truth, names = self._truths[label], tuple(self.readers)
        out = self.outputs(views)[label][:, 0]
        place = {row: i for i, row in enumerate(self._rows.tolist())}
        rows = np.array([place.get(row, -1) for row in views.rows.tolist()], int)
        fitted = np.flatnonzero(rows >= 0)
        _, unit = np.unique(_units(views)[fitted], return_inverse=True)
        fold = (np.random.default_rng(self.random_state).permutation(unit.max(initial=0) + 1) % LEFT_OUT)[unit]
        has_view = np.any([self._present[view] for view in names], axis=0)
        for number in range(LEFT_OUT):
            judged = fitted[(fold == number) & has_view[rows[fitted]]]
            if len(judged):
                head = self._solved(truth, names, rows[fitted[fold != number]], self.strength_)
                values = self._together(names, self._blocks, self._present, rows[judged])
                out[judged] = self._outputs_of(head, truth, values)
        return out

    def classes(self, label: str) -> np.ndarray:
        """The classes (C,) of a label, as text."""
        return np.array(self._truths[label].classes, dtype=object)

    def _head(self, label: str, views: tuple[str, ...]) -> Any:
        if (label, views) not in self._heads:
            every = np.arange(len(self._truths[label].known))
            self._heads[label, views] = self._solved(self._truths[label], views, every, self.strength_)
        return self._heads[label, views]

    def _together(self, views: tuple[str, ...], blocks: Mapping, present: Mapping, rows: np.ndarray) -> Any:
        """Some rows of some views side by side; boosted trees are shown what is missing."""
        parts = [blocks[view][rows] for view in views]
        if any(sparse.issparse(part) for part in parts):
            return sparse.hstack(parts, format="csr")
        if self.boosted:
            parts = [np.where(present[v][rows][:, None], part, np.nan) for v, part in zip(views, parts, strict=True)]
        return np.hstack(parts)

    def _solved(self, truth: Truth, views: tuple[str, ...], rows: np.ndarray, strength: float) -> Any:
        """A head for the labelled ones of some rows; None where there is nothing to tell apart."""
        rows = rows[truth.known[rows] & np.any([self._present[view][rows] for view in views], axis=0)]
        y = truth.values[rows]
        if len(np.unique(y)) < 2:
            return None
        return _head(bool(truth.classes), self.boosted, strength).fit(
            self._together(views, self._blocks, self._present, rows), y
        )

    @staticmethod
    def _outputs_of(head: Any, truth: Truth, values: Any) -> np.ndarray:
        n = values.shape[0]
        if head is None:
            return np.broadcast_to(truth.prior, (n, *truth.prior.shape))
        if not truth.classes:
            return head.predict(values)
        out = np.full((n, len(truth.classes)), SURELY_NOT)
        out[:, head.classes_] = np.log(np.maximum(head.predict_proba(values), 1e-6))
        return out


def _units(views: Views) -> np.ndarray:
    """(n,) what each row is not parted from."""
    return views.things if views.group is None else np.array([str(name) for name in views.group])


def _head(classes: bool, boosted: bool, strength: float) -> Any:
    """An unfitted estimator of scikit-learn."""
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
    from sklearn.linear_model import LogisticRegression, Ridge

    if boosted:
        return HistGradientBoostingClassifier(**BOOSTED) if classes else HistGradientBoostingRegressor(**BOOSTED)
    return LogisticRegression(C=strength, tol=1e-3, max_iter=200) if classes else Ridge(alpha=1 / strength)
