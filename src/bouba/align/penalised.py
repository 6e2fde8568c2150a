"""A penalised decomposition of the covariances between views: unit vectors of few numbers, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from bouba.align.canonical import refuse_alone, signs, varies
from bouba.align.moments import Moments

ROUNDS, SHORT, WARM, TOLERANCE = 200, 10, 20, 1e-6
STARTS = 10  # single columns that the search starts from, besides the solution without a penalty
CELLS = 4_000_000  # of correlations between columns, computed at once where rows are kept


@dataclass(frozen=True)
class Bounded:
    """The l1 norm of a unit vector of d numbers is at most share sqrt(d), or 1 where that is less."""

    share: float

    def __call__(self, a: np.ndarray) -> np.ndarray:
        """The unit vector within the bound that has the largest product with a (d,).

            S(a, t) / |S(a, t)|,   S(a, t) = sign(a) max(|a| - t, 0),   t the least that keeps the bound

        With the m largest of |a| above t, of sums s_1 and of squares s_2, and the bound c,
        t = (s_1 - c sqrt((m s_2 - s_1^2) / (m - c^2))) / m.
        """
        bound = max(1.0, self.share * np.sqrt(len(a)))
        sizes = -np.sort(-np.abs(a))
        if not sizes[0] or sizes.sum() <= bound * np.linalg.norm(sizes):
            return _unit(a)
        m, ones, squares = np.arange(1, len(a) + 1), np.cumsum(sizes), np.cumsum(sizes**2)
        lower = np.append(sizes[1:], 0)  # t at which one column more would come in
        norm = np.sqrt(np.maximum(squares - 2 * lower * ones + m * lower**2, 0))
        last = int(
            np.argmax((ones - m * lower > bound * norm) & (m > bound**2))
        )  # within whose interval the bound is met
        rest = max(m[last] * squares[last] - ones[last] ** 2, 0) / max(m[last] - bound**2, 1e-12)
        cut = (ones[last] - bound * np.sqrt(rest)) / m[last]
        return _unit(_soft(a, min(cut, sizes[0] * (1 - 1e-9))))


@dataclass(frozen=True)
class Counted:
    """So many numbers at most are other than 0."""

    count: int

    def __call__(self, a: np.ndarray) -> np.ndarray:
        """S(a, t) of length one, t the largest of |a| that is left out."""
        if self.count >= len(a):
            return _unit(a)
        return _unit(_soft(a, -np.partition(-np.abs(a), self.count)[self.count]))


Penalty = Bounded | Counted


def sparse_weights(
    moments: Moments, k: int, penalties: Mapping[str, Penalty], *, random_state: int = 0
) -> dict[str, np.ndarray]:
    """view -> (d, k) weights as SparseCCA finds them, scaled so that (x - mean) w has variance 1; zeros for components
    of which nothing is left. The largest weight of the first view is positive.

    Args:
        moments: of two views or more. penalties: view -> what its weights are held by.

    Raises:
        DataError: a view that has no two rows in common with another.
    """
    refuse_alone(moments)
    between, random = _Between.of(moments), np.random.default_rng(random_state)
    found: dict[str, list[np.ndarray]] = {view: [] for view in moments.names}
    for _ in range(k):
        weights = _component(between, penalties, random)
        between = between.without(weights)
        for view, w in weights.items():
            found[view].append(w)
    out = {}
    sign = signs(np.stack(found[moments.names[0]], axis=1))
    for view, columns in found.items():
        raw = np.stack(columns, axis=1) * between.scales[view][:, None] * sign
        deviation = np.sqrt(np.maximum((raw * moments.between(view, view, right=raw)).sum(0), 0))
        out[view] = np.divide(raw, deviation, out=np.zeros_like(raw), where=deviation > 1e-12)
    return out


@dataclass(frozen=True)
class _Between:
    """Correlations between columns of different views, less the components that were found.

    Args:
        moments: of the views. scales: view -> (d,) 1 / deviation, 0 of a column that does not vary.
        whole: (a, b) -> covariances (d_a, d_b) where rows are not kept.
        taken: of each component, view -> w, and (a, b) -> how much they agreed.
    """

    moments: Moments
    scales: dict[str, np.ndarray]
    whole: dict[tuple[str, str], np.ndarray]
    taken: tuple[tuple[dict[str, np.ndarray], dict[tuple[str, str], float]], ...] = ()

    @classmethod
    def of(cls, moments: Moments) -> _Between:
        scales = {}
        for view in moments.names:
            variances = moments.variances(view)
            used = varies(variances, moments.mean(view))
            scales[view] = np.divide(1, np.sqrt(np.maximum(variances, 0)), out=np.zeros(len(used)), where=used)
        pairs = combinations(moments.names, 2) if moments.rows is None else ()
        return cls(moments, scales, {(a, b): moments.covariance(a, b) for a, b in pairs})

    def pull(self, a: str, weights: Mapping[str, np.ndarray]) -> np.ndarray:
        """(d_a,) sum over the other views b of S_ab w_b."""
        out = np.zeros(len(self.scales[a]))
        for b, w in weights.items():
            if b == a or self.moments.count(a, b) < 2:
                continue
            out += self.scales[a] * self._times(a, b, self.scales[b] * w)
            for before, agreed in self.taken:
                out -= agreed[a, b] * (before[b] @ w) * before[a]
        return out

    def agreement(self, weights: Mapping[str, np.ndarray]) -> float:
        """What is maximised, twice."""
        return float(sum(w @ self.pull(view, weights) for view, w in weights.items()))

    def _times(self, a: str, b: str, w: np.ndarray) -> np.ndarray:
        if not self.whole:
            return self.moments.between(a, b, right=w[:, None])[:, 0]
        return self.whole[a, b] @ w if (a, b) in self.whole else w @ self.whole[b, a]

    def agreeing(self, count: int) -> list[tuple[str, int]]:
        """(view, column) of the columns that agree most with one column of another view, in blocks of columns."""
        best: dict[tuple[str, int], float] = {}
        for a, b in combinations(self.moments.names, 2):
            if self.moments.count(a, b) < 2:
                continue
            most, d = [], len(self.scales[a])
            for start in range(0, d, step := max(1, CELLS // len(self.scales[b]))):
                at = np.arange(start, min(start + step, d))
                most.append(np.abs(self._block(a, b, at)).max(axis=1))
            sizes = np.concatenate(most)
            best |= {(a, i): float(sizes[i]) for i in np.argsort(-sizes, kind="stable")[:count].tolist()}
        return sorted(best, key=lambda each: -best[each])[:count]

    def _block(self, a: str, b: str, at: np.ndarray) -> np.ndarray:
        """(m, d_b) of some columns of a."""
        out = self.moments.of_columns(a, b, at) * self.scales[a][at, None] * self.scales[b]
        for before, agreed in self.taken:
            out -= agreed[a, b] * np.outer(before[a][at], before[b])
        return out

    def without(self, weights: dict[str, np.ndarray]) -> _Between:
        """Less one component more."""
        agreed = {(a, b): float(weights[a] @ self.pull(a, {b: weights[b]})) for a in weights for b in weights if a != b}
        return replace(self, taken=(*self.taken, (weights, agreed)))


def _component(between: _Between, penalties: Mapping[str, Penalty], random: np.random.Generator) -> dict:
    """view -> w (d,), the best of some starts: the solution without a penalty, and single columns."""
    free = {view: _unit(random.normal(size=len(scale)) * (scale > 0)) for view, scale in between.scales.items()}
    starts = [_rounds(between, dict.fromkeys(free, _unit), free, WARM)]
    for view, column in between.agreeing(STARTS):
        one = np.zeros(len(free[view]))
        one[column] = 1
        starts.append({other: one if other == view else np.zeros(len(w)) for other, w in free.items()})
    tried = [_rounds(between, penalties, start, SHORT) for start in starts]
    return _rounds(between, penalties, max(tried, key=between.agreement), ROUNDS)


def _rounds(between: _Between, penalties: Mapping[str, Callable], weights: Mapping[str, np.ndarray], most: int) -> dict:
    """Each view's weights in turn, those of the view that is known best last."""
    weights = dict(weights)
    order = sorted(weights, key=lambda view: bool(weights[view].any()))
    for _ in range(most):
        change = 0.0
        for view in order:
            new = penalties[view](between.pull(view, weights))
            change = max(change, float(np.abs(new - weights[view]).max()))
            weights[view] = new
        if change < TOLERANCE:
            break
    return weights


def _soft(a: np.ndarray, cut: float) -> np.ndarray:
    return np.sign(a) * np.maximum(np.abs(a) - cut, 0)


def _unit(a: np.ndarray) -> np.ndarray:
    length = np.linalg.norm(a)
    return a / length if length > 1e-12 else np.zeros_like(a)
