"""Pictures are prepared as the processors of transformers prepare them, without torchvision."""

import json
import sys

import numpy as np
import pytest
import torch
import transformers
from PIL import Image

from bouba.errors import DataError
from bouba.towers.pretrained_image import Pixels, picture_facts

SIZES = [(30, 21), (21, 30), (64, 64), (200, 33), (8, 9), (16, 16)]
PROCESSORS = {
    "vit": ("ViT", {"size": {"height": 16, "width": 20}}),
    "clip": ("CLIP", {"size": {"shortest_edge": 18}, "crop_size": {"height": 16, "width": 16}}),
    "odd crop": ("CLIP", {"size": {"shortest_edge": 17}, "crop_size": {"height": 14, "width": 15}}),
    "crop beyond": ("CLIP", {"size": {"shortest_edge": 10}, "crop_size": {"height": 17, "width": 16}}),
    "resnet": ("ConvNext", {"size": {"shortest_edge": 24}}),
    "resnet large": ("ConvNext", {"size": {"shortest_edge": 384}}),
    "efficientnet": (
        "EfficientNet",
        {"size": {"height": 24, "width": 24}, "rescale_offset": True, "rescale_factor": 1 / 127.5},
    ),
    "efficientnet cut": (
        "EfficientNet",
        {
            "size": {"height": 24, "width": 24},
            "do_center_crop": True,
            "crop_size": {"height": 20, "width": 20},
            "include_top": False,
        },
    ),
    "bit": ("Bit", {"size": {"shortest_edge": 18}, "crop_size": {"height": 16, "width": 16}, "do_normalize": False}),
}


def pictures():
    random = np.random.default_rng(0)
    return [Image.fromarray(random.integers(0, 255, (h, w, 3), np.uint8)) for w, h in SIZES]


@pytest.mark.parametrize("name", PROCESSORS)
def test_definition_same_as_the_processor(name, tmp_path):
    kind, arguments = PROCESSORS[name]
    processor = getattr(transformers, f"{kind}ImageProcessorPil")(**arguments)
    processor.save_pretrained(tmp_path)
    read = Pixels(json.loads(json.dumps(picture_facts(tmp_path, None))))
    found = read.normalised(read(pictures())["pixels"])
    for picture, row in zip(pictures(), found):
        expected = processor(picture, return_tensors="pt")["pixel_values"][0]
        torch.testing.assert_close(row, expected, rtol=1e-4, atol=1e-4)
    as_shares = read.normalised(read(pictures())["pixels"].float() / 255)
    torch.testing.assert_close(as_shares, found, rtol=1e-4, atol=1e-4)
    assert "torchvision" not in sys.modules


def test_old_files_that_leave_defaults_out_and_new_ones_inside_a_processor(tmp_path):
    old = {"do_normalize": True, "image_mean": [0.5] * 3, "image_std": [0.5] * 3, "size": 16}
    (tmp_path / "preprocessor_config.json").write_text(
        json.dumps(old | {"feature_extractor_type": "ViTFeatureExtractor"})
    )
    expected = picture_facts(tmp_path, None)
    assert (expected["resize"], expected["resample"]) == ([16, 16], 2)
    assert expected["factor"] == pytest.approx(1 / 255)
    (tmp_path / "preprocessor_config.json").unlink()
    inside = {"image_processor": old | {"image_processor_type": "ViTImageProcessorFast"}}
    (tmp_path / "processor_config.json").write_text(json.dumps(inside))
    assert picture_facts(tmp_path, None) == expected


@pytest.mark.parametrize(("name", "side"), [("vit", 12), ("clip", 32), ("resnet", 12), ("efficientnet cut", 40)])
def test_another_size_keeps_the_share_that_is_cut(name, side, tmp_path):
    kind, arguments = PROCESSORS[name]
    getattr(transformers, f"{kind}ImageProcessorPil")(**arguments).save_pretrained(tmp_path)
    assert Pixels(picture_facts(tmp_path, side))(pictures())["pixels"].shape == (len(SIZES), 3, side, side)
    before, after = (picture_facts(tmp_path, size) for size in (None, side))
    if before["crop"]:
        share = lambda facts: np.min(facts["resize"]) / facts["crop"][0]  # noqa: E731
        assert share(after) == pytest.approx(share(before), rel=0.05)


def test_refusals(tmp_path):
    file = tmp_path / "preprocessor_config.json"
    for said, match in (
        ({"image_processor_type": "NobodysImageProcessor"}, "prepared by NobodysImageProcessor, which"),
        ({"image_processor_type": "ViTImageProcessor", "do_pad": True}, "prepares pictures by do_pad"),
        ({"image_processor_type": "CLIPImageProcessor", "do_center_crop": False}, "would keep their aspects"),
        ({"image_processor_type": "CLIPImageProcessor", "size": {"longest_edge": 9}}, "scaled to {'longest_edge': 9}"),
    ):
        file.write_text(json.dumps(said))
        with pytest.raises(DataError, match=match):
            picture_facts(tmp_path, None)
    file.write_text("{")
    with pytest.raises(DataError, match="is no JSON"):
        picture_facts(tmp_path, None)
