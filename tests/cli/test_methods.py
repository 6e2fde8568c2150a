"""Every method from the command line, on arrays, tables of numbers, and pictures with captions."""

import csv
import json
import sys

import numpy as np
import pytest

import bouba
from bouba.cli import main
from bouba.runs.methods import METHODS

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
def sides(tmp_path):
    """Two views of three shared numbers, 120 rows, as arrays, as two tables and as one."""
    random = np.random.default_rng(0)
    latent = random.normal(size=(120, 3))
    X, Y = (latent @ random.normal(size=(3, d)) + 0.2 * random.normal(size=(120, d)) for d in (6, 4))
    np.save(tmp_path / "X.npy", X)
    np.save(tmp_path / "Y.npy", Y)
    for name, values in (("X", X), ("Y", Y)):
        np.savetxt(tmp_path / f"{name}.csv", values, delimiter=",")
    with (tmp_path / "both.csv").open("w", newline="") as file:
        names = [f"left_{i}" for i in range(6)] + [f"right_{i}" for i in range(4)]
        csv.writer(file).writerows([names, *np.hstack([X, Y]).tolist()])
    return tmp_path


@pytest.mark.parametrize("method", ["cca", "kernel-cca", "sparse-cca", "matrix-free-cca", "deep-cca", "clip"])
def test_arrays(method, sides, run):
    quick = ["--epochs", 15] if method in ("deep-cca", "clip") else []
    folder = sides / "run"
    code, out, err = run("fit", sides / "X.npy", sides / "Y.npy", "--method", method, "--dim", 3, *quick, "-o", folder)
    assert code == 0, err
    assert "recall@10" in out
    records = json.loads((folder / "metrics.json").read_text())
    found = {(r["method"], r["direction"]): r for r in records if r["metric"] == "recall@10"}
    ours = found[method, "X->Y"]
    assert ours["value"] > ours["chance"]
    model = bouba.load(folder)
    assert type(model).__name__ == METHODS[method].cls.__name__
    assert model.embed(bouba.Views({"X": np.load(sides / "X.npy")}))["X"].shape == (120, 3)
    assert (folder / "report.html").stat().st_size > 10_000


@pytest.mark.parametrize("method", ["cca", "deep-cca"])
def test_tables_of_numbers(method, sides, run):
    quick = ["--epochs", 2] if method == "deep-cca" else []
    said = ["--method", method, "--dim", 2, *quick, "--json"]
    assert run("fit", sides / "X.csv", sides / "Y.csv", *said, "-o", sides / "two")[0] == 0
    groups = ["--vector", "left_*", "--vector", "right_*"]
    assert run("fit", sides / "both.csv", *groups, *said, "-o", sides / "one")[0] == 0
    two, one = (bouba.load(sides / name) for name in ("two", "one"))
    assert two.kinds_ == {"X": "vector", "Y": "vector"}
    assert one.kinds_ == {"left": "vector", "right": "vector"}
    if method == "cca":
        np.testing.assert_allclose(one.correlations_, two.correlations_, atol=1e-6)


@pytest.mark.parametrize("method", ["cca", "kernel-cca", "matrix-free-cca", "deep-cca", "simclr"])
def test_pictures_and_captions(method, things, run, tmp_path):
    quick = ["--epochs", 2] if method in ("deep-cca", "simclr") else []
    folder = tmp_path / "run"
    code, _, err = run("fit", things, "--method", method, "--dim", 4, *quick, "--holdout", 0.3, "-o", folder)
    assert code == 0, err
    if method != "simclr":
        code, out, err = run("search", folder, "a red circle", "-k", 3)
        assert code == 0, err
        assert "thing" in out
    code, out, err = run("evaluate", folder, things, "--template", "a {}", "--template", "one {}")
    assert code == 0, err


def test_pictures_alone(things, run, tmp_path):
    code, _, err = run(
        "fit", things, "--ignore", "caption", "--method", "simclr", "--dim", 4, "--epochs", 2, "-o", tmp_path / "run"
    )
    assert code == 0, err
    assert bouba.load(tmp_path / "run").kinds_ == {"photo": "image"}
    code, _, err = run("fit", things, "--ignore", "caption", "--method", "clip", "-o", tmp_path / "other")
    assert code == 2
    assert "one modality only: 'photo'" in err


def test_closed_forms_take_nothing_in_silence(sides, run):
    said = ["fit", sides / "X.npy", sides / "Y.npy", "--method", "cca", "-o", sides / "run"]
    code, _, err = run(*said, "--validation", 0.2)
    assert (code, err.strip()) == (2, "bouba: cca is solved, not trained, and takes no --validation; leave it out")
    code, _, err = run(*said, "--epochs", 3)
    assert code == 2
    assert "unknown key 'epochs' in [arguments] of cca" in err


def test_a_recipe_repeats_the_run_with_its_holdout(sides, run):
    said = [sides / "X.npy", sides / "Y.npy", "-o"]
    assert run("fit", *said, sides / "a", "--method", "cca", "--dim", 3, "--holdout", 0.25, "--json")[0] == 0
    assert run("fit", *said, sides / "b", "--recipe", sides / "a" / "recipe.toml", "--json")[0] == 0
    first, second = (json.loads((sides / name / "metrics.json").read_text()) for name in "ab")
    assert first == second
    assert {r["n"] for r in first} == {30}


def test_a_model_of_single_views_does_not_pretend(things, run, tmp_path):
    folder = tmp_path / "run"
    code, out, err = run("fit", things, "--method", "simclr", "--epochs", 2, "--dim", 4, "--holdout", 0.3, "-o", folder)
    assert code == 0, err
    assert "it cannot find one by another" in err
    records = json.loads((folder / "metrics.json").read_text())
    assert {r["metric"] for r in records if r["method"] == "simclr"} == {"label_accuracy"}
    assert "photo" in out
    code, out, _ = run("search", folder, "a red circle", "--json")
    assert {hit["view"] for hit in json.loads(out)} == {"caption"}
    code, _, err = run("search", folder, "a red circle", "--view", "photo")
    assert (code, "cannot find 'photo' by it" in err) == (2, True)


def test_several_tables_are_paired_only_where_nothing_else_is_said(sides, run):
    lines = (sides / "X.csv").read_text().splitlines()
    (sides / "gap.csv").write_text("\n".join([*lines[:3], "," * 5, *lines[3:]]))
    said = ["--method", "cca", "-o", sides / "run"]
    code, _, err = run("fit", sides / "gap.csv", sides / "Y.csv", *said)
    assert code == 2
    assert "row 3: every cell is empty" in err
    (sides / "id.csv").write_text(
        "id," + ",".join("abcdef") + "\n" + "\n".join(f"k{i},{x}" for i, x in enumerate(lines))
    )
    code, _, err = run("fit", sides / "id.csv", sides / "Y.csv", *said)
    assert code == 2
    assert "also has" in err


def test_evaluate_says_what_does_not_fit(sides, run):
    assert run("fit", sides / "X.npy", sides / "Y.npy", "--method", "cca", "--ridge", 0.1, "-o", sides / "run")[0] == 0
    assert bouba.load(sides / "run").ridge == 0.1
    np.save(sides / "X_test.npy", np.load(sides / "X.npy"))
    code, _, err = run("evaluate", sides / "run", sides / "X_test.npy")
    assert (code, "the model has X, Y, the table X_test" in err) == (2, True)
