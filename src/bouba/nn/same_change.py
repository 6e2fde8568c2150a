"""Random changes of a critic's items, real and generated alike, so that it does not memorise few items.

Each item draws its own numbers, and gradients pass through. Pictures are centred at 0, so what moves into view or is
cut out is of middling grey.

References: Zhao et al. 2020, Differentiable Augmentation for Data-Efficient GAN Training: colour (brightness,
saturation and contrast), translation by up to an eighth of the side, cutout of half the side. Wang et al. 2023,
Diffusion-GAN: noise of varying strength.
"""

from __future__ import annotations

import torch
from torch import Tensor


def change(pictures: Tensor) -> Tensor:
    """Pictures (B, C, H, W) -> the same, changed at random by torch's generator."""
    return cutout(translation(colour(pictures)))


def noisy(x: Tensor, most: float) -> Tensor:
    """Items (B, p) with normal noise on them, each of a deviation of its own between 0 and `most`."""
    return x + most * torch.rand(len(x), 1, device=x.device, dtype=x.dtype) * torch.randn_like(x) if most else x


def colour(x: Tensor) -> Tensor:
    """Brightness by up to one half either way, then saturation by 0 to 2, then contrast by 0.5 to 1.5."""
    draw = lambda: torch.rand(len(x), 1, 1, 1, device=x.device, dtype=x.dtype)  # noqa: E731
    x = x + (draw() - 0.5)
    grey = x.mean(1, keepdim=True)
    x = grey + (x - grey) * (2 * draw())
    mean = x.mean((1, 2, 3), keepdim=True)
    return mean + (x - mean) * (0.5 + draw())


def translation(x: Tensor, share: float = 0.125) -> Tensor:
    """Moved by whole pixels, up to a share of each side either way."""
    rows, inside_rows = _moved(len(x), x.shape[2], share, x.device)
    columns, inside_columns = _moved(len(x), x.shape[3], share, x.device)
    picture = torch.arange(len(x), device=x.device)[:, None, None]
    moved = x.permute(0, 2, 3, 1)[picture, rows[:, :, None], columns[:, None, :]]  # (B, H, W, C)
    inside = inside_rows[:, :, None] & inside_columns[:, None, :]
    return (moved * inside[..., None]).permute(0, 3, 1, 2)


def _moved(n: int, side: int, share: float, device) -> tuple[Tensor, Tensor]:
    """Which row each row comes from (n, side), and whether it lies in the picture."""
    most = round(share * side)
    by = torch.randint(-most, most + 1, (n, 1), device=device)
    source = torch.arange(side, device=device) + by
    return source.clamp(0, side - 1), (source >= 0) & (source < side)


def cutout(x: Tensor, share: float = 0.5) -> Tensor:
    """A rectangle of a share of each side, whose middle lies anywhere in the picture, becomes 0."""
    inside = None
    for axis in (2, 3):
        side = x.shape[axis]
        half = share * side / 2
        middle = torch.rand(len(x), 1, device=x.device) * side
        place = torch.arange(side, device=x.device) + 0.5
        hit = ((place - middle).abs() < half).view(len(x), *(side if a == axis else 1 for a in (1, 2, 3)))
        inside = hit if inside is None else inside & hit
    return x * ~inside  # type: ignore[operator]
