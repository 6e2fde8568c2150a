"""Video encoder: some pictures of a clip through an image encoder, then pooled over time."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from bouba.batch import Inputs
from bouba.data.augment import Augment
from bouba.data.video import video
from bouba.errors import UsageError, nearest
from bouba.towers.image import ConvNet
from bouba.towers.spec import EncoderSpec, Learned
from bouba.towers.tower import Encoder

AT_ONCE = 8  # clips whose pictures are held in full
HEADS = 4


class VideoEncoder(Encoder):
    """Clips -> what the image encoder prepares, (B, T, ...) each, and how many frames are real (B,) -> features.

    The image encoder reads real frames only. `vary` changes all frames of a clip alike: a camera does not jump. A
    decoder gives back the mean over the frames of what the image encoder's gives back.
    """

    def __init__(self, spec: Frames, learned: Learned):
        super().__init__()
        self.frames = spec.frames
        self.image = spec.image.build(learned)
        self.pool = POOLS[spec.pool](self.image.width, spec)
        self.width, self.raw_width = self.pool.width, self.image.raw_width

    def prepare(self, cells: Sequence) -> dict[str, Tensor]:
        batches = [self._prepare_batch(cells[at : at + AT_ONCE]) for at in range(0, len(cells), AT_ONCE)]
        return {part: torch.cat([inputs[part] for inputs in batches]) for part in batches[0]}

    def _prepare_batch(self, cells: Sequence) -> dict[str, Tensor]:
        with ThreadPoolExecutor(4) as pool:
            clips = list(pool.map(lambda cell: video(cell, self.frames), cells))
        lengths = torch.tensor([len(clip) for clip in clips])
        inputs = {"lengths": lengths}
        for part, tensor in self.image.prepare([picture for clip in clips for picture in clip]).items():
            inputs[part] = tensor.new_zeros((len(clips), self.frames, *tensor.shape[1:]))
            inputs[part][self._real(lengths)] = tensor
        return inputs

    def _real(self, lengths: Tensor) -> Tensor:
        """bool (B, T), True on frames that exist; the first counts where a cell is missing."""
        return torch.arange(self.frames, device=lengths.device) < lengths.clamp(min=1)[:, None]

    def vary(self, inputs: Inputs) -> Inputs:
        parts = {part: tensor for part, tensor in inputs.items() if part != "lengths"}
        steps = [{part: tensor[:, t] for part, tensor in parts.items()} for t in range(self.frames)]
        varied = []
        for step in steps[1:]:
            with torch.random.fork_rng():  # each draws what the first will draw
                varied.append(self.image.vary(step))
        varied.insert(0, self.image.vary(steps[0]))
        return {part: torch.stack([v[part] for v in varied], 1) for part in varied[0]} | {"lengths": inputs["lengths"]}

    @property
    def raw_shape(self) -> tuple[int, ...]:
        return self.image.raw_shape

    def restore(self, raw: np.ndarray) -> np.ndarray:
        return self.image.restore(raw)

    def raw(self, inputs: Inputs) -> Tensor:
        real = self._real(inputs["lengths"])
        return _over_time(self.image.raw(_flat(inputs, real)), real).sum(1) / real.sum(1, keepdim=True)

    def shown(self, inputs: Inputs) -> Tensor:
        real = self._real(inputs["lengths"])
        frames = self.image.shown(_flat(inputs, real))
        mean = _over_time(frames.flatten(1).float(), real).sum(1) / real.sum(1, keepdim=True)
        return mean.round().to(frames.dtype).view(-1, *frames.shape[1:])

    def forward(self, lengths: Tensor, **parts: Tensor) -> Tensor:
        real = self._real(lengths)
        return self.pool(_over_time(self.image(**_flat(parts, real)), real), real)


def _flat(parts: Inputs, real: Tensor) -> Inputs:
    """Inputs of clips -> of their real frames, (N, ...) each."""
    return {part: tensor[real] for part, tensor in parts.items() if part != "lengths"}


def _over_time(features: Tensor, real: Tensor) -> Tensor:
    """Features (N, F) of real frames -> (B, T, F), zeros elsewhere."""
    return features.new_zeros((*real.shape, features.shape[1])).index_put((real,), features)


class _Mean(nn.Module):
    """mean over t of f_t; no order."""

    def __init__(self, width: int, spec: Frames):
        super().__init__()
        self.width = width

    def forward(self, features: Tensor, real: Tensor) -> Tensor:
        return features.sum(1) / real.sum(1, keepdim=True)  # (B, F)


class _Attention(nn.Module):
    """sum over t of a_ht U_h f_t for each head h, a_ht = softmax over t of w_h tanh(V f_t + place_t)."""

    def __init__(self, width: int, spec: Frames):
        super().__init__()
        self.width = spec.width
        self.place = nn.Embedding(spec.frames, spec.width)
        self.key, self.value = nn.Linear(width, spec.width), nn.Linear(width, spec.width)
        self.score = nn.Linear(spec.width, HEADS, bias=False)

    def forward(self, features: Tensor, real: Tensor) -> Tensor:
        scores = self.score(torch.tanh(self.key(features) + self.place.weight))  # (B, T, H)
        share = scores.masked_fill(~real[:, :, None], -torch.inf).softmax(1)
        values = self.value(features).unflatten(2, (HEADS, -1))  # (B, T, H, width / H)
        return (share[:, :, :, None] * values).sum(1).flatten(1)  # (B, width)


class _Recurrent(nn.Module):
    """The last states of an LSTM that reads f_1 ... f_n, and of one that reads them backwards."""

    def __init__(self, width: int, spec: Frames):
        super().__init__()
        self.width = 2 * spec.width
        self.lstm = nn.LSTM(width, spec.width, batch_first=True, bidirectional=True)

    def forward(self, features: Tensor, real: Tensor) -> Tensor:
        packed = nn.utils.rnn.pack_padded_sequence(features, real.sum(1).cpu(), batch_first=True, enforce_sorted=False)
        _, (last, _) = self.lstm(packed)
        return torch.cat([last[0], last[1]], 1)  # (B, 2 * width)


POOLS: dict[str, Any] = {"mean": _Mean, "attention": _Attention, "lstm": _Recurrent}


@dataclass(frozen=True)
class Frames(EncoderSpec):
    """Frames of a clip, evenly spaced, through one image encoder, then pooled over time.

    "mean" is as wide as the image's features, has no parameters and ignores order: what is shown, not what happens.
    "attention" weighs frames by what they show and when, one way a head: features (B, width). "lstm" reads them in
    order: features (B, 2 * width); it takes the most clips to learn.

    Args:
        image: any encoder of pictures; a pretrained and frozen one is run once a frame. What it must learn from the
            data beforehand, it learns from the middle of each clip. Pictures are not mirrored by default, since that
            turns motion round.
        frames: most frames taken of a clip; a shorter one has fewer, and no other in their place.
        pool: "mean", "attention" or "lstm".
        width: of the attention, or of each direction of the LSTM; the mean has none of its own.

    Reference: Karpathy et al. 2014 (frames fused late); Ilse et al. 2018, Attention-based Deep Multiple Instance
    Learning, equation 8 (departures: several heads, places); Yue-Hei Ng et al. 2015, Beyond Short Snippets (LSTM).

    >>> encoder = Frames(ConvNet(size=8, channels=2), frames=4, pool="lstm", width=16).build({})
    >>> encoder(**encoder.prepare([torch.zeros(9, 20, 20, 3).numpy(), torch.ones(2, 20, 20, 3).numpy()])).shape
    torch.Size([2, 32])
    """

    kind: ClassVar[str] = "video"

    image: EncoderSpec = field(default_factory=lambda: ConvNet(augment=Augment(flip=0.0)))
    frames: int = 8
    pool: str = "attention"
    width: int = 128

    def __post_init__(self) -> None:
        if self.pool not in POOLS:
            raise UsageError(f"no pool {self.pool!r}{nearest(str(self.pool), POOLS)}")
        if self.frames < 1 or self.width < HEADS or self.width % HEADS:
            raise UsageError(f"frames is 1 or more and width a multiple of {HEADS}, got {self.frames} and {self.width}")

    def on(self, kind: str) -> Frames:
        super().on(kind)
        return replace(self, image=self.image.on("image"))

    def learn(self, cells: Sequence, *, random_state: int = 0) -> Learned:
        return self.image.learn(_Middles(cells), random_state=random_state)

    def build(self, learned: Learned) -> VideoEncoder:
        return VideoEncoder(self, learned)

    def start(self, encoder: Encoder) -> None:
        self.image.start(encoder.image)  # type: ignore[arg-type]


@dataclass(frozen=True)
class _Middles(Sequence):
    """The middle picture of each clip, opened when it is read."""

    clips: Sequence

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, place):
        if isinstance(place, slice):
            return _Middles(self.clips[place])
        return video(self.clips[place], 1)[0]
