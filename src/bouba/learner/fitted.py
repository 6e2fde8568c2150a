"""What a fitted network gives for Views: embeddings, one fused vector a row."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bouba.batch import Batch
from bouba.data.batches import Batches
from bouba.data.loader import Codes, Rows
from bouba.data.views import Views
from bouba.errors import DataError, ModalityError

if TYPE_CHECKING:
    from torch import Tensor

    from bouba.train import Network


@dataclass(frozen=True)
class FittedNetwork:
    """A trained network with what it was trained on.

    Args:
        module: the network. kinds: view -> kind. codes: of domains and labels. dim: width of the fused vector.
    """

    module: Network
    kinds: Mapping[str, str]
    codes: Codes
    dim: int

    @property
    def encoders(self) -> dict[str, Any]:
        """view -> encoder."""
        return {name: tower.encoder for name, tower in self.module.towers.items()}  # type: ignore[union-attr]

    @property
    def embedding_width(self) -> int:
        """Of one view's z."""
        return next(iter(self.module.towers.values())).dim  # type: ignore[return-value]

    def run(
        self, views: Views, forward: Callable[[Batch], Mapping[str, Tensor]], batch_size: int = 512
    ) -> dict[str, np.ndarray]:
        """What `forward` gives for each batch, joined over all rows; the network does not learn, views without any cell
        are left out, and nothing comes back where no cell is left.

        Raises:
            ModalityError: a view the model was not trained on.
        """
        import torch

        for name, kind in views.modalities.items():
            if name not in self.kinds:
                trained = ", ".join(f"{view} ({kind})" for view, kind in self.kinds.items())
                raise ModalityError(f"the model has no view {name!r} ({kind}); it has {trained}")
        names = [name for name in views.modalities if views[name].present.any()]
        if not names:
            return {}
        device = next(self.module.parameters()).device
        codes = Codes(self.codes.domains)  # to each its own statistics, where they were measured
        rows = Rows(views, {name: self.encoders[name] for name in names}, codes, memory=0)
        self.module.eval()
        out: dict[str, list[np.ndarray]] = {}
        with torch.inference_mode(), Batches(rows, rows.rows.split(batch_size), device) as batches:
            for batch in batches:
                for name, tensor in forward(batch).items():
                    out.setdefault(name, []).append(tensor.float().cpu().numpy())
        return {name: np.concatenate(parts) for name, parts in out.items()}

    def embed(self, views: Views, batch_size: int = 512) -> dict[str, np.ndarray]:
        """view -> float32 (n, embedding_width), zeros where a cell is missing.

        Raises:
            DataError: numbers so large that their embedding is infinite or undefined.
        """

        def forward(batch: Batch) -> dict[str, Tensor]:
            return {name: self.module.embed_view(name, batch) for name in batch.present}

        z = self.run(views, forward, batch_size)
        for name, embedding in z.items():
            if not np.isfinite(embedding).all():
                raise DataError(
                    f"view {name!r} holds numbers that its embedding cannot be computed of; scale its columns to a "
                    "deviation of about 1 and fit again"
                )
        blank = np.zeros((len(views), self.embedding_width), np.float32)
        return {name: z.get(name, blank) for name in views.modalities}

    def fuse(self, views: Views, batch_size: int = 512) -> np.ndarray:
        """float32 (n, dim), zeros where a row has no view."""

        def forward(batch: Batch) -> dict[str, Tensor]:
            fused = self.module.fuse(self.with_every_view(batch)).fused
            return {} if fused is None else {"": fused * batch.any_present[:, None]}

        return self.run(views, forward, batch_size).get("", np.zeros((len(views), self.dim), np.float32))

    def with_every_view(self, batch: Batch) -> Batch:
        """The batch with z of every view of the model, zeros where a row lacks it."""
        z = {name: self.module.embed_view(name, batch) for name in batch.present}
        blank = batch.rows.new_zeros((len(batch), self.embedding_width), dtype=next(iter(z.values())).dtype)
        absent = batch.rows.new_zeros(len(batch)).bool()
        present = {name: batch.present.get(name, absent) for name in self.kinds}
        return batch.replace(z={name: z.get(name, blank) for name in self.kinds}, present=present)
