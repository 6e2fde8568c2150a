"""InfoNCE, the term and its function."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from bouba.batch import Batch
from bouba.errors import DataError, ModalityError, UsageError
from bouba.terms import InfoNCE, Space, info_nce


def pairs(n=9, d=4, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return (torch.randn(n, d, generator=generator, dtype=dtype).requires_grad_() for _ in range(2))


def by_the_book(a, b, temperature, similarity, key):
    """Loops over every pair, as the formula reads."""
    n = len(a)
    sim = {
        "cosine": lambda x, y: torch.dot(x / x.norm(), y / y.norm()),
        "dot": torch.dot,
        "euclidean": lambda x, y: -(x - y).norm(),
    }[similarity]
    total = 0.0
    for i in range(n):
        rivals = [j for j in range(n) if j == i or key is None or key[i] < 0 or key[j] < 0 or key[i] != key[j]]
        own = torch.exp(sim(a[i], b[i]) / temperature)
        total = total - torch.log(own / sum(torch.exp(sim(a[i], b[j]) / temperature) for j in rivals))
        total = total - torch.log(own / sum(torch.exp(sim(a[j], b[i]) / temperature) for j in rivals))
    return total / (2 * n)


@pytest.mark.parametrize("tile", [1, 3, 9, 100])
@pytest.mark.parametrize("similarity", ["cosine", "dot", "euclidean"])
@pytest.mark.parametrize("keyed", [False, True])
def test_definition_values_and_gradients(similarity, tile, keyed):
    a, b = pairs()
    tau = torch.tensor(0.3, dtype=torch.float64, requires_grad=True)
    key = torch.tensor([0, 1, 0, 2, -1, -1, 2, 3, 4]) if keyed else None
    ours = info_nce(a, b, temperature=tau, similarity=similarity, key=key, tile=tile)
    book = by_the_book(a, b, tau, similarity, key)
    assert float(ours) == pytest.approx(float(book), abs=1e-12)
    for mine, theirs in zip(torch.autograd.grad(ours, (a, b, tau)), torch.autograd.grad(book, (a, b, tau))):
        torch.testing.assert_close(mine, theirs, atol=1e-12, rtol=1e-12)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_law_permutation_and_rotation(seed):
    a, b = pairs(seed=seed)
    value = float(info_nce(a, b))
    order = torch.randperm(9, generator=torch.Generator().manual_seed(seed))
    turn = torch.linalg.qr(torch.randn(4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)))[0]
    assert float(info_nce(a[order], b[order])) == pytest.approx(value, abs=1e-10)
    assert float(info_nce(a @ turn, b @ turn)) == pytest.approx(value, abs=1e-10)


def test_law_alike_costs_log_n_and_one_pair_costs_nothing():
    alike = torch.ones(7, 3)
    assert float(info_nce(alike, alike)) == pytest.approx(math.log(7), abs=1e-6)
    one = torch.randn(1, 3, requires_grad=True)
    loss = info_nce(one, one.detach())
    loss.backward()
    assert float(loss) == 0
    assert torch.equal(one.grad, torch.zeros(1, 3))


def test_law_weights_pick_pairs():
    a, b = pairs()
    twice = torch.tensor([1.0, 1, 1, 0, 0, 0, 0, 0, 0], dtype=torch.float64)
    each = [info_nce(a, b, weight=F.one_hot(torch.tensor(i), 9).double()) for i in range(3)]
    assert float(info_nce(a, b, weight=twice)) == pytest.approx(float(sum(each) / 3), abs=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_zero_rows_and_solved_batches_stay_finite(dtype):
    z = (torch.eye(6) * torch.tensor([1.0, 1, 1, 1, 1, 0])).to(dtype).requires_grad_()
    loss = info_nce(z, z, temperature=0.01)
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(z.grad).all()
    assert z.grad.abs().max() < 1e3


def test_solved_batch_in_float32_keeps_its_digits():
    z = torch.eye(8) + 0.01
    single = z.clone().requires_grad_()
    double = z.double().requires_grad_()
    info_nce(single, single.detach(), temperature=0.02).backward()
    info_nce(double, double.detach(), temperature=0.02).backward()
    torch.testing.assert_close(single.grad.double(), double.grad, rtol=1e-3, atol=0)


def test_recovery_aligns_a_rotation():
    """Learning a linear map under the loss finds the rotation between two views."""
    a, _ = pairs(n=64, d=4, dtype=torch.float32)
    turn = torch.linalg.qr(torch.randn(4, 4, generator=torch.Generator().manual_seed(1)))[0]
    b = (a @ turn).detach()
    learnt = torch.zeros(4, 4, requires_grad=True)
    optimizer = torch.optim.Adam([learnt], lr=0.05)
    for _ in range(150):
        optimizer.zero_grad()
        info_nce(a.detach() @ (learnt + 0.01 * torch.eye(4)), b).backward()
        optimizer.step()
    found = F.normalize(a @ (learnt + 0.01 * torch.eye(4)), dim=1) @ F.normalize(b, dim=1).T
    assert (found.argmax(1) == torch.arange(64)).float().mean() > 0.95


def test_refusals():
    good = torch.randn(4, 3)
    with pytest.raises(UsageError, match=r"one shape \(B, D\) with B >= 1, got z_a \(4, 3\) and z_b \(3, 3\)"):
        info_nce(good, good[:3])
    with pytest.raises(UsageError, match="temperature must be one finite number above 0, got 0"):
        info_nce(good, good, temperature=0.0)
    with pytest.raises(UsageError, match="no similarity 'cosin'; did you mean 'cosine'"):
        info_nce(good, good, similarity="cosin")
    broken = good.clone()
    broken[2, 1] = float("nan")
    with pytest.raises(DataError, match="z_b holds NaN or infinity in 1 of 4 rows, first in row 2"):
        info_nce(good, broken)


def a_batch(present, key=None, dtype=torch.float64):
    generator = torch.Generator().manual_seed(0)
    z = {name: torch.randn(6, 4, generator=generator, dtype=dtype) for name in present}
    masks = {name: torch.tensor(mask, dtype=torch.bool) for name, mask in present.items()}
    return Batch({}, masks, torch.arange(6), z=z, key=key)


def test_term_masks_missing_views_and_averages_pairs():
    batch = a_batch({"a": [1, 1, 1, 1, 1, 1], "b": [1, 1, 0, 1, 1, 0], "c": [0, 1, 1, 1, 1, 1]})
    term = InfoNCE(0.2, learn=False)
    value, parts = term.loss(batch, term.state(Space({"a": 4, "b": 4, "c": 4})))
    expected = []
    for first, second in (("a", "b"), ("a", "c"), ("b", "c")):
        both = batch.present[first] & batch.present[second]
        expected.append(float(info_nce(batch.z[first][both], batch.z[second][both], temperature=0.2)))
    assert float(value) == pytest.approx(np.mean(expected), abs=1e-6)
    assert float(parts["temperature"]) == pytest.approx(0.2)


def test_term_ignores_what_a_missing_cell_holds():
    batch = a_batch({"a": [1, 1, 1, 1, 1, 1], "b": [1, 1, 1, 1, 0, 0]})
    term = InfoNCE()
    state = term.state(Space({"a": 4, "b": 4}))
    before = float(term.loss(batch, state)[0])
    batch.z["b"][4:] = float("nan")
    assert float(term.loss(batch, state)[0]) == before


def test_term_without_a_pair_has_no_value():
    batch = a_batch({"a": [1, 1, 1, 0, 0, 0], "b": [0, 0, 0, 1, 1, 1]})
    term = InfoNCE()
    value, parts = term.loss(batch, term.state(Space({"a": 4, "b": 4})))
    assert value is None
    assert set(parts) == {"temperature"}


def test_learnt_temperature_is_clamped():
    term = InfoNCE()
    state = term.state(Space({"a": 4, "b": 4}))
    with torch.no_grad():
        state.logit_scale.fill_(9.0)
    state.after_step()
    assert float(state()) == pytest.approx(0.01)


def test_term_refusals():
    with pytest.raises(UsageError, match=r"InfoNCE needs two views or more, got 1 \('image'\)"):
        InfoNCE().state(Space({"image": 4}))
    with pytest.raises(ModalityError, match="InfoNCE pairs name 'imge', but no such view; did you mean 'image'"):
        InfoNCE(pairs=(("imge", "text"),)).state(Space({"image": 4, "text": 4}))
