"""The estimator whose objective is an argument."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from bouba.data.views import Views
from bouba.errors import UsageError
from bouba.learner.base import BaseLearner
from bouba.learner.heads import Heads
from bouba.terms import Objective, Term
from bouba.towers import EncoderSpec


class Learner(BaseLearner):
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
        ema: decay, such as 0.99, of the exponential moving average of the weights that is judged and kept in place of
            the last ones; None keeps these.
        chunk_size: rows that pass a tower at once. Only the activations of one chunk are held (gradient caching, Gao et
            al. 2021), for a third more work and the same gradients, BatchNorm aside; None takes the whole batch.
        domain_norm: towers with BatchNorm normalise each domain by its own statistics, in training and after. False:
            all domains by the same.
        device: where it computes: "auto" for a GPU where there is one, else the CPU; "cpu", "cuda", "cuda:1", "mps".
            It is not saved with the model, see `bouba.load`.
        compile: train the towers through torch.compile, which takes a minute to begin with (`bouba bench throughput`).
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
    def predicts(self) -> bool:  # type: ignore[override]
        """Whether a term of the objective predicts label columns."""
        return self._objective().needs().predicts

    @property
    def aligns(self) -> bool:  # type: ignore[override]
        """Whether one view finds another: not where only labels are learnt."""
        needs = self._objective().needs()
        return needs.aligns or not needs.predicts

    def outputs(self, X, subsets: Sequence[Iterable[str]] | None = None) -> dict[str, np.ndarray]:
        """label -> (n, subsets, C) log probabilities or (n, subsets) numbers; see `bouba.learner.heads.Heads.outputs`.

        Raises:
            UsageError: the objective predicts nothing. ModalityError: a view the model was not trained on.
        """
        return self._heads().outputs(self.read(X), subsets)

    def classes(self, label: str) -> np.ndarray:
        """The classes of a label column (C,), as they stood in the training cells."""
        return self._heads().classes(label)

    def predict(self, X) -> dict[str, np.ndarray]:
        """Label -> classes or numbers (n,), from whichever views a row has."""
        return self._heads().predict(self.read(X))

    def predict_proba(self, X) -> dict[str, np.ndarray]:
        """Label -> probabilities (n, C) in the order of `classes(label)`, for labels that are classes."""
        return self._heads().predict_proba(self.read(X))

    def _heads(self) -> Heads:
        return Heads(self._fitted())

    def _own_score(self, views: Views, y) -> float | None:
        """Accuracy or R^2, averaged over labels, where nothing aligns."""
        if self.aligns:
            return None
        if y is not None:
            views = views.replace(y={**views.y, "y": y})
        return float(np.mean(self._heads().agreement(views)))

    def _objective(self) -> Objective:
        if self.objective is None:
            raise UsageError("a Learner needs an objective, for example InfoNCE()")
        return Objective.of(self.objective)
