"""Image encoders trained from scratch: a plain CNN, a small ResNet and a stack in the manner of VGG."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from bouba.batch import Inputs
from bouba.data import decode
from bouba.data.augment import Augment
from bouba.errors import UsageError, nearest
from bouba.nn.components import Components, measure
from bouba.nn.patches import GRID, hidden_patches, spread_out
from bouba.nn.pixels import as_light, light, standardised
from bouba.towers.portable import Port, Portable, of_pictures
from bouba.towers.spec import EncoderSpec, Learned
from bouba.towers.tower import Encoder

NORMS = ("batch", "group", None)
GROUPS = 8  # of channels, each normalised by itself (Wu and He 2018)
TOLERANCE = 12  # of 255, by which a pixel of a white margin may differ from white
MEASURED = 4096  # pictures that components are measured on


class ImageEncoder(Encoder):
    """Pictures of any size and mode -> uint8 (B, 3, size, size) -> features; a decoder gives back a thumbnail."""

    def __init__(self, spec: ImageSpec, layers: nn.Module, width: int, components: Components | None):
        super().__init__()
        self.size, self.augment, self.crop, self.layers, self.width = spec.size, spec.augment, spec.crop, layers, width
        self.thumbnail, self.components = spec.thumbnail, components
        self.raw_width = 3 * spec.thumbnail**2 if components is None else len(components)

    def prepare(self, cells: Sequence) -> dict[str, Tensor]:
        return {"pixels": squares(cells, self.size, crop=self.crop)}

    def vary(self, inputs: Inputs) -> Inputs:
        return inputs if self.augment is None else {"pixels": self.augment(as_light(inputs["pixels"]))}

    @property
    def masks(self) -> bool:
        return self.components is None

    def masked(self, inputs: Inputs, share: float) -> tuple[Inputs, Tensor]:
        pixels, small = as_light(inputs["pixels"]), self.thumbnail
        hidden = hidden_patches(len(pixels), GRID**2, share, pixels.device)
        blank = spread_out(hidden, *pixels.shape[2:])[:, None]
        shown = spread_out(hidden, small, small)[:, None].expand(-1, pixels.shape[1], -1, -1)
        return {"pixels": pixels.masked_fill(blank, light(0.0))}, shown.flatten(1)

    def raw(self, inputs: Inputs) -> Tensor:
        small = thumbnails(inputs["pixels"], self.thumbnail)
        return small if self.components is None else self.components(small)

    @property
    def raw_shape(self) -> tuple[int, ...]:
        return (3, self.thumbnail, self.thumbnail) if self.components is None else (self.raw_width,)

    def restore(self, raw: np.ndarray) -> np.ndarray:
        """Pictures, uint8 (B, thumbnail, thumbnail, 3)."""
        return self._pictures(raw if self.components is None else self.components.back(raw))

    def shown(self, inputs: Inputs) -> Tensor:
        return torch.from_numpy(self._pictures(thumbnails(inputs["pixels"], self.thumbnail).cpu().numpy()))

    def _pictures(self, small: np.ndarray) -> np.ndarray:
        """Thumbnails (B, 3 * thumbnail^2) as pictures."""
        pixels = light(small.reshape(-1, 3, self.thumbnail, self.thumbnail).transpose(0, 2, 3, 1)).clip(0, 1)
        return (255 * pixels).round().astype(np.uint8)

    def portable(self) -> Portable:
        return portable_pictures(self, self.size, crop=self.crop)

    def forward(self, pixels: Tensor) -> Tensor:
        maps = self.layers(standardised(as_light(pixels)).contiguous(memory_format=torch.channels_last))  # (B, C, h, w)
        return torch.cat([maps.mean((2, 3)), maps.amax((2, 3))], dim=1)


def portable_pictures(network: nn.Module, size: int, *, crop: bool) -> Portable:
    """A network of squares of pixels for other programs."""
    preparation = of_pictures(size, crop=crop, tolerance=TOLERANCE)
    return Portable(network, {"pixels": Port("uint8", (3, size, size))}, preparation)


def squares(cells: Sequence, side: int, *, crop: bool = False) -> Tensor:
    """Pictures scaled whole into white squares, uint8 (B, 3, side, side)."""

    def square(cell) -> np.ndarray:
        picture = decode.image(cell)
        return np.asarray(decode.fit_on_white(crop_to_content(picture) if crop else picture, side))

    with ThreadPoolExecutor(4) as pool:
        pictures = list(pool.map(square, cells))
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).contiguous()


def thumbnails(pixels: Tensor, side: int) -> Tensor:
    """Numbers of order 1, (B, 3 * side^2), of pixels (B, 3, H, W) that lie in [0, 255]."""
    return standardised(torch.nn.functional.adaptive_avg_pool2d(pixels.float() / 255, side).flatten(1))


def crop_to_content(picture, tolerance: int = TOLERANCE):
    """The picture without its white margin; a blank picture stays as it is."""
    from PIL import Image, ImageChops

    ink = ImageChops.difference(picture, Image.new("RGB", picture.size, "white")).convert("L")
    box = ink.point(lambda value: 255 * (value > tolerance)).getbbox()
    return picture.crop(box) if box else picture


def _normalised(inside: int, outside: int, norm: str | None, stride: int = 1) -> list[nn.Module]:
    """A 3 x 3 convolution and what normalises its maps."""
    layers: dict[str | None, list[nn.Module]] = {
        "batch": [nn.BatchNorm2d(outside)],
        "group": [nn.GroupNorm(math.gcd(GROUPS, outside), outside)],
        None: [],
    }
    return [nn.Conv2d(inside, outside, 3, stride, 1, bias=norm is None), *layers[norm]]


def _conv(inside: int, outside: int, norm: str | None, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(*_normalised(inside, outside, norm, stride), nn.ReLU(inplace=True))


class _Residual(nn.Module):
    """x + F(x), He et al. 2016, with F two 3 x 3 convolutions."""

    def __init__(self, channels: int, norm: str | None):
        super().__init__()
        self.path = nn.Sequential(_conv(channels, channels, norm), *_normalised(channels, channels, norm))

    def forward(self, x):
        return torch.relu(x + self.path(x))


@dataclass(frozen=True)
class ImageSpec(EncoderSpec):
    """What image encoders share.

    Args:
        size: side in pixels of the white square each picture is scaled into, its aspect kept.
        channels: channels of the first stage; each of the following three doubles them and halves the side.
        augment: random changes while training; None for none.
        crop: cut the white margin away first.
        thumbnail: side in pixels of the picture that a decoder gives back.
        components: let a decoder give back so many principal components of thumbnails instead of their pixels, fewer
            where the training pictures have no more (see nn/components.py). What is drawn is smooth and cheap, 128 of
            them show an emoji at 32 pixels; None for pixels.
        norm: what follows a convolution: "batch" (BatchNorm) learns fastest, and each domain gets its own statistics;
            "group" (GroupNorm, up to 8 groups) and None do not depend on other pictures, so that a model of one domain
            does not fail on another for its statistics alone.
    """

    kind: ClassVar[str] = "image"

    size: int = 32
    channels: int = 32
    augment: Augment | None = field(default_factory=Augment)
    crop: bool = False
    thumbnail: int = 16
    components: int | None = None
    norm: str | None = "batch"

    def __post_init__(self) -> None:
        if self.norm not in NORMS:
            raise UsageError(f"no norm {self.norm!r}{nearest(str(self.norm), map(str, NORMS))}")
        if self.components is not None and self.components < 1:
            raise UsageError(f"components are 1 or more, or None for pixels, got {self.components}")
        if self.thumbnail < 1:
            raise UsageError(f"thumbnail is the side of a picture in pixels, 1 or more, got {self.thumbnail}")

    def learn(self, cells: Sequence, *, random_state: int = 0) -> Learned:
        if self.components is None:
            return {}
        sample = np.random.default_rng(random_state).permutation(len(cells))[:MEASURED]
        pixels = squares([cells[i] for i in sorted(sample)], self.size, crop=self.crop)
        return measure(thumbnails(pixels, self.thumbnail).numpy(), self.components, random_state=random_state)

    def build(self, learned: Learned) -> ImageEncoder:
        stages: list[nn.Module] = [_conv(3, self.channels, self.norm)]
        width = self.channels
        for _ in range(3):
            stages += self._stage(width, 2 * width)
            width *= 2
        components = None if self.components is None else Components(learned)
        return ImageEncoder(self, nn.Sequential(*stages), 2 * width, components)

    @abstractmethod
    def _stage(self, inside: int, outside: int) -> list[nn.Module]:
        """Layers that halve the side and go from `inside` to `outside` channels."""


@dataclass(frozen=True)
class ConvNet(ImageSpec):
    """Seven 3 x 3 convolutions with BatchNorm, mean- and max-pooled. Features: (B, 16 * channels).

    The cheapest image tower that learns shapes; ResNet is deeper, better with more data and about twice the time.
    """

    def _stage(self, inside: int, outside: int) -> list[nn.Module]:
        return [_conv(inside, outside, self.norm, stride=2), _conv(outside, outside, self.norm)]


@dataclass(frozen=True)
class ResNet(ImageSpec):
    """A residual network for small pictures: a convolution, then three stages of stride 2 + one residual block.

    Reference: He et al. 2016, Deep Residual Learning for Image Recognition (basic block; far smaller than ResNet-18).
    """

    def _stage(self, inside: int, outside: int) -> list[nn.Module]:
        return [_conv(inside, outside, self.norm, stride=2), _Residual(outside, self.norm)]


@dataclass(frozen=True)
class VGG(ImageSpec):
    """Three stacks of two 3 x 3 convolutions, each ending in max-pooling, instead of strides. Features: (B, 16 *
    channels).

    Every stack convolves its maps in full before it halves them: about three times the work of ConvNet, for details
    that a stride would skip.

    Reference: Simonyan & Zisserman 2015, Very Deep Convolutional Networks for Large-Scale Image Recognition.
    Departures: BatchNorm, mean- and max-pooling instead of fully connected layers, seven convolutions.
    """

    def _stage(self, inside: int, outside: int) -> list[nn.Module]:
        return [
            _conv(inside, outside, self.norm),
            _conv(outside, outside, self.norm),
            nn.MaxPool2d(2, ceil_mode=True),
        ]
