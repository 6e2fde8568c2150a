"""Adversarial, the term and its function."""

import math

import pytest
import torch
from torch.nn import functional as F

from bouba.batch import Batch
from bouba.errors import DataError, ModalityError, UsageError
from bouba.terms import Adversarial, Space, conditional_gan
from bouba.terms.across import condition
from bouba.terms.conditional_gan import Players


def drawn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def batch_of(z, x, present=None):
    here = torch.ones(len(z), dtype=torch.bool)
    shown = {"words": here, "drawing": here if present is None else present}
    return Batch({}, shown, torch.arange(len(z)), z={"words": z}, raw={"words": z, "drawing": x})


def players(width=3, dim=2, hidden=8):
    torch.manual_seed(0)
    return Players(dim, (width,), noise=4, hidden=hidden, decay=0.9)


def cost(score):
    """-log sigmoid of one score."""
    return -math.log(1 / (1 + math.exp(-score)))


def test_definition_by_rows():
    """Four rows; the penalty is that of the first one, whose gradient is found by differences."""
    both, x, c = players(), drawn(4, 3).double(), drawn(4, 2, seed=1).double()
    both.double()
    torch.manual_seed(5)
    loss, parts = conditional_gan(x, c, both, r1=0.7, pull=0.4, mismatched=True)
    torch.manual_seed(5)
    made = both.draw(c)
    score = lambda item, conditions: both.critic(item[None], conditions[None]).item()  # noqa: E731
    judged = sum(cost(score(x[i], c[i])) for i in range(4)) / 4
    judged += sum(cost(-score(made[i], c[i])) + cost(-score(x[i], c[i - 1])) for i in range(4)) / 8
    fooled = sum(cost(score(made[i], c[i])) for i in range(4)) / 4
    step = 1e-5 * torch.eye(3).double()
    slope = [(score(x[0] + step[k], c[0]) - score(x[0] - step[k], c[0])) / 2e-5 for k in range(3)]
    steep = sum(s**2 for s in slope)
    pulled = sum((x[i, k] - made[i, k]).item() ** 2 for i in range(4) for k in range(3)) / 12
    assert parts["critic"].item() == pytest.approx(judged, abs=1e-9)
    assert parts["generator"].item() == pytest.approx(fooled, abs=1e-9)
    assert parts["penalty"].item() == pytest.approx(steep, abs=1e-7)
    assert loss.item() == pytest.approx(judged + fooled + 0.35 * steep + 0.4 * pulled, abs=1e-7)


def test_law_each_player_pays_for_its_own_part_only():
    """The critic learns what L_D alone would teach it, the generator what L_G alone would, the condition nothing."""
    both, x = players(), drawn(6, 3)
    c = drawn(6, 2, seed=1).requires_grad_()
    torch.manual_seed(1)
    conditional_gan(x, c, both, r1=0.5, mismatched=True)[0].backward()
    of_critic = [p.grad.clone() for p in both.critic.parameters()]
    of_generator = [p.grad.clone() for p in both.generator.parameters()]
    assert c.grad is None
    torch.manual_seed(1)
    conditions = c.detach()
    made = both.draw(conditions)
    fooled = F.softplus(-both.critic(made, conditions)).mean()
    torch.testing.assert_close(of_generator, list(torch.autograd.grad(fooled, list(both.generator.parameters()))))
    fixed = made.detach()
    wrong = F.softplus(both.critic(fixed, conditions)).mean() + F.softplus(both.critic(x, conditions.roll(1, 0))).mean()
    real = x.clone().requires_grad_()
    (slope,) = torch.autograd.grad(both.critic(real, conditions)[:2].sum(), real, create_graph=True)
    penalty = slope.square().sum() / 2  # of the first two rows, a quarter of six rounded up
    judged = F.softplus(-both.critic(x, conditions)).mean() + wrong / 2 + 0.25 * penalty
    torch.testing.assert_close(of_critic, list(torch.autograd.grad(judged, list(both.critic.parameters()))))


def test_law_the_critic_sees_pictures_changed_and_numbers_as_they_are():
    pictures = Players(2, (3, 8, 8), noise=4, hidden=8, decay=0.9)
    x = drawn(5, 192)
    assert not torch.equal(pictures.augmented(x), x)
    assert torch.equal(players().augmented(x), x)


def test_the_critic_sees_real_and_generated_items_through_noise():
    """Noise that drowns the items leaves a critic that knows them no better than a coin."""
    both, x, c = players(hidden=16), 5 + drawn(400, 3), drawn(400, 2, seed=1)
    seen = []
    both.critic.register_forward_pre_hook(lambda module, given: seen.append(given[0]))
    item_features = both.critic.item_features
    both.critic.item_features = lambda items: seen.append(items) or item_features(items)
    torch.manual_seed(2)
    conditional_gan(x, c, both, r1=0.0, instance_noise=100.0)
    torch.manual_seed(2)
    made = both.draw(c)
    real, fake = seen[0] - x, next(s for s in seen if s.shape == made.shape and s is not seen[0]) - made
    for off in (real, fake):
        assert off.std().item() == pytest.approx(100 / 3**0.5, rel=0.1), "the root of the mean of u^2 is 1 / sqrt(3)"
    assert not torch.allclose(real, fake)
    assert torch.equal(both.augmented(x), x)


def test_recovery_two_modes_where_regression_gives_their_middle():
    """x is c + 2 or c - 2 with equal odds: both are drawn, and draws lie far nearer to them than their middle does."""
    torch.manual_seed(0)
    term = Adversarial("words", "drawing", raw=True, noise=4, hidden=64, r1=1.0)
    state = term.state(Space({"words": 1, "drawing": 1}, raw={"words": (1,), "drawing": (1,)}))
    optimizer = torch.optim.AdamW(state.parameters(), 2e-3)
    for step in range(600):
        for group in optimizer.param_groups:
            group["lr"] = 2e-3 * (1 - step / 600)
        c = torch.randn(128, 1)
        x = c + 2 * torch.randn(128, 1).sign() + 0.2 * torch.randn(128, 1)
        optimizer.zero_grad()
        term.loss(batch_of(c, x), state)[0].backward()
        optimizer.step()
        state.after_step()
    c = torch.randn(600, 1)
    off = (state.draw(c, averaged=True) - c).detach().flatten()
    real = 2 * torch.randn(600).sign() + 0.2 * torch.randn(600)
    distance = lambda some: (some.sort().values - real.sort().values).abs().mean()  # noqa: E731  Wasserstein's
    assert distance(off) < 0.6 * distance(torch.zeros(600)), "c itself is what regression gives"
    assert 0.2 < (off > 0).float().mean() < 0.8


def test_the_average_takes_in_each_step():
    term = Adversarial("words", "drawing", hidden=8, decay=0.5)
    state = term.state(Space({"words": 2, "drawing": 2}, raw={"drawing": (3,)}))
    before = state.average.average1.clone()
    with torch.no_grad():
        state.generator.layers[0].bias.add_(1.0)
    state.after_step()
    torch.testing.assert_close(state.average.average1, before + 0.9)  # the first step keeps 1 / 10
    assert "average.average1" in state.state_dict()
    assert not any(name.startswith("average") for name, _ in state.named_parameters())


def test_rows_without_either_view_are_masked():
    term = Adversarial("words", "drawing", hidden=8)
    state = term.state(Space({"words": 2, "drawing": 2}, raw={"drawing": (3,)}))
    z, x = drawn(6, 2).requires_grad_(), drawn(6, 3, seed=1)
    present = torch.tensor([1, 1, 0, 1, 1, 0], dtype=torch.bool)
    torch.manual_seed(2)
    value, _ = term.loss(batch_of(z, x, present), state)
    torch.manual_seed(2)
    alone, _ = conditional_gan(x[present], condition(z[present], raw=False), state)
    torch.testing.assert_close(value, alone)
    assert term.loss(batch_of(z, x, ~present & present), state) == (None, {})


def test_refusals():
    space = Space({"words": 4, "drawing": 4}, raw={"drawing": (3, 8, 8)})
    with pytest.raises(ModalityError, match="Adversarial names 'drawng', but no such view; did you mean 'drawing'"):
        Adversarial("words", "drawng").state(space)
    with pytest.raises(UsageError, match="Adversarial gives one view from another, got 'words' twice"):
        Adversarial("words", "words").state(space)
    with pytest.raises(ModalityError, match="encoder of 'words' has no raw form; views that have one: 'drawing'"):
        Adversarial("drawing", "words").state(space)
    with pytest.raises(ModalityError, match="encoder of 'words' has no raw form"):
        Adversarial("words", "drawing", raw=True).state(space)
    with pytest.raises(UsageError, match=r"in \[0, 1\), got 64 and 256, 1.0, 0.0 and 0.0, and 1.0"):
        Adversarial("words", "drawing", decay=1.0)
    with pytest.raises(UsageError, match="depth must be at least 1, got 0"):
        Adversarial("words", "drawing", depth=0)
    with pytest.raises(UsageError, match="instance_noise of 0 or more"):
        Adversarial("words", "drawing", instance_noise=-1.0)
    broken = drawn(4, 3)
    broken[2, 0] = torch.nan
    term = Adversarial("words", "drawing", hidden=8)
    state = term.state(Space({"words": 2, "drawing": 2}, raw={"drawing": (3,)}))
    with pytest.raises(DataError, match="drawing holds NaN or infinity in 1 of 4 rows, first in row 2"):
        term.loss(batch_of(drawn(4, 2), broken), state)


def test_a_condition_that_rows_share_is_not_taken_for_another():
    players = Players(3, (2,), noise=2, hidden=8, decay=0.9)
    x, c = torch.randn(16, 2), torch.ones(16, 3)
    values = []
    for mismatched in (False, True):
        torch.manual_seed(1)
        values.append(conditional_gan(x, c, players, r1=0, mismatched=mismatched)[0].item())
    assert values[0] == values[1]
