"""Fusions: each against its formula in an explicit loop, and what holds for all of them."""

import math

import pytest
import torch
from torch.nn import functional as F

from bouba.errors import UsageError
from bouba.nn.fusion import (
    AttentionFusion,
    ConcatFusion,
    GatedFusion,
    LowRankFusion,
    SumFusion,
    kept_views,
    masked_softmax,
)

ALL = [ConcatFusion(hidden=8), SumFusion(), GatedFusion(), AttentionFusion(heads=2), LowRankFusion(rank=3)]
every_fusion = pytest.mark.parametrize("spec", ALL, ids=lambda spec: type(spec).__name__)
VIEWS, DIM = 3, 4


def a_batch(rows=7, seed=0):
    draw = torch.Generator().manual_seed(seed)
    z = torch.randn(rows, VIEWS, DIM, generator=draw, dtype=torch.float64)
    present = torch.rand(rows, VIEWS, generator=draw) < 0.6
    return z, present


def made(spec, seed=0):
    torch.manual_seed(seed)
    return spec.build(VIEWS, DIM).double().eval()


@every_fusion
def test_absent_views_are_never_read(spec):
    fusion = made(spec)
    z, present = a_batch()
    z.requires_grad_()
    spoilt = torch.where(present[:, :, None], z.detach(), torch.nan).requires_grad_()
    clean, out = fusion(z, present), fusion(spoilt, present)
    assert out.shape == (7, DIM)
    torch.testing.assert_close(out, clean, rtol=0, atol=0)
    (gradient,) = torch.autograd.grad(out.square().sum(), spoilt)
    assert torch.isfinite(gradient).all()
    assert not gradient[~present].any()


@every_fusion
def test_rows_do_not_meet(spec):
    fusion = made(spec)
    z, present = a_batch()
    alone = torch.cat([fusion(z[i : i + 1], present[i : i + 1]) for i in range(len(z))])
    torch.testing.assert_close(fusion(z, present), alone)


@every_fusion
def test_every_present_view_matters(spec):
    fusion = made(spec)
    z, _ = a_batch()
    z.requires_grad_()
    fusion(z, torch.ones(7, VIEWS, dtype=torch.bool)).square().sum().backward()
    assert (z.grad.abs().sum((0, 2)) > 1e-6).all()


def test_concat_is_its_formula():
    fusion = made(ConcatFusion(hidden=8))
    torch.nn.init.normal_(fusion.absent)
    z, present = a_batch()
    norm, first, _, _, last = fusion.layers
    for i, row in enumerate(fusion(z, present)):
        side_by_side = torch.cat([z[i, v] if present[i, v] else fusion.absent[v] for v in range(VIEWS)])
        hidden = F.gelu(F.linear(norm(side_by_side), first.weight, first.bias))
        torch.testing.assert_close(row, F.linear(hidden, last.weight, last.bias))


def test_sum_is_its_formula():
    z, present = a_batch()
    for i, row in enumerate(made(SumFusion())(z, present)):
        torch.testing.assert_close(
            row, sum((z[i, v] for v in range(VIEWS) if present[i, v]), torch.zeros(DIM)).double()
        )


def test_gated_is_its_formula():
    fusion = made(GatedFusion())
    z, present = a_batch()
    for i, row in enumerate(fusion(z, present)):
        for e in range(DIM):
            there = [v for v in range(VIEWS) if present[i, v]]
            gates = [math.exp(z[i, v] @ fusion.gate[v, :, e]) for v in there]
            values = [math.tanh(z[i, v] @ fusion.value[v, :, e]) for v in there]
            wanted = sum(g * value for g, value in zip(gates, values)) / sum(gates) if there else 0.0
            assert float(row[e]) == pytest.approx(wanted, abs=1e-12)


def test_low_rank_is_its_formula():
    fusion = made(LowRankFusion(rank=3))
    z, present = a_batch()
    for i, row in enumerate(fusion(z, present)):
        for e in range(DIM):
            wanted = 0.0
            for r in range(3):
                product = 1.0
                for v in range(VIEWS):
                    if present[i, v]:
                        product *= float(z[i, v] @ fusion.factor[v, :, r, e] + fusion.shift[v, r, e])
                wanted += float(fusion.mix[r]) * (product - 1)
            assert float(row[e]) == pytest.approx(wanted, abs=1e-10)


@pytest.mark.parametrize("spec", [SumFusion(), GatedFusion(), LowRankFusion()], ids=lambda spec: type(spec).__name__)
def test_a_row_without_views_gives_nothing(spec):
    z, _ = a_batch()
    assert not made(spec)(z, torch.zeros(7, VIEWS, dtype=torch.bool)).any()


def test_masked_softmax_sums_to_one_among_what_is_there():
    z, present = a_batch(50)
    shares = masked_softmax(z, present[:, :, None].expand_as(z))
    torch.testing.assert_close(shares.sum(1), present.any(1)[:, None].double().expand(-1, DIM))
    assert not shares[~present].any()


@pytest.mark.parametrize("drop", [0.0, 0.3, 0.9])
def test_modality_dropout_keeps_the_share_it_says_and_one_at_least(drop):
    torch.manual_seed(0)
    present = torch.rand(40_000, 4) < 0.7
    kept = kept_views(present, drop)
    assert not (kept & ~present).any()
    assert (kept.any(1) == present.any(1)).all()
    many = present.sum(1)
    for count in range(1, 5):  # one is put back where all would go, with probability drop^count
        share = kept[many == count].sum(1).double().mean() / count
        assert float(share) == pytest.approx(1 - drop + drop**count / count, abs=0.02)


def test_refusals():
    with pytest.raises(UsageError, match=r"drop is a probability in \[0, 1\), got 1"):
        SumFusion(drop=1.0)
    with pytest.raises(UsageError, match="dim must be a multiple of heads, got 6 and 4"):
        AttentionFusion().build(2, 6)
