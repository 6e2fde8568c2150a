"""TransportAligner: source rows carried onto the target by optimal transport."""

from __future__ import annotations

import numpy as np
from scipy.spatial.distance import cdist

from bouba.adapt.domain_aligner import DomainAligner, class_codes
from bouba.errors import DataError, UsageError, require
from bouba.estimator import OneToOneFeatureMixin

STEPS = 300  # of Sinkhorn, at most
LARGEST = 300.0  # exponent of a row's or column's nearest, from which on exp(-C / entropy) has no digits
ROUNDS = 4  # of linearising the class regulariser
LEAST = 1e-12  # mass of a row, as a share of its own, below which it is carried nowhere


def transport_plan(
    source: np.ndarray,
    target: np.ndarray,
    *,
    entropy: float = 0.05,
    codes: np.ndarray | None = None,
    purity: float = 0.0,
    mass: float | None = None,
) -> np.ndarray:
    """How much of each source row goes to each target row.

        min_P  <P, C> + entropy sum_ij P_ij log P_ij + purity sum_j sum_c (sum_{i in c} P_ij)^(1/2)
        subject to  P 1 = 1/n,  P' 1 = 1/m;     C_ij = |x_i - y_j|^2 / mean |x - y|^2

    With `mass` both constraints are a price instead, mass (KL(P 1 | 1/n) + KL(P' 1 | 1/m)): rows that nothing in the
    other domain is like need not be carried.

    Args:
        source: (n, d). target: (m, d). entropy: 0 for the exact plan, or from about 0.01 on; large values carry all to
            the middle.
        codes: (n,) classes of source rows. purity: 0 or more, how much it costs a target row to be given mass of
            several classes; needs codes and an entropy.
        mass: above 0, the price; None for constraints. Small values carry less.

    Returns:
        P (n, m) of 0 or more.

    Raises:
        UsageError: settings that do not fit together. MissingExtraError: the extra `transport` is not installed.

    References: Courty, Flamary, Tuia and Rakotomamonjy 2017, Optimal Transport for Domain Adaptation, equations 5, 13
    and 17 (its first regulariser, of Courty 2014); Chizat et al. 2018 (mass). Departures: C is over its mean, so that
    entropy means the same in any unit; solved by POT.

    >>> transport_plan(np.array([[0.0], [1.0]]), np.array([[1.1], [0.1]]), entropy=0).tolist()
    [[0.0, 0.5], [0.5, 0.0]]
    """
    check_plan(entropy, purity, mass)
    if purity and codes is None:
        raise UsageError("purity reads the classes of source rows; give codes=..., or leave purity out")
    ot = require("ot", "transport")
    cost = cdist(source, target, "sqeuclidean")  # (n, m)
    cost /= max(cost.mean(), np.finfo(float).tiny)
    a, b = np.full(len(source), 1 / len(source)), np.full(len(target), 1 / len(target))
    if mass is not None:
        if entropy:
            return ot.unbalanced.sinkhorn_unbalanced(
                a, b, cost, entropy, mass, numItermax=STEPS, stopThr=1e-5, warn=False
            )
        return ot.unbalanced.mm_unbalanced(a, b, cost, mass, numItermax=STEPS)
    if not entropy:
        return ot.emd(a, b, cost, numItermax=10_000_000)
    plan = _sinkhorn(ot, a, b, cost, entropy)
    for _ in range(ROUNDS if purity else 0):  # the square root, linearised where it stands
        slope = np.empty_like(cost)
        for code in np.unique(codes) if codes is not None else ():
            rows = codes == code
            slope[rows] = 0.5 / np.sqrt(plan[rows].sum(0) * len(target) + 1e-2)  # of shares of a target row's mass
        plan = _sinkhorn(ot, a, b, cost + purity * slope, entropy)
    return plan


def _sinkhorn(ot, a: np.ndarray, b: np.ndarray, cost: np.ndarray, entropy: float) -> np.ndarray:
    """Fast where exp(-C / entropy) has digits in every row and column, else with logarithms."""
    cost = cost - cost.min(1, keepdims=True)  # what a row or a column costs whatever it is matched with is no choice
    cost -= cost.min(0)
    method = "sinkhorn" if cost.min(1).max() < LARGEST * entropy else "sinkhorn_log"
    return ot.sinkhorn(a, b, cost, entropy, method=method, numItermax=STEPS, stopThr=1e-5, warn=False)


def check_plan(entropy: float, purity: float, mass: float | None) -> None:
    """UsageError for settings that do not fit together."""
    if not 0 <= entropy < np.inf:
        raise UsageError(f"entropy must be 0 or more, got {entropy}; 0.05 is a start, 0 the exact plan")
    if not 0 <= purity < np.inf:
        raise UsageError(f"purity must be 0 or more, got {purity}; 0.1 is a start")
    if mass is not None and not 0 < mass < np.inf:
        raise UsageError(f"mass must be above 0, got {mass}; 1 is a start, None carries all")
    if purity and (not entropy or mass is not None):
        raise UsageError("purity goes with an entropy above 0 and without mass; leave one of them out")


class TransportAligner(OneToOneFeatureMixin, DomainAligner):
    """Source rows carried to where the target's rows are, each to the mean of what it is matched with; target rows as
    they are.

        x_i -> sum_j P_ij y_j / sum_j P_ij,    P = transport_plan(X, Y)
        any other x -> x + (the move of the source row that is nearest to it)

    It bends, where CORALAligner moves everything by one linear map: take it where clusters moved by ways of their own,
    and rows are hundreds or more. Where the classes have other shares in the target, the constraints carry some rows
    into the wrong cluster: say mass=1, which lets rows be. `purity` keeps the classes of the source apart.

    Args:
        entropy, purity, mass: see `transport_plan`. purity reads the labels of source rows.
        most: rows of a domain, drawn at random, that the plan is solved for; memory is most^2 numbers.
        random_state: of the draw.
        target: rows of the target (m, d), when they do not come with `fit`; see DomainAligner.

    Attributes: `rows_` and `moves_` (n, d), source rows and how each is moved; `domain_`.

    Raises:
        UsageError: settings that do not fit together, purity without labels. MissingExtraError: the extra `transport`
            is not installed. Otherwise as `fit`.

    References: Courty et al. 2017, equations 14 and section 5.2; Ferradans et al. 2014 (other rows, by the nearest).
    Departures: see `transport_plan`.

    >>> source = np.random.default_rng(0).normal(size=(60, 2))
    >>> turned = source @ np.array([[0.8, 0.6], [-0.6, 0.8]]) + 5
    >>> moved = TransportAligner(entropy=0).fit(source, turned).transform(source)
    >>> round(float(np.abs(np.sort(moved[:, 0]) - np.sort(turned[:, 0])).max()), 6)  # onto the rows themselves
    0.0
    """

    def __init__(
        self,
        *,
        entropy: float = 0.05,
        purity: float = 0.0,
        mass: float | None = None,
        most: int = 4_000,
        random_state: int = 0,
        target=None,
    ):
        self.entropy = entropy
        self.purity = purity
        self.mass = mass
        self.most = most
        self.random_state = random_state
        self.target = target

    def _fit(self, source: np.ndarray, target: np.ndarray, labels) -> None:
        check_plan(self.entropy, self.purity, self.mass)
        if self.most < 2:
            raise UsageError(f"most must be 2 rows or more, got {self.most}")
        codes = class_codes(type(self).__name__, labels, len(source)) if self.purity else None
        random = np.random.default_rng(self.random_state)
        drawn = [np.sort(random.permutation(len(rows))[: self.most]) for rows in (source, target)]
        source, target = source[drawn[0]], target[drawn[1]]
        offset, scale = target.mean(0), max(float(target.std()), np.finfo(float).tiny)  # far from 0 digits are lost
        plan = transport_plan(
            (source - offset) / scale,
            (target - offset) / scale,
            entropy=self.entropy,
            codes=None if codes is None else codes[drawn[0]],
            purity=self.purity,
            mass=self.mass,
        )
        if not np.isfinite(plan).all():
            raise DataError("no plan was found for these rows; raise entropy, or scale columns to a deviation of 1")
        sent = plan.sum(1)
        moves = np.zeros_like(source)
        some = sent > LEAST / len(source)
        moves[some] = plan[some] @ target / sent[some, None] - source[some]
        self.rows_, self.moves_ = source.copy(), moves

    def _project(self, rows: np.ndarray, domain: str) -> np.ndarray:
        if domain == "target":
            return rows.copy()
        from sklearn.neighbors import NearestNeighbors

        nearest = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(self.rows_)
        return rows + self.moves_[nearest.kneighbors(rows, return_distance=False)[:, 0]]
