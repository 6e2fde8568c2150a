"""Statistics of each domain change places with the running ones, and nothing is overwritten."""

import torch
from torch import nn

from bouba.nn.domain_norm import DomainStatistics


def measured():
    torch.manual_seed(0)
    layer = nn.BatchNorm1d(3)
    statistics = DomainStatistics(layer, 2)
    parts = [torch.randn(50, 3) * 2 + 5, torch.randn(50, 3)]
    for code, part in enumerate(parts):
        statistics.measure(code, [lambda part=part: layer(part)])
    return layer.eval(), statistics, parts


def test_each_domain_is_normalised_by_its_own():
    layer, statistics, parts = measured()
    for code, part in enumerate(parts):
        with statistics.of(code):
            z = layer(part)
        torch.testing.assert_close(z.mean(0), torch.zeros(3), atol=1e-5, rtol=0)
        torch.testing.assert_close(z.var(0), torch.ones(3), atol=1e-4, rtol=0)
    torch.testing.assert_close(layer.running_mean, torch.zeros(3))  # as before


def test_gradients_pass_after_another_domain_was_read():
    layer, statistics, parts = measured()
    x = parts[0].clone().requires_grad_()
    with statistics.of(0):
        z = layer(x)
    with statistics.of(1):
        layer(parts[1])
    z.sum().backward()
    scale = (statistics.values[0, 1] + layer.eps).rsqrt()
    torch.testing.assert_close(x.grad, scale.expand(50, 3))
    assert dict(layer.named_buffers())["running_mean"] is layer.running_mean


def test_an_unmeasured_domain_uses_the_running_ones():
    layer, statistics, parts = measured()
    with statistics.of(7):
        torch.testing.assert_close(layer(parts[1]), parts[1] / (1 + layer.eps) ** 0.5)
