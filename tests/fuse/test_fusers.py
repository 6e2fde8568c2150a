"""FusionClassifier, FusionRegressor, MultitaskLearner: known answers, holes everywhere, calibration, scikit-learn."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_score

import bouba
from bouba import (
    MLP,
    ConcatFusion,
    FusionClassifier,
    FusionRegressor,
    InfoNCE,
    Learner,
    MultitaskLearner,
    Prediction,
    SumFusion,
    Views,
)
from bouba.data.views import Column
from bouba.errors import DataError, UsageError
from bouba.fuse.calibration import fit_temperature

QUICK = {"dim": 16, "epochs": 15, "batch_size": 32}


def corners(n=400, noise=0.7, seed=0, missing=0.0):
    """The class is the pair of two signs, each seen in one view only: neither view can tell it alone."""
    random = np.random.default_rng(seed)
    signs = random.integers(0, 2, (n, 2))
    cells = 2.0 * signs[:, :, None] - 1 + noise * random.normal(size=(n, 2, 3))
    has = random.random((n, 2)) >= missing
    has[~has.any(1), 0] = True
    columns = {name: Column.of(cells[:, i].astype(np.float32), "vector", has[:, i]) for i, name in enumerate("ab")}
    names = np.array(["north-west", "north-east", "south-west", "south-east"], dtype=object)
    return Views(columns, y={"corner": names[2 * signs[:, 0] + signs[:, 1]], "sum": cells.sum((1, 2))})


def test_two_views_tell_what_none_tells_alone():
    model = FusionClassifier(label="corner", **QUICK).fit(corners())
    test = corners(seed=1)
    both, one = model.score(test), model.score(test.select("a"))
    assert both > 0.85  # the bayes error of 3 coordinates of noise 0.7 is 1 % a view
    assert 0.4 < one < 0.6
    assert set(model.predict(test)) == set(model.classes_)
    p = model.predict_proba(test.select("b"))
    np.testing.assert_allclose(p.sum(1), 1, rtol=1e-5)


def test_products_need_more_than_late_fusion():
    """Exclusive or: each view alone says nothing, so averaged predictions stay at chance."""
    data, test = corners(), corners(seed=1)
    parity = lambda views: np.array([c in ("north-west", "south-east") for c in views.y["corner"]])  # noqa: E731
    fused = FusionClassifier(fusion=ConcatFusion(), **QUICK).fit(data.replace(y={}), parity(data))
    late = FusionClassifier(fusion=None, **QUICK).fit(data.replace(y={}), parity(data))
    assert fused.score(test, parity(test)) > 0.9
    assert late.score(test, parity(test)) < 0.65


def test_holes_in_training_and_at_prediction():
    model = FusionClassifier(label="corner", **QUICK).fit(corners(missing=0.33))
    test = corners(seed=1, missing=0.33)
    both = test.present["a"] & test.present["b"]
    assert model.score(test[both]) > 0.8
    assert model.score(test[~both]) > 0.4
    np.testing.assert_allclose(model.predict_proba(test[5]), model.predict_proba(test)[5:6], rtol=1e-4)


def test_rows_without_any_view_get_the_shares_of_the_classes(caplog):
    data = corners()
    model = FusionClassifier(label="corner", calibration=0, **QUICK).fit(data)
    nowhere = Column.of(np.zeros((3, 3), np.float32), "vector", np.zeros(3, bool))
    shares = [np.mean(data.y["corner"] == name) for name in model.classes_]
    np.testing.assert_allclose(model.predict_proba(Views({"a": nowhere})), [shares] * 3, rtol=1e-5)
    some = Views({"a": Column.of(np.ones((2, 3), np.float32), "vector", np.array([True, False]))})
    np.testing.assert_allclose(model.predict_proba(some)[1], shares, rtol=1e-5)
    assert "1 of 2 rows have no view" in caplog.text


def test_a_number_with_an_interval_that_covers():
    model = FusionRegressor(label="sum", epochs=30, dim=16, calibration=0.3).fit(corners(600))
    test = corners(600, seed=1)
    assert model.score(test) > 0.9
    low, high = model.predict_interval(test, level=0.8).T
    covered = np.mean((low <= test.y["sum"]) & (test.y["sum"] <= high))
    assert 0.7 < covered < 0.9  # 180 held out: 0.8 with a standard deviation of 0.03
    with pytest.raises(UsageError, match=r"too few for level 0\.999"):
        model.predict_interval(test, level=0.999)


@pytest.mark.parametrize("weighting", ["fixed", "uncertainty"])
def test_several_labels_half_of_them_missing(weighting):
    data, random = corners(600), np.random.default_rng(3)
    blank = lambda values: np.where(random.random(len(values)) < 0.5, None, values)  # noqa: E731
    data = data.replace(y={name: blank(values.astype(object)) for name, values in data.y.items()})
    model = MultitaskLearner(weighting=weighting, **QUICK).fit(data)
    test = corners(seed=1)
    found = model.predict(test)
    assert found["sum"].dtype.kind == "f"
    assert np.mean(found["corner"] == test.y["corner"]) > 0.8
    assert model.score(test) > 0.8
    assert list(model.predict_proba(test)) == ["corner"]


def test_weights_of_tasks_are_terms():
    model = MultitaskLearner(weighting="fixed", weights={"sum": 3.0}, alone=0, **QUICK).fit(corners())
    assert [(weight, term.labels) for weight, term in model._objective()] == [(1.0, ("corner",)), (3.0, ("sum",))]
    assert set(model.predict(corners(seed=1))) == {"corner", "sum"}


def test_it_saves_and_loads_with_its_calibration(tmp_path):
    data, test = corners(), corners(seed=1)
    for model in (FusionClassifier(label="corner", **QUICK), FusionRegressor(label="sum", **QUICK)):
        model.fit(data).save(tmp_path / "model")
        again = bouba.load(tmp_path / "model")
        np.testing.assert_array_equal(again.predict(test), model.predict(test))
        assert again.calibration_ == model.calibration_
        assert again.residuals_ == model.residuals_
        assert again.calibration_ or again.residuals_


def test_temperature_makes_a_sure_model_as_sure_as_it_is_right():
    random = np.random.default_rng(0)
    p = random.dirichlet(np.ones(3), size=20_000)
    codes = np.array([random.choice(3, p=row) for row in p[:4000]])
    log_p = np.log(p[:4000])
    assert fit_temperature(3 * log_p, codes) == pytest.approx(3, rel=0.1)
    assert fit_temperature(log_p / 2, codes) == pytest.approx(0.5, rel=0.1)
    assert fit_temperature(log_p, np.full(4000, -1)) == 1


def test_scikit_learn_takes_it():
    data = corners(120)
    y = data.y["corner"]
    X = data.replace(y={})
    model = FusionClassifier(dim=8, epochs=6, calibration=0)
    scores = cross_val_score(model, X, y, cv=3)
    assert scores.shape == (3,)
    assert scores.mean() > 0.5
    found = GridSearchCV(clone(model), {"alone": [0.0, 0.5], "hidden": [None]}, cv=2).fit(X, y)
    assert set(found.best_params_) == {"alone", "hidden"}
    assert cross_val_score(FusionRegressor(dim=8, epochs=6), X, data.y["sum"], cv=2).mean() > 0.5


def test_classes_come_back_as_they_were_given():
    data = corners(80).replace(y={})
    for y in (np.arange(80) % 3, np.arange(80) % 3 == 0, (np.arange(80) % 3).astype(float), np.array(list("ab") * 40)):
        model = FusionClassifier(dim=8, epochs=1).fit(data, y)
        found = model.predict(data)
        assert set(found.tolist()) <= set(y.tolist())
        assert len(model.classes_) == len(set(y.tolist()))


def test_a_learner_matches_and_predicts_at_once():
    data = corners()
    objective = InfoNCE() + Prediction(("corner",))
    model = Learner({"a": MLP(), "b": MLP()}, objective, fusion=SumFusion(), **QUICK).fit(data)
    assert np.mean(model.predict(data)["corner"] == data.y["corner"]) > 0.8
    assert model.transform(data).shape == (400, 16)
    assert model.embed(data)["a"].shape == (400, 16)
    with pytest.raises(UsageError, match="predicts nothing; add a Prediction"):
        Learner(objective=InfoNCE(), dim=4, epochs=1).fit(data).predict(data)


def test_outputs_of_subsets_are_those_of_the_views_alone():
    model = FusionClassifier(label="corner", **QUICK).fit(corners())
    test = corners(60, seed=1, missing=0.3)
    subsets = [("a", "b"), ("a",), ("b",), ()]
    found = model.outputs(test, subsets)["corner"]
    assert found.shape == (60, 4, 4)
    np.testing.assert_allclose(found[:, 1], model.outputs(test.select("a"))["corner"][:, 0], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found[:, 0], model.outputs(test)["corner"][:, 0], rtol=1e-4, atol=1e-5)
    assert np.ptp(found[:, 3], axis=0).max() == 0


def test_refusals():
    data = corners(40)
    with pytest.raises(UsageError, match="which label"):
        FusionClassifier().fit(data)
    with pytest.raises(DataError, match=r"no label column 'corne'; did you mean 'corner'"):
        FusionClassifier(label="corne").fit(data)
    with pytest.raises(DataError, match="no row has a label in corner"):
        FusionClassifier(label="corner").fit(data.replace(y={"corner": [None] * 40}))
    with pytest.raises(DataError, match="label 'corner' must hold numbers"):
        FusionRegressor(label="corner", epochs=1).fit(data)
    with pytest.raises(UsageError, match="no label that is predicted"):
        MultitaskLearner(numbers=["summ"]).fit(data)
    with pytest.raises(UsageError, match="weights are for"):
        MultitaskLearner(weights={"sum": 2.0}).fit(data)
    with pytest.raises(UsageError, match="fuses nothing"):
        FusionClassifier(label="corner", fusion=None, epochs=1).fit(data).fuse(data)
