"""Random changes that leave the meaning of a sound alone, on a batch of log-mel spectrograms at once."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from bouba.data.augment import refuse_share
from bouba.declared import Declared
from bouba.errors import UsageError


@dataclass(frozen=True)
class SpecAugment(Declared):
    """What may happen to a sound while training. Each clip of a batch draws its own numbers.

    Args:
        crop: least share of a clip that is kept, in (0, 1]; the window lies anywhere.
        band: widest frequency mask, as a share of all bands, in [0, 1). band_masks: how many.
        time: longest time mask, as a share of what is kept, in [0, 1). time_masks: how many.
        gain: largest change of loudness, either way, in standard deviations of the log-mel energies.

    Masked cells are 0, the mean of standardised energies.

    Reference: Park et al. 2019, SpecAugment, section 2. Departures: no time warping, which brought little there; both
    masks are measured in shares (their p for time); a random window and gain besides.
    """

    crop: float = 0.8
    band: float = 0.2
    band_masks: int = 2
    time: float = 0.2
    time_masks: int = 2
    gain: float = 0.3

    def __post_init__(self) -> None:
        if not 0 < self.crop <= 1:
            raise UsageError(f"crop is the least share kept, above 0 and at most 1, got {self.crop}")
        refuse_share("band", self.band)
        refuse_share("time", self.time)

    def __call__(self, energies: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Standardised energies (B, T, mels) and how many frames are real (B,) -> the same, changed.

        Frames past the length stay 0. Uses torch's global generator.
        """
        energies, lengths = self._window(energies, lengths)
        hidden = torch.zeros(energies.shape, dtype=torch.bool, device=energies.device)
        every = torch.full_like(lengths, energies.shape[2])
        for _ in range(self.band_masks):
            hidden |= _stretch(every, self.band * every, energies.shape[2])[:, None, :]
        for _ in range(self.time_masks):
            hidden |= _stretch(lengths, self.time * lengths, energies.shape[1])[:, :, None]
        louder = energies + torch.empty_like(energies[:, :1, :1]).uniform_(-self.gain, self.gain)
        return louder.masked_fill(hidden | _past(lengths, energies.shape[1])[:, :, None], 0.0), lengths

    def _window(self, energies: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """A part of each clip, moved to the front."""
        width = (lengths * torch.empty(len(lengths), device=lengths.device).uniform_(self.crop, 1)).ceil().to(lengths)
        start = (torch.rand(len(lengths), device=lengths.device) * (lengths - width + 1)).floor().long()
        frames = torch.arange(energies.shape[1], device=energies.device)
        frames = (start[:, None] + frames).clamp(max=energies.shape[1] - 1)  # (B, T)
        return energies.gather(1, frames[:, :, None].expand_as(energies)), width


def _stretch(length: Tensor, longest: Tensor, size: int) -> Tensor:
    """bool (B, size): one stretch of 0 to `longest` places within the first `length`, anywhere."""
    width = (torch.rand(len(length), device=length.device) * (longest + 1)).floor().minimum(length)
    start = (torch.rand(len(length), device=length.device) * (length - width + 1)).floor()
    place = torch.arange(size, device=length.device)
    return (place >= start[:, None]) & (place < (start + width)[:, None])


def _past(lengths: Tensor, size: int) -> Tensor:
    """bool (B, size): True where a place is past the length."""
    return torch.arange(size, device=lengths.device) >= lengths[:, None]
