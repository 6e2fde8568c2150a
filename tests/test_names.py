"""Columns go by name and rows by index through every door of every kind of model, also of one that was saved."""

import json
import warnings

import numpy as np
import pandas as pd
import pytest

import bouba
from bouba import CCA, CLIP, DANN, FusionClassifier, FusionRegressor, InfoNCE, Learner, Prediction, Trained, Views
from bouba.errors import DataError, ModalityError
from bouba.runs import Run

COLUMNS = ["score", "age", "height"]  # in another order


def people(n=60):
    """Three numbers on scales of their own, of which the first makes the class; two that follow from them."""
    random = np.random.default_rng(0)
    labels = [f"person {i}" for i in range(n)]
    x = pd.DataFrame(
        random.normal(size=(n, 3)) + np.array([0, 5, -5]), index=labels, columns=["age", "height", "score"]
    )
    y = pd.DataFrame(x.to_numpy() @ random.normal(size=(3, 2)), index=labels, columns=["left", "right"])
    return x, y, pd.Series(np.where(x.age > 0, "old", "young"), labels)


X, Y, KIND = people()
SHUFFLED = X.sample(frac=1, random_state=1).index


def labelled(x):
    """A frame, or views, with the class as label column "y"."""
    return x.replace(y={"y": KIND}) if isinstance(x, Views) else x.assign(y=KIND)


@pytest.fixture(scope="module")
def classifier():
    return FusionClassifier(epochs=12, random_state=0).fit(X, KIND)


@pytest.fixture(params=["fitted", "saved"])
def model(request, classifier, tmp_path):
    if request.param == "fitted":
        return classifier
    classifier.save(tmp_path / "model")
    return bouba.load(tmp_path / "model")


DOORS = {
    "predict": lambda m, x: m.predict(x),
    "predict_proba": lambda m, x: m.predict_proba(x),
    "outputs": lambda m, x: m.outputs(x)["y"],
    "transform": lambda m, x: m.transform(x),
    "fuse": lambda m, x: m.fuse(x),
    "embed": lambda m, x: m.embed(x)["numbers"],
    "score": lambda m, x: m.score(x, KIND),
    "explain": lambda m, x: bouba.explain(m, x).values,
    "evaluate": lambda m, x: [r.value for r in bouba.evaluate(m, labelled(x))],
}


@pytest.mark.parametrize("door", DOORS.values(), ids=DOORS)
@pytest.mark.parametrize("read", [lambda x: x, bouba.read], ids=["a frame", "views"])
def test_columns_are_matched_by_name(model, door, read):
    assert model.score(X, KIND) > 0.9
    np.testing.assert_array_equal(door(model, read(X[COLUMNS])), door(model, read(X)))


def test_a_column_that_is_lacking_is_named_and_one_too_many_is_not_read(model):
    with pytest.raises(ModalityError, match="view 'numbers' needs age, height, score, and the table has no height"):
        model.predict(X[["score", "age"]])
    with pytest.raises(DataError, match="view 'numbers' has no column 'height', which the model was fitted on"):
        model.predict(bouba.read(X[["score", "age"]]))
    more = X[COLUMNS].assign(weight=1e6, remark="none")
    assert (model.predict(more) == model.predict(X)).all()
    with pytest.warns(UserWarning, match="view 'numbers' has 'weight', which the model was not fitted on; left out"):
        assert (model.predict(bouba.read(more)) == model.predict(X)).all()


def test_one_array_beside_a_frame_goes_by_place(model):
    assert (model.predict(X.to_numpy()) == model.predict(X)).all()


def test_every_row_is_answered_in_its_place(model):
    gaps = X.copy()
    gaps.iloc[3], gaps.iloc[7, 1] = np.nan, np.nan
    predicted = model.predict(gaps)
    assert len(predicted) == len(X)
    complete = [i for i in range(len(X)) if i not in (3, 7)]
    assert (predicted[complete] == model.predict(X)[complete]).all()
    assert FusionClassifier(epochs=12, random_state=0).fit(gaps, KIND).score(X, KIND) > 0.9


@pytest.mark.parametrize("read", [lambda x: x, bouba.read], ids=["a frame", "views"])
def test_labels_are_found_by_the_names_of_the_rows(classifier, read):
    again = FusionClassifier(epochs=12, random_state=0).fit(read(X), KIND[SHUFFLED])
    assert (again.predict_proba(X) == classifier.predict_proba(X)).all()
    assert classifier.score(read(X), KIND[SHUFFLED]) == classifier.score(X, KIND)
    assert classifier.score(read(X.loc[SHUFFLED]), KIND) == classifier.score(X, KIND)
    with pytest.raises(DataError, match=r"y lacks 10 of 60 rows, 'person 50', 'person 51', 'person 52', \.\.\."):
        FusionClassifier(epochs=1).fit(read(X), KIND[:50])
    with pytest.raises(DataError, match="y has 10 that are none of them"):
        classifier.score(read(X[:50]), KIND)


def test_domains_are_found_by_the_names_of_the_rows():
    domain = pd.Series(["here"] * 30 + ["there"] * 30, X.index)
    fits = [DANN(epochs=2, dim=4).fit(X, KIND, domain=given, target="there") for given in (domain, domain[SHUFFLED])]
    assert (fits[0].predict_proba(X) == fits[1].predict_proba(X)).all()
    with pytest.raises(DataError, match="domain lacks 20 of 60 rows, 'person 40'"):
        DANN(epochs=1).fit(X, KIND, domain=domain[:40], target="here")


def test_validation_is_read_like_the_rows_to_train_on():
    views = Views({"numbers": X}, y={"y": KIND})
    other = Views({"numbers": X[COLUMNS]}, y={"y": KIND})
    fits = [Learner(objective=Prediction(), epochs=2, dim=4).fit(views, validation=held) for held in (views, other)]
    assert [row["validation"] for row in fits[0].history_] == [row["validation"] for row in fits[1].history_]


def test_a_tower_reads_no_numbers_in_another_order(classifier):
    tower = Trained.of(classifier, "numbers")
    assert (FusionClassifier({"numbers": tower}, epochs=1, dim=4).fit(X, KIND).predict(X)).shape == (60,)
    with pytest.raises(DataError, match="the tower of 'numbers' reads age, height, score in this order"):
        FusionClassifier({"numbers": tower}, epochs=1, dim=4).fit(X[COLUMNS], KIND)
    with pytest.raises(DataError, match="the tower of 'b' reads age, height, score in this order"):
        CLIP({"a": bouba.MLP(), "b": bouba.SameAs("a")}, epochs=1, dim=4).fit({"a": X, "b": X[COLUMNS]})


def test_a_column_of_a_table_may_be_lacking():
    gaps = X.copy()
    gaps.iloc[7, 1] = np.nan
    model = FusionClassifier(epochs=2, dim=4).fit(gaps, KIND)
    assert model.kinds_ == {"numbers": "table"}
    assert (model.predict_proba(gaps[COLUMNS]) == model.predict_proba(gaps)).all()
    assert model.predict(X[["age"]]).shape == (60,)


@pytest.mark.parametrize("fit", [CCA(2).fit, lambda v: CLIP(epochs=4, dim=4).fit(v)], ids=["solved", "trained"])
@pytest.mark.parametrize("views", [lambda x, y: [x, y], lambda x, y: {"view0": x, "view1": y}], ids=["list", "mapping"])
def test_frames_are_paired_by_their_index(fit, views):
    model, again = fit(views(X, Y)), fit(views(X, Y.loc[SHUFFLED]))
    for name, z in model.embed(views(X, Y)).items():
        np.testing.assert_allclose(again.embed(views(X, Y))[name], z, atol=1e-5)
    other = views(X[COLUMNS], Y.loc[SHUFFLED, ["right", "left"]])
    assert model.score(other) == pytest.approx(model.score(views(X, Y)))
    for name, z in model.embed(other).items():
        np.testing.assert_array_equal(z, model.embed(views(X, Y))[name])


def test_rows_that_one_frame_lacks_are_missing_there(tmp_path):
    with pytest.warns(UserWarning, match="'view0' lacks 4 of 60 rows, first 'person 0'.*'view1' lacks 10 of 60"):
        model = CCA(1).fit([X[4:], Y[:50]])
    both = CCA(1).fit([X[4:50], Y[4:50]])
    assert model.correlations_[0] == pytest.approx(both.correlations_[0], abs=0.02)
    with pytest.warns(UserWarning, match="lacks"):
        z = model.embed({"view0": X, "view1": Y[:50]})
    assert (z["view1"][50:] == 0).all()
    np.testing.assert_array_equal(z["view1"][:50], model.embed({"view1": Y[:50]})["view1"])
    with pytest.raises(DataError, match="y lacks 10 of 60 rows"):
        CCA(1).fit(X, Y[:50])
    with pytest.raises(DataError, match="no row of 'view0'"):
        CCA(1).fit([X, Y.rename(index=str.upper)])


def test_a_closed_form_keeps_the_names_of_columns(tmp_path):
    CCA(2).fit([X, Y]).save(tmp_path / "model")
    model = bouba.load(tmp_path / "model")
    z = model.transform([X, Y])
    np.testing.assert_array_equal(model.transform([X[COLUMNS]])[0], z[0])
    np.testing.assert_array_equal(model.transform([X.to_numpy()])[0], z[0])
    np.testing.assert_array_equal(model.transform([pd.DataFrame(X.to_numpy())])[0], z[0])
    with pytest.warns(UserWarning, match="view 'view0' has 'weight', which the model was not fitted on"):
        np.testing.assert_array_equal(model.transform([X.assign(weight=1.0)])[0], z[0])
    with pytest.raises(DataError, match="view 'view0' has no column 'age', which the model was fitted on"):
        model.transform([X.drop(columns="age")])
    beside = CCA(2).fit(X, Y)
    assert beside.score(X, Y.loc[SHUFFLED, ["right", "left"]]) == pytest.approx(beside.score(X, Y))
    with pytest.raises(DataError, match="must be in the same order"):  # as scikit-learn has it
        beside.transform(X[COLUMNS])


def test_masked_rows_are_missing_in_a_closed_form():
    masked = np.ma.masked_array(X.to_numpy(copy=True), mask=np.zeros(X.shape, bool))
    masked.data[7, 0], masked.mask[7, 0] = 1e20, True
    with pytest.warns(UserWarning, match="1 of 60 rows of 'view0' have masked values"):
        model = CCA(1).fit([masked, Y])
    rest = [i for i in range(60) if i != 7]
    np.testing.assert_allclose(model.means_["view0"], X.iloc[rest].mean(), rtol=1e-6)
    with pytest.raises(DataError, match="X has masked values"):
        CCA(1).fit(masked, Y)


def test_frames_in_the_same_order_cost_no_word():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        CCA(1).fit([X, Y]).transform([X, Y])
        FusionRegressor(epochs=1, dim=4).fit(X, Y.left).score(X, Y.left)


def test_a_run_matches_columns_and_rows(tmp_path):
    table = pd.concat([X.add_prefix("in "), Y.add_prefix("out ")], axis=1).reset_index(drop=True)
    run = Run.fit(table, out=tmp_path / "run", method="cca", n_components=2, read={"vector": ["in *", "out *"]})
    expected = [record.value for record in run.evaluate(table)]
    again = Run.open(tmp_path / "run")
    assert [r.value for r in again.evaluate(table[table.columns[::-1]])] == expected
    assert [r.value for r in again.evaluate(table[table.columns[::-1]], vector=["out *", "in *"])] == expected
    by_frames = Run.fit({"in": X, "out": Y}, out=tmp_path / "two", method="cca", n_components=2)
    both = by_frames.evaluate({"in": X, "out": Y})
    other = by_frames.evaluate({"out": Y.loc[SHUFFLED, ["right", "left"]], "in": X[COLUMNS]})
    assert [r.value for r in other if r.metric == "mrr"] == [r.value for r in both if r.metric == "mrr"]


def test_several_files_are_matched_by_their_names_and_their_columns(tmp_path):
    later = tmp_path / "later"
    later.mkdir()
    X.to_csv(tmp_path / "in.csv", index=False)
    Y.to_csv(tmp_path / "out.csv", index=False)
    X[COLUMNS].to_csv(later / "in.csv", index=False)
    Y[["right", "left"]].to_csv(later / "out.csv", index=False)
    Y.to_csv(later / "other.csv", index=False)
    files = [tmp_path / "in.csv", tmp_path / "out.csv"]
    run = Run.fit(files, out=tmp_path / "run", method="cca", n_components=2)
    assert run.schema.columns == {"in": ("age", "height", "score"), "out": ("left", "right")}
    expected = [record.value for record in run.evaluate(files)]
    assert [record.value for record in run.evaluate([later / "out.csv", later / "in.csv"])] == pytest.approx(expected)
    with pytest.raises(
        ModalityError, match=r"matched with views by their names, and none of .*other.csv.* give a file"
    ):
        run.evaluate([later / "other.csv", later / "other.csv"])


def test_models_of_before_still_open(classifier, tmp_path):
    classifier.save(tmp_path / "model")
    file = tmp_path / "model" / "model.json"
    facts = json.loads(file.read_text())
    facts.pop("schema")
    file.write_text(json.dumps(facts))
    model = bouba.load(tmp_path / "model")
    assert model.schema_ is None
    assert (model.predict(X) == classifier.predict(X)).all()
    assert Learner(objective=InfoNCE()).schema_ is None


def test_a_model_by_itself_matches_columns_too(classifier, tmp_path):
    classifier.save(tmp_path / "model")
    run = Run.open(tmp_path / "model")
    assert [record["y"] for record in run.predict(X[COLUMNS])] == classifier.predict(X).tolist()
