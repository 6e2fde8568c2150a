"""JDA: components in which the domains agree, as wholes and class by class."""

from __future__ import annotations

from operator import index

import numpy as np
from scipy import linalg

from bouba.adapt.domain_aligner import EPS, DomainAligner, class_codes, signs
from bouba.errors import DataError, UsageError
from bouba.estimator import ClassNamePrefixFeaturesOutMixin
from bouba.metrics import proxy_a_distance

CUT = 1e-10
FEWEST = 5  # rows of a class in either domain, below which their distance is not measured


class JDA(ClassNamePrefixFeaturesOutMixin, DomainAligner):
    """Joint distribution adaptation: TCA that also brings each class's means together, by guesses that get better.

        max_w  w'S w / w'(mu I + (1 - b) g g' + b sum_c g_c g_c') w,    the k best, each at right angles in S

    S is the covariance of all rows, g the difference between the domains' means, g_c that of class c, whose target rows
    are those that a classifier of the source's rows, mapped, takes for c; then all is solved again. Rows are less their
    common mean, over the root of the mean of |x|^2. Component j has the standard deviation sqrt(mu lambda_j) times that
    root, so that where nothing differs every distance stays as it was.

    With b = 1/2 both count alike (JDA). Another b is balanced distribution adaptation: towards 1 where classes moved by
    ways of their own, towards 0 where guesses are poor. TCA needs no labels; TransportAligner bends.

    Args:
        n_components: k; None takes all.
        mu: above 0, the weight of |w|^2 against the distances; small values take out whatever differs.
        balance: b in [0, 1]; None estimates it: how well a classifier tells the domains apart class by class, as a
            share of that and of how well it does on all rows.
        rounds: how often classes are guessed.
        random_state: of the folds that estimate b.
        target: rows of the target (m, d), when they do not come with `fit`; see DomainAligner.

    Attributes: `eigenvalues_` (k,), lambda; `mean_` (d,); `weights_` (d, k); `balance_`; `domain_`, without effect.

    Raises:
        UsageError: no labels; a mu, balance or number of rounds that makes no sense. DataError: one class, more
            components than there are, rows that are all alike; otherwise as `fit`.

    References: Long, Wang, Ding, Sun and Yu 2013, Transfer Feature Learning with Joint Distribution Adaptation,
    equation 9 and algorithm 1; Wang, Chen, Hao, Feng and Shen 2017, Balanced Distribution Adaptation, equation 5; Wang
    et al. 2018 (MEDA), section 3.3, for the estimate of b. Departures: the linear kernel, solved in the d columns;
    guesses by logistic regression, not the nearest neighbour; distances are between means, not their square sums over
    n_c; the unit and the scale above.

    >>> random = np.random.default_rng(0)
    >>> y = np.arange(200) % 2
    >>> source = np.column_stack([4 * y, 2 * y, np.zeros(200)]) + random.normal(size=(200, 3))
    >>> target = np.column_stack([4 * y, -2 * y, np.zeros(200)]) + random.normal(size=(200, 3))
    >>> z = JDA(mu=0.01).fit(source, target, labels=y)
    >>> gap = [z.transform(rows)[y == 1].mean(0) - z.transform(rows)[y == 0].mean(0) for rows in (source, target)]
    >>> bool(gap[0] @ gap[1] > 0.9 * np.linalg.norm(gap[0]) * np.linalg.norm(gap[1]))  # one direction now
    True
    """

    def __init__(
        self,
        n_components: int | None = None,
        *,
        mu: float = 0.1,
        balance: float | None = 0.5,
        rounds: int = 10,
        random_state: int = 0,
        target=None,
    ):
        self.n_components = n_components
        self.mu = mu
        self.balance = balance
        self.rounds = rounds
        self.random_state = random_state
        self.target = target

    def _fit(self, source: np.ndarray, target: np.ndarray, labels) -> None:
        self._check_options()
        codes = class_codes(type(self).__name__, labels, len(source))
        rows = np.vstack([source, target])
        self.mean_ = rows.mean(0)
        rows -= self.mean_
        unit = np.sqrt((rows**2).sum(1).mean())
        if unit <= 8 * EPS * np.linalg.norm(self.mean_):
            raise DataError("all rows of source and target are alike; nothing varies")
        rows /= unit
        x, x_target = rows[: len(source)], rows[len(source) :]
        covariance = rows.T @ rows / len(rows)
        self.balance_ = 0.0 if self.balance is None else float(self.balance)
        weights, guesses = np.eye(rows.shape[1]), None
        for number in range(self.rounds + 1):
            if guesses is not None and self.balance is None and number == 1:
                self.balance_ = estimated_balance(x, x_target, codes, guesses, random_state=self.random_state)
            gaps = class_gaps(x, x_target, codes, guesses)
            scale = np.sqrt([1 - self.balance_, *[self.balance_] * (len(gaps) - 1)])[:, None]
            if guesses is None:
                scale = np.ones((1, 1))
            self.eigenvalues_, weights = self._solved(covariance, gaps * scale)
            before, guesses = guesses, _guessed(x @ weights, codes, x_target @ weights)
            if before is not None and (before == guesses).all():
                break
        self.weights_ = weights * signs(weights)

    def _solved(self, covariance: np.ndarray, gaps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """lambda (k,) and W (d, k), for gaps (g, d) that are to vanish."""
        penalty = self.mu * np.eye(len(covariance)) + gaps.T @ gaps
        eigenvalues, vectors = linalg.eigh(covariance, penalty)
        eigenvalues, vectors = eigenvalues[::-1], vectors[:, ::-1]
        k = self._number_of_components(eigenvalues)
        eigenvalues, vectors = eigenvalues[:k], vectors[:, :k]  # w'S w = lambda, since w'(penalty) w = 1
        return eigenvalues, np.ascontiguousarray(vectors * np.sqrt(self.mu))  # a deviation of sqrt(mu lambda)

    def _project(self, rows: np.ndarray, domain: str) -> np.ndarray:
        return (rows - self.mean_) @ self.weights_

    def _number_of_components(self, eigenvalues: np.ndarray) -> int:
        available = int((eigenvalues > CUT * eigenvalues[0]).sum())
        if self.n_components is None:
            return available
        if not 1 <= index(self.n_components) <= available:
            raise DataError(f"{self.n_components} components of rows that have {available}; take 1 to {available}")
        return self.n_components

    def _check_options(self) -> None:
        if not 0 < self.mu < np.inf:
            raise UsageError(f"mu must be above 0, got {self.mu}; 0.1 is a start")
        if self.balance is not None and not 0 <= self.balance <= 1:
            raise UsageError(f"balance lies in [0, 1], got {self.balance}; None estimates it")
        if index(self.rounds) < 1:
            raise UsageError(f"rounds must be 1 or more, got {self.rounds}")

    @property
    def _n_features_out(self) -> int:
        return self.weights_.shape[1]


def class_gaps(source: np.ndarray, target: np.ndarray, codes: np.ndarray, guesses: np.ndarray | None) -> np.ndarray:
    """(1 + C', d): the difference between the domains' means, then that of each class which both have.

    Args:
        source: (n, d). target: (m, d). codes: (n,) classes. guesses: (m,) what target rows are taken for; None leaves
            classes out.
    """
    gaps = [source.mean(0) - target.mean(0)]
    if guesses is not None:
        for code in np.intersect1d(codes, guesses):
            gaps.append(source[codes == code].mean(0) - target[guesses == code].mean(0))
    return np.array(gaps)


def estimated_balance(
    source: np.ndarray, target: np.ndarray, codes: np.ndarray, guesses: np.ndarray, *, random_state: int = 0
) -> float:
    """b in [0, 1]: mean A-distance within classes over that plus the A-distance of all rows; 1/2 where both are 0.

    Reference: Wang et al. 2018, Visual Domain Adaptation with Manifold Embedded Distribution Alignment, section 3.3.
    """
    whole = max(0.0, proxy_a_distance(source, target, random_state=random_state))
    within = []
    for code in np.unique(codes):
        a, b = source[codes == code], target[guesses == code]
        if min(len(a), len(b)) >= FEWEST:
            within.append(max(0.0, proxy_a_distance(a, b, random_state=random_state)))
    mean = float(np.mean(within)) if within else 0.0
    return mean / (mean + whole) if mean + whole > 0 else 0.5


def _guessed(z: np.ndarray, codes: np.ndarray, z_target: np.ndarray) -> np.ndarray:
    """(m,) classes of target rows by a classifier of source rows."""
    from sklearn.linear_model import LogisticRegression

    length = np.sqrt((z**2).sum(1).mean()) or 1.0
    return LogisticRegression(C=10.0, max_iter=300, tol=1e-3).fit(z / length, codes).predict(z_target / length)
