"""RobustInfoNCE, the term and its function."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bouba import MLP, InfoNCE, Learner, Views
from bouba.batch import Batch
from bouba.errors import DataError, UsageError
from bouba.terms import RobustInfoNCE, Space, info_nce, robust_info_nce


def by_the_formula(z_a, z_b, q, density, temperature, key=None):
    """Equation 5 of Chuang et al. for each row and each direction, times e^{-q / temperature}."""
    size, total = len(z_a), 0
    for i in range(size):
        for left, right in ((z_a, z_b), (z_b, z_a)):
            cosine = [torch.cosine_similarity(left[i], right[j], dim=0) for j in range(size)]
            same = [j != i and key is not None and key[i] >= 0 and key[i] == key[j] for j in range(size)]
            everyone = sum(torch.exp(cosine[j] / temperature) for j in range(size) if not same[j])
            total = total - torch.exp(q * cosine[i] / temperature) / q + (density * everyone) ** q / q
    return total / (2 * size) * math.exp(-q / temperature)


def problem(size=6, width=4, seed=0):
    draw = torch.Generator().manual_seed(seed)
    return [torch.randn(size, width, generator=draw, dtype=torch.float64).requires_grad_() for _ in "ab"]


@pytest.mark.parametrize("q", [0.1, 0.5, 1.0])
@pytest.mark.parametrize("key", [None, [0, 1, 0, -1, 1, -1], [3] * 6], ids=str)
def test_definition(key, q):
    leaves = problem()
    key = None if key is None else torch.tensor(key)
    expected = by_the_formula(*leaves, q, 0.05, 0.3, key)
    ours = robust_info_nce(*leaves, q=q, density=0.05, temperature=0.3, key=key, tile=4)
    torch.testing.assert_close(ours, expected, rtol=1e-12, atol=1e-12)
    for left, right in zip(torch.autograd.grad(ours, leaves), torch.autograd.grad(expected, leaves)):
        torch.testing.assert_close(left, right, rtol=1e-10, atol=1e-12)


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 999), size=st.integers(1, 8))
def test_law_order_rotation_and_exchange(seed, size):
    z_a, z_b = problem(size, seed=seed)
    order = torch.randperm(size, generator=torch.Generator().manual_seed(seed))
    turn, _ = torch.linalg.qr(problem(4, seed=seed + 1)[0].detach()[:4])
    for pair in ((z_a[order], z_b[order]), (z_a @ turn, z_b @ turn), (z_b, z_a)):
        torch.testing.assert_close(robust_info_nce(*pair), robust_info_nce(z_a, z_b), rtol=1e-9, atol=1e-12)


def test_law_small_q_is_info_nce():
    """(x^q - 1) / q tends to log x: the loss to log(density) + InfoNCE."""
    z_a, z_b = (z.detach() for z in problem())
    robust = robust_info_nce(z_a, z_b, q=1e-7, density=0.3, temperature=0.5)
    assert robust.item() == pytest.approx(math.log(0.3) + info_nce(z_a, z_b, temperature=0.5).item(), abs=1e-5)


def test_law_all_alike():
    """Every cosine is 1: (density B)^q / q - 1 / q."""
    alike = torch.ones(8, 3, dtype=torch.float64)
    expected = ((0.05 * 8) ** 0.5 - 1) / 0.5
    assert robust_info_nce(alike, alike, q=0.5, density=0.05).item() == pytest.approx(expected, rel=1e-12)


def test_nothing_overflows_at_a_hundredth():
    z = torch.cat([torch.eye(3), -torch.eye(3)]).requires_grad_()
    value = robust_info_nce(z, z.detach(), q=1.0, temperature=0.01)
    value.backward()
    assert value.isfinite()
    assert z.grad.isfinite().all()


def test_recovery_beats_info_nce_where_two_of_five_pairs_are_wrong():
    """Two views of a latent vector, linear towers; partners among 300 new rows."""
    random = np.random.default_rng(0)
    latent = random.normal(size=(700, 10))
    maps = [random.normal(size=(10, 40)) for _ in "ab"]
    left, right = (latent @ m + 0.5 * random.normal(size=(700, 40)) for m in maps)
    partner = np.arange(400)
    shuffled = random.permutation(400)[:160]
    partner[shuffled] = np.roll(shuffled, 1)
    training = Views({"left": left[:400], "right": right[:400][partner]})
    new = Views({"left": left[400:], "right": right[400:]})

    def hits(objective):
        towers = {"left": MLP(()), "right": MLP(())}
        z = Learner(towers, objective, dim=10, epochs=30, batch_size=100).fit(training).embed(new)
        unit = [e / np.linalg.norm(e, axis=1, keepdims=True) for e in z.values()]
        scores = unit[0] @ unit[1].T
        return float((scores.argmax(1) == np.arange(300)).mean())

    assert hits(RobustInfoNCE()) > 0.9
    assert hits(InfoNCE()) < 0.5


def test_term_masks_missing_views_and_averages_pairs():
    draw = torch.Generator().manual_seed(0)
    masks = {"a": [1] * 6, "b": [1, 1, 0, 1, 1, 0], "c": [0, 1, 1, 1, 1, 1]}
    present = {name: torch.tensor(mask, dtype=torch.bool) for name, mask in masks.items()}
    z = {name: torch.randn(6, 4, generator=draw) for name in masks}
    key = torch.tensor([0, 1, 2, 0, 1, -1])
    term = RobustInfoNCE(0.4, 0.1, 0.2)
    value, _ = term.loss(Batch({}, present, torch.arange(6), z=z, key=key), term.state(Space(dict.fromkeys(z, 4))))
    expected = 0.0
    for a, b in (("a", "b"), ("a", "c"), ("b", "c")):
        both = present[a] & present[b]
        pair = robust_info_nce(z[a][both], z[b][both], q=0.4, density=0.1, temperature=0.2, key=key[both])
        expected += pair.item() / 3
    assert value.item() == pytest.approx(expected, abs=1e-6)


def test_refusals():
    z = torch.randn(4, 3)
    with pytest.raises(UsageError, match="q lies above 0 and is at most 1, got 0"):
        robust_info_nce(z, z, q=0)
    with pytest.raises(UsageError, match="density lies above 0 and is at most 1, got 2"):
        robust_info_nce(z, z, density=2)
    with pytest.raises(DataError, match="z_a holds NaN or infinity in 1 of 4 rows, first in row 1"):
        robust_info_nce(z.index_fill(0, torch.tensor([1]), torch.nan), z)
    space = Space({"a": 3, "b": 3})
    with pytest.raises(UsageError, match="q lies above 0 and is at most 1, got 2"):
        RobustInfoNCE(q=2).state(space)
    with pytest.raises(UsageError, match="temperature must be one finite number above 0, got 0"):
        RobustInfoNCE(temperature=0).state(space)
    with pytest.raises(UsageError, match="RobustInfoNCE needs two views or more, got 1"):
        RobustInfoNCE().state(Space({"a": 3}))
