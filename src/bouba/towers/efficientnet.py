"""EfficientNet-lite: a picture network of a few million weights, for features only."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

# of lite0: blocks, and the stride of the first; the first and the last stage are as long in every size
STAGES = ((1, 1), (2, 2), (2, 2), (3, 2), (3, 1), (4, 2), (1, 1))
DEPTHS = {"lite0": 1.0, "lite1": 1.1, "lite2": 1.2}
EPS = 1e-3  # of its BatchNorm


class EfficientNetLite(nn.Module):
    """Pictures (B, 3, H, W), normalised as ImageNet's -> features (B, 1280), the mean of the last map.

    Inverted residual blocks: 1 x 1 expansion, a convolution in each channel, 1 x 1 projection, ReLU6 between. BatchNorm
    is folded into the convolutions, since nothing here is trained, and maps lie in memory channel by channel last: on a
    CPU that is about twice as fast.

    Args:
        weights: of the released checkpoint, by its names; widths and kernels follow from their shapes.
        size: "lite0", "lite1" or "lite2".

    Raises:
        KeyError: weights of something else.

    Reference: Tan & Le 2019, EfficientNet; the lite models (Google 2020) have no squeeze-and-excitation and ReLU6.
    """

    def __init__(self, weights: Mapping[str, Tensor], size: str):
        super().__init__()
        repeats = [
            count if place in (0, len(STAGES) - 1) else math.ceil(count * DEPTHS[size])
            for place, (count, _) in enumerate(STAGES)
        ]
        strides = [stride if first == 0 else 1 for n, (_, stride) in zip(repeats, STAGES) for first in range(n)]
        self.stem = SameConv(weights, "_conv_stem", "_bn0", stride=2)
        self.blocks = nn.Sequential(*(Block(weights, f"_blocks.{i}", stride) for i, stride in enumerate(strides)))
        self.head = SameConv(weights, "_conv_head", "_bn1")
        self.width = len(self.head.bias)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, pixels: Tensor) -> Tensor:
        maps = functional.relu6(self.stem(pixels.contiguous(memory_format=torch.channels_last)))
        return functional.relu6(self.head(self.blocks(maps))).mean((2, 3))


class Block(nn.Module):
    """x + F(x) where shapes allow it, with F the three convolutions."""

    def __init__(self, weights: Mapping[str, Tensor], name: str, stride: int):
        super().__init__()
        expands = f"{name}._expand_conv.weight" in weights
        self.expand = SameConv(weights, f"{name}._expand_conv", f"{name}._bn0") if expands else nn.Identity()
        self.depthwise = SameConv(weights, f"{name}._depthwise_conv", f"{name}._bn1", stride=stride, depthwise=True)
        self.project = SameConv(weights, f"{name}._project_conv", f"{name}._bn2")
        self.expands, self.stride = expands, stride

    def forward(self, maps: Tensor) -> Tensor:
        wide = functional.relu6(self.expand(maps)) if self.expands else maps
        out = self.project(functional.relu6(self.depthwise(wide)))
        return out + maps if self.stride == 1 and out.shape == maps.shape else out


class SameConv(nn.Module):
    """A convolution with its BatchNorm, padded as TensorFlow's SAME: a stride of s gives ceil(side / s).

    Args:
        weights: of the checkpoint. conv, norm: the names of the two in it. depthwise: each channel by itself.
    """

    weight: Tensor
    bias: Tensor

    def __init__(
        self, weights: Mapping[str, Tensor], conv: str, norm: str, *, stride: int = 1, depthwise: bool = False
    ):
        super().__init__()
        scale = weights[f"{norm}.weight"] / (weights[f"{norm}.running_var"] + EPS).sqrt()
        self.register_buffer("weight", weights[f"{conv}.weight"] * scale[:, None, None, None])
        self.register_buffer("bias", weights[f"{norm}.bias"] - weights[f"{norm}.running_mean"] * scale)
        self.stride, self.groups = stride, len(scale) if depthwise else 1

    def forward(self, maps: Tensor) -> Tensor:
        kernel, (height, width) = int(self.weight.shape[-1]), map(int, maps.shape[-2:])
        need = [max((math.ceil(side / self.stride) - 1) * self.stride + kernel - side, 0) for side in (width, height)]
        uneven = any(n % 2 for n in need)
        if uneven:
            maps = functional.pad(maps, [side for n in need for side in (n // 2, n - n // 2)])
        padding = 0 if uneven else (need[1] // 2, need[0] // 2)
        return functional.conv2d(maps, self.weight, self.bias, self.stride, padding, groups=self.groups)
