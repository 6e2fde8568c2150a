"""DANN: classes for a target without labels, by domain-adversarial training."""

from __future__ import annotations

from collections.abc import Mapping

from bouba.adapt.adapted_classifier import AdaptedClassifier
from bouba.terms import DomainAdversarial
from bouba.towers import EncoderSpec


class DANN(AdaptedClassifier):
    """Classification + domain-adversarial training: Learner(Prediction() + w * DomainAdversarial()).

        min_f max_C  -mean over source rows of log p(y_i | z_i)  +  w lambda mean over domains of log C(z_i)

    Fit it with `target=`, the domain whose labels stay hidden. It adapts where source and target hold the same classes
    in about the same shares and look different; with other shares it matches what should not match. MMDAdapter and
    DeepCORAL do the same without an adversary: steadier, and blind to finer differences.

    Args:
        towers: view -> encoder; a default for each kind when None.
        conditional: let domains agree class by class, sure rows first (CDAN + E).
        label, weight, adapt, also, fusion, hidden, smoothing: see AdaptedClassifier.
        **training: dim, epochs, batch_size, lr, weight_decay, patience, random_state, verbose; see Learner.

    References: Ganin et al. 2016, Domain-Adversarial Training of Neural Networks, equation 9; Long et al. 2018 (CDAN).
    Departures: see DomainAdversarial.

    >>> import numpy as np
    >>> from bouba import Views
    >>> x, domain = np.random.default_rng(0).normal(size=(20, 3)), ["a", "b"] * 10
    >>> model = DANN(epochs=1, dim=4).fit(Views({"x": x}), x[:, 0] > 0, domain=domain, target="b")
    >>> model.predict(Views({"x": x})).shape
    (20,)
    """

    def __init__(self, towers: Mapping[str, EncoderSpec] | None = None, *, conditional: bool = False, **training):
        super().__init__(towers, **training)
        self.conditional = conditional

    def _adaptation(self) -> DomainAdversarial:
        condition = self.label_ if self.conditional else None
        return DomainAdversarial(self.adapt, condition=condition, entropy_weight=self.conditional)
