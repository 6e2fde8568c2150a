"""Regression: the mean of one view under the condition of another."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from bouba.errors import UsageError
from bouba.nn.generator import generator_for
from bouba.terms.across import Across
from bouba.terms.reconstruction import reconstruction
from bouba.terms.term import Space


@dataclass(frozen=True)
class Regression(Across):
    """A decoder that predicts one view from another by least squares.

        L = reconstruction(condition_source, raw_target, g) = 1/(B p) sum_i | raw_i - g(c_i) |^2

    It gives the mean of all items that go with a condition: the best single guess, blurred where they differ, and the
    same at every draw. Adversarial and FlowMatching draw items instead; Reconstruction(cross=True) decodes every view
    from every other by shared decoders.

    Args:
        source: the view that is the condition. target: the view to generate; it needs a raw form.
        raw: condition on the source's raw numbers instead of its embedding.
        hidden: width of the decoder, as in Reconstruction. depth: its hidden layers for vectors, as in Adversarial.

    Logs `explained`: 1 - error / variance of the batch.

    >>> Regression("text", "image")
    Regression(source='text', target='image', raw=False, hidden=256, depth=1)
    """

    hidden: int = 256
    depth: int = 1

    def __post_init__(self) -> None:
        if min(self.hidden, self.depth) < 1:
            raise UsageError(f"hidden and depth must be at least 1, got {self.hidden} and {self.depth}")

    def state(self, space: Space) -> nn.Module:
        dim, shape = self.widths(space)
        return generator_for(dim, shape, hidden=self.hidden, depth=self.depth)

    def loss(self, batch, state):
        c, x = self.pairs(batch)
        if not len(x):
            return None, {}
        value = reconstruction(c, x, state)
        variance = x.var(0, correction=0).mean()
        return value, {"explained": 1 - value.detach() / variance} if variance > 0 else {}
