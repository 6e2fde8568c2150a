"""NTXent, the term and its function."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from bouba.batch import Batch
from bouba.errors import DataError, ModalityError, UsageError
from bouba.terms import NTXent, Space, nt_xent


def by_the_formula(z, twin, temperature, key=None):
    """Every copy against every other, as equation 1 reads."""
    size = len(z)
    u = torch.cat([z, twin])
    cost = []
    for x in range(2 * size):
        partner = (x + size) % (2 * size)
        counts = [partner]
        for y in range(2 * size):
            alike = key is not None and key[x % size] >= 0 and key[x % size] == key[y % size]
            if y % size != x % size and not alike:
                counts.append(y)
        s = torch.stack([torch.dot(u[x] / u[x].norm(), u[y] / u[y].norm()) / temperature for y in counts])
        cost.append(s.logsumexp(0) - s[0])
    return sum(cost) / len(cost)


def copies(size=6, width=4, seed=0, dtype=torch.float64):
    draw = torch.Generator().manual_seed(seed)
    return [torch.randn(size, width, generator=draw, dtype=torch.float64).to(dtype).requires_grad_() for _ in "ab"]


def value_and_gradients(loss, leaves):
    return [loss.detach(), *torch.autograd.grad(loss, leaves)]


@pytest.mark.parametrize("tile", [None, 1, 4])
@pytest.mark.parametrize("key", [None, [0, 1, 0, -1, 1, -1], [3] * 6], ids=str)
def test_definition(key, tile):
    leaves = [*copies(), torch.tensor(0.3, dtype=torch.float64, requires_grad=True)]
    key = None if key is None else torch.tensor(key)
    expected = value_and_gradients(by_the_formula(*leaves, key), leaves)
    got = value_and_gradients(nt_xent(*leaves[:2], temperature=leaves[2], key=key, tile=tile), leaves)
    for ours, theirs in zip(got, expected):
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)


def test_gradcheck():
    tau = torch.tensor(0.5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda z, t, tau: nt_xent(z, t, temperature=tau, tile=2), (*copies(5, 3), tau))


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 999), size=st.integers(1, 8))
def test_law_order_rotation_and_exchange(seed, size):
    z, twin = copies(size, seed=seed)
    value = nt_xent(z, twin)
    order = torch.randperm(size, generator=torch.Generator().manual_seed(seed))
    turn, _ = torch.linalg.qr(copies(4, 4, seed=seed + 1)[0])
    for other in (nt_xent(z[order], twin[order]), nt_xent(z @ turn, twin @ turn), nt_xent(twin, z)):
        torch.testing.assert_close(other, value, rtol=1e-10, atol=1e-10)


def test_law_all_alike_costs_the_log_of_all_others_and_one_cell_nothing():
    alike = torch.ones(7, 3)
    assert nt_xent(alike, alike).item() == pytest.approx(math.log(13), abs=1e-6)
    leaves = copies(1)
    assert not any(x.count_nonzero() for x in value_and_gradients(nt_xent(*leaves), leaves))


def test_a_solved_batch_at_scale_100_keeps_its_digits_in_float32():
    draw = torch.Generator().manual_seed(0)
    z = torch.randn(12, 256, generator=draw)
    twin = z + 0.03 * torch.randn(12, 256, generator=draw)
    leaves, exact = [[x.to(dtype).requires_grad_() for x in (z, twin)] for dtype in (torch.float32, torch.float64)]
    u = torch.cat([x / x.norm(dim=1, keepdim=True) for x in exact])
    s = 100 * u @ u.T
    partner = torch.arange(24).roll(12)
    gap = s.masked_fill(torch.eye(24).add(torch.eye(24)[partner]).bool(), -math.inf).logsumexp(1)
    expected = value_and_gradients((gap - s[torch.arange(24), partner]).exp().log1p().mean(), exact)
    assert expected[0] < 1e-25
    for ours, theirs in zip(value_and_gradients(nt_xent(*leaves, temperature=0.01), leaves), expected):
        torch.testing.assert_close(ours.double(), theirs, rtol=0, atol=2e-3 * theirs.abs().max().item())


def test_rows_of_zeros_are_finite_with_a_bounded_gradient():
    z, twin = (x.detach() for x in copies(dtype=torch.float32))
    z[2], twin[2], twin[4] = 0.0, 0.0, 0.0
    leaves = [x.requires_grad_() for x in (z, twin)]
    loss, *gradients = value_and_gradients(nt_xent(*leaves, temperature=0.01), leaves)
    assert loss.isfinite()
    assert all(g.abs().max() < 1e3 for g in gradients)


def test_half_precision_is_computed_in_float32():
    z, twin = copies(dtype=torch.bfloat16)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert nt_xent(z, twin).item() == nt_xent(z.float(), twin.float()).item()


def test_recovery_learns_to_ignore_what_the_changes_change():
    """Three of eight numbers tell the class, the others are redrawn in each copy: neighbours by class get found."""
    draw = torch.Generator().manual_seed(0)
    kind = torch.arange(120) % 6
    centres = torch.randn(6, 3, generator=draw)
    signal = centres[kind] + 0.1 * torch.randn(120, 3, generator=draw)

    def change():
        return torch.cat([signal, 4 * torch.randn(120, 5, generator=draw)], dim=1)

    def neighbour_accuracy(z):
        z = z / z.norm(dim=1, keepdim=True)
        nearest = (z @ z.T).fill_diagonal_(-1).argmax(1)
        return (kind[nearest] == kind).float().mean().item()

    torch.manual_seed(0)
    tower = nn.Linear(8, 4)
    optimizer = torch.optim.Adam(tower.parameters(), lr=0.02)
    for _ in range(150):
        optimizer.zero_grad()
        nt_xent(tower(change()), tower(change()), temperature=0.2).backward()
        optimizer.step()
    seen = change()
    assert neighbour_accuracy(tower(seen).detach()) > 0.8
    assert neighbour_accuracy(seen) < 0.45


def a_batch(present, key=None, twin=True):
    draw = torch.Generator().manual_seed(0)
    z, again = ({name: torch.randn(6, 4, generator=draw) for name in present} for _ in "ab")
    here = {name: torch.tensor(mask, dtype=torch.bool) for name, mask in present.items()}
    return Batch({}, here, torch.arange(6), z=z, twin=again if twin else {}, key=key)


def test_term_averages_views_over_the_rows_that_have_them():
    key = torch.tensor([0, 0, 1, 2, 3, -1])
    batch = a_batch({"a": [1] * 6, "b": [1, 1, 0, 1, 1, 0], "c": [0, 0, 0, 0, 0, 1]}, key)
    term = NTXent(0.3)
    state = term.state(Space({"a": 4, "b": 4, "c": 4}))
    value, parts = term.loss(batch, state)
    here = batch.present["b"]
    first = nt_xent(batch.z["a"], batch.twin["a"], temperature=0.3, key=key)
    second = nt_xent(batch.z["b"][here], batch.twin["b"][here], temperature=0.3, key=key[here])
    assert value.item() == pytest.approx((first + second).item() / 2, abs=1e-6)
    alike = (2 * math.log(1 + 2 * 4) + 4 * math.log(1 + 2 * 5)) / 6 + (
        2 * math.log(1 + 2 * 2) + 2 * math.log(1 + 2 * 3)
    ) / 4
    assert parts["of_chance"].item() == pytest.approx((first + second).item() / alike, abs=1e-6)
    assert parts["temperature"].item() == pytest.approx(0.3)
    assert NTXent(0.3, views=("b",)).loss(batch, state)[0].item() == pytest.approx(second.item(), abs=1e-6)


def test_temperature_is_learnt_only_when_asked():
    space = Space({"a": 4})
    assert not NTXent().state(space).logit_scale.requires_grad
    assert NTXent(learn=True).state(space).logit_scale.requires_grad


def test_refusals():
    z, _ = (x.detach() for x in copies())
    with pytest.raises(UsageError, match=r"one shape \(B, D\) with B >= 1, got z \(6, 4\) and twin \(5, 4\)"):
        nt_xent(z, z[:5])
    with pytest.raises(UsageError, match="temperature must be one finite number above 0, got 0"):
        nt_xent(z, z, temperature=0.0)
    with pytest.raises(UsageError, match=r"key must hold one number a row, \(6,\), got \(4,\)"):
        nt_xent(z, z, key=torch.zeros(4, dtype=torch.int64))
    with pytest.raises(UsageError, match="tile must be at least 1, got 0"):
        nt_xent(z, z, tile=0)
    broken = z.clone()
    broken[3, 1] = math.nan
    with pytest.raises(DataError, match="twin holds NaN or infinity in 1 of 6 rows, first in row 3"):
        nt_xent(z, broken)
    with pytest.raises(ModalityError, match="NTXent names 'imge', but no such view; did you mean 'image'"):
        NTXent(views=("imge",)).state(Space({"image": 4}))
    with pytest.raises(UsageError, match=r"NTXent names 'image' where a tuple .* write \('image',\)"):
        NTXent(views="image").state(Space({"image": 4}))
    batch = a_batch({"a": [1] * 6}, twin=False)
    with pytest.raises(UsageError, match="compares a batch with its twins, and this one has none"):
        NTXent().loss(batch, NTXent().state(Space({"a": 4})))
