"""VICReg, the term and its function."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from bouba import MLP, Learner, Views
from bouba.batch import Batch
from bouba.errors import DataError, ModalityError, UsageError
from bouba.terms import Space, VICReg, vicreg


def normal(*size, seed=0):
    return torch.randn(*size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def by_the_authors(x, y, invariance=25.0, variance=25.0, covariance=1.0):
    """The loss of facebookresearch/vicreg, main_vicreg.py, as it stands there."""

    def off_diagonal(matrix):
        n = len(matrix)
        return matrix.flatten()[:-1].view(n - 1, n + 1)[:, 1:].flatten()

    repr_loss = F.mse_loss(x, y)
    x, y = x - x.mean(dim=0), y - y.mean(dim=0)
    std_x, std_y = torch.sqrt(x.var(dim=0) + 0.0001), torch.sqrt(y.var(dim=0) + 0.0001)
    std_loss = torch.mean(F.relu(1 - std_x)) / 2 + torch.mean(F.relu(1 - std_y)) / 2
    cov_x, cov_y = (x.T @ x) / (len(x) - 1), (y.T @ y) / (len(y) - 1)
    width = x.shape[1]
    cov_loss = off_diagonal(cov_x).pow_(2).sum().div(width) + off_diagonal(cov_y).pow_(2).sum().div(width)
    return invariance * repr_loss + variance * std_loss + covariance * cov_loss


@pytest.mark.parametrize("weights", [(25.0, 25.0, 1.0), (1.0, 0.0, 3.0)])
def test_definition_equals_the_authors_program(weights):
    z, other = (0.7 * normal(9, 5, seed=s).requires_grad_() for s in (0, 1))
    ours = vicreg(z, other, **dict(zip(("invariance", "variance", "covariance"), weights)))
    theirs = by_the_authors(z, other, *weights)
    assert ours.item() == pytest.approx(theirs.item(), rel=1e-12)
    for mine, their in zip(torch.autograd.grad(ours, (z, other)), torch.autograd.grad(theirs, (z, other))):
        torch.testing.assert_close(mine, their, rtol=1e-10, atol=1e-12)


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 999), size=st.integers(2, 9))
def test_law_order_exchange_and_a_common_shift_change_nothing(seed, size):
    z, other = normal(size, 4, seed=seed), normal(size, 4, seed=seed + 1)
    value = vicreg(z, other)
    order = torch.randperm(size, generator=torch.Generator().manual_seed(seed))
    axes = torch.tensor([2, 0, 3, 1])
    for same in (
        vicreg(z[order], other[order]),
        vicreg(other, z),
        vicreg(z + 7, other + 7),
        vicreg(z[:, axes], other[:, axes]),
    ):
        torch.testing.assert_close(same, value, rtol=1e-9, atol=1e-9)


def test_law_what_collapses_costs_and_what_varies_alone_does_not():
    constant = torch.ones(8, 3)
    assert vicreg(constant, constant).item() == pytest.approx(25 * 0.99, rel=1e-6)
    z = 3 * torch.linalg.qr(torch.cat([torch.ones(8, 1), normal(8, 3)], 1).double())[0][:, 1:]  # centred, orthogonal
    assert vicreg(z, z).item() == pytest.approx(0.0, abs=1e-12)
    assert vicreg(z, -z, covariance=0.0).item() == pytest.approx(25 * (2 * z).square().mean().item())
    repeated = z[:, [0, 0, 1]]
    assert vicreg(repeated, repeated).item() == pytest.approx(2 * 2 * (9 / 7) ** 2 / 3, rel=1e-9)


def test_constant_embeddings_have_a_finite_gradient():
    z = torch.zeros(5, 3, requires_grad=True)
    vicreg(z, z).backward()
    assert z.grad.isfinite().all()


def test_half_precision_is_computed_in_float32():
    z, other = normal(6, 4).bfloat16(), normal(6, 4, seed=1).bfloat16()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert vicreg(z, other).item() == vicreg(z.float(), other.float()).item()


def a_batch(size=10, present=0.7):
    draw = torch.Generator().manual_seed(0)
    here = {view: torch.rand(size, generator=draw) < present for view in "abc"}
    z, twin = ({view: torch.randn(size, 4, generator=draw) for view in "abc"} for _ in "zt")
    return Batch({}, here, torch.arange(size), z=z, twin=twin)


def test_definition_of_the_term_means_over_views_and_over_pairs():
    batch, space = a_batch(), Space(dict.fromkeys("abc", 4))
    term = VICReg(views=("a", "c"))
    value, parts = term.loss(batch, term.state(space))
    own = [vicreg(batch.z[v][batch.present[v]], batch.twin[v][batch.present[v]]) for v in "ac"]
    assert value.item() == pytest.approx((sum(own) / 2).item(), rel=1e-6)
    assert value.item() == pytest.approx(
        25 * parts["invariance"].item() + 25 * parts["variance"].item() + parts["covariance"].item(), rel=1e-6
    )
    term = VICReg(across=True)
    value, _ = term.loss(batch, term.state(space))
    pairs = []
    for a, b in ("ab", "ac", "bc"):
        both = batch.present[a] & batch.present[b]
        pairs.append(vicreg(batch.z[a][both], batch.z[b][both]))
    assert value.item() == pytest.approx((sum(pairs) / 3).item(), rel=1e-6)


def test_recovery_learns_to_ignore_what_the_changes_change():
    """Three of eight numbers tell the class, the others are redrawn in each copy."""
    kind = torch.arange(120) % 6
    draw = torch.Generator().manual_seed(0)
    signal = torch.randn(6, 3, generator=draw)[kind] + 0.1 * torch.randn(120, 3, generator=draw)
    change = lambda: torch.cat([signal, 4 * torch.randn(120, 5, generator=draw)], 1)  # noqa: E731

    def neighbour_accuracy(z):
        distances = torch.cdist(z, z).fill_diagonal_(torch.inf)
        return (kind[distances.argmin(1)] == kind).float().mean().item()

    torch.manual_seed(0)
    tower = nn.Linear(8, 3)
    optimizer = torch.optim.Adam(tower.parameters(), lr=0.02)
    for _ in range(200):
        optimizer.zero_grad()
        vicreg(tower(change()), tower(change())).backward()
        optimizer.step()
    seen = change()
    assert neighbour_accuracy(tower(seen).detach()) > 0.8
    assert neighbour_accuracy(seen) < 0.45


def test_recovery_across_views_finds_partners_among_new_rows():
    latent = normal(400, 4).numpy()
    mixed = [latent @ normal(4, width, seed=width).numpy() for width in (6, 9)]
    views = Views(dict(zip(("left", "right"), mixed)))
    towers = {side: MLP(hidden=(), dropout=0.0) for side in views.columns}
    model = Learner(towers, VICReg(across=True), dim=4, epochs=40, batch_size=100, lr=0.02).fit(views[:300])
    assert model.compared_by == "euclidean"
    assert model.score(views[300:]) > 0.8
    start = Learner(towers, VICReg(across=True), dim=4, epochs=1, lr=0.0).fit(views[:300])
    assert start.score(views[300:]) < 0.3


def test_refusals():
    z = normal(4, 3)
    with pytest.raises(UsageError, match="two rows or more, got 1"):
        vicreg(z[:1], z[:1])
    with pytest.raises(UsageError, match="one shape"):
        vicreg(z, z[:, :2])
    with pytest.raises(UsageError, match="weights of 0 or more"):
        vicreg(z, z, variance=-1.0)
    with pytest.raises(DataError, match="other holds NaN"):
        vicreg(z, z.clone().fill_(torch.nan))
    with pytest.raises(ModalityError, match="VICReg names 'd'"):
        VICReg(views=("d",)).state(Space({"a": 4}))
    with pytest.raises(UsageError, match="VICReg needs two views or more"):
        VICReg(across=True, views=("a",)).state(Space({"a": 4, "b": 4}))
    with pytest.raises(UsageError, match="finite weights"):
        VICReg(covariance=torch.inf).state(Space({"a": 4}))
    with pytest.raises(UsageError, match="compares a batch with its twins"):
        VICReg().loss(a_batch().replace(twin={}), nn.Module())
