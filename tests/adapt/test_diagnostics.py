"""How far domains lie apart, before and after, and what it cost on the source."""

import json
import warnings

import numpy as np
import pytest
import torch

from bouba import MLP, ConvNet, Learner, SimCLR, Views
from bouba.adapt import diagnose
from bouba.adapt.diagnostics import mmd_test
from bouba.data.views import Column
from bouba.errors import DataError
from bouba.metrics import proxy_a_distance
from bouba.terms import MMD, Prediction
from bouba.terms.mmd import mmd


class Scaled:
    """An embedding that keeps some coordinates of view "x"; predicts class 1 where they add up to more than 0."""

    def __init__(self, *weights):
        self.kinds_ = {"x": "vector"}
        self.weights = np.array(weights, float)

    def embed(self, X):
        return {"x": np.stack(list(X["x"])) * self.weights}

    def predict(self, X):
        return (self.embed(X)["x"].sum(1) > 0).astype(int)

    def predict_proba(self, X):
        return np.eye(2)[self.predict(X)]


def domains(n=300, seed=0):
    """Column 0 tells the class; column 1 is shifted in the target and column 2 is noise."""
    random = np.random.default_rng(seed)
    x = random.normal(size=(2 * n, 3))
    y = (x[:, 0] > 0).astype(int)
    x[n:, 1] += 5
    return Views({"x": x}, y={"class": y}, domain=["a"] * n + ["b"] * n)


@pytest.mark.parametrize(("n", "m"), [(20, 20), (9, 31)])
def test_definition_mmd_is_that_of_the_terms_and_p_counts_splits(n, m):
    random = np.random.default_rng(n)
    a, b = random.normal(size=(n, 4)), random.normal(size=(m, 4)) + 0.3
    value, p = mmd_test(a, b, permutations=50, random_state=3)
    assert value == pytest.approx(mmd(torch.tensor(a), torch.tensor(b), kernel="multi").item(), abs=1e-10)
    pooled, random, larger = np.concatenate([a, b]), np.random.default_rng(3), 1
    scale = torch.pdist(torch.tensor(pooled)).square().median().item()
    widths = tuple(np.sqrt(scale * share) for share in (0.25, 0.5, 1, 2, 4))
    for _ in range(50):
        order = random.permutation(n + m)
        first, second = (torch.tensor(pooled[np.sort(order[part])]) for part in (slice(n), slice(n, None)))
        larger += mmd(first, second, kernel="multi", bandwidths=widths).item() >= value
    assert p == pytest.approx(larger / 51)


def test_law_p_is_uniform_without_a_shift():
    """Of 80 pairs of equal samples about one in ten has p < 0.1; 20 or more has probability 1e-4."""
    random = np.random.default_rng(0)
    p = np.array([mmd_test(*random.normal(size=(2, 30, 3)), permutations=60, random_state=i)[1] for i in range(80)])
    assert (p < 0.1).sum() < 20
    assert 0.35 < p.mean() < 0.65


def test_definition_of_the_distances_before_and_after():
    views = domains()
    before, after = Scaled(1, 1, 1), Scaled(1, 0, 1)
    found = diagnose(after, views, target="b", before=before)
    assert [(s.view, s.space, s.source, s.target) for s in found.shifts] == [
        ("x", "before", 300, 300),
        ("x", "after", 300, 300),
    ]
    far, near = found.shifts
    assert far.a_distance > 1.5 > 0.4 > near.a_distance
    assert far.mmd > 0.1 > 0.01 > near.mmd
    assert far.p < 0.01 < near.p
    x = before.embed(views)["x"]
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    assert far.a_distance == pytest.approx(proxy_a_distance(unit[:300], unit[300:]), abs=0.1)
    said = str(found).splitlines()
    assert said[0].split() == ["view", "space", "A-distance", "MMD^2", "p", "source", "target"]
    assert said[-1].startswith("accuracy on the source: ")
    assert json.loads(json.dumps(found.to_dict()))["shifts"][1]["space"] == "after"


def test_a_loss_on_the_source_warns_and_a_gain_does_not():
    views = domains()
    good, poor = Scaled(1, 0, 0), Scaled(1, 0, 4)
    with pytest.warns(
        UserWarning, match=r"on the source this model scores 0\.\d+, the one before 1\.000 .*lower its w"
    ):
        found = diagnose(poor, views, target="b", before=good)
    right = np.mean(poor.predict(views)[:300] == views.y["class"][:300])
    assert found.source_score == pytest.approx(right)
    assert found.before_score == 1.0
    assert found.lost[0] < 1 - right < found.lost[1]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        diagnose(good, views, target="b", before=poor)
        diagnose(good, views, target="b", before=Scaled(2, 0, 0))


def test_recovery_mmd_training_brings_domains_together():
    """Raw numbers of a bouba model stand for before; the class is not told by what shifts."""
    views = domains(200)
    plain = Learner(objective=Prediction(), epochs=12, dim=8, lr=5e-3, batch_size=64).fit(views, target="b")
    adapted = Learner(objective=Prediction() + 3 * MMD(), epochs=12, dim=8, lr=5e-3, batch_size=64)
    found = diagnose(adapted.fit(views, target="b"), views, target="b", before=plain)
    far, near = found.shifts
    assert near.mmd < far.mmd / 2
    raw = diagnose(plain, views, target="b")
    assert [s.space for s in raw.shifts] == ["raw", "after"]
    assert raw.shifts[0].a_distance > 1.8
    assert raw.shifts[1].mmd == pytest.approx(far.mmd)
    assert raw.before_score is None


def test_law_labels_of_the_target_change_nothing():
    views = domains(60)
    y = views.y["class"].copy()
    y[60:] = 1 - y[60:]
    model = Scaled(1, 1, 0)
    assert diagnose(model, views, target="b") == diagnose(model, views.replace(y={"class": y}), target="b")


def test_raw_pictures_are_compared_as_a_decoder_sees_them():
    shown = [np.full((8, 8, 3), 20 * (i % 2) + (120 if i < 12 else 30) + i, np.uint8) for i in range(24)]
    views = Views({"p": Column.of(shown, "image")}, y={"class": np.arange(24) % 2}, domain=["a"] * 12 + ["b"] * 12)
    towers = {"p": ConvNet(size=8, channels=2, augment=None)}
    model = Learner(towers, Prediction(), epochs=1, dim=4).fit(views)
    raw = diagnose(model, views, target="b", permutations=40).shifts[0]
    assert raw.space == "raw"
    assert raw.a_distance == 2.0
    assert raw.p == pytest.approx(1 / 41)


def test_refusals():
    views = domains(20)
    with pytest.raises(DataError, match="no domain 'c'"):
        diagnose(Scaled(1, 1, 1), views, target="c")
    with pytest.raises(DataError, match="no view has two cells or more in the target 'b' and in the source"):
        diagnose(Scaled(1, 1, 1), views[:21], target="b")


def test_several_labels_are_judged_together_and_numbers_are_not():
    views = domains(60)
    x = np.stack(list(views["x"]))
    views = views.replace(y={**views.y, "other": (x[:, 2] > 0).astype(int), "size": x[:, 0]})
    model = Learner(objective=Prediction(("class", "other", "size")), dim=4, epochs=2).fit(views, target="b")
    source = views[views.domain == "a"]
    found = model.predict(source)
    each = [np.mean(found[label] == source.y[label]) for label in ("class", "other")]
    assert diagnose(model, views, target="b").source_score == pytest.approx(np.mean(each))
    of_numbers = Learner(objective=Prediction(("size",)), dim=4, epochs=2).fit(views, target="b")
    found = diagnose(of_numbers, views, target="b")
    assert found.source_score is None
    assert len(found.shifts) == 2, "distances are told all the same"
    assert "on the source" not in str(found)
    apart = SimCLR({"x": MLP(noise=0.1), "w": MLP(noise=0.1)}, dim=4, epochs=1)
    both = views.replace(columns={"x": views["x"], "w": views["x"]})
    assert diagnose(apart.fit(both, target="b"), both, target="b").source_score is None, "no space in common"
