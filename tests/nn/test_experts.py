"""Beliefs of views, and what they make together."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bouba.errors import UsageError
from bouba.nn.experts import Experts, belief, divergence, log_density, product


def drawn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_definition_of_the_product_is_the_product_of_densities():
    """On a grid of one number: normalised prod_v N(z; m_v, s_v^2), with the prior and without."""
    mean, log_variance = drawn(3, 1), drawn(3, 1, seed=1)
    grid = torch.linspace(-30, 30, 60_001, dtype=torch.float64)
    for present, prior in (([1, 1, 1], False), ([1, 0, 1], True), ([0, 0, 0], True)):
        density = torch.zeros_like(grid)
        for v in range(3):
            if present[v]:
                density += log_density(grid[:, None], mean[v], log_variance[v])
        if prior:
            density += -grid.square() / 2
        weights = density.softmax(0)
        expected = (weights * grid).sum()
        spread = (weights * (grid - expected).square()).sum()
        here = torch.tensor([present], dtype=torch.bool)
        m, log_v = product(mean[None], log_variance[None], here, prior=prior)
        torch.testing.assert_close(m[0, 0], expected, atol=1e-6, rtol=1e-6)
        torch.testing.assert_close(log_v[0, 0].exp(), spread, atol=1e-5, rtol=1e-5)


def test_definition_of_divergence_and_density_are_those_of_torch():
    m, log_v, n, log_w = (drawn(5, 4, seed=seed) for seed in range(4))
    p, q = (torch.distributions.Normal(mean, (log / 2).exp()) for mean, log in ((m, log_v), (n, log_w)))
    torch.testing.assert_close(divergence(m, log_v, n, log_w), torch.distributions.kl_divergence(p, q).sum(1))
    standard = torch.distributions.Normal(torch.zeros_like(m), 1)
    torch.testing.assert_close(divergence(m, log_v), torch.distributions.kl_divergence(p, standard).sum(1))
    torch.testing.assert_close(log_density(n, m, log_v), p.log_prob(n).sum(1))


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 999), views=st.integers(1, 5))
def test_law_the_order_of_views_changes_nothing_and_what_is_absent_is_not_read(seed, views):
    mean, log_variance = drawn(4, views, 3, seed=seed), drawn(4, views, 3, seed=seed + 1)
    present = drawn(4, views, seed=seed + 2) > 0
    order = torch.randperm(views)
    for prior in (True, False):
        m, log_v = product(mean, log_variance, present, prior=prior)
        again = product(mean[:, order], log_variance[:, order], present[:, order], prior=prior)
        torch.testing.assert_close((m, log_v), again)
        gone = ~present[:, :, None]
        spoilt = product(
            mean.masked_fill(gone, math.nan), log_variance.masked_fill(gone, math.nan), present, prior=prior
        )
        torch.testing.assert_close(spoilt, (m, log_v))
        surest = log_variance.masked_fill(gone, 50).amin(1)
        assert (log_v <= surest + 1e-9)[present.any(1)].all(), "together they are surer than the surest"
        assert not m[~present.any(1)].count_nonzero()
        assert not log_v[~present.any(1)].count_nonzero()


def test_a_belief_is_two_halves_and_its_variance_stays_finite():
    mean, log_variance = belief(torch.tensor([[1.0, 2.0, 500.0, -500.0]]))
    assert mean.tolist() == [[1, 2]]
    assert log_variance.tolist() == [[10, -10]]


def test_the_module_gives_the_mean_of_the_product_or_of_the_means():
    z, present = drawn(3, 2, 8), torch.tensor([[1, 1], [0, 1], [0, 0]], dtype=torch.bool)
    mean, log_variance = belief(z)
    for kind in ("product", "mopoe", "mvtcae"):
        found = Experts(kind=kind).build(2, 4)(z, present)
        torch.testing.assert_close(found, product(mean, log_variance, present, prior=kind == "product")[0])
    found = Experts(kind="mixture").build(2, 4)(z, present)
    torch.testing.assert_close(found, torch.stack([mean[0].mean(0), mean[1, 1], torch.zeros(4, dtype=z.dtype)]))
    assert Experts(kind="mopoe").embedding_width(4) == 8


def test_refusal():
    with pytest.raises(UsageError, match="no experts 'mopo'; did you mean 'mopoe'"):
        Experts(kind="mopo")
