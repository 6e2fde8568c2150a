"""What a factor model tells of columns: the posterior of shared factors from whichever views a row has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from bouba.align.readout import patterns


@dataclass(frozen=True)
class FactorReadout:
    """The factor model of ProbabilisticCCA, read by what each view alone says of the factors.

        precision of z given the views V of a row:  A_V = I + sum over v in V of P_v,   P_v = E[W_v' T_v W_v]
        E[z | V] = A_V^-1 sum over v in V of (I + P_v) E[z | x_v]

    Args:
        views: names, in order. k: factors.
        precisions: view -> P (k, k), what a row's view adds. weights: view -> W (d, k), in the unit of its columns.
        means: view -> (d,). noise: view -> (d,) standard deviation around the factors. deviations: view -> (d,), of the
            columns.
    """

    views: tuple[str, ...]
    k: int
    precisions: Mapping[str, np.ndarray]
    weights: Mapping[str, np.ndarray]
    means: Mapping[str, np.ndarray]
    noise: Mapping[str, np.ndarray]
    deviations: Mapping[str, np.ndarray]

    def covariance(self, views: tuple[str, ...]) -> np.ndarray:
        """(k, k) of the factors given these views; I given none."""
        return np.linalg.inv(
            np.eye(self.k) + sum((self.precisions[view] for view in views), np.zeros((self.k, self.k)))
        )

    def factors(self, variates: Mapping[str, np.ndarray], present: Mapping[str, np.ndarray]) -> np.ndarray:
        """(n, k) posterior means from those of each view alone, view -> (n, k); zeros for a row without a view."""
        out = np.zeros((len(next(iter(variates.values()))), self.k))
        for names, rows in patterns(present, variates):
            weighted = sum(variates[name][rows] @ (np.eye(self.k) + self.precisions[name]) for name in names)
            out[rows] = weighted @ self.covariance(tuple(names))
        return out

    def predicted(
        self,
        to: str,
        variates: Mapping[str, np.ndarray],
        present: Mapping[str, np.ndarray],
        component: int | None = None,
    ) -> np.ndarray:
        """(n, d) expected columns of a view, mean + W E[z | V]; of one factor alone where `component` says so."""
        chosen = slice(None) if component is None else [component]
        return self.means[to] + self.factors(variates, present)[:, chosen] @ self.weights[to][:, chosen].T

    def loadings(self, view: str) -> np.ndarray:
        """(d, k) correlation of each column of a view with each factor; 0 where one is constant."""
        scale = self.deviations[view][:, None]
        return np.divide(self.weights[view], scale, out=np.zeros_like(self.weights[view]), where=scale > 0)
