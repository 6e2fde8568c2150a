"""SimCLR: one modality without labels, by contrasting its cells under random changes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from bouba.batch import Batch
from bouba.data.augment import Augment
from bouba.data.views import Views
from bouba.learner import BaseLearner
from bouba.metrics import mean_reciprocal_rank
from bouba.nn.domain_norm import is_frozen
from bouba.nn.projection import Projection
from bouba.terms import NTXent, Objective, Term
from bouba.towers import CRNN, MLP, ConvNet, EncoderSpec, Frames, NGrams, Tabular

if TYPE_CHECKING:
    from torch import Tensor

    from bouba.train import Network

STRONG = Augment(zoom=(0.4, 1.0), turn=10.0, shift=0.0, color=0.5, roam=1.0, grey=0.2)
"""Crops that lie anywhere and bold colours: stronger than suits a picture with a caption."""

VARIED_TOWERS: dict[str, Callable[[], EncoderSpec]] = {
    "image": lambda: ConvNet(augment=STRONG),
    "text": lambda: NGrams(drop=0.5),
    "vector": lambda: MLP(noise=0.1, mask=0.3),
    "audio": CRNN,
    "video": lambda: Frames(ConvNet(augment=replace(STRONG, flip=0.0))),
    "table": lambda: Tabular(noise=0.1, mask=0.3),
}
"""The default for each kind. Without random changes a cell would be its own copy: nothing to learn."""


class SimCLR(BaseLearner):
    """Contrastive learning of each view by itself, from cells that are changed at random twice: no pair, no label.

        z, z' = projection(encoder(change(x))), projection(encoder(another change(x)))
        minimise NT-Xent(z, z'; tau), averaged over the views

    What the changes alter (place, colour, dropped words, masked frequencies) the embedding learns to ignore, what they
    leave it learns to discriminate. Use it where there is one modality and no label. Where rows have two views, CLIP
    learns more: the other view shows what matters.

    The projection is an MLP with one hidden layer here, and it discards what the changes alter. `features` are its
    input, which holds more for a classifier, as in the paper. `embed` and `transform` give the projected space,
    which compares cells by cosine.

    Args:
        towers: view -> encoder that varies its inputs; when None, one for each kind with strong changes.
        temperature: tau, which divides the cosines.
        objective: minimised instead of NT-Xent: VICReg(), BarlowTwins(), SimSiam(), BYOL(), DINO(), MAE(), or a sum,
            such as NTXent(0.2) + 0.1 * VICReg(); `temperature` is then not read.
        **training: dim, epochs, batch_size, lr, weight_decay, patience, random_state, verbose; see Learner. Large
            batches help: every other cell is a negative.

    Rows with equal keys are no negatives of each other.

    Reference: Chen, Kornblith, Norouzi and Hinton 2020, A Simple Framework for Contrastive Learning of Visual
    Representations. Departures: AdamW, small batches and towers; any kind of view, several at once, each by itself.

    >>> views = Views({"numbers": np.random.default_rng(0).normal(size=(40, 6))})
    >>> model = SimCLR(dim=4, epochs=1).fit(views)
    >>> model.embed(views)["numbers"].shape, model.features(views)["numbers"].shape
    ((40, 4), (40, 256))
    """

    aligns: ClassVar[bool] = False

    def __init__(
        self,
        towers: Mapping[str, EncoderSpec] | None = None,
        *,
        temperature: float = 0.2,
        objective: Term | Objective | None = None,
        **training,
    ):
        super().__init__(towers, **training)
        self.temperature = temperature
        self.objective = objective

    def _objective(self) -> Objective:
        return Objective.of(NTXent(self.temperature) if self.objective is None else self.objective)

    def _towers(self, towers: Mapping | None, kinds: Mapping[str, str]) -> Mapping:
        return {name: VARIED_TOWERS[kind]() for name, kind in kinds.items()} if towers is None else towers

    def _extend(self, module: Network) -> None:
        """A projection with a hidden layer behind each encoder, but where another is locked."""
        for tower in dict.fromkeys(module.towers.values()):
            if is_frozen(tower.projection):  # type: ignore[arg-type, union-attr]
                continue
            width: int = tower.encoder.width  # type: ignore[assignment, union-attr]
            tower.projection = Projection(width, self.dim, hidden=width)

    def features(self, X) -> dict[str, np.ndarray]:
        """What the encoders give before the projection: view -> float32 (n, width), zeros where a cell is missing.

        Use these for a classifier, a regressor or k nearest neighbours; `embed` for what the loss was trained on.

        Raises:
            ModalityError: a view the model was not trained on.
        """
        views, network = self.read(X), self._fitted()

        def forward(batch: Batch) -> dict[str, Tensor]:
            return {name: network.module.embed_view(name, batch, features=True) for name in batch.present}

        features = network.run(views, forward)
        widths = {name: network.encoders[name].width for name in views.modalities}
        return {name: features.get(name, np.zeros((len(views), width), np.float32)) for name, width in widths.items()}

    def _own_score(self, views: Views, y) -> float:
        """Mean reciprocal rank of a cell's other random change among those of X's rows, averaged over the views.

        The changes are drawn by `random_state`. Rows with equal keys count as the same thing.
        """
        import torch

        with torch.random.fork_rng():
            torch.manual_seed(self.random_state)
            first, second = self._varied(views), self._varied(views)
        return float(
            np.mean(
                [
                    mean_reciprocal_rank(
                        {"one": first[name], "other": second[name]},
                        {"one": present, "other": present},
                        views.things,
                        similarity=self.compared_by,
                    )
                    for name, present in views.present.items()
                ]
            )
        )

    def _varied(self, views: Views) -> dict[str, np.ndarray]:
        """Embeddings of randomly changed inputs: view -> float32 (n, dim)."""

        def forward(batch: Batch) -> dict[str, Tensor]:
            return {name: self.module_.embed_view(name, batch, vary=True) for name in batch.present}

        return self._fitted().run(views, forward)
