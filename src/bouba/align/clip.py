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
        anchor: the view with which alone every other is compared (ImageBind): two views that no row has both of then
            meet through it, and a row with three views or more teaches nothing on the pairs without it. Every pair of
            views when None.
        **training: dim, epochs, batch_size, lr, weight_decay, patience, random_state, verbose; see Learner.

    References: Radford et al. 2021, Learning Transferable Visual Models From Natural Language Supervision; Girdhar et
    al. 2023, ImageBind: One Embedding Space To Bind Them All, section 3.2 (anchor).
    Departures: any number of views, every pair of them; small towers trained from scratch by default.
    """

    def __init__(
        self,
        towers: Mapping[str, EncoderSpec] | None = None,
        *,
        temperature: float = 0.07,
        learn_temperature: bool = True,
        similarity: str = "cosine",
        anchor: str | None = None,
        **training,
    ):
        super().__init__(towers, **training)
        self.temperature = temperature
        self.learn_temperature = learn_temperature
        self.similarity = similarity
        self.anchor = anchor

    def _objective(self) -> Objective:
        learn, similarity, pairs = self.learn_temperature, self.similarity, self.anchor
        return Objective.of(InfoNCE(self.temperature, learn=learn, similarity=similarity, pairs=pairs))
