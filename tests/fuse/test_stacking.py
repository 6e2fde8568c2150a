"""Stacked fusion: predictions from all views and from each alone, weighed by rows that were left out."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import bouba
from bouba import (
    ConcatFusion,
    FusionClassifier,
    FusionRegressor,
    GatedFusion,
    InfoNCE,
    Learner,
    MultitaskLearner,
    StackedFusion,
    SumFusion,
    Views,
)
from bouba.data.views import Column
from bouba.errors import UsageError
from bouba.learner.stacking import PENALTY, Stack, folds_of, members_of
from bouba.runs.describing import recipe_of
from bouba.runs.recipe import build

QUICK = {"dim": 8, "epochs": 4, "batch_size": 32}
STACKED = StackedFusion(inner=SumFusion(), folds=2, drop=0.2)


def rows(n=160, seed=0, missing=0.0):
    """A class that view `a` shows well and view `b` a little; a number likewise."""
    random = np.random.default_rng(seed)
    kind = random.integers(0, 2, n)
    a = (2 * kind - 1)[:, None] + 0.6 * random.normal(size=(n, 3))
    b = (2 * kind - 1)[:, None] + 3.0 * random.normal(size=(n, 20))
    has = random.random((n, 2)) >= missing
    has[~has.any(1), 0] = True
    cells = {
        "a": Column.of(a.astype(np.float32), "vector", has[:, 0]),
        "b": Column.of(b.astype(np.float32), "vector", has[:, 1]),
    }
    return Views(cells, y={"kind": np.array(["low", "high"], dtype=object)[kind], "size": 10 + 3 * a.sum(1)})


def log_p(random, n, members, classes):
    return np.log(random.dirichlet(np.ones(classes), size=(n, members)))


def test_definition():
    random = np.random.default_rng(0)
    outputs, stack = log_p(random, 4, 3, 2), Stack((0.2, 0.0, 1.5), (0.3, -0.1))
    for row, got in zip(outputs, stack(outputs), strict=True):
        scores = [
            np.exp(stack.bias[c] + sum(w * p[c] for w, p in zip(stack.weights, row, strict=True))) for c in range(2)
        ]
        assert np.allclose(np.exp(got), np.array(scores) / sum(scores))
    assert np.allclose(Stack((2.0, 1.0), (3.0,))(np.array([[1.0, 5.0]])), [10.0])


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000))
def test_law_no_other_weights_are_likelier(seed):
    random = np.random.default_rng(seed)
    outputs, codes = log_p(random, 60, 3, 3), random.integers(0, 3, 60)
    stack = Stack.of_classes(outputs, codes)
    assert min(stack.weights) >= 0

    def cost(weights, bias):
        away = sum((w - 1 / 3) ** 2 for w in weights) + sum(b**2 for b in bias)
        return -Stack(tuple(weights), tuple(bias))(outputs)[np.arange(60), codes].mean() + PENALTY * away

    best = cost(stack.weights, stack.bias)
    for _ in range(20):
        other = np.maximum(np.array(stack.weights) + 0.1 * random.normal(size=3), 0)
        assert best <= cost(other, np.array(stack.bias) + 0.1 * random.normal(size=3)) + 1e-6


def test_law_the_place_of_a_member_says_nothing():
    random = np.random.default_rng(1)
    outputs, truth = random.normal(size=(80, 3)), random.normal(size=80)
    stack, turned = Stack.of_numbers(outputs, truth), Stack.of_numbers(outputs[:, ::-1], truth)
    assert np.allclose(stack.weights, turned.weights[::-1], atol=1e-6)
    assert np.allclose(stack.bias, turned.bias, atol=1e-6)


def test_recovery_of_planted_weights_and_of_the_member_that_knows():
    random = np.random.default_rng(2)
    outputs = random.normal(size=(4000, 3))
    truth = 5 + 0.7 * outputs[:, 0] + 0.3 * outputs[:, 2] + 0.1 * random.normal(size=4000)
    truth[::7] = np.nan
    stack = Stack.of_numbers(outputs, truth)
    assert np.allclose(stack.weights, [0.7, 0, 0.3], atol=0.01)
    assert stack.bias[0] == pytest.approx(5, abs=0.02)
    codes = random.integers(0, 2, 2000)
    p = 0.5 + 0.3 * (2 * codes - 1)
    flip = random.random(2000) < 0.2
    p = np.where(flip, 1 - p, p)
    knows = np.log(np.stack([1 - p, p], 1))
    noise = log_p(random, 2000, 1, 2)[:, 0]
    weights = Stack.of_classes(np.stack([noise, knows], 1), codes).weights
    assert weights[0] < 0.1 < 0.8 < weights[1] < 1.3


def test_a_classifier_weighs_what_it_left_out_and_saves_it_to_the_bit(tmp_path, monkeypatch):
    seen = []
    fit = FusionClassifier.fit
    views = rows(missing=0.2).replace(key=np.repeat(np.arange(80), 2))
    monkeypatch.setattr(FusionClassifier, "fit", lambda self, X, *a, **o: seen.append(X.rows) or fit(self, X, *a, **o))
    model = FusionClassifier(label="kind", fusion=STACKED, **QUICK).fit(views)
    _, *members = seen
    assert len(members) == 2
    assert not set(members[0]) & set(members[1])  # each left out what the other was trained on
    assert not {r // 2 for r in members[0]} & {r // 2 for r in members[1]}  # whole things
    stack = model.stacks_["kind"]
    assert len(stack.weights) == 3  # both views, and each alone
    test = rows(seed=1, missing=0.2)
    assert model.score(test) > 0.85
    p = model.predict_proba(test)
    assert np.allclose(p.sum(1), 1, atol=1e-6)
    assert "kind" not in model.calibration_ or model.calibration_["kind"] > 0
    model.save(tmp_path / "model")
    again = bouba.load(tmp_path / "model")
    assert again.stacks_ == model.stacks_
    assert np.array_equal(again.predict_proba(test), p)


def test_outputs_are_the_stack_of_the_members_and_without_a_view_the_prior():
    model = FusionClassifier(label="kind", fusion=STACKED, calibration=0.0, **QUICK).fit(rows())
    test = rows(seed=1, n=20)
    joint = model.set_params(fusion=STACKED)._heads()
    bare = type(joint)(joint.network)
    for subset in (("a", "b"), ("a",), ("b",)):
        members = bare.outputs(test, members_of(subset, ("a", "b")))["kind"]
        assert np.allclose(model.outputs(test, [subset])["kind"][:, 0], model.stacks_["kind"](members), atol=1e-6)
    prior = model.outputs(test, [()])["kind"][:, 0]
    assert np.allclose(np.exp(prior), np.exp(bare.outputs(test, [()])["kind"][:, 0]))
    assert len(model.predict(test.select("a"))) == 20


def test_a_number_has_an_interval_that_holds_it():
    model = FusionRegressor(label="size", fusion=STACKED, calibration=0.3, dim=8, epochs=15, batch_size=32).fit(
        rows(n=260)
    )
    test = rows(seed=3)
    assert model.score(test) > 0.6
    low, high = model.predict_interval(test, level=0.9).T
    truth = test.y["size"]
    assert 0.75 <= np.mean((low <= truth) & (truth <= high)) <= 1
    several = MultitaskLearner(fusion=STACKED, **QUICK).fit(rows())
    assert set(several.stacks_) == {"kind", "size"}


def test_a_class_that_a_fold_never_saw_is_as_good_as_impossible():
    views = rows(n=60)
    kinds = views.y["kind"].copy()
    kinds[7] = "rare"
    model = FusionClassifier(label="kind", fusion=STACKED, calibration=0.0, **QUICK).fit(
        views.replace(y={"kind": kinds})
    )
    assert np.isfinite(model.stacks_["kind"].bias).all()
    assert "rare" in model.classes_


def test_folds_keep_things_whole():
    views = rows(n=40).replace(key=np.repeat(np.arange(10), 4))
    fold = folds_of(views, 4, 0)
    assert set(fold.tolist()) == {0, 1, 2, 3}
    assert all(len(set(fold[views.key == key].tolist())) == 1 for key in range(10))
    assert set(folds_of(rows(n=2), 4, 0).tolist()) == {0, 1}


def test_recipes_and_refusals():
    model = FusionClassifier(fusion=StackedFusion(inner=GatedFusion(), folds=3, drop=0.1))
    assert build(recipe_of(model)).fusion == model.fusion
    assert build({"method": "classifier", "fusion": {"kind": "StackedFusion", "drop": 0.3}}).fusion == StackedFusion(
        0.3
    )
    assert StackedFusion(inner=ConcatFusion(drop=0.2)).hiding == 0.2
    with pytest.raises(UsageError, match="folds is 2 or more, got 1"):
        StackedFusion(folds=1)
    with pytest.raises(UsageError, match="not stacked itself"):
        StackedFusion(inner=StackedFusion())
    with pytest.raises(UsageError, match="Learner stacks no predictions; StackedFusion is for FusionClassifier"):
        Learner(objective=InfoNCE(), fusion=StackedFusion()).fit(rows())


def test_the_run_of_a_stacked_fusion(tmp_path):
    pytest.importorskip("lancedb")
    pytest.importorskip("plotly")
    views = rows(n=150)
    run = bouba.Run.fit(
        views.replace(y={"kind": views.y["kind"]}), method="classifier", fusion="stacked", out=tmp_path / "run", **QUICK
    )
    assert run.recipe["fusion"] == {"kind": "StackedFusion", "drop": 0.3}
    again = bouba.Run.open(tmp_path / "run")
    assert again.model.stacks_ == run.model.stacks_
    assert {"late-fusion"} <= {record.method for record in again.result}
