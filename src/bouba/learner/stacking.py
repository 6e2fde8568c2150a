"""Stacking: weights of the joint prediction and of each view's own, fitted on predictions for rows left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import lsq_linear, minimize
from scipy.special import log_softmax

from bouba.data.split import units_of
from bouba.data.views import Views, is_missing

PENALTY = 1e-3  # on squared distances from the plain average, so that members that agree share their weight


@dataclass(frozen=True)
class Stack:
    """How the predictions of several members become one.

        classes   log p(c) = b_c + sum_m w_m log p_m(c) - log Z,    w_m >= 0
        numbers   y = b + sum_m w_m y_m,                            w_m >= 0

    Args:
        weights: w, a member each. bias: b, a class each, or one number.

    Reference: Wolpert 1992, Stacked Generalization; Breiman 1996, Stacked Regressions (weights that are not negative);
    Ting & Witten 1999, Issues in Stacked Generalization (probabilities, not classes, as what is stacked).
    """

    weights: tuple[float, ...]
    bias: tuple[float, ...]

    def __call__(self, outputs: np.ndarray) -> np.ndarray:
        """(n, members, C) log probabilities or (n, members) numbers -> (n, C) or (n,).

        >>> Stack((0.5, 0.5), (1.0,))(np.array([[2.0, 4.0]]))
        array([4.])
        """
        mixed = np.tensordot(outputs, np.asarray(self.weights), axes=(1, 0)) + np.asarray(self.bias)
        return log_softmax(mixed, axis=1) if outputs.ndim == 3 else mixed

    @classmethod
    def fitted(cls, outputs: np.ndarray, truth: np.ndarray, *, numbers: bool) -> Stack:
        """`of_numbers` or `of_classes`; truth as a column of labels, or codes."""
        if not numbers:
            return cls.of_classes(outputs.astype(float), truth)
        known = np.array([np.nan if is_missing(value) else float(value) for value in truth])
        return cls.of_numbers(outputs.astype(float), known)

    @classmethod
    def of_classes(cls, outputs: np.ndarray, codes: np.ndarray) -> Stack:
        """The one that makes classes likeliest, of log probabilities (n, members, C) on rows that no member was fitted
        on.

        Args:
            codes: int (n,), the true class of each row; -1 rows are left out.
        """
        outputs, codes = outputs[codes >= 0], codes[codes >= 0]
        n, members, classes = outputs.shape
        plain = np.concatenate([np.full(members, 1 / members), np.zeros(classes)])
        if not n:
            return cls(tuple(plain[:members].tolist()), tuple(plain[members:].tolist()))
        known = np.eye(classes)[codes]  # (n, C)

        def cost(x: np.ndarray) -> tuple[float, np.ndarray]:
            log_p = log_softmax(np.tensordot(outputs, x[:members], axes=(1, 0)) + x[members:], axis=1)
            wrong = (np.exp(log_p) - known) / n  # (n, C)
            slope = np.concatenate([np.einsum("nc,nmc->m", wrong, outputs), wrong.sum(0)])
            away = x - plain
            return float(-log_p[known > 0].mean() + PENALTY * away @ away), slope + 2 * PENALTY * away

        bounds = [(0.0, None)] * members + [(None, None)] * classes
        x = minimize(cost, plain, jac=True, method="L-BFGS-B", bounds=bounds).x
        return cls(tuple(x[:members].tolist()), tuple(x[members:].tolist()))

    @classmethod
    def of_numbers(cls, outputs: np.ndarray, truth: np.ndarray) -> Stack:
        """The one with the least squared error, of numbers (n, members) on rows that no member was fitted on; truth
        (n,), NaN where it is not known."""
        outputs, truth = outputs[~np.isnan(truth)], truth[~np.isnan(truth)]
        n, members = outputs.shape
        scale = float(truth.std()) or 1.0 if n else 1.0
        rows = np.column_stack([outputs / scale, np.ones(n)])
        pull = np.sqrt(PENALTY * max(n, 1)) * np.eye(members, members + 1)
        left, right = np.vstack([rows, pull]), np.concatenate([truth / scale, pull @ np.full(members + 1, 1 / members)])
        x = lsq_linear(left, right, bounds=([0.0] * members + [-np.inf], np.inf)).x
        return cls(tuple(x[:members].tolist()), (float(x[members] * scale),))


def folds_of(views: Views, folds: int, random_state: int) -> np.ndarray:
    """(n,) the fold of each row, 0 and up, whole keys or groups in one: as many folds as there are such, at most."""
    unit = units_of(views)
    order = np.random.default_rng(random_state).permutation(unit.max() + 1)
    return (order % min(folds, len(order)))[unit]


def members_of(subset: Sequence[str], views: Sequence[str]) -> list[tuple[str, ...]]:
    """The subsets of views by which the members predict, where some may be used: all of these together, then each view
    of the model alone, nothing where it may not be used.

    >>> members_of(("a",), ("a", "b"))
    [('a',), ('a',), ()]
    """
    return [tuple(subset), *((view,) if view in subset else () for view in views)]
