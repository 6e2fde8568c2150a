"""Items as few numbers: coefficients of their principal components."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from bouba.errors import DataError

LEAST = 1e-5  # of the largest deviation; below it is rounding


class Components(nn.Module):
    """Rows (B, p) as coefficients (B, k) of k principal components, and back.

        a = (x - m) V / s,   x ~ m + (a s) V',   s_j = sqrt(d_j mean(d))

    m is the mean of the rows it was measured on, V (p, k) their principal directions and d_j the deviation along each.
    Coefficients have variance d_j / mean(d), 1 on the average: divided by d_j (whitened) a fine detail would count as
    much as the whole shape, not divided it would not count.

    Args:
        measured: what `measure` gave.

    Reference: Rombach et al. 2022, High-Resolution Image Synthesis with Latent Diffusion Models (drawing in a space of
    fewer numbers). Departure: the space is that of a linear autoencoder, which needs no training.
    """

    mean: Tensor
    basis: Tensor
    scale: Tensor

    def __init__(self, measured: Mapping[str, Any]):
        super().__init__()
        k = len(measured["scale"])
        arrays = {"mean": _unpack(measured["mean"]), "basis": _unpack(measured["basis"]).reshape(k, -1)}
        arrays["scale"] = np.array(measured["scale"], np.float32)
        for name, array in arrays.items():
            self.register_buffer(name, torch.from_numpy(array), persistent=False)  # they are saved as `measured`

    def __len__(self) -> int:
        return len(self.scale)

    def forward(self, x: Tensor) -> Tensor:
        """Coefficients (B, k) of rows (B, p)."""
        return (x - self.mean) @ self.basis.T / self.scale

    def back(self, a: NDArray[np.floating]) -> NDArray[np.floating]:
        """The rows (B, p) that have coefficients (B, k) and nothing else."""
        mean, basis, scale = (tensor.cpu().numpy() for tensor in (self.mean, self.basis, self.scale))
        return (a * scale) @ basis + mean


def measure(rows: NDArray[np.float32], most: int, *, random_state: int = 0) -> dict[str, Any]:
    """The principal components of rows (n, p), as plain JSON: `most` of them, fewer where the rows have no more.

    Raises:
        DataError: rows that are all alike.

    Reference: Halko, Martinsson and Tropp 2011, Finding Structure with Randomness (randomized SVD).
    """
    from sklearn.utils.extmath import randomized_svd

    mean = rows.mean(0)
    k = min(most, len(rows) - 1, rows.shape[1])
    if k < 1 or not (rows != rows[0]).any():
        raise DataError(f"components are the ways in which cells differ, and these {len(rows)} are all alike")
    _, singular, basis = randomized_svd(rows - mean, k, random_state=random_state)
    deviation = singular / np.sqrt(len(rows))
    distinct = deviation > LEAST * deviation[0]
    deviation, basis = deviation[distinct], basis[distinct]
    scale = np.sqrt(deviation * deviation.mean())
    return {"mean": _pack(mean), "basis": _pack(basis), "scale": scale.tolist()}


def _pack(numbers: NDArray | Sequence[float]) -> str:
    """Numbers as text, four bytes each: a hundred components of a picture are too many for digits."""
    return base64.b64encode(np.asarray(numbers, "<f4").tobytes()).decode()


def _unpack(text: str) -> NDArray[np.float32]:
    return np.frombuffer(base64.b64decode(text), "<f4").astype(np.float32)
