"""The estimator whose objective is given."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from bouba.data.read import as_views
from bouba.errors import UsageError
from bouba.learner.predicts import Predicts
from bouba.terms import Objective, Term
from bouba.towers import EncoderSpec


class Learner(Predicts):
    """Towers plus an objective, trained by the one loop.

    Args:
        towers: view -> encoder, `{"image": ConvNet(), "text": LSTM()}`; a default for each kind when None.
        objective: a term or a weighted sum, `InfoNCE() + 0.3 * DomainAdversarial()`. With a Prediction in it the model
            has `predict` and `predict_proba`.
        fusion: how the views of a row become one vector, `GatedFusion(drop=0.3)`; terms that predict read it, and
            `transform` gives it. None: views stay apart.
        dim: width of the shared space.
        epochs: passes over the source rows. lr, weight_decay: of AdamW.
        batch_size: source rows a step; an eighth of the rows, between 32 and 256, when None.
        patience: epochs without a better validation loss before stopping; None never stops.
        chunk_size: rows a tower sees at once. Only the activations of one chunk are held (gradient caching, Gao et
            al. 2021), for a third more work and the same gradients, BatchNorm aside; None sees the whole batch.
        domain_norm: towers with BatchNorm normalise each domain by its own statistics, in training and after. False:
            all domains by the same.
        random_state: seed of initial weights, order and augmentation.
        verbose: show a progress bar.

    >>> from bouba.terms import InfoNCE
    >>> views = Views({"a": np.eye(8), "b": np.eye(8)[:, ::-1].copy()})
    >>> Learner(objective=InfoNCE(), epochs=2, dim=4).fit(views).transform(views).modalities
    {'a': 'vector', 'b': 'vector'}
    """

    def __init__(
        self,
        towers: Mapping[str, EncoderSpec] | None = None,
        objective: Term | Objective | None = None,
        **training,
    ):
        super().__init__(towers, **training)
        self.objective = objective

    @property
    def aligns(self) -> bool:  # type: ignore[override]
        """Whether one view finds another: not where labels are all that is learnt."""
        needs = self._objective().needs()
        return needs.aligns or not needs.predicts

    def score(self, X, y=None) -> float:
        """Mean reciprocal rank of the true partner; accuracy or R^2, averaged over labels, where nothing aligns."""
        if self.aligns:
            return super().score(X)
        views = as_views(X)
        if y is not None:
            views = views.replace(y={**views.y, "y": np.asarray(y)})
        return float(np.mean(self._agreement(views)))

    def _objective(self) -> Objective:
        if self.objective is None:
            raise UsageError("a Learner needs an objective, for example InfoNCE()")
        return Objective.of(self.objective)
