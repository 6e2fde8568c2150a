"""What every public estimator keeps, found by discovery: a new one is tested by being exported."""

import inspect
import pickle
from functools import cached_property

import numpy as np
import pytest
from made import twin_vectors
from sklearn.base import BaseEstimator, clone

import bouba
from bouba import MLP, InfoNCE, Views
from bouba.errors import BoubaError, ModalityError
from bouba.learner import BaseLearner
from bouba.transfer import Translator

FOUND = {
    name: getattr(bouba, name)
    for name in bouba.__all__
    if inspect.isclass(getattr(bouba, name)) and issubclass(getattr(bouba, name), BaseEstimator)
}
ARRAYS = {"CORALAligner", "JDA", "SubspaceAligner", "TCA", "TransportAligner"}  # two arrays in, one out
ALIGNERS = sorted(set(FOUND) - {"ZeroShotClassifier"} - ARRAYS)  # that one is made of a fitted aligner
QUICK = {"epochs": 2, "dim": 4, "batch_size": 40}


def views(seed=0):
    found = twin_vectors(n=90, d=4, seed=seed)
    kinds = np.array(["small", "large"], dtype=object)[(np.stack(list(found["left"]))[:, 0] > 0).astype(int)]
    return found.replace(domain=np.where(np.arange(90) % 2, "shop", "studio"), y={"kind": kinds})


def make(name):
    given = {k: v for k, v in QUICK.items() if k in FOUND[name]().get_params()}
    if name == "Learner":
        given["objective"] = InfoNCE()
    if name == "FusionRegressor":
        given["label"] = "size"
    if "n_components" in FOUND[name]().get_params():
        given["n_components"] = 3
    return FOUND[name](**given)


def fit(name, data):
    model = make(name)
    if name == "FusionRegressor":
        data = data.replace(y={"size": np.arange(len(data)) / 7})
    return model.fit(data, target="shop") if name == "AdaptedCLIP" else model.fit(data)


@pytest.fixture(scope="module")
def fitted():
    """Each aligner, fitted once."""
    return {name: fit(name, views()) for name in ALIGNERS}


def test_there_is_something_to_test():
    assert {"CCA", "CLIP", "DeepCCA", "KernelCCA", "Learner", "MatrixFreeCCA", "SimCLR"} <= set(ALIGNERS)


@pytest.mark.parametrize("name", sorted(FOUND))
def test_constructors_only_store(name):
    estimator = FOUND[name](None) if name == "ZeroShotClassifier" else make(name)
    for parameter, value in estimator.get_params(deep=False).items():
        assert getattr(estimator, parameter) is value
    assert clone(estimator).get_params(deep=False).keys() == estimator.get_params(deep=False).keys()
    assert not [attribute for attribute in vars(estimator) if attribute.endswith("_")]


@pytest.mark.parametrize("name", ALIGNERS)
def test_the_same_seed_gives_the_same_model(name, fitted):
    again = fit(name, views())
    for view, z in fitted[name].embed(views()).items():
        np.testing.assert_array_equal(again.embed(views())[view], z)


@pytest.mark.parametrize("name", ALIGNERS)
def test_saved_and_pickled_models_are_equal_to_the_bit(name, fitted, tmp_path):
    model, data = fitted[name], views(seed=1)
    model.save(tmp_path / "model")
    for other in (bouba.load(tmp_path / "model"), pickle.loads(pickle.dumps(model))):
        assert type(other) is type(model)
        assert other.kinds_ == model.kinds_ == {"left": "vector", "right": "vector"}
        for view, z in model.embed(data).items():
            np.testing.assert_array_equal(other.embed(data)[view], z)


@pytest.mark.parametrize("name", ALIGNERS)
def test_some_views_one_row_and_missing_cells(name, fitted):
    model, data = fitted[name], views(seed=2)
    whole = model.embed(data)
    one = model.embed(data[3])
    part = model.embed(data.select("right"))
    assert list(part) == ["right"]
    for view, z in whole.items():
        np.testing.assert_allclose(one[view][0], z[3], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(part["right"], whole["right"], rtol=1e-4, atol=1e-5)
    holes = data.replace(columns={"left": data["left"].without(np.arange(90) < 5), "right": data["right"]})
    assert not model.embed(holes)["left"][:5].any()
    if not getattr(model, "fuses", False):
        assert (~model.transform(holes).present["left"][:5]).all()
    else:
        assert model.transform(holes).shape == (90, 4)
    with pytest.raises(ModalityError, match="no view 'other'"):
        model.embed(Views({"other": np.ones((3, 4))}))


@pytest.mark.parametrize("name", ALIGNERS)
def test_nothing_that_is_given_is_changed(name, fitted):
    left, right = np.random.default_rng(0).normal(size=(2, 90, 5))
    before = left.copy(), right.copy()
    left.setflags(write=False)
    right.setflags(write=False)
    domain = np.where(np.arange(90) % 2, "shop", "studio")
    data = Views({"left": left, "right": right}, domain=domain, y={"kind": domain})
    model = fit(name, data)
    model.transform(data)
    np.testing.assert_array_equal((left, right), before)


@pytest.mark.parametrize("name", ALIGNERS)
def test_unfitted_models_say_so(name):
    with pytest.raises((BoubaError, ValueError), match="not fitted"):
        make(name).embed(views())


@pytest.mark.parametrize(
    "name", [name for name in ALIGNERS if issubclass(FOUND[name], BaseLearner) and name != "NearestTranslator"]
)
def test_trained_models_take_towers_and_history(name):
    model = make(name).set_params(towers={"left": MLP((8,)), "right": MLP((8,))})
    data = views().replace(y={"size": np.arange(90) / 7}) if name == "FusionRegressor" else views()
    model.fit(data, **({"target": "shop"} if name == "AdaptedCLIP" else {}))
    assert [row["epoch"] for row in model.history_] == [1, 2]
    assert {"loss", "similarity.left"} <= set(model.history_[-1])
    assert ("gap" in model.history_[-1]) != isinstance(model, Translator)  # of one view that is read there is none


def is_ours(cls):
    return cls.__module__.split(".")[0] == "bouba"


def is_concrete(member):
    """A method or property with a body that says something: neither abstract nor a hook."""
    if isinstance(member, property):
        member = member.fget
    elif isinstance(member, classmethod | staticmethod):
        member = member.__func__
    marked = getattr(member, "__isabstractmethod__", False) or getattr(member, "is_hook", False)
    return (callable(member) or isinstance(member, cached_property)) and not isinstance(member, type) and not marked


@pytest.mark.parametrize("name", sorted(FOUND))
def test_at_most_three_classes_deep(name):
    assert sum(map(is_ours, FOUND[name].__mro__)) <= 3


@pytest.mark.parametrize("name", sorted(FOUND))
def test_nothing_concrete_is_overridden(name):
    """Neither one of ours by another of ours, nor one of ours by a mixin before it. scikit-learn's dunders chain."""
    taken = {}
    for cls in FOUND[name].__mro__:
        for attribute, member in vars(cls).items():
            dunder = attribute.startswith("__")
            if is_ours(cls) and attribute in taken and is_concrete(member) and not dunder:
                raise AssertionError(f"{taken[attribute].__name__}.{attribute} overrides {cls.__name__}'s")
            taken.setdefault(attribute, cls)


@pytest.mark.parametrize("name", [name for name in sorted(FOUND) if issubclass(FOUND[name], BaseLearner)])
def test_fit_is_one_final_function(name):
    assert FOUND[name].fit is BaseLearner.fit
    assert BaseLearner.fit.__final__
