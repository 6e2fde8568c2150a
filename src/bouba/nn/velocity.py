"""The velocity field of flow matching: a velocity for each place, time and condition."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

FREQUENCIES = 16


class Velocity(nn.Module):
    """v(x, t, c): x (B, p) at times t (B,) in [0, 1] under conditions c (B, d) -> (B, p).

    Pictures pass a small U-Net, vectors a stack of residual layers; time and condition shift and scale every layer. A
    row of `conditioned` that is False is moved without its condition.

    Args:
        dim: d. shape: of an item, (channels, height, width) or (width,).
        hidden: width of residual layers; of pictures, four times the channels of the widest maps.

    References: Ronneberger et al. 2015, U-Net; Perez et al. 2018, FiLM. Departure: pictures are read in squares of
    2 x 2 pixels, which costs a quarter.
    """

    def __init__(self, dim: int, shape: Sequence[int], *, hidden: int):
        super().__init__()
        self.shape = tuple(shape)
        self.time = nn.Linear(2 * FREQUENCIES, hidden)
        self.condition = nn.Linear(dim, hidden)
        self.unknown = nn.Parameter(torch.zeros(hidden))
        self.mixed = nn.Sequential(nn.SiLU(), nn.Linear(hidden, hidden), nn.SiLU())
        self.layers = _UNet(self.shape, hidden) if len(shape) == 3 else _Residuals(math.prod(shape), hidden)

    def forward(self, x: Tensor, t: Tensor, c: Tensor, conditioned: Tensor | None = None) -> Tensor:
        condition = self.condition(c)
        if conditioned is not None:
            condition = condition.where(conditioned[:, None], self.unknown.to(condition.dtype))
        context = self.mixed(self.time(waves(t)) + condition)  # (B, hidden)
        return self.layers(x.view(len(x), *self.shape), context).flatten(1)


def waves(t: Tensor) -> Tensor:
    """Times (B,) as sines and cosines of growing frequency, (B, 2 * FREQUENCIES)."""
    angle = t[:, None] * torch.pi * torch.logspace(-1, 2, FREQUENCIES, device=t.device, dtype=t.dtype)
    return torch.cat([angle.sin(), angle.cos()], 1)


class _Residuals(nn.Module):
    """Vectors (B, p) through four residual layers."""

    def __init__(self, width: int, hidden: int):
        super().__init__()
        self.first, self.last = nn.Linear(width, hidden), nn.Linear(hidden, width)
        self.modulations = nn.ModuleList(nn.Linear(hidden, 2 * hidden) for _ in range(4))
        self.paths = nn.ModuleList(nn.Linear(hidden, hidden) for _ in range(4))
        self.register_load_state_dict_pre_hook(_take_former_names)

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        h = self.first(x)
        for modulation, path in zip(self.modulations, self.paths):
            scale, shift = modulation(context).chunk(2, 1)
            h = h + path(F.silu(F.layer_norm(h, h.shape[1:]) * (1 + scale) + shift))
        return self.last(F.silu(h))


class _Block(nn.Module):
    """Two 3 x 3 convolutions and a shortcut; time and condition scale and shift the maps in between."""

    def __init__(self, inside: int, outside: int, hidden: int):
        super().__init__()
        self.before, self.after = nn.Conv2d(inside, outside, 3, padding=1), nn.Conv2d(outside, outside, 3, padding=1)
        self.norms = nn.ModuleList([nn.GroupNorm(1, inside), nn.GroupNorm(1, outside)])
        self.modulation = nn.Linear(hidden, 2 * outside)
        self.shortcut = nn.Identity() if inside == outside else nn.Conv2d(inside, outside, 1)
        self.register_load_state_dict_pre_hook(_take_former_names)

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        scale, shift = self.modulation(context)[:, :, None, None].chunk(2, 1)
        h = self.before(F.silu(self.norms[0](x)))
        return self.shortcut(x) + self.after(F.silu(self.norms[1](h) * (1 + scale) + shift))


def _take_former_names(module: nn.Module, state_dict: dict[str, Tensor], prefix: str, *_) -> None:
    """Models that were saved under format 1 call the modulations `told` and `tell`."""
    for former, name in (("told.", "modulations."), ("tell.", "modulation.")):
        for key in [key for key in state_dict if key.startswith(prefix + former)]:
            state_dict[prefix + name + key.removeprefix(prefix + former)] = state_dict.pop(key)


class _UNet(nn.Module):
    """Pictures (B, C, H, W) on three sizes of maps, each half of the one before; sides are filled up to a multiple of
    eight and cut again."""

    def __init__(self, shape: Sequence[int], hidden: int):
        super().__init__()
        self.spare = [-side % 8 for side in shape[1:]]
        wide = max(16, hidden // 4)
        middle, narrow = max(16, wide // 2), max(16, wide // 4)
        self.first = nn.Conv2d(4 * shape[0], narrow, 3, padding=1)
        sizes = [(narrow, narrow), (narrow, middle), (middle, wide), (wide + middle, middle), (middle + narrow, narrow)]
        self.blocks = nn.ModuleList(_Block(inside, outside, hidden) for inside, outside in sizes)
        self.last = nn.Conv2d(narrow, 4 * shape[0], 3, padding=1)
        nn.init.zeros_(self.last.weight)

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        down, right = self.spare
        large = self.first(F.pixel_unshuffle(F.pad(x, (0, right, 0, down)), 2))
        large = self.blocks[0](large, context)
        half = self.blocks[1](F.avg_pool2d(large, 2), context)
        small = self.blocks[2](F.avg_pool2d(half, 2), context)
        half = self.blocks[3](torch.cat([F.interpolate(small, scale_factor=2.0), half], 1), context)
        large = self.blocks[4](torch.cat([F.interpolate(half, scale_factor=2.0), large], 1), context)
        return F.pixel_shuffle(self.last(F.silu(large)), 2)[:, :, : x.shape[2], : x.shape[3]]


def flow(velocity: Callable[[Tensor, Tensor], Tensor], x: Tensor, *, steps: int, heun: bool = True) -> Tensor:
    """Where x (B, p) at time 0 lies at time 1, dx/dt = v(x, t).

    Args:
        velocity: (x, t (B,)) -> (B, p).
        steps: of equal length. heun: correct each step by the velocity at its end, which halves the length of what is
            left out, for twice the work; without it Euler's method.
    """
    at = lambda time: x.new_full((len(x),), time)  # noqa: E731
    for step in range(steps):
        v = velocity(x, at(step / steps))
        end = x + v / steps
        if heun:
            end = x + (v + velocity(end, at((step + 1) / steps))) / (2 * steps)
        x = end
    return x
