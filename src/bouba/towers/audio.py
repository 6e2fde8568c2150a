"""Audio encoder trained from scratch: log-mel energies through convolutions and a GRU."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from bouba.batch import Inputs
from bouba.data import decode
from bouba.data.spec_augment import SpecAugment
from bouba.errors import UsageError
from bouba.nn.patches import GRID, hidden_patches, spread_out
from bouba.towers.portable import Port, Portable
from bouba.towers.spec import EncoderSpec, Learned
from bouba.towers.tower import Encoder
from bouba.towers.traced import TracedCRNN

WINDOW, HOP = 0.025, 0.01  # seconds
FLOOR = 1e-8  # of the energy of a full-scale signal; keeps silence finite
SLICES = 16  # of a clip that a decoder gives back
MEASURED = 512  # clips that mean and scale are learnt from


def log_mel(samples: np.ndarray, rate: int, mels: int) -> Tensor:
    """Log energies (frames, mels) of a sound: one frame every 10 ms, of 25 ms under a Hann window.

        E_tm = log(1e-8 + sum_k filter_mk |X_tk|^2 / sum_n window_n^2),   X_t the Fourier transform of frame t

    Frames lie wholly within the sound, and a sound shorter than a frame is filled up with silence: nothing depends on
    what else is in its batch.

    Args:
        samples: float32 (n,). rate: of them, in Hz. mels: how many bands.
    """
    size, hop = round(WINDOW * rate), round(HOP * rate)
    sound = torch.from_numpy(np.pad(samples, (0, max(0, size - len(samples)))))
    window = torch.hann_window(size)
    frames = sound.unfold(0, size, hop) * window  # (T, size)
    power = torch.fft.rfft(frames, _points(rate)).abs().square() / window.square().sum()  # (T, bins)
    return (power @ torch.from_numpy(mel_filters(rate, mels)).T + FLOOR).log()


@cache
def mel_filters(rate: int, mels: int) -> np.ndarray:
    """Triangles, float32 (mels, bins), that sum a power spectrum into bands equally wide on the mel scale.

        mel(f) = 2595 log10(1 + f / 700);   band m rises from edge m to 1 at edge m + 1 and falls to 0 at edge m + 2,
        the mels + 2 edges being equally spaced in mel from 0 to rate / 2.

    Args:
        rate: of the samples, in Hz. mels: how many bands.

    Raises:
        UsageError: a band so narrow that it holds no bin of the spectrum.

    Reference: Davis & Mermelstein 1980, Comparison of parametric representations; O'Shaughnessy 1987 for the scale.
    """
    highest = 2595 * np.log10(1 + rate / 2 / 700)
    edges = 700 * (10 ** (np.linspace(0, highest, mels + 2) / 2595) - 1)  # Hz
    bins = np.arange(_points(rate) // 2 + 1) * rate / _points(rate)
    low, middle, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    filters = np.minimum((bins - low) / (middle - low), (high - bins) / (high - middle)).clip(min=0)
    if not filters.any(1).all():
        raise UsageError(f"{mels} mel bands are too many at {rate} Hz, some would hear nothing; take fewer")
    return filters.astype(np.float32)


def _points(rate: int) -> int:
    """Length of the Fourier transform: the power of two from twice the window up."""
    return 1 << math.ceil(math.log2(2 * WINDOW * rate))


class _Block(nn.Module):
    """3 x 3 convolution with a stride, BatchNorm over real frames only, ReLU; frames past the end are 0."""

    def __init__(self, inside: int, outside: int, stride: tuple[int, int]):
        super().__init__()
        self.conv = nn.Conv2d(inside, outside, 3, stride, 1, bias=False)
        self.norm = nn.BatchNorm1d(outside)

    def forward(self, maps: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """maps (B, C, T, M) with `lengths` (B,) real frames -> the same, smaller."""
        maps = self.conv(maps).transpose(1, 2)  # (B, T', C', M')
        lengths = torch.div(lengths - 1, self.conv.stride[0], rounding_mode="floor") + 1
        real = torch.arange(maps.shape[1], device=maps.device) < lengths[:, None]
        normed = torch.relu(self.norm(maps[real]))
        return torch.zeros_like(maps).index_put((real,), normed).transpose(1, 2), lengths


class AudioEncoder(Encoder):
    """Sounds -> standardised log-mel energies (B, T, mels) and their lengths (B,) -> features (B, 4 * width).

    Padding never reaches a clip: convolutions, BatchNorm, GRU and pooling see its own frames and zeros around them.
    A decoder gives back the energies averaged over SLICES equal slices of the clip.
    """

    def __init__(self, spec: CRNN, learned: Learned):
        super().__init__()
        self.spec, self.width, self.raw_width = spec, 4 * spec.width, SLICES * spec.mels
        self.mean, self.scale = (torch.tensor(learned[name]) for name in ("mean", "scale"))
        c = spec.channels
        strides = ((2, 2), (2, 2), (1, 2))
        self.blocks = nn.ModuleList(
            _Block(inside, outside, stride)
            for inside, outside, stride in zip((1, c, 2 * c), (c, 2 * c, 4 * c), strides)
        )
        bands = -(-spec.mels // 8) * 4 * c
        self.gru = nn.GRU(bands, spec.width, batch_first=True, bidirectional=True)

    def prepare(self, cells: Sequence) -> dict[str, Tensor]:
        with ThreadPoolExecutor(4) as pool:
            sounds = list(pool.map(self.spec.hear, cells))
        energies = torch.zeros(len(cells), self.spec.frames, self.spec.mels, dtype=torch.float16)
        for row, sound in zip(energies, sounds, strict=True):
            row[: len(sound)] = (sound - self.mean) / self.scale
        return {"energies": energies, "lengths": torch.tensor([len(sound) for sound in sounds])}

    def vary(self, inputs: Inputs) -> Inputs:
        if self.spec.augment is None:
            return inputs
        longest = int(inputs["lengths"].max())
        energies, lengths = self.spec.augment(inputs["energies"][:, :longest].float(), inputs["lengths"])
        return {"energies": energies, "lengths": lengths}

    @property
    def masks(self) -> bool:
        return True

    def masked(self, inputs: Inputs, share: float) -> tuple[Inputs, Tensor]:
        energies, lengths = inputs["energies"].float(), inputs["lengths"].clamp(min=1)[:, None]
        hidden = hidden_patches(len(energies), GRID**2, share, energies.device)
        slices = spread_out(hidden, SLICES, energies.shape[2])  # (B, SLICES, mels)
        frame = torch.arange(energies.shape[1], device=energies.device)
        its_slice = (((frame + 1) * SLICES - 1) // lengths).clamp(
            max=SLICES - 1
        )  # (B, T), the last that begins by then
        blank = slices.gather(1, its_slice[:, :, None].expand(-1, -1, energies.shape[2]))
        return {"energies": energies.masked_fill(blank, 0.0), "lengths": inputs["lengths"]}, slices.flatten(1)

    def raw(self, inputs: Inputs) -> Tensor:
        energies, lengths = inputs["energies"].float(), inputs["lengths"][:, None]
        part = torch.arange(SLICES, device=energies.device)
        start = part * lengths // SLICES
        stop = ((part + 1) * lengths // SLICES).maximum(start + 1)  # (B, SLICES)
        total = nn.functional.pad(energies.cumsum(1), (0, 0, 1, 0))  # (B, T + 1, mels)
        index = lambda place: place[:, :, None].expand(-1, -1, energies.shape[2])  # noqa: E731
        sums = total.gather(1, index(stop)) - total.gather(1, index(start))
        return (sums / (stop - start)[:, :, None]).flatten(1)

    def restore(self, raw: np.ndarray) -> np.ndarray:
        """Log energies (B, SLICES, mels), see `log_mel`."""
        return raw.reshape(len(raw), SLICES, -1) * self.scale.numpy() + self.mean.numpy()

    def portable(self) -> Portable:
        spec, filters = self.spec, io.BytesIO()
        np.save(filters, mel_filters(spec.rate, spec.mels))
        preparation = {
            "how": "log-mel energies",
            "rate": spec.rate,
            "channels": "averaged",
            "resampling": "scipy.signal.resample_poly with its usual filter",
            "seconds": spec.seconds,
            "window": {"samples": round(WINDOW * spec.rate), "hop": round(HOP * spec.rate), "shape": "periodic Hann"},
            "points": _points(spec.rate),
            "mels": spec.mels,
            "filters": "mel_filters.npy",
            "floor": FLOOR,
            "frames": spec.frames,
            "mean": self.mean.tolist(),
            "std": self.scale.tolist(),
            "energy": "log(floor + filters @ |FFT(window * frame)|^2 / sum(window^2)), frames wholly within the sound, "
            "a sound shorter than a frame filled up with zeros; (energy - mean) / std, rounded to float16; 0 behind",
        }
        inputs = {"energies": Port("float32", ("frames", spec.mels)), "lengths": Port("int64", ())}
        return Portable(TracedCRNN(self), inputs, preparation, {"mel_filters.npy": filters.getvalue()})

    def forward(self, energies: Tensor, lengths: Tensor) -> Tensor:
        lengths = lengths.clamp(min=1)
        maps = energies[:, None, : int(lengths.max())].float()  # (B, 1, T, mels)
        for block in self.blocks:
            maps, lengths = block(maps, lengths)
        steps = maps.transpose(1, 2).flatten(2)  # (B, T', C * M')
        packed = nn.utils.rnn.pack_padded_sequence(steps, lengths.cpu(), batch_first=True, enforce_sorted=False)
        states, _ = nn.utils.rnn.pad_packed_sequence(self.gru(packed)[0], batch_first=True)  # (B, T', 2 * width)
        past = torch.arange(states.shape[1], device=states.device) >= lengths[:, None]
        most = states.masked_fill(past[:, :, None], -1.0).amax(1)  # states lie in (-1, 1)
        return torch.cat([states.sum(1) / lengths[:, None], most], 1)


@dataclass(frozen=True)
class CRNN(EncoderSpec):
    """Three convolutions over log-mel energies, a bidirectional GRU over time, mean- and max-pooled.

    Args:
        rate: samples a second in Hz that every sound is resampled to; half of it is the highest frequency kept.
        seconds: read of a sound from its start; the rest is cut.
        mels: bands of the spectrum.
        channels: of the first convolution; each of the two others doubles them.
        width: of each direction of the GRU; features are (B, 4 * width).
        augment: random changes while training; None for none.

    Reference: Choi et al. 2017, Convolutional Recurrent Neural Networks for Music Classification (far smaller).
    """

    kind: ClassVar[str] = "audio"

    rate: int = 16_000
    seconds: float = 5.0
    mels: int = 64
    channels: int = 16
    width: int = 64
    augment: SpecAugment | None = field(default_factory=SpecAugment)

    def __post_init__(self) -> None:
        sizes = {name: getattr(self, name) for name in ("rate", "seconds", "mels", "channels", "width")}
        if min(sizes.values()) <= 0:
            raise UsageError(f"rate, seconds, mels, channels and width must be above 0, got {sizes}")

    @property
    def frames(self) -> int:
        """Most frames a sound can have."""
        return max(1, 1 + (round(self.seconds * self.rate) - round(WINDOW * self.rate)) // round(HOP * self.rate))

    def hear(self, cell) -> Tensor:
        """Log energies (T, mels) of one cell, T at most `frames`."""
        return log_mel(decode.audio(cell, self.rate, seconds=self.seconds), self.rate, self.mels)[: self.frames]

    def learn(self, cells: Sequence, *, random_state: int = 0) -> Learned:
        chosen = np.random.default_rng(random_state).permutation(len(cells))[:MEASURED]
        energies = torch.cat([self.hear(cells[i]) for i in sorted(chosen)]).double()  # (frames, mels)
        return {"mean": energies.mean(0).tolist(), "scale": energies.std(0, correction=0).clamp(min=1e-3).tolist()}

    def build(self, learned: Learned) -> AudioEncoder:
        return AudioEncoder(self, learned)
