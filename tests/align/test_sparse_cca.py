"""Sparse CCA and stability selection: by definition, on what they must find, and where there is nothing to find."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq

from bouba import CCA, SparseCCA, Views, samples
from bouba.align import loadings, stability_selection, variance_explained
from bouba.align.moments import Moments
from bouba.align.penalised import Bounded, Counted, sparse_weights
from bouba.data.views import Column
from bouba.errors import DataError, ModalityError, UsageError


def arrays(views):
    return {name: np.stack(list(views[name])).astype(float) for name in views.columns}


def standard(x):
    return (x - x.mean(0)) / x.std(0)


# Definition


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 1000), share=st.floats(0.05, 1.0))
def test_definition_of_the_bound(seed, share):
    """By bisection for the threshold: the least at which the l1 norm of the unit vector is within the bound."""
    a = np.random.default_rng(seed).normal(size=12)
    bound = max(1.0, share * np.sqrt(12))
    soft = lambda t: np.sign(a) * np.maximum(np.abs(a) - t, 0)  # noqa: E731
    over = lambda t: np.abs(soft(t)).sum() / np.linalg.norm(soft(t)) - bound  # noqa: E731
    most = np.abs(a).max() * (1 - 1e-9)
    t = 0 if over(0) <= 0 else brentq(over, 0, most, xtol=1e-14) if over(most) < 0 else most
    expected = soft(t) / np.linalg.norm(soft(t))
    found = Bounded(share)(a)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert np.abs(found).sum() <= bound + 1e-6
    assert np.linalg.norm(found) == pytest.approx(1)


def test_definition_of_the_count():
    a = np.array([3.0, -1.0, 0.5, -4.0])
    np.testing.assert_allclose(Counted(2)(a), np.array([2, 0, 0, -3]) / np.sqrt(13))
    np.testing.assert_allclose(Counted(9)(a), a / np.linalg.norm(a))
    assert not Counted(2)(np.zeros(4)).any()


@pytest.mark.parametrize("rows", [40, 200])
def test_definition_by_a_loop(rows):
    """Alternate from the best of the same starts, deflate; 40 rows keep the rows, 200 the covariances."""
    views, _ = samples.correlated(rows, (0.9, 0.7), widths=(60, 30), nonzero=4, random_state=5)
    x, y = (standard(values) for values in arrays(views).values())
    model = SparseCCA(2, penalty=0.3).fit([*arrays(views).values()])
    s, soft = x.T @ y / rows, Bounded(0.3)
    for c in range(2):
        best = (-1.0, None, None)
        for v in [np.linalg.svd(s)[2][0], *np.eye(30), *(s / np.linalg.norm(s, axis=1)[:, None])]:
            for _ in range(40):
                u = soft(s @ v)
                v = soft(s.T @ u)
            best = max(best, (u @ s @ v, u, v), key=lambda each: each[0])
        size, u, v = best
        for z, w, name in ((x, u, "view0"), (y, v, "view1")):
            found = model.weights_[name][:, c] * arrays(views)[name].std(0)
            # every single column is a start here, ten are there: what is found may be a little less
            assert abs(found @ w) / np.linalg.norm(found) > 0.99
            assert (z @ found).std() == pytest.approx(1)
        s = s - size * np.outer(u, v)


# Law


def test_without_a_penalty_it_is_the_leading_singular_vectors():
    views, _ = samples.correlated(300, (0.8,), widths=(12, 9), random_state=1)
    x, y = (standard(values) for values in arrays(views).values())
    model = SparseCCA(3, penalty=1.0).fit(views)
    u, _, v = np.linalg.svd(x.T @ y)
    for name, z, true in (("view0", x, u), ("view1", y, v.T)):
        found = standard(arrays(views)[name]) @ (model.weights_[name] * arrays(views)[name].std(0)[:, None])
        agree = [abs(np.corrcoef(found[:, c], z @ true[:, c])[0, 1]) for c in range(3)]
        np.testing.assert_allclose(agree, 1, atol=1e-4)


def test_units_and_the_order_of_columns_do_not_matter():
    views, _ = samples.correlated(120, (0.9,), widths=(30, 20), nonzero=3)
    x, y = arrays(views).values()
    plain = SparseCCA(1, penalty=0.3).fit([x, y])
    order, unit = np.random.default_rng(0).permutation(30), np.random.default_rng(1).uniform(0.01, 100, 30)
    other = SparseCCA(1, penalty=0.3).fit([(x * unit)[:, order], y])
    sign = np.sign(other.weights_["view1"][:, 0] @ plain.weights_["view1"][:, 0])
    np.testing.assert_allclose(
        sign * other.weights_["view0"][:, 0] * unit[order], plain.weights_["view0"][order, 0], atol=1e-5
    )


def test_three_views_with_missing_cells():
    views, truth = samples.correlated(400, (0.9,), widths=(40, 30, 20), nonzero=3, random_state=2)
    random = np.random.default_rng(0)
    holes = views.replace(columns={name: views[name].without(random.random(400) < 0.2) for name in views.columns})
    model = SparseCCA(1, keep=3).fit(holes)
    for name in views.columns:
        np.testing.assert_array_equal(model.weights_[name] != 0, truth.support(name))
    assert model.correlations_[0] == pytest.approx(0.9, abs=0.05)
    predicted = model.predict(truth.draw(50).select("view0", "view2"), to="view1")
    assert predicted.shape == (50, 30)


# Recovery


def test_recovery_of_columns_by_name_and_ahead_of_cca():
    """80 rows of 120 + 90 columns: the columns that were planted are named, and new rows correlate more."""
    views, truth = samples.correlated(80, (0.95,), widths={"genes": 120, "drugs": 90}, nonzero=2, random_state=4)
    model, new = SparseCCA(1).fit(views), truth.draw(2000)
    for name in ("genes", "drugs"):
        planted = {f"{name}_{i}" for i in np.flatnonzero(truth.support(name).any(1))}
        assert planted == {column for column, _ in model.selected(name)[:2]}
    dense = max(CCA(1, ridge=r).fit(views).correlations(new)[0] for r in (0.1, 0.5, 0.9, 1.0))
    assert model.correlations(new)[0] > dense + 0.2
    assert str(model.penalty_["genes"]) == max(model.candidates_, key=lambda penalty: model.candidates_[penalty])
    assert loadings(model, "genes").top(n=1)[0][1] > 0.5
    assert variance_explained(model, new).shares.shape == (2, 1)


def test_copies_of_one_thing_are_held_out_together():
    """Unrelated views, each row four times: held out by rows a copy gives the others away, by key nothing is found."""
    random = np.random.default_rng(0)
    thing = np.repeat(np.arange(40), 4)
    x, y = (random.normal(size=(40, d))[thing] + 0.05 * random.normal(size=(160, d)) for d in (30, 20))
    by_row = SparseCCA(1).fit({"x": x, "y": y}).candidates_
    by_key = SparseCCA(1).fit(Views({"x": x, "y": y}, key=thing)).candidates_
    assert max(by_row.values()) > 0.3
    assert max(by_key.values()) < 0.25


def test_recovery_by_stability_selection():
    views, truth = samples.correlated(200, (0.9, 0.8), widths=(100, 80, 60), nonzero=2, random_state=1)
    found = stability_selection(views, n_components=2, halves=40)
    for name in views.columns:
        planted = {f"{name}_{i}" for i in np.flatnonzero(truth.support(name).any(1))}
        assert planted <= {column for column, _ in found.stable(name)}
        assert found.expected_false[name] <= 1
    assert "4 of 100 columns" in str(found)


def test_law_few_are_false_where_nothing_is_shared():
    """20 studies of unrelated views: on average no more stable columns a view than the bound says."""
    named = {"view0": 0, "view1": 0}
    for seed in range(20):
        x, y = (np.random.default_rng([seed, i]).normal(size=(60, 40 - 10 * i)) for i in range(2))
        found = stability_selection(x, y, halves=10, threshold=0.7, random_state=seed)
        for name in named:
            named[name] += len(found.stable(name))
            assert 0 < found.expected_false[name] <= 1
    assert max(named.values()) / 20 <= 1


def test_definition_of_frequencies():
    views, _ = samples.correlated(60, (0.8,), widths=(20, 15), nonzero=2)
    data = arrays(views)
    found = stability_selection(data, halves=6, expected_false=2.0, threshold=0.8, random_state=3)
    random, counts = np.random.default_rng(3), {name: np.zeros(values.shape[1]) for name, values in data.items()}
    q = {"view0": int(np.sqrt(2 * 0.6 * 20)), "view1": int(np.sqrt(2 * 0.6 * 15))}
    for _ in range(3):
        order = random.permutation(60)
        for half in (order[:30], order[30:]):
            moments = Moments.of({name: values[np.sort(half)] for name, values in data.items()})
            weights = sparse_weights(moments, 1, {name: Counted(count) for name, count in q.items()})
            for name, w in weights.items():
                counts[name] += w[:, 0] != 0
    for name, count in counts.items():
        np.testing.assert_allclose(found.frequencies[name], count / 6)
        mean = count.sum() / 6
        assert found.expected_false[name] == pytest.approx(mean**2 / (0.6 * len(count)))


# Refusal


def test_refusals():
    x, y = arrays(samples.correlated(30)[0]).values()
    for penalty in (0, 1.5, -1):
        with pytest.raises(UsageError, match="above 0 and up to 1, got"):
            SparseCCA(penalty=penalty).fit([x, y])
    with pytest.raises(UsageError, match="penalty is 'auto' or a number above 0 and up to 1, got 'best'"):
        SparseCCA(penalty="best").fit([x, y])
    with pytest.raises(UsageError, match="keep is 1 column or more, got 0"):
        SparseCCA(keep=0).fit([x, y])
    with pytest.raises(UsageError, match="keep stands in place of penalty"):
        SparseCCA(keep=2, penalty=0.5).fit([x, y])
    with pytest.raises(UsageError, match="keep is for 'x', the views are view0, view1"):
        SparseCCA(keep={"x": 2}).fit([x, y])
    with pytest.raises(DataError, match="16 components from views"):
        SparseCCA(16).fit([x, y])
    apart = Views(
        {"a": Column.of(x[:4], "vector", np.arange(4) < 2), "b": Column.of(y[:4], "vector", np.arange(4) >= 2)}
    )
    with pytest.raises(DataError, match="nothing relates them"):
        SparseCCA(1).fit(apart)
    with pytest.raises(ModalityError, match="no view 'genes'"):
        SparseCCA(1).fit([x, y]).selected("genes")
    with pytest.raises(UsageError, match=r"threshold is above 0.5 and up to 1, got 0.5"):
        stability_selection(x, y, threshold=0.5)
    with pytest.raises(UsageError, match="expected_false is above 0, got 0"):
        stability_selection(x, y, expected_false=0)
    with pytest.raises(UsageError, match="halves are an even number, 2 or more, got 7"):
        stability_selection(x, y, halves=7)
    with pytest.raises(UsageError, match=r"could select 0\.3 of 20 columns"):
        stability_selection(x, y, expected_false=0.01)
    with pytest.raises(DataError, match="3 rows, keys or groups are too few"):
        stability_selection(x[:3], y[:3])
    with pytest.raises(ModalityError, match="no view 'genes'"):
        stability_selection(x, y, halves=2).stable("genes")
