"""A small collection with a known answer: coloured shapes with captions, a kind, a price and holes; two runs on it."""

import csv
from pathlib import Path

from PIL import Image, ImageDraw

from bouba import Run

COLOURS = {"red": (220, 40, 40), "green": (40, 170, 60), "blue": (50, 80, 220), "yellow": (230, 200, 40)}
SHAPES = ("circle", "square", "bar")
ROWS = 96
MARKUP = '<img src=x onerror="window.hacked=1"><script>window.hacked=1</script> a green square'
MARKUP_ROW = 5


def caption_of(number: int) -> str:
    """What stands in the table: markup once, nothing in each tenth row."""
    if number == MARKUP_ROW:
        return MARKUP
    return "" if number % 10 == 9 else f"a {colour_of(number)} {shape_of(number)}"


def colour_of(number: int) -> str:
    return list(COLOURS)[number % 4]


def shape_of(number: int) -> str:
    return SHAPES[number // 4 % 3]


def picture_of(number: int) -> Image.Image:
    picture = Image.new("RGB", (48, 48), "white")
    left = 4 + number % 7
    box = (left, 6, left + 32, 38 if shape_of(number) != "bar" else 16)
    draw = ImageDraw.Draw(picture)
    (draw.ellipse if shape_of(number) == "circle" else draw.rectangle)(box, fill=COLOURS[colour_of(number)])
    return picture


def write_collection(folder: Path) -> Path:
    """pictures/*.png and shapes.csv."""
    (folder / "pictures").mkdir(parents=True)
    table = folder / "shapes.csv"
    with table.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["picture", "caption", "kind", "price"])
        for number in range(ROWS):
            name = f"pictures/{number:02d}.png"
            picture_of(number).save(folder / name)
            writer.writerow([name, caption_of(number), shape_of(number), number % 12 * 2.5])
    return table


def fit_runs(folder: Path) -> Path:
    """The folder with `shapes`, which searches, and `kinds`, which predicts the kind and the price."""
    table = write_collection(folder)
    read = {"image": "picture", "text": "caption", "label": ["kind", "price"]}
    options = {"read": read, "towers": "scratch", "baseline": False, "random_state": 0}
    Run.fit(table, method="clip", out=folder / "shapes", epochs=12, **options)
    Run.fit(table, method="multitask", out=folder / "kinds", epochs=3, **options)
    return folder
