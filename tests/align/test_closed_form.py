"""The promises every closed form keeps, over every public one by discovery."""

import inspect
import pickle
import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose
from PIL import Image
from scipy import sparse
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

import bouba.align
from bouba import Views, load
from bouba.align import CCA, blocks, cells
from bouba.align.closed_form import ClosedForm
from bouba.align.features import SimpleFeatures
from bouba.align.pairwise import Pairwise
from bouba.data import scratch
from bouba.data.views import Column
from bouba.errors import DataError, ModalityError, RecipeError, UsageError


def closed_forms():
    """One of every public class."""
    found = [
        v for name in dir(bouba.align) if inspect.isclass(v := getattr(bouba.align, name)) and issubclass(v, ClosedForm)
    ]
    assert len(found) >= 2
    return [pytest.param(sized(cls(), 2), id=cls.__name__) for cls in found]


def sized(model, k):
    """The same with k components, where that can be said."""
    return clone(model).set_params(**{name: k for name in model.get_params() if name == "n_components"})


every = pytest.mark.parametrize("model", closed_forms())
every_taught_by_pairs = pytest.mark.parametrize(
    "model", [each for each in closed_forms() if each.id != "GromovWasserstein"]
)


class Latent(ClosedForm):
    """The smallest closed form: variates are the first `k` columns, scaled to variance 1."""

    def __init__(self, k: int = 2):
        self.k = k

    def _fit(self, data, present):
        self.scale_ = {name: 1 / values[present[name]].std(0)[: self.k] for name, values in data.items()}
        self.correlations_ = np.linspace(1, 0.5, self.k)

    def _project(self, name, values):
        return values[:, : self.k] * self.scale_[name]

    def _emphasis(self, name):
        return self.correlations_

    def _features(self):
        return SimpleFeatures()


def twins(n=120, seed=0):
    random = np.random.default_rng(seed)
    x = random.normal(size=(n, 4))
    return x, x @ random.normal(size=(4, 6)) + 0.3 * random.normal(size=(n, 6))


def things(n=60):
    """Views of all kinds: coloured squares with their names, and two numbers."""
    colours = {"red": (220, 40, 40), "green": (40, 170, 60), "blue": (50, 80, 220), "yellow": (230, 200, 40)}
    names = [list(colours)[i % 4] for i in range(n)]
    pictures = [Image.new("RGB", (20 + i % 3, 20), colours[name]) for i, name in enumerate(names)]
    texts = [f"a {name} thing {i % 5}" for i, name in enumerate(names)]
    numbers = np.array([[len(name), i % 4] for i, name in enumerate(names)], float)
    numbers += np.random.default_rng(0).normal(size=numbers.shape)
    return Views({"photo": pictures, "words": texts, "sizes": numbers}, kinds={"photo": "image", "words": "text"})


@every
def test_the_container_that_came_in_comes_back(model):
    x, y = twins()
    by_list, by_name = clone(model).fit([x, y]), clone(model).fit({"view0": x, "view1": y})
    by_views, by_y = clone(model).fit(Views({"view0": x, "view1": y})), clone(model).fit(x, y)
    z = by_list.transform([x, y])
    assert isinstance(z, list)
    assert z[0].shape == z[1].shape == (120, len(by_list.correlations_))
    np.testing.assert_array_equal(by_name.transform({"view1": y})["view1"], z[1])
    np.testing.assert_array_equal(by_y.transform(x), z[0])
    views = by_views.transform(Views({"view0": x, "view1": y}))
    assert views.modalities == {"view0": "vector", "view1": "vector"}
    np.testing.assert_allclose(np.stack(list(views["view1"])), z[1], atol=1e-6)
    for other in (by_name, by_views, by_y):
        np.testing.assert_allclose(other.embed([x])["view0"], by_list.embed([x])["view0"], atol=1e-6)
        assert other.score([x, y]) == pytest.approx(by_list.score([x, y]))


@every
def test_contract(model, tmp_path):
    x, y = twins()
    data, before = {"a": x, "b": y}, {"a": x.copy(), "b": y.copy()}
    first, second = clone(model).fit(data), clone(model).fit(data)
    z = first.transform(data)
    first.save(tmp_path / "model")
    assert sorted(p.name for p in (tmp_path / "model").iterdir()) == ["model.json", "model.safetensors"]
    copies = load(tmp_path / "model"), pickle.loads(pickle.dumps(first))
    for name in data:
        np.testing.assert_array_equal(data[name], before[name], err_msg="inputs changed")
        np.testing.assert_array_equal(z[name], second.transform(data)[name], err_msg="not deterministic")
        np.testing.assert_array_equal(z[name], first.transform({name: data[name]})[name], err_msg="subset of views")
        np.testing.assert_allclose(z[name][5:6], first.transform({name: data[name][5:6]})[name], atol=1e-9)
        for copy in copies:
            np.testing.assert_array_equal(z[name], copy.transform(data)[name], err_msg="saved")
            np.testing.assert_array_equal(first.embed(data)[name], copy.embed(data)[name])
    for copy in copies:
        assert copy.get_params() == first.get_params()
        assert (copy.kinds_, copy.compared_by, copy.score(data)) == (first.kinds_, "cosine", first.score(data))
        np.testing.assert_array_equal(copy.correlations_, first.correlations_)


@every_taught_by_pairs
def test_embeddings_find_their_partner(model):
    x, y = twins(300)
    train, test = np.arange(200), np.arange(200, 300)
    model = sized(model, 4).fit([x[train], y[train]])
    z = model.embed([x[test], y[test]])
    unit = [v / np.linalg.norm(v, axis=1, keepdims=True) for v in z.values()]
    least = 0.1 if type(model).__name__ in ("ASIF", "PLS") else 0.5  # which trust few directions; guessing: 0.01
    assert ((unit[0] @ unit[1].T).argmax(1) == np.arange(100)).mean() > least
    assert all(v.dtype == np.float32 for v in z.values())


@every
def test_missing_cells_stay_missing(model):
    x, y = twins()
    gone = np.arange(120) % 3 == 0
    views = Views({"a": x, "b": Column.of(y, "vector", ~gone)})
    garbage = Views({"a": x, "b": Column.of(np.where(gone[:, None], 1e9, y), "vector", ~gone)})
    model, other = clone(model).fit(views), clone(model).fit(garbage)
    np.testing.assert_array_equal(model.transform(views).present["b"], ~gone)
    for name, z in model.embed(views).items():
        np.testing.assert_array_equal(z, other.embed(garbage)[name], err_msg="an absent cell was read")
    assert (model.embed(views)["b"][gone] == 0).all()
    nothing = Views({"a": x, "b": Column.of(y, "vector", np.zeros(120, bool))})
    assert (model.embed(nothing)["b"] == 0).all()


@every_taught_by_pairs
def test_pictures_and_texts_pass_through_simple_features(model, tmp_path):
    views = things()
    kinds = {"photo": "image", "words": "text", "sizes": "vector"}
    if isinstance(model, Pairwise):
        views, kinds = views.select("photo", "words"), {"photo": "image", "words": "text"}
        model = clone(model).set_params(n_components=None)
    if "ridge" in model.get_params():
        model = clone(model).set_params(ridge=0.3)
    if "penalty" in model.get_params():
        model = clone(model).set_params(penalty=1.0)  # two components of few features cannot tell four colours
    model.fit(views[:40])
    assert model.kinds_ == kinds
    assert model.text_view("green") == "words"
    z, unit = model.embed(views[40:]), {}
    for name in ("photo", "words"):
        unit[name] = z[name] / np.linalg.norm(z[name], axis=1, keepdims=True)
    colour = np.arange(20) % 4
    assert (colour[(unit["photo"] @ unit["words"].T).argmax(1)] == colour).all()
    model.save(tmp_path / "model")
    for name, values in load(tmp_path / "model").embed(views[40:]).items():
        np.testing.assert_array_equal(values, z[name])


def test_a_method_is_fit_and_project(tmp_path):
    x, y = twins()
    model = Latent().fit([x, y])
    np.testing.assert_allclose(model.transform([x, y])[1], y[:, :2] / y[:, :2].std(0))
    np.testing.assert_allclose(model.embed([x])["view0"][:, 1], 0.5 * x[:, 1] / x[:, 1].std(), rtol=1e-6)
    model.save(tmp_path / "model")
    with pytest.raises(RecipeError, match=r"hand the class in: bouba.load\(path, custom=\[Latent\]\)"):
        load(tmp_path / "model")
    np.testing.assert_array_equal(load(tmp_path / "model", custom=[Latent]).transform([x])[0], model.transform([x])[0])


def test_correlations_are_pearson_averaged_over_pairs():
    x, y = twins()
    w = np.roll(x, 1, axis=0)
    found = Latent().fit([x, y, w]).correlations([x, y, w])
    by_hand = [[np.corrcoef(a[:, k], b[:, k])[0, 1] for a, b in ((x, y), (x, w), (y, w))] for k in range(2)]
    np.testing.assert_allclose(found, np.mean(by_hand, axis=1))
    flat = np.hstack([np.ones((120, 1)), y[:, 1:]])
    assert Latent().fit([x, y]).correlations([x, flat])[0] == 0


def test_a_pipeline_may_follow_and_its_labels_are_not_read():
    x, y = twins()
    labels = (x[:, 0] > 0).astype(int)
    views = Views({"a": x, "b": y})
    pipeline = make_pipeline(bouba.align.CCA(4), FunctionTransformer(np.asarray), LogisticRegression())
    assert pipeline.fit(views, labels).score(views, labels) > 0.9
    train, test = train_test_split(views, random_state=0)
    assert bouba.align.CCA(2).fit(train).score(test) > 0.8


def test_refitting_forgets_the_container():
    x, y = twins()
    model = Latent().fit(x, y)
    assert model.n_features_in_ == 4
    model.fit({"a": x, "b": y})
    with pytest.raises(ModalityError, match=r"which view is this array\? The model has a \(vector\), b \(vector\)"):
        model.transform(x)


def test_a_frame_is_numbers_beside_y_and_a_table_alone():
    pandas = pytest.importorskip("pandas")
    x, y = twins()
    frame = pandas.DataFrame(x, columns=list("pqrs"))
    assert Latent().fit(frame, pandas.DataFrame(y)).transform(frame).shape == (120, 2)
    words = pandas.DataFrame({"size": x[:, 0], "words": [f"thing {i}" for i in range(120)]})
    assert Latent(1).fit(words).kinds_ == {"numbers": "vector", "words": "text"}


@every
def test_refusals(model):
    x, y = twins()
    name = type(model).__name__
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(DataError, match=rf"{name} needs two views or more, got 1 \('a'\)"):
            model.fit({"a": x})
        with pytest.raises(DataError, match=rf"views have \[120, 90\] rows; {name} pairs them row by row"):
            model.fit([x, y[:90]])
        with pytest.raises(DataError, match=f"{name} needs two rows or more, got 1 sample"):
            model.fit([x[:1], y[:1]])
        with pytest.raises(DataError, match=f"{name} requires y to be passed, but the target y is None"):
            model.fit(x)
        with pytest.raises(DataError, match="view 'view1': Input contains NaN"):
            model.fit([x, np.where(y > 2, np.nan, y)])
        with pytest.raises(UsageError, match="y is a second view only beside one array"):
            model.fit([x, y], y)
        with pytest.raises(ModalityError, match="the model reads no text; it has view0, view1"):
            model.fit([x, y]).text_view("red")
        with pytest.raises(
            ModalityError, match=r"the model has no view 'c' \(vector\); it has view0 \(vector\), view1"
        ):
            model.transform({"c": x})
        with pytest.raises(DataError, match="view 'view1' has 4 columns, the model was fitted on 6"):
            model.transform([None, x])
        with pytest.raises(UsageError, match="correlations need two rows with two views or more, got views view0"):
            model.score([x])


def test_refusals_of_cells():
    x, y = twins()
    with pytest.raises(DataError, match="view 'view1': Sparse data was passed, but dense data is required"):
        bouba.align.CCA().fit([x, sparse.csr_matrix(y)])
    views = Views({"a": x, "b": Column.of(y, "vector", np.zeros(120, bool))})
    with pytest.raises(DataError, match="view 'b' has no cell in these rows; leave it out or choose other rows"):
        Latent().fit(views)
    rows = Views({"a": x, "s": [{"size": 1.0}] * 120}, kinds={"s": "table"})
    with pytest.raises(DataError, match="view 's': rows of a table may lack numbers; read them with vector="):
        Latent().fit(rows)


def test_a_fit_that_failed_is_no_model():
    x, y = twins()
    model = bouba.align.CCA(ridge=2)
    with pytest.raises(UsageError, match="ridge"):
        model.fit(x, y)
    with pytest.raises(ValueError, match="not fitted yet"):
        model.transform(x)


def test_numbers_without_a_finite_embedding_are_refused():
    left = np.random.default_rng(0).normal(size=(40, 4))
    model = bouba.align.CCA(n_components=2).fit({"left": left, "right": left[:, :3]})
    with pytest.raises(DataError, match=r"view 'left' holds numbers .* scale its columns"):
        model.embed({"left": left * 1e200})


def test_law_many_cells_in_blocks_give_what_few_give_at_once(monkeypatch, tmp_path):
    """Features learnt from as many cells as there are, computed in blocks on disk: the same solution and embeddings."""
    random = np.random.default_rng(0)
    numbers = random.normal(size=(300, 6))
    numbers[17] = np.nan
    words = ["red", "green", "blue", "round", "square", "long"]
    texts = [" ".join(words[i] for i in np.argsort(row)[:3]) for row in np.nan_to_num(numbers)]
    texts[5] = None
    views = Views({"v": [None if np.isnan(row).any() else row for row in numbers], "t": texts}, kinds={"t": "text"})
    at_once = CCA(4, ridge=0.1).fit(views)
    monkeypatch.setenv("BOUBA_CACHE", str(tmp_path))
    for module, name, value in ((scratch, "LARGE", 1), (scratch, "BLOCK", 1), (blocks, "AT_ONCE", 64)):
        monkeypatch.setattr(module, name, value)
    monkeypatch.setattr(blocks, "MANY", 299)
    monkeypatch.setattr(cells, "MANY", 299)
    in_blocks = CCA(4, ridge=0.1).fit(views)
    assert_allclose(in_blocks.correlations_, at_once.correlations_, atol=1e-10)
    z, expected = in_blocks.embed(views), at_once.embed(views)
    for view in expected:
        assert isinstance(z[view], np.memmap)
        assert_allclose(np.abs(z[view]), np.abs(expected[view]), atol=1e-5)
        assert_allclose(in_blocks.transform(views)[view].values, at_once.transform(views)[view].values, atol=1e-5)
    assert not z["t"][5].any()
    assert not z["v"][17].any()
