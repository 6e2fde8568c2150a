"""The interval of a calibration error: its definition, and coverage where nothing is wrong."""

import numpy as np
import pytest
from scipy import stats

from bouba.evaluation.calibration import calibration_interval


def rows_of(random, n, shift, groups=None):
    """Bins and excess of n rows whose confidence is too high by `shift`; rows of a group are copies of each other."""
    units = n if groups is None else groups.max() + 1
    confidence = random.uniform(0.5, 1, units)
    excess = (random.random(units) < confidence - shift) - confidence
    at = np.arange(n) if groups is None else groups
    return (confidence[at] * 15).astype(int), excess[at]


def test_definition_by_a_loop_over_the_same_draws():
    random = np.random.default_rng(0)
    groups = random.integers(0, 9, 40)
    bins, excess = rows_of(random, 40, 0.4)

    def error(rows):
        return sum(abs(excess[rows][bins[rows] == b].sum()) for b in range(15)) / len(rows)

    drawn = [
        error(np.concatenate([np.flatnonzero(groups == g) for g in picks]))
        for picks in np.random.default_rng(3).integers(0, 9, size=(60, 9), dtype=np.int32)
    ]
    value, margin = error(np.arange(40)), stats.t(8).ppf(0.95) * np.std(drawn, ddof=0) * (9 / 8) ** 0.5
    low, high = calibration_interval(bins, excess, groups, n_resamples=60, level=0.9, random_state=3)
    assert high == pytest.approx(min(value + margin, 1))
    assert low == pytest.approx(max(2 * value - np.mean(drawn) - margin, 0))
    assert low > 0


@pytest.mark.parametrize("alike", [False, True])
@pytest.mark.parametrize("shift", [0.0, 0.2])
def test_coverage_where_rows_are_calibrated_and_where_not(shift, alike):
    random = np.random.default_rng(5)
    truth, covered, measured = shift, [], []
    for _ in range(150):
        groups = np.repeat(np.arange(60), 4) if alike else np.arange(100)
        bins, excess = rows_of(random, len(groups), shift, groups)
        low, high = calibration_interval(bins, excess, groups, n_resamples=200)
        measured.append(abs(np.bincount(bins, excess)).sum() / len(groups))
        assert 0 <= low <= measured[-1] <= high <= 1
        covered.append(low <= truth <= high)
    assert np.mean(measured) > truth + (0.02 if shift == 0 else 0)  # chance makes the error larger
    assert np.mean(covered) >= 0.93 - 2 * 0.021
