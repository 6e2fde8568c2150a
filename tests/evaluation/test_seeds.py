"""Intervals over training runs: definitions, coverage of a known answer, refusals."""

import numpy as np
import pytest
from scipy import stats

from bouba.errors import DataError
from bouba.evaluation import seeds_interval


def test_definition_of_the_student_interval():
    values = [0.31, 0.28, 0.35, 0.30]
    low, high = stats.t.interval(0.9, 3, loc=np.mean(values), scale=stats.sem(values))
    assert seeds_interval(values, level=0.9) == pytest.approx((np.mean(values), low, high))


def test_refusals_say_what_came_and_what_to_do():
    with pytest.raises(DataError, match="needs two seeds or more"):
        seeds_interval([0.5])
