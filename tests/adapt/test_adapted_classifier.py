"""DANN, MMDAdapter and DeepCORAL: they must help on a toy shift, on every seed, without ever seeing a target label."""

import doctest
import importlib
import logging

import numpy as np
import pytest

import bouba
from bouba import DANN, MLP, ConvNet, DeepCORAL, Entropy, Learner, MMDAdapter, Prediction, SelfTraining, Views
from bouba.adapt.adapted_classifier import source_fall
from bouba.errors import DataError, UsageError

TOWERS = {"x": MLP((64,))}
QUICK = {"epochs": 20, "dim": 8, "batch_size": 50, "lr": 3e-3}
EVERY = [DANN(TOWERS), DANN(TOWERS, conditional=True), MMDAdapter(TOWERS), DeepCORAL(TOWERS)]
every = pytest.mark.parametrize("model", EVERY, ids=["DANN", "CDAN", "MMDAdapter", "DeepCORAL"])


def displaced(seed, n=200, d=4):
    """Four classes told by a sharp cue, displaced in the target, and by a noisy one that is not."""
    random = np.random.default_rng(seed)
    code, domain = random.integers(0, 4, 2 * n), np.repeat(["source", "target"], n).astype(object)
    centres = 1.5 * np.random.default_rng(5).normal(size=(4, d))
    sharp = centres[code] + 0.3 * random.normal(size=(2 * n, d))
    sharp[n:] += 2.0
    noisy = centres[code] + 0.8 * random.normal(size=(2 * n, d))
    x = np.hstack([sharp, noisy]) @ np.random.default_rng(7).normal(size=(2 * d, 16))
    return Views({"x": x}, y={"kind": np.array(list("wxyz"), dtype=object)[code]}, domain=domain)


def like(model, **changes):
    """The same method, otherwise set."""
    return type(model)(**{**model.get_params(deep=False), **QUICK, **changes})


@pytest.fixture(scope="module")
def source_only():
    """Accuracy on the target of the same network, trained on the source alone: one for each seed."""
    found = []
    for seed in range(3):
        views = displaced(seed)
        target = views[views.domain == "target"]
        model = Learner(TOWERS, Prediction(), random_state=seed, **QUICK).fit(views[views.domain == "source"])
        found.append(np.mean(model.predict(target)["kind"] == target.y["kind"]))
    return found


@every
def test_recovery_beats_source_only_on_the_target_on_every_seed(model, source_only):
    for seed in range(3):
        views = displaced(seed)
        adapted = like(model, random_state=seed).fit(views, target="target")
        assert adapted.score(views[views.domain == "target"]) > source_only[seed] + 0.1
        assert adapted.score(views[views.domain == "source"]) > 0.9


@pytest.mark.parametrize("validation", [None, 0.2])
@every
def test_law_target_labels_and_keys_are_never_seen(model, validation):
    views = displaced(0, n=50)
    views = views.replace(key=np.arange(100).astype(str).astype(object))
    order = np.concatenate([np.arange(50), 50 + np.random.default_rng(0).permutation(50)])
    shuffled = views.replace(y={"kind": views.y["kind"][order]}, key=views.key[order])
    blank = views.replace(y={"kind": np.where(views.domain == "target", None, views.y["kind"])})
    also = SelfTraining(threshold=0.3) + Entropy()
    weights = [
        like(model, epochs=3, also=also).fit(v, target="target", validation=validation).module_.state_dict()
        for v in (views, shuffled, blank)
    ]
    for name, value in weights[0].items():
        assert value.equal(weights[1][name]), name
        assert value.equal(weights[2][name]), name


def test_labels_and_domains_may_be_arrays_and_an_objective_says_the_same():
    views = displaced(0, n=50)
    by_columns = like(DANN(TOWERS), epochs=2).fit(views, target="target")
    x = Views({"x": np.stack(list(views["x"]))})
    by_arrays = like(DANN(TOWERS), epochs=2).fit(x, views.y["kind"], domain=list(views.domain), target="target")
    np.testing.assert_array_equal(by_arrays.predict_proba(x), by_columns.predict_proba(x))
    objective = Prediction(("kind",)) + bouba.DomainAdversarial()
    learner = Learner(TOWERS, objective, **{**QUICK, "epochs": 2}).fit(views, target="target")
    np.testing.assert_array_equal(learner.predict_proba(x)["kind"], by_columns.predict_proba(x))
    assert by_columns.classes_.tolist() == list("wxyz")
    assert by_arrays.score(x, views.y["kind"]) == by_columns.score(views)


@every
def test_a_saved_model_predicts_the_same(model, tmp_path):
    views = displaced(0, n=50)
    adapted = like(model, epochs=1, also=0.1 * Entropy()).fit(views, target="target")
    adapted.save(tmp_path / "model")
    np.testing.assert_array_equal(bouba.load(tmp_path / "model").predict_proba(views), adapted.predict_proba(views))


def bars(seed, n=80):
    """Pictures of a bright bar in one of four places; the target's are pale, on a bright ground."""
    random = np.random.default_rng(seed)
    code, domain = random.integers(0, 4, 2 * n), np.repeat(["source", "target"], n).astype(object)
    pictures = random.normal(40, 10, (2 * n, 16, 16, 3))
    for picture, place in zip(pictures, code):
        picture[4 * place : 4 * place + 4] += 150
    pictures[n:] = 150 + 0.3 * pictures[n:]
    cells = list(pictures.clip(0, 255).astype(np.uint8))
    y = np.array(list("wxyz"), dtype=object)[code]
    return Views({"image": cells}, y={"kind": y}, domain=domain, kinds={"image": "image"})


def test_recovery_statistics_of_each_domain_undo_a_change_of_contrast():
    """With weight=0 the BatchNorm of each domain is all that adapts; domain_norm=False switches it off."""
    views = bars(0)
    target = views[views.domain == "target"]
    quick = {"epochs": 6, "dim": 8, "batch_size": 40, "lr": 5e-3, "weight": 0.0}
    right = {}
    for on in (True, False):
        model = MMDAdapter({"image": ConvNet(size=16, channels=4)}, domain_norm=on, **quick).fit(views, target="target")
        assert bool(model.module_.towers["image"].statistics) is on
        right[on] = model.score(target)
    assert right[True] > right[False] + 0.2


def test_a_fall_on_the_source_is_told(caplog):
    def row(epoch, accuracy, **more):
        return {"epoch": epoch, "Prediction.accuracy.kind": accuracy, **more}

    assert source_fall([row(1, 0.5), row(2, 0.9), row(3, 0.87)], "kind") is None
    assert "fell from 0.90 in epoch 2 to 0.60 in epoch 3" in source_fall(
        [row(1, 0.5), row(2, 0.9), row(3, 0.6)], "kind"
    )
    kept = [row(1, 0.9, validation=0.1), row(2, 0.6, validation=0.2)]
    assert source_fall(kept, "kind") is None  # the weights of epoch 1 are kept
    assert source_fall([], "kind") is None
    views = displaced(0, n=100)
    with caplog.at_level(logging.WARNING, logger="bouba"):
        like(DANN(TOWERS), weight=1000.0, lr=1e-2, epochs=20).fit(views, target="target")
    assert "accuracy of 'kind' on the source fell" in caplog.text


def test_refusals():
    views = displaced(0, n=20)
    with pytest.raises(UsageError, match="DomainAdversarial needs two domains or more, got 0; name the domain column"):
        DANN(TOWERS, **QUICK).fit(views.replace(domain=None))
    with pytest.raises(DataError, match="no domain 'targt'; did you mean 'target'"):
        DANN(TOWERS, **QUICK).fit(views, target="targt")
    with pytest.raises(DataError, match="no label column 'knd'; did you mean 'kind'"):
        DANN(TOWERS, label="knd", **QUICK).fit(views)
    with pytest.raises(UsageError, match=r"one label column is learnt, and there are 0; give label=\.\.\. or y"):
        DeepCORAL(TOWERS, **QUICK).fit(views.replace(y={}))
    model = DANN(TOWERS, epochs=1).fit(views)
    with pytest.raises(UsageError, match="X holds no label 'kind'; give y"):
        model.score(views.replace(y={}))


@pytest.mark.parametrize("module", ["dann", "mmd_adapter", "deep_coral"])
def test_examples(module):
    assert doctest.testmod(importlib.import_module(f"bouba.adapt.{module}")).failed == 0


def test_refusal_validation_without_the_label():
    x = np.random.default_rng(0).normal(size=(40, 3))
    with pytest.raises(DataError, match="validation has no label column 'y'"):
        DANN(epochs=1).fit(Views({"x": x}), x[:, 0] > 0, domain=["a", "b"] * 20, target="b", validation=Views({"x": x}))
