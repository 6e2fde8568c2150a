"""SubspaceAligner: each domain in its own principal components, the source's turned towards the target's."""

from __future__ import annotations

from operator import index

import numpy as np
from scipy import linalg

from bouba.adapt.domain_aligner import EPS, DomainAligner, inverse, signs, standardised
from bouba.errors import DataError
from bouba.estimator import ClassNamePrefixFeaturesOutMixin

SHARE = 0.9


class SubspaceAligner(ClassNamePrefixFeaturesOutMixin, DomainAligner):
    """Both domains in k coordinates that mean the same: the target's principal components.

    With m and D the mean and standard deviations of a domain, and P (d, k) its first k principal components after
    standardising:

        source    x -> (x - m_s) D_s^-1 P_s M,    M = P_s' P_t
        target    x -> (x - m_t) D_t^-1 P_t

    M minimises |P_s M - P_t|^2. It suits many noisy columns of which few matter, in domains whose main directions
    differ a little. With all components P_s P_s' = I, and what is left is the standardising of each domain.
    CORALAligner keeps the columns and matches covariances; TCA takes one map for both domains.

    Args:
        n_components: k; None takes the fewest that hold 9/10 of the variance of either domain, standardised.
        target: rows of the target (m, d), when they do not come with `fit`; see DomainAligner.

    Attributes: `source_weights_`, `target_weights_` (d, k), `source_mean_`, `target_mean_` (d,), `domain_`.

    Raises:
        DataError: more components than a domain has; otherwise as `fit`.

    Reference: Fernando, Habrard, Sebban and Tuytelaars 2013, Unsupervised Visual Domain Adaptation Using Subspace
    Alignment, section 3 and algorithm 1; standardising each domain is theirs too. Departure: k is set, or follows from
    the variance, where they have a bound on the stability of the components.

    >>> source, target = np.random.default_rng(0).normal(size=(2, 300, 20)) @ np.diag([5, 5, 5, *[1] * 17])
    >>> aligner = SubspaceAligner(3).fit(source, target)
    >>> aligner.transform(source).shape, aligner.transform(target, domain="target").shape
    ((300, 3), (300, 3))
    """

    def __init__(self, n_components: int | None = None, *, target=None):
        self.n_components = n_components
        self.target = target

    def _fit(self, source: np.ndarray, target: np.ndarray, labels) -> None:
        z_s, self.source_mean_, deviation_s = standardised(source)
        z_t, self.target_mean_, deviation_t = standardised(target)
        (p_s, shares_s), (p_t, shares_t) = _components(z_s), _components(z_t)
        k = self._number_of_components(shares_s, shares_t)
        p_s, p_t = p_s[:, :k], p_t[:, :k] * signs(p_t[:, :k])
        self.source_weights_ = inverse(deviation_s)[:, None] * (p_s @ (p_s.T @ p_t))
        self.target_weights_ = inverse(deviation_t)[:, None] * p_t

    def _project(self, rows: np.ndarray, domain: str) -> np.ndarray:
        if domain == "source":
            return (rows - self.source_mean_) @ self.source_weights_
        return (rows - self.target_mean_) @ self.target_weights_

    def _number_of_components(self, *shares: np.ndarray) -> int:
        """k, from each domain's shares of variance."""
        ranks = [len(share) for share in shares]
        if min(ranks) == 0:
            raise DataError(f"all {'source' if ranks[0] == 0 else 'target'} rows are alike; nothing has a direction")
        if self.n_components is None:
            return min(*ranks, max(int(np.searchsorted(share.cumsum(), SHARE)) + 1 for share in shares))
        if not 1 <= index(self.n_components) <= min(ranks):
            raise DataError(
                f"{self.n_components} components from a source of rank {ranks[0]} and a target of rank {ranks[1]}; "
                f"take 1 to {min(ranks)}"
            )
        return self.n_components

    @property
    def _n_features_out(self) -> int:
        return self.target_weights_.shape[1]


def _components(z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Principal components (d, r) of centred rows (n, d), as many as there are, and their shares of the variance."""
    square = np.linalg.qr(z, mode="r") if len(z) > z.shape[1] else z  # as many rows as columns or fewer
    _, scale, axes = linalg.svd(square, full_matrices=False)
    large = scale > max(z.shape) * EPS * scale[0]
    variances = scale[large] ** 2
    return np.ascontiguousarray(axes[large].T), variances / max(variances.sum(), np.finfo(float).tiny)
