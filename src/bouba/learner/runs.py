"""What a fitted network gives for Views: embeddings, one fused vector a row."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from bouba.batch import Batch
from bouba.data.loader import Codes, Rows
from bouba.data.read import as_views
from bouba.data.views import Column, Views
from bouba.errors import ModalityError, UsageError
from bouba.nn.fusion import Fusion

if TYPE_CHECKING:
    from torch import Tensor

    from bouba.train import Network


class Runs:
    """A fitted model: its network, the kinds of its views, its codes."""

    module_: Network
    kinds_: dict[str, str]
    codes_: Codes
    dim: int
    fusion: Fusion | None

    def _encoders(self) -> dict[str, Any]:
        return {name: tower.encoder for name, tower in self.module_.towers.items()}  # type: ignore[union-attr]

    def embed(self, X, *, batch_size: int = 512) -> dict[str, np.ndarray]:
        """Embeddings of every view that X has: view -> float32 (n, dim), zeros where a cell is missing.

        Raises:
            ModalityError: a view the model was not trained on.
        """
        views = as_views(X)

        def forward(batch: Batch) -> dict[str, Tensor]:
            return {name: self.module_.embed_view(name, batch) for name in batch.present}

        found = self._run(views, forward, batch_size)
        blank = np.zeros((len(views), self.dim), np.float32)
        return {name: found.get(name, blank) for name in views.modalities}

    def fuse(self, X, *, batch_size: int = 512) -> np.ndarray:
        """One vector a row from whichever views it has: float32 (n, dim), zeros where it has none.

        Raises:
            UsageError: the model does not fuse. ModalityError: a view it was not trained on.
        """
        if self.fusion is None:
            raise UsageError(f"this {type(self).__name__} fuses nothing; give it a fusion, for example GatedFusion()")
        views = as_views(X)

        def forward(batch: Batch) -> dict[str, Tensor]:
            fused = self.module_.fuse(self._every_view(batch)).fused
            return {} if fused is None else {"": fused * batch.any_present[:, None]}

        return self._run(views, forward, batch_size).get("", np.zeros((len(views), self.dim), np.float32))

    def _every_view(self, batch: Batch) -> Batch:
        """The batch with z of every view of the model, zeros where it is not there."""
        z = {name: self.module_.embed_view(name, batch) for name in batch.present}
        blank = batch.rows.new_zeros((len(batch), self.dim), dtype=next(iter(z.values())).dtype)
        nowhere = batch.rows.new_zeros(len(batch)).bool()
        here = {name: batch.present.get(name, nowhere) for name in self.kinds_}
        return batch.replace(z={name: z.get(name, blank) for name in self.kinds_}, present=here)

    def _run(
        self, views: Views, forward: Callable[[Batch], Mapping[str, Tensor]], batch_size: int = 512
    ) -> dict[str, np.ndarray]:
        """What `forward` gives for each batch, joined over all rows; the network does not learn, views without any cell
        are left out, and nothing comes back where no cell is left.

        Raises:
            ModalityError: a view the model was not trained on.
        """
        import torch

        check_is_fitted(self, "module_")
        for name, kind in views.modalities.items():
            if name not in self.kinds_:
                known = ", ".join(f"{view} ({its})" for view, its in self.kinds_.items())
                raise ModalityError(f"the model has no view {name!r} ({kind}); it has {known}")
        names = [name for name in views.modalities if views[name].present.any()]
        if not names:
            return {}
        device = next(self.module_.parameters()).device
        codes = Codes(self.codes_.domains)  # to each its own statistics, where they were measured
        rows = Rows(views, {name: self._encoders()[name] for name in names}, codes, memory=0)
        self.module_.eval()
        out: dict[str, list[np.ndarray]] = {}
        with torch.inference_mode():
            for chunk in torch.arange(len(views)).split(batch_size):
                for name, tensor in forward(rows.batch(chunk).to(device)).items():
                    out.setdefault(name, []).append(tensor.float().cpu().numpy())
        return {name: np.concatenate(parts) for name, parts in out.items()}

    def transform(self, X) -> Views | np.ndarray:
        """Views of embeddings, one vector view for each view of X, with the same rows, roles and missing cells; where
        the model fuses, one array (n, dim)."""
        views = as_views(X)
        if self.fusion is not None:
            return self.fuse(views)
        embedded = self.embed(views)
        present = views.present
        return views.replace(columns={name: Column.of(z, "vector", present[name]) for name, z in embedded.items()})
