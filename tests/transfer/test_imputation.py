"""Missing cells filled in from the views that are there, and marked."""

import numpy as np
import pytest

from bouba import ConvNet, Learner, Views
from bouba.data.views import Column
from bouba.errors import DataError, ModalityError, UsageError
from bouba.evaluation import evaluate
from bouba.fuse import MultimodalAutoencoder
from bouba.terms import InfoNCE
from bouba.towers import MLP
from bouba.transfer import RegressionTranslator
from bouba.transfer.imputation import impute

SIZES = (("a", 5), ("b", 7), ("c", 4))
QUICK = {"dim": 16, "epochs": 25, "batch_size": 40, "lr": 5e-3, "hidden": 64}


def related(n=200, seed=0):
    """Three vector views of the same two numbers."""
    random, mix = np.random.default_rng(seed), np.random.default_rng(9)
    h = random.normal(size=(n, 2))
    columns = {v: 3 + 5 * np.tanh(h @ mix.normal(size=(2, d))) + 0.2 * random.normal(size=(n, d)) for v, d in SIZES}
    return Views(columns, y={"side": (h[:, 0] > 0).astype(int)})


def without(views, **gone):
    columns = {name: views[name].without(gone[name]) for name in gone}
    return views.replace(columns={**views.columns, **columns})


def array(column):
    return np.stack(list(column))


@pytest.fixture(scope="module")
def model():
    return MultimodalAutoencoder(**QUICK).fit(related())


class Doubles:
    """A translator with an answer that can be told: twice the source, plus which draw it is."""

    source_ = "a"

    def __init__(self, target):
        self.target_ = target

    def translate(self, X, n=1, *, random_state=0):
        rows = array(X["a"])
        return np.stack([2 * rows + random_state + i for i in range(n)], 1)


def test_definition_row_by_row_the_model_is_asked_for_what_is_missing(model):
    views = related(12, seed=2)
    gone = {"a": np.arange(12) % 4 == 1, "b": np.arange(12) % 3 == 0}
    holes = without(views, **gone)
    filled = impute(holes, model)
    for row in range(12):
        there = [name for name, _ in SIZES if not (name in gone and gone[name][row])]
        said = model.reconstruct(views[[row]].select(*there))
        for name, _ in SIZES:
            if name in there:
                np.testing.assert_array_equal(filled[name][row], views[name][row])
            else:
                np.testing.assert_allclose(filled[name][row], said[name][0], rtol=1e-4, atol=1e-4)
    assert all((filled.imputed[name] == gone.get(name, False)).all() for name, _ in SIZES)
    assert all(filled[name].present.all() for name, _ in SIZES)


def test_recovery_a_filled_cell_is_nearer_to_the_truth_than_the_mean(model):
    views = related(300, seed=3)
    filled = impute(without(views, b=np.ones(300, bool)), model, only=["b"])
    truth = array(views["b"])
    assert np.square(array(filled["b"]) - truth).sum() < 0.2 * np.square(truth - truth.mean(0)).sum()


def test_law_marks_stay_with_their_rows_and_are_said():
    views = Views({"a": array(related(6)["a"]), "b": np.ones((6, 5))})
    both = impute(without(views, b=np.arange(6) > 3), Doubles("b"))
    assert repr(both) == "Views(6 rows, {a: vector, b: vector (2 imputed)})"
    assert "b: vector (2 missing)" in repr(impute(without(views, b=np.arange(6) > 3), Doubles("d")))
    assert both.imputed["b"].tolist() == [False] * 4 + [True] * 2
    assert both[[5, 0, 4]].imputed["b"].tolist() == [True, False, True]
    assert both[5].imputed["b"].tolist() == [True]
    assert both.select("a").imputed.keys() == {"a"}
    assert both.replace(y={"k": np.arange(6)}).imputed["b"].sum() == 2
    embedded = Learner(objective=InfoNCE(), epochs=1, dim=4).fit(both).transform(both)
    assert embedded.imputed["b"].tolist() == both.imputed["b"].tolist(), "embedding a made-up cell does not observe it"
    assert "(2 imputed)" in repr(embedded)


def test_law_what_was_imputed_is_never_read(model):
    """Views filled in one after the other are the views filled in at once; again changes nothing."""
    holes = without(related(12, seed=4), a=np.arange(12) % 2 == 0, b=np.arange(12) % 3 == 0)
    at_once = impute(holes, model)
    for order in (["a", "b"], ["b", "a"]):
        after = impute(impute(holes, model, only=order[:1]), model, only=order[1:])
        for name, _ in SIZES:
            np.testing.assert_allclose(array(after[name]), array(at_once[name]), rtol=1e-5, atol=1e-5)
            np.testing.assert_array_equal(after.imputed[name], at_once.imputed[name])
    again = impute(at_once, model)
    np.testing.assert_array_equal(array(again["a"]), array(at_once["a"]))
    assert again.imputed["a"].sum() == 6


def test_a_row_with_nothing_to_decode_from_keeps_its_gap(model):
    views = without(related(4), **{name: np.array([True, False, False, False]) for name, _ in SIZES})
    filled = impute(views, model)
    assert not filled["a"].present[0]
    assert filled.imputed["a"].sum() == 0
    assert impute(related(4), model).imputed["a"].sum() == 0


def test_a_translator_fills_from_its_source_only_and_draws_as_told():
    views = related(5)
    holes = without(views, a=np.arange(5) == 2)
    filled = impute(Views({"a": holes["a"], "e": Column.of([None] * 5, "vector")}), Doubles("e"), random_state=7)
    assert filled["e"].present.tolist() == [True, True, False, True, True]
    np.testing.assert_allclose(filled["e"][3], 2 * views["a"][3] + 7)


def test_recovery_a_translator_of_bouba_fills_what_it_translates():
    views = related(300, seed=3)
    fitted = RegressionTranslator("a", "b", epochs=25, dim=16, lr=5e-3).fit(related())
    gone = np.arange(300) % 2 == 0
    filled = impute(without(views, b=gone), [fitted])
    np.testing.assert_allclose(array(filled["b"])[gone], fitted.translate(views[gone])[:, 0], rtol=1e-5)
    truth = array(views["b"])
    assert np.square(array(filled["b"]) - truth).sum() < 0.3 * np.square(truth - truth.mean(0)).sum() / 2


def test_pictures_are_decoded_into_cells_that_a_tower_reads():
    random = np.random.default_rng(0)
    shown = [np.full((12, 12, 3), 40 * (i % 2) + 100, np.uint8) for i in range(24)]
    numbers = np.array([[i % 2, 1 - i % 2] for i in range(24)], float) + 0.01 * random.normal(size=(24, 2))
    views = Views({"photo": Column.of(shown, "image"), "n": numbers})
    towers = {"photo": ConvNet(size=12, channels=2, augment=None, thumbnail=8), "n": MLP((8,))}
    model = MultimodalAutoencoder(towers, epochs=2, dim=4, hidden=8).fit(views)
    filled = impute(without(views, photo=np.arange(24) < 6), model)
    assert filled["photo"][0].dtype == np.uint8
    assert filled["photo"][0].shape == (8, 8, 3)
    assert filled["photo"][9].shape == (12, 12, 3)
    assert np.isfinite(model.transform(filled)).all()


def test_what_was_imputed_is_the_truth_of_nothing(model, tmp_path):
    """A wrong filling changes no number of retrieval; hits of a search say what was filled in."""
    pytest.importorskip("lancedb")
    from bouba.runs.indexing import write_search

    views = related(60)
    holes = without(views, b=np.arange(60) < 20)
    filled = impute(holes, Doubles("c"))  # nothing lacks c
    assert filled.observed() is filled
    wrong = holes.replace(columns={**holes.columns, "b": views["b"]}, imputed={"b": np.arange(60) < 20})
    assert wrong.observed().present["b"].sum() == 40
    clip = Learner({name: MLP((8,)) for name in "abc"}, InfoNCE(), dim=4, epochs=2).fit(views)
    assert evaluate(clip, wrong).records == evaluate(clip, holes).records
    hits = write_search(clip, wrong, tmp_path).search(clip.embed(wrong)["b"][3], view="b", k=1)
    assert hits[0].columns["b imputed"]


def test_refusals(model):
    views = related(6)
    with pytest.raises(UsageError, match="needs a fitted MultimodalAutoencoder or translators, got object"):
        impute(views, object())
    with pytest.raises(ModalityError, match="nothing gives view 'd'; there is 'a', 'b', 'c'"):
        impute(views, model, only=["d"])
    with pytest.raises(UsageError, match=r"only is a sequence of views, got 'a'; write \['a'\]"):
        impute(views, model, only="a")
    with pytest.raises(DataError, match="view 'b' has 7 numbers a cell, what was decoded 5"):
        impute(without(views, b=np.arange(6) < 2), Doubles("b"))
    with pytest.raises(UsageError, match="view 't' is text, which cannot be decoded into cells; impute its embedd"):
        impute(Views({"a": views["a"], "t": Column.of([None, *"abcde"], "text")}), Doubles("t"))
    with pytest.raises(DataError, match="column 'a' has 2 rows, the others have 6"):
        views.replace(imputed={"a": [True, False]})
