"""Source-free adaptation: what stays, what is learnt, refusals."""

import numpy as np
import pytest
import torch

import bouba
from bouba import CCA, MLP, ConcatFusion, FusionClassifier, Learner, MinimumClassConfusion, NTXent, Prediction, Views
from bouba.adapt import source_free
from bouba.errors import DataError, UsageError

QUICK = {"dim": 16, "epochs": 6}


def place(moved, seed, n=300):
    """Four clusters that turn a little as they move."""
    random = np.random.default_rng(seed)
    code = random.integers(0, 4, n)
    frame, turn = (np.random.default_rng(s).normal(size=(4, 10)) for s in (0, 1))
    x = 2 * np.eye(4)[code] @ (frame + moved * turn) + 0.5 * random.normal(size=(n, 10)) + 3 * moved
    return x, code.astype(str).astype(object)


@pytest.fixture(scope="module")
def fitted():
    x, y = place(0, 1)
    return Learner({"x": MLP((64,))}, Prediction(("kind",)), **QUICK).fit(Views({"x": x}, y={"kind": y}))


def accuracy(model, views, truth):
    return float(np.mean(model.predict(views)["kind"] == truth))


def test_recovery_new_rows_are_learnt_from_alone(fitted):
    gains = []
    for seed in (2, 3):
        x, y = place(0.7, seed)
        adapted = source_free(fitted, Views({"x": x}), epochs=8)
        gains.append(accuracy(adapted, Views({"x": x}), y) - accuracy(fitted, Views({"x": x}), y))
    assert min(gains) > 0.08


def test_heads_and_the_model_that_is_given_stay(fitted):
    x, _ = place(0.5, 2)
    before = {name: tensor.clone() for name, tensor in fitted.module_.state_dict().items()}
    adapted = source_free(fitted, Views({"x": x}), epochs=2)
    after = adapted.module_.state_dict()
    assert all(torch.equal(fitted.module_.state_dict()[name], tensor) for name, tensor in before.items())
    assert all(torch.equal(after[name], before[name]) for name in before if name.startswith("state."))
    assert any(not torch.equal(after[name], before[name]) for name in before if name.startswith("towers."))
    assert type(adapted) is Learner
    assert [row["epoch"] for row in adapted.history_] == [1, 2]


def test_labels_keys_and_domains_of_new_rows_are_not_read(fitted):
    x, y = place(0.5, 2)
    bare = source_free(fitted, Views({"x": x}), epochs=2)
    told = Views({"x": x}, y={"kind": y}, domain=["a", "b"] * 150, key=np.arange(300) // 2)
    for name, tensor in source_free(fitted, told, epochs=2).module_.state_dict().items():
        assert torch.equal(tensor, bare.module_.state_dict()[name])


def test_missing_cells_fusion_and_saving(tmp_path):
    x, y = place(0, 1)
    towers = {"x": MLP((32,)), "z": MLP((32,))}
    holes = np.arange(300) % 4 == 0
    whole = Views({"x": x, "z": x[:, ::-1].copy()}, y={"kind": y})
    views = whole.replace(columns={"x": whole["x"].without(holes), "z": whole["z"].without(~holes)})
    model = FusionClassifier(towers, fusion=ConcatFusion(), **QUICK).fit(views)
    adapted = source_free(model, views.select("x"), epochs=2, objective=MinimumClassConfusion())
    adapted.save(tmp_path / "model")
    np.testing.assert_array_equal(bouba.load(tmp_path / "model").predict_proba(views), adapted.predict_proba(views))
    assert np.mean(adapted.predict(views) == y) > 0.8


def test_refusals(fitted):
    x, _ = place(0, 1)
    with pytest.raises(UsageError, match="Learner predicts no class, and by classes it would adapt"):
        source_free(Learner(objective=NTXent(), dim=4, epochs=1).fit(Views({"x": x})), Views({"x": x}))
    with pytest.raises(UsageError, match="CCA predicts no class"):
        source_free(CCA(1).fit([x, x]), Views({"x": x}))
    with pytest.raises(DataError, match="7 rows have a view that the model reads; 16 or more are needed to adapt"):
        source_free(fitted, Views({"x": x[:7]}))
