"""Entropy, the term and its function."""

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
from bouba.terms import Entropy, Prediction, Space, entropy

SPACE = Space({"a": 4}, classes={"kind": ("x", "y", "z"), "size": ("s", "l")}, predicted=("kind", "size"))


def predictions(n=6, classes=3, seed=0):
    draw = torch.Generator().manual_seed(seed)
    return (2 * torch.randn(n, classes, generator=draw, dtype=torch.float64)).log_softmax(1)


def by_the_book(log_p, diversity):
    rows = [[math.exp(v) for v in row] for row in log_p.tolist()]
    of = lambda p: -sum(v * math.log(v) for v in p)  # noqa: E731
    mean = [sum(row[c] for row in rows) / len(rows) for c in range(len(rows[0]))]
    return sum(map(of, rows)) / len(rows) + diversity * (math.log(len(mean)) - of(mean))


@pytest.mark.parametrize("diversity", [0.0, 1.0, 0.3])
def test_definition(diversity):
    log_p = predictions()
    assert entropy(log_p, diversity=diversity).item() == pytest.approx(by_the_book(log_p, diversity), abs=1e-12)


@given(st.integers(2, 6), st.integers(1, 9), st.integers(0, 99))
@settings(deadline=None)
def test_law_it_lies_between_nothing_and_twice_ln_c_and_reads_no_names(classes, rows, seed):
    log_p = predictions(rows, classes, seed)
    value = entropy(log_p, diversity=1.0).item()
    assert -1e-12 <= value <= math.log(classes) + 1e-9  # mean H - H(mean) is 0 or less, by Jensen
    renamed = log_p[:, torch.randperm(classes, generator=torch.Generator().manual_seed(seed))]
    assert entropy(renamed, diversity=1.0).item() == pytest.approx(value, abs=1e-9)


def test_law_sure_and_equal_costs_nothing_and_one_class_for_all_costs_ln_c():
    sure = (torch.eye(3) * 50).log_softmax(1)
    assert entropy(sure, diversity=1.0).item() == pytest.approx(0, abs=1e-6)
    assert entropy(sure[[0, 0, 0]], diversity=1.0).item() == pytest.approx(math.log(3), abs=1e-5)
    assert entropy(sure[[0, 0, 0]]).item() == pytest.approx(0, abs=1e-6)


def a_batch(y, present, predicted, **more):
    rows = len(present)
    z = {"a": torch.randn(rows, 4, requires_grad=True)}
    return Batch({}, {"a": torch.tensor(present)}, torch.arange(rows), z=z, y=y, predicted=predicted, **more)


def test_term_reads_rows_with_a_view_and_without_a_class_and_averages_labels():
    kind, size = predictions(5).requires_grad_(), predictions(5, 2, seed=1).requires_grad_()
    y = {"kind": torch.tensor([-1, -1, 0, 2, -1])}
    batch = a_batch(y, [True, True, True, True, False], {"kind": kind, "size": size})
    term = Entropy(diversity=0.5)
    value, parts = term.loss(batch, term.state(SPACE))
    book = (by_the_book(kind[:2], 0.5) + by_the_book(size[:4], 0.5)) / 2  # of size no row has a class
    assert value.item() == pytest.approx(book, abs=1e-6)
    assert parts["unsure.kind"].item() == pytest.approx(by_the_book(kind[:2], 0.0) / math.log(3), abs=1e-9)
    assert parts["diverse.size"].item() == pytest.approx(
        1 - (by_the_book(size[:4], 1.0) - by_the_book(size[:4], 0.0)) / math.log(2), abs=1e-9
    )
    value.backward()
    assert (kind.grad.abs().sum(1) > 0).tolist() == [True, True, False, False, False]


def turned(seed, n=300):
    """Three clusters on a circle; in the target they stand near the border between source clusters."""
    random = np.random.default_rng(seed)
    code, domain = random.integers(0, 3, 2 * n), np.repeat(["source", "target"], n).astype(object)
    angle = 2 * np.pi * code / 3 + np.where(domain == "target", 0.75, 0.0)
    x = 3 * np.stack([np.cos(angle), np.sin(angle)], 1) + 0.5 * random.normal(size=(2 * n, 2))
    return Views({"x": x}, y={"kind": np.array(list("xyz"), dtype=object)[code]}, domain=domain)


def test_recovery_borders_move_to_the_gaps_of_the_target():
    gains = []
    for seed in range(3):
        views = turned(seed)
        target = views[views.domain == "target"]
        quick = {"epochs": 20, "dim": 8, "batch_size": 100, "lr": 5e-3, "random_state": seed}
        plain = Learner({"x": MLP((64,))}, Prediction(), **quick).fit(views[views.domain == "source"])
        sure = Learner({"x": MLP((64,))}, Prediction() + Entropy(), **quick).fit(views, target="target")
        before, after = (np.mean(m.predict(target)["kind"] == target.y["kind"]) for m in (plain, sure))
        gains.append(after - before)
    assert min(gains) > 0.03


def test_refusals():
    with pytest.raises(UsageError, match="Entropy reads class probabilities, and nothing predicts any; add Prediction"):
        Entropy().state(Space({"a": 3}, classes={"kind": ("x", "y")}))
    with pytest.raises(UsageError, match="of 'knd', and no Prediction predicts them; did you mean 'kind'"):
        Entropy(("knd",)).state(SPACE)
    with pytest.raises(UsageError, match=r"Entropy labels is a tuple of names, got 'kind'; write \('kind',\)"):
        Entropy("kind").state(SPACE)
    with pytest.raises(UsageError, match="diversity is a weight of 0 or more, got -1"):
        Entropy(diversity=-1).state(SPACE)
    with pytest.raises(UsageError, match=r"log probabilities \(B, C\) with B >= 1, got \(0, 3\)"):
        entropy(predictions(0))
    broken = predictions()
    broken[2, 1] = math.nan
    with pytest.raises(DataError, match="log_p holds NaN or infinity in 1 of 6 rows, first in row 2"):
        entropy(broken)
    with pytest.raises(UsageError, match="add Prediction"):
        Learner({"x": MLP()}, Entropy(), epochs=1).fit(Views({"x": np.eye(8)}))


def test_examples():
    assert doctest.testmod(importlib.import_module("bouba.terms.entropy")).failed == 0
