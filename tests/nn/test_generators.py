"""The parts of what draws: averaged weights, the critic and its penalty, changes of pictures, velocities."""

import math

import pytest
import torch
from torch import nn

from bouba.nn.critic import Critic, gradient_penalty
from bouba.nn.generator import generator_for
from bouba.nn.moving_average import MovingAverage
from bouba.nn.same_change import change, colour, cutout, noisy, translation
from bouba.nn.velocity import Velocity


def drawn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_definition_of_the_moving_average():
    module = nn.Linear(2, 1, bias=False)
    average, expected = MovingAverage(module, 0.3), module.weight.detach().clone()
    for step in range(6):
        with torch.no_grad():
            module.weight.copy_(drawn(1, 2, seed=step))
        average.update(module)
        rate = min(0.3, (1 + step) / (10 + step))
        expected = rate * expected + (1 - rate) * drawn(1, 2, seed=step)
    x = drawn(4, 2)
    torch.testing.assert_close(average.run(module, x), x @ expected.T)
    assert not list(average.parameters())
    assert set(average.state_dict()) == {"steps", "average0"}


def test_definition_of_the_critic_and_of_its_penalty():
    torch.manual_seed(0)
    critic, x, c = Critic(2, (5,), hidden=8).double(), drawn(3, 5).double(), drawn(3, 2, seed=1).double()
    f = critic.features(x)
    for row in range(3):
        score = critic.score.weight[0] @ f[row] + critic.score.bias[0]
        score = score + (critic.match.weight @ c[row]) @ f[row] / math.sqrt(8)
        torch.testing.assert_close(critic(x, c)[row], score)
    steep = 0.0
    for step in 1e-5 * torch.eye(5).double():
        steep += ((critic(x + step, c) - critic(x - step, c)) / 2e-5).square().sum().item() / 3
    assert gradient_penalty(critic, x, c).item() == pytest.approx(steep, rel=1e-6)


@pytest.mark.parametrize("shape", [(3, 16, 16), (3, 10, 7), (1, 4, 4), (3, 33, 9), (3, 16, 1), (6,)])
def test_pictures_of_any_side_have_a_score_and_a_velocity(shape):
    x, c, t = drawn(2, math.prod(shape)), drawn(2, 4), torch.tensor([0.2, 0.9])
    assert Critic(4, shape, hidden=16)(x, c).shape == (2,)
    assert Velocity(4, shape, hidden=16)(x, t, c).shape == x.shape


def test_law_a_row_that_is_not_told_does_not_depend_on_its_condition():
    torch.manual_seed(0)
    field, x = Velocity(4, (3, 8, 8), hidden=16), drawn(3, 192)
    nn.init.normal_(field.layers.last.weight)
    known = torch.tensor([True, False, False])
    a, b = (field(x, torch.full((3,), 0.5), drawn(3, 4, seed=seed), known) for seed in (1, 2))
    assert not torch.allclose(a[0], b[0])
    torch.testing.assert_close(a[1:], b[1:])


def test_changes_of_pictures_keep_what_they_say():
    torch.manual_seed(0)
    x = drawn(200, 3, 8, 8)
    moved = translation(x)
    for i in range(200):
        assert any(torch.equal(moved[i], shifted(x[i], a, b)) for a in (-1, 0, 1) for b in (-1, 0, 1))
    hole = cutout(torch.ones(200, 1, 8, 8)) == 0
    assert hole.sum((1, 2, 3)).max() == 16
    assert hole.any((0, 1)).all(), "every place is cut from some picture"
    y = x[:4].clone().requires_grad_()
    change(y).sum().backward()
    assert torch.isfinite(y.grad).all()


def shifted(picture, down, right):
    """Rows and columns read so much further on, 0 outside."""
    out = torch.zeros_like(picture)
    for i in range(8):
        for j in range(8):
            if 0 <= i + down < 8 and 0 <= j + right < 8:
                out[:, i, j] = picture[:, i + down, j + right]
    return out


def test_law_colours_change_as_brightness_saturation_and_contrast_may():
    """A grey picture stays grey, and its spread changes by half to one and a half."""
    torch.manual_seed(0)
    grey = drawn(100, 1, 8, 8).expand(-1, 3, -1, -1)
    found = colour(grey)
    torch.testing.assert_close(found[:, 0], found[:, 2])
    ratio = found.std((1, 2, 3)) / grey.std((1, 2, 3))
    assert ratio.min() >= 0.49
    assert ratio.max() <= 1.51
    shift = (found - grey).mean((1, 2, 3))
    assert shift.abs().max() <= 0.51


def test_noise_is_of_a_strength_of_its_own_on_every_item():
    torch.manual_seed(0)
    x = drawn(500, 400)
    off = (noisy(x, 2.0) - x).std(1)
    assert off.min() < 0.1
    assert off.max() == pytest.approx(2, abs=0.2)
    assert off.mean() == pytest.approx(1, abs=0.1)
    assert torch.equal(noisy(x, 0.0), x)


def test_vectors_are_generated_by_three_normalised_layers():
    torch.manual_seed(0)
    made, told = generator_for(4, (6,), hidden=8, depth=3), drawn(5, 4)
    h = told
    for place in (0, 3, 6):
        linear, norm = made.layers[place], made.layers[place + 1]
        h = h @ linear.weight.T + linear.bias
        h = (h - h.mean(1, keepdim=True)) / (h.var(1, correction=0, keepdim=True) + norm.eps).sqrt()
        h = nn.functional.gelu(h * norm.weight + norm.bias)
    torch.testing.assert_close(made(told), h @ made.layers[9].weight.T + made.layers[9].bias)
    assert generator_for(4, (3, 8, 8), hidden=16, depth=3)(told).shape == (5, 192)


@pytest.mark.parametrize("shape", [(3,), (1, 8, 8)])
def test_a_velocity_saved_under_its_former_names_loads(shape):
    new = Velocity(2, shape, hidden=16)
    saved = {
        name.replace("modulations.", "told.").replace("modulation.", "tell."): tensor + 1
        for name, tensor in new.state_dict().items()
    }
    assert set(saved) != set(new.state_dict())
    new.load_state_dict(saved)
    assert all(torch.equal(a, b) for a, b in zip(saved.values(), new.state_dict().values()))
