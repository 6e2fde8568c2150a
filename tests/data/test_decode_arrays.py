"""Pictures as arrays of every depth, range and order of axes: the right grey, or a refusal that says what to do."""

import numpy as np
import pytest
import torch

from bouba import read
from bouba.data import decode
from bouba.data.kinds import KINDS
from bouba.data.video import video
from bouba.errors import DataError

RAMP = np.arange(256).reshape(16, 16)  # every grey once
COLOURS = np.stack([RAMP, 255 - RAMP, np.full_like(RAMP, 7)], 2).astype(np.uint8)


def grey(cell):
    return np.asarray(decode.image(cell))[:, :, 0].astype(int)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint32, np.int32, np.int64, np.uint64])
def test_whole_numbers_from_0_to_255_are_bytes(dtype):
    np.testing.assert_array_equal(grey(RAMP.astype(dtype)), RAMP)


@pytest.mark.parametrize("order", ["<u2", ">u2"])
def test_definition_of_sixteen_bits_the_upper_eight(order):
    deep = (np.arange(65536).reshape(256, 256)).astype(order)
    np.testing.assert_array_equal(grey(deep), np.arange(65536).reshape(256, 256) // 256)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.longdouble])
def test_floats_span_0_to_1(dtype):
    np.testing.assert_array_equal(grey((RAMP / 255).astype(dtype)), RAMP)
    np.testing.assert_array_equal(grey((RAMP / 255 * 1.001).astype(dtype).clip(0, 1.001))[-1, -1], 255)


def test_masks_are_black_and_white():
    np.testing.assert_array_equal(grey(RAMP > 100), 255 * (RAMP > 100))


@pytest.mark.parametrize(
    "cell",
    [
        COLOURS,
        COLOURS / 255,
        np.asfortranarray(COLOURS),
        COLOURS[::-1, ::-1][::-1, ::-1],
        COLOURS.transpose(2, 0, 1),
        COLOURS.tolist(),
        np.ma.masked_array(COLOURS, False),
        np.concatenate([COLOURS, np.full((16, 16, 1), 255, np.uint8)], 2),
        torch.tensor(COLOURS),
        torch.tensor(COLOURS).permute(2, 0, 1),
        (torch.tensor(COLOURS).permute(2, 0, 1) / 255).requires_grad_(),
        (torch.tensor(COLOURS).permute(2, 0, 1) / 255).half(),
    ],
)
def test_every_order_of_axes_and_holder_of_the_same_picture(cell):
    np.testing.assert_array_equal(np.asarray(decode.image(cell)), COLOURS)
    assert KINDS["image"].header_fault(cell) is None


def test_half_of_the_brain_float_keeps_8_bits_at_most():
    tensor = (torch.tensor(COLOURS).permute(2, 0, 1) / 255).bfloat16()
    np.testing.assert_allclose(np.asarray(decode.image(tensor)).astype(int), COLOURS, atol=1)


@pytest.mark.parametrize("cell", [RAMP[:, :, None], RAMP[None], torch.tensor(RAMP)[None], RAMP.tolist()])
def test_grey_with_or_without_a_channel(cell):
    np.testing.assert_array_equal(grey(cell), RAMP)


def test_a_cube_has_its_channels_last_and_a_tensor_first():
    cube = COLOURS[:3, :3]
    np.testing.assert_array_equal(np.asarray(decode.image(cube)), cube)
    np.testing.assert_array_equal(np.asarray(decode.image(torch.tensor(cube))), cube.transpose(1, 2, 0))


def test_alpha_lies_on_white_whatever_its_range():
    clear = np.stack([RAMP, np.zeros_like(RAMP)], 2)
    np.testing.assert_array_equal(grey(clear.astype(np.uint8)), 255)
    np.testing.assert_array_equal(grey(clear / 255.0), 255)


REFUSED = [
    (RAMP * 1.0, r"floats from 0 to 255; a picture's lie in \[0, 1\]: divide by 255"),
    (RAMP / 127.5 - 1, r"floats from -1 to 1; .* give \(x \+ 1\) / 2"),
    (RAMP * 10.0 - 1000, r"floats from -1000 to 1550; .* give \(x - lowest\) / \(highest - lowest\)"),
    ((RAMP * 10 - 1000).astype(np.int16), r"int16 from -1,000 to 1,550; scale it"),
    (RAMP * 257, r"int64 from 0 to 65,535; scale it"),
    ((RAMP // 2).astype(np.int8), r"int8 from 0 to 127"),
    ((RAMP > 9).astype(int), r"int64 from 0 and 1; for a mask, give bool"),
    (RAMP.astype(np.uint16), r"uint16 up to 255, where 65,535 is white"),
    (np.where(RAMP > 9, np.nan, 0.5), r"it holds NaN or infinity; fill such pixels"),
    (np.where(RAMP > 9, np.inf, 0.5), r"it holds NaN or infinity"),
    (np.ma.masked_array(RAMP, RAMP > 9), r"246 of 256 values are masked; fill them"),
    (RAMP + 1j, r"an array of complex128"),
    (np.array([[None]]), r"an array of object"),
    (np.zeros((5, 8, 8)), r"an array of shape \(5, 8, 8\); give \(H, W\)"),
    (np.zeros((2, 8, 8, 3)), r"of a batch, give each picture a cell"),
    (np.zeros(9), r"an array of shape \(9,\)"),
    (np.zeros((0, 8), np.uint8), r"8 x 0: it holds no pixel"),
    ([[1, 2], [3]], r"rows of unequal lengths"),
    (np.broadcast_to(np.uint8(0), (20_000, 20_000)), r"20,000 x 20,000 is 400,000,000 pixels, at most 134,217,728"),
]


@pytest.mark.parametrize(("cell", "reason"), REFUSED)
def test_what_has_no_known_range_is_refused_by_name(cell, reason):
    with pytest.raises(DataError, match="not a picture: .*" + reason):
        decode.image(cell)
    assert KINDS["image"].header_fault(cell) == decode.check("image", cell)


def test_refused_arrays_are_listed_and_the_others_are_read():
    views = read({"scan": [RAMP, RAMP * 1.0, torch.tensor(RAMP)], "words": ["a", "b", "c"]}, image="scan", text="words")
    assert views.present["scan"].tolist() == [True, False, True]
    assert [(bad["row"], bad["column"]) for bad in views.bad_rows] == [(1, "scan")]


@pytest.mark.parametrize(
    "clip",
    [
        np.stack([COLOURS] * 3),
        np.stack([COLOURS] * 3) / 255,
        np.stack([COLOURS] * 3).transpose(0, 3, 1, 2),
        torch.tensor(np.stack([COLOURS] * 3).transpose(0, 3, 1, 2)) / 255,
        (np.stack([COLOURS] * 3).astype(np.uint16) * 257),
        [COLOURS, COLOURS / 255, torch.tensor(COLOURS)],
    ],
)
def test_clips_follow_the_same_rule(clip):
    for frame in video(clip):
        np.testing.assert_array_equal(np.asarray(frame), COLOURS)
    assert KINDS["video"].header_fault(clip) is None


def test_the_range_of_a_clip_is_that_of_all_its_frames():
    """A dark frame of whole numbers is dark, not a mask; one bright frame of floats spoils the clip."""
    dark = np.stack([RAMP > 9, RAMP]).astype(np.int64)
    assert np.asarray(video(dark)[0]).max() == 1
    bright = np.stack([RAMP / 255, RAMP])
    with pytest.raises(DataError, match=r"not a clip: ndarray .floats from 0 to 255"):
        video(bright)
    assert "floats from 0 to 255" in KINDS["video"].header_fault(bright)
