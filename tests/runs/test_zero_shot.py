"""Classes named in words for the rows of a table, from Python and the command line; shards of WebDataset."""

import csv
import io
import json
import tarfile

import numpy as np
import pytest
from made import write_things
from PIL import Image
from typer.testing import CliRunner

from bouba import Run, ZeroShotClassifier
from bouba.cli import _app
from bouba.errors import UsageError
from bouba.evaluation.intervals import interval
from bouba.runs.zero_shot import names_in, templates_in

COLOURS = {"red": (220, 40, 40), "green": (40, 170, 60), "blue": (50, 80, 220), "yellow": (230, 200, 40)}
TEMPLATES = ("{} circle", "a {} square")


def shards(folder, cells, sizes):
    """Archives of pictures and what else is known of each, as open_clip reads them for training and evaluation."""
    folder.mkdir()
    place = 0
    for number, size in enumerate(sizes):
        with tarfile.open(folder / f"{number}.tar", "w") as archive:
            for i in range(place, place + size):
                for ending, cell in cells[i].items():
                    content = io.BytesIO()
                    cell.save(content, "PNG") if ending == "png" else content.write(str(cell).encode())
                    member = tarfile.TarInfo(f"s{i:04d}.{ending}")
                    member.size = content.tell()
                    content.seek(0)
                    archive.addfile(member, content)
        place += size
    return str(folder / "*.tar")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Trained on shards of pictures and captions."""
    folder = tmp_path_factory.mktemp("things")
    with write_things(folder).open() as file:
        rows = [row for row in csv.DictReader(file) if row["photo"] != "thing07.png"]
    cells = [{"png": Image.open(folder / row["photo"]), "txt": row["caption"]} for row in rows]
    towers = {"image": {"encoder": "ConvNet", "size": 16, "channels": 8}, "txt": {"encoder": "NGrams"}}
    return Run.fit(
        shards(folder / "wds", cells, (30, 29)),
        out=folder / "run",
        recipe={"method": "clip", "towers": towers, "arguments": {"epochs": 25, "dim": 16, "batch_size": 30}},
        holdout=0,
        allow_duplicates=True,
    )


def coloured(seed=1, n=40):
    """Pictures of one colour, and its name."""
    random = np.random.default_rng(seed)
    names = [list(COLOURS)[i] for i in random.integers(0, 4, n)]
    return [
        Image.new("RGB", (24, 24), tuple(random.normal(COLOURS[name], 8).clip(0, 255).astype(int))) for name in names
    ], names


def written(folder, name="new.csv", lose=(), *, said=True):
    pictures, names = coloured()
    rows = ["image,txt,colour" if said else "image,colour"]
    for i, (picture, colour) in enumerate(zip(pictures, names, strict=True)):
        picture.save(folder / f"{i}.png")
        caption = [f"a {colour} square"] if said else []
        rows.append(",".join(["" if i in lose else f"{i}.png", *caption, colour]))
    (folder / name).write_text("\n".join(rows))
    return folder / name


def test_definition_and_intervals(run, tmp_path):
    table = written(tmp_path)
    found = run.classify(table, list(COLOURS), label="colour", templates=TEMPLATES, top=2)
    views = run.read(table, label="colour")
    classifier = ZeroShotClassifier(run.model, list(COLOURS), templates=TEMPLATES).fit()
    p = classifier.predict_proba(views)
    assert found.classes == ("blue", "green", "red", "yellow")
    assert [record["class"] for record in found.records] == classifier.predict(views).tolist()
    np.testing.assert_allclose([r["probability"] for r in found.records], p.max(1), atol=1e-6)
    np.testing.assert_allclose([r["probability_2"] for r in found.records], np.sort(p, 1)[:, -2], atol=1e-6)
    right = np.array([r["class"] == truth for r, truth in zip(found.records, views.y["colour"], strict=True)])
    second = np.array([r["class_2"] == truth for r, truth in zip(found.records, views.y["colour"], strict=True)])
    first, both = found.result
    assert (first.metric, both.metric) == ("colour_zero_shot", "colour_zero_shot_top2")
    assert (first.value, both.value) == (right.mean(), (right | second).mean())
    assert (first.chance, both.chance, first.n) == (0.25, 0.5, 40)
    assert (first.low, first.high) == pytest.approx(interval(right.astype(float), groups=views.things, bounds=(0, 1)))
    assert first.value > 0.6  # a colour in a square it never saw


def test_classes_from_labels_missing_cells_and_other_labels(run, tmp_path):
    table = written(tmp_path, lose=(0, 3))
    found = run.classify(table, label="colour", templates=TEMPLATES)
    assert found.classes == ("blue", "green", "red", "yellow")
    assert found.records[3] == {"row": 3} | dict.fromkeys(list(found.records[1])[1:])
    assert found.result.records[0].n == 38
    three = run.classify(table, ["red", "green", "blue"], label="colour", top=1)
    assert three.unnamed == ("yellow",)
    assert three.result.records[0].n == sum(c != "yellow" for c in coloured()[1]) - sum(
        coloured()[1][i] != "yellow" for i in (0, 3)
    )


def test_the_command_with_files_of_names_and_prompts(run, tmp_path):
    table = written(tmp_path)
    (tmp_path / "classnames.txt").write_text("\n".join(COLOURS))
    (tmp_path / "prompts.txt").write_text("{c} circle\na {c} square\n")
    options = ["--classes", str(tmp_path / "classnames.txt"), "--template", str(tmp_path / "prompts.txt")]
    arguments = ["predict", str(run.path), str(table), *options, "--label", "colour", "--top", "2", "--json"]
    result = CliRunner().invoke(_app("predict"), arguments)
    assert result.exit_code == 0, result.output
    facts = json.loads(result.stdout)
    same = run.classify(table, list(COLOURS), label="colour", templates=TEMPLATES, top=2)
    assert facts["rows"] == same.records
    assert facts["result"][0]["value"] == same.result.records[0].value
    shown = CliRunner().invoke(
        _app("predict"), [*arguments[:3], "--classes", "red,green", "-o", str(tmp_path / "o.csv")]
    )
    assert shown.exit_code == 0, shown.output
    assert (tmp_path / "o.csv").read_text().splitlines()[0] == "row,class,probability"
    assert "40 rows" in shown.stdout


def test_evaluation_on_shards(run, tmp_path):
    """Numbers of classes in .cls and no captions, as in CLIP_benchmark; then captions, and names in .json."""
    pictures, names = coloured()
    order = list(COLOURS)
    cells = [{"png": picture, "cls": order.index(name)} for picture, name in zip(pictures, names, strict=True)]
    numbered = shards(tmp_path / "numbered", cells, (25, 15))
    found = run.classify(numbered, order, templates=TEMPLATES, label="cls")
    table = run.classify(written(tmp_path), order, templates=TEMPLATES, label="colour")
    assert [r["class"] for r in found.records] == [r["class"] for r in table.records]
    assert found.result.records[0].value == table.result.records[0].value
    (tmp_path / "numbered" / "nshards.txt").write_text("2")  # as CLIP_benchmark lays its folders out
    folder = run.classify(str(tmp_path / "numbered"), order, templates=TEMPLATES, label="cls")
    assert folder.records == found.records
    cells = [
        {"png": picture, "txt": f"a {name} square", "json": json.dumps({"colour": name})}
        for picture, name in zip(pictures, names, strict=True)
    ]
    said = run.evaluate(shards(tmp_path / "said", cells, (25, 15)), label="colour", templates=TEMPLATES)
    assert said.value(metric="colour_zero_shot", direction="image").value == found.result.records[0].value
    assert {record.direction for record in said} >= {"image->txt", "txt->image"}
    arguments = ["evaluate", str(run.path), str(tmp_path / "said" / "*.tar"), "--label", "colour", "--json"]
    for template in TEMPLATES:
        arguments += ["--template", template]
    result = CliRunner().invoke(_app("evaluate"), arguments)
    assert result.exit_code == 0, result.output
    value = next(r["value"] for r in json.loads(result.stdout) if r["metric"] == "colour_zero_shot")
    assert value == found.result.records[0].value


def test_evaluate_names_classes_where_the_rows_have_no_text(run, tmp_path):
    judged = run.evaluate(written(tmp_path, said=False), label="colour", templates=TEMPLATES)
    found = run.classify(written(tmp_path), label="colour", templates=TEMPLATES)
    assert judged.value(metric="colour_zero_shot").value == found.result.records[0].value


def test_names_and_templates(tmp_path):
    (tmp_path / "names.txt").write_text("sea otter\n\n owl \n")
    assert names_in(["cat, dog", str(tmp_path / "names.txt")]) == ["cat", "dog", "sea otter", "owl"]
    assert templates_in(["a photo of a {}", "a {c}."]) == ["a photo of a {}", "a {}."]


def test_refusals(run, tmp_path):
    table = written(tmp_path)
    with pytest.raises(UsageError, match="two classes or more, got"):
        run.classify(table, ["red"])
    with pytest.raises(UsageError, match="top is a number of classes"):
        run.classify(table, ["red", "blue"], top=0)
    views = run.read(table, ignore="colour")
    with pytest.raises(UsageError, match="name classes, or the column of labels"):
        run.classify(views)
    with pytest.raises(UsageError, match="no label column 'shade'"):
        run.classify(views, ["red", "blue"], label="shade")
    with pytest.raises(UsageError, match="a template needs"):
        run.classify(table, ["red", "blue"], templates=("a drawing",))
