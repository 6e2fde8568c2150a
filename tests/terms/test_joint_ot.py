"""Joint transport, the term and its function."""

import doctest
import importlib
from itertools import permutations

import numpy as np
import pytest
import torch

from bouba import MLP, Learner, Views
from bouba.batch import Batch
from bouba.errors import DataError, ModalityError, UsageError
from bouba.terms import JointOT, Prediction, Space, joint_ot

SPACE = Space({"a": 4}, classes={"kind": ("x", "y", "z")}, predicted=("kind",))


def drawn(n=5, m=5, seed=0):
    draw = torch.Generator().manual_seed(seed)
    z, z_target = torch.randn(n, 4, generator=draw), torch.randn(m, 4, generator=draw)
    y = torch.randint(3, (n,), generator=draw)
    return z, y, z_target, torch.randn(m, 3, generator=draw).log_softmax(1)


def costs(z, y, z_target, log_p, features, classes):
    u, v = (rows / rows.norm(dim=1, keepdim=True) for rows in (z, z_target))
    return [
        [features * float((a - b).square().sum()) - classes * float(p[c]) for b, p in zip(v, log_p)]
        for a, c in zip(u, y)
    ]


def test_definition_a_sharp_plan_is_the_cheapest_matching():
    rows = drawn()
    c = costs(*rows, 0.5, 2.0)
    best = min(sum(c[i][j] for i, j in enumerate(p)) / 5 for p in permutations(range(5)))
    assert joint_ot(*rows, features=0.5, classes=2.0, sharpness=0.01).item() == pytest.approx(
        best + 0.01 * np.log(5), rel=0.02
    )


def test_definition_no_gradient_passes_through_the_plan():
    z, y, z_target, log_p = drawn()
    log_p.requires_grad_()
    joint_ot(z, y, z_target, log_p, sharpness=0.3).backward()
    assert -log_p.grad.sum().item() == pytest.approx(1, abs=1e-5)  # every unit of mass has one cross-entropy
    assert (log_p.grad <= 0).all()


def test_law_order_length_and_a_rotation_of_both_change_nothing():
    z, y, z_target, log_p = drawn(6, 4)
    value = joint_ot(z, y, z_target, log_p).item()
    turn, _ = torch.linalg.qr(torch.randn(4, 4, generator=torch.Generator().manual_seed(1)))
    i, j = torch.randperm(6), torch.randperm(4)
    assert joint_ot(3 * z[i] @ turn, y[i], z_target[j] @ turn, log_p[j]).item() == pytest.approx(value, abs=1e-4)


def test_term_matches_labelled_rows_with_the_others():
    z, y, z_target, log_p = drawn(3, 2)
    batch = Batch(
        {},
        {"a": torch.tensor([True] * 5 + [False])},
        torch.arange(6),
        z={"a": torch.cat([z, z_target, torch.zeros(1, 4)])},
        y={"kind": torch.cat([y, torch.tensor([-1, -1, -1])])},
        predicted={"kind": torch.cat([torch.zeros(3, 3), log_p, torch.zeros(1, 3)])},
    )
    term = JointOT(features=0.7)
    value, parts = term.loss(batch, term.state(SPACE))
    assert value.item() == pytest.approx(joint_ot(z, y, z_target, log_p, features=0.7).item())
    assert parts["carried.a.kind"].item() == value.item()
    assert term.loss(batch.replace(y={"kind": torch.full((6,), -1)}), term.state(SPACE)) == (None, {})


def turned(seed, turn, shares=None, n=300):
    """Three clusters on a circle, which turns in the target."""
    random = np.random.default_rng(seed)
    y, y_target = random.integers(0, 3, n), random.choice(3, n, p=shares)
    on = lambda codes, by: np.stack([np.cos(2.1 * codes + by), np.sin(2.1 * codes + by)], 1)  # noqa: E731
    x, x_target = (c + 0.15 * random.normal(size=(n, 2)) for c in (on(y, 0.0), on(y_target, turn)))
    label = np.concatenate([y.astype(str).astype(object), np.full(n, None)])
    views = Views({"x": np.vstack([x, x_target])}, y={"kind": label}, domain=["a"] * n + ["b"] * n)
    return views, Views({"x": x_target}), y_target.astype(str)


def gains(turn, shares=None):
    """Accuracy on the target over that of the source alone, by seed."""
    gained = []
    for seed in range(3):
        views, there, truth = turned(seed, turn, shares)
        scores = []
        for objective in (Prediction(), Prediction() + JointOT()):
            model = Learner({"x": MLP((32,))}, objective, dim=8, epochs=15, random_state=seed).fit(views, target="b")
            scores.append(np.mean(model.predict(there)["kind"] == truth))
        gained.append(scores[1] - scores[0])
    return gained


def test_recovery_it_beats_the_source_alone():
    assert np.mean(gains(0.8)) > 0.05


def test_other_shares_of_classes_do_harm():
    """What the docstring warns of: equal mass carries rows of the frequent class onto the rare one."""
    assert min(gains(0.6, shares=[0.6, 0.3, 0.1])) < -0.1


def test_refusals():
    z, y, z_target, log_p = drawn()
    with pytest.raises(
        UsageError, match=r"joint_ot needs rows \(n, d\) and \(m, d\), n and m >= 1, got \(5, 4\) and \(5, 3"
    ):
        joint_ot(z, y, z_target[:, :3], log_p)
    with pytest.raises(UsageError, match=r"joint_ot needs codes \(n,\) and log probabilities \(m, K\), got \(4,\)"):
        joint_ot(z, y[1:], z_target, log_p)
    with pytest.raises(UsageError, match="features and classes are weights of 0 or more, one above, got 0 and 0"):
        joint_ot(z, y, z_target, log_p, features=0, classes=0)
    with pytest.raises(UsageError, match="sharpness must be one finite number above 0, got 0"):
        JointOT(sharpness=0).state(SPACE)
    with pytest.raises(DataError, match="z_target holds NaN or infinity in 5 of 5 rows"):
        joint_ot(z, y, z_target * torch.nan, log_p)
    with pytest.raises(ModalityError, match="JointOT names 'b', but no such view"):
        JointOT(("b",)).state(SPACE)


def test_examples():
    assert doctest.testmod(importlib.import_module("bouba.terms.joint_ot")).failed == 0
