"""Image encoders: a picture of any shape, whole, on a white square, to features."""

import numpy as np
import pytest
import torch
from PIL import Image

from bouba import Learner, Views
from bouba.data import decode
from bouba.data.augment import Augment
from bouba.errors import DataError, UsageError
from bouba.terms import SupervisedContrastive
from bouba.towers import VGG, ConvNet, ResNet
from bouba.towers.image import crop_to_content


def prepared(picture, **spec):
    return ConvNet(channels=2, **spec).build({}).prepare([picture])["pixels"][0]


def test_a_wide_picture_lies_whole_in_the_middle_of_white():
    pixels = prepared(Image.new("RGB", (40, 20), (10, 20, 30)), size=8)
    expected = torch.full((3, 8, 8), 255, dtype=torch.uint8)
    expected[:, 2:6] = torch.tensor([10, 20, 30], dtype=torch.uint8)[:, None, None]
    assert torch.equal(pixels, expected)


def test_shrinking_takes_the_mean_and_a_line_keeps_a_pixel():
    checks = Image.fromarray(np.kron(np.eye(2), np.ones((1, 1))).astype(np.uint8) * 200).resize((8, 8), 0)
    assert np.asarray(decode.fit_on_white(checks.convert("RGB"), 1)).ravel().tolist() == [100] * 3
    assert decode.fit_on_white(Image.new("RGB", (1000, 1)), 8).getcolors() == [(56, (255,) * 3), (8, (0,) * 3)]


def test_crop_cuts_the_white_margin_and_leaves_a_blank_picture():
    picture = Image.new("RGB", (20, 20), "white")
    picture.paste((0, 0, 0), (5, 6, 9, 12))
    assert crop_to_content(picture).size == (4, 6)
    assert crop_to_content(Image.new("RGB", (5, 5), "white")).size == (5, 5)
    assert prepared(picture, size=6, crop=True).float().mean() < prepared(picture, size=6).float().mean()


@pytest.mark.parametrize("spec", [ConvNet(size=16, channels=2), ResNet(size=16, channels=2), VGG(size=16, channels=2)])
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


def test_definition_of_vgg():
    """Convolutions keep the side, and the largest of each 2 x 2 square stays."""
    torch.manual_seed(0)
    encoder = VGG(size=16, channels=2).build({}).eval()
    maps = torch.rand(1, 3, 16, 16)
    sides, convolutions = [], 0
    for layer in encoder.layers:
        before, maps = maps, layer(maps)
        if isinstance(layer, torch.nn.MaxPool2d):
            squares = before.unfold(2, 2, 2).unfold(3, 2, 2)  # (1, C, h, w, 2, 2)
            torch.testing.assert_close(maps, squares.amax((4, 5)))
            sides.append((maps.shape[1], maps.shape[2]))
        else:
            assert maps.shape[2:] == before.shape[2:]
            convolutions += 1
    assert (sides, convolutions) == ([(4, 8), (8, 4), (16, 2)], 7)


@pytest.mark.parametrize("size", [1, 5, 13])
def test_any_side_will_do(size):
    for spec in (ConvNet(size=size, channels=2), ResNet(size=size, channels=2), VGG(size=size, channels=2)):
        encoder = spec.build({}).eval()
        assert encoder(**encoder.prepare([Image.new("RGB", (9, 9))])).shape == (1, 32)


@pytest.mark.parametrize("spec", [ConvNet, ResNet, VGG])
def test_recovery_shapes_are_told_apart_by_pixels_they_share_in_the_mean(spec):
    """Bars that lie or stand, of every colour and place: pixel means are alike, so nearest pixels guess."""
    random = np.random.default_rng(0)
    cells, stands = [], np.arange(96) % 2 == 0
    for way in stands:
        picture = np.full((12, 12, 3), 255, np.uint8)
        at, colour = random.integers(0, 10), random.integers(0, 200, 3)
        picture[:, at : at + 2] = colour
        cells.append(picture if way else picture.transpose(1, 0, 2))
    train = np.arange(96) < 64
    views = Views({"bar": cells}, kinds={"bar": "image"}, y={"stands": stands.astype(str)})
    tower = spec(size=12, channels=4, augment=None)
    model = Learner({"bar": tower}, SupervisedContrastive("stands"), dim=4, epochs=16, lr=5e-3)
    z = model.fit(views[train]).embed(views)["bar"]
    assert nearest_mean(z, stands, train) > 0.9
    assert nearest_mean(np.stack(cells).reshape(96, -1) / 255, stands, train) < 0.8


def nearest_mean(rows, labels, train):
    """Accuracy on the rows that are not in `train`."""
    far = [((rows - rows[train & (labels == which)].mean(0)) ** 2).sum(1) for which in (False, True)]
    return ((far[1] < far[0]) == labels)[~train].mean()


def test_restore_gives_back_the_picture_that_raw_was_made_of():
    picture = np.random.default_rng(0).integers(0, 256, (12, 12, 3), np.uint8)
    encoder = ConvNet(size=12, thumbnail=6).build({})
    raw = encoder.raw(encoder.prepare([picture, picture]))
    assert raw.shape == (2, encoder.raw_width) == (2, np.prod(encoder.raw_shape)) == (2, 108)
    quarters = picture.reshape(6, 2, 6, 2, 3).mean((1, 3))
    restored = encoder.restore(raw.numpy())
    assert restored.dtype == np.uint8
    assert restored.shape == (2, 6, 6, 3)
    np.testing.assert_allclose(restored[1], quarters, atol=0.51)
    assert encoder.restore(np.full((1, 108), 99.0)).max() == 255
    assert ConvNet().build({}).raw_shape == (3, 16, 16)
    with pytest.raises(UsageError, match="thumbnail is the side of a picture in pixels, 1 or more, got 0"):
        ConvNet(thumbnail=0)


def test_components_stand_for_the_thumbnail_in_raw_and_restore():
    """Pictures that differ in two ways, and by rounding: four numbers hold them."""
    ways = np.random.default_rng(0).random((2, 12, 12, 3))
    cells = [(255 * (a * ways[0] + (1 - a) * b * ways[1])).astype(np.uint8) for a in (0, 0.5, 1) for b in (0.3, 1)]
    spec = ConvNet(size=12, channels=2, thumbnail=6, components=4)
    assert eval(repr(spec)) == spec
    encoder, pixels = spec.build(spec.learn(cells)), ConvNet(size=12, channels=2, thumbnail=6).build({})
    raw = encoder.raw(encoder.prepare(cells))
    assert (raw.shape, encoder.raw_shape, encoder.raw_width) == ((6, 4), (4,), 4)
    restored = encoder.restore(raw.numpy())
    assert restored.shape == (6, 6, 6, 3)
    expected = pixels.restore(pixels.raw(pixels.prepare(cells)).numpy())
    assert np.abs(restored.astype(int) - expected).max() <= 2, "what is left out is the rounding of colours"
    assert "components.basis" not in encoder.state_dict(), "what was learnt is saved once"
    with pytest.raises(DataError, match="components are the ways in which cells differ, and these 2 are all alike"):
        spec.learn(cells[:1] * 2)
    with pytest.raises(UsageError, match="components are 1 or more, or None for pixels, got 0"):
        ConvNet(components=0)


@pytest.mark.parametrize("spec", [ConvNet, ResNet, VGG])
@pytest.mark.parametrize("norm", ["group", None])
def test_without_batchnorm_a_picture_does_not_depend_on_the_batch_it_is_trained_in(spec, norm):
    torch.manual_seed(0)
    encoder = spec(size=12, channels=4, norm=norm).build({}).train()
    assert not [m for m in encoder.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    pixels = torch.rand(5, 3, 12, 12)
    torch.testing.assert_close(encoder(pixels)[:2], encoder(pixels[:2]), rtol=1e-4, atol=1e-5)
    by_batch = spec(size=12, channels=4).build({}).train()
    assert not torch.allclose(by_batch(pixels)[:2], by_batch(pixels[:2]), atol=1e-3)


def test_definition_of_groupnorm_in_a_tower():
    """12 channels in 4 groups, the largest divisor of 8 and 12: each has mean 0 and variance 1 in each picture."""
    encoder = ConvNet(size=8, channels=12, norm="group").build({})
    convolution, norm, _ = encoder.layers[0]
    assert norm.num_groups == 4
    maps = norm(convolution(torch.rand(2, 3, 8, 8))).reshape(2, 4, -1)
    torch.testing.assert_close(maps.mean(2), torch.zeros(2, 4), atol=1e-5, rtol=0)
    torch.testing.assert_close(maps.var(2, unbiased=False), torch.ones(2, 4), atol=1e-2, rtol=0)
    with pytest.raises(UsageError, match="no norm 'grup'; did you mean 'group'"):
        ConvNet(norm="grup")
