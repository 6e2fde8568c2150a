"""Every view from whichever views are present, through one code a row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from bouba.fuse.decoding import Decoding
from bouba.nn.fusion import Fusion, SumFusion
from bouba.terms import Objective, Reconstruction
from bouba.towers import EncoderSpec

if TYPE_CHECKING:
    from torch import Tensor

    from bouba.batch import Batch


class MultimodalAutoencoder(Decoding):
    """A code a row from any subset of its views, and every view decoded from it: Learner(Reconstruction(fused=True)).

        L = 1/|V| sum over views m of mean over rows that have m of || raw_m - g_m(F(f_1, ..., f_M)) ||^2 / p_m

    f_m embeds view m, of p_m numbers, g_m decodes it, and F fuses the views that are present. `drop` of F hides some at
    random while training, and what is hidden is to be decoded all the same: one view is learnt from the others. No
    label, no pair is needed; a row with one view teaches too. Use it to fill in views that are missing, and for a code
    that other estimators read (`transform`); CLIP where views should find each other, FusionClassifier where rows have
    labels.

    Args:
        towers: view -> encoder; a default for each kind when None. Views without a raw form (towers fine-tuned from
            pretrained weights) are read but not decoded. Pictures come back with a side of `ConvNet(thumbnail=16)`.
        fusion: how views become one code; `drop` is the share of views hidden while training.
        hidden: width of each decoder's hidden layer.
        **training: dim (of the code), epochs, batch_size, lr, weight_decay, patience, random_state, verbose; see
            Learner.

    References: Ngiam et al. 2011, Multimodal Deep Learning (bimodal deep autoencoder, trained with one view left out);
    Vincent et al. 2008, Extracting and Composing Robust Features with Denoising Autoencoders. Departures: any number of
    views, absent ones masked instead of set to zero, and trained by one pass instead of layer by layer.

    >>> import numpy as np
    >>> from bouba.data import Views
    >>> views = Views({"a": np.eye(8), "b": np.eye(8)[::-1].copy()})
    >>> model = MultimodalAutoencoder(epochs=1, dim=4).fit(views)
    >>> model.transform(views.select("a")).shape, {v: x.shape for v, x in model.reconstruct(views.select("a")).items()}
    ((8, 4), {'a': (8, 8), 'b': (8, 8)})
    """

    def __init__(
        self,
        towers: Mapping[str, EncoderSpec] | None = None,
        *,
        fusion: Fusion = SumFusion(drop=0.3),  # noqa: B008  it is frozen
        hidden: int = 256,
        **training,
    ):
        super().__init__(towers, fusion=fusion, **training)
        self.hidden = hidden

    def _objective(self) -> Objective:
        return Objective.of(Reconstruction(hidden=self.hidden, fused=True))

    def _decode(self, batch: Batch) -> dict[str, Tensor]:
        network = self._fitted()
        fused, decoders = network.module.fuse(network.with_every_view(batch)).fused, network.module.state[0]  # type: ignore[index]
        return {name: decoder(fused) for name, decoder in decoders.items()}  # type: ignore[operator, union-attr]
