"""Decoders with a distribution around what they give."""

import math

import pytest
import torch

from bouba.errors import UsageError
from bouba.nn.likelihood import Likelihood
from bouba.nn.pixels import light, standardised


def drawn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_definition_number_by_number():
    z, x = drawn(4, 3), drawn(4, 12, seed=1)
    for family, scale in (("gaussian", 0.5), ("laplace", 2.0), ("gaussian", None)):
        likelihood = Likelihood(3, (12,), hidden=8, family=family, scale=scale)
        g, s = likelihood.mean(z), torch.tensor(1.0 if scale is None else scale)
        of = torch.distributions.Normal if family == "gaussian" else torch.distributions.Laplace
        torch.testing.assert_close(likelihood(z, x), of(g, s).log_prob(x).sum(1))
    pictures = Likelihood(3, (3, 2, 2), hidden=16, family="bernoulli")
    logits, share = pictures.decoder(z), light(x.clamp(-1.6, 1.6))
    expected = sum(
        share[:, j] * torch.log(torch.sigmoid(logits[:, j]))
        + (1 - share[:, j]) * torch.log(1 - torch.sigmoid(logits[:, j]))
        for j in range(12)
    )
    torch.testing.assert_close(pictures(z, standardised(share)), expected)
    torch.testing.assert_close(light(pictures.mean(z)), logits.sigmoid())


def test_recovery_a_trained_scale_becomes_the_deviation():
    """Of noise around what cannot be decoded: the standard deviation, and of Laplace the mean absolute one."""
    for family, noise, expected in (("gaussian", 0.2, 0.2), ("laplace", 0.2, 0.2 * math.sqrt(2 / math.pi))):
        torch.manual_seed(0)
        likelihood = Likelihood(2, (30,), hidden=4, family=family)
        optimizer = torch.optim.Adam(likelihood.parameters(), lr=0.02)
        z, x = torch.zeros(400, 2), noise * drawn(400, 30)
        for _ in range(300):
            optimizer.zero_grad()
            (-likelihood(z, x).mean()).backward()
            optimizer.step()
        assert likelihood.log_scale.exp().item() == pytest.approx(expected, rel=0.05)


def test_what_is_taken_when_nothing_is_said():
    assert Likelihood(2, (3, 4, 4), hidden=8).family == "laplace"
    assert Likelihood(2, (9,), hidden=8).family == "gaussian"
    assert Likelihood(2, (9,), hidden=8, scale=0.5).scale is None


def test_refusals():
    with pytest.raises(UsageError, match="no likelihood 'gausian'; did you mean 'gaussian'"):
        Likelihood(2, (9,), hidden=8, family="gausian")
    with pytest.raises(UsageError, match="bernoulli is the likelihood of pictures"):
        Likelihood(2, (9,), hidden=8, family="bernoulli")
