"""SigmoidPairs, the term and its function."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from bouba.batch import Batch
from bouba.errors import DataError, ModalityError, UsageError
from bouba.terms import SigmoidPairs, Space, sigmoid_pairs


def by_the_formula(z_a, z_b, temperature, bias, key=None):
    """-log sigmoid(y_ij (t s_ij + b)) for every pair, as the paper's algorithm 1 reads."""
    size, total = len(z_a), 0
    for i in range(size):
        for j in range(size):
            if i != j and key is not None and key[i] >= 0 and key[i] == key[j]:
                continue
            x = torch.dot(z_a[i] / z_a[i].norm(), z_b[j] / z_b[j].norm()) / temperature + bias
            total = total - torch.log(torch.sigmoid(x if i == j else -x))
    return total / size


def problem(size=6, width=4, seed=0, dtype=torch.float64):
    draw = torch.Generator().manual_seed(seed)
    numbers = [torch.randn(size, width, generator=draw, dtype=torch.float64) for _ in "ab"]
    return [x.to(dtype).requires_grad_() for x in (*numbers, torch.tensor(0.3), torch.tensor(-2.0))]


def loss(z_a, z_b, temperature, bias, **options):
    return sigmoid_pairs(z_a, z_b, temperature=temperature, bias=bias, **options)


def value_and_gradients(loss, leaves):
    return [loss.detach(), *torch.autograd.grad(loss, leaves)]


@pytest.mark.parametrize("tile", [None, 1, 4])
@pytest.mark.parametrize("key", [None, [0, 1, 0, -1, 1, -1], [3] * 6], ids=str)
def test_definition(key, tile):
    leaves = problem()
    key = None if key is None else torch.tensor(key)
    expected = value_and_gradients(by_the_formula(*leaves, key), leaves)
    for ours, theirs in zip(value_and_gradients(loss(*leaves, key=key, tile=tile), leaves), expected):
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)


def test_gradcheck():
    assert torch.autograd.gradcheck(lambda *x: loss(*x, tile=2), problem(5, 3))


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 999), size=st.integers(1, 8))
def test_law_order_rotation_and_exchange(seed, size):
    z_a, z_b, *rest = problem(size, seed=seed)
    value = loss(z_a, z_b, *rest)
    order = torch.randperm(size, generator=torch.Generator().manual_seed(seed))
    turn, _ = torch.linalg.qr(problem(4, 4, seed=seed + 1)[0])
    for pair in ((z_a[order], z_b[order]), (z_a @ turn, z_b @ turn), (z_b, z_a)):
        torch.testing.assert_close(loss(*pair, *rest), value, rtol=1e-10, atol=1e-10)


def test_law_all_alike_and_one_pair():
    """s = 1 everywhere: each of B rows pays once for its partner, B - 1 times for strangers."""
    alike, x = torch.ones(7, 3), 1 / 0.5 - 3
    expected = math.log1p(math.exp(-x)) + 6 * math.log1p(math.exp(x))
    assert sigmoid_pairs(alike, alike, temperature=0.5, bias=-3.0).item() == pytest.approx(expected, rel=1e-6)
    one = sigmoid_pairs(alike[:1], alike[:1], temperature=0.5, bias=-3.0)
    assert one.item() == pytest.approx(math.log1p(math.exp(-x)), rel=1e-6)


@pytest.mark.parametrize("bias", [-10.0, -60.0])
def test_solved_batches_at_scale_100_stay_finite_and_keep_their_digits(bias):
    """Positives at x = 100 + bias cost e^-90 and e^-40; opposite rows lie at -100 + bias, below the clamp."""
    z = torch.cat([torch.eye(3), -torch.eye(3)])
    leaves = [z.clone().requires_grad_() for _ in "ab"]
    value, *gradients = value_and_gradients(sigmoid_pairs(*leaves, temperature=0.01, bias=bias), leaves)
    exact = 4 * math.exp(bias) + math.exp(-100 - bias)
    assert value.item() == pytest.approx(exact, rel=1e-4)
    assert all(g.isfinite().all() for g in gradients)


def test_rows_of_zeros_are_finite_with_a_bounded_gradient():
    z_a, z_b, *_ = (x.detach() for x in problem(dtype=torch.float32))
    z_a[2], z_b[2], z_b[4] = 0.0, 0.0, 0.0
    leaves = [x.requires_grad_() for x in (z_a, z_b)]
    value, *gradients = value_and_gradients(sigmoid_pairs(*leaves, temperature=0.01), leaves)
    assert value.isfinite()
    assert all(g.abs().max() < 1e3 for g in gradients)


def test_half_precision_is_computed_in_float32():
    z_a, z_b, *_ = problem(dtype=torch.bfloat16)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert sigmoid_pairs(z_a, z_b).item() == sigmoid_pairs(z_a.float(), z_b.float()).item()


def test_recovery_tells_partners_from_strangers_by_the_sign():
    """A linear map, the temperature and the bias are learnt; the logit is then positive for partners only."""
    draw = torch.Generator().manual_seed(0)
    a = torch.randn(64, 6, generator=draw)
    b = a @ torch.linalg.qr(torch.randn(6, 6, generator=draw))[0]
    term = SigmoidPairs()
    state = term.state(Space({"a": 6, "b": 6}))
    learnt = torch.zeros(6, 6).add_(0.01 * torch.eye(6)).requires_grad_()
    optimizer = torch.optim.Adam([learnt, *state.parameters()], lr=0.05)
    everywhere = {name: torch.ones(64, dtype=torch.bool) for name in "ab"}
    for _ in range(200):
        optimizer.zero_grad()
        value, parts = term.loss(Batch({}, everywhere, torch.arange(64), z={"a": a @ learnt, "b": b}), state)
        value.backward()
        optimizer.step()
        state.temperature.after_step()
    x = F.normalize(a @ learnt, dim=1) @ F.normalize(b, dim=1).T / parts["temperature"] + parts["bias"]
    right = (x > 0) == torch.eye(64, dtype=torch.bool)
    assert right.diagonal().float().mean() > 0.95
    assert right.float().mean() > 0.99
    untrained = F.normalize(a, dim=1) @ F.normalize(b, dim=1).T
    assert (untrained.argmax(1) == torch.arange(64)).float().mean() < 0.2


def test_term_masks_missing_views_and_averages_pairs():
    draw = torch.Generator().manual_seed(0)
    masks = {"a": [1] * 6, "b": [1, 1, 0, 1, 1, 0], "c": [0, 1, 1, 1, 1, 1]}
    here = {name: torch.tensor(mask, dtype=torch.bool) for name, mask in masks.items()}
    z = {name: torch.randn(6, 4, generator=draw) for name in masks}
    key = torch.tensor([0, 1, 2, 0, 1, -1])
    term = SigmoidPairs(0.2, -1.0)
    value, parts = term.loss(Batch({}, here, torch.arange(6), z=z, key=key), term.state(Space(dict.fromkeys(z, 4))))
    expected = 0.0
    for a, b in (("a", "b"), ("a", "c"), ("b", "c")):
        both = here[a] & here[b]
        expected += sigmoid_pairs(z[a][both], z[b][both], temperature=0.2, bias=-1.0, key=key[both]).item() / 3
    assert value.item() == pytest.approx(expected, abs=1e-6)
    assert (parts["temperature"].item(), parts["bias"].item()) == (pytest.approx(0.2), -1.0)


def test_temperature_and_bias_are_learnt_or_fixed():
    space = Space({"a": 4, "b": 4})
    assert all(p.requires_grad for p in SigmoidPairs().state(space).parameters())
    assert not any(p.requires_grad for p in SigmoidPairs(learn=False).state(space).parameters())


def test_refusals():
    good = torch.randn(4, 3)
    with pytest.raises(UsageError, match=r"one shape \(B, D\) with B >= 1, got z_a \(4, 3\) and z_b \(3, 3\)"):
        sigmoid_pairs(good, good[:3])
    with pytest.raises(UsageError, match="bias must be one finite number, got nan"):
        sigmoid_pairs(good, good, bias=math.nan)
    with pytest.raises(UsageError, match="temperature must be one finite number above 0, got -1"):
        sigmoid_pairs(good, good, temperature=-1.0)
    broken = good.clone()
    broken[2, 1] = math.inf
    with pytest.raises(DataError, match="z_a holds NaN or infinity in 1 of 4 rows, first in row 2"):
        sigmoid_pairs(broken, good)
    with pytest.raises(UsageError, match=r"SigmoidPairs needs two views or more, got 1 \('image'\)"):
        SigmoidPairs().state(Space({"image": 4}))
    with pytest.raises(ModalityError, match="SigmoidPairs pairs name 'txt', but no such view; did you mean 'text'"):
        SigmoidPairs(pairs=(("image", "txt"),)).state(Space({"image": 4, "text": 4}))
    with pytest.raises(UsageError, match=r"SigmoidPairs pairs holds 'image', which is no pair; write pairs=\(\("):
        SigmoidPairs(pairs=("image", "text")).state(Space({"image": 4, "text": 4}))
    with pytest.raises(UsageError, match="bias must be one finite number, got inf"):
        SigmoidPairs(bias=math.inf).state(Space({"image": 4, "text": 4}))
