"""What the documents tell a reader to type does what they say."""

from __future__ import annotations

import csv
import re
import shlex
import sys
import tomllib
import types
import warnings
from pathlib import Path

import numpy as np
import pytest

HOME = Path(__file__).parent.parent
PAGES = [*HOME.glob("*.md"), *HOME.glob("docs/*.md"), *HOME.glob("docs/zh/*.md")]
IN_CHINESE = (
    "index", "idea", "which", "table", "python", "install", "align", "fuse", "transfer", "adapt", "articles", "glossary"
)  # fmt: skip
BLOCK = re.compile(r"(<!-- skip(?:: [^\n]*)? -->\n)?^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(name: str, language: str) -> list[str]:
    """The code blocks of a document in one language, without those that a comment <!-- skip: why --> stands before."""
    text = (HOME / name).read_text(encoding="utf-8")
    return [code for skip, of, code in BLOCK.findall(text) if of == language and not skip]


def run(name: str, monkeypatch) -> dict:
    """All Python blocks of a document from top to bottom, as one module; the names they leave behind."""
    module = types.ModuleType("page_" + re.sub(r"\W", "_", name))
    monkeypatch.setitem(sys.modules, module.__name__, module)
    found = blocks(name, "python")
    assert found, f"{name} has no Python block"
    for number, code in enumerate(found, 1):
        exec(compile(code, f"<{name}, Python block {number}>", "exec"), vars(module))
    return vars(module)


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with what the README supposes: things.csv, things_test.csv, their pictures, a picture to ask."""
    from PIL import Image, ImageDraw

    (tmp_path / "pictures").mkdir()
    colours = {"red": (220, 40, 40), "green": (40, 170, 60), "blue": (40, 70, 220), "yellow": (230, 200, 40)}
    rows = []
    for number in range(72):
        colour, kind = list(colours)[number % 4], ("circle", "square", "bar")[number // 4 % 3]
        style, size = ("photo", "sketch")[number // 12 % 2], ("small", "big")[number // 24 % 2]
        side = 14 if size == "small" else 22
        box = (4, 4, 4 + side, 4 + (side if kind != "bar" else 5))
        picture = Image.new("RGB", (32, 32), "white")
        draw = ImageDraw.Draw(picture)
        paint = {"fill": colours[colour]} if style == "photo" else {"outline": colours[colour], "width": 2}
        (draw.ellipse if kind == "circle" else draw.rectangle)(box, **paint)
        picture.save(tmp_path / "pictures" / f"{number}.png")
        rows.append([f"pictures/{number}.png", f"a {size} {colour} {kind} on white", kind, style])
    picture.save(tmp_path / "query.png")
    for name, part in (("things.csv", rows), ("things_test.csv", rows[36:])):
        with (tmp_path / name).open("w", newline="") as file:
            csv.writer(file).writerows([["picture", "caption", "kind", "style"], *part])
    _write_holes(tmp_path, rows)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _write_holes(folder: Path, rows: list[list[str]]) -> None:
    """What docs/fuse.md supposes: holes.csv and holes_new.csv, a third of the cells and half of the labels empty."""
    random = np.random.default_rng(0)
    whole = [["picture", "caption", "weight", "height", "kind", "colour"]]
    for picture, caption, kind, _ in rows * 2:
        size, colour = caption.split()[1:3]
        cells = [picture, caption, f"{2 + 6 * (size == 'big') + random.random():.1f}", f"{random.random():.2f}"]
        kept = [cell if random.random() < 2 / 3 else "" for cell in cells]
        whole.append(kept + [label if random.random() < 0.5 else "" for label in (kind, colour)])
    for name, part in (("holes.csv", whole), ("holes_new.csv", [row[:4] for row in whole[:30]])):
        with (folder / name).open("w", newline="") as file:
            csv.writer(file).writerows(part)


def command(line: str, monkeypatch) -> None:
    """One `bouba ...` line as the shell would run it."""
    from bouba.cli import main

    monkeypatch.setattr(sys, "argv", shlex.split(line))
    with pytest.raises(SystemExit) as end:
        main()
    assert not end.value.code, f"{line!r} ended with {end.value.code}"


def test_the_programs_of_the_readme_print_what_stands_beside_them(monkeypatch, capsys):
    run("README.md", monkeypatch)
    printed = capsys.readouterr().out.split("value [low, high] (chance)")[1:]
    said = re.findall(r"^# (.+)$", "\n".join(blocks("README.md", "python")), re.MULTILINE)
    assert len(printed) == len(said) == 4
    for comment, table in zip(said, printed, strict=True):
        figures = re.findall(r"(0\.\d{3}) \[(0\.\d{3}), (0\.\d{3})\]", comment)
        seen = [float(value) for value in re.findall(r"(0\.\d{3}) \[", table)]
        assert figures
        for value, low, high in figures:  # sums of floats differ from machine to machine, and so do steps
            assert any(float(low) <= figure <= float(high) for figure in seen), (value, table)


def test_the_commands_of_the_readme_run(here, monkeypatch, capsys):
    for extra in ("lancedb", "plotly"):
        pytest.importorskip(extra)
    for line in (line for code in blocks("README.md", "bash") for line in code.splitlines()):
        line = re.sub("^bouba serve (.*) --open$", r"bouba search \1 'a red circle'", line)  # tests/serve, tests/page
        command(line + (" --epochs 2" if line.startswith("bouba fit") else ""), monkeypatch)
    assert "red circle" in capsys.readouterr().out


def test_the_python_of_python_runs(here, monkeypatch, capsys):
    names = run("docs/python.md", monkeypatch)
    assert "recall@10" in capsys.readouterr().out
    assert (names["same"].embed(names["test"])["picture"] == names["model"].embed(names["test"])["picture"]).all()


def test_the_commands_of_table_run(here, monkeypatch, capsys):
    pytest.importorskip("lancedb")
    pytest.importorskip("plotly")
    lines = [line for code in blocks("docs/table.md", "bash") for line in code.splitlines()]
    assert {line.split()[1] for line in lines} == {
        "inspect", "fit", "predict", "explain", "evaluate", "search", "translate"
    }  # fmt: skip
    for line in lines:
        short = " --epochs 2" if line.startswith("bouba fit") else ""
        command(line + short, monkeypatch)
    out = capsys.readouterr().out
    assert "72 rows" in out
    assert "small red circle" in out
    for run_folder in ("mine", "adapted", "kind"):
        assert (here / "runs" / run_folder / "report.html").stat().st_size > 10_000


def test_both_readmes_tell_the_same():
    for language in ("python", "bash", "text"):
        english, chinese = blocks("README.md", language), blocks("README.zh.md", language)
        assert [_bare(code) for code in english] == [_bare(code) for code in chinese]


def test_the_readme_is_short():
    for name in ("README.md", "README.zh.md"):
        assert len((HOME / name).read_text(encoding="utf-8").splitlines()) <= 150


@pytest.mark.parametrize("page", IN_CHINESE)
def test_a_chinese_page_holds_what_its_english_one_does(page):
    english, chinese = (HOME / "docs" / folder / f"{page}.md" for folder in ("", "zh"))
    english, chinese = english.read_text(encoding="utf-8"), chinese.read_text(encoding="utf-8")
    codes = [[(of, _bare(code)) for _, of, code in BLOCK.findall(text)] for text in (english, chinese)]
    assert codes[0] == codes[1]
    headings, tables = (
        [re.findall(pattern, BLOCK.sub("", text), re.MULTILINE) for text in (english, chinese)]
        for pattern in (r"^(#+) ", r"^(<!-- table: .* -->|\|)")
    )
    assert headings[0] == headings[1]
    assert tables[0] == tables[1]  # generated ones by name, others by their number of lines


def test_every_chinese_page_has_an_english_one():
    assert {page.stem for page in HOME.glob("docs/zh/*.md")} == set(IN_CHINESE)


def _bare(code: str) -> list[str]:
    """Lines without comments."""
    return [line.split("  #")[0] for line in code.splitlines()]


@pytest.mark.parametrize("number", [0, 1, 2])
def test_the_recipes_build(number, here, monkeypatch):
    import bouba
    from bouba.runs.recipe import build, check_recipe

    recipe = tomllib.loads(blocks("docs/recipes.md", "toml")[number])
    check_recipe(recipe)
    model = build(recipe, epochs=1)
    views = bouba.read("things.csv", **recipe["read"])
    model.fit(views, **recipe.get("fit", {}))
    assert set(model.specs_) == {"picture", "caption"}
    if number == 0:
        assert isinstance(model, bouba.CLIP)
        assert model.towers["picture"] == bouba.ConvNet(size=48, channels=24)
    elif number == 2:
        assert (model.fusion, model.weights) == (bouba.GatedFusion(drop=0.3), {"kind": 2.0})
        assert set(model.predict(views)) == {"kind", "style"}
    else:
        said = bouba.InfoNCE() + 0.3 * bouba.DomainAdversarial(views=("picture",))
        assert model.objective == said


@pytest.mark.slow  # 134 million weights, for six steps: 60 CPU-seconds, 4 GB
def test_resnet50_and_bert_learn_from_scratch(here):
    import bouba
    from bouba.runs.recipe import build

    recipe = tomllib.loads(blocks("docs/recipes.md", "toml")[3])
    views = bouba.read("things.csv", **recipe["read"])[:16]
    model = build(recipe, epochs=6, batch_size=16).fit(views)
    networks = {view: tower.encoder.backbone.model for view, tower in model.module_.towers.items()}
    assert {view: type(network).__name__ for view, network in networks.items()} == {
        "picture": "ResNetModel",
        "caption": "BertModel",
    }
    sizes = {view: sum(p.numel() for p in network.parameters()) / 1e6 for view, network in networks.items()}
    assert sizes["picture"] == pytest.approx(23.5, abs=0.1)
    assert sizes["caption"] > 85  # and its subwords, learnt from the table
    losses = [epoch["loss"] for epoch in model.history_]
    assert np.isfinite(losses).all()
    assert losses[-1] < losses[0]


def test_the_python_of_the_recipes_runs(monkeypatch):
    run("docs/recipes.md", monkeypatch)


def test_the_python_of_align_runs(monkeypatch, tmp_path):
    pytest.importorskip("lancedb")
    monkeypatch.chdir(tmp_path)
    run("docs/align.md", monkeypatch)


def test_the_python_and_the_commands_of_omics_run(tmp_path, monkeypatch, capsys):
    for extra in ("mudata", "anndata", "pandas", "lancedb", "plotly"):
        pytest.importorskip(extra)
    import pandas as pd

    monkeypatch.chdir(tmp_path)
    with warnings.catch_warnings(), pd.option_context("future.infer_string", False):
        warnings.simplefilter("ignore", FutureWarning)
        names = run("docs/omics.md", monkeypatch)
        for line in (line for code in blocks("docs/omics.md", "bash") for line in code.splitlines()):
            if line.startswith("bouba"):
                command(line, monkeypatch)
    assert len(names["found"]) == 2
    assert re.search(r"meth +vector +200 +100 +60 numbers", capsys.readouterr().out)
    assert "Given back" in (tmp_path / "runs" / "cohort" / "report.html").read_text(encoding="utf-8")


def test_the_python_and_the_recipe_of_smaller_run(monkeypatch, tmp_path):
    pytest.importorskip("lancedb")
    from bouba import InfoNCE, Nested
    from bouba.runs.recipe import build

    monkeypatch.chdir(tmp_path)
    names = run("docs/smaller.md", monkeypatch)
    assert names["small"].kinds_ == {"left": "vector", "right": "vector"}
    (recipe,) = blocks("docs/smaller.md", "toml")
    assert build(tomllib.loads(recipe)).objective.terms == ((1.0, Nested(InfoNCE(temperature=0.05))),)


class Recorder:
    """A stand-in for a tracker's library and whatever it makes: it keeps what is called."""

    def __init__(self):
        self.calls = []

    def __getattr__(self, name):
        def called(*values, **named):
            self.calls.append((name, values, named))
            return self

        return self if name == "summary" else called


@pytest.mark.parametrize("adapter", ["WandB", "MLflow", "TensorBoard", "Trackio"])
def test_trackers_of_ten_lines_hear_of_epochs_and_numbers(adapter, monkeypatch):
    from bouba.evaluation import Record, Result

    library = Recorder()
    for module in ("wandb", "mlflow", "trackio", "torch.utils.tensorboard"):
        monkeypatch.setitem(sys.modules, module, library)
    tracker = run("docs/tracking.md", monkeypatch)[adapter](*[] if adapter == "WandB" else ["things"])
    tracker.epoch({"epoch": 2, "loss": 0.5})
    shared = {"method": "clip", "split": "test", "domain": None, "low": None, "high": None, "chance": None, "n": 9}
    tracker.result(Result([Record(**shared, direction="a->b", metric="recall@10", value=0.75)]))
    told = repr(library.calls)
    assert "'loss'" in told
    assert "clip a to b recall at 10" in told
    assert "0.75" in told
    assert library.calls[-1][0] in ("finish", "end_run", "close")


def test_the_python_of_evaluation_runs(monkeypatch):
    run("docs/evaluation.md", monkeypatch)


def test_the_python_of_fuse_runs(monkeypatch):
    run("docs/fuse.md", monkeypatch)


def test_the_python_of_adapt_runs(monkeypatch):
    names = run("docs/adapt.md", monkeypatch)
    plain, adapted = ((names[m].predict(names["there"])) for m in ("plain", "dann"))
    truth = names["y_target"]
    assert (adapted == truth).mean() > (plain["kind"] == truth).mean() + 0.1


def test_the_commands_of_adapt_run(here, monkeypatch):
    pytest.importorskip("lancedb")
    pytest.importorskip("plotly")
    for code in blocks("docs/adapt.md", "bash"):
        for line in code.splitlines():
            command(line + (" --epochs 2 --dim 16" if line.startswith("bouba fit") else ""), monkeypatch)
    assert (here / "runs" / "dann" / "diagnosis.json").exists()


def test_the_python_of_articles_runs_and_its_table_holds(monkeypatch):
    for extra in ("transformers", "scipy"):
        pytest.importorskip(extra)
    measured = run("docs/articles.md", monkeypatch)["measured"]
    text = (HOME / "docs" / "articles.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (.+) \| (-?\d+\.\d\d) \|$", text.split("## Measured")[1], re.MULTILINE)
    assert [name for name, _ in rows] == list(measured)
    for name, written in rows:  # sums differ by thread and processor
        assert measured[name] == pytest.approx(float(written), abs=0.08, rel=0.05), name


def test_the_python_of_transfer_runs(monkeypatch):
    names = run("docs/transfer.md", monkeypatch)
    spread = [names[m].translate(names["views"][:50], n=8).std(1).mean(0)[0] for m in ("flow", "average")]
    assert spread[0] > 1.0  # two answers 4 apart
    assert spread[1] < 1e-6
    assert names["filled"].imputed["b"].sum() == 100


def test_the_commands_of_transfer_run(here, monkeypatch):
    pytest.importorskip("lancedb")
    pytest.importorskip("plotly")
    (code,) = blocks("docs/transfer.md", "bash")
    for line in code.splitlines():
        command(line + (" --epochs 2 --dim 8" if line.startswith("bouba fit") else ""), monkeypatch)
    assert '<section id="made">' in (here / "runs" / "drawn" / "report.html").read_text(encoding="utf-8")
    assert len(list((here / "drawn").glob("*.png"))) == 72


def test_the_commands_of_fuse_run(here, monkeypatch, capsys):
    pytest.importorskip("lancedb")
    pytest.importorskip("plotly")
    lines = [line for code in blocks("docs/fuse.md", "bash") for line in code.splitlines()]
    assert {line.split()[1] for line in lines} == {"inspect", "fit", "predict", "explain", "evaluate"}
    for line in lines:
        short = " --epochs 2 --dim 16" if line.startswith("bouba fit") else ""
        command(line + short, monkeypatch)
    with (here / "predictions.csv").open(encoding="utf-8") as file:
        found = list(csv.DictReader(file))
    assert {row["kind"] for row in found} <= {"circle", "square", "bar"}
    assert "Shapley values" in capsys.readouterr().out


def test_the_commands_and_the_python_of_sharing_run(here, monkeypatch, capsys):
    for extra in ("lancedb", "plotly", "onnxruntime", "huggingface_hub"):
        pytest.importorskip(extra)
    lines = [line for code in blocks("docs/sharing.md", "bash") for line in code.splitlines()]
    for line in lines:
        command(line, monkeypatch)
    out = capsys.readouterr().out
    assert "difference [95%]" in out
    assert "would go to hf://me/things; nothing was sent" in out
    assert (here / "compared.html").stat().st_size > 1000
    assert (here / "card.md").read_text().startswith("---")
    done = run("docs/sharing.md", monkeypatch)["done"]
    assert done.views == {"picture": "picture.onnx", "caption": "caption.onnx"}


@pytest.mark.parametrize("page", sorted(str(page.relative_to(HOME)) for page in PAGES))
def test_links_lead_somewhere(page):
    file = HOME / page
    for target in re.findall(r"\]\(([^)#:]+)\)", file.read_text(encoding="utf-8")):
        assert (file.parent / target).exists(), f"{file.name} links to {target}, which is not there"


def test_the_python_of_tune_runs(monkeypatch, tmp_path, capsys):
    pytest.importorskip("optuna")
    pytest.importorskip("lancedb")
    monkeypatch.chdir(tmp_path)
    names = run("docs/tune.md", monkeypatch)
    assert names["run"].study.why in capsys.readouterr().out


def test_the_python_of_encoders_runs(monkeypatch, tmp_path):
    from bouba import Pooled

    monkeypatch.chdir(tmp_path)
    assert isinstance(run("docs/encoders.md", monkeypatch)["tower"], Pooled)
