"""Regression: the best single guess at a view."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bouba.terms.regression import Regression
from bouba.terms.term import Objective
from bouba.transfer.translator import Translator

if TYPE_CHECKING:
    from torch import Tensor

    from bouba.batch import Batch


class RegressionTranslator(Translator):
    """The conditional mean given a row's source, by least squares: the baseline of translators that draw.

        L = Regression(source, target)

    Every draw is the same. Take it where the source settles the target (a rotation, a change of unit), or where the
    squared error is what counts; ConditionalGAN or FlowTranslator where one source has many right answers, whose mean
    is none of them.

    Args:
        hidden: width of the decoder. depth: its hidden layers for vectors. Others: see Translator.

    >>> import numpy as np
    >>> from bouba.data import Views
    >>> views = Views({"a": np.eye(8), "b": np.eye(8)[::-1].copy()})
    >>> RegressionTranslator("a", "b", epochs=1).fit(views).translate(views, 2).shape
    (8, 2, 8)
    """

    def __init__(
        self, source: str | None = None, target: str | None = None, *, hidden: int = 256, depth: int = 1, **options
    ):
        super().__init__(source, target, **options)
        self.hidden = hidden
        self.depth = depth

    def _objective(self) -> Objective:
        return Objective.of(Regression(self.source_, self.target_, raw=self.raw, hidden=self.hidden, depth=self.depth))

    def _draw(self, batch: Batch, n: int) -> Tensor:
        return self._state()(self._condition(batch))[:, None].expand(-1, n, -1)
