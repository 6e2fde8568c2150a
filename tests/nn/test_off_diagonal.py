"""The kernel against an explicit double loop in float64, in every regime it treats apart."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bouba.nn import off_diagonal
from bouba.nn.off_diagonal import off_diagonal_logsumexp


def by_loops(a, b, scale, key=None, euclidean=False):
    """rows and cols, one pair at a time; differentiable."""
    size = len(a)
    logits = [
        [scale * (-(a[i] - b[j]).norm() if euclidean else (a[i] * b[j]).sum()) for j in range(size)]
        for i in range(size)
    ]
    counts = [
        [i != j and not (key is not None and key[i] >= 0 and key[i] == key[j]) for j in range(size)]
        for i in range(size)
    ]
    empty = a.new_full((), -math.inf)

    def total(pairs):
        kept = [logits[i][j] for i, j in pairs if counts[i][j]]
        return torch.stack(kept).logsumexp(0) if kept else empty

    rows = [total([(i, j) for j in range(size)]) for i in range(size)]
    cols = [total([(i, j) for i in range(size)]) for j in range(size)]
    return torch.stack(rows), torch.stack(cols)


def problem(size=7, width=3, seed=0, spread=1.0, dtype=torch.float64):
    draw = torch.Generator().manual_seed(seed)
    a, b = (spread * torch.randn(size, width, generator=draw, dtype=torch.float64) for _ in range(2))
    leaves = [x.to(dtype).requires_grad_() for x in (a, b, torch.tensor(1.7, dtype=torch.float64))]
    return leaves, [torch.randn(size, generator=draw, dtype=torch.float64).to(dtype) for _ in range(2)]


def values_and_gradients(function, leaves, outer):
    rows, cols = function(*leaves)
    finite = [torch.where(x.isneginf(), 0.0, x) for x in (rows, cols)]
    gradients = torch.autograd.grad(sum((g * x).sum() for g, x in zip(outer, finite)), leaves)
    return [rows.detach(), cols.detach(), *gradients]


def kernel(floor=-math.inf, **options):
    return lambda a, b, scale: off_diagonal_logsumexp(a, b, scale, floor=a.new_full((len(a),), floor), **options)


KEYS = {"no key": None, "unknown": [-1] * 7, "some alike": [0, 1, 0, -1, -1, 1, 2]}


@pytest.mark.parametrize("euclidean", [False, True])
@pytest.mark.parametrize("tile", [1, 3, 7, 50])
@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS.keys())
@pytest.mark.parametrize("kept", [0, 10, 10**6])
def test_is_the_double_loop_for_any_tile(key, tile, euclidean, kept, monkeypatch):
    monkeypatch.setattr(off_diagonal, "CACHED", kept)
    leaves, outer = problem()
    key = None if key is None else torch.tensor(key)
    expected = values_and_gradients(lambda a, b, s: by_loops(a, b, s, key, euclidean), leaves, outer)
    got = values_and_gradients(kernel(key=key, tile=tile, euclidean=euclidean), leaves, outer)
    for ours, theirs in zip(got, expected):
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("euclidean", [False, True])
@pytest.mark.parametrize("tile", [1, 3, 50])
@pytest.mark.parametrize(("size", "key"), [(1, None), (7, [4] * 7)])
def test_where_nothing_is_left_the_sum_is_empty_and_the_gradient_zero(size, key, tile, euclidean):
    leaves, outer = problem(size=size)
    key = None if key is None else torch.tensor(key)
    rows, cols, *gradients = values_and_gradients(kernel(key=key, tile=tile, euclidean=euclidean), leaves, outer)
    assert rows.isneginf().all()
    assert cols.isneginf().all()
    assert not any(g.count_nonzero() for g in gradients)


@pytest.mark.parametrize("spread", [5.0, 30.0, 300.0])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-11), (torch.float32, 2e-3)])
def test_two_exponentials_where_one_does_not_reach(spread, dtype, tolerance):
    leaves, outer = problem(spread=spread, dtype=dtype)
    exact, weights = [x.detach().double().requires_grad_() for x in leaves], [g.double() for g in outer]
    expected = values_and_gradients(by_loops, exact, weights)
    for tile in (2, 3, 7):
        got = values_and_gradients(kernel(tile=tile), leaves, outer)
        for ours, theirs in zip(got, expected):
            size = theirs.abs().max()
            torch.testing.assert_close(ours.double(), theirs, rtol=0, atol=tolerance * size.item())


def exponentials(monkeypatch, run):
    """How often _exp was called forward and backward."""
    calls, exp = [], off_diagonal._exp
    monkeypatch.setattr(off_diagonal, "_exp", lambda *args, **kw: calls.append(1) or exp(*args, **kw))
    out = run()
    forward = len(calls)
    out.backward()
    return forward, len(calls) - forward


@pytest.mark.parametrize(("spread", "calls"), [(1.0, (1, 1)), (30.0, (2, 2))])
def test_which_way_a_tile_goes(spread, calls, monkeypatch):
    (a, b, scale), _ = problem(spread=spread, dtype=torch.float32)
    assert exponentials(monkeypatch, lambda: sum(kernel()(a, b, scale)).sum()) == calls


def test_a_high_floor_spares_the_second_exponential(monkeypatch):
    (a, b, scale), _ = problem(spread=30.0, dtype=torch.float32)
    run = lambda: (sum(kernel(floor=1e5)(a, b, scale)) * 0).sum()  # noqa: E731
    assert exponentials(monkeypatch, run) == (1, 1)


def test_a_scale_of_zero_and_a_negative_one():
    (a, b, _), outer = problem()
    for value in (0.0, -2.0):
        for euclidean in (False, True):
            leaves = [a, b, torch.tensor(value, dtype=torch.float64, requires_grad=True)]
            expected = values_and_gradients(lambda *x, e=euclidean: by_loops(*x, euclidean=e), leaves, outer)
            got = values_and_gradients(kernel(tile=3, euclidean=euclidean), leaves, outer)
            for ours, theirs in zip(got, expected):
                torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("euclidean", [False, True])
def test_gradcheck(euclidean):
    leaves, _ = problem(size=5)
    key = torch.tensor([0, -1, 0, -1, 3])
    assert torch.autograd.gradcheck(kernel(tile=2, key=key, euclidean=euclidean), leaves)


def test_a_second_backward_gives_the_same():
    leaves, _ = problem()
    total = sum(kernel(tile=3)(*leaves)).sum()
    first = torch.autograd.grad(total, leaves, retain_graph=True)
    for one, two in zip(first, torch.autograd.grad(total, leaves)):
        assert torch.equal(one, two)


def test_gradients_of_solved_rows_are_not_lost_to_underflow():
    """Incoming gradients of e^-80 with probabilities of e^-30: the product is denormal, the sum is not."""
    leaves, outer = problem(dtype=torch.float32)
    tiny = [g * math.exp(-80) for g in outer]
    plain, scaled = (values_and_gradients(kernel(), leaves, g)[2:] for g in (outer, tiny))
    for one, two in zip(plain, scaled):
        torch.testing.assert_close(two.double() * math.exp(80), one.double(), rtol=1e-4, atol=0)


NEAR_TWINS = [[1000.0, 0.0], [-1000.0, 1.0], [1000.001, 0.0], [-999.0, 3.0]]
FAR_CLOUD = [[1e4, 1e4], [1e4 + 1, 1e4], [1e4, 1e4 + 2], [1e4 + 3, 1e4 - 1]]


@pytest.mark.parametrize("points", [NEAR_TWINS, FAR_CLOUD], ids=["near twins", "a cloud far from the origin"])
def test_distances_keep_their_digits_in_float32(points):
    """Expanded squares would lose them: 1000^2 + 1000^2 - 2 * 1000 * 1000.001 is noise."""
    a = torch.tensor(points)
    leaves = [x.requires_grad_() for x in (a, a + torch.tensor([0.0, 0.25]), torch.tensor(1.0))]
    exact = [x.detach().double().requires_grad_() for x in leaves]
    outer = [torch.ones(4, dtype=torch.float64)] * 2
    expected = values_and_gradients(lambda *x: by_loops(*x, euclidean=True), exact, outer)
    got = values_and_gradients(kernel(euclidean=True), leaves, [g.float() for g in outer])
    for ours, theirs in zip(got, expected):
        torch.testing.assert_close(ours.double(), theirs, rtol=1e-4, atol=1e-4)


@settings(deadline=None, max_examples=30)
@given(size=st.integers(1, 9), tile=st.integers(1, 10), spread=st.floats(0.0, 50.0), seed=st.integers(0, 99))
def test_rows_of_the_transpose_are_the_columns(size, tile, spread, seed):
    (a, b, scale), _ = problem(size=size, seed=seed, spread=spread)
    rows, cols = kernel(tile=tile)(a, b, scale)
    cols_again, rows_again = kernel(tile=tile)(b, a, scale)
    torch.testing.assert_close(rows, rows_again, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(cols, cols_again, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("tile", [1, 2, 3, 7, 50])
@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS.keys())
@pytest.mark.parametrize("spread", [1.0, 30.0, 300.0])
def test_of_one_side_twice_half_the_tiles_do(key, tile, spread):
    """off_diagonal_logsumexp(a, a) walks the upper tiles only; of a and its copy, all."""
    (a, _, scale), outer = problem(spread=spread)
    key = None if key is None else torch.tensor(key)
    expected = values_and_gradients(lambda a, s: kernel(key=key, tile=tile)(a, a.clone(), s), [a, scale], outer)
    got = values_and_gradients(lambda a, s: kernel(key=key, tile=tile)(a, a, s), [a, scale], outer)
    for ours, theirs in zip(got, expected):
        torch.testing.assert_close(ours, theirs, rtol=1e-8, atol=1e-8)  # logits of 10^6


def test_second_derivatives_are_refused():
    from bouba.errors import UsageError
    from bouba.terms.info_nce import info_nce
    from bouba.terms.sigmoid_pairs import sigmoid_pairs

    z = torch.randn(6, 3, requires_grad=True)
    for loss in (info_nce(z, z.detach() + 1, temperature=0.5), sigmoid_pairs(z, z.detach() + 1)):
        with pytest.raises(UsageError, match="no second derivative"):
            torch.autograd.grad(loss, z, create_graph=True)
