"""Random changes that leave the meaning of a picture alone, on a whole batch at once."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from bouba.declared import Declared
from bouba.errors import UsageError, nearest

BORDERS = ("white", "edge")


@dataclass(frozen=True)
class Augment(Declared):
    """What may happen to a picture while training. Each picture of a batch draws its own numbers.

    Args:
        zoom: range of the scale; below 1 crops, above 1 shrinks.
        turn: largest rotation in degrees, either way.
        shift: largest shift as a share of half the side.
        stretch: largest change of the width, the height changing the other way.
        flip: probability of mirroring left and right.
        color: strength of brightness, saturation and per-channel gain changes; 0 leaves colours alone.
        roam: how far a crop strays from the middle, as a share of the room it has: with 1 it lies anywhere in the
            picture (the random crop of SimCLR), with 0 only `shift` moves it.
        grey: probability of losing all colour.
        recolor: probability of other colours altogether: in each channel black and white become two levels drawn evenly
            from [0, 1], and what is between stays between. Half of the channels are inverted by it.
        blend: largest share of another picture of the batch, of whatever domain, that is mixed in; each share from 0
            is drawn alike. The label stays that of the picture itself, so keep it below 0.5.
        border: what moves into view: "white", as around drawings and cut-out products, or "edge", the outermost pixels
            drawn out, for photographs.
    """

    zoom: tuple[float, float] = (0.7, 1.15)
    turn: float = 15.0
    shift: float = 0.15
    stretch: float = 0.15
    flip: float = 0.5
    color: float = 0.3
    roam: float = 0.0
    grey: float = 0.0
    recolor: float = 0.0
    blend: float = 0.0
    border: str = "white"

    def __post_init__(self) -> None:
        if self.border not in BORDERS:
            raise UsageError(f"no border {self.border!r}{nearest(str(self.border), BORDERS)}")
        refuse_share("blend", self.blend)

    def __call__(self, pixels: Tensor) -> Tensor:
        """Pixels (B, C, H, W) in [0, 1], C any number -> the same, changed, nothing rounded. Uses torch's global
        generator."""
        return self._blended(self._recolored(self._colors(self._moves(pixels))))

    def _moves(self, pixels: Tensor) -> Tensor:
        between = _uniform(pixels)
        scale = between(*self.zoom)
        angle = between(-self.turn, self.turn) * (torch.pi / 180)
        stretch = between(1 - self.stretch, 1 + self.stretch)
        mirror = 1 - 2 * (between(0, 1) < self.flip).to(pixels.dtype)
        right, down = between(-1, 1) * self.shift, between(-1, 1) * self.shift
        if self.roam:
            room = self.roam * (1 - scale).clamp(min=0)
            right, down = right + between(-1, 1) * room, down + between(-1, 1) * room
        across = torch.stack([scale * angle.cos() * mirror * stretch, -scale * angle.sin(), right], 1)
        along = torch.stack([scale * angle.sin() * mirror, scale * angle.cos() / stretch, down], 1)
        theta = torch.stack([across, along], 1)  # (B, 2, 3)
        grid = F.affine_grid(theta, list(pixels.shape), align_corners=False)
        if self.border == "edge":
            return F.grid_sample(pixels, grid, padding_mode="border", align_corners=False)
        return 1 - F.grid_sample(1 - pixels, grid, align_corners=False)  # outside is 0, which is white

    def _colors(self, pixels: Tensor) -> Tensor:
        c = self.color
        if c:
            gain = torch.empty(*pixels.shape[:2], 1, 1, device=pixels.device).uniform_(1 - c, 1 + c)
            gain = gain * torch.empty(len(pixels), 1, 1, 1, device=pixels.device).uniform_(1 - c / 2, 1 + c / 2)
            saturation = torch.empty(len(pixels), 1, 1, 1, device=pixels.device)
            saturation.uniform_(max(0.0, 1 - 2 * c), 1 + 1.5 * c)
            grey = pixels.mean(1, keepdim=True)
            colored = grey + (pixels - grey) * saturation
            pixels = (1 - (1 - colored) * gain).clamp(0, 1)  # gains act on ink: white stays white
        if self.grey:
            chosen = torch.rand(len(pixels), 1, 1, 1, device=pixels.device) < self.grey
            pixels = pixels.mean(1, keepdim=True).where(chosen, pixels)
        return pixels

    def _recolored(self, pixels: Tensor) -> Tensor:
        if not self.recolor:
            return pixels
        black, white = torch.rand(2, *pixels.shape[:2], 1, 1, device=pixels.device)
        chosen = torch.rand(len(pixels), 1, 1, 1, device=pixels.device) < self.recolor
        return torch.where(chosen, black + (white - black) * pixels, pixels)

    def _blended(self, pixels: Tensor) -> Tensor:
        if not self.blend:
            return pixels
        other = pixels[torch.randperm(len(pixels), device=pixels.device)]
        return pixels.lerp(other, self.blend * torch.rand(len(pixels), 1, 1, 1, device=pixels.device))


def _uniform(pixels: Tensor):
    return lambda low, high: torch.empty(len(pixels), device=pixels.device).uniform_(low, high)


def refuse_share(name: str, value: float) -> None:
    """UsageError unless `value` is a share that leaves something, in [0, 1)."""
    if not 0 <= value < 1:
        raise UsageError(f"{name} is a share, 0 or more and below 1, got {value}")
