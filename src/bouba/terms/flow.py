"""Conditional flow matching: noise is carried along straight lines to one view, under the condition of another."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from bouba.errors import UsageError
from bouba.nn.moving_average import MovingAverage
from bouba.nn.velocity import Velocity, flow
from bouba.terms.across import Across, jittered
from bouba.terms.term import Space


def flow_matching(x: Tensor, c: Tensor, velocity: nn.Module, *, drop: float = 0.1, jitter: float = 0.0) -> Tensor:
    """Squared error of a velocity field against straight lines from noise to items.

        L = E_t,n 1/(B p) sum_i | v((1 - t) n_i + t x_i, t, c_i) - (x_i - n_i) |^2,   t ~ U(0, 1),  n ~ N(0, 1)

    Args:
        x: (B, p) items of order 1 a coordinate. c: (B, d) their conditions.
        velocity: v, maps (B, p), times (B,), conditions (B, d) and which of these count, bool (B,), to (B, p).
        drop: share of conditions that are left out, so that v also learns where items lie without one.
        jitter: deviation of noise that is added to conditions: near ones share their items.

    Returns:
        A scalar; about 2 for items of variance 1 and a field that is 0.

    References: Lipman et al. 2023, Flow Matching for Generative Modeling, equation 23 with sigma_min = 0; Ho and
    Salimans 2021, Classifier-Free Diffusion Guidance (`drop`); Ho et al. 2022, Cascaded Diffusion Models (`jitter`).
    """
    c = jittered(c, jitter)
    t = torch.rand(len(x), device=x.device, dtype=x.dtype)
    noise = torch.randn_like(x)
    conditioned = torch.rand(len(x), device=x.device) >= drop
    x_t = (1 - t[:, None]) * noise + t[:, None] * x
    return (velocity(x_t, t, c, conditioned) - (x - noise)).square().mean()


class Field(nn.Module):
    """A velocity field and its moving average."""

    def __init__(self, dim: int, shape: tuple[int, ...], *, hidden: int, decay: float):
        super().__init__()
        self.velocity = Velocity(dim, shape, hidden=hidden)
        self.average = MovingAverage(self.velocity, decay)

    def after_step(self) -> None:
        """The average takes in the step."""
        self.average.update(self.velocity)

    def draw(self, c: Tensor, width: int, *, steps: int, guidance: float = 1.0, heun: bool = True) -> Tensor:
        """An item (B, p) for each condition c (B, d), of new noise, by the averaged field.

        v = v(x, t) + guidance (v(x, t, c) - v(x, t)): 1 draws from the trained distribution, above 1 what fits c better
        and varies less.
        """
        nowhere = torch.zeros(len(c), dtype=torch.bool, device=c.device)

        def velocity(x: Tensor, t: Tensor) -> Tensor:
            conditional = self.average.run(self.velocity, x, t, c)
            if guidance == 1:
                return conditional
            unconditional = self.average.run(self.velocity, x, t, c, nowhere)
            return unconditional + guidance * (conditional - unconditional)

        noise = torch.randn(len(c), width, device=c.device, dtype=c.dtype)
        return flow(velocity, noise, steps=steps, heun=heun)


@dataclass(frozen=True)
class FlowMatching(Across):
    """A field that carries noise to one view, under the condition of another: conditional flow matching.

        L = flow_matching(raw_target, condition_source, v)

    It is plain regression, so it trains as steadily as Regression and a smaller value on held-out rows means a better
    field; items differ from draw to draw, as those of Adversarial, but each takes several passes of the network.

    Args:
        source: the view that is the condition. target: the view to generate; it needs a raw form, as Reconstruction.
        raw: condition on the source's raw numbers instead of its embedding.
        hidden: width of the field; of pictures, four times the channels of its widest maps.
        drop: share of rows whose condition is left out, which guidance needs.
        decay: of the field's moving average, which draws once trained.
        jitter: noise on conditions while training, in deviations of their numbers; for few rows, see flow_matching.

    References: see flow_matching.

    >>> FlowMatching("text", "image")
    FlowMatching(source='text', target='image', raw=False, hidden=256, drop=0.1, decay=0.99, jitter=0.0)
    """

    hidden: int = 256
    drop: float = 0.1
    decay: float = 0.99
    jitter: float = 0.0

    def __post_init__(self) -> None:
        if self.hidden < 1 or not 0 <= self.drop < 1 or not 0 <= self.decay < 1 or not self.jitter >= 0:
            raise UsageError(
                "FlowMatching needs hidden of 1 or more, drop and decay in [0, 1) and jitter of 0 or more, got "
                f"{self.hidden}, {self.drop}, {self.decay} and {self.jitter}"
            )

    def state(self, space: Space) -> Field:
        dim, shape = self.widths(space)
        return Field(dim, shape, hidden=self.hidden, decay=self.decay)

    def loss(self, batch, state):
        c, x = self.pairs(batch)
        if not len(x):
            return None, {}
        drop, jitter = (self.drop, self.jitter) if state.training else (0.0, 0.0)
        return flow_matching(x, c, state.velocity, drop=drop, jitter=jitter), {}
