"""A view's cells as plain numbers, before any training: what an embedding is compared with."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

import numpy as np

from bouba.data.faults import decoded
from bouba.data.views import Views

CHUNK = 512


@runtime_checkable
class HasTowers(Protocol):
    """A trained model: `module_.towers` is view -> tower."""

    module_: Any


def raw_features(model: Any, views: Views, view: str) -> np.ndarray | None:
    """The numbers that the model's tower of a view starts from, one row for each cell that is present.

    Args:
        model: fitted, with towers. views: rows. view: which of them.

    Returns:
        float32 (m, p): standardised numbers, pixels, log energies or which words occur, as a decoder would have to
        give them back; None where the tower has no such form, or the model no towers.
    """
    towers = model.module_.towers if isinstance(model, HasTowers) else {}
    if view not in towers or not towers[view].encoder.raw_width:
        return None
    import torch

    encoder = towers[view].encoder
    device = next(towers[view].parameters()).device
    column = views[view]
    rows = np.flatnonzero(column.present)
    parts = []
    with torch.inference_mode():
        for chunk in np.array_split(rows, max(1, -(-len(rows) // CHUNK))):
            _, inputs = decoded(view, column, chunk, encoder.prepare)
            if inputs is None:
                continue
            parts.append(encoder.raw({name: tensor.to(device) for name, tensor in inputs.items()}).flatten(1).cpu())
    return torch.cat(parts).float().numpy() if parts else np.zeros((0, encoder.raw_width), np.float32)
