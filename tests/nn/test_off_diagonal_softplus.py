"""The kernel against an explicit double loop in float64."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from bouba.nn.off_diagonal_softplus import off_diagonal_softplus


def by_loops(a, b, scale, bias, key=None):
    total = a.new_zeros(())
    for i in range(len(a)):
        for j in range(len(b)):
            if i != j and not (key is not None and key[i] >= 0 and key[i] == key[j]):
                total = total + F.softplus(scale * (a[i] * b[j]).sum() + bias, threshold=700.0)
    return total


def problem(size=7, seed=0, scale=1.7, bias=-1.0, dtype=torch.float64):
    draw = torch.Generator().manual_seed(seed)
    numbers = [torch.randn(size, 3, generator=draw, dtype=torch.float64) for _ in "ab"]
    numbers += [torch.tensor(x, dtype=torch.float64) for x in (scale, bias)]
    return [x.to(dtype).requires_grad_() for x in numbers]


def value_and_gradients(total, leaves):
    return [total.detach(), *torch.autograd.grad(3.0 * total, leaves)]


def same(got, expected, **tolerance):
    for ours, theirs in zip(got, expected):
        torch.testing.assert_close(ours.double(), theirs, **tolerance)


@pytest.mark.parametrize("tile", [1, 2, 3, 7, 50])
@pytest.mark.parametrize("key", [None, [-1] * 7, [0, 1, 0, -1, -1, 1, 2], [4] * 7], ids=str)
@pytest.mark.parametrize("size", [1, 7])
def test_is_the_double_loop_for_any_tile(size, key, tile):
    leaves = problem(size)
    key = None if key is None else torch.tensor(key[:size])
    expected = value_and_gradients(by_loops(*leaves, key) + 0 * sum(x.sum() for x in leaves), leaves)
    got = value_and_gradients(off_diagonal_softplus(*leaves, key=key, tile=tile), leaves)
    same(got, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("scale", "bias"), [(100.0, 0.0), (100.0, -10.0), (-30.0, 200.0), (0.0, 3.0)])
def test_logits_of_hundreds(scale, bias):
    leaves = problem(scale=scale, bias=bias, dtype=torch.float32)
    exact = [x.detach().double().requires_grad_() for x in leaves]
    expected = value_and_gradients(by_loops(*exact), exact)
    got = value_and_gradients(off_diagonal_softplus(*leaves, tile=3), leaves)
    same(got, expected, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("bias", [-10.0, -20.0, -55.0])
def test_small_terms_keep_their_digits_in_float32(bias):
    """log(1 + e) of e = e^-10 by 1 + e alone would be wrong in the third digit, of e^-20 be 0."""
    leaves = problem(40, scale=0.01, bias=bias, dtype=torch.float32)
    exact = [x.detach().double().requires_grad_() for x in leaves]
    got = value_and_gradients(off_diagonal_softplus(*leaves, tile=16), leaves)
    for ours, theirs in zip(got, value_and_gradients(by_loops(*exact), exact)):
        assert (ours.double() - theirs).abs().max() < 2e-5 * theirs.abs().max()


def test_what_lies_below_the_clamp_counts_as_e_to_minus_60():
    leaves = problem(5, scale=0.0, bias=-200.0, dtype=torch.float32)
    total = off_diagonal_softplus(*leaves)
    assert total.item() == pytest.approx(20 * math.exp(-60), rel=1e-5)
    assert all(g.isfinite().all() for g in torch.autograd.grad(total, leaves))


def test_gradcheck():
    key = torch.tensor([0, -1, 0, -1, 3])
    assert torch.autograd.gradcheck(lambda *x: off_diagonal_softplus(*x, key=key, tile=2), problem(5))


def test_without_gradients_the_value_is_the_same():
    leaves = problem()
    with torch.no_grad():
        assert off_diagonal_softplus(*leaves, tile=3) == off_diagonal_softplus(*leaves, tile=3).detach()
    assert off_diagonal_softplus(*(x.detach() for x in leaves)).requires_grad is False


@settings(deadline=None, max_examples=30)
@given(size=st.integers(1, 40), tile=st.integers(1, 45), seed=st.integers(0, 99))
def test_law_exchanging_the_sides_changes_nothing(size, tile, seed):
    a, b, scale, bias = problem(size, seed=seed)
    one, two = (off_diagonal_softplus(*sides, scale, bias, tile=tile) for sides in ((a, b), (b, a)))
    torch.testing.assert_close(one, two, rtol=1e-12, atol=1e-12)
