"""Sums over pairs as a GPU makes them, against their definition in float64 with the whole matrix."""

import math
import weakref

import pytest
import torch
from torch.nn import functional as F

from bouba.nn import gpu_tables
from bouba.nn.mmd import gaussian_mmd
from bouba.nn.off_diagonal import off_diagonal_logsumexp
from bouba.nn.off_diagonal_softplus import off_diagonal_softplus

BF16 = torch.bfloat16
SIZES = [(1, None), (5, 3), (70, None), (150, 90)]
"""Rows, and the side of a tile; blocks of a kernel are 64 x 128."""
ROUNDING = {"torch": 0.003, "triton": 0.006}
"""Of a gradient in bfloat16: a GPU rounds to the nearest as torch does, Triton's interpreter cuts off."""


def counted(size, key):
    """bool (B, B), which pairs are negatives."""
    same = torch.eye(size, dtype=torch.bool)
    return ~same if key is None else ~(same | ((key[:, None] == key) & (key >= 0)))


def keys(size):
    return torch.arange(size) // 3 - 4


def problem(size, width=5, spread=1.0, seed=0):
    draw = torch.Generator().manual_seed(seed)
    a, b = (spread * torch.randn(size, width, generator=draw) for _ in "ab")
    return [x.requires_grad_() for x in (a, b, torch.tensor(1.7))], torch.randn(2, size, generator=draw)


def logsumexps(a, b, scale, key=None, euclidean=False):
    if euclidean:
        squares = (a[:, None] - b).square().sum(2)
        logits = -scale * torch.where(squares > 0, squares, 1).sqrt() * (squares > 0)
    else:
        logits = scale * a @ b.T
    logits = logits.masked_fill(~counted(len(a), key), -math.inf)
    return logits.logsumexp(1), logits.logsumexp(0)


def values_and_gradients(function, leaves, outer):
    sums = [torch.where(x.isneginf(), 0, x) for x in function(*leaves)]
    total = sum((g.to(x) * x).sum() for g, x in zip(outer, sums)) + sum(0 * leaf.sum() for leaf in leaves)
    return [*(x.detach() for x in sums), *torch.autograd.grad(total, leaves)]


def exact(leaves, operands=torch.float32):
    """In float64, as operands of products are."""
    return [x.detach().to(operands if x.ndim else x.dtype).double().requires_grad_() for x in leaves]


def near(got, expected, tolerance=2e-5):
    for ours, theirs in zip(got, expected, strict=True):
        assert ours.isfinite().all()
        assert (ours.double() - theirs).abs().max() <= tolerance * max(1.0, theirs.abs().max())


@pytest.mark.parametrize("euclidean", [False, True])
@pytest.mark.parametrize("keyed", [False, True])
@pytest.mark.parametrize(("size", "tile"), SIZES)
def test_logsumexps(size, tile, keyed, euclidean, as_on_gpu):
    leaves, outer = problem(size)
    key = keys(size) if keyed else None
    expected = values_and_gradients(lambda *x: logsumexps(*x, key, euclidean), exact(leaves), outer)
    options = {"floor": torch.zeros(size), "key": key, "tile": tile, "euclidean": euclidean}
    near(values_and_gradients(lambda *x: off_diagonal_logsumexp(*x, **options), leaves, outer), expected)


@pytest.mark.parametrize("dense", [0, 10**9])
@pytest.mark.parametrize("keyed", [False, True])
@pytest.mark.parametrize(("size", "tile"), SIZES)
def test_of_one_side_twice(size, tile, keyed, dense, as_on_gpu, monkeypatch):
    monkeypatch.setattr(gpu_tables, "DENSE", dense)
    (a, _, scale), outer = problem(size)
    key = keys(size) if keyed else None
    expected = values_and_gradients(lambda a, s: logsumexps(a, a, s, key), exact([a, scale]), outer)
    options = {"floor": torch.zeros(size), "key": key, "tile": tile}
    near(values_and_gradients(lambda a, s: off_diagonal_logsumexp(a, a, s, **options), [a, scale], outer), expected)


@pytest.mark.parametrize("spread", [5.0, 100.0])
def test_logits_of_thousands(spread, as_on_gpu):
    leaves, outer = problem(70, spread=spread)
    expected = values_and_gradients(logsumexps, exact(leaves), outer)
    options = {"floor": torch.zeros(70), "tile": 40}
    near(values_and_gradients(lambda *x: off_diagonal_logsumexp(*x, **options), leaves, outer), expected, 1e-4)


def test_where_all_keys_are_equal_sums_are_empty(as_on_gpu):
    (a, b, scale), outer = problem(70)
    key = torch.zeros(70, dtype=torch.int64)
    rows, columns = off_diagonal_logsumexp(a, b, scale, floor=torch.zeros(70), key=key, tile=40)
    assert rows.isneginf().all()
    assert columns.isneginf().all()
    gradients = torch.autograd.grad((rows.exp() * outer[0] + columns.exp()).sum(), [a, b, scale])
    assert all(gradient.eq(0).all() for gradient in gradients)


@pytest.mark.parametrize("dense", [0, 10**9])
@pytest.mark.parametrize("outermost", [1.0, math.exp(-75)])
def test_bfloat16_operands_keep_relative_precision(outermost, dense, as_on_gpu, monkeypatch):
    """Sums are exact for the rounded operands; of a gradient each share is rounded to three digits."""
    monkeypatch.setattr(gpu_tables, "DENSE", dense)
    leaves, outer = problem(150, width=16)
    expected = values_and_gradients(logsumexps, exact(leaves, BF16), outer)
    options = {"floor": torch.zeros(150), "tile": 90, "operands": BF16}
    got = values_and_gradients(lambda *x: off_diagonal_logsumexp(*x, **options), leaves, outermost * outer)
    near(got[:2], expected[:2])
    for ours, theirs in zip(got[2:], expected[2:]):
        assert (ours.double() / outermost - theirs).norm() < ROUNDING[as_on_gpu] * theirs.norm()


NEAR_TWINS = [[1000.0, 0.0], [-1000.0, 1.0], [1000.001, 0.0], [-999.0, 3.0]]


def test_distances_keep_their_digits(as_on_gpu):
    a = torch.tensor(NEAR_TWINS)
    leaves = [x.requires_grad_() for x in (a, a + torch.tensor([0.0, 0.25]), torch.tensor(1.0))]
    expected = values_and_gradients(lambda *x: logsumexps(*x, euclidean=True), exact(leaves), torch.ones(2, 4))
    options = {"floor": torch.zeros(4), "euclidean": True, "operands": BF16}
    got = values_and_gradients(lambda *x: off_diagonal_logsumexp(*x, **options), leaves, torch.ones(2, 4))
    near(got, expected, 1e-4)


def softplus_sum(a, b, scale, bias, key=None):
    return F.softplus(scale * a @ b.T + bias, threshold=700.0)[counted(len(a), key)].sum()


@pytest.mark.parametrize("operands", [torch.float32, BF16])
@pytest.mark.parametrize("keyed", [False, True])
@pytest.mark.parametrize(("size", "tile"), SIZES)
def test_sums_of_softplus(size, tile, keyed, operands, as_on_gpu):
    leaves, _ = problem(size)
    leaves = [*leaves, torch.tensor(-9.0, requires_grad=True)]
    key = keys(size) if keyed else None
    exactly = exact(leaves, operands)
    total = softplus_sum(*exactly, key)
    expected = [total.detach(), *torch.autograd.grad(3 * total, exactly)]
    total = off_diagonal_softplus(*leaves, key=key, tile=tile, operands=operands)
    got = [total.detach(), *torch.autograd.grad(3 * total, leaves)]
    near(got, expected, 2e-5 if operands == torch.float32 else 8e-3)
    near(got[:1], expected[:1])


@pytest.mark.parametrize("bias", [-14.0, -20.0, -55.0])
def test_small_terms_of_softplus_keep_their_digits(bias, as_on_gpu):
    leaves = [*problem(70)[0][:2], torch.tensor(0.3), torch.tensor(bias)]
    expected = softplus_sum(*(x.double() for x in leaves))
    torch.testing.assert_close(off_diagonal_softplus(*leaves).double(), expected, rtol=2e-5, atol=0.0)


def mmd_of(a, b, variances, unbiased):
    def mean(x, y, within):
        squares = (x[:, None] - y).square().sum(2)
        k = sum(torch.exp(-squares / (2 * s2)) for s2 in variances) / len(variances)
        n, m = k.shape
        return (k.sum() - n) / (n * (n - 1)) if within and unbiased and n > 1 else k.sum() / (n * m)

    return mean(a, a, True) + mean(b, b, True) - 2 * mean(a, b, False)


@pytest.mark.parametrize("unbiased", [False, True])
@pytest.mark.parametrize("operands", [torch.float32, BF16])
@pytest.mark.parametrize(("rows", "tile"), [((1, 1), None), ((5, 70), None), ((150, 33), 60)])
def test_mmd(rows, tile, operands, unbiased, as_on_gpu):
    draw = torch.Generator().manual_seed(0)
    a, b = (torch.randn(n, 8, generator=draw) + 0.2 * n**0.5 for n in rows)
    variances = torch.tensor([8.0, 2.0, 3.0], dtype=torch.float64)
    centre = torch.cat([a, b]).mean(0)
    leaves = [x.requires_grad_() for x in (a, b)]
    exactly = [(x.detach() - centre).to(operands).double().requires_grad_() for x in (a, b)]
    value = mmd_of(*exactly, variances, unbiased)
    expected = [value.detach(), *torch.autograd.grad(value, exactly)]
    value = gaussian_mmd(*leaves, variances, unbiased=unbiased, tile=tile, operands=operands)
    got = [value.detach(), *torch.autograd.grad(value, leaves)]
    near(got[:1], expected[:1], 1e-6)
    for ours, theirs in zip(got[1:], expected[1:]):
        assert (ours.double() - theirs).norm() <= (
            1e-5 if operands == torch.float32 else ROUNDING[as_on_gpu]
        ) * theirs.norm() + 1e-7


@pytest.mark.parametrize("as_on_gpu", ["torch"], indirect=True)
def test_one_tile_is_held_at_a_time(as_on_gpu, monkeypatch):
    """Of products, and of their gradient; a small table is kept instead."""
    product, tables, alive = gpu_tables.product, [], []

    def watched(x, y):
        made = product(x, y)
        if made.shape[1] > 16:  # products and not their share of a gradient
            alive.append(sum(table() is not None for table in tables))
            tables.append(weakref.ref(made))
        return made

    monkeypatch.setattr(gpu_tables, "product", watched)
    monkeypatch.setattr(gpu_tables, "DENSE", 0)
    (a, b, scale), _ = problem(100, width=16)
    off_diagonal_logsumexp(a, b, scale, floor=torch.zeros(100), tile=40).sum().backward()
    off_diagonal_softplus(a, b, scale, torch.tensor(-3.0), tile=40).backward()
    gaussian_mmd(a, b, torch.ones(1), tile=40).backward()
    assert len(alive) > 30
    assert max(alive) == 0
