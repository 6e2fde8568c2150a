"""SelfTraining, the term and its function."""

import doctest
import importlib
import math

import numpy as np
import pytest
import torch

from bouba import MLP, Learner, Views
from bouba.batch import Batch
from bouba.errors import DataError, UsageError
from bouba.terms import Prediction, SelfTraining, Space, self_training

SPACE = Space({"a": 4}, classes={"kind": ("x", "y", "z")}, predicted=("kind",))


def predictions(n=6, seed=0):
    draw = torch.Generator().manual_seed(seed)
    return (2 * torch.randn(n, 3, generator=draw, dtype=torch.float64)).log_softmax(1)


def by_the_book(student, teacher, threshold):
    total = 0.0
    for p, q in zip(student.tolist(), teacher.tolist()):
        best = max(range(3), key=lambda c: q[c])
        total += -p[best] if math.exp(q[best]) >= threshold else 0.0
    return total / len(student)


@pytest.mark.parametrize("threshold", [0.0, 0.6, 0.8, 1.0])
def test_definition(threshold):
    student, teacher = predictions(20, 0), predictions(20, 1)
    value, used = self_training(student, teacher, threshold=threshold)
    assert value.item() == pytest.approx(by_the_book(student, teacher, threshold), abs=1e-12)
    assert used.tolist() == [max(row) >= threshold for row in teacher.exp().tolist()]


def test_law_the_teacher_gets_no_gradient_and_rows_in_doubt_teach_nothing():
    student, teacher = predictions(20, 0).requires_grad_(), predictions(20, 1).requires_grad_()
    value, used = self_training(student, teacher, threshold=0.7)
    value.backward()
    assert teacher.grad is None
    assert 0 < used.sum() < 20
    assert ((student.grad != 0).any(1) == used).all()


def a_batch(predicted, twin, y, present):
    rows = len(present)
    z = {"a": torch.randn(rows, 4, requires_grad=True)}
    twins = {"a": torch.randn(rows, 4, requires_grad=True)}
    said = {"predicted": {"kind": predicted}, "predicted_twin": {"kind": twin}}
    here = {"a": torch.tensor(present)}
    return Batch({}, here, torch.arange(rows), z=z, twin=twins, y={"kind": torch.tensor(y)}, **said)


@pytest.mark.parametrize("twins", [True, False])
def test_term_reads_rows_with_a_view_and_without_a_class(twins):
    one, two = predictions(5, 0), predictions(5, 1)
    batch = a_batch(one, two, [-1, -1, 1, -1, -1], [True, True, True, True, False])
    term = SelfTraining(threshold=0.5, twins=twins)
    value, parts = term.loss(batch, term.state(SPACE))
    rows = [0, 1, 3]
    assert value.item() == pytest.approx(by_the_book((two if twins else one)[rows], one[rows], 0.5), abs=1e-6)
    assert parts["used.kind"].item() == pytest.approx(np.mean((one[rows].exp().max(1).values >= 0.5).numpy()))
    assert term.needs().twins is twins


def arms(seed, n=300):
    """Two arms of a spiral; the labels stand near its middle."""
    random = np.random.default_rng(seed)
    code, along = np.arange(n) % 2, random.uniform(0.3, 1.0, n)
    angle = 3.5 * along + np.pi * code
    x = np.stack([along * np.cos(angle), along * np.sin(angle)], 1) * 3 + 0.08 * random.normal(size=(n, 2))
    y = np.where(along < 0.45, np.array(["in", "out"], dtype=object)[code], None)
    return Views({"x": x}, y={"kind": y}), np.array(["in", "out"])[code]


@pytest.mark.parametrize("twins", [True, False])
def test_recovery_labels_spread_along_the_arms(twins):
    gains = []
    for seed in range(3):
        views, truth = arms(seed)
        quick = {"epochs": 40, "dim": 8, "batch_size": 300, "lr": 1e-2, "random_state": seed}
        right = []
        for weight in (0.0, 1.0):
            objective = Prediction() + weight * SelfTraining(threshold=0.8, twins=twins)
            model = Learner({"x": MLP((64,))}, objective, **quick).fit(views)
            right.append(np.mean(model.predict(views)["kind"] == truth))
        gains.append(right[1] - right[0])
    assert min(gains) > 0.02


def test_refusals():
    with pytest.raises(UsageError, match="SelfTraining reads class probabilities, and nothing predicts any"):
        SelfTraining().state(Space({"a": 3}))
    with pytest.raises(UsageError, match=r"threshold is a probability in \[0, 1\], got 95"):
        SelfTraining(threshold=95).state(SPACE)
    alone = a_batch(predictions(2), predictions(2), [-1, -1], [True, True]).replace(twin={})
    with pytest.raises(UsageError, match="SelfTraining compares a batch with its twins, and this one has none"):
        SelfTraining().loss(alone, None)
    with pytest.raises(UsageError, match=r"of one shape \(B, C\) with B >= 1, got \(6, 3\) and \(5, 3\)"):
        self_training(predictions(6), predictions(5))
    broken = predictions()
    broken[4] = math.inf
    with pytest.raises(DataError, match="teacher holds NaN or infinity in 1 of 6 rows, first in row 4"):
        self_training(predictions(), broken)


def test_examples():
    assert doctest.testmod(importlib.import_module("bouba.terms.self_training")).failed == 0
