"""Gromov-Wasserstein: views without a single pair, aligned by the shape of their clouds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse.csgraph import shortest_path

from bouba.align.closed_form import ClosedForm
from bouba.align.features import SimpleFeatures
from bouba.align.maps import Map
from bouba.errors import DataError, UsageError, require

STEPS, SCALINGS = 60, 20  # of a plan, and scalings within each
SHARPNESS = 0.02  # of a step and of a start: divides costs whose largest is about 1


@dataclass(frozen=True)
class Landed(Map):
    """Where known cells went, and others by their nearest known cells, each weighed by 1 / distance.

    Args:
        points: (n, d) known cells. targets: (n, k). nearest: how many count.
    """

    points: np.ndarray
    targets: np.ndarray
    nearest: int

    def __call__(self, values: np.ndarray) -> np.ndarray:
        from sklearn.neighbors import KNeighborsRegressor

        regressor = KNeighborsRegressor(self.nearest, weights="distance", algorithm="kd_tree")  # exact at known cells
        return regressor.fit(self.points, self.targets).predict(values)


@dataclass(frozen=True)
class Components(Map):
    """Principal components, (x - mean) V. mean (d,), components V (d, k)."""

    mean: np.ndarray
    components: np.ndarray

    def __call__(self, values: np.ndarray) -> np.ndarray:
        return (values - self.mean) @ self.components


class GromovWasserstein(ClosedForm):
    """Two clouds laid over each other so that distances within them agree. No row needs two views.

        D_v     shortest ways between cells over the graph of each view's nearest neighbours, the longest 1
        P       argmin sum_ijkl (D_a,ik - D_b,jl)^2 P_ij P_kl,   P (n, m) shares out cells evenly both ways
        z_a(x)  mean of the cells of b that x's nearest known cells go to by P;   z_b(y) = y

    The first view is the space; every other is laid over it. The problem has many local optima and symmetries that no
    method can see through (a cloud and its mirror image): it is solved from several starts, and the least cost is
    taken, `costs_` shows how near the next ones came. Judge it by `bouba.metrics.foscttm` where a few pairs are known;
    with ten pairs or more FewPairs is the better choice, with its `self_learning` where there are single cells as well.

    Args:
        n_components: k, principal components of the first view that are compared; None for as many as there are, 50 at
            most.
        neighbours: of each cell in its graph; None takes a fifth of the cells, 20 at most.
        starts: plans that are started from, 1 or more.
        cells: of each view that are laid over each other, drawn at random; others go where their neighbours went. Time
            grows with its cube.
        towers: view -> a frozen encoder that reads it. device: where that runs, "auto" for
            a GPU where there is one.
        features: columns that pictures and texts without a tower are
            reduced to.
        random_state: of cells and starts.

    Attributes: `correlations_` (k,), of each component between a cell and what the plan gives it; `costs_`, view ->
    cost of each start, least first; `kinds_`.

    Raises:
        UsageError: neighbours, starts or cells that make no sense. DataError: fewer than three cells in a view.
        MissingExtraError: the extra `transport` is not installed.

    Reference: Memoli 2011; Peyre, Cuturi and Solomon 2016 (entropic); Xu, Luo, Zha and Carin 2019 (proximal steps);
    Demetci et al. 2022, SCOT (graphs and barycentres). Departures: several starts; ways are as
    long as their steps; cells that were not in the plan.
    """

    def __init__(
        self,
        n_components: int | None = None,
        *,
        neighbours: int | None = None,
        starts: int = 16,
        cells: int = 500,
        towers: Mapping[str, Any] | None = None,
        device: str = "auto",
        features: int = 200,
        random_state: int = 0,
    ):
        self.n_components = n_components
        self.neighbours = neighbours
        self.starts = starts
        self.cells = cells
        self.towers = towers
        self.device = device
        self.features = features
        self.random_state = random_state

    def _fit(self, data: dict[str, np.ndarray], present: dict[str, np.ndarray]) -> None:
        self._check()
        random = np.random.default_rng(self.random_state)
        rows = {name: self._cells(name, values[present[name]], random) for name, values in data.items()}
        first, *others = rows
        self.maps_: dict[str, Map] = {first: _components(rows[first], self._components(rows[first]))}
        space = self.maps_[first](rows[first])  # (n, k)
        ways = {name: ways_between(points, self._neighbours(points)) for name, points in rows.items()}
        self.costs_: dict[str, np.ndarray] = {}
        shares = []
        for name in others:
            plan, self.costs_[name] = cheapest_plan(ways[first], ways[name], self.starts, random)
            targets = plan.T @ space / plan.sum(0)[:, None]  # (m, k)
            nearest = min(self._neighbours(rows[name]), 10)
            self.maps_[name] = Landed(rows[name], targets, nearest)
            shares.append(targets.std(0) / np.maximum(space.std(0), np.finfo(float).tiny))
        self.correlations_ = np.clip(np.mean(shares, axis=0), 0, 1)

    def _check(self) -> None:
        for name, least in (("starts", 1), ("cells", 3), ("neighbours", 1), ("n_components", 1)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise UsageError(f"{name} is at least {least}, got {value}")

    def _cells(self, name: str, values: np.ndarray, random: np.random.Generator) -> np.ndarray:
        """The cells of a view that are laid over others (m, d)."""
        if len(values) < 3:
            raise DataError(f"view {name!r} has {len(values)} cells; the shape of a cloud needs three or more")
        return np.asarray(values[np.sort(random.permutation(len(values))[: self.cells])], float)

    def _neighbours(self, points: np.ndarray) -> int:
        usual = min(20, max(2, len(points) // 5))
        return min(len(points) - 1, usual if self.neighbours is None else self.neighbours)

    def _components(self, points: np.ndarray) -> int:
        most = min(50, len(points) - 1, points.shape[1])
        return most if self.n_components is None else min(self.n_components, most)

    def _project(self, name: str, values: np.ndarray) -> np.ndarray:
        return self.maps_[name](np.asarray(values, float))

    def _emphasis(self, name: str) -> np.ndarray:
        return np.ones(len(self.correlations_))

    def _features(self) -> SimpleFeatures:
        return SimpleFeatures(self.features, random_state=self.random_state)


def _components(points: np.ndarray, k: int) -> Components:
    mean = points.mean(0)
    return Components(mean, np.linalg.svd(points - mean, full_matrices=False)[2][:k].T.copy())


def ways_between(points: np.ndarray, neighbours: int) -> np.ndarray:
    """(n, n) shortest ways from cell to cell over the graph of nearest neighbours, as a share of the longest; cells
    that no way joins are as far apart as the farthest that one joins."""
    from sklearn.neighbors import kneighbors_graph

    ways = shortest_path(kneighbors_graph(points, neighbours, mode="distance"), directed=False)
    longest = ways[np.isfinite(ways)].max()
    return np.where(np.isfinite(ways), ways, longest) / max(longest, np.finfo(float).tiny)


def cheapest_plan(
    a: np.ndarray, b: np.ndarray, starts: int, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Of all starts the plan (n, m) of least Gromov-Wasserstein cost, and the costs (starts,), least first.

    Args:
        a: (n, n) and b: (m, m) distances within the clouds.
    """
    ot = require("ot", "transport")
    p, q = ot.unif(len(a)), ot.unif(len(b))
    plans, costs = [], []
    settings = {"epsilon": SHARPNESS, "solver": "PPA", "max_iter": STEPS, "tol": 1e-9, "numItermax": SCALINGS}
    for start in _starts(ot, a, b, starts, random):
        with np.errstate(divide="ignore"):  # the logarithm of a plan's zeros
            plan = ot.gromov.entropic_gromov_wasserstein(a, b, p, q, "square_loss", G0=start, warn=False, **settings)
        plans.append(plan)
        costs.append(transport_cost(a, b, plan))
    return plans[int(np.argmin(costs))], np.sort(costs)


def transport_cost(a: np.ndarray, b: np.ndarray, plan: np.ndarray) -> float:
    """sum_ijkl (a_ik - b_jl)^2 P_ij P_kl of a plan (n, m), whose sum is taken as 1."""
    plan = plan / plan.sum()
    p, q = plan.sum(1), plan.sum(0)
    return float(p @ a**2 @ p + q @ b**2 @ q - 2 * ((a @ plan @ b) * plan).sum())


def _starts(ot, a: np.ndarray, b: np.ndarray, count: int, random: np.random.Generator) -> Iterator[np.ndarray | None]:
    """Plans to start from: everything to everything; cells to those from which the others are as far, sorted (Memoli
    2011, the first lower bound); then by the distance to one cell of each cloud, taken at random."""
    p, q = ot.unif(len(a)), ot.unif(len(b))

    def plan(costs: np.ndarray) -> np.ndarray:
        return ot.sinkhorn(p, q, costs / max(costs.max(), np.finfo(float).tiny), SHARPNESS, numItermax=100, warn=False)

    for number in range(count):
        if number == 0:
            yield None
        elif number == 1:
            at = np.linspace(0, 1, 100)
            far = (np.quantile(ways, at, axis=1).T for ways in (a, b))  # (n, 100), (m, 100)
            yield plan(ot.dist(*far))
        else:
            i, j = random.integers(len(a)), random.integers(len(b))
            yield plan((a[i][:, None] - b[j]) ** 2)
