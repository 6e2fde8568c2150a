"""What comes in at a fuser's door: classes of every type, held-out rows, targets, rare views."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.metrics import accuracy_score, get_scorer

import bouba
from bouba import CLIP, ConvNet, FusionClassifier, GatedFusion, Learner, MultitaskLearner, Prediction, Views
from bouba.errors import DataError, ModalityError, UsageError


def known(n=120, classes=(0, 1), seed=0, **more):
    """Two views of numbers; the class is in both."""
    random = np.random.default_rng(seed)
    code = random.integers(len(classes), size=n)
    centres = np.random.default_rng(9).normal(size=(len(classes), 5)) * 2
    cells = {name: (centres[code] + random.normal(size=(n, 5))).astype(np.float32) for name in ("a", "b")}
    return Views(cells, y={"y": np.array(classes, dtype=object)[code]}, **more)


@pytest.mark.parametrize("classes", [(0.0, 1.0), (9, 10), ("no", "yes")])
def test_classes_of_any_type_are_scored_by_accuracy_and_ordered_as_scikit_learn_does(classes):
    train, test = known(160, classes), known(160, classes, seed=1)
    model = FusionClassifier(epochs=12, dim=8).fit(train)
    y = test.y["y"].tolist()
    right = accuracy_score(y, model.predict(test).tolist())
    assert right > 0.8
    assert model.score(test) == pytest.approx(right)
    assert model.classes_.tolist() == sorted(classes)
    assert get_scorer("roc_auc")(model, test, np.array(y)) > 0.8


def test_eleven_classes_stand_in_the_order_of_numbers():
    model = FusionClassifier(epochs=1, dim=4).fit(known(220, tuple(range(11))))
    assert model.classes_.tolist() == list(range(11))


def test_labels_of_the_target_do_not_calibrate():
    views = known(200, domain=["s", "t"] * 100)
    flipped = np.where(views.domain == "t", 1 - views.y["y"], views.y["y"])
    models = [
        FusionClassifier(epochs=2, dim=4).fit(given, target="t") for given in (views, views.replace(y={"y": flipped}))
    ]
    assert models[0].calibration_ == models[1].calibration_
    assert (models[0].predict_proba(views) == models[1].predict_proba(views)).all()
    with pytest.raises(DataError, match="no domain 'u'"):
        FusionClassifier(epochs=1).fit(views, target="u")


def test_validation_is_heeded_on_few_rows():
    views = known(100)
    model = FusionClassifier(epochs=2, dim=4, patience=2).fit(views, validation=0.1)
    assert "validation" in model.history_[0]
    with pytest.raises(UsageError, match="validation is a share"):
        FusionClassifier(epochs=1).fit(views, validation="x")


def test_validation_without_labels_is_refused():
    views, none = known(60), known(60)
    with pytest.raises(DataError, match="no row has a label in y"):
        FusionClassifier(epochs=1).fit(views, validation=none.replace(y={"y": [None] * 60}))
    with pytest.raises(DataError, match="no label column 'y'"):
        FusionClassifier(epochs=1).fit(views, validation=none.replace(y={}))
    with pytest.raises(DataError, match="validation has no rows"):
        Learner(objective=Prediction(), epochs=1).fit(views, validation=views[:0])


def test_rows_of_one_view_each_validate():
    views = known(120)
    a, b = np.arange(120) % 2 == 0, np.arange(120) % 2 == 1
    views = views.replace(columns={"a": views["a"].without(a), "b": views["b"].without(b)})
    model = FusionClassifier(epochs=2, dim=4).fit(views, validation=0.2)
    assert np.isfinite([row["validation"] for row in model.history_]).all()


def test_a_view_that_no_held_out_row_has():
    views = known(100)
    views = views.replace(columns={"a": views["a"], "b": views["b"].without(np.arange(100) >= 3)})
    model = FusionClassifier(epochs=1, dim=4).fit(views[:80], validation=views[80:])
    assert model.predict(views).shape == (100,)
    coder = bouba.MultimodalAutoencoder(epochs=1, dim=4).fit(views[:80], validation=views[80:])
    assert np.isfinite(coder.history_[0]["validation"])


@pytest.mark.parametrize("classes", [(0, 1), (0.0, 1.0)])
def test_class_weights_in_scikit_learns_form(classes, tmp_path):
    views = known(80, classes)
    model = clone(FusionClassifier(epochs=1, dim=4, class_weight={0: 1.0, 1: 0.0})).fit(views)
    assert np.isfinite([row["loss"] for row in model.history_]).all()
    model.save(tmp_path)
    assert bouba.load(tmp_path).class_weight == {0: 1.0, 1: 0.0}


def test_a_domain_column_without_a_target_costs_nothing():
    random = np.random.default_rng(0)
    code = np.arange(64) % 2
    pictures = (random.random((64, 12, 12, 3)) * 60 + 40 + 100 * code[:, None, None, None]).astype(np.uint8)
    pictures[::4] = pictures[::4] // 2  # another camera
    views = Views({"image": list(pictures)}, kinds={"image": "image"}, y={"y": code})
    views = views.replace(domain=np.where(np.arange(64) % 4 == 0, "dark", "light"))
    model = FusionClassifier({"image": ConvNet(12, channels=4)}, epochs=15, dim=4, calibration=0.0).fit(views)
    assert model.score(views) > 0.9


def test_a_learner_that_only_predicts_is_scored_by_what_it_predicts():
    views = known(120)
    model = Learner(objective=Prediction(), epochs=10, dim=8).fit(views)
    assert not model.aligns
    assert model.score(known(80, seed=1)) > 0.8
    assert Learner(objective=bouba.InfoNCE() + Prediction()).aligns
    with pytest.raises(ModalityError, match="no view 'c'"):
        model.outputs(views, [["c"]])
    with pytest.raises(DataError, match="none of 9 rows has the label"):
        MultitaskLearner(epochs=1, dim=4).fit(views).score(views[:9].replace(y={"y": [None] * 9}))


def test_a_fusion_that_nothing_would_teach_is_refused():
    with pytest.raises(UsageError, match="would teach GatedFusion"):
        CLIP(fusion=GatedFusion(), epochs=1).fit(known(40))


def test_a_constant_column_far_from_zero_stays_constant():
    views = Views({"a": np.column_stack([np.full(50, 1e6 + 0.1), np.arange(50)]), "b": np.arange(50.0)[:, None]})
    model = CLIP(epochs=1, dim=2).fit(views)
    assert model.learned_["a"]["scale"][0] == 1.0


def test_a_quantity_is_no_class():
    views = known(200).replace(y={"price": np.linspace(0, 1, 200)})
    for model in (FusionClassifier(epochs=1), bouba.DANN(epochs=1, dim=4)):
        with pytest.raises(DataError, match=r"'price' holds \d+ different numbers in \d+ rows.* with FusionRegressor"):
            model.fit(views.replace(domain=["s", "t"] * 100), target="t" if model.aligns else None)
    once = known(60).replace(y={"number": np.arange(60)})
    with pytest.warns(UserWarning, match="'number' holds 60 different numbers in 60 rows, and each becomes a class"):
        FusionClassifier(epochs=1, dim=4).fit(once)
    halves = known(60).replace(y={"stars": np.arange(60) % 10 / 2})
    assert FusionClassifier(epochs=1, dim=4).fit(halves).classes_.tolist() == [0, 0.5, 1, 1.5, 2, 2.5, 3, 3.5, 4, 4.5]
