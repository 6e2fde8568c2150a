"""The nearest neighbour: the target of the most similar source."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from bouba.errors import UsageError
from bouba.nn.unit import unit_rows
from bouba.terms.term import Objective
from bouba.transfer.translator import Translator

if TYPE_CHECKING:
    from torch import Tensor

    from bouba.batch import Batch
    from bouba.data.views import Views
    from bouba.learner.training_data import TrainingData
    from bouba.train import Network


class NearestTranslator(Translator):
    """Targets of the training rows whose source is most like a row's: a baseline that copies.

        x_k = target of the row with the k-th largest cos(s - m, s_i - m),   k = 1 ... n

    s are the raw numbers of the source where its encoder has such (words, standardised numbers, pixels), else the
    features of its encoder (pretrained towers); m is their mean over training rows. Nothing is trained. Its items are
    real, and none of them is new: a generator has to come nearer to the truth, or be worth having for its new items.

    Args:
        Others: see Translator; `raw` and the options of training are not read.

    >>> import numpy as np
    >>> from bouba.data import Views
    >>> views = Views({"a": np.eye(8), "b": 2 * np.eye(8)})
    >>> NearestTranslator("a", "b").fit(views).translate(views[:1])[0, 0, :3].round(2)
    array([2., 0., 0.], dtype=float32)
    """

    saves = (*Translator.saves, "rows_")
    components = None  # what is copied stays whole

    def _objective(self) -> Objective:
        return Objective(())

    def _measure(self, views: Views) -> None:
        self.rows_ = int(self._have_both(views).sum())

    def _extend(self, module: Network) -> None:
        """Buffers for the rows that have both views."""
        source, target = (module.towers[name].encoder for name in (self.source_, self.target_))
        module.register_buffer("sources", torch.zeros(self.rows_, source.raw_width or source.width))  # type: ignore[union-attr, operator, arg-type]
        module.register_buffer("targets", torch.zeros(self.rows_, target.raw_width))  # type: ignore[union-attr, arg-type]

    def _finish(self, data: TrainingData) -> None:
        """Keep the rows that have both views."""
        pairs = data.views[self._have_both(data.views)]
        sources = self._fitted().run(pairs.select(self.source_), lambda batch: {"": self._source_numbers(batch)})[""]
        self.module_.get_buffer("sources").copy_(torch.from_numpy(sources))
        self.module_.get_buffer("targets").copy_(torch.from_numpy(self._raw_of(self.target_, pairs)))

    def _source_numbers(self, batch: Batch) -> Tensor:
        """Raw numbers of the source, else features of its encoder, (B, d)."""
        encoder = self._encoders()[self.source_]
        if encoder.raw_width:
            return encoder.raw(batch.inputs[self.source_])
        return self.module_.embed_view(self.source_, batch, features=True)

    def _draw(self, batch: Batch, n: int) -> Tensor:
        if n > self.rows_:
            raise UsageError(f"there are {self.rows_} training rows to copy, {n} were asked for")
        sources, targets = self.module_.get_buffer("sources"), self.module_.get_buffer("targets")
        centre = sources.mean(0)  # pictures share most of their light, which tells no two apart
        similarity = unit_rows(self._source_numbers(batch) - centre) @ unit_rows(sources - centre).T
        return targets[similarity.topk(n, dim=1).indices]  # (B, n, p)
