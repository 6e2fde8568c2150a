"""FlowMatching and Regression, the terms and their function."""

import pytest
import torch
from torch import nn

from bouba.batch import Batch
from bouba.errors import ModalityError, UsageError
from bouba.nn.velocity import flow
from bouba.terms import Adversarial, FlowMatching, Regression, Space, flow_matching


def drawn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def batch_of(z, x, present=None):
    here = torch.ones(len(z), dtype=torch.bool)
    shown = {"words": here, "drawing": here if present is None else present}
    return Batch({}, shown, torch.arange(len(z)), z={"words": z}, raw={"words": z, "drawing": x})


class Given(nn.Module):
    """A field that keeps what it was asked, and says W x + t + c."""

    def forward(self, x, t, c, conditioned):
        self.inputs = x, t, c, conditioned
        return 0.5 * x + t[:, None] + torch.where(conditioned[:, None], c, 0.0)


def test_definition_by_rows():
    x, c, field = drawn(7, 3), drawn(7, 3, seed=1), Given()
    torch.manual_seed(3)
    value = flow_matching(x, c, field, drop=0.5)
    at, t, condition, conditioned = field.inputs
    assert torch.equal(condition, c)
    assert 0 < conditioned.sum() < 7
    total = 0.0
    for i in range(7):
        noise = (at[i] - t[i] * x[i]) / (1 - t[i])  # where the straight line began
        velocity = 0.5 * at[i] + t[i] + (c[i] if conditioned[i] else 0)
        total += (velocity - (x[i] - noise)).square().sum().item() / 21
    assert value.item() == pytest.approx(total, rel=1e-4)


def test_definition_of_jitter():
    """Conditions are told with noise of the deviation asked for, drawn anew, and keep their gradients."""
    c = drawn(4000, 3, seed=1).requires_grad_()
    torch.manual_seed(3)
    value = flow_matching(drawn(4000, 3), c, field := Given(), jitter=0.5)
    off = (field.inputs[2] - c).detach()
    assert off.std().item() == pytest.approx(0.5, abs=0.02)
    assert off.mean().abs() < 0.02
    value.backward()
    assert c.grad.any()


def test_law_a_field_of_zero_costs_the_spread_of_noise_and_items():
    torch.manual_seed(0)
    zero = lambda x, t, c, conditioned: torch.zeros_like(x)  # noqa: E731
    assert flow_matching(drawn(4000, 5), drawn(4000, 2), zero).item() == pytest.approx(2, abs=0.1)


def test_law_the_order_of_the_integrators():
    """dx/dt = x over [0, 1] ends at e: halving the step halves Euler's error and quarters Heun's."""
    x = torch.ones(1, 1, dtype=torch.float64)
    off = lambda steps, heun: abs(flow(lambda x, t: x, x, steps=steps, heun=heun).item() - torch.e)  # noqa: E731
    assert off(40, False) / off(80, False) == pytest.approx(2, abs=0.1)
    assert off(40, True) / off(80, True) == pytest.approx(4, abs=0.2)
    times = []
    flow(lambda x, t: times.append(t.item()) or x, x, steps=2)
    assert times == [0, 0.5, 0.5, 1]


def trained(term, steps=300):
    """Fitted where x is c + 2 or c - 2 with equal odds."""
    torch.manual_seed(0)
    state = term.state(Space({"words": 1, "drawing": 1}, raw={"words": (1,), "drawing": (1,)}))
    optimizer = torch.optim.AdamW(state.parameters(), 4e-3)
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = 4e-3 * (1 - step / steps)
        c = torch.randn(128, 1)
        x = c + 2 * torch.randn(128, 1).sign() + 0.2 * torch.randn(128, 1)
        optimizer.zero_grad()
        term.loss(batch_of(c, x), state)[0].backward()
        optimizer.step()
        if isinstance(term, FlowMatching):
            state.after_step()
    return state


def test_recovery_flow_finds_both_modes_and_regression_their_middle():
    c = torch.randn(600, 1)
    off = (trained(Regression("words", "drawing", raw=True, hidden=64), 150)(c) - c).detach()
    assert off.abs().median() < 0.3
    field = trained(FlowMatching("words", "drawing", raw=True, hidden=64, drop=0.2))
    with torch.no_grad():
        off = field.draw(c, 1, steps=20) - c
        assert (off.abs() - 2).abs().median() < 1
        assert 0.4 < (off > 0).float().mean() < 0.6
        untold = field.draw(c, 1, steps=20, guidance=0)
    assert torch.corrcoef(torch.cat([c, untold], 1).T)[0, 1].abs() < 0.2, "without a condition nothing follows it"
    assert torch.corrcoef(torch.cat([c, c + off], 1).T)[0, 1] > 0.3


def test_regression_explains_what_it_says():
    term = Regression("words", "drawing", hidden=8)
    state = term.state(Space({"words": 2, "drawing": 2}, raw={"drawing": (3,)}))
    z, x = drawn(6, 2), drawn(6, 3, seed=1)
    present = torch.tensor([1, 1, 0, 1, 1, 0], dtype=torch.bool)
    value, parts = term.loss(batch_of(z, x, present), state)
    told = z[present] / z[present].norm(dim=1, keepdim=True) * 2**0.5
    error = (state(told) - x[present]).square().mean().item()
    assert value.item() == pytest.approx(error, rel=1e-5)
    spread = (x[present] - x[present].mean(0)).square().mean().item()
    assert parts["explained"].item() == pytest.approx(1 - error / spread, rel=1e-4)


@pytest.mark.parametrize("term", [FlowMatching, Regression])
def test_refusals(term):
    space, name = Space({"words": 4, "drawing": 4}, raw={"drawing": (3, 8, 8)}), term.__name__
    with pytest.raises(ModalityError, match=f"{name} names 'drawng', but no such view; did you mean 'drawing'"):
        term("words", "drawng").state(space)
    with pytest.raises(UsageError, match=f"{name} gives one view from another, got 'words' twice"):
        term("words", "words").state(space)
    with pytest.raises(ModalityError, match=f"{name}: the encoder of 'words' has no raw form"):
        term("drawing", "words").state(space)
    with pytest.raises(UsageError, match="hidden"):
        term("words", "drawing", hidden=0)
    nobody = torch.zeros(4, dtype=torch.bool)
    state = term("words", "drawing", hidden=8).state(space)
    batch = batch_of(drawn(4, 4), drawn(4, 192), nobody)
    assert term("words", "drawing", hidden=8).loss(batch, state) == (None, {})


@pytest.mark.parametrize("term", [FlowMatching, Regression, Adversarial])
def test_only_the_embedding_of_the_condition_is_read(term):
    assert term("words", "drawing").needs().embeddings == ("words",)
    assert term("words", "drawing", raw=True).needs().embeddings == ()


def test_conditions_are_spoiled_in_training_only():
    plain, spoiled = (FlowMatching("words", "drawing", hidden=8, **own) for own in ({"drop": 0.0}, {"jitter": 5.0}))
    state = plain.state(Space({"words": 2, "drawing": 2}, raw={"drawing": (3,)})).eval()
    batch = batch_of(drawn(8, 2), drawn(8, 3))
    values = []
    for term in (plain, spoiled):
        torch.manual_seed(0)
        values.append(term.loss(batch, state)[0].item())
    assert values[0] == values[1]
    torch.manual_seed(0)
    assert spoiled.loss(batch, state.train())[0].item() != values[0]


def test_refusal_of_a_share_that_leaves_nothing():
    with pytest.raises(
        UsageError, match=r"drop and decay in \[0, 1\) and jitter of 0 or more, got 256, 1.0, 0.99 and 0"
    ):
        FlowMatching("words", "drawing", drop=1.0)
    with pytest.raises(UsageError, match=r"jitter of 0 or more, got 256, 0\.1, 0\.99 and -1"):
        FlowMatching("words", "drawing", jitter=-1)
