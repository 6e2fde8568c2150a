"""Loadings, factors, variance explained and absent views of linear methods."""

import doctest

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.linear_model import LinearRegression
from sklearn.metrics import r2_score

import bouba
from bouba import CCA, PLS, MatrixFreeCCA, Views
from bouba.align import factors, loadings, variance, variance_explained
from bouba.errors import ModalityError, UsageError

pd = pytest.importorskip("pandas")

MODELS = {
    "CCA": CCA(2, ridge=0.1),
    "PLS": PLS(2),
    "MatrixFreeCCA": MatrixFreeCCA(2, ridge=0.1, max_iter=200),
}
NAMES = tuple(f"gene {i}" for i in range(12))


def planted(n=400, seed=0, noise=1.0, views=2):
    """Factor 0 in every view, factor 1 + v in view v alone; the views and the shared factor."""
    mix, random = np.random.default_rng(7), np.random.default_rng(seed)
    f = random.normal(size=(n, 1 + views))
    data = {}
    for v in range(views):
        weights = mix.normal(size=(2, 12))
        values = f[:, [0, 1 + v]] @ weights + noise * random.normal(size=(n, 12))
        data["abc"[v]] = pd.DataFrame(values, columns=list(NAMES))
    return data, f[:, 0]


@pytest.fixture(scope="module", params=sorted(MODELS))
def fitted(request):
    data, _ = planted()
    return clone(MODELS[request.param]).fit(data), data


def test_definition_loadings_are_correlations_with_the_variates(fitted):
    model, data = fitted
    z = model.transform(data)
    found = loadings(model, "a")
    expected = np.corrcoef(data["a"].T, z["a"].T)[:12, 12:]
    assert found.values == pytest.approx(expected, abs=1e-6)
    assert found.columns == NAMES
    largest = np.abs(expected[:, 1]).argmax()
    assert found.top(1, 1) == [(NAMES[largest], pytest.approx(expected[largest, 1], abs=1e-6))]
    assert f"component 2: {NAMES[largest]}" in str(found)


def test_definition_loadings_are_those_of_cca():
    data, _ = planted()
    model = CCA(2, ridge=0.3).fit(data)
    assert loadings(model, "b").values == pytest.approx(model.loadings_["b"])


def test_definition_shares_are_those_of_regressions_on_the_fitted_rows(fitted):
    model, data = fitted
    new, _ = planted(seed=1)
    z, z_new = model.transform(data), model.transform(new)
    for from_others in (False, True):
        table = variance_explained(model, new, from_others=from_others)
        for v, view in enumerate("ab"):
            sources = [name for name in "ab" if name != view or not from_others]
            for component in (0, 1, None):
                columns = slice(None) if component is None else [component]
                x, x_new = (
                    sum(of[name][:, columns] / z[name][:, columns].std(0) for name in sources) for of in (z, z_new)
                )
                guess = LinearRegression().fit(x, data[view].to_numpy()).predict(x_new)
                true = new[view].to_numpy()
                expected = 1 - ((guess - true) ** 2).sum() / ((true - true.mean(0)) ** 2).sum()
                found = table.total[v] if component is None else table.shares[v, component]
                assert found == pytest.approx(expected, abs=1e-5)
    assert model.explained({"a": new["a"]}, {"b": new["b"]})["b"] == pytest.approx(table.total[1])


def test_definition_predictions_are_regressions_on_variates(fitted):
    model, data = fitted
    z = model.transform(data)["a"]
    expected = LinearRegression().fit(z, data["b"].to_numpy()).predict(z)
    assert model.predict({"a": data["a"]}) == pytest.approx(expected, abs=1e-4)
    assert model.predict(data, to="b") == pytest.approx(expected, abs=1e-4)


def test_definition_factors_are_means_of_standard_variates_and_of_their_regressions(fitted):
    model, data = fitted
    z = {name: values / values.std(0) for name, values in model.transform(data).items()}
    mean = z["a"] + z["b"]
    mean /= mean.std(0)
    assert factors(model, data) == pytest.approx(mean, abs=1e-5)
    for c in range(2):
        slope = (z["a"][:, c] * mean[:, c]).mean()
        assert factors(model, {"a": data["a"]})[:, c] == pytest.approx(slope * z["a"][:, c], abs=1e-5)


def test_law_units_of_a_view_change_no_share(fitted):
    model, data = fitted
    scaled = {"a": data["a"] * 100 + 7, "b": data["b"]}
    again = clone(model).fit(scaled)
    assert variance_explained(again, scaled).total == pytest.approx(variance_explained(model, data).total, abs=1e-3)


def test_law_shares_of_uncorrelated_components_add_up():
    data, _ = planted()
    table = variance_explained(CCA(3).fit(data), data)
    assert table.shares.sum(1) == pytest.approx(table.total)


def test_law_sparse_views_say_what_dense_ones_say():
    random = np.random.default_rng(0)
    topics = random.random((80, 3)) < 0.3
    data = {name: np.kron(topics, np.ones(5)) * (random.random((80, 15)) < 0.5) for name in "ab"}
    thin = {name: sparse.csr_matrix(values) for name, values in data.items()}
    model = MatrixFreeCCA(2, ridge=0.2).fit(thin)
    assert variance_explained(model, thin).shares == pytest.approx(variance_explained(model, data).shares)
    z = model.transform(data)
    assert loadings(model, "a").values == pytest.approx(np.corrcoef(data["a"].T, z["a"].T)[:15, 15:], abs=1e-6)


def test_recovery_of_a_planted_factor_with_missing_samples(fitted):
    """Half of the rows of `b` are missing; the first component is the shared factor, and by it `b` is predicted."""
    model, _ = fitted
    data, shared = planted(600, seed=2)
    views = Views(data)
    holes = views.replace(columns={"a": views["a"], "b": views["b"].without(np.arange(600) % 4 < 2)})
    model = clone(model).fit(holes[:400])
    found = factors(model, holes[400:])
    assert abs(np.corrcoef(found[:, 0], shared[400:])[0, 1]) > 0.9
    table = variance_explained(model, views[400:], from_others=True)
    best = LinearRegression().fit(shared[:400, None], data["b"][:400]).predict(shared[400:, None])
    best = r2_score(data["b"][400:], best, multioutput="variance_weighted")
    assert 0.75 * best < table.total[1] <= best + 0.05
    assert variance_explained(model, holes[400:]).rows.tolist() == [200, 100]


def test_recovery_where_views_share_nothing_there_is_nothing_to_predict(fitted):
    model, _ = fitted
    data = {"a": planted(200, seed=3)[0]["a"], "b": planted(200, seed=4)[0]["b"]}
    rows = lambda at: {name: frame.iloc[at] for name, frame in data.items()}  # noqa: E731
    model = clone(model).fit(rows(slice(0, 150)))
    assert (variance_explained(model, rows(slice(150, 200)), from_others=True).total < 0.02).all()


def test_three_views_predict_by_those_that_a_row_has():
    data, shared = planted(600, seed=5, views=3)
    views = Views(data)
    model = CCA(2, ridge=0.1).fit(views[:400])
    test = views[400:]
    shares = [model.explained(test.select(*of), test.select("c"))["c"] for of in (["a"], ["a", "b"])]
    assert 0 < shares[0] < shares[1]
    lacking = {name: test[name].without(np.random.default_rng(i).random(200) < 0.4) for i, name in enumerate("ab")}
    some = np.any([column.present for column in lacking.values()], axis=0)
    found = factors(model, test.replace(columns=lacking))[:, 0]
    assert abs(np.corrcoef(found[some], shared[400:][some])[0, 1]) > 0.85
    assert not found[~some].any()


def test_missing_cells_are_filled_in_and_a_run_measures_what_comes_back(fitted, tmp_path):
    model, data = fitted
    views = Views(data)
    holes = views.replace(columns={"a": views["a"], "b": views["b"].without(np.arange(400) < 100)})
    filled = bouba.impute(holes, model)
    assert filled.imputed["b"].sum() == 100
    assert np.stack(list(filled["b"]))[:100] == pytest.approx(model.predict({"a": data["a"][:100]}), abs=1e-4)
    records = {r.direction: r.value for r in bouba.evaluate(model, views) if r.metric == "variance_explained"}
    assert set(records) == {"all->a", "without a->a", "all->b", "without b->b"}
    others = variance_explained(model, data, from_others=True)
    assert records["without b->b"] == pytest.approx(others.total[1])
    model.save(tmp_path / "model")
    again = bouba.load(tmp_path / "model")
    assert np.array_equal(variance_explained(again, data).shares, variance_explained(model, data).shares)


def test_the_table_prints_views_components_and_rows():
    data, _ = planted()
    text = str(variance_explained(CCA(2, ridge=0.1).fit(data), data))
    assert text.splitlines()[0].split() == ["view", "component", "1", "component", "2", "total", "rows"]
    assert text.splitlines()[1].split()[0] == "a"
    assert text.splitlines()[1].split()[-1] == "400"


def test_the_examples_of_the_docstrings_run():
    assert doctest.testmod(variance).failed == 0


def test_pictures_and_texts_are_not_given_back():
    texts = [f"{'red' if i % 2 else 'blue'} thing {i % 5}" for i in range(40)]
    views = Views({"text": texts, "x": np.eye(2)[np.arange(40) % 2]}, kinds={"text": "text"})
    model = CCA(1, ridge=0.5).fit(views)
    assert set(model.reconstruct(views)) == {"x"}
    assert set(model.explained(views)) == {"x"}
    assert loadings(model, "text").columns[:2] == ("0", "1")


def test_refusals(fitted):
    model, data = fitted
    with pytest.raises(ModalityError, match="no view 'c'; "):
        loadings(model, "c")
    with pytest.raises(UsageError, match="'a' is not predicted from itself; give another view as well"):
        variance_explained(model, {"a": data["a"]}, from_others=True)
    with pytest.raises(UsageError, match="truth must be the same rows as X, got 300 and 400"):
        model.explained(data, {"b": data["b"][:300]})
    other = bouba.ASIF().fit(data)
    for ask in (lambda: variance_explained(other, data), lambda: loadings(other, "a"), lambda: factors(other, data)):
        with pytest.raises(UsageError, match="ASIF keeps no regressions of columns on variates; take CCA, PLS"):
            ask()
