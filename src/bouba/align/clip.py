"""CLIP: pictures and their captions in one space."""

from __future__ import annotations

from collections.abc import Mapping

from bouba.learner import BaseLearner
from bouba.terms import InfoNCE, Objective
from bouba.towers import EncoderSpec


class CLIP(BaseLearner):
    """Contrastive alignment of two views or more: Learner(towers, InfoNCE(...)).

    Use it to search one view by another, in the domains it was trained on. AdaptedCLIP is the same and holds on a
    domain without captions; CCA is the closed form for ready features and little data.

    Args:
        towers: view -> encoder; a default for each kind when None.
        temperature: start of tau, which divides the similarities. learn_temperature: whether it is trained.
        similarity: "cosine", "dot" or "euclidean".
        **training: dim, epochs, batch_size, lr, weight_decay, patience, random_state, verbose; see Learner.

    Reference: Radford et al. 2021, Learning Transferable Visual Models From Natural Language Supervision.
    Departures: any number of views, every pair of them; small towers trained from scratch by default.
    """

    def __init__(
        self,
        towers: Mapping[str, EncoderSpec] | None = None,
        *,
        temperature: float = 0.07,
        learn_temperature: bool = True,
        similarity: str = "cosine",
        **training,
    ):
        super().__init__(towers, **training)
        self.temperature = temperature
        self.learn_temperature = learn_temperature
        self.similarity = similarity

    def _objective(self) -> Objective:
        return Objective.of(InfoNCE(self.temperature, learn=self.learn_temperature, similarity=self.similarity))
