"""An encoder for programs without bouba: a network that can be traced, and how its inputs are made of cells."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from bouba.data.characters import form_steps

DTYPES = {"uint8": torch.uint8, "int64": torch.int64, "float32": torch.float32, "bool": torch.bool}


@dataclass(frozen=True)
class Port:
    """One input of a network.

    Args:
        dtype: of DTYPES. shape: without the rows, a name for a length that may differ from call to call.
    """

    dtype: str
    shape: tuple[int | str, ...]

    def example(self, rows: int, length: int) -> Tensor:
        """Numbers for so many rows, where a named length is `length`: ones, but where they may be anything."""
        sides = [rows, *(length if isinstance(side, str) else side for side in self.shape)]
        if self.dtype != "float32":
            return torch.ones(sides, dtype=DTYPES[self.dtype])
        return torch.arange(math.prod(sides)).float().sin().abs().reshape(sides)


@dataclass(frozen=True)
class Portable:
    """An encoder for programs without bouba.

    Args:
        network: takes the inputs in their order and gives features (B, width). No step of it depends on a number that
            is read from a tensor, so that a tracer follows it.
        inputs: name -> Port.
        preparation: how cells become inputs, as plain JSON.
        files: name -> content, of what the preparation reads.
        left_out: why a part of the work is left to the other program; "" where none is.
    """

    network: nn.Module
    inputs: Mapping[str, Port]
    preparation: dict[str, Any]
    files: Mapping[str, bytes] = field(default_factory=dict)
    left_out: str = ""


class Steps(nn.Module):
    """Networks one after the other; the first may take several inputs."""

    def __init__(self, first: nn.Module, *rest: nn.Module):
        super().__init__()
        self.first, self.rest = first, nn.Sequential(*rest)

    def forward(self, *inputs: Tensor) -> Tensor:
        return self.rest(self.first(*inputs))


class Standardised(nn.Module):
    """(x - mean) / scale."""

    mean: Tensor
    scale: Tensor

    def __init__(self, mean: Tensor, scale: Tensor):
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("scale", scale)

    def forward(self, x: Tensor) -> Tensor:
        return (x - self.mean) / self.scale


class UnitRows(nn.Module):
    """Rows of length one; those shorter than `least` are divided by `least`, or where `keep` stay as they are."""

    def __init__(self, least: float, *, keep: bool = False):
        super().__init__()
        self.least, self.keep = least, keep

    def forward(self, x: Tensor) -> Tensor:
        length = (x * x).sum(1, keepdim=True).sqrt()
        if self.keep:
            return x / torch.where(length > self.least, length, torch.ones_like(length))
        return x / length.clamp(min=self.least)


class SideBySide(nn.Module):
    """Several networks, each with inputs of its own, and their outputs (B, sum of widths)."""

    def __init__(self, networks: Sequence[nn.Module], counts: Sequence[int]):
        super().__init__()
        self.networks, self.counts = nn.ModuleList(networks), list(counts)

    def forward(self, *inputs: Tensor) -> Tensor:
        outputs, start = [], 0
        for network, count in zip(self.networks, self.counts, strict=True):
            outputs.append(network(*inputs[start : start + count]))
            start += count
        return torch.cat(outputs, 1)


def side_by_side(parts: Sequence[Portable]) -> Portable:
    """Several encoders of one kind of cells as one; inputs and files carry the number of their part."""
    inputs = {f"{name}_{i}": port for i, part in enumerate(parts) for name, port in part.inputs.items()}
    files = {f"{i}.{name}": content for i, part in enumerate(parts) for name, content in part.files.items()}
    described = [{**part.preparation, "input": [f"{name}_{i}" for name in part.inputs]} for i, part in enumerate(parts)]
    network = SideBySide([part.network for part in parts], [len(part.inputs) for part in parts])
    left_out = "; ".join(dict.fromkeys(part.left_out for part in parts if part.left_out))
    return Portable(network, inputs, {"how": "several", "parts": described}, files, left_out)


def features_given(width: int, encoder: Mapping[str, Any], reason: str) -> Portable:
    """Of an encoder that other programs must bring themselves: its features are the input."""
    preparation = {"how": "features", "encoder": dict(encoder), "width": width}
    return Portable(nn.Identity(), {"features": Port("float32", (width,))}, preparation, left_out=reason)


def of_pictures(size: int, *, crop: bool, tolerance: int) -> dict[str, Any]:
    """How `data.decode.image`, `crop_to_content` and `fit_on_white` make a square of pixels, as plain JSON."""
    return {
        "how": "picture",
        "mode": "RGB, turned as its EXIF orientation says, transparency laid on white",
        "crop_white_margin": {"tolerance": tolerance} if crop else None,
        "size": size,
        "fit": "scale = size / longer side; each side becomes max(1, round(side * scale)), a half to the even number; "
        "pasted on a square of the background at ((size - width) // 2, (size - height) // 2)",
        "resampling": {"smaller": "box", "larger": "bicubic", "library": "Pillow, Image.resize"},
        "background": [255, 255, 255],
        "layout": "NCHW",
        "values": [0, 255],
        "mean": None,
        "std": None,
        "normalisation": "in the graph",
    }


def of_text(how: str, form: str, **facts: Any) -> dict[str, Any]:
    """How a text is read, as plain JSON; `form` is one of `data.characters.FORMS`."""
    return {"how": how, "form": form_steps(form), **facts}
