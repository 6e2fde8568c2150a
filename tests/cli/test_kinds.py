"""Clips, sounds and tables with gaps from the command line: read, trained, judged, found and shown."""

import csv
import json
import sys

import numpy as np
import pytest
import soundfile
from PIL import Image

import bouba
from bouba.cli import main

pytest.importorskip("lancedb")
pytest.importorskip("plotly")


@pytest.fixture
def run(monkeypatch, capsys):
    def call(*words):
        monkeypatch.setattr(sys, "argv", ["bouba", *map(str, words)])
        with pytest.raises(SystemExit) as end:
            main()
        said = capsys.readouterr()
        return end.value.code or 0, said.out, said.err

    return call


@pytest.fixture
def shop(tmp_path):
    """100 things: a clip that grows bright or dark, a sound, words, a price and a weight with gaps, a city."""
    random = np.random.default_rng(0)
    rows = [["clip", "sound", "caption", "price", "weight", "city"]]
    for number in range(100):
        bright = number % 2
        greys = range(0, 250, 50) if bright else range(250, 0, -50)
        pictures = [Image.new("RGB", (8, 8), (grey,) * 3) for grey in greys]
        pictures[0].save(tmp_path / f"{number}.webp", save_all=True, append_images=pictures[1:])
        soundfile.write(tmp_path / f"{number}.wav", random.normal(0, 0.1, 800), 8000)
        said = f"it becomes {'bright' if bright else 'dark'} number {number}"
        price = "" if number % 3 == 0 else number
        weight = "" if number % 3 == 1 else 2 * number
        city = ("Bonn", "Ulm", "Köln")[number % 3]
        rows.append([f"{number}.webp", f"{number}.wav", said, price, weight, city])
    (tmp_path / "7.webp").write_bytes(b"no clip")
    with (tmp_path / "shop.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return tmp_path / "shop.csv"


def test_every_kind_is_guessed_and_may_be_named(shop, run):
    code, out, _ = run("inspect", shop, "--json")
    assert code == 0
    found = json.loads(out)
    kinds = {name: view["kind"] for name, view in found["views"].items()}
    assert kinds == {"clip": "video", "sound": "audio", "caption": "text", "numbers": "table"}
    assert found["views"]["clip"]["example"] == "0.webp"
    assert found["views"]["numbers"]["example"] == "weight = 0"
    assert [bad["row"] for bad in found["bad_rows"]] == [7]
    words = ("--table", "price", "--table", "city", "--audio", "sound", "--image", "clip")
    code, out, _ = run("inspect", shop, *words, "--json")
    kinds = {name: view["kind"] for name, view in json.loads(out)["views"].items()}
    assert kinds == {"clip": "image", "sound": "audio", "caption": "text", "table": "table", "numbers": "vector"}


def test_a_table_of_every_kind_is_trained_judged_and_searched(shop, run):
    folder = shop.parent / "run"
    said = ("--table", "price", "--table", "weight", "--table", "city", "--video", "clip", "--ignore", "sound")
    code, out, err = run("fit", shop, *said, "--epochs", 1, "--dim", 4, "-o", folder)
    assert code == 0, err
    assert bouba.load(folder).kinds_ == {"clip": "video", "caption": "text", "table": "table"}
    assert len((folder / "bad_rows.jsonl").read_text().splitlines()) == 1
    assert "data:image/webp" in (folder / "report.html").read_text()
    code, out, err = run("evaluate", folder, shop, "--json")
    assert code == 0, err
    assert {"caption->clip", "table->clip"} <= {record["direction"] for record in json.loads(out)}
    code, out, err = run("search", folder, "it becomes dark", "--column", "city=Ulm", "--view", "clip", "--json")
    assert code == 0, err
    hits = json.loads(out)
    assert {hit["columns"]["city"] for hit in hits} == {"Ulm"}  # a table's columns are filters
    assert all(hit["path"].endswith(f"{hit['row']}.webp") for hit in hits)
    code, out, err = run("search", folder, "--video", shop.parent / "3.webp", "--view", "clip", "--json")
    assert code == 0, err
    hits = json.loads(out)
    assert all(hit["row"] % 2 and hit["score"] > 0.9999 for hit in hits)  # a bright clip finds the like of it
    code, _, err = run("search", folder, "--audio", shop.parent / "3.wav")
    assert code == 2
    assert "the model reads no sounds; it has" in err


def test_methods_that_solve_refuse_a_table_with_gaps(shop, run):
    code, _, err = run(
        "fit", shop, "--ignore", "clip", "--ignore", "sound", "--method", "cca", "-o", shop.parent / "run"
    )
    assert code == 2
    assert "view 'numbers': rows of a table may lack numbers" in err
