"""Deep CCA: networks whose outputs correlate as much as they can."""

from __future__ import annotations

import logging
from collections.abc import Mapping

import numpy as np
import torch

from bouba.align.cca import CCA
from bouba.errors import UsageError
from bouba.estimator import check_is_fitted
from bouba.learner import BaseLearner
from bouba.learner.training_data import TrainingData
from bouba.nn.domain_norm import is_frozen
from bouba.nn.projection import Projection
from bouba.terms import Correlation, Objective, Reconstruction
from bouba.towers import EncoderSpec, SameAs
from bouba.train import Network

log = logging.getLogger("bouba")
BY_CHANCE = 1.25  # batches that correlate this many times as much as all rows do


class DeepCCA(BaseLearner):
    """Nonlinear canonical correlation analysis of two views or more: Learner(towers, Correlation(ridge)), then CCA.

        train      max over networks f_a, f_b of the sum of canonical correlations of f_a(X_a) and f_b(X_b)
        finish     CCA on the embeddings of the training rows; its maps become part of the towers' last layers

    Embeddings are canonical variates: centred, uncorrelated with each other up to the ridge, ordered by how much they
    correlate across the views, as spread as they correlate, so that under cosine the directions that the views share
    weigh most. The first k columns are the k-dimensional analysis.

    Use it where what the views share is a continuous space and rows are many, more than 20 times `dim`. CLIP learns to
    discriminate rows, which is better for search; CCA and KernelCCA have a closed form and suit few rows. With
    `reconstruction` above 0 it is DCCAE: an autoencoder a view keeps the networks from finding what only the training
    rows share.

    Args:
        towers: view -> encoder, one of its own for each view; a default for each kind when None.
        ridge: share of the mean variance added to every direction's variance, in training and in the CCA on top; see
            `correlation` for what it prevents.
        reconstruction: weight of Reconstruction(), where Correlation() has 1, at least 0; towers of vectors and
            pictures can be decoded, see Reconstruction.
        dim: how many correlations. No more than the views share: beyond that networks can only raise the correlations
            within batches, with a warning where they did.
        batch_size: rows a step; CLIP's default or 10 * dim, whichever is more, when None: a covariance of dim x dim
            takes that many rows.
        lr: peak learning rate; this loss takes larger steps than CLIP's.
        **training: epochs, weight_decay, patience, chunk_size, random_state, verbose; see Learner.

    Attributes: `correlations_` (dim,), on the training rows and so too high; judge them on others. `module_`,
    `history_` (its `Correlation.sum` is the paper's objective) as in Learner.

    Reference: Andrew, Arora, Bilmes and Livescu 2013, Deep Canonical Correlation Analysis; Wang, Arora, Livescu and
    Bilmes 2015, On Deep Multi-View Representation Learning (DCCAE; large batches). Departures: any number of views,
    missing cells, AdamW instead of L-BFGS on the whole data, no pre-training, variates weighted by their correlation.

    >>> views = Views({"a": np.eye(40), "b": np.eye(40)[:, ::-1].copy()})
    >>> DeepCCA(dim=2, epochs=1).fit(views).correlations_.shape
    (2,)
    """

    def __init__(
        self,
        towers: Mapping[str, EncoderSpec] | None = None,
        *,
        ridge: float = 0.1,
        reconstruction: float = 0.0,
        dim: int = 32,
        lr: float = 5e-3,
        **training,
    ):
        super().__init__(towers, dim=dim, lr=lr, **training)
        self.ridge = ridge
        self.reconstruction = reconstruction

    @property
    def correlations_(self) -> np.ndarray:
        """(dim,) of the training rows, largest first; for more than two views a mean over their pairs."""
        check_is_fitted(self, "module_")
        return self.module_.get_buffer("correlations").cpu().numpy()

    def _objective(self) -> Objective:
        if not 0 <= self.reconstruction < np.inf:
            raise UsageError(f"reconstruction is a weight of 0 or more, got {self.reconstruction}")
        objective = Objective.of(Correlation(self.ridge))
        return objective + self.reconstruction * Reconstruction() if self.reconstruction else objective

    def _towers(self, towers: Mapping | None, kinds: Mapping[str, str]) -> Mapping | None:
        shared = next((name for name, spec in (towers or {}).items() if isinstance(spec, SameAs)), None)
        if towers is not None and shared is not None:
            raise UsageError(f"view {shared!r} is {towers[shared]}; DeepCCA ends each view's tower in a map of its own")
        return towers

    def _extend(self, module: Network) -> None:
        for view, tower in module.towers.items():
            if is_frozen(tower.projection):  # type: ignore[arg-type]
                raise UsageError(f"DeepCCA ends each tower in a map of its own, and the head of {view!r} is locked")
        module.register_buffer("correlations", torch.zeros(self.dim))

    def _enlarge_batch(self, rows: int) -> int:
        return max(rows, 10 * self.dim)

    def _finish(self, data: TrainingData) -> None:
        """CCA of the embeddings, folded into the towers: what `cca.embed` would give."""
        shrinkage = self.ridge / (1 + self.ridge)  # what the term adds to the variance, as a share of the sum
        cca = CCA(self.dim, ridge=shrinkage).fit(self.transform(data.source))
        for name, side in cca.solution_.sides.items():
            matrix = (side.weights * side.emphasis).T  # (dim, dim)
            projection: Projection = self.module_.towers[name].projection  # type: ignore[assignment, union-attr]
            projection.compose(torch.from_numpy(matrix), torch.from_numpy(-matrix @ side.mean))
        self.module_.get_buffer("correlations").copy_(torch.from_numpy(cca.correlations_))
        self._warn_of_batches(self.history_[-1]["Correlation.sum"], cca.correlations_.sum())

    def _warn_of_batches(self, within: float, over_all: float) -> None:
        if within > BY_CHANCE * over_all:
            log.warning(
                "correlations add up to %.1f within batches but to %.1f over all rows: what batches show is chance or "
                "a few extreme rows. Raise batch_size or ridge, or lower dim (%d)",
                within,
                over_all,
                self.dim,
            )
