"""Pictures in files of every mode and depth; decoders from a list; sizes refused before memory is asked for."""

import io
import os
import re
import struct
import tracemalloc
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms

from bouba.data import decode
from bouba.data.decode import pictures as module
from bouba.data.kinds import KINDS
from bouba.data.video import video
from bouba.errors import DataError

RAMP = np.arange(256, dtype=np.uint8).reshape(16, 16)
DEEP = RAMP.astype(np.uint16) * 257
GREY = Image.fromarray(RAMP)


def encoded(picture, form, **how):
    file = io.BytesIO()
    picture.save(file, form, **how)
    return file.getvalue()


def chunk(name, content):
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def png(width, height, depth, colour, rows=b"", *others):
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    parts = [chunk(b"IHDR", header), *others, chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def rows(values):
    return b"".join(b"\0" + row.tobytes() for row in values.astype(">u2"))


def lab():
    profiles = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    return ImageCms.profileToProfile(GREY.convert("RGB"), *profiles, outputMode="LAB")


BIG_ENDIAN = Image.frombytes("I;16B", (16, 16), DEEP.astype(">u2").tobytes())
OPAQUE = np.full_like(DEEP, 65535)
CASES = {
    "16-bit PNG": (encoded(Image.fromarray(DEEP), "PNG"), 0),
    "16-bit TIFF": (encoded(Image.fromarray(DEEP), "TIFF"), 0),
    "16-bit TIFF, big end first": (encoded(BIG_ENDIAN, "TIFF"), 0),
    "16-bit PGM": (b"P5\n16 16\n65535\n" + DEEP.astype(">u2").tobytes(), 0),
    "10-bit PGM": (b"P5\n16 16\n1023\n" + (DEEP >> 6).astype(">u2").tobytes(), 1),
    "16-bit RGB PNG": (png(16, 16, 16, 2, rows(np.stack([DEEP] * 3, 2))), 0),
    "16-bit RGBA PNG": (png(16, 16, 16, 6, rows(np.stack([DEEP, DEEP, DEEP, OPAQUE], 2))), 0),
    "16-bit grey and alpha PNG": (png(16, 16, 16, 4, rows(np.stack([DEEP, OPAQUE], 2))), 0),
    "32-bit TIFF": (encoded(Image.fromarray(RAMP.astype(np.int32)), "TIFF"), 0),
    "float TIFF": (encoded(Image.fromarray((RAMP / 255).astype(np.float32)), "TIFF"), 0),
    "float PFM": (encoded(Image.fromarray((RAMP / 255).astype(np.float32)), "PPM"), 0),
    "palette GIF": (encoded(GREY.convert("P"), "GIF"), 0),
    "grey and alpha PNG": (encoded(GREY.convert("LA"), "PNG"), 0),
    "palette and alpha": (GREY.convert("P").convert("PA"), 0),
    "premultiplied": (GREY.convert("RGBA").convert("RGBa"), 0),
    "grey, premultiplied": (GREY.convert("LA").convert("La"), 0),
    "CMYK JPEG, inverted as Adobe does": (encoded(GREY.convert("RGB").convert("CMYK"), "JPEG", quality=100), 3),
    "CMYK TIFF": (encoded(GREY.convert("RGB").convert("CMYK"), "TIFF"), 1),
    "YCbCr TIFF": (encoded(GREY.convert("RGB").convert("YCbCr"), "TIFF"), 1),
    "HSV": (GREY.convert("RGB").convert("HSV"), 1),
    "Lab TIFF": (encoded(lab(), "TIFF"), 4),
    "JPEG": (encoded(GREY, "JPEG", quality=100), 3),
    "WebP": (encoded(GREY.convert("RGB"), "WEBP", lossless=True), 0),
    "BMP": (encoded(GREY, "BMP"), 0),
    "JPEG 2000": (encoded(GREY, "JPEG2000", irreversible=False), 0),
    "TGA": (encoded(GREY, "TGA"), 0),
    "SGI": (encoded(GREY, "SGI"), 0),
    "PCX": (encoded(GREY, "PCX"), 0),
}


@pytest.mark.parametrize("name", CASES)
def test_every_mode_gives_the_ramp_back(name):
    cell, slack = CASES[name]
    picture = decode.image(cell)
    assert picture.mode == "RGB"
    for channel in np.asarray(picture).astype(int).transpose(2, 0, 1):
        np.testing.assert_allclose(channel, RAMP, atol=slack)
    assert KINDS["image"].header_fault(cell) is None


def test_what_has_no_mark_is_a_tga_by_its_name_alone(tmp_path):
    """The start of an old TGA is that of films, among others."""
    old = encoded(GREY, "TGA")[:-26]
    assert old.find(b"TRUEVISION") < 0
    (tmp_path / "a.TGA").write_bytes(old)
    assert np.asarray(decode.image(tmp_path / "a.TGA"))[:, :, 0].tolist() == RAMP.tolist()
    with pytest.raises(DataError, match="these bytes are no known image format"):
        decode.image(old)


def test_a_dark_file_of_16_bits_is_dark():
    dark = encoded(Image.fromarray(RAMP.astype(np.uint16)), "PNG")  # 255 of 65,535
    assert np.asarray(decode.image(dark)).max() == 0


def test_bits_and_the_grey_that_is_called_clear():
    assert np.asarray(decode.image(encoded(GREY.convert("1"), "PNG"))).max() == 255
    clear = png(16, 16, 16, 0, rows(DEEP), chunk(b"tRNS", struct.pack(">H", 257)))
    shown = np.asarray(decode.image(clear))[:, :, 0]
    assert shown[0, :3].tolist() == [0, 255, 2]


def test_floats_of_a_file_that_are_no_picture_are_refused():
    heights = encoded(Image.fromarray(np.float32([[200, 3000]])), "TIFF")
    with pytest.raises(DataError, match="floats from 200 to 3000"):
        decode.image(heights)
    assert KINDS["image"].header_fault(heights) == decode.check("image", heights)  # no header says their range


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
def test_a_picture_is_upright_however_the_telephone_was_held(orientation, form):
    """The stored pixels are moved the other way by the note, so that all eight show the same corner dark."""
    upright = np.full((16, 24, 3), 255, np.uint8)
    upright[:8, :12] = 0
    back = {
        1: lambda a: a,
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.transpose(1, 0, 2),
        6: lambda a: np.rot90(a, 1),
        7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
        8: lambda a: np.rot90(a, -1),
    }
    notes = Image.Exif()
    notes[0x112] = orientation
    stored = Image.fromarray(np.ascontiguousarray(back[orientation](upright)))
    seen = np.asarray(decode.image(encoded(stored, form, exif=notes))).astype(int)
    np.testing.assert_allclose(seen, upright, atol=16)


def test_a_picture_is_given_in_any_holder(tmp_path):
    content = encoded(GREY, "PNG")
    file = tmp_path / "A picture.PNG"
    file.write_bytes(content)
    opened = file.open("rb")
    for cell in [
        str(file),
        file,
        file.as_uri(),
        "file://localhost" + file.as_uri()[7:],
        content,
        bytearray(content),
        memoryview(content),
        io.BytesIO(content),
        opened,
        GREY,
        {"bytes": content, "path": None},
        {"bytes": None, "path": str(file)},
    ]:
        for _ in range(2):  # an open file is read from its start again
            assert np.asarray(decode.image(cell))[:, :, 1].tolist() == RAMP.tolist()
        assert KINDS["image"].header_fault(cell) is None
    opened.close()


def test_only_decoders_of_the_list_see_a_cell(tmp_path, monkeypatch):
    """What would start Ghostscript, or another decoder that opens other files, is no picture, whatever its ending."""
    started = tmp_path / "started"
    (tmp_path / "gs").write_text(f"#!/bin/sh\necho yes > {started}\n")
    (tmp_path / "gs").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    eps = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n%%EOF\n"
    (tmp_path / "a.png").write_bytes(eps)
    for cell in (eps, str(tmp_path / "a.png"), b"%PDF-1.4\n", b"\xd7\xcd\xc6\x9a" + bytes(60), b"<svg/>"):
        with pytest.raises(DataError, match="these bytes are no known image format"):
            decode.image(cell)
        assert decode.check("video", cell) is not None
    with pytest.raises(DataError, match="an open EPS, which other programs draw"):
        decode.image(Image.open(io.BytesIO(eps)))
    assert not started.exists()
    assert not {"EPS", "WMF", "FPX", "MIC", "PDF", "PSD", "HDF5", "GRIB", "BUFR"} & set(module.FORMATS)


JPEG = encoded(GREY, "JPEG")
FRAME = JPEG.index(b"\xff\xc0")
TEXT = zlib.compress(bytes(40 << 20), 9)


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        (png(100_000, 100_000, 8, 2), r"10,000,000,000 pixels, at most 134,217,728; scale it down"),
        (png(13_000, 13_000, 8, 2), r"13,000 x 13,000 is 169,000,000 pixels, at most 134,217,728"),
        (png(0, 9, 8, 2), r"not a picture"),
        (png(2**31 - 1, 2**31 - 1, 8, 0), r"pixels, at most"),
        (JPEG[: FRAME + 5] + struct.pack(">HH", 65_500, 65_500) + JPEG[FRAME + 9 :], r"4,290,250,000 pixels, at most"),
        (b"P6 99999 99999 255\n", r"9,999,800,001 pixels, at most"),
        (encoded(GREY.convert("P"), "GIF")[:6] + b"\xff" * 4 + encoded(GREY.convert("P"), "GIF")[10:], r"at most"),
        (png(1, 1, 8, 2, bytes(4), chunk(b"zTXt", b"a\0\0" + TEXT)), r"too large"),
        (png(1, 1, 8, 2, bytes(4), chunk(b"iTXt", b"a\0\1\0\0\0" + TEXT)), r"too large"),
    ],
)
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_sizes_are_refused_before_memory_is_asked_for(cell, reason):
    tracemalloc.start()
    fault = KINDS["image"].header_fault(cell)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20e6
    assert re.search(reason, fault)
    assert decode.check("image", cell) == fault


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "PPM", "AVIF", "JPEG2000"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9, 0.99])
def test_a_file_that_was_cut_off_is_seen_without_decoding(form, share):
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8))
    whole = encoded(noise, form)
    assert KINDS["image"].header_fault(whole) is None
    assert "not a picture" in KINDS["image"].header_fault(whole[: int(share * len(whole))])


def test_frames_without_number_are_refused():
    still = encoded(Image.new("P", (1, 1)), "GIF")
    place = still.index(b",")
    many = still[:place] + still[place:-1] * 70_000 + b";"
    with pytest.raises(DataError, match=r"70,000 frames of 1 x 1, at most 65,536 of that size; cut it into clips"):
        video(many)
    wide = still[:6] + struct.pack("<HH", 5_000, 5_000) + still[10:place] + still[place:-1] * 100 + b";"
    with pytest.raises(DataError, match=r"100 frames of 5,000 x 5,000, at most 85 of that size"):
        video(wide)
    assert KINDS["video"].header_fault(wide) == decode.check("video", wide)
    assert decode.check("image", many) is None  # the first frame is a picture
