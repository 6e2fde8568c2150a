"""What the variates of some views tell of the columns of any view: regressions by means and covariances."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import linalg

from bouba.align.moments import Moments
from bouba.data.arrays import is_sparse


@dataclass(frozen=True)
class Readout:
    """Moments of variates and columns; each of the rows that have both views.

        x^_v = mean_v + S_v,z S_zz^-1 z      z the variates of some views, side by side

    Args:
        views: names, in order. k: variates of each.
        among: S_zz (M k, M k) of all variates, view by view. across: view -> S_z,v (M k, d).
        means, deviations: view -> (d,), of its columns.
    """

    views: tuple[str, ...]
    k: int
    among: np.ndarray
    across: Mapping[str, np.ndarray]
    means: Mapping[str, np.ndarray]
    deviations: Mapping[str, np.ndarray]

    @classmethod
    def of(
        cls, variates: Mapping[str, np.ndarray], data: Mapping[str, Any], present: Mapping[str, np.ndarray]
    ) -> Readout:
        """From rows.

        Args:
            variates: view -> (n, k). data: view -> (n, d), sparse or not. present: view -> bool (n,).
        """
        names, k = tuple(variates), next(iter(variates.values())).shape[1]
        both = {(a, b): np.flatnonzero(present[a] & present[b]) for a in names for b in names}
        among = [[_between(variates[a], variates[b], both[a, b]) for b in names] for a in names]
        across = {
            v: np.vstack([_between(variates[a], data[v], both[a, v]) for a in names]).astype(data[v].dtype)
            for v in names
        }
        spread = {v: _mean_and_deviation(data[v], both[v, v]) for v in names}
        means, deviations = ({v: spread[v][which] for v in names} for which in (0, 1))
        return cls(names, k, np.block(among), across, means, deviations)

    @classmethod
    def of_moments(cls, moments: Moments, weights: Mapping[str, np.ndarray]) -> Readout:
        """The same of linear variates (x - mean) w, w = weights (d, k), where no rows are at hand."""
        names, between = moments.names, moments.between
        among = np.block([[between(a, b, weights[a], weights[b]) for b in names] for a in names])
        across = {v: np.vstack([between(a, v, weights[a]) for a in names]) for v in names}
        deviations = {v: np.sqrt(np.maximum(moments.variances(v), 0)) for v in names}
        k = next(iter(weights.values())).shape[1]
        return cls(names, k, among, across, {v: moments.mean(v) for v in names}, deviations)

    def places(self, views: Sequence[str], component: int | None = None) -> np.ndarray:
        """Where the variates of some views stand among all; of one component, where it is given."""
        components = np.arange(self.k) if component is None else np.array([component])
        return np.concatenate([self.views.index(view) * self.k + components for view in views])

    def predicted(
        self,
        to: str,
        variates: Mapping[str, np.ndarray],
        present: Mapping[str, np.ndarray],
        component: int | None = None,
    ) -> np.ndarray:
        """(n, d) the columns of a view by least squares on those of `variates`, view -> (n, k), that each row has.

        Args:
            present: view -> bool (n,); a row with none of the views is predicted as the mean.
            component: the only one that is read; None for all.
        """
        sources = list(variates)
        has = np.stack([present[name] for name in sources], axis=1)  # (n, sources)
        out = np.tile(self.means[to], (len(has), 1))
        columns = slice(None) if component is None else slice(component, component + 1)
        for pattern in np.unique(has, axis=0):
            rows, names = (has == pattern).all(1), [name for name, there in zip(sources, pattern) if there]
            if names:
                at = self.places(names, component)
                weights = linalg.pinvh(self.among[np.ix_(at, at)]) @ self.across[to][at]
                out[rows] += np.hstack([variates[name][rows, columns] for name in names]) @ weights
        return out

    def loadings(self, view: str) -> np.ndarray:
        """(d, k) correlation of each column of a view with each of its variates; 0 where one is constant."""
        at = self.places([view])
        scale = np.outer(np.sqrt(np.maximum(self.among.diagonal()[at], 0)), self.deviations[view])
        shared = self.across[view][at]
        return np.divide(shared, scale, out=np.zeros(shared.shape), where=scale > 0).T

    def factors(self, variates: Mapping[str, np.ndarray], present: Mapping[str, np.ndarray]) -> np.ndarray:
        """(n, k) the mean of the standardised variates of all views; see `align.factors`."""
        n = len(next(iter(variates.values())))
        out, sources = np.zeros((n, self.k)), list(variates)
        has = np.stack([present[name] for name in sources], axis=1)
        patterns = [(row, np.flatnonzero((has == row).all(1))) for row in np.unique(has, axis=0) if row.any()]
        for c in range(self.k):
            at = self.places(self.views, c)
            deviation = np.sqrt(np.maximum(self.among.diagonal()[at], 0))
            scale = np.where(deviation > 0, deviation, 1.0)
            agree = self.among[np.ix_(at, at)] / np.outer(scale, scale)
            for pattern, rows in patterns:
                names = [name for name, there in zip(sources, pattern) if there]
                known = [self.views.index(name) for name in names]
                weights = linalg.pinvh(agree[np.ix_(known, known)]) @ agree[known].mean(1)  # of the mean of all views
                z = np.stack([variates[name][rows, c] for name in names], axis=1) / scale[known]
                out[rows, c] = z @ weights
        return out


def _between(z: np.ndarray, values: Any, rows: np.ndarray) -> np.ndarray:
    """Covariance (k, d) of variates (n, k) with columns (n, d) over some rows; zeros where there are none."""
    if not len(rows):
        return np.zeros((z.shape[1], values.shape[1]))
    z, values = z[rows] - z[rows].mean(0, dtype=float), values[rows]
    products = (values.T @ z).T if is_sparse(values) else z.T @ (values - values.mean(0, dtype=float))
    return products / len(rows)


def _mean_and_deviation(values: Any, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(d,) each, of the columns over some rows."""
    values = values[rows]
    if not is_sparse(values):
        return values.mean(0, dtype=float), values.std(0, dtype=float)
    mean = np.asarray(values.mean(0, dtype=float)).ravel()
    squares = np.asarray(values.multiply(values).mean(0, dtype=float)).ravel()
    return mean, np.sqrt(np.maximum(squares - mean**2, 0))
