"""BarlowTwins, the term and its function."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from bouba import MLP, Learner, Views
from bouba.batch import Batch
from bouba.errors import DataError, ModalityError, UsageError
from bouba.terms import BarlowTwins, Space, barlow_twins


def normal(*size, seed=0):
    return torch.randn(*size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def by_the_authors(z1, z2, lambd):
    """The loss of facebookresearch/barlowtwins, main.py, divided by d."""
    bn = nn.BatchNorm1d(z1.shape[1], affine=False).double()
    c = bn(z1).T @ bn(z2) / len(z1)
    on_diagonal = torch.diagonal(c).add(-1).pow(2).sum()
    n = len(c)
    off_diagonal = c.flatten()[:-1].view(n - 1, n + 1)[:, 1:].flatten().pow(2).sum()
    return (on_diagonal + lambd * off_diagonal) / n


@pytest.mark.parametrize("redundancy", [0.005, 0.0, 2.0])
def test_definition_equals_the_authors_program(redundancy):
    z, other = (normal(9, 5, seed=s).requires_grad_() for s in (0, 1))
    ours, theirs = barlow_twins(z, other, redundancy=redundancy), by_the_authors(z, other, redundancy)
    assert ours.item() == pytest.approx(theirs.item(), rel=1e-12)
    for mine, their in zip(torch.autograd.grad(ours, (z, other)), torch.autograd.grad(theirs, (z, other))):
        torch.testing.assert_close(mine, their, rtol=1e-10, atol=1e-12)


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 999), size=st.integers(3, 9))
def test_law_order_exchange_scale_and_shift_change_nothing(seed, size):
    z, other = (1e3 * normal(size, 4, seed=s) for s in (seed, seed + 1))
    value = barlow_twins(z, other)
    order = torch.randperm(size, generator=torch.Generator().manual_seed(seed))
    scale = torch.tensor([5.0, 0.9, 11, 2])
    for same in (barlow_twins(z[order], other[order]), barlow_twins(other, z), barlow_twins(z * scale - 3, other)):
        torch.testing.assert_close(same, value, rtol=1e-6, atol=1e-6)


def test_law_nothing_in_common_costs_one_and_a_constant_too():
    orthogonal = torch.linalg.qr(torch.cat([torch.ones(9, 1), normal(9, 6)], 1).double())[0][:, 1:] * 100
    assert barlow_twins(orthogonal[:, :3], orthogonal[:, 3:]).item() == pytest.approx(1.0, abs=1e-6)
    assert barlow_twins(orthogonal, orthogonal, redundancy=1.0).item() == pytest.approx(0.0, abs=1e-6)
    z = torch.ones(6, 3, requires_grad=True)
    barlow_twins(z, z).backward()
    assert barlow_twins(z, z).item() == 1.0
    assert z.grad.isfinite().all()


def a_batch(size=10, present=0.7):
    draw = torch.Generator().manual_seed(0)
    here = {view: torch.rand(size, generator=draw) < present for view in "abc"}
    z, twin = ({view: torch.randn(size, 4, generator=draw) for view in "abc"} for _ in "zt")
    return Batch({}, here, torch.arange(size), z=z, twin=twin)


def test_definition_of_the_term_means_over_views_and_over_pairs():
    batch, space = a_batch(), Space(dict.fromkeys("abc", 4))
    term = BarlowTwins(0.1, views=("a", "c"))
    value, parts = term.loss(batch, term.state(space))
    own = [
        barlow_twins(batch.z[v][batch.present[v]], batch.twin[v][batch.present[v]], redundancy=0.1) for v in ("a", "c")
    ]
    assert value.item() == pytest.approx((sum(own) / 2).item(), rel=1e-6)
    assert value.item() == pytest.approx((parts["agreement"] + 0.1 * parts["redundancy"]).item(), rel=1e-6)
    value, _ = BarlowTwins(across=True).loss(batch, BarlowTwins(across=True).state(space))
    both = {pair: batch.present[pair[0]] & batch.present[pair[1]] for pair in ("ab", "ac", "bc")}
    pairs = [barlow_twins(batch.z[a][rows], batch.z[b][rows]) for (a, b), rows in both.items()]
    assert value.item() == pytest.approx((sum(pairs) / 3).item(), rel=1e-6)


@pytest.mark.parametrize("missing", [0.0, 0.3])
def test_recovery_across_views_matches_axes_of_new_rows(missing):
    latent = normal(500, 4).numpy()
    columns = Views({side: latent @ normal(4, width, seed=width).numpy() for side, width in (("l", 6), ("r", 9))})
    absent = torch.rand(500, generator=torch.Generator().manual_seed(0)).numpy() < missing
    views = columns.replace(columns={"l": columns["l"], "r": columns["r"].without(absent)})
    towers = {side: MLP(hidden=(), dropout=0.0) for side in "lr"}
    model = Learner(towers, BarlowTwins(0.5, across=True), dim=4, epochs=40, batch_size=100, lr=0.02).fit(views[:400])
    z = model.embed(columns[400:])
    table = np.corrcoef(z["l"].T, z["r"].T)  # (8, 8)
    assert table[:4, 4:].diagonal().min() > 0.9
    assert abs(table[:4, 4:] - np.diag(table[:4, 4:].diagonal())).max() < 0.5


def test_refusals():
    z = normal(4, 3)
    with pytest.raises(UsageError, match="two rows or more, got 1"):
        barlow_twins(z[:1], z[:1])
    with pytest.raises(UsageError, match="redundancy is a finite weight"):
        barlow_twins(z, z, redundancy=-1.0)
    with pytest.raises(DataError, match="z holds NaN"):
        barlow_twins(z.clone().fill_(torch.nan), z)
    with pytest.raises(ModalityError, match="BarlowTwins names 'd'"):
        BarlowTwins(views=("d",)).state(Space({"a": 4}))
    with pytest.raises(UsageError, match="BarlowTwins needs two views or more"):
        BarlowTwins(across=True).state(Space({"a": 4}))
    with pytest.raises(UsageError, match="redundancy"):
        BarlowTwins(torch.nan).state(Space({"a": 4}))
