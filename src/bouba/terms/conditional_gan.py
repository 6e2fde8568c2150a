"""Conditional generative adversarial training: one view from another, against a critic of real and generated items."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from bouba.errors import UsageError
from bouba.nn.critic import Critic, gradient_penalty
from bouba.nn.generator import generator_for
from bouba.nn.moving_average import MovingAverage
from bouba.nn.same_change import change, noisy
from bouba.terms.across import Across
from bouba.terms.term import Needs, Space

PENALISED = 4  # one row in so many shows how steep the critic is


class Players(nn.Module):
    """A generator, its moving average and a critic."""

    def __init__(self, dim: int, shape: tuple[int, ...], *, noise: int, hidden: int, decay: float, depth: int = 1):
        super().__init__()
        self.shape, self.noise = shape, noise
        self.generator = generator_for(dim + noise, shape, hidden=hidden, depth=depth)
        self.average = MovingAverage(self.generator, decay)
        self.critic = Critic(dim, shape, hidden=hidden)

    def after_step(self) -> None:
        """The average takes in the step."""
        self.average.update(self.generator)

    def draw(self, c: Tensor, *, averaged: bool = False) -> Tensor:
        """An item (B, p) for each condition c (B, d), of new noise."""
        inputs = torch.cat([c, torch.randn(len(c), self.noise, device=c.device, dtype=c.dtype)], 1)
        return self.average.run(self.generator, inputs) if averaged else self.generator(inputs)

    def augmented(self, x: Tensor) -> Tensor:
        """Items (B, p) after a random change, if they are pictures."""
        return change(x.view(len(x), *self.shape)).flatten(1) if len(self.shape) == 3 else x


def conditional_gan(
    x: Tensor,
    c: Tensor,
    players: Players,
    *,
    r1: float = 1.0,
    pull: float = 0.0,
    mismatched: bool = False,
    augment: bool = True,
    instance_noise: float = 0.0,
) -> tuple[Tensor, dict[str, Tensor]]:
    """The losses of generator and critic, as one scalar of which each can lower its own part only.

        L_D = mean softplus(-D(x, c)) + mean softplus(D(G(n, c), c)) + r1 / 2 mean |grad_x D(x, c)|^2
        L_G = mean softplus(-D(G(n, c), c)) + pull mean (x - G(n, c))^2
        L   = L_D + L_G

    with noise n ~ N(0, 1). With `mismatched` the second mean of L_D is also over real items under the condition of
    another row: the critic learns sooner what goes with what, and the generator keeps away from what goes with others
    too, so that its items are no longer distributed as the real ones. In L_D generated items are constants, in L_G the
    critic's weights are; conditions always are. softplus(-D) = -log sigmoid(D), the non-saturating loss.

    Args:
        x: (B, p) real items. c: (B, d) their conditions.
        players: generator and critic.
        r1: weight of the gradient penalty. pull: weight of the squared error. mismatched: see above.
        augment: change pictures before the critic sees them. instance_noise: largest deviation of noise that it sees
            items through.

    Returns:
        The loss, and parts by name: "critic" L_D without penalty, "generator" L_G without pull, "penalty", "right" (how
        often the critic knows which of real and generated it sees).

    References: Goodfellow et al. 2014, Generative Adversarial Nets, section 3 (the non-saturating loss); Reed et al.
    2016, Generative Adversarial Text to Image Synthesis, algorithm 1 (mismatched); Mescheder et al. 2018 (R1); Isola
    et al. 2017 (pull); Wang et al. 2023, Diffusion-GAN (instance_noise). Departures: one step for both players at once;
    the penalty is measured on a quarter of the rows; the critic does not read how strong the noise is.
    """
    critic, fixed = players.critic, {name: p.detach() for name, p in players.critic.named_parameters()}
    c = c.detach()
    drawn = players.draw(c)
    real, fake = (noisy(players.augmented(items) if augment else items, instance_noise) for items in (x, drawn))
    features = critic.item_features(real)
    score_real, score_fake = critic.score_features(features, c), critic(fake.detach(), c)
    negatives = [F.softplus(score_fake).mean()]
    other = c.roll(1, 0)
    differs = (other != c).any(1)  # a condition that several rows share goes with the items of each
    if mismatched and differs.any():
        negatives.append(F.softplus(critic.score_features(features[differs], other[differs])).mean())
    critic_loss = F.softplus(-score_real).mean() + torch.stack(negatives).mean()
    sample = -(-len(x) // PENALISED)  # twice the work a row, and few rows suffice for the mean
    penalty = gradient_penalty(critic, real[:sample], c[:sample]) if r1 else x.new_zeros(())
    generator_loss = F.softplus(-functional_call(critic, fixed, (fake, c))).mean()
    loss = critic_loss + r1 / 2 * penalty + generator_loss
    if pull:
        loss = loss + pull * (x - drawn).square().mean()
    right = torch.cat([score_real > 0, score_fake < 0]).float().mean()
    parts = {"critic": critic_loss, "generator": generator_loss, "penalty": penalty, "right": right}
    return loss, {name: part.detach() for name, part in parts.items()}


@dataclass(frozen=True)
class Adversarial(Across):
    """A generator of one view from another, and a critic of real and generated items: a conditional GAN.

        min_D L_D, min_G L_G  as one scalar, see conditional_gan

    Items are sharp and differ from draw to draw, where Regression gives their mean; FlowMatching trains more steadily
    and takes more steps to draw. Neither player trains the towers: embeddings without any information would suit both,
    since one item that looks real is enough. Another term has to train the source's tower: Regression, InfoNCE.

    Args:
        source: the view that is the condition. target: the view to generate; it needs a raw form, as Reconstruction.
        raw: condition on the source's raw numbers instead of its embedding.
        noise: numbers drawn for each item.
        hidden: width of generator and critic, as in Reconstruction.
        r1: weight of the gradient penalty on real items. pull: weight of the squared error to the row's own item.
        mismatched: let the critic also learn from real items under another row's condition.
        decay: of the generator's moving average, which draws once trained.
        augment: change pictures at random before the critic sees them, real and generated alike.
        instance_noise: largest deviation of noise that the critic sees items through, each by a strength of its own:
            it cannot memorise few items and trains the generator for longer.
        depth: hidden layers of a generator of vectors; pictures have as many as their side asks for.

    Logs the parts of `conditional_gan`.

    References: Mirza and Osindero 2014, Conditional Generative Adversarial Nets; see conditional_gan.

    >>> Adversarial("text", "image", hidden=64).noise
    64
    """

    noise: int = 64
    hidden: int = 256
    r1: float = 1.0
    pull: float = 0.0
    mismatched: bool = False
    decay: float = 0.99
    augment: bool = True
    instance_noise: float = 0.0
    depth: int = 1

    def __post_init__(self) -> None:
        weights = (self.r1, self.pull, self.instance_noise)
        if self.depth < 1:
            raise UsageError(f"depth must be at least 1, got {self.depth}")
        if min(self.noise, self.hidden) < 1 or min(weights) < 0 or not 0 <= self.decay < 1:
            raise UsageError(
                "Adversarial needs noise and hidden of 1 or more, r1, pull and instance_noise of 0 or more, and decay "
                f"in [0, 1), got {self.noise} and {self.hidden}, {self.r1}, {self.pull} and {self.instance_noise}, and "
                f"{self.decay}"
            )

    def needs(self) -> Needs:
        return replace(super().needs(), validates=False)

    def state(self, space: Space) -> Players:
        dim, shape = self.widths(space)
        return Players(dim, shape, noise=self.noise, hidden=self.hidden, decay=self.decay, depth=self.depth)

    def loss(self, batch, state):
        c, x = self.pairs(batch)
        if not len(x):
            return None, {}
        return conditional_gan(
            x,
            c,
            state,
            r1=self.r1,
            pull=self.pull,
            mismatched=self.mismatched,
            augment=self.augment,
            instance_noise=self.instance_noise,
        )
