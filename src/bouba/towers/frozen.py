"""A network that does not learn, run once over each cell: training then works on ready features."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from bouba.batch import Inputs
from bouba.device import device_named
from bouba.errors import UsageError
from bouba.towers.cell_features import CellFeatures, fingerprint_of
from bouba.towers.portable import Portable, Standardised, Steps, features_given
from bouba.towers.tower import Encoder

MEASURED = 512  # cells that mean and scale are measured on
LEAST = 0.01  # of the usual scale: a feature that hardly varies is not blown up


class Frozen(Encoder):
    """Cells -> features (B, width) of a frozen encoder, computed in `prepare`; `forward` standardises them.

    Many networks give features that lie in a narrow cone far from zero, where no two rows differ much; each is measured
    on training cells and standardised, as the numbers of an MLP are.

    Equal cells are encoded once. With `cache` their features are kept on disk (see FeatureCache), by the content of the
    cell and a digest of the weights and `facts`, so that another run, or one that was killed, does not compute them
    again. The network itself stays a part of the model and is saved with it. A decoder gives back the features,
    standardised over their numbers.

    Args:
        inner: the encoder. It is left without gradients.
        kind: of the cells.
        facts: all that the features depend on besides the weights, as plain JSON.
        moments: what `measured` gave; None standardises nothing.
        cache: whether to keep features on disk.
    """

    runs_network = True
    mean: Tensor
    scale: Tensor

    def __init__(
        self,
        inner: Encoder,
        kind: str,
        facts: Mapping[str, Any],
        *,
        moments: Mapping[str, list[float]] | None = None,
        cache: bool = True,
    ):
        super().__init__()
        self.inner = inner.requires_grad_(False)
        self.facts = dict(facts)
        self.width = self.raw_width = inner.width
        self.features = CellFeatures(
            kind, inner.width, self._encode, self.fingerprint, cache=cache, around=self._where_many_are_encoded
        )
        moments = moments or {"mean": [0.0] * self.width, "scale": [1.0] * self.width}
        self.register_buffer("mean", torch.tensor(moments["mean"]))
        self.register_buffer("scale", torch.tensor(moments["scale"]))
        self._network: tuple[Any, str] = (None, "")

    def train(self, mode: bool = True) -> Frozen:
        """The network inside never trains: no dropout, and the statistics of its BatchNorm stay."""
        super().train(mode)
        self.inner.eval()
        return self

    def prepare(self, cells: Sequence) -> dict[str, Tensor]:
        return {"features": torch.from_numpy(self.features(cells))}

    def is_cut(self, cells: Sequence) -> list[bool]:
        return self.inner.is_cut(cells)

    @torch.inference_mode()
    def _encode(self, cells: list) -> np.ndarray:
        self.inner.eval()
        device = _device_of(self.inner)
        inputs = {name: tensor.to(device) for name, tensor in self.inner.prepare(cells).items()}
        return self.inner(**inputs).float().cpu().numpy()

    def _where_many_are_encoded(self) -> AbstractContextManager[None]:
        return _on_accelerator(self.inner)

    def fingerprint(self) -> str:
        """Digest of the facts and every weight, hexadecimal. Weights are read again only when they changed."""
        state = self.inner.state_dict(keep_vars=True)
        stamp = tuple(tensor._version for tensor in state.values())
        if self._network[0] != stamp:
            self._network = (stamp, fingerprint_of(self.facts, _as_bytes(state)))
        return self._network[1]

    def measured(self, cells: Sequence, random_state: int) -> dict[str, list[float]]:
        """Mean and standard deviation of each feature over MEASURED of the cells, as plain JSON."""
        sample = np.random.default_rng(random_state).permutation(len(cells))[:MEASURED]
        features = self.prepare([cells[i] for i in sorted(sample)])["features"].double()
        scale = features.std(0, correction=0)
        usual = float(scale.square().mean().sqrt())
        return {"mean": features.mean(0).tolist(), "scale": scale.clamp(min=LEAST * usual if usual else 1.0).tolist()}

    def portable_features(self) -> Portable:
        """What is inside for other programs: cells -> features that are not standardised. Where they cannot run the
        network, its features are the input."""
        try:
            return self.inner.portable()
        except UsageError as error:
            encoder = {"how": "encoder", "name": type(self.inner).__name__}
            return features_given(self.width, encoder, f"{error}; give its features")

    def portable(self) -> Portable:
        inner = self.portable_features()
        return replace(inner, network=Steps(inner.network, Standardised(self.mean, self.scale)))

    def raw(self, inputs: Inputs) -> Tensor:
        return self(**inputs)

    def forward(self, features: Tensor) -> Tensor:
        return (features - self.mean) / self.scale


def _as_bytes(state: Mapping[str, Tensor]) -> Iterator[bytes]:
    """Tensors as bytes, one after the other."""
    for name, tensor in state.items():
        yield f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode()
        yield tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes()


def _device_of(network: nn.Module) -> torch.device:
    first = next(iter((*network.parameters(), *network.buffers())), None)
    return torch.device("cpu") if first is None else first.device


@contextmanager
def _on_accelerator(network: nn.Module) -> Iterator[None]:
    """Inside, the network is where `running_on` says, on a GPU if there is one; what learns of training cells is made
    before the network of the model is."""
    device, wanted = _device_of(network), device_named()
    if device.type != "cpu" or wanted.type == "cpu":
        yield
        return
    with torch.inference_mode(False):  # buffers moved in inference mode would be inference tensors for good
        network.to(wanted)
    try:
        yield
    finally:
        with torch.inference_mode(False):
            network.to(device)
