"""A network that does not learn, run once over each cell: training then works on ready features."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from bouba.batch import Inputs
from bouba.device import device_named
from bouba.errors import DataError
from bouba.towers.content import content_key, digest
from bouba.towers.feature_cache import FeatureCache
from bouba.towers.tower import Encoder

log = logging.getLogger("bouba")
MEASURED = 512  # cells that mean and scale are measured on
LEAST = 0.01  # of the usual scale: a feature that hardly varies is not blown up
BATCH = 32  # cells that go through the network at once; a run that is killed loses no more
REPORT_EVERY = 10.0  # seconds


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
        self.kind, self.facts, self.cache = kind, dict(facts), cache
        self.width = self.raw_width = inner.width
        moments = moments or {"mean": [0.0] * self.width, "scale": [1.0] * self.width}
        self.register_buffer("mean", torch.tensor(moments["mean"]))
        self.register_buffer("scale", torch.tensor(moments["scale"]))
        self._network: tuple[Any, str] = (None, "")
        self._encoded, self._reported_at = 0, time.monotonic()

    def train(self, mode: bool = True) -> Frozen:
        """The network inside never trains: no dropout, and the statistics of its BatchNorm stay."""
        super().train(mode)
        self.inner.eval()
        return self

    def prepare(self, cells: Sequence) -> dict[str, Tensor]:
        keys = [content_key(self.kind, cell) for cell in cells]
        store = FeatureCache(self.fingerprint(), self.width) if self.cache else None
        features_by_key = {} if store is None else store.read(list(dict.fromkeys(keys)))
        todo = {key: cell for key, cell in zip(keys, cells, strict=True) if key not in features_by_key}
        with _on_accelerator(self.inner) if len(todo) > BATCH else nullcontext():
            for batch in self._batches(todo):
                features = self._encode(list(batch.values()))
                new = dict(zip(batch, features, strict=True))
                if store is not None:
                    store.write(new)
                features_by_key |= new
        return {"features": torch.from_numpy(np.stack([features_by_key[key] for key in keys]))}

    def is_cut(self, cells: Sequence) -> list[bool]:
        return self.inner.is_cut(cells)

    def _batches(self, todo: Mapping[bytes, Any]) -> Iterator[dict[bytes, Any]]:
        """BATCH cells at a time, texts of about the same length together, since they are padded to the longest."""
        keys = sorted(todo, key=lambda key: len(str(todo[key]))) if self.kind == "text" else list(todo)
        for start in range(0, len(keys), BATCH):
            batch = keys[start : start + BATCH]
            yield {key: todo[key] for key in batch}
            self._encoded += len(batch)
            if time.monotonic() - self._reported_at > REPORT_EVERY:
                log.info("encoded %d cells (%s) so far", self._encoded, self.kind)
                self._reported_at = time.monotonic()

    @torch.inference_mode()
    def _encode(self, cells: list) -> np.ndarray:
        self.inner.eval()
        device = _device_of(self.inner)
        inputs = {name: tensor.to(device) for name, tensor in self.inner.prepare(cells).items()}
        features = self.inner(**inputs).float().cpu().numpy()
        if not np.isfinite(features).all():
            cell = cells[int(np.flatnonzero(~np.isfinite(features).all(1))[0])]
            raise DataError(f"the frozen network gives NaN or infinity for the cell {cell!r:.80}; leave it out")
        return features

    def fingerprint(self) -> str:
        """Digest of the facts and every weight, hexadecimal. Weights are read again only when they changed."""
        state = self.inner.state_dict(keep_vars=True)
        stamp = tuple(tensor._version for tensor in state.values())
        if self._network[0] != stamp:
            self._network = (stamp, digest(_as_bytes(self.facts, state)).hex())
        return self._network[1]

    def measured(self, cells: Sequence, random_state: int) -> dict[str, list[float]]:
        """Mean and standard deviation of each feature over MEASURED of the cells, as plain JSON."""
        sample = np.random.default_rng(random_state).permutation(len(cells))[:MEASURED]
        features = self.prepare([cells[i] for i in sorted(sample)])["features"].double()
        scale = features.std(0, correction=0)
        usual = float(scale.square().mean().sqrt())
        return {"mean": features.mean(0).tolist(), "scale": scale.clamp(min=LEAST * usual if usual else 1.0).tolist()}

    def raw(self, inputs: Inputs) -> Tensor:
        return self(**inputs)

    def forward(self, features: Tensor) -> Tensor:
        return (features - self.mean) / self.scale


def _as_bytes(facts: Mapping[str, Any], state: Mapping[str, Tensor]) -> Iterator[bytes]:
    """Facts and tensors as bytes, one after the other."""
    yield json.dumps(facts, sort_keys=True).encode()
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
