"""Translators on the command line: one view of a table made from another."""

import json
import tomllib

import numpy as np
import pytest
import soundfile
from made import related
from PIL import Image
from test_commands import bouba

import bouba as library
from bouba.errors import DataError, UsageError

pytest.importorskip("lancedb")
pytest.importorskip("plotly")

SMALL = """
[arguments]
hidden = 8
[towers.photo]
encoder = "ConvNet"
size = 8
thumbnail = 8
channels = 1
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """One run that the tests of this file share; one picture of 60 cannot be read."""
    from made import write_things

    folder = tmp_path_factory.mktemp("translate")
    things = write_things(folder)
    (folder / "small.toml").write_text(SMALL)
    said = ["--recipe", folder / "small.toml", "--method", "gan", "--domain", "label", "--ignore", "domain"]
    assert bouba("fit", things, *said, "--epochs", 5, "--dim", 8, "--holdout", 0.5, "-o", folder / "run") == 0
    return things, folder / "run"


def test_fit_measures_beside_regression_and_shows_what_was_made(run, capsys):
    _, out = run
    records = json.loads((out / "metrics.json").read_text())
    assert {record["method"] for record in records} == {"gan", "regression", "nearest"}
    assert {record["direction"] for record in records} == {"caption->photo"}
    assert {"frechet_distance", "diversity"} <= {record["metric"] for record in records}
    spread = [(record["method"], record["value"] > 0) for record in records if record["metric"] == "diversity"]
    assert set(spread) == {("gan", True), ("nearest", True), ("regression", False)}  # the mean is always the same
    meta = json.loads((out / "metrics_meta.json").read_text())
    assert {part["judge"] for part in meta.get("parts", [meta])} == {"LinearBaseline"}
    page = (out / "report.html").read_text()
    assert '<section id="made">' in page
    for when in ("epoch 1", "epoch 2", "epoch 4", "as kept, epoch 5"):
        assert f'<th scope="col">{when}</th>' in page
    assert "1 of 60 rows lack caption or photo: nothing is learnt or measured on them." in page
    assert "judged by linear CCA on simple features (caption and photo), fitted on the training rows" in page


def test_the_recipe_names_both_views_and_repeats_the_run(run, tmp_path):
    things, out = run
    recipe = tomllib.loads((out / "recipe.toml").read_text())
    assert (recipe["arguments"]["source"], recipe["arguments"]["target"]) == ("caption", "photo")
    said = ["--recipe", out / "recipe.toml", "--no-baseline", "--json"]  # and without a progress bar
    assert bouba("fit", things, *said, "-o", tmp_path / "again", "--holdout", 0.5) == 0
    one, two = ((o / "model" / "model.safetensors").read_bytes() for o in (out, tmp_path / "again"))
    assert one == two
    records = json.loads((tmp_path / "again" / "metrics.json").read_text())
    assert {record["method"] for record in records} == {"gan"}


def test_evaluate_asks_the_judge_of_the_run(run, tmp_path, capsys):
    things, out = run
    capsys.readouterr()
    assert bouba("evaluate", out, things, "--json") == 0
    records = json.loads(capsys.readouterr().out)
    assert {record["metric"] for record in records} == {"r_precision@10", "frechet_distance", "diversity"}
    model = library.load(out)
    assert model.translate(library.read(things, image="photo", text="caption").select("caption")[:2]).shape[1:] == (
        1, 8, 8, 3,
    )  # fmt: skip
    model.save(tmp_path / "model")
    assert bouba("evaluate", tmp_path / "model", things) == 2
    assert "holds no judge: nothing was held out" in capsys.readouterr().err
    assert bouba("evaluate", out / "model", things, "--json") == 0
    assert {record["metric"] for record in json.loads(capsys.readouterr().out)} == {r["metric"] for r in records}


def test_what_was_made_from_too_few_sounds_is_said_to_be_unmeasured(tmp_path, capsys):
    lines = ["sound,weight,height"]
    for row in range(12):
        wave = np.sin(np.arange(2000) * (0.05 + 0.01 * (row % 3))).astype(np.float32)
        soundfile.write(tmp_path / f"{row}.wav", wave, 8000)
        lines.append(f"{row}.wav,{row % 3}.5,{row % 3}")
    (tmp_path / "t.csv").write_text("\n".join(lines))
    said = ["--method", "gan", "--audio", "sound", "--vector", "weight", "--epochs", 1, "--holdout", 0.84]
    assert bouba("fit", tmp_path / "t.csv", *said, "--no-baseline", "-o", tmp_path / "run") == 0
    assert "What was made was not measured: " in capsys.readouterr().err
    assert bouba("evaluate", tmp_path / "run", tmp_path / "t.csv") == 2
    assert (
        "holds no judge: nothing was held out (--holdout), or too few rows were left to fit one"
        in capsys.readouterr().err
    )


def test_a_source_told_as_it_is_has_no_tower_to_search_by(things, tmp_path, capsys):
    (tmp_path / "raw.toml").write_text('method = "flow"\n[arguments]\nraw = true\nhidden = 8\n')
    said = ["--recipe", tmp_path / "raw.toml", "--epochs", 1, "--holdout", 0.3, "--no-baseline"]
    assert bouba("fit", things, *said, "-o", tmp_path / "raw") == 0
    assert "bouba search" not in capsys.readouterr().out
    assert not (tmp_path / "raw" / "index").exists()
    assert '<section id="map">' not in (tmp_path / "raw" / "report.html").read_text()


def test_only_the_source_is_searched(run, capsys):
    _, out = run
    capsys.readouterr()
    assert bouba("search", out, "a red circle", "-k", 3, "--json") == 0
    assert {hit["view"] for hit in json.loads(capsys.readouterr().out)} == {"caption"}


def test_numbers_from_numbers_and_no_pictures(tmp_path, capsys):
    random = np.random.default_rng(0)
    left = random.normal(size=(60, 2))
    for name, values in (("left", left), ("right", left @ random.normal(size=(2, 3)))):
        np.save(tmp_path / f"{name}.npy", values)
    tables = [tmp_path / "left.npy", tmp_path / "right.npy"]
    said = ["--method", "flow", "--epochs", 2, "--dim", 4, "--holdout", 0.3]
    assert bouba("fit", *tables, *said, "-o", tmp_path / "run") == 0
    records = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert {record["direction"] for record in records} == {"left->right"}  # the last numbers are made
    assert {record["metric"] for record in records} == {"r_precision@10", "frechet_distance", "diversity", "novelty"}
    assert '<section id="made">' not in (tmp_path / "run" / "report.html").read_text()
    assert bouba("fit", *tables, *said, "--from", "right", "--to", "left", "--no-baseline", "-o", tmp_path / "b") == 0
    model = library.load(tmp_path / "b")
    assert (model.source_, model.target_) == ("right", "left")
    assert bouba("translate", tmp_path / "b", *tables, "-n", 3, "-o", tmp_path / "made") == 0
    assert np.load(tmp_path / "made" / "59.npy").shape == (3, 2)


def test_translate_writes_files_named_by_row(run, tmp_path, capsys):
    things, out = run
    table = tmp_path / "new.csv"
    table.write_text("caption,shelf\na red circle,A\n,B\na blue bar,C\n")
    assert bouba("translate", out, table, "-n", 2, "-o", tmp_path / "two", "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert [(file["row"], file["file"]) for file in said["files"]] == [
        (row, f"{row}-{draw}.png") for row in (0, 2) for draw in (0, 1)
    ]
    expected = library.load(out).translate(library.read({"caption": ["a red circle", "a blue bar"]}), 2)
    assert np.array_equal(np.asarray(Image.open(tmp_path / "two" / "2-1.png")), expected[1, 1])
    assert bouba("translate", out, table, "-o", tmp_path / "one", "--seed", 4) == 0
    assert {file.name for file in (tmp_path / "one").iterdir()} == {"0.png", "2.png"}
    assert bouba("translate", out, table, "-o", tmp_path / "one") == 2
    assert "one exists; choose another -o" in capsys.readouterr().err
    table.write_text("photo\nthing01.png\n")
    (tmp_path / "thing01.png").write_bytes((things.parent / "thing01.png").read_bytes())
    assert bouba("translate", out, table, "-o", tmp_path / "none") == 2
    assert "a translation needs view 'caption', got 'photo'" in capsys.readouterr().err
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (["--method", "gan", "--to", "phoot"], "no view 'phoot'; did you mean 'photo'"),
        (["--method", "gan", "--to", "caption"], "the table has photo (image), caption (text); name two: --from"),
        (["--method", "flow", "--from", "photo"], "flow makes pictures or numbers of one view from another view"),
        (["--method", "flow", "--from", "photo", "--to", "photo"], "name two: --from COLUMN --to COLUMN"),
        (["--method", "clip", "--to", "photo"], "clip makes no view from another; --from and --to are for"),
        (["--method", "gan", "--target", "shop"], "gan learns from pairs alone and takes no --target"),
        (["--method", "gan", "--validation", "0.2"], "gan has no loss that says which epoch was best"),
        (["--method", "gan", "--patience", "2"], "was best and takes no --patience"),
    ],
)
def test_refusals(said, expected, things, tmp_path, capsys):
    assert bouba("fit", things, *said, "-o", tmp_path / "out") == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("bouba: ")]
    assert len(lines) == 1
    assert expected in lines[0]
    assert not (tmp_path / "out").exists()


def test_from_a_table_to_drawn_views_on_the_command_line(tmp_path, capsys):
    whole = related(120)
    for name in ("a", "b"):
        np.save(tmp_path / f"{name}.npy", np.stack(list(whole[name])))
    recipe = tmp_path / "vae.toml"
    recipe.write_text('method = "vae"\n[arguments]\nexperts = "mopoe"\nbeta = 2.0\nlikelihoods = {b = "laplace"}\n')
    tables = [str(tmp_path / "a.npy"), str(tmp_path / "b.npy")]
    said = ["--recipe", str(recipe), "--epochs", "2", "--dim", "4", "--no-baseline", "-o", str(tmp_path / "run")]
    assert bouba("fit", *tables, *said) == 0
    assert "keeps views apart" not in capsys.readouterr().err
    out = tmp_path / "made"
    assert bouba("translate", str(tmp_path / "run"), tables[0], "-n", "3", "-o", str(out), "--json") == 0
    assert len(json.loads(capsys.readouterr().out)["files"]) == 120
    model = library.load(tmp_path / "run")
    assert (model.experts, model.beta, dict(model.likelihoods)) == ("mopoe", 2.0, {"b": "laplace"})
    made = np.load(out / "0.npy")
    assert made.shape == (3, 7)
    run = library.Run.open(tmp_path / "run")
    translation = run.translate({"a": np.load(tables[0])}, to="b", draws=3)
    np.testing.assert_allclose(translation.items[0], made, rtol=1e-5)
    assert {record.metric for record in run.result} >= {"variance_explained"}
    with pytest.raises(UsageError, match="which view is to be drawn"):
        run.translate({"a": np.load(tables[0]), "b": np.load(tables[1])})
    with pytest.raises(DataError, match="no row of the table has 'b', from which 'a' could be drawn"):
        run.translate({"a": np.load(tables[0])}, to="a")
