"""Far fewer rows than columns: the same solutions, by matrices of rows by rows."""

import time
import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose

import bouba
from bouba import CCA, TCA, CORALAligner
from bouba.adapt import tca
from bouba.align import bootstrap_correlations, canonical, permutation_test
from bouba.data.views import Column, Views


def wide_views(n=14, widths=(40, 30, 5), missing=False, seed=0):
    """Views of n rows that share two directions, with columns in other units and a constant one."""
    random = np.random.default_rng(seed)
    shared = random.normal(size=(n, 2))
    data = {f"v{i}": shared @ random.normal(size=(2, d)) + random.normal(size=(n, d)) for i, d in enumerate(widths)}
    data["v0"][:, 3] *= 1e-4
    data["v0"][:, 4] = 7.0
    columns = {}
    for name, values in data.items():
        has = np.ones(n, bool)
        if missing:
            has[random.choice(n, 3, replace=False)] = False
        columns[name] = Column.of(values, "vector", has)
    return Views(columns)


@pytest.fixture
def as_if_long(monkeypatch):
    """The decomposition of columns by columns, whatever the shape."""

    def root_by_columns(moments, name, ridge):
        return canonical.root(moments.covariance(name, name), moments.mean(name), ridge)

    def switch():
        monkeypatch.setattr(canonical, "_root_of", root_by_columns)

    return switch


@pytest.mark.filterwarnings("ignore:.*whatever the data say")
@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("ridge", [0.0, 0.2, 1.0, {"v0": 0.0, "v1": 0.3, "v2": 0.1}])
@pytest.mark.parametrize("names", [("v0", "v1"), ("v0", "v2"), ("v0", "v1", "v2")])
def test_rows_give_what_columns_give(names, ridge, missing, as_if_long):
    ridge = {name: ridge[name] for name in names} if isinstance(ridge, dict) else ridge
    views = wide_views(missing=missing).select(*names)
    by_rows = CCA(2, ridge=ridge).fit(views)
    assert by_rows.moments_.products is None
    as_if_long()
    by_columns = CCA(2, ridge=ridge).partial_fit(by_rows.moments_.summed())
    assert_allclose(by_rows.correlations_, by_columns.correlations_, atol=1e-7)
    forced = ridge == 0.0  # every correlation is 1, so any turn of the variates is as good
    for name in () if forced else names:
        for fact in ("weights_", "loadings_", "means_", "explained_variance_ratio_"):
            ours, theirs = getattr(by_rows, fact)[name], getattr(by_columns, fact)[name]
            assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6 * np.abs(theirs).max(), err_msg=f"{fact} of {name}")
        assert_allclose(
            by_rows.predict(views.select(name), to=names[0] if name != names[0] else names[1]),
            by_columns.predict(views.select(name), to=names[0] if name != names[0] else names[1]),
            atol=1e-6,
        )


def test_chunks_add_up_before_and_after_they_are_many(tmp_path):
    views = wide_views(n=60)
    whole = CCA(2, ridge=0.1).fit(views)
    chunked = CCA(2, ridge=0.1)
    for start in range(0, 60, 10):
        chunked.partial_fit(views[start : start + 10])
        assert (chunked.moments_.rows is None) == (2 * (start + 10) >= 75)
    assert_allclose(chunked.correlations_, whole.correlations_, atol=1e-10)
    few = CCA(2, ridge=0.1).fit(views[:20])
    few.save(tmp_path / "few")
    again = bouba.load(tmp_path / "few").partial_fit(views[20:])
    assert_allclose(again.correlations_, whole.correlations_, atol=1e-10)


def test_as_many_components_as_the_rows_can_tell_apart():
    views = wide_views(n=9)
    assert len(CCA(ridge=0.1).fit(views.select("v0", "v1")).correlations_) == 8
    assert len(CCA(ridge=0.1).fit(views).correlations_) == 8  # the third view has 5 columns, and a part in each


def test_significance_by_rows(as_if_long):
    x, y = (wide_views()[name].values for name in ("v0", "v1"))
    tested = permutation_test([x, y], ridge=0.3, permutations=50, n_components=2)
    drawn = bootstrap_correlations([x, y], ridge=0.3, resamples=20, n_components=2)
    as_if_long()
    assert_allclose(drawn.low, bootstrap_correlations([x, y], ridge=0.3, resamples=20, n_components=2).low, atol=1e-7)
    long = np.vstack([x] * 4), np.vstack([y] * 4)  # the same covariances, from more rows than columns
    assert_allclose(permutation_test(long, ridge=0.3, permutations=1, n_components=2).correlations, tested.correlations)


@pytest.mark.parametrize("ridge", [0.0, 0.5, 1.0])
def test_coral_of_few_rows(ridge):
    source, target = np.random.default_rng(0).normal(size=(2, 8, 12))
    target = target * np.linspace(1, 3, 12) + 1
    few = CORALAligner(ridge=ridge).fit(source, target)
    r_s, r_t = np.corrcoef(source.T), np.corrcoef(target.T)
    power = {}
    for name, r, exponent in (("s", r_s, -0.5), ("t", r_t, 0.5)):
        values, vectors = np.linalg.eigh((1 - ridge) * r + ridge * np.eye(12))
        kept = values > 1e-10
        power[name] = (vectors[:, kept] * values[kept] ** exponent) @ vectors[:, kept].T
    expected = power["s"] @ power["t"] * target.std(0, ddof=1) / source.std(0, ddof=1)[:, None]
    assert_allclose(few.weights_, expected, atol=1e-9)


def test_tca_by_the_directions_of_few_rows(monkeypatch):
    source, target = np.random.default_rng(0).normal(size=(2, 6, 40))
    by_rows = TCA(3).fit(source, target)
    monkeypatch.setattr(tca.Coordinates, "basis", lambda self, rows: None)
    by_columns = TCA(3).fit(source, target)
    assert_allclose(by_rows.eigenvalues_, by_columns.eigenvalues_)
    assert_allclose(by_rows.transform(target), by_columns.transform(target), atol=1e-8)


def test_forty_rows_of_four_thousand_columns_are_solved_at_once():
    random = np.random.default_rng(0)
    x, y = random.normal(size=(2, 40, 4000))
    start = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = CCA(2, ridge=0.1).fit([x, y])
    assert time.process_time() - start < 1.5  # by 4,000 x 4,000 it is 20 and more
    assert model.moments_.rows.nbytes < 3e6
    assert model.correlations_.shape == (2,)
