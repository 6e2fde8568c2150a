"""Linear CCA: what it solves, what it predicts, and how it streams."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made import twin_vectors
from PIL import Image
from scipy import linalg
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV, cross_val_score

from bouba.align import CCA, LinearBaseline, cca
from bouba.align.baseline import RIDGES
from bouba.data import Views
from bouba.data.views import Column
from bouba.errors import DataError, ModalityError, UsageError
from bouba.evaluation import evaluate


def planted(n=4000, seed=0):
    """Two views with canonical correlations 0.9, 0.5 and 0 by construction, mixed by random maps."""
    random = np.random.default_rng(seed)
    a = random.normal(size=(n, 3))
    rho = np.array([0.9, 0.5, 0.0])
    b = a * rho + random.normal(size=(n, 3)) * np.sqrt(1 - rho**2)
    return a @ random.normal(size=(3, 3)) + 5, b @ random.normal(size=(3, 3)) - 2


def related(n=300, widths=(4, 5, 3), seed=0):
    """Views of different widths that share two latent numbers."""
    random = np.random.default_rng(seed)
    latent = random.normal(size=(n, 2))
    return [latent @ random.normal(size=(2, d)) + random.normal(size=(n, d)) + random.normal(size=d) for d in widths]


def shrunk(x, ridge):
    s = np.cov(x.T, bias=True)
    return (1 - ridge) * s + ridge * np.trace(s) / len(s) * np.eye(len(s))


def correlation(a, b):
    return np.array([np.corrcoef(a[:, i], b[:, i])[0, 1] for i in range(a.shape[1])])


# Definition


@pytest.mark.parametrize("ridge", [0.0, 0.3, 1.0])
def test_definition_two_views(ridge):
    """S12 S2^-1 S21 w = rho^2 S1 w for the shrunk S1, S2; the variates have variance 1."""
    x, y = related()[:2]
    model = CCA(3, ridge=ridge).fit([x, y])
    s12 = np.cov(x.T, y.T, bias=True)[:4, 4:]
    squares, w = linalg.eigh(s12 @ linalg.solve(shrunk(y, ridge), s12.T), shrunk(x, ridge))
    w = w[:, ::-1][:, :3]
    z, by_hand = model.transform([x, y]), (x - x.mean(0)) @ w
    np.testing.assert_allclose(np.abs(correlation(z[0], by_hand)), 1, atol=1e-9)
    np.testing.assert_allclose(model.correlations_, correlation(*z), atol=1e-9)
    np.testing.assert_allclose([z[0].std(0), z[1].std(0)], 1, atol=1e-9)
    if ridge == 0:
        np.testing.assert_allclose(model.correlations_, np.sqrt(squares[::-1][:3]), atol=1e-9)
        np.testing.assert_allclose(np.cov(z[0].T, bias=True), np.eye(3), atol=1e-9)


@pytest.mark.parametrize("ridge", [0.0, 0.2])
def test_definition_three_views(ridge):
    """(S - D) w = (M - 1) rho D w over the stacked views, D the shrunk blocks on the diagonal."""
    data = related()
    model = CCA(2, ridge=ridge).fit(data)
    everything = np.cov(np.hstack(data).T, bias=True)
    diagonal = linalg.block_diag(*(shrunk(x, ridge) for x in data))
    across = everything - linalg.block_diag(*(np.cov(x.T, bias=True) for x in data))
    w = np.split(linalg.eigh(across, diagonal)[1][:, ::-1][:, :2], [4, 9])
    z = model.transform(data)
    pairs = [(0, 1), (0, 2), (1, 2)]
    for i, x in enumerate(data):
        np.testing.assert_allclose(np.abs(correlation(z[i], x @ w[i])), 1, atol=1e-8)
        np.testing.assert_allclose(z[i].std(0), 1, atol=1e-9)
    np.testing.assert_allclose(model.correlations_, np.mean([correlation(z[i], z[j]) for i, j in pairs], 0), atol=1e-9)


def test_definition_loadings_and_explained_variance():
    x, y = related()[:2]
    y = np.hstack([y, np.full((len(y), 1), 0.1)])
    model = CCA(3, ridge=0.1).fit({"x": x, "y": y})
    for name, values in (("x", x), ("y", y[:, :-1])):
        z = model.transform({"x": x, "y": y})[name]
        by_hand = np.array([[np.corrcoef(column, variate)[0, 1] for variate in z.T] for column in values.T])
        np.testing.assert_allclose(model.loadings_[name][: values.shape[1]], by_hand, atol=1e-9)
        carried = (by_hand**2 * values.var(0)[:, None]).sum(0) / values.var(0).sum()
        np.testing.assert_allclose(model.explained_variance_ratio_[name], carried, atol=1e-9)
    assert (model.loadings_["y"][-1] == 0).all(), "a constant column correlates with nothing"
    whole = CCA().fit({"x": x, "y": y}).explained_variance_ratio_["x"]
    assert whole.sum() == pytest.approx(1), "all variates of the narrowest view carry all of it"


def test_predict_is_least_squares_with_all_components():
    x, y = related()[:2]
    new = related(20, seed=1)[0]
    design = np.hstack([np.ones((300, 1)), x])
    ols = np.hstack([np.ones((20, 1)), new]) @ np.linalg.lstsq(design, y, rcond=None)[0]
    np.testing.assert_allclose(CCA().fit([x, y]).predict([new]), ols, atol=1e-9)
    np.testing.assert_allclose(CCA().fit(x, y).predict(new), ols, atol=1e-9)
    z = CCA(2, ridge=0.3).fit([x, y])
    design = np.hstack([np.ones((300, 1)), z.transform([x])[0]])
    np.testing.assert_allclose(z.predict([x]), design @ np.linalg.lstsq(design, y, rcond=None)[0], atol=1e-9)


def test_predict_uses_the_views_that_a_row_has():
    a, b, c = related()
    model = CCA(3).fit({"a": a, "b": b, "c": c})
    there = np.arange(300) % 3
    present = {"a": there != 0, "b": there != 1}
    present["a"][:6] = present["b"][:6] = False
    views = Views({name: Column.of(x, "vector", present[name]) for name, x in (("a", a), ("b", b))})
    found = model.predict(views)
    np.testing.assert_allclose(found[:6], np.tile(c.mean(0), (6, 1)), err_msg="nothing known: the mean")
    only_b, both = there[6:] == 0, there[6:] == 2
    np.testing.assert_allclose(found[6:][only_b], model.predict({"b": b[6:][only_b]}, to="c"), atol=1e-12)
    np.testing.assert_allclose(found[6:][both], model.predict({"a": a[6:][both], "b": b[6:][both]}), atol=1e-12)
    variates = np.stack([model.transform({"a": a, "b": b, "c": c})[name] for name in "abc"])  # (3, n, k)
    weights = np.stack([np.linalg.eigh(np.corrcoef(variates[:, :, k]))[1][:2, -1] for k in range(3)], axis=1)
    z = np.hstack([np.ones((300, 1)), (weights[:, None] * variates[:2]).sum(0)])
    by_hand = z @ np.linalg.lstsq(z, c, rcond=None)[0]
    np.testing.assert_allclose(model.predict({"a": a, "b": b}), by_hand, atol=1e-9)
    same = model.predict({"a": a, "b": b, "c": np.zeros_like(c)}, to="c")
    np.testing.assert_array_equal(same, model.predict({"a": a, "b": b}), err_msg="never predicted from itself")


# Laws


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 1000))
def test_law_invertible_maps_change_nothing(seed):
    x, y = planted(500)
    turned = x @ np.random.default_rng(seed).normal(size=(3, 3))
    np.testing.assert_allclose(CCA(2).fit([x, y]).correlations_, CCA(2).fit([turned, y]).correlations_, atol=1e-7)


@settings(max_examples=10, deadline=None)
@given(power=st.integers(-8, 8), ridge=st.sampled_from([0.0, 0.2, 1.0]))
def test_law_the_unit_of_a_view_means_nothing(power, ridge):
    x, y = related()[:2]
    one, two = CCA(ridge=ridge).fit([x, y]), CCA(ridge=ridge).fit([x * 10.0**power, y])
    np.testing.assert_allclose(one.correlations_, two.correlations_, atol=1e-9)
    np.testing.assert_allclose(one.transform([x, y])[0], two.transform([x * 10.0**power])[0], atol=1e-7)


def test_law_columns_in_different_units_are_all_used():
    x, y = planted(500)
    scaled = x * [1e-7, 1.0, 1e7]
    np.testing.assert_allclose(CCA().fit([x, y]).correlations_, CCA().fit([scaled, y]).correlations_, atol=1e-7)


@settings(max_examples=15, deadline=None)
@given(cuts=st.lists(st.integers(1, 299), max_size=4, unique=True), several=st.booleans())
def test_law_chunks_give_what_the_whole_gives(cuts, several):
    data = related()[: 3 if several else 2]
    streamed = CCA(2, ridge=0.1)
    for rows in np.split(np.arange(300), sorted(cuts)):
        streamed.partial_fit([x[rows] for x in data])
    whole = CCA(2, ridge=0.1).fit(data)
    np.testing.assert_allclose(streamed.correlations_, whole.correlations_, rtol=1e-10)
    for a, b in zip(streamed.transform(data), whole.transform(data)):
        np.testing.assert_allclose(a, b, atol=1e-9)


def test_two_workers_make_one_model():
    x, y = related()[:2]
    one, two = CCA().partial_fit(x[:100], y[:100]), CCA().partial_fit(x[100:], y[100:])
    both = CCA().partial_fit(one.moments_).partial_fit(two.moments_)
    whole = CCA().fit(x, y)
    np.testing.assert_allclose(both.correlations_, whole.correlations_, rtol=1e-10)
    np.testing.assert_allclose(both.transform([x])[0], whole.transform(x), atol=1e-9)


def test_partial_fit_solves_when_asked_and_fit_at_once(monkeypatch):
    x, y = related()[:2]
    solved = []
    monkeypatch.setattr(cca, "solve", lambda *said, solve=cca.solve: solved.append(1) or solve(*said))
    model = CCA(2)
    for rows in np.split(np.arange(300), 10):
        model.partial_fit(x[rows], y[rows])
    assert not solved
    first = model.correlations_
    model.transform(x)
    assert len(solved) == 1
    model.partial_fit(x[:50], 0 * y[:50])
    assert len(solved) == 1
    assert (model.correlations_ < first).all()
    CCA(2).fit(x, y)
    assert len(solved) == 3


def test_order_of_rows_and_the_sign():
    x, y = related()[:2]
    model, shuffled = CCA().fit([x, y]), CCA().fit([x[::-1], y[::-1]])
    np.testing.assert_allclose(model.transform([x])[0], shuffled.transform([x])[0], atol=1e-9)
    flipped = CCA().fit([x, -y])
    np.testing.assert_allclose(model.weights_["view1"], -flipped.weights_["view1"], atol=1e-9)
    for k, loadings in enumerate(model.loadings_["view0"].T):
        assert loadings[np.abs(loadings).argmax()] > 0, k


# Recovery


def test_recovery_of_planted_correlations():
    np.testing.assert_allclose(CCA().fit(planted()).correlations_, [0.9, 0.5, 0.0], atol=0.03)


def test_recovery_where_principal_components_fail():
    """What two views share may be the least of each: PCA of each view sees the loud columns only."""
    random = np.random.default_rng(0)
    shared = random.normal(size=(2000, 1))
    x, y = (np.hstack([shared + 0.1 * random.normal(size=(2000, 1)), 10 * random.normal(size=(2000, 4))]) for _ in "ab")
    model = CCA(1).fit(x[:1000], y[:1000])
    principal = [PCA(1).fit(v[:1000]).transform(v[1000:]) for v in (x, y)]
    assert model.score(x[1000:], y[1000:]) > 0.95
    assert abs(correlation(*principal)[0]) < 0.2
    assert np.abs(model.loadings_["view0"][:, 0]).argmax() == 0


def test_a_ridge_holds_on_new_rows_where_none_does_not():
    data = related(1080, widths=(30, 30))
    few, new = [x[:80] for x in data], [x[80:] for x in data]
    assert CCA(2, ridge=0.5).fit(few).score(new) > CCA(2).fit(few).score(new) + 0.1


def test_missing_rows_are_left_out_and_stay_missing():
    x, y = planted(600)
    gone = np.random.default_rng(0).random((600, 2)) < 0.3
    views = Views({"x": Column.of(np.where(gone[:, :1], np.nan, x), "vector", ~gone[:, 0]),
                   "y": Column.of(y, "vector", ~gone[:, 1])})  # fmt: skip
    complete = ~gone.any(1)
    model, by_hand = CCA(2).fit(views), CCA(2).fit([x[complete], y[complete]])
    np.testing.assert_allclose(model.correlations_, by_hand.correlations_, rtol=1e-10)
    z = model.transform(views)
    np.testing.assert_array_equal(z.present["x"], ~gone[:, 0])
    np.testing.assert_allclose(np.stack(list(z["x"]))[~gone[:, 0]], by_hand.transform([x])[0][~gone[:, 0]], atol=1e-9)
    assert (model.embed(views)["x"][gone[:, 0]] == 0).all()
    np.testing.assert_allclose(model.correlations(views), correlation(*by_hand.transform([x[complete], y[complete]])))


def test_three_views_learn_from_every_pair():
    """No row has all three views, yet each pair is seen."""
    data = dict(zip("abc", related(1500)))
    missing = np.arange(1500) % 3
    present = {name: missing != i for i, name in enumerate(data)}
    model = CCA(2).fit(Views({name: Column.of(x, "vector", present[name]) for name, x in data.items()}))
    whole = CCA(2).fit(data)
    np.testing.assert_allclose(model.correlations_, whole.correlations_, atol=0.05)
    np.testing.assert_allclose(model.score(data), whole.score(data), atol=0.02)


# scikit-learn


def test_grid_search_chooses_a_ridge():
    x, y = related(100, widths=(30, 20))
    search = GridSearchCV(CCA(2), {"ridge": [0.0, 0.1, 0.5]}, cv=4).fit(x, y)
    views = Views({"x": x, "y": y})
    by_views = GridSearchCV(CCA(2), {"ridge": [0.0, 0.1, 0.5]}, cv=4).fit(views)
    assert search.best_params_ == by_views.best_params_ == {"ridge": 0.5}
    np.testing.assert_allclose(search.cv_results_["mean_test_score"], by_views.cv_results_["mean_test_score"])
    assert cross_val_score(CCA(2), x, y, cv=4).shape == (4,)
    assert search.best_estimator_.set_output(transform="pandas").transform(x).columns.tolist() == ["cca0", "cca1"]


# What data may be like


def test_collinear_and_constant_columns_change_nothing():
    x, y = planted(300)
    more = np.hstack([x, x[:, :1] + x[:, 1:2], np.full((300, 1), 1e6), x[:, 2:]])
    model = CCA(3).fit([more, y])
    np.testing.assert_allclose(model.correlations_, CCA(3).fit([x, y]).correlations_, atol=1e-9)
    assert np.isfinite(model.loadings_["view0"]).all()


def test_components_beyond_the_rank_are_zero():
    x, y = planted(300)
    flat = np.hstack([x[:, :1], 2 * x[:, :1]])
    model = CCA().fit([flat, y])
    z = model.transform([flat, y])
    assert model.correlations_[0] > 0.1
    assert (model.correlations_[1], np.abs(z[0][:, 1]).max(), np.abs(z[1][:, 1]).max()) == (0, 0, 0)
    np.testing.assert_allclose(model.predict([None, y]), CCA(1).fit([flat, y]).predict([None, y]), atol=1e-9)


def test_too_few_rows_are_said_aloud():
    x, y = related(10, widths=(8, 4))
    with pytest.warns(UserWarning, match=r"3 correlations of 'view0' and 'view1' are 1 whatever the data say: 10 rows"):
        model = CCA().fit([x, y])
    np.testing.assert_allclose(model.correlations_[:3], 1, atol=1e-9)
    wide = related(10, widths=(50, 60))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        CCA(ridge=0.1).fit([x, y])
        CCA().fit(planted(300))
        assert CCA(2, ridge=0.1).fit(wide).correlations_.max() <= 1 + 1e-12


def test_a_ridge_may_be_said_in_three_ways():
    x, y = related()[:2]
    one = CCA(2, ridge=[0.1, 0.4]).fit([x, y]).correlations_
    np.testing.assert_array_equal(one, CCA(2, ridge={"view1": 0.4, "view0": 0.1}).fit([x, y]).correlations_)
    np.testing.assert_array_equal(
        CCA(2, ridge=0.4).fit([x, y]).correlations_, CCA(2, ridge=(0.4, 0.4)).fit([x, y]).correlations_
    )
    assert not np.allclose(one, CCA(2, ridge=(0.4, 0.1)).fit([x, y]).correlations_)


def test_a_full_ridge_is_partial_least_squares():
    x, y = related()[:2]
    s12 = np.cov(x.T, y.T, bias=True)[:4, 4:]
    u, _, _ = np.linalg.svd(s12)
    w = CCA(2, ridge=1.0).fit([x, y]).weights_["view0"]
    np.testing.assert_allclose(np.abs(w / np.linalg.norm(w, axis=0)), np.abs(u[:, :2]), atol=1e-9)


def test_embeddings_weigh_variates_by_their_correlation():
    x, y = related()[:2]
    model = CCA().fit([x, y])
    for name, variates in zip(("view0", "view1"), model.transform([x, y])):
        np.testing.assert_allclose(model.embed([x, y])[name], variates * model.correlations_, atol=1e-5)


# Refusals


def test_refusals():
    x, y = planted(50)
    with pytest.raises(DataError, match="4 components from views \\[3, 3\\] wide; take 3 or fewer"):
        CCA(4).fit([x, y])
    with pytest.raises(DataError, match="0 components from views"):
        CCA(0).partial_fit([x, y])
    with pytest.raises(UsageError, match="ridge is a shrinkage between 0 and 1, got 2 for view 'view0'"):
        CCA(ridge=2).fit([x, y])
    with pytest.raises(UsageError, match="ridge has 3 numbers for 2 views; give one, or one a view"):
        CCA(ridge=[0, 0, 0]).fit([x, y])
    with pytest.raises(UsageError, match="ridge is for 'a', 'c', the views are a, b"):
        CCA(ridge={"a": 0.1, "c": 0.1}).fit({"a": x, "b": y})
    even = np.arange(50) % 2 == 0
    apart = Views({"a": Column.of(x, "vector", even), "b": Column.of(y, "vector", ~even)})
    with pytest.raises(DataError, match="view 'a' has no two rows in common with another view; nothing relates them"):
        CCA(2).fit(apart)
    model = CCA(2).fit({"a": x, "b": y, "c": x})
    with pytest.raises(UsageError, match="which view is to be predicted\\? Say to=, one of 'a', 'b', 'c'"):
        model.predict({"a": x})
    with pytest.raises(ModalityError, match="no view 'd'"):
        model.predict({"a": x}, to="d")
    with pytest.raises(UsageError, match="'a' is not predicted from itself; give another view as well"):
        model.predict({"a": x}, to="a")
    with pytest.raises(DataError, match=r"this chunk has a, b; fitted were a \(vector\), b \(vector\), c \(vector\)"):
        model.partial_fit({"a": x, "b": y})
    texts = Views({"a": x, "t": [f"row {i}" for i in range(50)]}, kinds={"t": "text"})
    with pytest.raises(UsageError, match="moments of pictures and texts do not add up"):
        CCA(1, ridge=0.1).fit(texts).partial_fit(model.moments_)


# The baseline


def test_the_baseline_is_judged_like_any_model():
    views = twin_vectors(200, noise=0.01)
    baseline = LinearBaseline(dim=6, ridge=0.01).fit(views[:150])
    found = evaluate(baseline, views[150:], method="linear_cca").value(direction="left->right", metric="recall@1")
    assert found.value > 0.9
    assert list(baseline.reducers_) == ["left", "right"]
    with pytest.raises(ModalityError, match=r"the model has no view 'other' \(vector\); it has left \(vector\), right"):
        baseline.embed(views.replace(columns={"other": views["left"]}))
    with pytest.raises(DataError, match="the baseline needs three rows with two views, got 2"):
        LinearBaseline().fit(views[:2])


def test_the_baseline_is_cca_with_a_ridge_and_as_many_components_as_there_are():
    views = twin_vectors(200)
    by_hand = CCA(6, ridge=0.3).fit(views)
    for name, z in LinearBaseline(ridge=0.3).fit(views).embed(views).items():
        np.testing.assert_array_equal(z, by_hand.embed(views)[name])
    wide = Views({"a": np.random.default_rng(0).normal(size=(300, 40)), "b": np.stack(list(twin_vectors(300)["left"]))})
    assert LinearBaseline(features=10).fit(wide).widths_ == {"a": 10, "b": 6}


def test_the_baseline_takes_the_ridge_by_which_held_out_rows_find_each_other_best():
    """Few rows and much faint noise want a large ridge; many rows, and noise louder than the signal, a small one."""
    random = np.random.default_rng(0)

    def noisy(n, width, loud):
        latent = random.normal(size=(n, 4))
        return Views({side: np.hstack([latent, loud * random.normal(size=(n, width))]) for side in "ab"})

    for n, width, loud, expected in ((60, 40, 0.5, 0.9), (3000, 4, 6.0, 0.03)):
        training, new = noisy(n, width, loud), noisy(200, width, loud)
        chosen = LinearBaseline().fit(training)
        assert chosen.ridge_ == expected
        ranks = {
            ridge: evaluate(LinearBaseline(ridge=ridge).fit(training), new).value(direction="a->b", metric="mrr").value
            for ridge in RIDGES
        }
        assert max(ranks, key=ranks.get) == expected


def test_the_ridge_of_the_baseline_is_not_chosen_between_rows_of_one_thing():
    """Rows are copies of few things: known by heart without a ridge, so cutting rows apart would choose the least."""
    random = np.random.default_rng(1)
    latent = random.normal(size=(30, 3))
    sides = [np.hstack([latent, random.normal(size=(30, 30))]) for _ in range(2)]
    rows = np.repeat(np.arange(30), 4)
    copies = [side[rows] + 0.01 * random.normal(size=(120, 33)) for side in sides]
    known = LinearBaseline().fit(Views({"a": copies[0], "b": copies[1]}, key=rows))
    unknown = LinearBaseline().fit(Views({"a": copies[0], "b": copies[1]}))
    assert known.ridge_ > unknown.ridge_
    alone = Views({"a": copies[0], "b": copies[1]}, key=np.zeros(120, int))
    assert LinearBaseline().fit(alone).ridge_ == 0.3


def test_the_baseline_reads_sounds_clips_and_tables():
    random = np.random.default_rng(0)
    pitch = random.permutation(60)
    sounds = [(np.sin(np.arange(4000) * 0.02 * (2 + p)).astype(np.float32), 8000) for p in pitch]
    clips = [np.full((3, 8, 8, 3), 4 * p, np.uint8) for p in pitch]
    rows = [{"pitch": float(p), "high": "yes" if p > 30 else "no"} | ({} if p % 7 else {"gap": 1.0}) for p in pitch]
    kinds = {"sound": "audio", "clip": "video", "row": "table"}
    views = Views({"sound": sounds, "clip": clips, "row": rows}, kinds=kinds)
    found = evaluate(LinearBaseline().fit(views[:40]), views[40:])
    for direction in ("sound->row", "clip->row", "sound->clip"):
        record = found.value(direction=direction, metric="recall@5")
        assert record.value > 1.6 * record.chance, direction


def test_the_baseline_crops_pictures_as_the_method_does():
    random = np.random.default_rng(0)
    picture = Image.new("RGB", (64, 64), "white")
    pictures = []
    for number in range(40):
        drawn = picture.copy()
        x, y = random.integers(0, 50, 2).tolist()
        drawn.paste(((number % 5) * 50, (number // 5) * 30, 0), (x, y, x + 9, y + 9))
        pictures.append(drawn)
    colours = np.array([[n % 5, n // 5] for n in range(40)], float)
    rows = Views({"picture": pictures, "colour": colours}, kinds={"picture": "image"})
    cropped, whole = (LinearBaseline(crop=crop).fit(rows) for crop in (True, False))
    assert cropped.correlations_[:2].mean() > whole.correlations_[:2].mean()


# Criteria of several views


def sums(model, views):
    """Sum of correlations of the first component over pairs, and of their squares."""
    z = model.transform(views)
    r = np.array([correlation(z[i], z[j])[0] for i, j in ((0, 1), (0, 2), (1, 2))])
    return r.sum(), (r**2).sum()


@pytest.mark.parametrize("seed", range(4))
def test_criteria_are_maximised_by_what_is_named_for_them(seed):
    """By its own criterion none is beaten by another, nor by any of many steps aside."""
    views = related(seed=seed)
    fitted = {name: CCA(2, criterion=name).fit(views) for name in ("maxvar", "sumcor", "ssqcor")}
    found = {name: sums(model, views) for name, model in fitted.items()}
    for which, name in enumerate(("sumcor", "ssqcor")):
        assert found[name][which] >= max(each[which] for each in found.values()) - 1e-9
        weights, random = fitted[name].weights_, np.random.default_rng(seed)
        for _ in range(200):
            z = [x @ (w[:, 0] + 0.05 * random.normal(size=len(w))) for x, w in zip(views, weights.values())]
            r = np.array([np.corrcoef(z[i], z[j])[0, 1] for i, j in ((0, 1), (0, 2), (1, 2))])
            assert (r.sum(), (r**2).sum())[which] < found[name][which]


def test_sumcor_is_where_each_variate_is_regressed_on_the_sum_of_the_others():
    """Kettenring: z_i is the projection of the sum of the other z_j on the columns of view i, but for a factor."""
    views = related(seed=2)
    z = CCA(2, criterion="sumcor").fit(views).transform(views)
    for i, x in enumerate(views):
        x = x - x.mean(0)
        others = sum(z[j][:, 0] for j in range(3) if j != i)
        np.testing.assert_allclose(np.corrcoef(x @ np.linalg.lstsq(x, others, rcond=None)[0], z[i][:, 0])[0, 1], 1)
        np.testing.assert_allclose(np.cov(z[i].T, bias=True), np.eye(2), atol=1e-8)


def test_criteria_of_two_views_are_one():
    x, y = related()[:2]
    plain = CCA(3, ridge=0.2).fit([x, y])
    for name in ("sumcor", "ssqcor"):
        other = CCA(3, ridge=0.2, criterion=name).fit([x, y])
        np.testing.assert_array_equal(other.weights_["view0"], plain.weights_["view0"])


def test_another_criterion_is_refused():
    with pytest.raises(UsageError, match="no criterion 'sumcorr'; did you mean 'sumcor'"):
        CCA(criterion="sumcorr").fit(related())
