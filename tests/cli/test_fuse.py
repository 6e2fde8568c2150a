"""A table with holes, from CSV to predictions, on the command line."""

import csv
import json
import shutil
import tomllib

import numpy as np
import pytest
from PIL import Image, ImageDraw
from test_commands import bouba

import bouba as library

soundfile = pytest.importorskip("soundfile")
pytest.importorskip("lancedb")
pytest.importorskip("plotly")

COLOURS = {"red": (220, 40, 40), "green": (40, 170, 60), "blue": (50, 80, 220)}
PITCHES = {"red": 300.0, "green": 800.0, "blue": 2000.0}
RATE = 8000


def write_holes(folder, n=150, seed=0):
    """Pictures, words, sounds and numbers that show a colour; numbers and sounds a size. A third of all cells is empty,
    half of each label."""
    random = np.random.default_rng(seed)
    rows = []
    for i in range(n):
        colour, size = list(COLOURS)[random.integers(3)], ("small", "big")[random.integers(2)]
        side = 6 if size == "small" else 14
        picture = Image.new("RGB", (20, 20), "white")
        ImageDraw.Draw(picture).rectangle((2, 2, 2 + side, 2 + side), fill=COLOURS[colour])
        picture.save(folder / f"{i}.png")
        t = np.arange(RATE // 5) / RATE
        sound = 0.4 * np.sin(2 * np.pi * PITCHES[colour] * t) + 0.02 * random.normal(size=len(t))
        soundfile.write(folder / f"{i}.wav", sound, RATE)
        words = f"this {random.choice(['thing', 'one', 'item'])} is {size} and {colour}"
        weight, hue = side + random.normal(), list(COLOURS).index(colour) + 0.3 * random.normal()
        cells = [f"{i}.png", words, f"{i}.wav", f"{weight:.3f}", f"{hue:.3f}"]
        kept = ["" if random.random() < 1 / 3 else cell for cell in cells]
        truth = [label if random.random() < 0.5 else "" for label in (colour, size)]
        rows.append([i, *kept, *truth, colour, size])
    header = ["number", "photo", "words", "sound", "weight", "hue", "colour", "size", "true colour", "true size"]
    for name, part in (("train.csv", rows[: n * 2 // 3]), ("test.csv", rows[n * 2 // 3 :])):
        with (folder / name).open("w", newline="") as file:
            csv.writer(file).writerows([header, *part])
    return folder / "train.csv", folder / "test.csv"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """One run that the tests of this file share."""
    folder = tmp_path_factory.mktemp("fuse")
    train, test = write_holes(folder)
    recipe = folder / "small.toml"
    recipe.write_text(
        '[towers.photo]\nencoder = "ConvNet"\nsize = 16\nchannels = 6\n[towers.words]\nencoder = "NGrams"\n'
        '[towers.sound]\nencoder = "CRNN"\nrate = 8000\nseconds = 0.2\nchannels = 6\nmels = 16\n'
        '[towers.numbers]\nencoder = "Tabular"\n'
    )
    said = ["--recipe", recipe, "--method", "multitask", "--label", "colour", "--label", "size", "--epochs", 14]
    said += ["--ignore", "true colour", "--ignore", "true size", "--ignore", "number", "--dim", 24, "--lr", 0.01]
    assert bouba("fit", train, *said, "--holdout", 0.2, "-o", folder / "run") == 0
    return folder / "run", test


def rows_of(path):
    with path.open() as file:
        return list(csv.DictReader(file))


def test_a_table_with_holes_from_csv_to_predictions(run, tmp_path, capsys):
    folder, test = run
    assert bouba("predict", folder, test, "--proba", "-o", tmp_path / "p.csv") == 0
    found, truth = rows_of(tmp_path / "p.csv"), rows_of(test)
    of = {row["row"]: row for row in found}
    assert set(of) <= {str(i) for i in range(len(truth))}
    assert len(found) >= len(truth) - 2  # but for rows without any cell
    for label, chance in (("colour", 1 / 3), ("size", 1 / 2)):
        right = [of[row][label] == truth[int(row)][f"true {label}"] for row in of]
        assert np.mean(right) > chance + 0.25, f"{label}: {np.mean(right):.2f}"
    for row in found:
        classes = [float(row[f"colour={name}"]) for name in COLOURS]
        assert sum(classes) == pytest.approx(1, abs=1e-4)
        assert float(row["colour_probability"]) == pytest.approx(max(classes))
    single = [row for row in found if "+" not in row["views"]]
    assert single, "some rows have one view only"
    assert np.mean([of[r["row"]]["colour"] == truth[int(r["row"])]["true colour"] for r in single]) > 1 / 3


def test_predict_takes_any_of_the_columns(run, tmp_path, capsys):
    folder, test = run
    rows = rows_of(test)
    small = test.parent / "words.csv"
    with small.open("w", newline="") as file:
        csv.writer(file).writerows([["words", "shelf"], ["this one is big and red", "A"], ["", "B"], ["a thing", "C"]])
    capsys.readouterr()
    assert bouba("predict", folder, small, "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert [(row["row"], row["views"]) for row in said["rows"]] == [(0, "words"), (2, "words")]
    assert (said["rows"][0]["colour"], said["rows"][0]["size"]) == ("red", "big")
    assert [(bad["row"], bad["reason"]) for bad in said["bad_rows"]] == [(1, "every cell is empty")]
    assert len(rows) == 50


def test_numbers_are_known_by_their_names(run, tmp_path, capsys):
    """Whole where training had gaps, in another order, beside others."""
    folder, _ = run
    rows = [["shelf", "hue", "weight"], [7, 0, 14], [8, 1, 6], [9, 2, 14]]
    answers = []
    for order in ([0, 1, 2], [2, 0, 1]):
        table = tmp_path / "numbers.csv"
        table.write_text("\n".join(",".join(str(row[i]) for i in order) for row in rows) + "\n")
        capsys.readouterr()
        assert bouba("predict", folder, table, "--json") == 0
        answers.append(json.loads(capsys.readouterr().out)["rows"])
    assert answers[0] == answers[1]
    assert {row["views"] for row in answers[0]} == {"numbers"}
    assert [row["size"] for row in answers[0]] == ["big", "small", "big"]


def test_explain_adds_up(run, capsys):
    folder, test = run
    capsys.readouterr()
    assert bouba("explain", folder, test, "--label", "colour", "--json") == 0
    records = json.loads(capsys.readouterr().out)
    for record in records:
        assert sum(record["values"].values()) == pytest.approx(record["whole"] - record["base"], abs=1e-6)
    row = records[3]["row"]
    page = folder.parent / "row.html"
    assert bouba("explain", folder, test, "--row", row, "-o", page) == 0
    assert "What each view said about colour and size" in page.read_text()
    out = capsys.readouterr().out
    assert "Shapley values of views for the probability of colour" in out
    assert "the probability of size" in out


def test_evaluate_and_the_report(run, capsys):
    folder, test = run
    capsys.readouterr()
    assert bouba("evaluate", folder, test, "--json") == 0
    records = {(r["metric"], r["direction"]): r for r in json.loads(capsys.readouterr().out)}
    every = records["colour_accuracy", "all"]
    assert every["low"] > every["chance"]
    assert {d for _, d in records} == {"all"} | {
        f"{how} {view}" for how in ("only", "without") for view in ("photo", "words", "sound", "numbers")
    }
    kept = json.loads((folder / "metrics.json").read_text())
    methods = {record["method"] for record in kept}
    assert {"multitask", "late-fusion"} < methods
    assert methods & {"tf-idf-logistic", "simple-logistic", "boosting"}
    for method in methods:
        [accuracy] = [r for r in kept if (r["method"], r["metric"], r["direction"]) == (method, "size_accuracy", "all")]
        assert accuracy["low"] <= accuracy["value"] <= accuracy["high"]
        assert accuracy["n"] == next(r["n"] for r in kept if (r["metric"], r["direction"]) == ("size_accuracy", "all"))
    assert (folder / "report.html").stat().st_size > 10_000


def test_rows_like_one_that_has_only_words(run, capsys):
    folder, _ = run
    capsys.readouterr()
    assert bouba("search", folder, "this one is big and blue", "-k", 5, "--json") == 0
    hits = json.loads(capsys.readouterr().out)
    assert {hit["view"] for hit in hits} == {"fused"}
    assert len(hits) == 5


@pytest.mark.parametrize(
    ("fusion", "made"), [("gated", "GatedFusion"), ("low-rank", "LowRankFusion"), ("late", "NoneType")]
)
def test_fusions_by_name(fusion, made, things, tmp_path, capsys):
    said = ["--method", "classifier", "--label", "label", "--fusion", fusion, "--epochs", 1, "--dim", 8]
    assert bouba("fit", things, *said, "--holdout", 0.3, "--no-baseline", "-o", tmp_path / "run") == 0
    model = library.load(tmp_path / "run")
    assert type(model.fusion).__name__ == made
    assert getattr(model.fusion, "drop", 0.3) == 0.3
    capsys.readouterr()
    assert bouba("predict", tmp_path / "run", things, "--json") == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert {row["label"] for row in rows} <= {"circle", "square", "bar"}
    assert bouba("search", tmp_path / "run", "a red circle") == 0


def test_one_view_is_enough_and_numbers_have_intervals(tmp_path, capsys):
    random = np.random.default_rng(0)
    x = random.normal(size=(400, 3))
    price = 5 + x @ [1.0, -2.0, 0.5] + 0.1 * random.normal(size=400)
    table = tmp_path / "t.csv"
    np.savetxt(table, np.c_[x, price], delimiter=",", header="a,b,c,price", comments="")
    said = ["--method", "regressor", "--label", "price", "--epochs", 30, "--dim", 16]
    assert bouba("fit", table, *said, "-o", tmp_path / "run") == 0
    records = {r["metric"]: r for r in json.loads((tmp_path / "run" / "metrics.json").read_text())}
    assert records["price_r2"]["low"] > 0.5
    assert records["price_rmse"]["value"] < records["price_rmse"]["chance"]
    capsys.readouterr()
    assert bouba("predict", tmp_path / "run", table, "--json") == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert tomllib.loads((tmp_path / "run" / "recipe.toml").read_text())["read"]["vector"] == ["a", "b", "c"]
    answers = []
    for text in ("a,b,c\n1,2,3\n", "c,b,a\n3,2,1\n", "x,b,a,c\n9,2,1,3\n"):
        (tmp_path / "one.csv").write_text(text)
        assert bouba("predict", tmp_path / "run", tmp_path / "one.csv", "--json") == 0
        answers.append(json.loads(capsys.readouterr().out)["rows"])
    assert answers[0] == answers[1] == answers[2]
    (tmp_path / "two.csv").write_text("a,b,words\n1,2,red\n")
    assert bouba("predict", tmp_path / "run", tmp_path / "two.csv") == 2
    assert "numbers needs a, b, c, and the table has no c: left out" in capsys.readouterr().err
    (tmp_path / "gap.csv").write_text("a,b,c\n1,2,3\n1,,3\n")
    assert bouba("predict", tmp_path / "run", tmp_path / "gap.csv", "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert [row["row"] for row in said["rows"]] == [0]
    assert [(bad["row"], bad["reason"]) for bad in said["bad_rows"]] == [(1, "blank: b")]
    shutil.copytree(tmp_path / "run" / "model", tmp_path / "alone")
    for place in (tmp_path / "run" / "model", tmp_path / "alone"):  # and by a model whose run is not known
        assert bouba("predict", place, tmp_path / "gap.csv", "--json") == 0
        said = json.loads(capsys.readouterr().out)
        assert [(row["row"], row["views"]) for row in said["rows"]] == [(0, "numbers")]
        assert [(bad["row"], bad["reason"]) for bad in said["bad_rows"]] == [(1, "blank: b")]
    inside = [row["price_low"] <= price[row["row"]] <= row["price_high"] for row in rows]
    assert 0.8 < np.mean(inside) <= 1


def test_an_autoencoder_needs_no_label_and_predicts_none(run, tmp_path, capsys):
    folder, test = run
    said = ["--recipe", folder.parent / "small.toml", "--method", "autoencoder", "--epochs", 2, "--dim", 8]
    said += ["--label", "true colour", "--ignore", "number", "--ignore", "true size", "--ignore", "size"]
    assert bouba("fit", folder.parent / "train.csv", *said, "--holdout", 0.2, "-o", tmp_path / "run") == 0
    records = json.loads((tmp_path / "run" / "metrics.json").read_text())
    metrics = {(r["metric"], r["direction"]) for r in records if r["method"] == "autoencoder"}
    assert {("variance_explained", "without photo->photo"), ("true colour_accuracy", "all")} <= metrics
    assert bouba("search", tmp_path / "run", "a red thing") == 0
    capsys.readouterr()
    assert bouba("predict", tmp_path / "run", test) == 2
    assert "this MultimodalAutoencoder predicts no label" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        (["--ignore", "label"], "classifier needs --label COLUMN, what to predict"),
        (["--label", "label", "--label", "caption"], "classifier predicts one label, and there is caption, label"),
        (["--label", "label", "--fusion", "gatd"], "no fusion 'gatd'; did you mean 'gated'"),
        (["--label", "lable"], "no column 'lable'; did you mean 'label'"),
        (["--method", "clip", "--fusion", "sum"], "clip takes no fusion"),
    ],
)
def test_mistakes_of_fit(more, expected, things, tmp_path, capsys):
    assert bouba("fit", things, "--method", "classifier", "-o", tmp_path / "out", *more) == 2
    assert expected in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_mistakes_of_predict_and_explain(run, things, tmp_path, capsys):
    folder, test = run
    other = tmp_path / "other.csv"
    other.write_text("title,price\na fine hat,3\nan old shoe,4\n")
    assert bouba("predict", folder, other) == 2
    assert "the model has photo, words, sound, numbers, the table" in capsys.readouterr().err
    assert bouba("explain", folder, test, "--row", 4711) == 2
    assert "no row 4711 that can be read; there are rows 0 to 49" in capsys.readouterr().err
    assert bouba("explain", folder, test, "--label", "color") == 2
    assert "the model predicts no 'color'; did you mean 'colour'" in capsys.readouterr().err
    assert bouba("fit", things, "-o", tmp_path / "clip", "--epochs", 1, "--dim", 4) == 0
    capsys.readouterr()
    assert bouba("predict", tmp_path / "clip", things) == 2
    assert (
        "this CLIP predicts no label; fit one that does: bouba fit TABLE --method classifier" in capsys.readouterr().err
    )
