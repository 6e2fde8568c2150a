"""From the shared space back to a view."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn

LEAST = 4  # side of the maps a picture grows from


class Decoder(nn.Module):
    """Two-layer MLP: embeddings (B, dim) -> raw view (B, width)."""

    def __init__(self, dim: int, width: int, *, hidden: int):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(dim, hidden), nn.GELU(), nn.Linear(hidden, width))

    def forward(self, z):
        return self.layers(z)


class PictureDecoder(nn.Module):
    """Embeddings (B, dim) -> pictures (B, channels * height * width), which grow from small maps.

    Each stage doubles the side by repeating pixels, which leaves no checkerboard, and convolves; channels halve. What
    grows past the side is cut.

    Args:
        shape: (channels, height, width) of a picture.
        hidden: channels of the smallest maps, times four.

    Reference: Odena, Dumoulin and Olah 2016, Deconvolution and Checkerboard Artifacts (repeat, then convolve).
    """

    def __init__(self, dim: int, shape: Sequence[int], *, hidden: int):
        super().__init__()
        self.shape = tuple(shape)
        stages = max(0, math.ceil(math.log2(max(shape[1:]) / LEAST)))
        self.start = tuple(math.ceil(side / 2**stages) for side in shape[1:])
        widths = [max(16, hidden // 4 // 2**stage) for stage in range(stages + 1)]
        self.first = nn.Linear(dim, widths[0] * math.prod(self.start))
        grow = [_grown(inside, outside) for inside, outside in pairwise(widths)]
        self.layers = nn.Sequential(nn.GELU(), *grow, nn.Conv2d(widths[-1], shape[0], 3, padding=1))

    def forward(self, z: Tensor) -> Tensor:
        maps = self.first(z).view(len(z), -1, *self.start)
        pictures = self.layers(maps)  # (B, channels, >= height, >= width)
        return pictures[:, :, : self.shape[1], : self.shape[2]].flatten(1)


def _grown(inside: int, outside: int) -> nn.Sequential:
    return nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(inside, outside, 3, padding=1), nn.GELU())


def decoder_for(dim: int, shape: Sequence[int], *, hidden: int) -> nn.Module:
    """A decoder of raw views of some shape: of pictures (channels, height, width), or of (width,) numbers."""
    if len(shape) == 3:
        return PictureDecoder(dim, shape, hidden=hidden)
    return Decoder(dim, math.prod(shape), hidden=hidden)
