"""Tower = encoder + projection; where there is BatchNorm each domain passes apart."""

import copy

import numpy as np
import pytest
import torch

from bouba.nn.projection import Projection
from bouba.towers import MLP, ConvNet, Tower
from bouba.towers.tower import stack


def image_tower():
    torch.manual_seed(0)
    return Tower(ConvNet(size=8, channels=2, augment=None).build({}), 5, domains=3)


@pytest.fixture
def inputs():
    return {"pixels": torch.from_numpy(np.random.default_rng(0).integers(0, 255, (7, 3, 8, 8), np.uint8))}


DOMAIN = torch.tensor([0, 2, 0, 2, 2, -1, -1])


def test_in_training_domains_are_forwarded_apart(inputs):
    tower = image_tower().train()
    z = copy.deepcopy(tower)(inputs, DOMAIN)
    mixed = copy.deepcopy(tower)(inputs)
    for code in (-1, 0, 2):
        rows = DOMAIN.eq(code)
        alone = copy.deepcopy(tower)({"pixels": inputs["pixels"][rows]})
        torch.testing.assert_close(z[rows], alone, rtol=1e-4, atol=1e-5)
        assert not torch.allclose(z[rows], mixed[rows], atol=1e-3)


def test_gradients_are_those_of_the_parts(inputs):
    together, apart = image_tower().train(), image_tower().train()
    together(inputs, DOMAIN).square().sum().backward()
    for code in (-1, 0, 2):
        apart({"pixels": inputs["pixels"][DOMAIN.eq(code)]}).square().sum().backward()
    for one, two in zip(together.parameters(), apart.parameters()):
        torch.testing.assert_close(one.grad, two.grad, rtol=1e-3, atol=1e-4)


def test_without_batchnorm_or_training_domains_change_nothing(inputs):
    tower = image_tower().eval()
    torch.testing.assert_close(tower(inputs, DOMAIN), tower(inputs), rtol=1e-4, atol=1e-5)
    plain = Tower(MLP(hidden=()).build({"mean": [0.0], "scale": [1.0]}), 2).train()
    values = {"values": torch.randn(7, 1)}
    torch.testing.assert_close(plain(values, DOMAIN), plain(values))


def test_projection_is_linear_or_two_layers():
    torch.manual_seed(0)
    x, y = torch.randn(2, 4, 3)
    linear, deep = Projection(3, 2).eval(), Projection(3, 2, hidden=6).eval()
    torch.testing.assert_close(linear(x) + linear(y) - linear(torch.zeros(4, 3)), linear(x + y))
    assert deep(x).shape == linear(x).shape == (4, 2)
    assert not torch.allclose(deep(x) + deep(y) - deep(torch.zeros(4, 3)), deep(x + y))


def test_stack_pads_at_the_end():
    assert stack([torch.tensor([1, 2]), torch.tensor([], dtype=torch.int64)]).tolist() == [[1, 2], [0, 0]]
    assert stack([]).shape == (0, 0)


def test_without_domains_all_pass_together(inputs):
    torch.manual_seed(0)
    tower = Tower(ConvNet(size=8, channels=2, augment=None).build({}), 5).train()
    torch.testing.assert_close(copy.deepcopy(tower)(inputs, DOMAIN), copy.deepcopy(tower)(inputs))
