"""Minimum class confusion, the term and its function."""

import doctest
import importlib
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bouba import MLP, Learner, Views
from bouba.batch import Batch
from bouba.errors import DataError, UsageError
from bouba.terms import MinimumClassConfusion, Prediction, Space, minimum_class_confusion

SPACE = Space({"a": 4}, classes={"kind": ("x", "y", "z")}, predicted=("kind",))


def predictions(n=6, classes=3, seed=0):
    draw = torch.Generator().manual_seed(seed)
    return (2 * torch.randn(n, classes, generator=draw, dtype=torch.float64)).log_softmax(1)


def by_the_book(log_p, temperature):
    """Equations 2 to 8 of the paper, number by number."""
    rows, k = [], log_p.shape[1]
    for row in log_p.tolist():
        powers = [math.exp(v / temperature) for v in row]
        rows.append([v / sum(powers) for v in powers])
    weights = [1 + math.exp(sum(v * math.log(v) for v in row)) for row in rows]
    weights = [len(rows) * w / sum(weights) for w in weights]
    c = [[sum(w * r[i] * r[j] for w, r in zip(weights, rows)) for j in range(k)] for i in range(k)]
    return sum(c[i][j] / sum(c[i]) for i in range(k) for j in range(k) if i != j) / k


@pytest.mark.parametrize("temperature", [1.0, 2.5])
def test_definition(temperature):
    log_p = predictions()
    value = minimum_class_confusion(log_p, temperature=temperature).item()
    assert value == pytest.approx(by_the_book(log_p, temperature), abs=1e-12)


@given(st.integers(2, 6), st.integers(1, 9), st.integers(0, 99))
@settings(deadline=None)
def test_law_it_lies_between_0_and_1_and_reads_no_names_and_no_order(classes, rows, seed):
    log_p = predictions(rows, classes, seed)
    value = minimum_class_confusion(log_p).item()
    assert 0 <= value <= 1
    draw = torch.Generator().manual_seed(seed)
    mixed = log_p[torch.randperm(rows, generator=draw)][:, torch.randperm(classes, generator=draw)]
    assert minimum_class_confusion(mixed).item() == pytest.approx(value, abs=1e-9)


def test_law_sure_rows_cost_nothing_whatever_their_shares_and_unsure_ones_the_most():
    sure = (torch.eye(3) * 200).log_softmax(1)
    assert minimum_class_confusion(sure[[0, 0, 1, 2]]).item() == pytest.approx(0, abs=1e-6)
    assert minimum_class_confusion(torch.zeros(5, 4).log_softmax(1)).item() == pytest.approx(0.75)


def test_term_reads_rows_with_a_view_and_without_a_class():
    log_p = predictions(5).requires_grad_()
    batch = Batch(
        {},
        {"a": torch.tensor([True, True, True, True, False])},
        torch.arange(5),
        z={"a": torch.randn(5, 4)},
        y={"kind": torch.tensor([-1, -1, 0, 2, -1])},
        predicted={"kind": log_p},
    )
    term = MinimumClassConfusion()
    value, parts = term.loss(batch, term.state(SPACE))
    assert value.item() == pytest.approx(by_the_book(log_p[:2].detach(), 2.5), abs=1e-9)
    assert parts["confused.kind"].item() == pytest.approx(value.item())
    value.backward()
    assert (log_p.grad.abs().sum(1) > 0).tolist() == [True, True, False, False, False]


def moved(seed, n=300):
    """Four clusters in eight columns; in the target each has moved by a way of its own, and all by one."""
    random = np.random.default_rng(seed)
    y, y_target = random.integers(0, 4, (2, n))
    centres, ways = 2 * random.normal(size=(4, 8)), random.normal(size=(4, 8)) + 1.5
    x, x_target = (c + 0.5 * random.normal(size=(n, 8)) for c in (centres[y], (centres + ways)[y_target]))
    label = np.concatenate([y.astype(str).astype(object), np.full(n, None)])
    views = Views({"x": np.vstack([x, x_target])}, y={"kind": label}, domain=["a"] * n + ["b"] * n)
    return views, Views({"x": x_target}), y_target.astype(str)


def test_recovery_it_beats_the_source_alone():
    gains = []
    for seed in range(3):
        views, there, truth = moved(seed)
        scores = []
        for objective in (Prediction(), Prediction() + MinimumClassConfusion()):
            model = Learner({"x": MLP((32,))}, objective, dim=8, epochs=15, random_state=seed).fit(views, target="b")
            scores.append(np.mean(model.predict(there)["kind"] == truth))
        gains.append(scores[1] - scores[0])
    assert np.mean(gains) > 0.04
    assert min(gains) > -0.05


def test_refusals():
    with pytest.raises(UsageError, match=r"needs log probabilities \(B, K\), K >= 2, got \(3, 1\)"):
        minimum_class_confusion(torch.zeros(3, 1))
    with pytest.raises(UsageError, match="temperature must be one finite number above 0, got 0"):
        minimum_class_confusion(predictions(), temperature=0)
    with pytest.raises(DataError, match="log_p holds NaN or infinity in 1 of 6 rows, first in row 2"):
        minimum_class_confusion(predictions().index_fill(0, torch.tensor(2), torch.nan))
    with pytest.raises(UsageError, match="temperature must be one finite number above 0, got -1"):
        MinimumClassConfusion(temperature=-1).state(SPACE)
    with pytest.raises(UsageError, match="reads class probabilities, and nothing predicts any"):
        MinimumClassConfusion().state(Space({"a": 4}))


def test_examples():
    assert doctest.testmod(importlib.import_module("bouba.terms.minimum_class_confusion")).failed == 0
