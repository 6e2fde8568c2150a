"""CORAL, the term and its function."""

import doctest
import importlib
import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bouba import MLP, Learner, Views, persist
from bouba.batch import Batch
from bouba.errors import DataError, ModalityError, UsageError
from bouba.terms import CORAL, Objective, Prediction, Space, coral

SPACE = Space({"a": 4, "b": 4}, domains=("here", "there", "yonder"))


def normal(*size, seed=0, dtype=torch.float64):
    return torch.randn(*size, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def by_the_book(a, b):
    """Deep CORAL, equations 1 to 3, entry by entry."""

    def covariance(z, i, j):
        n = len(z)
        total = sum(z[r, i] * z[r, j] for r in range(n))
        return (total - sum(z[:, i]) * sum(z[:, j]) / n) / (n - 1)

    d = a.shape[1]
    entries = itertools.product(range(d), repeat=2)
    return sum((covariance(a, i, j) - covariance(b, i, j)) ** 2 for i, j in entries) / (4 * d**2)


def a_batch(size=12, seed=0, present=0.7):
    draw = torch.Generator().manual_seed(seed)
    here = {view: torch.rand(size, generator=draw) < present for view in SPACE.dims}
    z = {view: torch.randn(size, 4, generator=draw).requires_grad_() for view in SPACE.dims}
    return Batch({}, here, torch.arange(size), z=z, domain=torch.randint(-1, 3, (size,), generator=draw))


def test_definition_values_and_gradients():
    a, b = normal(7, 3).requires_grad_(), (normal(5, 3, seed=1) * 2 + 4).requires_grad_()
    ours, book = coral(a, b), by_the_book(a, b)
    assert float(ours.detach()) == pytest.approx(float(book.detach()), abs=1e-12)
    for mine, theirs in zip(torch.autograd.grad(ours, (a, b)), torch.autograd.grad(book, (a, b))):
        torch.testing.assert_close(mine, theirs, atol=1e-12, rtol=1e-10)
    assert torch.autograd.gradcheck(coral, (a, b))


def test_definition_of_the_term_pairs_of_domains_then_views():
    term, batch = CORAL(), a_batch(30)
    value, parts = term.loss(batch, term.state(SPACE))
    means = {}
    for view in "ab":
        rows = {k: [r for r in range(30) if batch.present[view][r] and batch.domain[r] == k] for k in range(3)}
        units = {k: 2 * torch.stack([batch.z[view][r] / batch.z[view][r].norm() for r in rows[k]]) for k in rows}
        pairs = [coral(units[p], units[q]) for p, q in ((0, 1), (0, 2), (1, 2))]
        means[view] = float((sum(pairs) / 3).detach())
        assert float(parts[f"distance.{view}"]) == pytest.approx(means[view], rel=1e-5)
    assert float(value.detach()) == pytest.approx((means["a"] + means["b"]) / 2, rel=1e-5)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), scale=st.floats(0.1, 10))
def test_law_rotation_offsets_order_symmetry_and_scale(seed, scale):
    a, b = normal(8, 3, seed=seed), 2 * normal(6, 3, seed=seed + 1)
    value = float(coral(a, b))
    turn = torch.linalg.qr(normal(3, 3, seed=seed))[0]
    assert float(coral(b, a)) == pytest.approx(value, rel=1e-12)
    assert float(coral(a @ turn + 5, b.flip(0) @ turn - 7)) == pytest.approx(value, rel=1e-9)
    assert float(coral(scale * a, scale * b)) == pytest.approx(scale**4 * value, rel=1e-9)
    assert float(coral(a, a + 1)) == pytest.approx(0, abs=1e-20)


def test_law_what_one_distribution_costs():
    """E |C_a - C_b|^2 = 2 (tr(C)^2 + |C|^2) / (n - 1) for normal rows, which the mean over draws comes near."""
    n, root = 12, torch.diag(torch.tensor([1.0, 2, 0.5], dtype=torch.float64))
    found = np.array(
        [float(coral(normal(n, 3, seed=s) @ root, normal(n, 3, seed=10_000 + s) @ root)) for s in range(2000)]
    )
    c = np.diag([1, 4, 0.25])
    expected = (np.trace(c) ** 2 + (c**2).sum()) / (2 * (n - 1) * 9)
    assert abs(found.mean() - expected) < 4 * found.std() / math.sqrt(len(found))


def test_half_precision_and_far_offsets_keep_their_digits():
    a, b = normal(50, 4, dtype=torch.float32), 2 * normal(60, 4, seed=1, dtype=torch.float32)
    value = float(coral(a.double(), b.double()))
    assert coral(a, b).dtype == torch.float32
    assert float(coral(a, b)) == pytest.approx(value, rel=1e-5)
    assert float(coral(a + 1000, b)) == pytest.approx(value, rel=1e-3)
    halves = coral(a.bfloat16(), b.bfloat16())
    assert halves.dtype == torch.float32
    assert float(halves) == pytest.approx(value, rel=0.02)


def test_one_row_and_rows_all_alike_are_finite():
    for a in (normal(1, 3), torch.zeros(4, 3, dtype=torch.float64)):
        a, b = a.requires_grad_(), normal(6, 3, seed=1).requires_grad_()
        value = coral(a, b)
        value.backward()
        assert float(value.detach()) == pytest.approx(float(torch.cov(b.detach().T).square().sum() / 36))
        assert not a.grad.count_nonzero()
        assert b.grad.isfinite().all()


def test_a_domain_with_one_row_and_a_view_of_one_domain_are_left_out():
    z = {view: normal(5, 4, dtype=torch.float32).requires_grad_() for view in "ab"}
    present = {"a": torch.ones(5, dtype=torch.bool), "b": torch.tensor([True, True, False, False, False])}
    batch = Batch({}, present, torch.arange(5), z=z, domain=torch.tensor([0, 0, 1, 1, 2]))
    term = CORAL()
    value, parts = term.loss(batch, term.state(SPACE))
    assert list(parts) == ["distance.a"]
    units = 2 * z["a"] / z["a"].norm(dim=1, keepdim=True)
    assert float(value.detach()) == pytest.approx(float(coral(units[:2], units[2:4]).detach()), rel=1e-5)
    value.backward()
    assert not z["a"].grad[4].count_nonzero()
    assert z["b"].grad is None


@pytest.mark.parametrize(("size", "seed"), [(1, 0), (2, 1), (12, 2), (12, 3), (40, 4)])
def test_missing_cells_have_no_say_and_get_no_gradient(size, seed):
    term, whole = Objective.of(CORAL()), a_batch(size, seed)
    z = {v: torch.where(whole.present[v][:, None], z.detach(), torch.nan).requires_grad_() for v, z in whole.z.items()}
    value, parts = term.loss(whole, term.state(SPACE))
    again, parts_again = term.loss(whole.replace(z=z), term.state(SPACE))
    assert float(value.detach()) == float(again.detach())
    assert parts == parts_again
    again.backward()
    for view, column in z.items():
        assert column.grad.isfinite().all()
        assert not column.grad[~whole.present[view] | (whole.domain < 0)].count_nonzero()


def test_zero_rows_have_a_finite_gradient():
    z = {"a": torch.zeros(6, 4, requires_grad=True)}
    here = {"a": torch.ones(6, dtype=torch.bool)}
    batch = Batch({}, here, torch.arange(6), z=z, domain=torch.tensor([0, 0, 0, 1, 1, 1]))
    value, _ = CORAL(("a",)).loss(batch, torch.nn.Module())
    value.backward()
    assert float(value.detach()) == 0
    assert z["a"].grad.isfinite().all()


def cues(seed, n=200, d=3):
    """A sharp cue, which in the target is wide noise, and a blurred one that is the same in both domains."""
    random = np.random.default_rng(seed)
    kind, target = np.arange(2 * n) % 2, np.arange(2 * n) >= n
    side = 2.0 * kind[:, None] - 1
    sharp = np.where(target[:, None], 2 * random.normal(size=(2 * n, d)), side + 0.3 * random.normal(size=(2 * n, d)))
    steady = side + random.normal(size=(2 * n, d))
    domain = np.where(target, "target", "source").astype(object)
    kinds = np.array(["no", "yes"], dtype=object)[kind]
    return Views({"x": np.hstack([sharp, steady])}, domain=domain, y={"kind": kinds})


def test_recovery_beats_source_only_on_the_target():
    """Means are equal in both domains; only the covariance tells that the sharp cue is not to be trusted."""
    gains = []
    for seed in range(3):
        views = cues(seed)
        target = views[views.domain == "target"]
        scores = []
        for objective in (Prediction(), Prediction() + CORAL()):
            model = Learner({"x": MLP((32,))}, objective, dim=8, epochs=20, batch_size=100, lr=3e-3, random_state=seed)
            predicted = model.fit(views, target="target").predict(target)["kind"]
            scores.append(np.mean(predicted == target.y["kind"]))
        gains.append(scores[1] - scores[0])
    assert min(gains) > 0.03


def test_examples():
    assert doctest.testmod(importlib.import_module("bouba.terms.coral")).failed == 0


def test_saved_as_its_constructor_call():
    term = CORAL(("a", "b"))
    assert eval(repr(term)) == term
    assert persist.rebuild(persist.describe(term)) == term


def test_refusals():
    z = normal(4, 3)
    with pytest.raises(UsageError, match=r"coral needs embeddings .* got z_a \(4, 3\) and z_b \(4, 2\)"):
        coral(z, z[:, :2])
    with pytest.raises(UsageError, match=r"n and m >= 1, got z_a \(4, 3\) and z_b \(0, 3\)"):
        coral(z, z[:0])
    with pytest.raises(DataError, match="z_b holds NaN or infinity in 1 of 4 rows, first in row 2"):
        coral(z, torch.where(torch.arange(4)[:, None] == 2, torch.nan, z))
    with pytest.raises(UsageError, match="CORAL needs two domains or more, got 1; name the domain column"):
        CORAL().state(Space({"a": 3}, domains=("here",)))
    with pytest.raises(ModalityError, match="CORAL names 'c', but no such view; there is 'a', 'b'"):
        CORAL(("c",)).state(SPACE)
    with pytest.raises(UsageError, match="CORAL names 'a' where a tuple of views is expected"):
        CORAL("a").state(SPACE)
