"""What the variates of some views tell of the columns of any view: regressions by means and covariances."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from scipy import linalg

from bouba.align.moments import Moments
from bouba.data.arrays import is_sparse

ROUNDING = 1e-9  # makes views count alike where their variates do not correlate


class ReadsOut(Protocol):
    """What loadings, factors, variance explained and predictions need of a linear method; see Readout."""

    @property
    def k(self) -> int: ...

    def predicted(
        self,
        to: str,
        variates: Mapping[str, np.ndarray],
        present: Mapping[str, np.ndarray],
        component: int | None = None,
    ) -> np.ndarray: ...

    def loadings(self, view: str) -> np.ndarray: ...

    def factors(self, variates: Mapping[str, np.ndarray], present: Mapping[str, np.ndarray]) -> np.ndarray: ...


@dataclass(frozen=True)
class Readout:
    """Moments of variates and columns; each of the rows that have both views.

        x^_v = mean_v + S_v,g S_gg^-1 g      g the scores of those views that a row has, one a component; see `mixing`

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

    def mixing(self, views: Sequence[str]) -> np.ndarray:
        """(m k, k), from the variates of m views side by side to one score a component.

        The score of component c is sum_v e_vc z_vc / sd(z_vc), with e_c the leading eigenvector of how its variates
        correlate: a view that agrees with the others counts for more. Nothing is inverted, so that variates which are
        all but equal, and estimated from different rows, do no harm.
        """
        out = np.zeros((len(views) * self.k, self.k))
        for c in range(self.k):
            scale, agree = self._agreement(c)
            weights = np.linalg.eigh(agree.clip(0) + ROUNDING)[1][:, -1]
            known = [self.views.index(view) for view in views]
            out[np.arange(len(views)) * self.k + c, c] = (np.abs(weights) / scale)[known]
        return out

    def predicted(
        self,
        to: str,
        variates: Mapping[str, np.ndarray],
        present: Mapping[str, np.ndarray],
        component: int | None = None,
    ) -> np.ndarray:
        """(n, d) the columns of a view by least squares on the scores of `variates`, view -> (n, k), that a row has.

        Args:
            present: view -> bool (n,); a row with none of the views is predicted as the mean.
            component: the only one that is read; None for all.
        """
        out = np.tile(self.means[to], (len(next(iter(variates.values()))), 1))
        components = np.arange(self.k) if component is None else np.array([component])
        for names, rows in patterns(present, variates):
            at, mixing = self._places(names), self.mixing(names)[:, components]
            spread = mixing.T @ self.among[np.ix_(at, at)] @ mixing
            weights = linalg.pinvh(spread) @ (mixing.T @ self.across[to][at])
            out[rows] += np.hstack([variates[name][rows] for name in names]) @ mixing @ weights
        return out

    def loadings(self, view: str) -> np.ndarray:
        """(d, k) correlation of each column of a view with each of its variates; 0 where one is constant."""
        at = self._places([view])
        scale = np.outer(np.sqrt(np.maximum(self.among.diagonal()[at], 0)), self.deviations[view])
        shared = self.across[view][at]
        return np.divide(shared, scale, out=np.zeros(shared.shape), where=scale > 0).T

    def factors(self, variates: Mapping[str, np.ndarray], present: Mapping[str, np.ndarray]) -> np.ndarray:
        """(n, k) the scores of all views, of deviation 1; what they are of least squares where a row lacks some."""
        out = np.zeros((len(next(iter(variates.values()))), self.k))
        whole = self.mixing(self.views)
        variance = np.einsum("ic,ij,jc->c", whole, self.among, whole)
        for names, rows in patterns(present, variates):
            at, mixing = self._places(names), self.mixing(names)
            of_score = np.einsum("ic,ij,jc->c", mixing, self.among[np.ix_(at, at)], mixing)
            shared = np.einsum("ic,ij,jc->c", mixing, self.among[at], whole)
            scale = of_score * np.sqrt(np.maximum(variance, 0))
            slope = np.divide(shared, scale, out=np.zeros(self.k), where=scale > 0)
            out[rows] = np.hstack([variates[name][rows] for name in names]) @ mixing * slope
        return out

    def _places(self, views: Sequence[str]) -> np.ndarray:
        """Where the variates of some views stand among all."""
        return np.concatenate([self.views.index(view) * self.k + np.arange(self.k) for view in views])

    def _agreement(self, component: int) -> tuple[np.ndarray, np.ndarray]:
        """(M,) deviations of the views' variates of a component, 1 where one is constant; (M, M) how they correlate."""
        at = np.arange(len(self.views)) * self.k + component
        deviation = np.sqrt(np.maximum(self.among.diagonal()[at], 0))
        scale = np.where(deviation > 0, deviation, 1.0)
        return scale, self.among[np.ix_(at, at)] / np.outer(scale, scale)


def patterns(present: Mapping[str, np.ndarray], views: Iterable[str]) -> Iterator[tuple[list[str], np.ndarray]]:
    """(some of the views, which rows have these and no others); rows with none are left out."""
    names = list(views)
    has = np.stack([present[name] for name in names], axis=1)
    for pattern in np.unique(has, axis=0):
        if pattern.any():
            some = [name for name, there in zip(names, pattern, strict=True) if there]
            yield some, np.flatnonzero((has == pattern).all(axis=1))


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
