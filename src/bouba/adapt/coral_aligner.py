"""CORALAligner: source rows given the target's means and covariances."""

from __future__ import annotations

import numpy as np
from scipy import linalg

from bouba.adapt.domain_aligner import EPS, DomainAligner, inverse, standardised
from bouba.errors import UsageError
from bouba.estimator import OneToOneFeatureMixin


class CORALAligner(OneToOneFeatureMixin, DomainAligner):
    """Source rows moved so that their means and covariances are those of the target; target rows as they are.

    With m, D and R the mean, the standard deviations and the correlations of a domain, R shrunk to (1 - r) R + r I:

        x -> (x - m_s) D_s^-1 R_s^-1/2 R_t^1/2 D_t + m_t      whiten, colour again

    It suits shifts of scale, offset and correlation, and cannot undo a turn that leaves the correlations as they are.
    Compare with standardising each domain by itself, which is ridge 1. SubspaceAligner is for many noisy columns of
    which few matter; TCA takes one map for both domains; the term CORAL trains the features themselves.

    Args:
        ridge: shrinkage r in [0, 1]. 0 matches the covariances exactly and needs several rows a column, 1 matches
            means and variances only.
        target: rows of the target (m, d), when they do not come with `fit`; see DomainAligner.

    Attributes: `weights_` (d, d), `source_mean_` and `target_mean_` (d,), `domain_`.

    Raises:
        UsageError: a ridge outside [0, 1]. Otherwise as `fit`.

    Reference: Sun, Feng and Saenko 2016, Return of Frustratingly Easy Domain Adaptation, algorithm 1. Departures: its
    standardising of each domain is part of the map, so that target rows need none; its R + lambda I is written as a
    share, r = lambda / (1 + lambda), which gives the same map: lambda = 1 is r = 0.5.

    >>> source, target = np.random.default_rng(0).normal(size=(2, 500, 3))
    >>> y, hidden = source[:, 0] > 0, target[:, 0] > 0
    >>> target = target @ np.array([[2, 1, 0], [0, 1, 0], [0, 1, 3]]) + 5
    >>> moved = CORALAligner(ridge=0).fit(source, target).transform(source)
    >>> bool(np.allclose(np.cov(moved.T), np.cov(target.T)))
    True
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> model = make_pipeline(CORALAligner(target=target), LogisticRegression()).fit(source, y)
    >>> LogisticRegression().fit(source, y).score(target, hidden) < 0.6, model.score(target, hidden) > 0.9
    (True, True)
    """

    def __init__(self, *, ridge: float = 0.5, target=None):
        self.ridge = ridge
        self.target = target

    def _fit(self, source: np.ndarray, target: np.ndarray, labels) -> None:
        if not 0 <= self.ridge <= 1:
            raise UsageError(f"ridge is a shrinkage between 0 and 1, got {self.ridge}")
        z_s, self.source_mean_, deviation_s = standardised(source)
        z_t, self.target_mean_, deviation_t = standardised(target)
        turn = _power(z_s, self.ridge, -0.5, _power(z_t, self.ridge, 0.5))
        self.weights_ = inverse(deviation_s)[:, None] * turn * deviation_t

    def _project(self, rows: np.ndarray, domain: str) -> np.ndarray:
        if domain == "target":
            return rows.copy()
        return (rows - self.source_mean_) @ self.weights_ + self.target_mean_


def _power(z: np.ndarray, ridge: float, power: float, right: np.ndarray | None = None) -> np.ndarray:
    """(d, d) symmetric power of the shrunk correlations of z (n, d), 0 in directions that z does not have; times
    `right` (d, d), if given."""
    if len(z) < z.shape[1]:
        return _power_by_rows(z, ridge, power, right)
    shrunk = (1 - ridge) * (z.T @ z) / (len(z) - 1)
    shrunk[np.diag_indices(len(shrunk))] += ridge
    values, vectors = linalg.eigh(shrunk)
    large = values > 10 * len(values) * EPS * values[-1]
    out = (vectors[:, large] * values[large] ** power) @ vectors[:, large].T
    return out if right is None else out @ right


def _power_by_rows(z: np.ndarray, ridge: float, power: float, right: np.ndarray | None) -> np.ndarray:
    """The same from n < d rows, by their n directions: in all others the shrunk correlations are the ridge."""
    _, singular, axes = linalg.svd(z, full_matrices=False)
    large = singular**2 > 10 * z.shape[1] * EPS * singular[0] ** 2
    elsewhere = ridge**power if ridge > 0 else 0.0
    gain = ((1 - ridge) * singular[large] ** 2 / (len(z) - 1) + ridge) ** power - elsewhere
    axes = axes[large]
    if right is not None:
        return (axes.T * gain) @ (axes @ right) + elsewhere * right
    out = (axes.T * gain) @ axes
    out[np.diag_indices(len(out))] += elsewhere
    return out
