"""DeepCORAL: classes for a target without labels, by matching covariances."""

from __future__ import annotations

from collections.abc import Mapping

from bouba.adapt.adapted_classifier import AdaptedClassifier
from bouba.terms import CORAL
from bouba.towers import EncoderSpec


class DeepCORAL(AdaptedClassifier):
    """Classification + correlation alignment: Learner(Prediction() + w * CORAL()).

        L = -mean over source rows of log p(y_i | z_i)  +  w |C_s - C_t|_F^2 / (4 d^2)

    The cheapest of the three, and the weakest: domains that differ in their means alone are alike to it. The paper's
    rule for w is that both summands end about equal. CORALAligner does the same to features that are ready.

    Args:
        towers: view -> encoder; a default for each kind when None.
        weight: w.
        label, adapt, also, fusion, hidden, smoothing: see AdaptedClassifier.
        **training: dim, epochs, batch_size, lr, weight_decay, patience, random_state, verbose; see Learner.

    Reference: Sun and Saenko 2016, Deep CORAL, equations 1 and 6. Departures: see CORAL.

    >>> DeepCORAL().weight
    10.0
    """

    def __init__(self, towers: Mapping[str, EncoderSpec] | None = None, *, weight: float = 10.0, **training):
        super().__init__(towers, weight=weight, **training)

    def _adaptation(self) -> CORAL:
        return CORAL(self.adapt)
