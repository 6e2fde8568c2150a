"""Near-duplicates never stand on both sides of a cut unseen."""

import csv
import json
import sys

import numpy as np
import pytest
from PIL import Image, ImageDraw

import bouba
from bouba import Run, Views
from bouba.cli import main
from bouba.data.duplicates import Duplicates
from bouba.errors import RecipeError, UsageError
from bouba.runs.duplicates import Cut, caution

pytest.importorskip("lancedb")
pytest.importorskip("plotly")

WORDS = "red blue green small large round old new wet dry fast slow cat dog tree house boat car bird fish".split()


def drawing(random, size=64):
    """A few coloured shapes on white, different each time."""
    picture = Image.new("RGB", (size, size), "white")
    draw = ImageDraw.Draw(picture)
    for _ in range(5):
        x, y = random.integers(4, size - 24, 2).tolist()
        w, h = random.integers(6, 24, 2).tolist()
        shape = draw.ellipse if random.random() < 0.5 else draw.rectangle
        shape((x, y, x + w, y + h), fill=tuple(random.integers(0, 220, 3).tolist()))
    return picture


def sentence(random):
    return "a " + " ".join(random.choice(WORDS, 7))


def write_table(folder, *, captions=None, copies=60, n=200, seed=0):
    """A table of n rows with an id each; the last rows share a caption, a picture, or both, with some of the first."""
    random = np.random.default_rng(seed)
    captions = captions or [sentence(random) for _ in range(n)]
    rows = []
    for number in range(n):
        picture, caption = drawing(random), captions[number]
        if number >= n - copies // 2:
            twin = number - (n - copies // 2)
            if number % 3 != 0:
                caption = captions[twin].upper() + "!"
            if number % 3 != 1:
                picture = Image.open(folder / f"{twin:03d}.png").resize((96, 96), Image.Resampling.BICUBIC)
        name = f"{number:03d}.png"
        picture.save(folder / name)
        rows.append([number, name, caption])
    table = folder / "table.csv"
    with table.open("w", newline="") as file:
        csv.writer(file).writerows([["id", "picture", "caption"], *rows])
    return table


FIT = {"method": "clip", "towers": "scratch", "epochs": 1, "dim": 8, "batch_size": 64}


def fit(table, out, **options):
    said = []
    run = Run.fit(table, out=out, read={"key": "id"}, say=said.append, **FIT | options)
    return run, "\n".join(said)


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    return write_table(tmp_path_factory.mktemp("table"))


def test_rows_that_share_a_picture_or_a_caption_stay_on_one_side_and_it_is_said(table, tmp_path):
    run, said = fit(table, tmp_path / "run")
    assert "60 of 200 rows have a near-duplicate" in said
    assert run.caution == ""
    facts = run.facts["duplicates"]
    assert (facts["rows"], facts["across"]) == (60, {})
    assert facts["kept together"] == ["caption", "picture"]
