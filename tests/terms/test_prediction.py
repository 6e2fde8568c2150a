"""Prediction: cross-entropy and squared error by explicit loops, missing labels and views, weights, refusals."""

import math

import pytest
import torch

from bouba.batch import Batch
from bouba.errors import UsageError
from bouba.terms import Prediction, Space
from bouba.terms.prediction import Heads

KINDS = ("x", "y", "z")
SPACE = Space(
    {"a": 4, "b": 4},
    classes={"kind": KINDS},
    fused=4,
    numbers=("size",),
    shares={"kind": (0.5, 0.3, 0.2)},
)


def a_batch(size=9, seed=0):
    draw = torch.Generator().manual_seed(seed)
    here = {view: torch.rand(size, generator=draw) < 0.6 for view in SPACE.dims}
    z = {view: torch.randn(size, 4, generator=draw).requires_grad_() for view in SPACE.dims}
    size_y = torch.randn(size, generator=draw)
    size_y[::3] = torch.nan
    y = {"kind": torch.randint(-1, 3, (size,), generator=draw), "size": size_y}
    fused = torch.randn(size, 4, generator=draw).requires_grad_()
    return Batch({}, here, torch.arange(size), z=z, fused=fused, y=y)


def state_of(term, space=SPACE) -> Heads:
    torch.manual_seed(1)
    return term.state(space)


def cross_entropy(logits, code, smoothing=0.0):
    log_p = [float(v) - math.log(sum(math.exp(float(u)) for u in logits)) for v in logits]
    return -(1 - smoothing) * log_p[code] - smoothing * sum(log_p) / len(log_p)


def test_it_is_cross_entropy_and_squared_error_of_the_fused_vector():
    batch, term = a_batch(), Prediction(smoothing=0.1)
    state = state_of(term)
    value, parts = term.loss(batch, state)
    heads = state.heads["fused"]
    rows = [i for i in range(9) if batch.any_present[i]]
    known = [i for i in rows if batch.y["kind"][i] >= 0]
    kind = sum(cross_entropy(heads["kind"](batch.fused[i]), int(batch.y["kind"][i]), 0.1) for i in known) / len(known)
    told = [i for i in rows if not batch.y["size"][i].isnan()]
    size = sum(float(heads["size"](batch.fused[i])[0] - batch.y["size"][i]) ** 2 for i in told) / len(told)
    assert float(value) == pytest.approx(kind + size, rel=1e-5)
    right = [int(heads["kind"](batch.fused[i]).argmax()) == int(batch.y["kind"][i]) for i in known]
    assert float(parts["accuracy.kind"]) == pytest.approx(sum(right) / len(right))


def test_apart_it_is_the_mean_over_views_of_each_by_itself():
    batch, term = a_batch(), Prediction(("kind",), apart=True)
    state = state_of(term)
    wanted = []
    for view in ("a", "b"):
        rows = [i for i in range(9) if batch.present[view][i] and batch.y["kind"][i] >= 0]
        logits = [state.heads[view]["kind"](batch.z[view][i]) for i in rows]
        wanted.append(sum(cross_entropy(v, int(batch.y["kind"][i])) for v, i in zip(logits, rows)) / len(rows))
    assert float(term.loss(batch, state)[0]) == pytest.approx(sum(wanted) / 2, rel=1e-5)


def test_without_fusion_predictions_are_averaged_over_the_views_there_are():
    batch, term = a_batch(), Prediction()
    state = state_of(term, SPACE.unfused())
    found = term.predict(batch, state)
    for i in range(9):
        there = [view for view in "ab" if batch.present[view][i]]
        p = [state.heads[view]["kind"](batch.z[view][i]).softmax(0) for view in there]
        wanted = sum(p) / len(p) if p else torch.tensor(SPACE.shares["kind"])
        torch.testing.assert_close(found["kind"][i].exp(), wanted)
        s = [state.heads[view]["size"](batch.z[view][i])[0] for view in there]
        assert float(found["size"][i]) == pytest.approx(float(sum(s) / len(s)) if s else 0.0, abs=1e-6)


def test_missing_views_and_labels_change_nothing():
    for term in (Prediction(), Prediction(apart=True)):
        batch = a_batch()
        state = state_of(term)
        value, _ = term.loss(batch, state)
        spoilt = batch.replace(
            z={v: torch.where(batch.present[v][:, None], z, torch.nan) for v, z in batch.z.items()},
            fused=torch.where(batch.any_present[:, None], batch.fused, torch.nan),
        )
        torch.testing.assert_close(term.loss(spoilt, state)[0], value)
        unlabelled = batch.replace(y={"kind": torch.full((9,), -1), "size": torch.full((9,), torch.nan)})
        assert term.loss(unlabelled, state) == (None, {})


def test_balanced_weights_make_classes_count_alike():
    term = Prediction(("kind",), class_weight="balanced")
    state = state_of(term)
    weight = state.weight("kind")
    torch.testing.assert_close(weight * torch.tensor(SPACE.shares["kind"]), torch.full((3,), 1 / 3))
    batch = a_batch(40)
    value, _ = term.loss(batch, state)
    rows = [i for i in range(40) if batch.any_present[i] and batch.y["kind"][i] >= 0]
    head = state.heads["fused"]["kind"]
    w = [float(weight[batch.y["kind"][i]]) for i in rows]
    costs = [cross_entropy(head(batch.fused[i]), int(batch.y["kind"][i])) for i in rows]
    assert float(value) == pytest.approx(sum(a * b for a, b in zip(w, costs)) / sum(w), rel=1e-5)
    given = state_of(Prediction(("kind",), class_weight=(("y", 3.0),)))
    assert given.weight("kind").tolist() == [1.0, 3.0, 1.0]


def test_uncertainty_weighting_is_its_formula_and_finds_the_variance():
    batch, term = a_batch(), Prediction(weighting="uncertainty")
    state = state_of(term)
    with torch.no_grad():
        state.log_variance.copy_(torch.tensor([0.7, -0.4]))
    kind = float(Prediction(("kind",)).loss(batch, state_of_labels(state, "kind"))[0])
    size = float(Prediction(("size",)).loss(batch, state_of_labels(state, "size"))[0])
    wanted = math.exp(-0.7) * kind + 0.35 + 0.5 * math.exp(0.4) * size - 0.2
    assert float(term.loss(batch, state)[0]) == pytest.approx(wanted, rel=1e-5)
    optimizer = torch.optim.Adam([state.log_variance], 0.05)
    for _ in range(400):  # the minimum over s of exp(-s) size / 2 + s / 2 is at exp(s) = size
        optimizer.zero_grad()
        term.loss(batch, state)[0].backward()
        optimizer.step()
    assert math.exp(float(state.log_variance[1])) == pytest.approx(size, rel=1e-3)


def state_of_labels(state: Heads, label: str) -> Heads:
    """The same heads for one label."""
    return Heads(state.heads, state.space, (label,), {})


def test_refusals():
    with pytest.raises(UsageError, match="labels is a tuple of names, got 'kind'"):
        Prediction("kind")
    with pytest.raises(UsageError, match="no weighting 'none'"):
        Prediction(weighting="none")
    with pytest.raises(UsageError, match=r"smoothing lies in \[0, 1\), got 1"):
        Prediction(smoothing=1)
    with pytest.raises(UsageError, match="no such label column; did you mean 'kind'"):
        Prediction(("kin",)).state(SPACE)
    with pytest.raises(UsageError, match="needs a label column"):
        Prediction().state(Space({"a": 4}))
    with pytest.raises(UsageError, match="has 1 class in training"):
        Prediction().state(Space({"a": 4}, classes={"kind": ("x",)}))
    with pytest.raises(UsageError, match="class_weight of 'kind' names 'q'"):
        Prediction(("kind",), class_weight=(("q", 1.0),)).state(SPACE)
    with pytest.raises(UsageError, match='class_weight is "balanced"'):
        Prediction(("kind",), class_weight="even").state(SPACE)
