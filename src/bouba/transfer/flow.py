"""Conditional flow matching as an estimator."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from bouba.errors import UsageError
from bouba.terms.flow import FlowMatching
from bouba.terms.term import Objective
from bouba.transfer.translator import Translator

if TYPE_CHECKING:
    from torch import Tensor

    from bouba.batch import Batch


class FlowTranslator(Translator):
    """Draws a view of a row from another by carrying noise along a trained velocity field.

        dx/dt = v(x, t, c) from x(0) ~ N(0, 1) to t = 1,   c the embedding of the source

    It is Learner(FlowMatching(source, target) + Regression(source, target)), as ConditionalGAN: the regression trains
    the source's tower sooner than the field does. With `raw` there is no tower, and no regression.

    Training is least squares and covers all of the data; drawing costs 2 * steps passes of the network, twice that with
    guidance. ConditionalGAN draws in one pass; RegressionTranslator gives the mean.

    Args:
        hidden: width of the field; of pictures, four times the channels of its widest maps.
        steps: by which noise is carried, each corrected once (Heun).
        guidance: 1 draws from the trained distribution; above 1 items fit the source better and vary less.
        drop: share of rows that train without their source, for guidance. decay: of the field's moving average.
        jitter: noise on the condition while training, so that few rows stand for those around them.
        Others: see Translator.

    References: Lipman et al. 2023, Flow Matching for Generative Modeling; Ho and Salimans 2021 (guidance).

    >>> import numpy as np
    >>> from bouba.data import Views
    >>> views = Views({"a": np.eye(8), "b": np.eye(8)[::-1].copy()})
    >>> FlowTranslator("a", "b", epochs=1, hidden=16, steps=2).fit(views).translate(views, 2).shape
    (8, 2, 8)
    """

    def __init__(
        self,
        source: str | None = None,
        target: str | None = None,
        *,
        hidden: int = 256,
        steps: int = 16,
        guidance: float = 1.0,
        drop: float = 0.1,
        decay: float = 0.99,
        jitter: float = 0.0,
        **options,
    ):
        super().__init__(source, target, **options)
        self.hidden = hidden
        self.steps = steps
        self.guidance = guidance
        self.drop = drop
        self.decay = decay
        self.jitter = jitter

    def _objective(self) -> Objective:
        if self.steps < 1 or self.guidance < 0:
            raise UsageError(f"steps must be 1 or more and guidance 0 or more, got {self.steps} and {self.guidance}")
        if self.guidance != 1 and not self.drop:
            raise UsageError(f"guidance {self.guidance} needs rows that trained untold; raise drop above 0")
        options = {name: getattr(self, name) for name in ("hidden", "drop", "decay", "jitter")}
        generator = FlowMatching(self.source_, self.target_, raw=self.raw, **options)
        return self._with_regression(generator, hidden=self.hidden)

    def _draw(self, batch: Batch, n: int) -> Tensor:
        c, field = self._condition(batch), self._state()
        width = math.prod(self._encoders()[self.target_].raw_shape)
        drawn = field.draw(c.repeat_interleave(n, 0), width, steps=self.steps, guidance=self.guidance)
        return drawn.view(len(c), n, -1)
