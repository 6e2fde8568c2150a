"""Pictures as data: URIs."""

import base64
import io
import os

import pytest
from PIL import Image

from bouba.errors import DataError
from bouba.report.pictures import LARGEST, SIDE, Album, data_uri


def encoded(kind: str, size: int = 8) -> bytes:
    out = io.BytesIO()
    Image.frombytes("RGB", (size, size), os.urandom(3 * size * size)).save(out, kind)
    return out.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "JPEG", "GIF"])
def test_small_pictures_are_kept_to_the_byte(kind):
    data = encoded(kind)
    head, _, body = data_uri(data).partition(",")
    assert head == f"data:image/{kind.lower()};base64"
    assert base64.b64decode(body) == data


def test_a_photograph_is_drawn_smaller():
    data = encoded("PNG", 400)
    assert len(data) > LARGEST
    body = base64.b64decode(data_uri(data).partition(",")[2])
    assert max(Image.open(io.BytesIO(body)).size) == SIDE


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "a picture of 0 bytes is not PNG"),
        (b"<svg/>", "give encoded bytes, not pixels"),
        (b"\x89PNG\r\n\x1a\n" + b"x" * LARGEST, "cannot be opened"),
    ],
)
def test_other_bytes_are_refused(data, message):
    with pytest.raises(DataError, match=message):
        data_uri(data)


def test_an_album_counts_distinct_pictures():
    album, one, two = Album(), encoded("PNG"), encoded("PNG")
    assert album.add_all([one, two, one, None]) == [0, 1, 0, None]
    assert album.css().count("data:image/png") == 2
