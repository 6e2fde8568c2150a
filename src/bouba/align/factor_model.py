"""Factors that several views share or have alone, by variational Bayes: the computation of ProbabilisticCCA."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.special import digamma, gammaln

from bouba.align.readout import patterns

SHAPE, RATE = 1e-3, 1e-3  # of the gamma priors of precisions: all but flat
START = 0.1  # variance of the factors around where they start


@dataclass
class ViewFactors:
    """One view's part of the model: x = W z + mean + noise, over the rows that have it.

    Args:
        x: (n, d) standardised rows. rows: (n,) which of all they are. k: factors. tied: whether columns have one noise.
    """

    x: np.ndarray
    rows: np.ndarray
    k: int
    tied: bool
    mean: np.ndarray = field(init=False)
    weights: np.ndarray = field(init=False)  # E[W] (d, k)
    relevance: np.ndarray = field(init=False)  # E[alpha] (k,), precision of the weights of a factor
    precision: np.ndarray = field(init=False)  # E[tau] (d,), of the noise
    added: np.ndarray = field(init=False)  # P = E[W' T W] (k, k)

    def __post_init__(self) -> None:
        self.squares, self.sums = (self.x**2).sum(0), self.x.sum(0)
        self.mean, self.precision = self.sums / len(self.x), np.full(self.x.shape[1], 2.0)
        self.relevance = np.ones(self.k)

    def update(self, z: np.ndarray, zz: np.ndarray) -> None:
        """Weights, means, relevance and noise in turn, given E[z] (n, k) and sum E[z z'] (k, k) over the view's rows.

        With D = alpha^-1/2 and D zz D = U diag(s) U', the covariance of the weights of column j is
        D U diag(1 / (1 + tau_j s)) U' D: one decomposition for all columns.
        """
        n, d = self.x.shape
        root = 1 / np.sqrt(self.relevance)
        s, u = np.linalg.eigh(root[:, None] * zz * root)
        s, axes = np.maximum(s, 0), root[:, None] * u  # (k,), (k, k)
        shrink = 1 / (1 + self.precision[:, None] * s)  # (d, k)
        total = z.sum(0)
        shared = self.x.T @ z - np.outer(self.mean, total)  # (d, k)
        self.weights = ((self.precision[:, None] * shared) @ axes * shrink) @ axes.T
        shared += np.outer(self.mean, total)
        self.mean = (self.sums - self.weights @ total) / n
        shared -= np.outer(self.mean, total)
        second = self.weights**2 + shrink @ (axes**2).T  # E[w^2] (d, k)
        shape = SHAPE + d / 2
        rate = RATE + second.sum(0) / 2
        self.relevance = shape / rate
        self._weights_bound = self._bound_of_weights(second, shrink, root, rate)
        left = self.squares - 2 * self.mean * self.sums + n * self.mean**2
        left += ((self.weights @ zz) * self.weights).sum(1) - 2 * (self.weights * shared).sum(1) + shrink @ s
        self._noise_shape = SHAPE + (n * d if self.tied else n) / 2
        self._noise_rate = RATE + np.maximum(np.full(d, left.sum()) if self.tied else left, 0) / 2
        self.precision = self._noise_shape / self._noise_rate
        self._axes, self._shrink = axes, shrink
        spread = (axes * (self.precision[:, None] * shrink).sum(0)) @ axes.T
        self.added = (self.weights * self.precision[:, None]).T @ self.weights + spread

    def bound(self, z: np.ndarray, zz: np.ndarray) -> float:
        """What the view adds to the evidence lower bound: its rows, weights, relevance and noise."""
        n, total = len(self.x), z.sum(0)
        shared = self.x.T @ z - np.outer(self.mean, total)
        left = self.squares - 2 * self.mean * self.sums + n * self.mean**2
        left += ((self.weights @ zz) * self.weights).sum(1) - 2 * (self.weights * shared).sum(1)
        left += self._shrink @ ((zz @ self._axes) * self._axes).sum(0)
        log_precision = digamma(self._noise_shape) - np.log(self._noise_rate)  # (d,)
        rows = (n / 2 * (log_precision - np.log(2 * np.pi)) - self.precision * left / 2).sum()
        own = slice(0, 1) if self.tied else slice(None)
        noise = _gamma_gap(self._noise_shape, self._noise_rate[own]).sum()
        return float(rows + noise + self._weights_bound)

    def _bound_of_weights(self, second: np.ndarray, shrink: np.ndarray, root: np.ndarray, rate: np.ndarray) -> float:
        """E log p(W | alpha) - E log q(W), and the same of alpha."""
        d, k = second.shape
        shape = SHAPE + d / 2
        log_relevance = digamma(shape) - np.log(rate)
        entropy = (np.log(shrink).sum() + 2 * d * np.log(root).sum() + d * k) / 2
        prior = (d * log_relevance - self.relevance * second.sum(0)).sum() / 2
        return float(prior + entropy + _gamma_gap(shape, rate).sum())

    def weighted_rows(self) -> np.ndarray:
        """(n, k) what each row's view says of the factors, to be multiplied by their covariance."""
        return (self.x - self.mean) @ (self.weights * self.precision[:, None])


def fit_factors(
    views: Mapping[str, ViewFactors], n: int, k: int, *, most: int, tolerance: float, random: np.random.Generator
) -> list[float]:
    """Fit all views in turns until the bound rises by less than a share of itself.

    Args:
        views: of the same n rows. k: factors. most: rounds. tolerance: share.

    Returns:
        The evidence lower bound after each round, which never falls.
    """
    z = _leading([(view.x, view.rows) for view in views.values()], n, k, random)
    zz = {name: z[view.rows].T @ z[view.rows] + START * len(view.rows) * np.eye(k) for name, view in views.items()}
    of = _patterns(views, n)
    bounds: list[float] = []
    for _ in range(most):
        for name, view in views.items():
            view.update(z[view.rows], zz[name])
        z = np.zeros((n, k))
        for view in views.values():
            z[view.rows] += view.weighted_rows()
        zz, latent = {name: np.zeros((k, k)) for name in views}, 0.0
        for names, rows in of:
            spread = np.linalg.inv(np.eye(k) + sum(views[name].added for name in names))
            z[rows] = z[rows] @ spread
            squared = z[rows].T @ z[rows] + len(rows) * spread
            latent += (len(rows) * (k + np.linalg.slogdet(spread)[1]) - np.trace(squared)) / 2
            for name in names:
                zz[name] += squared
        bounds.append(latent + sum(view.bound(z[view.rows], zz[name]) for name, view in views.items()))
        if len(bounds) > 1 and bounds[-1] - bounds[-2] < tolerance * abs(bounds[-1]):
            break
    return bounds


def _gamma_gap(shape: float, rate: np.ndarray) -> np.ndarray:
    """E log p - E log q of a precision with the prior and a posterior Gamma(shape, rate)."""
    log = digamma(shape) - np.log(rate)
    prior = SHAPE * np.log(RATE) - gammaln(SHAPE) + (SHAPE - 1) * log - RATE * shape / rate
    return prior - (shape * np.log(rate) - gammaln(shape) + (shape - 1) * log - shape)


def _leading(views: Sequence[tuple[np.ndarray, np.ndarray]], n: int, k: int, random: np.random.Generator) -> np.ndarray:
    """(n, k) principal components of all columns, of variance 1, where to start from; absent rows count as means."""
    whole = np.zeros((n, sum(x.shape[1] for x, _ in views)))
    end = 0
    for x, rows in views:
        whole[rows, end : (end := end + x.shape[1])] = x
    if n > whole.shape[1]:
        values, axes = np.linalg.eigh(whole.T @ whole)
        z = whole @ axes[:, ::-1][:, :k]
        z /= np.maximum(np.sqrt(np.maximum(values[::-1][:k], 0)), 1e-9)
    else:
        z = np.linalg.eigh(whole @ whole.T)[1][:, ::-1][:, :k]
    z = np.hstack([z, random.normal(size=(n, k - z.shape[1])) / np.sqrt(n)]) * np.sqrt(n)
    return z


def _patterns(views: Mapping[str, ViewFactors], n: int) -> list[tuple[list[str], np.ndarray]]:
    present = {name: np.isin(np.arange(n), view.rows) for name, view in views.items()}
    return list(patterns(present, views))
