"""CCA without any matrix of columns by columns: the same answer, from products alone."""

import tracemalloc
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import linalg, sparse
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from sklearn.utils.estimator_checks import parametrize_with_checks

import bouba
from bouba import Views
from bouba.align import CCA, MatrixFreeCCA
from bouba.bench.sparse_cca import corpus, correlations, weighted
from bouba.errors import DataError, UsageError

EXACT = {"tol": 1e-8, "max_iter": 200}


def planted(widths=(30, 40), n=400, seed=0, shift=5.0):
    """Views of five shared directions, under as much noise again; half the numbers are zero, means are not."""
    random = np.random.default_rng(seed)
    shared = random.normal(size=(n, 5))
    views = [shared @ random.normal(size=(5, d)) + 2 * random.normal(size=(n, d)) + shift for d in widths]
    return [np.where(random.random(view.shape) < 0.5, view, 0) for view in views]


def counts(n=300, widths=(2000, 3000), seed=0):
    """Sparse views of more columns than rows."""
    draw = np.random.default_rng(seed)
    return [sparse.random(n, d, density=0.01, format="csr", rng=draw) for d in widths]


def test_definition_covariances_formed_explicitly():
    """S_xy w_y = rho B_x w_x, column by column, with rho of the shrunk problem."""
    x, y = planted()
    model = MatrixFreeCCA(3, ridge=0.2, **EXACT).fit([x, y])
    centred = [view - view.mean(0) for view in (x, y)]
    across = centred[0].T @ centred[1] / len(x)
    shrunk = []
    for view in centred:
        covariance = view.T @ view / len(x)
        shrunk.append(0.8 * covariance + 0.2 * np.trace(covariance) / len(covariance) * np.eye(len(covariance)))
    roots = [linalg.inv(linalg.cholesky(matrix)) for matrix in shrunk]
    rho = linalg.svdvals(roots[0].T @ across @ roots[1])
    for k in range(3):
        w, v = model.weights_["view0"][:, k], model.weights_["view1"][:, k]
        length = np.sqrt(w @ shrunk[0] @ w), np.sqrt(v @ shrunk[1] @ v)
        np.testing.assert_allclose(across @ v / length[1], rho[k] * shrunk[0] @ w / length[0], atol=1e-6)
        z = [view @ weights for view, weights in zip(centred, (w, v))]
        np.testing.assert_allclose([z[0].var(), z[1].var()], 1)
        assert np.corrcoef(*z)[0, 1] == pytest.approx(model.correlations_[k], abs=1e-9)
    assert model.history_[-1]["rho"] == pytest.approx(rho[:3].sum(), abs=1e-9)


@pytest.mark.parametrize("widths", [(30, 40), (3, 4), (6, 1), (30, 40, 20)])
@pytest.mark.parametrize("inner_iter", [1, 3])
@pytest.mark.parametrize("stored", [np.asarray, sparse.csr_matrix, sparse.csc_array])
def test_it_is_cca(widths, inner_iter, stored):
    views = planted(widths)
    k = min(5, *widths)
    exact = CCA(k, ridge=0.1).fit(views)
    model = MatrixFreeCCA(k, ridge=0.1, inner_iter=inner_iter, **EXACT).fit([stored(view) for view in views])
    np.testing.assert_allclose(model.correlations_, exact.correlations_, atol=1e-6)
    for name, weights in exact.weights_.items():
        np.testing.assert_allclose(model.weights_[name], weights, atol=1e-6)
        np.testing.assert_allclose(model.means_[name], exact.means_[name], atol=1e-12)
    for found, wanted in zip(model.transform([stored(view) for view in views]), exact.transform(views)):
        np.testing.assert_allclose(found, wanted, atol=1e-6)
    for name, wanted in exact.embed(views).items():
        np.testing.assert_allclose(model.embed([stored(view) for view in views])[name], wanted, atol=1e-5)


def test_views_of_32_and_64_bits_and_of_odd_units_go_together():
    x, y = planted()
    exact = CCA(5, ridge=0.1).fit([x, y])
    model = MatrixFreeCCA(5, ridge=0.1, tol=1e-4).fit([(x * 1e-25).astype(np.float32), sparse.csr_matrix(y * 1e30)])
    np.testing.assert_allclose(model.correlations_, exact.correlations_, atol=1e-5)
    assert [weights.dtype for weights in model.weights_.values()] == [np.float32, np.float64]


def test_32_bits_agree_to_their_precision_and_do_not_drift():
    views = [view.astype(np.float32) for view in planted()]
    with pytest.warns(ConvergenceWarning):
        model = MatrixFreeCCA(5, ridge=0.1, tol=0, max_iter=60).fit(views)
    assert model.weights_["view0"].dtype == np.float32
    np.testing.assert_allclose(model.correlations_, CCA(5, ridge=0.1).fit(planted()).correlations_, atol=1e-4)
    assert model.history_[-1]["rho"] == pytest.approx(model.history_[15]["rho"], rel=1e-5)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 1000), shift=st.sampled_from([0.0, 1.0, 1e4]), unit=st.sampled_from([1e-3, 1.0, 1e30]))
def test_law_means_and_units_change_nothing(seed, shift, unit):
    x, y = planted(seed=seed, n=100)
    shift = shift * max(1.0, unit)
    model, moved = (MatrixFreeCCA(3, **EXACT) for _ in range(2))
    np.testing.assert_allclose(
        moved.fit([unit * x + shift, y]).correlations_, model.fit([x, y]).correlations_, atol=1e-6
    )


@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 1000))
def test_law_order_of_rows_and_columns_changes_nothing(seed):
    x, y = counts(60, (200, 90), seed=seed)
    draw = np.random.default_rng(seed)
    rows, columns = draw.permutation(60), draw.permutation(200)
    model, moved = (MatrixFreeCCA(3, **EXACT) for _ in range(2))
    model.fit([x, y])
    moved.fit([x[rows][:, columns], y[rows]])
    np.testing.assert_allclose(moved.correlations_, model.correlations_, atol=1e-6)
    np.testing.assert_allclose(moved.weights_["view0"], model.weights_["view0"][columns], atol=1e-5)


def test_empty_rows_and_columns_and_duplicates_are_what_they_say():
    x, y = planted((12, 15))
    x[:, 3] = 0
    x[7], y[9] = 0, 0
    once = sparse.csr_matrix(x)
    twice = sparse.csr_matrix((np.repeat(once.data / 2, 2), np.repeat(once.indices, 2), 2 * once.indptr), x.shape)
    model = MatrixFreeCCA(3, ridge=0.1, **EXACT).fit([twice, y])
    np.testing.assert_allclose(model.correlations_, CCA(3, ridge=0.1).fit([x, y]).correlations_, atol=1e-6)
    assert (model.weights_["view0"][3] == 0).all()
    assert twice.nnz == 2 * once.nnz  # the caller's matrix stays as it was


def test_recovery_of_planted_topics_beats_what_does_not_whiten():
    views, _ = corpus(4400, 4000, seed=0)
    fitted, held_out = zip(*(weighted(view, 4000) for view in views))
    sums = {}
    for ridge in (0.3, 1.0):  # 1 is partial least squares
        model = MatrixFreeCCA(30, ridge=ridge).fit(fitted)
        sums[ridge] = correlations(*model.transform(held_out)).sum()
    assert sums[0.3] > 25
    assert sums[1.0] < 18


def test_memory_stays_far_below_columns_by_columns_and_rows_by_columns():
    n, d, k = 1000, 100_000, 5
    views = counts(n, (d, d))
    tracemalloc.start()
    model = MatrixFreeCCA(k, max_iter=2)
    with pytest.warns(ConvergenceWarning):
        model.fit(views)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 * n * d / 4  # a dense view alone would take four times as much, columns by columns 400 times
    assert model.weights_["view0"].shape == (d, k)


def test_warm_start_continues():
    views = counts()
    cold = MatrixFreeCCA(4, tol=1e-4, max_iter=200).fit(views)
    warm = MatrixFreeCCA(4, tol=1e-4, max_iter=3, warm_start=True)
    with pytest.warns(ConvergenceWarning, match=r"stopped after 3 iterations at residual .*, above tol=0.0001; raise"):
        warm.fit(views)
    first = warm.history_[0]["residual"]
    warm.set_params(max_iter=200).fit(views)
    assert warm.n_iter_ < cold.n_iter_
    assert warm.history_[0]["residual"] < first / 3
    np.testing.assert_allclose(warm.correlations_, cold.correlations_, atol=1e-6)
    with pytest.raises(DataError, match="'view0' has 1999 columns, the last fit had 2000; set warm_start=False"):
        warm.fit([views[0][:, 1:], views[1]])


def test_two_inner_steps_save_products_where_columns_are_correlated_and_much_is_asked():
    draw = np.random.default_rng(0)
    shared = draw.normal(size=(1000, 20))
    views = []
    for _ in range(2):  # standard deviations fall from 1 to 1/14, along directions that are no columns
        hidden = np.hstack([shared + draw.normal(size=shared.shape), draw.normal(size=(1000, 180))])
        hidden = hidden[:, draw.permutation(200)] * np.arange(1, 201) ** -0.5
        views.append(hidden @ linalg.qr(draw.normal(size=(200, 200)))[0])
    spent = {}
    for steps in (1, 2):
        model = MatrixFreeCCA(10, ridge=0.01, tol=1e-4, max_iter=1000, inner_iter=steps).fit(views)
        spent[steps] = 2 * steps * model.n_iter_
    assert spent[2] < spent[1]


def test_rows_that_lack_a_view_are_left_out():
    x, y = planted((5, 6))
    table = Views({"a": list(x), "b": [*y[:300], *[None] * 100]}, kinds={"a": "vector", "b": "vector"})
    model = MatrixFreeCCA(2, tol=1e-5).fit(table)  # vectors of Views have 32 bits
    whole = MatrixFreeCCA(2, tol=1e-5).fit({"a": x[:300], "b": y[:300]})
    np.testing.assert_allclose(model.correlations_, whole.correlations_, atol=1e-6)
    embedded = model.transform(table)
    assert embedded.present["b"].sum() == 300
    assert embedded.present["a"].all()


def test_texts_come_as_sparse_n_grams(tmp_path):
    draw = np.random.default_rng(0)
    topics = [("wolf", "forest", "moon"), ("harbour", "sail", "tide"), ("oven", "bread", "flour")]
    english = [" ".join(draw.choice(topics[i % 3], 4)) for i in range(90)]
    shouted = [" ".join(draw.choice(topics[i % 3], 4)).upper()[::-1] for i in range(90)]
    table = Views({"said": english, "heard": shouted}, kinds={"said": "text", "heard": "text"})
    model = MatrixFreeCCA(2, ridge=0.3, tol=1e-3).fit(table)
    assert model.weights_["said"].shape == (model.widths_["said"], 2)
    assert model.correlations_.min() > 0.9
    model.save(tmp_path / "model")
    again = bouba.load(tmp_path / "model")
    for name, z in model.embed(table).items():
        np.testing.assert_array_equal(again.embed(table)[name], z)
    assert again.history_ == model.history_


def test_ridge_is_chosen_by_stock_scikit_learn():
    """Two sparse matrices, one shared word among 700, and few rows: little is to be trusted."""
    x, y = (matrix.tolil() for matrix in counts(120, (300, 400)))
    x[::2, 0] = y[::2, 0] = 1
    search = GridSearchCV(MatrixFreeCCA(1, tol=0.01), {"ridge": [0.01, 0.9]}, cv=3).fit(x.tocsr(), y.tocsr())
    assert search.best_params_ == {"ridge": 0.9}
    assert search.cv_results_["mean_test_score"][0] < search.best_score_ - 0.02


@parametrize_with_checks([MatrixFreeCCA(1)])
def test_scikit_learn(estimator, check):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        check(estimator)


def test_progress_goes_to_the_error_stream(capsys):
    MatrixFreeCCA(2, verbose=True).fit(planted())
    captured = capsys.readouterr()
    assert "MatrixFreeCCA" in captured.err
    assert captured.out == ""


def test_refusals():
    x, y = planted((5, 6))
    with pytest.raises(DataError, match=r"7 components from views \[5, 6\] wide; take 5 or fewer"):
        MatrixFreeCCA(7).fit([x, y])
    for ridge in (0, 1.5, float("nan")):
        with pytest.raises(UsageError, match=rf"ridge is a shrinkage above 0 and up to 1, got {ridge}; CCA does"):
            MatrixFreeCCA(2, ridge=ridge).fit([x, y])
    with pytest.raises(UsageError, match="max_iter and inner_iter are 1 or more, got 0 and 1"):
        MatrixFreeCCA(2, max_iter=0).fit([x, y])
    with pytest.raises(DataError, match="'view1' does not vary in these 400 rows; leave it out"):
        MatrixFreeCCA(2).fit([x, np.full_like(y, 0.1)])
    with pytest.raises(DataError, match="1 rows have all of a \\(vector\\), b \\(vector\\); two or more are needed"):
        MatrixFreeCCA(1).fit(Views({"a": [*x[:2], None], "b": [None, *y[:2]]}, kinds={"a": "vector", "b": "vector"}))
    x[3, 2] = np.nan
    with pytest.raises(DataError, match=r"'view0'.*NaN"):
        MatrixFreeCCA(2).fit([sparse.csr_matrix(x), y])
