"""The promises every trained method keeps, over every public estimator by discovery."""

import inspect
import pickle

import numpy as np
import pytest
from made import twin_vectors
from sklearn.base import clone, is_classifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

import bouba
from bouba import CLIP, MLP, InfoNCE, Learner, Views
from bouba.data.views import Column
from bouba.errors import DataError, ModalityError, RecipeError, UsageError
from bouba.learner import BaseLearner
from bouba.persist import class_of
from bouba.terms import Term

FAST = {"epochs": 2, "dim": 4, "batch_size": 60}


def estimators():
    """One of every public method that is trained, made quick; tests/test_estimators.py has what all keep."""
    made = []
    for name in bouba.__all__:
        cls = getattr(bouba, name)
        if inspect.isclass(cls) and issubclass(cls, BaseLearner):
            extra = {"objective": InfoNCE()} if cls is Learner else {}
            made.append(pytest.param(cls(**FAST, **extra), id=name))
    assert len(made) >= 3
    return made


def two_domains(n=120):
    views = twin_vectors(n)
    numbers = np.arange(n) / 7
    return views.replace(domain=np.array(["here", "there"] * (n // 2), dtype=object), y={"size": numbers})


def fitted(model, views):
    if is_classifier(model):
        views = views.replace(y={"kind": views.rows % 2})
    return clone(model).fit(views, target={"there": ["left"]} if "Adapted" in type(model).__name__ else None)


@pytest.mark.parametrize("model", estimators())
def test_a_view_without_a_tower_changes_nothing(model):
    towers = {"left": MLP((8,)), "right": MLP((8,))}
    views = two_domains(400)  # enough that fusers hold rows out to calibrate
    more = views.replace(columns={**views.columns, "other": Column.of(np.ones((400, 2), "f4"), "vector")})
    between = {"source": "left", "target": "right"}
    model = clone(model).set_params(
        towers=towers, epochs=1, **between if between.keys() <= model.get_params().keys() else {}
    )
    z, same = fitted(model, views).embed(views), fitted(model, more).embed(views)
    assert all((z[name] == same[name]).all() for name in z)


@pytest.mark.parametrize("model", estimators())
def test_contract(model, tmp_path):
    views = two_domains()
    before = {name: np.stack(list(views[name])) for name in views.columns}
    first, second = fitted(model, views), fitted(model, views)
    z = first.embed(views)
    for name in views.columns:
        np.testing.assert_array_equal(before[name], np.stack(list(views[name])), err_msg="inputs changed")
        np.testing.assert_array_equal(z[name], second.embed(views)[name], err_msg="not deterministic")
        np.testing.assert_array_equal(z[name], first.embed(views.select(name))[name], err_msg="subset of views")
        np.testing.assert_allclose(z[name][5:6], first.embed(views[5])[name], atol=1e-5, err_msg="one row")
    first.save(tmp_path / "model")
    for copy in (bouba.load(tmp_path / "model"), pickle.loads(pickle.dumps(first))):
        assert copy.get_params(deep=False) == first.get_params(deep=False)
        for name in views.columns:
            np.testing.assert_array_equal(z[name], copy.embed(views)[name])
    assert sorted(p.name for p in (tmp_path / "model").iterdir()) == ["model.json", "model.safetensors"]


@pytest.mark.parametrize("model", estimators())
def test_get_and_set_params(model):
    parameters = model.get_params()
    assert {"towers", "dim", "epochs", "lr", "random_state"} <= set(parameters)
    assert clone(model).set_params(dim=7).dim == 7
    with pytest.raises(TypeError, match="unexpected keyword argument 'epoch'"):
        type(model)(epoch=3)


def test_recovery_beats_chance_by_far(twins):
    train, test = train_test_split(twins, random_state=0)
    model = CLIP(epochs=40, dim=8, batch_size=60, lr=5e-3).fit(train)
    chance = np.mean(1 / np.arange(1, len(test) + 1))
    assert model.score(test) > 5 * chance


def test_stock_scikit_learn_splits_validates_and_searches(twins):
    train, test = train_test_split(twins, test_size=0.25, random_state=0)
    assert (len(train), len(test)) == (180, 60)
    assert cross_val_score(CLIP(**FAST), twins, cv=3).shape == (3,)
    search = GridSearchCV(CLIP(**FAST), {"temperature": [0.05, 0.5], "lr": [1e-3, 1e-2]}, cv=2).fit(twins)
    assert search.best_params_["lr"] == 1e-2
    y = np.stack(list(twins["left"]))[:, 0] > 0
    pipeline = make_pipeline(CLIP(**FAST), FunctionTransformer(np.asarray), LogisticRegression())
    assert pipeline.fit(twins, y).score(twins, y) > 0.6


def test_missing_cells_train_and_stay_missing(twins):
    absent = np.zeros(len(twins), bool)
    absent[::3] = True
    columns = {"left": twins["left"], "right": twins["right"].without(absent)}
    views = twins.replace(columns=columns)
    model = CLIP(**FAST).fit(views)
    embedded = model.transform(views)
    np.testing.assert_array_equal(embedded.present["right"], ~absent)
    with pytest.raises(DataError, match="view 'right' lacks 80 of 240 cells"):
        np.asarray(embedded)
    complete = CLIP(**FAST).fit(views[~absent])
    assert not np.array_equal(complete.embed(twins)["left"], model.embed(twins)["left"]), "lone cells still train"


def test_arrays_are_enough():
    random = np.random.default_rng(0)
    model = CLIP(**FAST).fit([random.normal(size=(30, 3)), random.normal(size=(30, 5))])
    assert list(model.specs_) == ["view0", "view1"]


def test_a_foreign_term_loads_when_handed_in(twins, tmp_path):
    Learner(objective=InfoNCE() + 0.1 * Length(), **FAST).fit(twins).save(tmp_path / "m")
    with pytest.raises(RecipeError, match=r"hand the class in: bouba.load\(path, custom=\[Length\]\)"):
        bouba.load(tmp_path / "m")
    assert bouba.load(tmp_path / "m", custom=[Length]).objective == InfoNCE() + 0.1 * Length()


from dataclasses import dataclass  # noqa: E402


@dataclass(frozen=True)
class Length(Term):
    """Short embeddings."""

    def loss(self, batch, state):
        return sum(z.square().mean() for z in batch.z.values()), {}


def test_text_view_by_its_letters():
    views = Views(
        {"en": ["red apple", "green tea", "dog"] * 4, "zh": ["红苹果", "绿茶", "狗"] * 4},
        kinds={"en": "text", "zh": "text"},
    )
    model = CLIP(**FAST).fit(views)
    assert model.text_view("苹果") == "zh"
    assert model.text_view("a dog") == "en"


def test_refusals(twins):
    with pytest.raises(UsageError, match="a Learner needs an objective, for example InfoNCE"):
        Learner().fit(twins)
    with pytest.raises(UsageError, match=r"InfoNCE needs two views or more, got 1 \('left'\)"):
        CLIP(**FAST).fit(twins.select("left"))
    with pytest.raises(ModalityError, match="a tower for 'lef', but no such view; did you mean 'left'"):
        CLIP({"lef": MLP()}, **FAST).fit(twins)
    with pytest.raises(UsageError, match="view 'left' is vector, ConvNet reads image"):
        CLIP({"left": bouba.ConvNet(), "right": MLP()}, **FAST).fit(twins)
    with pytest.raises(DataError, match="training needs two rows or more, got 1"):
        CLIP(**FAST).fit(twins[:1])
    with pytest.raises(ModalityError, match=r"the model has no view 'sound' \(vector\); it has left \(vector\)"):
        CLIP(**FAST).fit(twins).embed(Views({"sound": np.eye(3)}))
    with pytest.raises(UsageError, match=r"validation is a share like 0.2 or Views, got 'held_out.csv'"):
        CLIP(**FAST).fit(twins, validation="held_out.csv")
    with pytest.raises(DataError, match="validation holds 1 rows with two views; two or more are needed"):
        CLIP(**FAST).fit(twins, validation=twins[:1])
    with pytest.raises(UsageError, match="patience needs validation"):
        CLIP(patience=2, **FAST).fit(twins)
    with pytest.raises(UsageError, match="temperature must be one finite number above 0, got 0"):
        CLIP(temperature=0, **FAST).fit(twins)
    with pytest.raises(DataError, match="no model in nowhere; make one: bouba fit TABLE -o nowhere"):
        bouba.load("nowhere")


def test_saving_deletes_nothing_else(twins, tmp_path):
    model = CLIP(**FAST).fit(twins)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "report.html").touch()
    with pytest.raises(UsageError, match="holds other things than a model; save into a folder of its own"):
        model.save(tmp_path / "run")
    model.save(tmp_path / "run" / "model")
    model.save(tmp_path / "run" / "model")
    assert bouba.load(tmp_path / "run").get_params(deep=False) == model.get_params(deep=False)


def test_a_file_names_classes_only():
    for name in ("bouba.persist:load", "bouba.persist:Path"):
        with pytest.raises(RecipeError, match="which is no class of bouba's"):
            class_of(name)


def test_rows_without_a_key_stand_for_themselves(twins):
    keys = np.array([None] * 120 + [str(i) for i in range(120)], dtype=object)
    model = CLIP(**FAST).fit(twins)
    assert model.score(twins.replace(key=keys)) == pytest.approx(model.score(twins))


@pytest.mark.parametrize("name", ["file.path", "values", "train", "图 片"])
def test_any_name_of_a_column_is_a_view(name, tmp_path):
    views = Views({name: np.random.default_rng(0).normal(size=(40, 3)), "other": np.eye(40)})
    model = CLIP(epochs=1, dim=4).fit(views)
    model.save(tmp_path / "model")
    np.testing.assert_array_equal(bouba.load(tmp_path / "model").embed(views)[name], model.embed(views)[name])
