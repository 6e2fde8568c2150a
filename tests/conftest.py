"""Small data with a known answer, shared by all rooms."""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import pytest


@pytest.fixture
def twins():
    from made import twin_vectors

    return twin_vectors()


@pytest.fixture
def things(tmp_path):
    """A table on disk: 60 coloured shapes with captions, labels and two domains; one picture is no picture."""
    import csv

    from PIL import Image, ImageDraw

    colours = {"red": (220, 40, 40), "green": (40, 170, 60), "blue": (50, 80, 220), "yellow": (230, 200, 40)}
    rows = []
    for number in range(60):
        colour = list(colours)[number % 4]
        shape = ("circle", "square", "bar")[number // 4 % 3]
        picture = Image.new("RGB", (24, 24), "white")
        box = (3 + number % 5, 3, 18, 20 if shape != "bar" else 8)
        draw = ImageDraw.Draw(picture)
        (draw.ellipse if shape == "circle" else draw.rectangle)(box, fill=colours[colour])
        name = f"thing{number:02d}.png"
        picture.save(tmp_path / name)
        rows.append([name, f"a {colour} {shape}", shape, "shop" if number % 2 else "studio"])
    (tmp_path / "thing07.png").write_text("this is no picture")
    table = tmp_path / "things.csv"
    with table.open("w", newline="") as file:
        csv.writer(file).writerows([["photo", "caption", "label", "domain"], *rows])
    return table
