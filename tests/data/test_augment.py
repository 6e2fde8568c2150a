"""Augmentation: known answers for single moves, and laws for all of them together."""

import pytest
import torch

from bouba.data.augment import Augment

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
