"""Triplet, the term and its function."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from bouba.batch import Batch
from bouba.errors import DataError, ModalityError, UsageError
from bouba.terms import Space, Triplet, triplet
from bouba.terms.checks import SIMILARITIES
from bouba.terms.triplet import MININGS


def by_the_formula(z_a, z_b, margin, mining, similarity="cosine", key=None):
    """Anchor by anchor, its negatives in a list, as the docstring reads."""

    def sim(x, y):
        if similarity == "cosine":
            return (x / x.norm() * y / y.norm()).sum()
        return (x * y).sum() if similarity == "dot" else -(x - y).norm()

    size, total = len(z_a), z_a.new_zeros(())
    for a, b in ((z_a, z_b), (z_b, z_a)):
        for i in range(size):
            own = sim(a[i], b[i])
            rivals = [j for j in range(size) if j != i and (key is None or key[i] < 0 or key[j] != key[i])]
            negatives = sorted((sim(a[i], b[j]) for j in rivals), key=lambda s: s.item())
            if mining == "hardest":
                negatives = negatives[-1:]
            if mining == "semi-hard":
                farther = [s for s in negatives if s < own]
                negatives = farther[-1:] if farther else negatives[:1]
            total = total + sum((margin + s - own).clamp(min=0) for s in negatives)
    return total / (2 * size)


def pair(size=7, width=4, seed=0, dtype=torch.float64):
    draw = torch.Generator().manual_seed(seed)
    return [torch.randn(size, width, generator=draw, dtype=torch.float64).to(dtype).requires_grad_() for _ in "ab"]


def value_and_gradients(loss, leaves):
    return [loss.detach(), *torch.autograd.grad(loss, leaves)]


@pytest.mark.parametrize("mining", MININGS)
@pytest.mark.parametrize("similarity", SIMILARITIES)
@pytest.mark.parametrize("key", [None, [0, 1, 0, -1, 1, -1, 1]], ids=str)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_definition(mining, similarity, key, seed):
    z_a, z_b = pair(seed=seed)
    z_b = (0.5 * z_a + z_b).detach().requires_grad_()  # so that some partners are near and some are not
    key = None if key is None else torch.tensor(key)
    options = {"margin": 0.4, "mining": mining, "similarity": similarity, "key": key}
    expected = value_and_gradients(by_the_formula(z_a, z_b, **options), (z_a, z_b))
    assert expected[0] > 0
    for tile in (1, 3, 256):
        for ours, theirs in zip(value_and_gradients(triplet(z_a, z_b, tile=tile, **options), (z_a, z_b)), expected):
            torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-9)


def test_semi_hard_where_no_negative_is_farther_takes_the_mildest():
    """Row 0's partner is opposite to it, so that both strangers are nearer: the one at cosine 0 is taken, not 0.6."""
    z_a = torch.tensor([[1.0, 0], [0, 1], [0.6, 0.8]])
    z_b = torch.tensor([[-1.0, 0], [0, 1], [0.6, 0.8]])
    one_way = [0.2 + 0 + 1, 0.2 + 0.8 - 1, 0.2 + 0.8 - 1]
    other = [0.2 + 0 + 1, 0.2 + 0.8 - 1, 0.2 + 0.8 - 1]
    other[0] = 0.2 - 0.6 + 1  # from b_0 the mildest is a_2 at -0.6
    assert triplet(z_a, z_b).item() == pytest.approx(sum(one_way + other) / 6, abs=1e-6)


@pytest.mark.parametrize("mining", MININGS)
@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_gradcheck(mining, similarity):
    assert torch.autograd.gradcheck(
        lambda a, b: triplet(a, b, margin=0.7, mining=mining, similarity=similarity, tile=2), pair(5, 3)
    )


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 999), size=st.integers(1, 9), mining=st.sampled_from(MININGS))
def test_law_order_rotation_exchange_and_hardness(seed, size, mining):
    z_a, z_b = pair(size, seed=seed)
    value = triplet(z_a, z_b, mining=mining)
    order = torch.randperm(size, generator=torch.Generator().manual_seed(seed))
    turn, _ = torch.linalg.qr(pair(4, 4, seed=seed + 1)[0])
    for a, b in ((z_a[order], z_b[order]), (z_a @ turn, z_b @ turn), (z_b, z_a)):
        torch.testing.assert_close(triplet(a, b, mining=mining), value, rtol=1e-10, atol=1e-10)
    semi, hardest, everything = (triplet(z_a, z_b, mining=m).item() for m in ("semi-hard", "hardest", "all"))
    assert semi <= hardest + 1e-12
    assert hardest <= everything + 1e-12


@pytest.mark.parametrize(("mining", "cost"), [("hardest", 0.3), ("semi-hard", 0.3), ("all", 6 * 0.3)])
def test_law_all_alike_costs_the_margin(mining, cost):
    alike = torch.ones(7, 3, requires_grad=True)
    value, gradient = value_and_gradients(triplet(alike, alike, margin=0.3, mining=mining), (alike,))
    assert value.item() == pytest.approx(cost, abs=1e-6)
    assert gradient.isfinite().all()


@pytest.mark.parametrize("mining", MININGS)
@pytest.mark.parametrize(("size", "key"), [(1, None), (3, [5, 5, 5])])
def test_without_negatives_the_loss_and_its_gradient_are_zero(size, key, mining):
    leaves = pair(size)
    value = triplet(*leaves, mining=mining, key=None if key is None else torch.tensor(key))
    assert not any(x.count_nonzero() for x in value_and_gradients(value, leaves))


@pytest.mark.parametrize("mining", MININGS)
@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_rows_of_zeros_are_finite_with_a_bounded_gradient(mining, similarity):
    z_a, z_b = (x.detach() for x in pair(dtype=torch.float32))
    z_a[2], z_b[2], z_b[4] = 0.0, 0.0, 0.0
    leaves = [x.requires_grad_() for x in (z_a, z_b)]
    value, *gradients = value_and_gradients(triplet(*leaves, mining=mining, similarity=similarity), leaves)
    assert value.isfinite()
    assert all(g.abs().max() < 1e3 for g in gradients)


@pytest.mark.parametrize("mining", MININGS)
def test_distances_far_from_the_origin_keep_their_digits_in_float32(mining):
    """Forty rows around (10^4, ...), 1 apart: the expanded square of their distances would be noise of size 10."""
    z_a, z_b = (1e4 + x.detach().float() for x in pair(40))
    exact = [x.double().requires_grad_() for x in (z_a, z_b)]
    leaves = [x.requires_grad_() for x in (z_a, z_b)]
    options = {"margin": 0.3, "mining": mining, "similarity": "euclidean"}
    expected = value_and_gradients(by_the_formula(*exact, **options), exact)
    for ours, theirs in zip(value_and_gradients(triplet(*leaves, **options), leaves), expected):
        torch.testing.assert_close(ours.double(), theirs, rtol=1e-3, atol=1e-3 * theirs.abs().max().item())


def test_duplicates_among_distant_rows_keep_their_gradient_in_float32():
    """Strangers 10^-3 apart at a distance of 30 from the middle: their expanded square would be 0 or noise."""
    z_a = 10 * torch.randn(40, 4, generator=torch.Generator().manual_seed(0))
    z_b = z_a.roll(1, 0) + 1e-3 * torch.randn(40, 4, generator=torch.Generator().manual_seed(1))
    exact = [x.double().requires_grad_() for x in (z_a, z_b)]
    leaves = [x.requires_grad_() for x in (z_a, z_b)]
    options = {"mining": "all", "similarity": "euclidean"}
    expected = value_and_gradients(by_the_formula(*exact, 0.2, **options), exact)
    for ours, theirs in zip(value_and_gradients(triplet(*leaves, **options), leaves), expected):
        torch.testing.assert_close(ours.double(), theirs, rtol=1e-3, atol=1e-3 * theirs.abs().max().item())


def test_half_precision_is_computed_in_float32():
    z_a, z_b = pair(dtype=torch.bfloat16)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert triplet(z_a, z_b).item() == triplet(z_a.float(), z_b.float()).item()


@pytest.mark.parametrize("mining", MININGS)
def test_recovery_aligns_a_rotation(mining):
    draw = torch.Generator().manual_seed(0)
    a = torch.randn(64, 4, generator=draw)
    b = a @ torch.linalg.qr(torch.randn(4, 4, generator=draw))[0]
    learnt = (0.1 * torch.randn(4, 4, generator=draw)).requires_grad_()
    optimizer = torch.optim.Adam([learnt], lr=0.05)
    for _ in range(150):
        optimizer.zero_grad()
        triplet(a @ learnt, b, mining=mining).backward()
        optimizer.step()

    def found(x):
        return ((F.normalize(x, dim=1) @ F.normalize(b, dim=1).T).argmax(1) == torch.arange(64)).float().mean()

    assert found(a @ learnt.detach()) > 0.9
    assert found(a) < 0.2


@pytest.mark.parametrize("mining", MININGS)
def test_term_masks_missing_views_and_averages_pairs(mining):
    draw = torch.Generator().manual_seed(0)
    masks = {"a": [1] * 6, "b": [1, 1, 0, 1, 1, 0], "c": [0, 1, 1, 1, 1, 1]}
    here = {name: torch.tensor(mask, dtype=torch.bool) for name, mask in masks.items()}
    z = {name: torch.randn(6, 4, generator=draw) for name in masks}
    key = torch.tensor([0, 1, 2, 0, 1, -1])
    term = Triplet(0.5, mining, "euclidean")
    value, parts = term.loss(Batch({}, here, torch.arange(6), z=z, key=key), term.state(Space(dict.fromkeys(z, 4))))
    costs, alike = [], []
    for a, b in (("a", "b"), ("a", "c"), ("b", "c")):
        both = here[a] & here[b]
        options = {"margin": 0.5, "mining": mining, "similarity": "euclidean", "key": key[both]}
        costs.append(triplet(z[a][both], z[b][both], **options).item())
        alike.append(0.5 * (int(both.sum()) - 1) if mining == "all" else 0.5)
    assert value.item() == pytest.approx(sum(costs) / 3, abs=1e-6)
    assert parts["of_margin"].item() == pytest.approx(sum(costs) / sum(alike), abs=1e-6)


def test_refusals():
    good = torch.randn(4, 3)
    with pytest.raises(UsageError, match=r"one shape \(B, D\) with B >= 1, got z_a \(4, 3\) and z_b \(3, 3\)"):
        triplet(good, good[:3])
    with pytest.raises(UsageError, match="margin must be one finite number above 0, got 0"):
        triplet(good, good, margin=0.0)
    with pytest.raises(UsageError, match="no mining 'semihard'; did you mean 'semi-hard'"):
        triplet(good, good, mining="semihard")
    with pytest.raises(UsageError, match="no similarity 'cosin'; did you mean 'cosine'"):
        triplet(good, good, similarity="cosin")
    with pytest.raises(UsageError, match="tile must be at least 1, got 0"):
        triplet(good, good, tile=0)
    broken = good.clone()
    broken[2, 1] = math.nan
    with pytest.raises(DataError, match="z_b holds NaN or infinity in 1 of 4 rows, first in row 2"):
        triplet(good, broken)
    space = Space({"image": 4, "text": 4})
    with pytest.raises(UsageError, match=r"Triplet needs two views or more, got 1 \('image'\)"):
        Triplet().state(Space({"image": 4}))
    with pytest.raises(ModalityError, match="Triplet pairs name 'txt', but no such view; did you mean 'text'"):
        Triplet(pairs=(("image", "txt"),)).state(space)
    with pytest.raises(UsageError, match="no mining 'hard'"):
        Triplet(mining="hard").state(space)
