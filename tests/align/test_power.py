"""Power by simulation: what theory gives for two columns, the level where nothing is there, more with more rows."""

import numpy as np
import pytest
from scipy import stats

from bouba.align import detection_power
from bouba.errors import DataError, UsageError


@pytest.mark.parametrize(("rows", "rho"), [(50, 0.4), (30, 0.3)])
def test_definition_power_of_one_correlation_is_fisher_s(rows, rho):
    """Two columns: artanh r is normal around artanh rho with variance 1 / (n - 3), and the test has two sides."""
    z = stats.norm.ppf(0.975)
    at = np.arctanh(rho) * np.sqrt(rows - 3)
    expected = stats.norm.sf(z - at) + stats.norm.cdf(-z - at)
    found = detection_power(rows, (1, 1), rho, studies=200)
    assert found.low - 0.02 < expected < found.high + 0.02
    assert found.power == pytest.approx(expected, abs=0.1)


def test_law_without_a_correlation_the_power_is_the_level():
    found = detection_power(30, (3, 2), 0.0, studies=200, level=0.1)
    assert found.low <= 0.1 <= found.high
    assert found.observed > 0.3, "what chance shows"


def test_law_more_rows_find_more_and_more_columns_hide():
    few, many = (detection_power(rows, (5, 5), 0.5, studies=40) for rows in (25, 100))
    wide = detection_power(100, (30, 30), 0.5, studies=40)
    assert few.power < many.power
    assert wide.power < many.power
    assert many.power > 0.9
    assert few.low <= few.power <= few.high


def test_three_views_and_a_ridge():
    assert detection_power(60, (4, 4, 3), 0.8, ridge=0.3, studies=10).power == 1


def test_it_prints_a_sentence():
    text = str(detection_power(20, {"a": 2, "b": 2}, 0.9, studies=10))
    assert text.startswith(
        "20 rows find a correlation of 0.9 with p <= 0.05 in 100% of studies (95% interval 69% to 100%"
    )


def test_refusals():
    with pytest.raises(UsageError, match="studies is 1 or more, got 0"):
        detection_power(20, (2, 2), 0.5, studies=0)
    with pytest.raises(UsageError, match=r"9 permutations give no p as small as level=0\.05"):
        detection_power(20, (2, 2), 0.5, permutations=9)
    with pytest.raises(UsageError, match="correlations are numbers from 0 to 1"):
        detection_power(20, (2, 2), 1.5)
    with pytest.raises(DataError, match="two or more, got 1"):
        detection_power(20, (2,), 0.5)
