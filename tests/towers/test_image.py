"""Image encoders: a picture of any shape, whole, on a white square, to features."""

import numpy as np
import pytest
import torch
from PIL import Image

from bouba.data.augment import Augment
from bouba.errors import DataError
from bouba.towers import ConvNet, ResNet
from bouba.towers.image import crop_to_content, fit_on_white


def prepared(picture, **spec):
    return ConvNet(channels=2, **spec).build({}).prepare([picture])["pixels"][0]


def test_a_wide_picture_lies_whole_in_the_middle_of_white():
    pixels = prepared(Image.new("RGB", (40, 20), (10, 20, 30)), size=8)
    expected = torch.full((3, 8, 8), 255, dtype=torch.uint8)
    expected[:, 2:6] = torch.tensor([10, 20, 30], dtype=torch.uint8)[:, None, None]
    assert torch.equal(pixels, expected)


def test_shrinking_takes_the_mean_and_a_line_keeps_a_pixel():
    checks = Image.fromarray(np.kron(np.eye(2), np.ones((1, 1))).astype(np.uint8) * 200).resize((8, 8), 0)
    assert np.asarray(fit_on_white(checks.convert("RGB"), 1)).ravel().tolist() == [100] * 3
    assert fit_on_white(Image.new("RGB", (1000, 1)), 8).getcolors() == [(56, (255,) * 3), (8, (0,) * 3)]


def test_crop_cuts_the_white_margin_and_leaves_a_blank_picture():
    picture = Image.new("RGB", (20, 20), "white")
    picture.paste((0, 0, 0), (5, 6, 9, 12))
    assert crop_to_content(picture).size == (4, 6)
    assert crop_to_content(Image.new("RGB", (5, 5), "white")).size == (5, 5)
    assert prepared(picture, size=6, crop=True).float().mean() < prepared(picture, size=6).float().mean()


@pytest.mark.parametrize("spec", [ConvNet(size=16, channels=2), ResNet(size=16, channels=2)])
def test_features_are_as_wide_as_promised_and_do_not_depend_on_the_batch(spec):
    torch.manual_seed(0)
    encoder = spec.build(spec.learn([]))
    encoder.eval()
    cells = [np.random.default_rng(i).integers(0, 255, (9 + i, 12, 3), np.uint8) for i in range(3)]
    inputs = encoder.prepare(cells)
    assert inputs["pixels"].dtype == torch.uint8
    features = encoder(**inputs)
    assert features.shape == (3, encoder.width) == (3, 32)
    torch.testing.assert_close(encoder(**encoder.prepare(cells[1:2]))[0], features[1], rtol=1e-4, atol=1e-5)


def test_only_vary_changes_pictures():
    encoder = ConvNet(size=8, channels=2, augment=Augment(flip=1.0)).build({})
    seen = []
    encoder.layers.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    inputs = encoder.prepare([np.random.default_rng(i).integers(0, 255, (8, 8, 3), np.uint8) for i in (0, 1)])
    for given in (inputs, inputs, encoder.vary(inputs)):
        encoder.train()(**given)
    torch.testing.assert_close(seen[0], (inputs["pixels"] / 255 - 0.5) / 0.3)
    assert torch.equal(seen[0], seen[1])
    assert not torch.allclose(seen[0], seen[2])


def test_specs_print_compare_and_refuse_what_is_no_picture():
    assert ConvNet(size=16) == ConvNet(size=16) != ResNet(size=16)
    assert eval(repr(ConvNet(size=16))) == ConvNet(size=16)
    with pytest.raises(DataError, match="not a picture: 4 bytes"):
        ConvNet().build({}).prepare([b"nope"])
