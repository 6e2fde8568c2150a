"""Pictures on disk."""

import io

import numpy as np
import pytest
from PIL import Image


def picture(colour=(200, 30, 30), size=(8, 6)):
    return Image.new("RGB", size, colour)


@pytest.fixture
def png():
    """A colour -> the bytes of a small PNG."""

    def made(colour=(200, 30, 30)):
        file = io.BytesIO()
        picture(colour).save(file, "PNG")
        return file.getvalue()

    return made


@pytest.fixture
def pictures(tmp_path):
    """A folder with a.png, b.png, c.png beneath `photos`, and three files that are no pictures."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for i, name in enumerate("abc"):
        picture((80 * i, 10, 10)).save(folder / f"{name}.png")
    (folder / "empty.png").write_bytes(b"")
    (folder / "letter.png").write_text("dear reader, this is no picture")
    (folder / "cut.png").write_bytes((folder / "a.png").read_bytes()[:40])
    return folder


@pytest.fixture
def rows():
    """Eight rows with two vector views and gaps in one."""
    random = np.random.default_rng(0)
    return random.normal(size=(8, 3)), [random.normal(size=2) if i % 3 else None for i in range(8)]
