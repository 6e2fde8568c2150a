"""Pictures for a pretrained network: cut, scaled and normalised the way it was trained, with PIL and torch alone."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bouba.batch import Inputs
from bouba.data import decode
from bouba.data.augment import Augment
from bouba.errors import DataError, require
from bouba.nn.pixels import as_light
from bouba.towers.backbone import Backbone, PretrainedEncoder
from bouba.towers.checkpoints import read_json

KNOWN_STEPS = ("do_resize", "do_center_crop", "do_rescale", "do_normalize", "do_convert_rgb")
WARPED = 384  # from this side on ConvNeXt and ResNet processors scale without cutting


def picture_facts(folder: Path, size: int | None) -> dict[str, Any]:
    """How a checkpoint wants its pictures, as plain JSON.

    Args:
        folder: of the checkpoint. size: side in pixels, None as in the checkpoint.

    Returns:
        resize (the shorter side, or [height, width], or None), crop ([height, width] or None), resample
        (PIL's number), factor and offset (x * factor - offset of bytes x), mean and std (a channel).

    Raises:
        DataError: no description, or one with steps that are not supported.
    """
    settings = read_json(folder / "preprocessor_config.json")
    settings = settings or read_json(folder / "processor_config.json").get("image_processor", {})
    if not settings:
        raise DataError(
            f"{folder} does not say how pictures are prepared; copy preprocessor_config.json beside its config"
        )
    settings = _whole(settings)
    odd = [name for name, on in settings.items() if name.startswith("do_") and on and name not in KNOWN_STEPS]
    if odd:
        raise DataError(f"{folder} prepares pictures by {', '.join(odd)}, which is not known here")
    resize, crop = _sizes(settings, size)
    mean, std = (
        (settings["image_mean"], settings["image_std"]) if settings.get("do_normalize") else ([0.0] * 3, [1.0] * 3)
    )
    if settings.get("include_top"):  # EfficientNet divides by the standard deviation once more
        std = np.multiply(std, settings["image_std"])
    return {
        "resize": resize,
        "crop": crop,
        "resample": int(settings.get("resample", 2)),
        "factor": float(settings["rescale_factor"]) if settings.get("do_rescale") else 1.0,
        "offset": float(bool(settings.get("rescale_offset"))),
        "mean": [float(m) for m in mean],
        "std": [float(s) for s in std],
    }


def plain_picture_facts(
    size: int, mean: Sequence[float] = (0.5,) * 3, std: Sequence[float] = (0.5,) * 3
) -> dict[str, Any]:
    """Scaled to a square whatever the aspect; (x / 255 - mean) / std."""
    facts: dict[str, Any] = {"resize": [size, size], "crop": None, "resample": 3, "factor": 1 / 255, "offset": 0.0}
    return facts | {"mean": list(mean), "std": list(std)}


def _whole(settings: dict[str, Any]) -> dict[str, Any]:
    """With the defaults of its processor class, which old files leave out."""
    transformers = require("transformers", "pretrained")
    name = settings.get("image_processor_type") or settings.get("feature_extractor_type") or ""
    name = name.replace("FeatureExtractor", "ImageProcessor").removesuffix("Fast").removesuffix("Pil")
    processor = getattr(transformers, f"{name}Pil", None)
    if processor is None:
        raise DataError(f"pictures are prepared by {name or 'nobody named'}, which this transformers does not know")
    return processor.from_dict(settings).to_dict()


def _sizes(settings: dict[str, Any], size: int | None) -> tuple[Any, list[int] | None]:
    """(resize, crop); see `picture_facts`."""
    sizes, crop = settings.get("size") or {}, settings.get("crop_size") if settings.get("do_center_crop") else None
    cut = None if crop is None else [size or crop["height"], size or crop["width"]]
    if not settings.get("do_resize", True):
        resize: Any = None
    elif "shortest_edge" in sizes:
        side = sizes["shortest_edge"]
        if size:  # the same share is cut away
            side = round(side * size / (crop["height"] if crop else side))
        if "crop_pct" in settings:
            resize = [side, side] if side >= WARPED else int(side / settings["crop_pct"])
            cut = cut or [side, side]
        else:
            resize = side
    elif "height" in sizes:
        share = size / crop["height"] if size and crop else 1
        resize = [round(sizes["height"] * share), round(sizes["width"] * share)] if share != 1 or crop else None
        resize = resize or [size or sizes["height"], size or sizes["width"]]
    else:
        raise DataError(f"pictures are scaled to {sizes}, which is not known here; it takes a side or height and width")
    if cut is None and not isinstance(resize, list):
        raise DataError("pictures would keep their aspects and not fit into one batch; the checkpoint must cut or warp")
    return resize, cut


def cut_and_scaled(cell, facts: dict[str, Any]) -> np.ndarray:
    """A cell -> uint8 (height, width, 3)."""
    picture = decode.image(cell)
    resize = facts["resize"]
    if isinstance(resize, int):
        width, height = picture.size
        long = int(resize * max(width, height) / min(width, height))
        resize = [resize, long] if height <= width else [long, resize]
    if resize is not None and (resize[1], resize[0]) != picture.size:
        picture = picture.resize((resize[1], resize[0]), facts["resample"])
    if facts["crop"] is not None:
        picture = _center(picture, *facts["crop"])
    return np.asarray(picture)


def _center(picture, height: int, width: int):
    """The middle of a picture; where it is too small, black lies around it."""
    left, top = int((picture.size[0] - width) / 2), int((picture.size[1] - height) / 2)
    if picture.size[0] < width:
        left = -((width - picture.size[0] + 1) // 2)
    if picture.size[1] < height:
        top = -((height - picture.size[1] + 1) // 2)
    return picture.crop((left, top, left + width, top + height))


class Pixels:
    """Pictures -> uint8 (B, 3, height, width)."""

    def __init__(self, facts: dict[str, Any]):
        self.facts = facts

    def __call__(self, cells: Sequence) -> dict[str, Tensor]:
        with ThreadPoolExecutor(4) as pool:
            pictures = list(pool.map(lambda cell: cut_and_scaled(cell, self.facts), cells))
        return {"pixels": torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).contiguous()}

    def normalised(self, pixels: Tensor) -> Tensor:
        """Bytes, or floats in [0, 1] -> float32 as the network takes them."""
        pixels = pixels.float() * (255.0 if pixels.is_floating_point() else 1.0)
        mean, std = (pixels.new_tensor(self.facts[name])[:, None, None] for name in ("mean", "std"))
        return (pixels * self.facts["factor"] - self.facts["offset"] - mean) / std


class PretrainedImage(PretrainedEncoder):
    """Pictures of any size -> uint8 (B, 3, height, width) -> features (B, width)."""

    def __init__(self, backbone: Backbone, facts: dict[str, Any], augment: Augment | None):
        pixels = Pixels(facts["picture"])
        super().__init__(backbone, pixels, facts["width"])
        self.augment, self.normalise = augment, pixels.normalised

    def vary(self, inputs: Inputs) -> Inputs:
        return inputs if self.augment is None else {"pixels": self.augment(as_light(inputs["pixels"]))}

    def model_inputs(self, **inputs: Tensor) -> Inputs:
        return {"pixel_values": self.normalise(inputs["pixels"])}

    def forward(self, pixels: Tensor) -> Tensor:
        return self.backbone(self.model_inputs(pixels=pixels))
