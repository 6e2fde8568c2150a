"""AdaptedCLIP: CLIP that works on a domain without captions."""

from __future__ import annotations

from collections.abc import Mapping

from bouba.learner import BaseLearner
from bouba.terms import DomainAdversarial, InfoNCE, Objective, Term
from bouba.towers import EncoderSpec


class AdaptedCLIP(BaseLearner):
    """Contrastive alignment + domain-adversarial training: Learner(towers, InfoNCE() + w * DomainAdversarial()).

    Fit it with `target=`, the domain whose captions, labels and pairings stay hidden; its pictures alone are read.
    With BatchNorm towers each domain is then normalised by its own statistics; `weight=0` keeps that alone.
    Where source and target look nearly alike it gains nothing over CLIP: compare both.

    Args:
        towers: view -> encoder; a default for each kind when None.
        weight: w, of the domain term.
        adapt: the views to adapt; every view with two domains or more when None.
        also: more terms, `0.3 * PseudoPairs()`, or `Prediction() + SelfTraining()` where the source has labels.
        temperature: start of tau. similarity: "cosine", "dot" or "euclidean".
        **training: dim, epochs, batch_size, lr, weight_decay, patience, random_state, verbose; see Learner.

    Reference: Radford et al. 2021 (contrast), Ganin et al. 2016 (domain-adversarial training).
    """

    def __init__(
        self,
        towers: Mapping[str, EncoderSpec] | None = None,
        *,
        weight: float = 0.1,
        adapt: tuple[str, ...] | None = None,
        also: Term | Objective | None = None,
        temperature: float = 0.07,
        similarity: str = "cosine",
        **training,
    ):
        super().__init__(towers, **training)
        self.weight = weight
        self.adapt = adapt
        self.also = also
        self.temperature = temperature
        self.similarity = similarity

    def _objective(self) -> Objective:
        contrast = InfoNCE(self.temperature, similarity=self.similarity)
        objective = contrast + self.weight * DomainAdversarial(self.adapt)
        return objective if self.also is None else objective + self.also
