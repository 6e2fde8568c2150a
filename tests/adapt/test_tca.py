"""TCA: the paper's eigenproblem, exact and with landmarks, and shifts that it leaves out."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import linalg
from scipy.spatial.distance import pdist
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.metrics.pairwise import rbf_kernel
from sklearn.svm import SVC

from bouba.adapt import TCA
from bouba.errors import DataError, UsageError


def domains(n=30, d=5, seed=0):
    random = np.random.default_rng(seed)
    return random.normal(size=(n, d)) @ random.normal(size=(d, d)), random.normal(size=(n + 7, d)) + 1


def by_the_book(source, target, kernel, mu, k):
    """Eigenvectors of (K L K + mu I)^-1 K H K for the n x n kernel matrix, W'(mu I + K e e'K)W = I, z = HKW."""
    rows, n = np.vstack([source, target]), len(source) + len(target)
    centred = rows - rows.mean(0)
    gram = rbf_kernel(rows, gamma=0.05) if kernel == "rbf" else centred @ centred.T / (centred**2).sum(1).mean()
    e = np.concatenate([np.full(len(source), 1 / len(source)), np.full(len(target), -1 / len(target))])
    centre = np.eye(n) - 1 / n
    constraint = gram @ np.outer(e, e) @ gram + mu * np.eye(n)
    values, w = linalg.eig(np.linalg.inv(constraint) @ gram @ centre @ gram)
    first = np.argsort(-values.real)[:k]
    w = w[:, first].real
    w /= np.sqrt((w * (constraint @ w)).sum(0))
    return values[first].real, centre @ gram @ w


def unit_of(kernel, *rows):
    """Root of the mean |x|^2 of centred rows, for the linear kernel."""
    rows = np.vstack(rows)
    return np.sqrt(((rows - rows.mean(0)) ** 2).sum(1).mean()) if kernel == "linear" else 1.0


@pytest.mark.parametrize("kernel", ["linear", "rbf"])
@pytest.mark.parametrize(("n", "d"), [(30, 5), (10, 20)])
@pytest.mark.parametrize("mu", [0.01, 0.7, 50.0])
def test_definition_the_papers_eigenproblem_and_its_weights(kernel, n, d, mu):
    source, target = domains(n, d)
    values, z = by_the_book(source, target, kernel, mu, 3)
    rows = len(source) + len(target)
    for power in (0.0, 0.5, 1.0):
        model = TCA(3, kernel=kernel, gamma=0.05, mu=mu, power=power).fit(source, target)
        np.testing.assert_allclose(model.eigenvalues_, values, rtol=1e-7)
        found = model.transform(np.vstack([source, target]))
        deviation = (np.sqrt(mu * values) / rows) ** power * unit_of(kernel, source, target)
        np.testing.assert_allclose(found.std(0), deviation, rtol=1e-7)
        expected = z / z.std(0) * deviation
        np.testing.assert_allclose(found, expected * np.sign((z * found).sum(0)), atol=1e-6 * deviation.max())
    one_factor = np.abs(found / z)  # of power 1: the paper's z
    np.testing.assert_allclose(one_factor, one_factor[0, 0], rtol=1e-4)


@pytest.mark.parametrize(("n", "d"), [(40, 6), (8, 30)])
def test_law_where_no_mean_differs_all_components_are_principal_components(n, d):
    rows = np.random.default_rng(0).normal(size=(n, d)) * np.geomspace(1, 5, d) + 7
    z = TCA(mu=0.3).fit_transform(rows, rows)
    np.testing.assert_allclose(pdist(z), pdist(rows), rtol=1e-6)
    np.testing.assert_allclose(
        np.abs(z), np.abs(PCA(z.shape[1]).fit(np.vstack([rows, rows])).transform(rows)), atol=1e-6
    )


def test_law_all_components_take_a_difference_of_means_out_of_the_distances():
    random = np.random.default_rng(0)
    source, target = random.normal(size=(2, 300, 6))
    target[:, 2] += 10
    model = TCA().fit(source, target)
    gap = model.transform(source).mean(0) - model.transform(target).mean(0)
    assert np.linalg.norm(gap) < 0.2 * np.linalg.norm(source.mean(0) - target.mean(0))
    kept = np.delete(source, 2, 1)
    assert np.corrcoef(pdist(model.transform(source)), pdist(kept))[0, 1] > 0.95


def test_a_new_row_is_read_through_its_kernel_with_all_rows():
    """What `transform` gives is k(X, x)'W: a row between two others does not depend on which rows come with it."""
    source, target = domains()
    model = TCA(2, kernel="rbf").fit(source, target)
    rows = np.random.default_rng(1).normal(size=(5000, 5))  # more than are computed at once
    together = model.transform(rows)
    np.testing.assert_allclose(together[4321], model.transform(rows[4321:4322])[0], atol=1e-9)
    np.testing.assert_allclose(model.transform(source), TCA(2, kernel="rbf").fit_transform(source, target), atol=1e-9)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), kernel=st.sampled_from(["linear", "rbf"]), unit=st.floats(1e-3, 1e3))
def test_law_unit_offset_spread_and_exchange_of_domains(seed, kernel, unit):
    source, target = domains(seed=seed)
    model = TCA(2, kernel=kernel).fit(source, target)
    z = model.transform(np.vstack([source, target]))
    np.testing.assert_allclose(z.mean(0), 0, atol=1e-9)
    covariances = np.cov(z.T, bias=True)
    assert abs(covariances[0, 1]) < 1e-8 * covariances[0, 0]
    other = TCA(2, kernel=kernel).fit(unit * source + 40, unit * target + 40)
    moved = other.transform(unit * source + 40) / (unit if kernel == "linear" else 1)
    np.testing.assert_allclose(moved, z[: len(source)], atol=1e-5 * np.abs(z).max())
    assert other.eigenvalues_ == pytest.approx(model.eigenvalues_, rel=1e-6)
    assert TCA(2, kernel=kernel).fit(target, source).eigenvalues_ == pytest.approx(model.eigenvalues_, rel=1e-9)


def test_law_the_smaller_mu_the_closer_the_means():
    source, target = domains(100)
    gaps = []
    for mu in (1e-3, 1.0, 1e3):
        model = TCA(1, mu=mu).fit(source, target)
        z, other = model.transform(source), model.transform(target)
        gaps.append(abs(z.mean() - other.mean()) / np.vstack([z, other]).std())
    assert gaps[0] < gaps[1] < gaps[2]


def test_landmarks_come_near_the_exact_map():
    random = np.random.default_rng(0)
    source, target = random.normal(size=(2, 400, 3))
    exact = TCA(2, kernel="rbf", mu=0.1).fit(source, target)
    some = TCA(2, kernel="rbf", mu=0.1, n_landmarks=80).fit(source, target)
    assert len(some.map_.points) == 80
    assert some.eigenvalues_ == pytest.approx(exact.eigenvalues_, rel=0.01)
    a, b = exact.transform(target), some.transform(target)
    assert np.linalg.svd(np.linalg.qr(a - a.mean(0))[0].T @ np.linalg.qr(b - b.mean(0))[0])[1].min() > 0.99


def test_the_median_heuristic():
    source, target = domains()
    model = TCA(2, kernel="rbf").fit(source, target)
    assert model.map_.gamma == pytest.approx(1 / np.median(pdist(np.vstack([source, target]), "sqeuclidean")))
    most_equal = np.zeros((20, 2))
    most_equal[0] = 1
    assert np.isfinite(TCA(1, kernel="rbf").fit(most_equal, most_equal).transform(most_equal)).all()


def shifted(seed, n=200, d=4):
    """A sharp cue that the target has displaced by six of its units, and four blurred ones that stay."""
    random = np.random.default_rng(seed)
    y = np.arange(n) % 2
    turn = np.linalg.qr(np.random.default_rng(7).normal(size=(d + 1, d + 1)))[0]

    def rows(offset):
        side = 2.0 * y[:, None] - 1
        sharp, blurred = side + 0.5 * random.normal(size=(n, 1)), side + random.normal(size=(n, d))
        return np.hstack([sharp + offset, blurred]) @ turn

    return rows(0), rows(6), y


def test_recovery_leaves_out_what_tells_the_domains():
    for seed in range(5):
        source, target, y = shifted(seed)
        raw = LogisticRegression().fit(source, y).score(target, y)
        model = TCA(2)
        adapted = LogisticRegression().fit(model.fit_transform(source, target), y).score(model.transform(target), y)
        assert adapted > 0.9
        assert adapted > raw + 0.3


def rings(seed, n=200):
    """Two rings, which no line tells apart, lifted by 4 in the target."""
    random = np.random.default_rng(seed)
    y = np.arange(n) % 2

    def rows(height):
        angle = random.uniform(0, 2 * np.pi, n)
        flat = (1 + y)[:, None] * np.column_stack([np.cos(angle), np.sin(angle)])
        return np.column_stack([flat + 0.1 * random.normal(size=(n, 2)), height + 0.5 * random.normal(size=n)])

    return rows(0), rows(4), y


def test_recovery_with_a_kernel_where_no_line_will_do():
    for seed in range(5):
        source, target, y = rings(seed)
        model = TCA(8, kernel="rbf")
        adapted = LogisticRegression().fit(model.fit_transform(source, target), y).score(model.transform(target), y)
        assert adapted > 0.9
        assert SVC().fit(source, y).score(target, y) < 0.6


def test_refusals():
    source, target = domains()
    with pytest.raises(UsageError, match="no kernel 'linar'; did you mean 'linear'"):
        TCA(kernel="linar").fit(source, target)
    with pytest.raises(UsageError, match="mu must be above 0, got 0; 1 is a start"):
        TCA(mu=0).fit(source, target)
    with pytest.raises(UsageError, match=r"power must be 0 or more, got -1; 0\.5 is a start"):
        TCA(power=-1).fit(source, target)
    with pytest.raises(UsageError, match="gamma must be above 0, got -1; None takes the median heuristic"):
        TCA(kernel="rbf", gamma=-1).fit(source, target)
    with pytest.raises(UsageError, match="n_landmarks must be 2 or more, got 1"):
        TCA(kernel="rbf", n_landmarks=1).fit(source, target)
    with pytest.raises(DataError, match="6 components of a kernel that has 5; take 1 to 5"):
        TCA(6).fit(source, target)
    for kernel in ("linear", "rbf"):
        with pytest.raises(DataError, match="all rows of source and target are alike; nothing varies"):
            TCA(kernel=kernel).fit(np.full((4, 2), 0.1), np.full((3, 2), 0.1))
