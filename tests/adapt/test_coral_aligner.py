"""CORALAligner: the paper's map, what it matches, and a shift that it undoes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import linalg
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from bouba.adapt import CORALAligner
from bouba.errors import DataError, UsageError


def domains(n=60, d=4, seed=0):
    random = np.random.default_rng(seed)
    source = random.normal(size=(n, d)) @ random.normal(size=(d, d)) + 3
    return source, random.normal(size=(n + 9, d)) @ random.normal(size=(d, d)) - 2


@pytest.mark.parametrize("penalty", [0.01, 1.0, 9.0])
def test_definition_the_papers_algorithm_on_standardised_domains(penalty):
    """C = cov(z) + lambda I; z_s C_s^-1/2 C_t^1/2, given back the target's units. lambda is r / (1 - r)."""
    source, target = domains()
    z_s, z_t = ((x - x.mean(0)) / x.std(0, ddof=1) for x in (source, target))
    c_s, c_t = (np.cov(z.T) + penalty * np.eye(4) for z in (z_s, z_t))
    by_the_book = z_s @ linalg.inv(linalg.sqrtm(c_s)) @ linalg.sqrtm(c_t) * target.std(0, ddof=1) + target.mean(0)
    moved = CORALAligner(ridge=penalty / (1 + penalty)).fit(source, target).transform(source)
    np.testing.assert_allclose(moved, by_the_book, atol=1e-9)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), d=st.integers(1, 6), ridge=st.floats(0, 1))
def test_law_what_is_matched(seed, d, ridge):
    source, target = domains(30, d, seed)
    moved = CORALAligner(ridge=0).fit(source, target).transform(source)
    np.testing.assert_allclose(np.cov(moved.T), np.cov(target.T), rtol=1e-6, atol=1e-8 * np.abs(target).max() ** 2)
    np.testing.assert_allclose(moved.mean(0), target.mean(0), atol=1e-9)
    plain = CORALAligner(ridge=1).fit(source, target).transform(source)
    z = (source - source.mean(0)) / source.std(0, ddof=1)
    np.testing.assert_allclose(plain, z * target.std(0, ddof=1) + target.mean(0))
    same = CORALAligner(ridge=ridge).fit(source, source).transform(source)
    np.testing.assert_allclose(same, source, atol=1e-8 * np.abs(source).max())


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), ridge=st.floats(0, 1))
def test_law_units_and_offsets_carry_through(seed, ridge):
    """Columns in other units are moved to the same places, said in those units."""
    source, target = domains(30, 3, seed)
    units = np.array([1e-6, 1.0, 1e5])
    moved = CORALAligner(ridge=ridge).fit(source, target).transform(source)
    other = CORALAligner(ridge=ridge).fit(source * units + 7, target * units - 1).transform(source * units + 7)
    np.testing.assert_allclose((other + 1) / units, moved, rtol=1e-5, atol=1e-5)


def test_target_rows_pass_through_unchanged_and_are_a_copy():
    source, target = domains()
    aligner = CORALAligner().fit(source, target)
    passed = aligner.transform(target, domain="target")
    np.testing.assert_array_equal(passed, target)
    assert not np.shares_memory(passed, target)


def test_columns_that_are_constant_in_one_domain():
    source, target = domains()
    source[:, 0], target[:, 1] = 0.1, 5.5
    for ridge in (0.0, 0.5):
        aligner = CORALAligner(ridge=ridge).fit(source, target)
        moved = aligner.transform(source)
        np.testing.assert_allclose(moved[:, 1], 5.5)
        np.testing.assert_allclose(moved.mean(0), target.mean(0))
        odd = source.copy()
        odd[:, 0] = 1e6  # what never varied in the source says nothing
        np.testing.assert_array_equal(aligner.transform(odd), moved)


def test_fewer_rows_than_columns():
    """The covariance of 10 rows has rank 9, and so has that of the moved rows: nothing is made up."""
    random = np.random.default_rng(0)
    source, target = random.normal(size=(10, 30)), random.normal(size=(200, 30)) * np.linspace(1, 9, 30)
    exact, shrunk = (CORALAligner(ridge=r).fit_transform(source, target) for r in (0.0, 0.5))
    assert np.isfinite(exact).all()
    assert np.isfinite(shrunk).all()
    assert np.linalg.matrix_rank(np.cov(exact.T), tol=1e-6) == 9


def stretched(seed, n=300, d=6):
    """Two classes; the target is stretched along slanting axes, 0.2 to 3 times, and set aside."""
    random = np.random.default_rng(seed)
    y = np.arange(n) % 2
    source, target = random.normal(size=(2, n, d))
    source[:, :2] += 3 * y[:, None] - 1.5
    target[:, :2] += 3 * y[:, None] - 1.5
    turn = np.linalg.qr(np.random.default_rng(7).normal(size=(d, d)))[0]
    return source, target @ turn @ np.diag(np.linspace(0.2, 3, d)) @ turn.T + 2, y


def test_recovery_beats_raw_features_and_standardising_alone():
    raw, alone, moved = [], [], []
    for seed in range(5):
        source, target, y = stretched(seed)
        classifier = LogisticRegression()
        raw.append(classifier.fit(source, y).score(target, y))
        scaled = StandardScaler().fit_transform
        alone.append(classifier.fit(scaled(source), y).score(scaled(target), y))
        moved.append(classifier.fit(CORALAligner(ridge=0.1).fit_transform(source, target), y).score(target, y))
    assert min(np.subtract(moved, raw)) > 0.08
    assert np.mean(moved) > np.mean(alone) + 0.005


@pytest.mark.parametrize("ridge", [-0.1, 1.1, np.nan])
def test_refusal(ridge):
    with pytest.raises(UsageError, match="ridge is a shrinkage between 0 and 1, got"):
        CORALAligner(ridge=ridge).fit(*domains())


def test_rows_that_cannot_be_moved_are_refused():
    rows = np.random.default_rng(0).normal(size=(20, 3))
    with pytest.raises(DataError, match="too large or too small"):
        CORALAligner().fit(rows, 1e9 * rows).transform(rows * 1e304)
