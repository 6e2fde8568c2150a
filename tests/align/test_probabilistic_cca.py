"""Probabilistic CCA: its updates by a loop over columns, what bounds and posteriors must keep, and what it recovers."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import bouba
from bouba import CCA, ProbabilisticCCA, Views
from bouba.align import factors, loadings, variance_explained
from bouba.data.views import Column
from bouba.errors import DataError, ModalityError, UsageError

WIDTHS = {"a": 12, "b": 9, "c": 7}


def planted(n=300, seed=0, noise=1.0, missing=0.0):
    """Factor 0 in every view, 1 in a and b, 2 in a alone; views, whose cells may be missing, and the factors."""
    mix, random = np.random.default_rng(3), np.random.default_rng(seed)
    z = random.normal(size=(n, 3))
    columns = {}
    for view, d in WIDTHS.items():
        part = np.array([1, view in "ab", view == "a"])[:, None]
        values = z @ (mix.normal(size=(3, d)) * part) + noise * random.normal(size=(n, d)) + 2
        columns[view] = Column.of(values, "vector", random.random(n) >= missing)
    return Views(columns), z


def by_loops(data, present, k, rounds, tied):
    """The same updates, a matrix inverted for every column and every row."""
    names, n, a0 = list(data), len(present["a"]), 1e-3
    x = {v: data[v][present[v]] for v in names}
    for v in names:
        scale = x[v].std(0) if not tied else np.sqrt(np.mean(x[v].var(0)))
        x[v] = (x[v] - x[v].mean(0)) / scale
    whole = np.zeros((n, sum(values.shape[1] for values in data.values())))
    ends = np.cumsum([0, *(values.shape[1] for values in data.values())])
    for i, v in enumerate(names):
        whole[present[v], ends[i] : ends[i + 1]] = x[v]
    values, axes = np.linalg.eigh(whole.T @ whole)
    z = whole @ axes[:, ::-1][:, :k] / np.sqrt(values[::-1][:k]) * np.sqrt(n)
    zz = {v: z[present[v]].T @ z[present[v]] + 0.1 * present[v].sum() * np.eye(k) for v in names}
    tau, alpha = {v: np.full(x[v].shape[1], 2.0) for v in names}, {v: np.ones(k) for v in names}
    mu = {v: np.zeros(x[v].shape[1]) for v in names}
    for _ in range(rounds):
        w, added = {}, {}
        for v in names:
            n_v, d = x[v].shape
            z_v = z[present[v]]
            s = [np.linalg.inv(np.diag(alpha[v]) + tau[v][j] * zz[v]) for j in range(d)]
            w[v] = np.stack([tau[v][j] * s[j] @ z_v.T @ (x[v][:, j] - mu[v][j]) for j in range(d)])
            mu[v] = (x[v] - z_v @ w[v].T).mean(0)
            second = np.stack([np.outer(w[v][j], w[v][j]) + s[j] for j in range(d)])
            alpha[v] = (a0 + d / 2) / (a0 + second.sum(0).diagonal() / 2)
            left = np.array(
                [
                    ((x[v][:, j] - mu[v][j]) ** 2).sum()
                    - 2 * (x[v][:, j] - mu[v][j]) @ z_v @ w[v][j]
                    + np.trace(second[j] @ zz[v])
                    for j in range(d)
                ]
            )
            tau[v] = (a0 + n_v / 2) / (a0 + left / 2)
            if tied:
                tau[v] = np.full(d, (a0 + n_v * d / 2) / (a0 + left.sum() / 2))
            added[v] = sum(tau[v][j] * second[j] for j in range(d))
        zz = {v: np.zeros((k, k)) for v in names}
        for i in range(n):
            has = [v for v in names if present[v][i]]
            spread = np.linalg.inv(np.eye(k) + sum((added[v] for v in has), np.zeros((k, k))))
            at = {v: x[v][present[v][:i].sum()] for v in has}
            z[i] = spread @ sum((w[v].T @ (tau[v] * (at[v] - mu[v])) for v in has), np.zeros(k))
            for v in has:
                zz[v] += np.outer(z[i], z[i]) + spread
    return z, w, tau


@pytest.mark.parametrize("noise", ["column", "view"])
def test_definition_by_loops(noise):
    views, _ = planted(60, missing=0.3)
    data = {v: np.stack([np.zeros(d) if c is None else c for c in views[v]]).astype(float) for v, d in WIDTHS.items()}
    z, w, _ = by_loops(data, views.present, 4, 4, noise == "view")
    model = ProbabilisticCCA(4, noise=noise, max_iter=4).fit(views)
    found = model.posterior(views).mean
    order = [int(np.abs(np.corrcoef(z.T, f)[-1, :-1]).argmax()) for f in found.T]
    assert sorted(order) == [0, 1, 2, 3]
    sign = np.sign((found * z[:, order]).sum(0))
    # the last round moves means after weights, as here; rows are then read with both
    np.testing.assert_allclose(found * sign, z[:, order], atol=1e-4)
    deviation = data["a"][views.present["a"]].std(0)
    deviation = np.full(12, np.sqrt((deviation**2).mean())) if noise == "view" else deviation
    np.testing.assert_allclose(model.readout_.weights["a"] * sign, w["a"][:, order] * deviation[:, None], atol=1e-4)


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 1000), noise=st.sampled_from(["column", "view"]), k=st.integers(1, 8))
def test_law_the_bound_never_falls(seed, noise, k):
    views, _ = planted(40, seed=seed, missing=0.3)
    model = ProbabilisticCCA(k, noise=noise, max_iter=60).fit(views)
    assert (np.diff(model.bounds_) > -1e-7 * np.abs(model.bounds_[:-1])).all()


def test_law_posterior_is_the_product_of_what_views_say():
    """By the weights and noise of the model alone: z and x are one normal vector, conditioned on what a row has."""
    views, _ = planted(2000, seed=1)
    model = ProbabilisticCCA(3).fit(views)
    out = model.readout_
    new, _ = planted(30, seed=2)
    data = {v: np.stack(list(new[v])).astype(float) for v in WIDTHS}
    for some in (["a"], ["b", "c"], ["a", "b", "c"]):
        w = np.vstack([out.weights[v] for v in some])
        noise = np.concatenate([out.noise[v] for v in some])
        x = np.hstack([data[v] - out.means[v] for v in some])
        gain = w.T @ np.linalg.inv(w @ w.T + np.diag(noise**2))
        found = model.posterior(new.select(*some))
        np.testing.assert_allclose(found.mean, x @ gain.T, atol=0.02)  # weights count as known here
        expected = np.sqrt((np.eye(3) - gain @ w).diagonal())
        np.testing.assert_allclose(found.deviation, np.tile(expected, (30, 1)), rtol=0.03)


def test_law_units_of_columns_do_not_matter():
    views, _ = planted(100)
    data = {v: np.stack(list(views[v])).astype(float) for v in WIDTHS}
    unit = np.random.default_rng(0).uniform(0.01, 100, 12)
    plain, scaled = ProbabilisticCCA(3).fit(data), ProbabilisticCCA(3).fit(data | {"a": data["a"] * unit})
    other = scaled.posterior(data | {"a": data["a"] * unit}).mean
    np.testing.assert_allclose(other, plain.posterior(data).mean, atol=1e-5)
    np.testing.assert_allclose(loadings(scaled, "a").values, loadings(plain, "a").values, atol=1e-5)


def test_recovery_of_how_many_factors_there_are_and_whose():
    views, z = planted(400, missing=0.2)
    model = ProbabilisticCCA().fit(views)
    assert model.readout_.k == 3
    shares = variance_explained(model, views).shares  # (view, factor)
    parts = {tuple(column) for column in (shares > 0.02).T.tolist()}
    assert parts == {(True, True, True), (True, True, False), (True, False, False)}
    new, truth = planted(400, seed=9)
    guess = factors(model, new)
    best = guess @ np.linalg.lstsq(factors(model, views), z, rcond=None)[0]
    r2 = 1 - ((best - truth) ** 2).sum(0) / ((truth - truth.mean(0)) ** 2).sum(0)
    assert (r2 > 0.8).all()


def test_recovery_of_an_absent_view_ahead_of_cca():
    """60 rows, a third of the cells missing: what b holds of new rows without it."""
    gains = []
    for seed in range(3):
        views, _ = planted(60, seed=seed, missing=0.3)
        new, _ = planted(400, seed=100 + seed)
        mine, theirs = (
            model.fit(views).explained(new.select("a", "c"), new.select("b"))["b"]
            for model in (ProbabilisticCCA(), CCA(3, ridge=0.5))
        )
        gains.append(mine - theirs)
    assert min(gains) > -0.01
    assert np.mean(gains) > 0.02


def test_recovery_of_how_sure_a_prediction_is():
    views, _ = planted(400)
    model, new = ProbabilisticCCA().fit(views), planted(1000, seed=5)[0]
    true = np.stack(list(new["b"])).astype(float)
    wide = []
    for some in (["c"], ["a"], ["a", "c"]):
        guess, deviation = model.predict(new.select(*some), to="b"), model.predict_deviation(new.select(*some), to="b")
        assert 0.93 < (np.abs(true - guess) < 1.96 * deviation).mean() < 0.97
        wide.append(deviation.mean())
    assert wide[0] > wide[1] > wide[2]


def test_rows_with_one_view_teach_and_rows_without_any_are_the_prior():
    views, _ = planted(100)
    thin = views.replace(columns={v: views[v].without((np.arange(100) >= 20) & (v != "a")) for v in WIDTHS})
    short = ProbabilisticCCA(2).fit(views[:20])
    assert not np.allclose(ProbabilisticCCA(2).fit(thin).readout_.noise["a"], short.readout_.noise["a"])
    empty = views[:4].replace(columns={v: views[:4][v].without(np.arange(4) == 0) for v in WIDTHS})
    found = short.posterior(empty)
    assert not found.mean[0].any()
    np.testing.assert_allclose(found.deviation[0], 1)
    assert (found.deviation[1:] < 1).all()
    assert found.covariances[found.pattern].shape == (4, 2, 2)


def test_saved_and_loaded_to_the_bit(tmp_path):
    views, _ = planted(50, missing=0.2)
    model = ProbabilisticCCA().fit(views)
    model.save(tmp_path / "model")
    again = bouba.load(tmp_path / "model")
    np.testing.assert_array_equal(again.posterior(views).mean, model.posterior(views).mean)
    np.testing.assert_array_equal(again.predict(views, to="c"), model.predict(views, to="c"))
    filled = bouba.impute(views, again)
    assert filled.imputed["b"].sum() == (~views.present["b"]).sum()


def test_refusals():
    views, _ = planted(30)
    with pytest.raises(UsageError, match="noise is 'column' or 'view', got 'full'"):
        ProbabilisticCCA(noise="full").fit(views)
    with pytest.raises(UsageError, match="max_iter is 1 or more, got 0"):
        ProbabilisticCCA(max_iter=0).fit(views)
    with pytest.raises(DataError, match="29 factors of 28 columns in all"):
        ProbabilisticCCA(29).fit(views)
    with pytest.raises(DataError, match="view 'b' does not vary; leave it out"):
        ProbabilisticCCA(1).fit({"a": np.eye(5), "b": np.ones((5, 2))})
    model = ProbabilisticCCA(1).fit(views)
    with pytest.raises(ModalityError, match="no view 'd'"):
        model.predict_deviation(views, to="d")
    with pytest.raises(UsageError, match="'a' is not predicted from itself"):
        model.predict_deviation(views.select("a"), to="a")
