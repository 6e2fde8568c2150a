"""How probable is it that so many rows show a correlation? Power by simulation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import index

import numpy as np

from bouba.align.significance import Ridge, permutation_test
from bouba.data.planted import correlated
from bouba.errors import UsageError


@dataclass(frozen=True)
class Power:
    """Of `detection_power`; prints as two sentences.

    Args:
        power: share of studies in which the test found something. low, high: its 95% interval (Clopper and Pearson).
        rows: of each study. correlation: that was there. studies: how many. level: of the test.
        observed: mean over studies of the first correlation in the rows themselves, which is too high; under a ridge of
            what `permutation_test` compares.
    """

    power: float
    low: float
    high: float
    rows: int
    correlation: float
    studies: int
    level: float
    observed: float

    def __str__(self) -> str:
        return (
            f"{self.rows} rows find a correlation of {self.correlation:g} with p <= {self.level:g} in {self.power:.0%} "
            f"of studies (95% interval {self.low:.0%} to {self.high:.0%}, {self.studies} simulated).\n"
            f"What is tested is {self.observed:.2f} on average in the rows themselves."
        )


def detection_power(
    rows: int,
    widths: Sequence[int] | Mapping[str, int],
    correlation: float,
    *,
    ridge: Ridge = 0.0,
    nonzero: int | None = None,
    within: float = 0.0,
    level: float = 0.05,
    permutations: int = 99,
    studies: int = 200,
    random_state: int = 0,
) -> Power:
    """The probability that `permutation_test` finds the first canonical correlation, before any row is collected.

        power = P(p <= level),   over studies of n rows drawn from a population with one canonical correlation rho

    Many columns hide a correlation: what chance alone shows in n rows grows with them. Try several numbers of rows, or
    fewer columns, until the power is what you need (.8 is usual). The population is normal, its other correlations are
    0, and the columns of a view are alike; real columns that say the same thing need fewer rows: give `within`.

    Args:
        rows: n of a study. widths: columns of each view, as in `samples.correlated`; two views or more.
        correlation: rho in the population, from 0 to 1. With 0 the power is the level.
        ridge: of the test. nonzero, within: of the population, see `samples.correlated`.
        level: p at which something counts as found. permutations: of each test; 99 resolve p to .01.
        studies: simulated; 200 give the power to within .07. random_state: seed.

    Raises:
        UsageError: no study, a level that so few permutations cannot reach. Otherwise as `samples.correlated` and
            `permutation_test`.

    Reference: by simulation, for permutation inference as in Winkler, Renaud, Smith & Nichols 2020; Helmer et al. 2024,
    On the stability of canonical correlation analysis and partial least squares, for why it is needed.

    >>> print(detection_power(50, (3, 3), 0.5, studies=40))
    50 rows find a correlation of 0.5 with p <= 0.05 in 68% of studies (95% interval 51% to 81%, 40 simulated).
    What is tested is 0.56 on average in the rows themselves.
    """
    if index(studies) < 1:
        raise UsageError(f"studies is 1 or more, got {studies}; 200 is usual")
    if not 1 / (1 + permutations) <= level < 1:
        raise UsageError(f"{permutations} permutations give no p as small as level={level:g}; raise permutations")
    from scipy.stats import beta

    found, observed = 0, []
    for study in np.random.default_rng(random_state).integers(2**31, size=studies).tolist():
        views, _ = correlated(rows, (correlation,), widths=widths, nonzero=nonzero, within=within, random_state=study)
        test = permutation_test(views, n_components=1, ridge=ridge, permutations=permutations, random_state=study)
        found += bool(test.p_values[0] <= level)
        observed.append(float(test.correlations[0]))
    low = float(beta.ppf(0.025, found, studies - found + 1)) if found else 0.0
    high = float(beta.ppf(0.975, found + 1, studies - found)) if found < studies else 1.0
    return Power(found / studies, low, high, rows, correlation, studies, level, float(np.mean(observed)))
