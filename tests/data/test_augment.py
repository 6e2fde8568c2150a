"""Augmentation: known answers for single moves, and laws for all of them together."""

import numpy as np
import pytest
import torch
from PIL import Image

from bouba.data.augment import Augment, refuse_share
from bouba.errors import UsageError
from bouba.nn.pixels import as_light
from bouba.towers import ConvNet

STILL = {"zoom": (1.0, 1.0), "turn": 0.0, "shift": 0.0, "stretch": 0.0, "flip": 0.0, "color": 0.0}


@pytest.fixture
def pixels():
    return torch.rand(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))


def test_no_change_is_the_identity_and_a_flip_mirrors(pixels):
    torch.testing.assert_close(Augment(**STILL)(pixels), pixels)
    torch.testing.assert_close(Augment(**STILL | {"flip": 1.0})(pixels), pixels.flip(3))


def test_zoom_one_half_shows_the_middle():
    pixels = torch.ones(1, 3, 8, 8)
    pixels[:, :, 2:6, 2:6] = 0.0
    torch.testing.assert_close(Augment(**STILL | {"zoom": (0.5, 0.5)})(pixels)[..., 1:7, 1:7], torch.zeros(1, 3, 6, 6))
    shrunk = Augment(**STILL | {"zoom": (4.0, 4.0)})(torch.zeros(1, 3, 8, 8))
    torch.testing.assert_close(shrunk[..., :2, :], torch.ones(1, 3, 2, 8))  # white moves into view


def test_shift_stays_within_its_share_of_half_the_side():
    torch.manual_seed(0)
    pixels = torch.ones(64, 3, 16, 16)
    pixels[:, :, :, 8] = 0.0
    columns = (1 - Augment(**STILL | {"shift": 0.25})(pixels))[:, 0, 8].argmax(1)
    assert (columns - 8).abs().max() == 2
    assert len(set(columns.tolist())) == 5


def test_law_white_stays_white_values_stay_in_range_and_pictures_differ(pixels):
    torch.manual_seed(0)
    changed = Augment()(pixels)
    assert changed.shape == pixels.shape
    assert 0 <= changed.min() <= changed.max() <= 1
    torch.testing.assert_close(Augment()(torch.ones(2, 3, 8, 8)), torch.ones(2, 3, 8, 8))
    twice = Augment()(pixels[:1].repeat(2, 1, 1, 1))
    assert not torch.allclose(twice[0], twice[1])


def test_the_global_generator_decides(pixels):
    torch.manual_seed(5)
    first = Augment()(pixels)
    torch.manual_seed(5)
    torch.testing.assert_close(first, Augment()(pixels))


def test_a_crop_may_lie_anywhere_but_not_outside():
    torch.manual_seed(0)
    pixels = torch.zeros(400, 3, 8, 8)
    pixels[:, :, :4, :4] = 1.0  # a white quarter; black is ink and would turn white outside
    half = {"zoom": (0.5, 0.5)}
    shares = Augment(**STILL | half | {"roam": 1.0})(pixels).mean((1, 2, 3))
    assert shares.max() > 0.85  # the white quarter all alone
    assert shares.min() < 0.02  # none of it, and no white from outside
    middle = Augment(**STILL | half)(pixels).mean((1, 2, 3))
    torch.testing.assert_close(middle, middle[:1].expand(400))


def test_roam_does_not_move_what_is_not_cropped(pixels):
    torch.testing.assert_close(Augment(**STILL | {"roam": 1.0})(pixels), pixels)


def test_grey_takes_all_colour_from_its_share():
    torch.manual_seed(0)
    pixels = torch.rand(1000, 3, 2, 2)
    changed = Augment(**STILL | {"grey": 0.25})(pixels)
    grey = (changed == changed[:, :1]).all(3).all(2).all(1)
    torch.testing.assert_close(changed[grey], pixels[grey].mean(1, keepdim=True).expand(-1, 3, -1, -1))
    torch.testing.assert_close(changed[~grey], pixels[~grey])
    assert grey.float().mean() == pytest.approx(0.25, abs=0.055)  # four standard errors


def test_refusal_of_a_share_that_leaves_nothing():
    with pytest.raises(UsageError, match=r"drop is a share, 0 or more and below 1, got 1\.5"):
        refuse_share("drop", 1.5)
    with pytest.raises(UsageError, match="got nan"):
        refuse_share("drop", float("nan"))


def test_definition_of_recolor_black_and_white_become_two_levels_in_each_channel():
    torch.manual_seed(0)
    ramp = torch.linspace(0, 1, 9).expand(200, 3, 9, 9).contiguous()
    changed = Augment(**STILL, recolor=1.0)(ramp)[:, :, 0]  # (200, 3, 9)
    black, white = changed[..., :1], changed[..., -1:]
    torch.testing.assert_close(changed, black + (white - black) * ramp[:, :, 0], atol=1e-5, rtol=0)
    assert (white < black).float().mean().item() == pytest.approx(0.5, abs=0.1)  # half are inverted
    assert 0 <= changed.min() < 0.05
    assert 0.95 < changed.max() <= 1
    assert (changed[:, 0] != changed[:, 1]).any(1).all(), "channels draw apart"
    half = Augment(**STILL, recolor=0.5)(ramp)
    same = (half - ramp).abs().amax((1, 2, 3)) < 1e-5
    assert 0.3 < same.float().mean() < 0.7


def test_definition_of_blend_a_share_below_the_limit_of_another_picture():
    torch.manual_seed(0)
    pixels = torch.eye(3).repeat(40, 1)[:, :, None, None].expand(120, 3, 4, 4).contiguous()  # red, green or blue
    changed = Augment(**STILL, blend=0.4)(pixels)
    own = (changed * pixels).sum(1)[:, 0, 0]  # what is left of its own colour
    assert 0.6 <= own.min() < 0.7
    torch.testing.assert_close(changed.sum(1), torch.ones(120, 4, 4))


def test_edges_are_drawn_out_where_no_white_shall_move_in():
    black = torch.zeros(2, 3, 8, 8)
    assert Augment(**STILL | {"zoom": (2.0, 2.0)})(black).max() == 1
    assert Augment(**STILL | {"zoom": (2.0, 2.0)}, border="edge")(black).max() == 0


def test_refusals_of_borders_and_blends():
    with pytest.raises(UsageError, match="no border 'edges'; did you mean 'edge'"):
        Augment(border="edges")
    with pytest.raises(UsageError, match=r"blend is a share, 0 or more and below 1, got 1\.5"):
        Augment(blend=1.5)


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 13])
def test_any_number_of_channels_is_changed_in_range_and_keeps_its_shape(channels):
    pixels = torch.rand(6, channels, 12, 9, generator=torch.Generator().manual_seed(0))
    torch.manual_seed(0)
    bold = Augment(color=0.8, grey=0.5, recolor=0.5, blend=0.3, roam=1.0)
    for augment in (Augment(), bold, Augment(border="edge")):
        changed = augment(pixels)
        assert changed.shape == pixels.shape
        assert changed.isfinite().all()
        assert changed.min() >= -1e-6
        assert changed.max() <= 1 + 1e-6
        assert not torch.equal(changed, pixels)
    gains = Augment(**STILL | {"color": 0.5})(torch.full((1, channels, 4, 4), 0.5))
    assert len(gains.unique()) == channels, "each channel has a gain of its own"


def test_sixteen_bits_are_augmented_without_rounding():
    deep = torch.arange(1000, 1000 + 4 * 256, dtype=torch.int32).view(4, 1, 16, 16).to(torch.uint16)
    light = as_light(deep)
    assert len(light.unique()) == 1024, "of 8 bits there would be 4"
    same = Augment(**STILL)(light)
    torch.testing.assert_close(same * 65_535, deep.float(), atol=0.02, rtol=0)
    mirrored = Augment(**STILL | {"flip": 1.0})(light)
    torch.testing.assert_close(mirrored * 65_535, deep.float().flip(3), atol=0.02, rtol=0)
    assert len((Augment()(light) * 255).round().unique()) < len(Augment()(light).unique())


CELLS = {
    "16-bit grey array": lambda: np.arange(400, dtype=np.uint16).reshape(20, 20) * 160,
    "16-bit grey PNG": lambda: Image.fromarray(np.arange(400, dtype=np.uint16).reshape(20, 20) * 160),
    "32-bit grey": lambda: Image.fromarray((np.arange(400, dtype=np.int32) % 256).reshape(20, 20)),
    "8-bit grey": lambda: Image.new("L", (20, 12), 90),
    "1 bit": lambda: Image.new("1", (20, 12), 1),
    "one channel array": lambda: np.full((20, 12, 1), 7, np.uint8),
    "grey with alpha": lambda: Image.new("LA", (20, 12), (90, 120)),
    "colour with alpha": lambda: np.full((20, 12, 4), 200, np.uint8),
    "CMYK": lambda: Image.new("CMYK", (20, 12), (10, 20, 30, 40)),
    "LAB": lambda: Image.new("LAB", (20, 12), (120, 130, 140)),
    "floats": lambda: np.linspace(0, 1, 400, dtype=np.float32).reshape(20, 20),
}


@pytest.mark.parametrize("kind", CELLS)
def test_whatever_the_reader_takes_is_augmented_by_a_tower(kind):
    encoder = ConvNet(size=16, channels=4, augment=Augment(color=0.8, grey=0.5, recolor=0.5, roam=1.0)).build({})
    inputs = encoder.prepare([CELLS[kind](), Image.new("RGB", (9, 9), (255, 0, 0))])
    varied = encoder.vary(inputs)
    assert varied["pixels"].is_floating_point(), "no rounding between the changes and the network"
    assert varied["pixels"].shape == (2, 3, 16, 16)
    assert varied["pixels"].min() >= 0
    assert varied["pixels"].max() <= 1
    assert encoder(**varied).isfinite().all()
    assert torch.equal(ConvNet(augment=None).build({}).vary(inputs)["pixels"], inputs["pixels"])
