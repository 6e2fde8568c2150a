"""MMDAdapter: classes for a target without labels, by matching mean embeddings of a kernel."""

from __future__ import annotations

from collections.abc import Mapping

from bouba.adapt.adapted_classifier import AdaptedClassifier
from bouba.terms import MMD
from bouba.towers import EncoderSpec


class MMDAdapter(AdaptedClassifier):
    """Classification + maximum mean discrepancy: Learner(Prediction() + w * MMD()).

        L = -mean over source rows of log p(y_i | z_i)  +  w MMD^2(z of the source, z of the target)

    It has no adversary to keep in balance, unlike DANN, and matches all moments, unlike DeepCORAL. It needs some 50
    rows of each domain in a batch.

    Args:
        towers: view -> encoder; a default for each kind when None.
        kernel: "multi", "rbf" or "linear"; see MMD.
        label, weight, adapt, also, fusion, hidden, smoothing: see AdaptedClassifier.
        **training: dim, epochs, batch_size, lr, weight_decay, patience, random_state, verbose; see Learner.

    Reference: Long et al. 2015, Learning Transferable Features with Deep Adaptation Networks. Departures: see MMD; one
    layer, the embedding, is matched.

    >>> MMDAdapter(weight=3.0).kernel
    'multi'
    """

    def __init__(self, towers: Mapping[str, EncoderSpec] | None = None, *, kernel: str = "multi", **training):
        super().__init__(towers, **training)
        self.kernel = kernel

    def _adaptation(self) -> MMD:
        return MMD(self.adapt, kernel=self.kernel)
