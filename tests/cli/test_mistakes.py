"""Every mistake is one clear line on the error stream and exit code 2; nothing is lost."""

import csv

import numpy as np
import pytest
from test_commands import bouba

from bouba.errors import UsageError
from bouba.runs.predicting import predictions


def table(path, header, *rows):
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def said(capsys) -> str:
    err = capsys.readouterr().err
    lines = [line for line in err.splitlines() if line.startswith("bouba: ")]
    assert len(lines) == 1, err
    assert "Traceback" not in err
    return lines[0]


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda p: p / "none.csv", "no such file or folder"),
        (lambda p: table(p / "t.csv", ["photo", "text"]), "is empty: no row could be read"),
        (
            lambda p: table(p / "t.csv", ["text"], *[[f"word {'abc'[i % 3]}"] for i in range(9)]),
            "one modality only: 'text' (text)",
        ),
        (
            lambda p: table(p / "t.csv", ["left", "right"], ["a cat", "7"]),
            "has 1 row that can be used; training needs two",
        ),
        (lambda p: table(p / "t.csv", ["photo", "text"], ["x.png", ""]), "no such file"),
    ],
    ids=["missing file", "empty table", "one modality", "one row", "nothing readable"],
)
def test_fit_refuses(make, expected, tmp_path, capsys):
    assert bouba("fit", make(tmp_path), "-o", tmp_path / "out") == 2
    assert expected in said(capsys)
    assert not (tmp_path / "out").exists()


def test_wrong_column(things, tmp_path, capsys):
    assert bouba("fit", things, "-o", tmp_path / "out", "--text", "captoin") == 2
    assert "no column 'captoin'; did you mean 'caption'" in said(capsys)


def test_bytes_that_are_no_picture_stop_a_strict_run(things, tmp_path, capsys):
    assert bouba("fit", things, "-o", tmp_path / "out", "--strict") == 2
    assert "the first is row 7, column 'photo': not a picture" in said(capsys)


def test_nan_vectors(tmp_path, capsys):
    broken = np.ones((20, 3))
    broken[4, 1] = np.nan
    np.save(tmp_path / "x.npy", broken)
    np.save(tmp_path / "y.npy", np.ones((20, 2)))
    assert bouba("fit", tmp_path / "x.npy", tmp_path / "y.npy", "-o", tmp_path / "out") == 2
    assert "row 4: a number of it is missing or not finite" in said(capsys)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('metod = "clip"', "unknown key 'metod' in recipe; did you mean 'method'"),
        ("[arguments]\nepoch = 3", "unknown key 'epoch' in [arguments] of clip; did you mean 'epochs'"),
        ('[towers.photo]\nencoder = "ConvNet"\nsise = 3', "unknown key 'sise' in encoder ConvNet; did you mean 'size'"),
        ('method = "learner"\n[[objective]]\nterm = "InfoNEC"', "no term 'InfoNEC'; did you mean 'InfoNCE'"),
        ('method = "clap"', "no method 'clap'; did you mean 'clip'"),
        ("[fit]\ntraget = 'x'", "unknown key 'traget' in [fit]; did you mean 'target'"),
        ("[read]\nimagee = 'x'", "unknown key 'imagee' in [read]; did you mean 'image'"),
        ("method = ", "is not TOML"),
    ],
)
def test_recipe_mistakes(text, expected, things, tmp_path, capsys):
    (tmp_path / "r.toml").write_text(text)
    assert bouba("fit", things, "-o", tmp_path / "out", "--recipe", tmp_path / "r.toml") == 2
    assert expected in said(capsys)


def test_a_finished_run_is_not_overwritten(things, tmp_path, capsys):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "precious").touch()
    for more in ((), ("--overwrite",)):
        assert bouba("fit", things, "-o", tmp_path / "out", *more) == 2
        assert "exists; it is no run of bouba's; choose another -o" in said(capsys)
    assert bouba("demo", "-o", tmp_path / "out") == 2
    assert "it is no run of bouba's" in said(capsys)
    assert (tmp_path / "out" / "precious").exists()
    (tmp_path / "out" / "recipe.toml").touch()
    assert bouba("fit", things, "-o", tmp_path / "out") == 2
    assert "exists; choose another -o, or say --overwrite" in said(capsys)
    (tmp_path / "cut.part" / "checkpoint").mkdir(parents=True)
    assert bouba("fit", things, "-o", tmp_path / "cut") == 2
    assert "a run that was cut off stands at" in said(capsys)


def test_query_in_a_modality_the_model_lacks(tmp_path, capsys):
    random = np.random.default_rng(0)
    for name, width in (("x", 3), ("y", 4)):
        np.save(tmp_path / f"{name}.npy", random.normal(size=(30, width)))
    out = tmp_path / "out"
    assert bouba("fit", tmp_path / "x.npy", tmp_path / "y.npy", "-o", out, "--epochs", 1, "--dim", 4) == 0
    capsys.readouterr()
    assert bouba("search", out, "red") == 2
    assert "the model reads no text; it has x, y" in said(capsys)
    assert bouba("search", out, "--image", tmp_path / "x.png") == 2
    assert "the model reads no pictures; it has x (vector), y (vector)" in said(capsys)
    assert bouba("search", out) == 2
    assert "say what to look for: words, --image FILE, --audio FILE" in said(capsys)


def test_no_model(tmp_path, capsys):
    assert bouba("search", tmp_path / "nowhere", "red") == 2
    assert "no model in" in said(capsys)
    assert bouba("evaluate", tmp_path / "nowhere", "t.csv") == 2
    assert "make one: bouba fit TABLE -o" in said(capsys)


def test_a_missing_extra_names_the_command(things, tmp_path, capsys, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "plotly", None)
    assert bouba("fit", things, "-o", tmp_path / "out", "--epochs", 1, "--dim", 4) == 2
    assert "pip install 'bouba[report]'" in said(capsys)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--epochs", -1), "--epochs is a whole number from 1 to 1,000,000, got -1"),
        (("--batch-size", 1), "--batch-size is a whole number from 2"),
        (("--lr", "nan"), "--lr is a number above 0 and below 1,000, got nan"),
        (("--ridge", -1), "--ridge is a number from 0"),
        (("--seed", 2**64), "--seed is a whole number from 0"),
        (("--holdout", 2), "--holdout is a share from 0 to below 1, got 2"),
    ],
    ids=str,
)
def test_a_setting_is_called_by_its_option(words, expected, things, tmp_path, capsys):
    assert bouba("fit", things, "-o", tmp_path / "out", *words) == 2
    assert expected in said(capsys)
    assert not (tmp_path / "out").exists()


def test_a_level_that_is_no_probability(tmp_path, capsys):
    assert bouba("predict", tmp_path, "t.csv", "--level", 2) == 2
    assert "--level is a number above 0 and below 1, got 2" in said(capsys)


@pytest.mark.parametrize("options", [("--seed", -1), ("--seed", 2**40), ("--epochs", 0)])
def test_the_demo_refuses_numbers_out_of_range(options, tmp_path, capsys):
    assert bouba("demo", "-o", tmp_path / "out", *options) == 2
    assert f"Invalid value for '{options[0]}'" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("level", [0, 1, -1, 2, float("nan")])
def test_a_level_is_a_probability(level):
    with pytest.raises(UsageError, match=r"level is a number above 0 and below 1"):
        predictions(None, None, level=level)
