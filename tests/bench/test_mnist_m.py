"""The benches of adaptation: what they share, and digits in colour. Their data sets are made here, and small."""

import json
from dataclasses import replace

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from bouba import ConvNet
from bouba.bench import adaptation, mnist_m
from bouba.errors import DataError, UsageError
from bouba.evaluation import Record, Result

SMALL = ConvNet(size=8, channels=2, augment=None)


def bars(n, random, side=8):
    """Digits 0 and 1: a bar that stands or lies, white on black, in the order of their classes as in MNIST-M's file."""
    y = np.sort(np.arange(n) % 2)
    x = random.integers(0, 40, (n, side, side)).astype(np.uint8)
    for picture, lies in zip(x, y):
        at = random.integers(1, side - 3)
        (picture.T if lies else picture)[1:-1, at : at + 2] = 250
    return x, y.astype(np.uint8)


def coloured(x):
    """Red on cyan."""
    return np.stack([x, 255 - x, 255 - x], 3)


@pytest.fixture
def folder(tmp_path):
    random = np.random.default_rng(0)
    x, y = bars(80, random)
    target, _ = bars(60, random)
    test_x, test_y = bars(40, random)
    np.savez(
        tmp_path / "mnist_m.npz",
        source_train_x=x,
        source_train_y=y,
        source_test_x=test_x,
        target_train_x=coloured(target),
        target_test_x=coloured(test_x),
        target_test_y=test_y,
    )
    return tmp_path


def record(method, split, value, seed, task="a", metric="accuracy"):
    return Record(method, split, "all", task, metric, value, None, None, 0.1, 10, seed)


def test_the_cut_hides_target_labels_and_keeps_tests_apart(folder):
    task = mnist_m.task(folder)
    is_target = task.training.domain == "mnist-m"
    assert (is_target.sum(), (~is_target).sum(), len(task.source_test), len(task.target_test)) == (60, 72, 8, 40)
    assert set(task.training.y["digit"][is_target]) == {None}
    assert set(task.training.y["digit"][~is_target]) == {"0", "1"}
    assert set(task.source_test.y["digit"]) == {"0", "1"}, "every tenth, so that sorted classes are all there"
    judged = []
    for seed in range(mnist_m.FOLDS):
        train, test = task.on_target(seed)
        cells = {cell.tobytes() for cell in test["image"]}
        assert not cells & {cell.tobytes() for cell in train["image"]}
        judged += cells
    assert len(judged) == len(set(judged)) == 40, "each test digit judges once in five seeds"
    with np.load(folder / "mnist_m.npz") as held:
        seen = {cell.tobytes() for cell in task.training["image"]}
        assert seen.isdisjoint(cell.tobytes() for cell in held["target_test_x"])
        assert seen.isdisjoint(cell.tobytes() for cell in task.source_test["image"])


def test_every_objective_sees_the_plain_tower_and_every_look_stands_alone_first():
    look = replace(SMALL, crop=True)
    known = adaptation.compared_methods(SMALL, {"cut": look})
    assert list(known) == [*adaptation.OBJECTIVES, "cut", "cut + mix", "trained on the target"]
    assert {known[name].tower for name in adaptation.OBJECTIVES} == {SMALL}
    assert known["cut"].tower == known["cut + mix"].tower == look
    assert known["cut"].objective == known["source-only"].objective
    assert [name for name, method in known.items() if method.on_target] == ["trained on the target"]
    assert list(adaptation.chosen(known, ["MMD"])) == ["source-only", "MMD"]
    assert adaptation.chosen(known, None) == known


def test_definition_of_gain_seed_by_seed():
    values = {"source-only": (0.5, 0.7), "DANN": (0.8, 0.9)}
    records = [record(m, "target", v, seed) for m, pair in values.items() for seed, v in enumerate(pair)]
    records += [record(m, "source", 0.97, seed) for m in values for seed in range(2)]
    records += [record(m, "train", 1.5, seed, metric="CPU-minutes") for m in values for seed in range(2)]
    page = adaptation.page(Result(records), values, ["a"], 2, "")
    [line] = [line for line in page.splitlines() if line.startswith("DANN")]
    numbers = [float(cell.split("[")[0]) for cell in line.removeprefix("DANN").split("]")[:2]]
    assert numbers == [85.0, 25.0]
    assert line.split()[-2:] == ["97.0", "1.50"]
    assert "chosen by" not in page


def test_definition_of_the_mean_over_tasks_where_there_are_several():
    records = []
    for place, task in enumerate("abc"):
        records += [record("source-only", "target", 0.1 * place + 0.01 * seed, seed, task) for seed in range(2)]
        records += [record("source-only", "train", 1.0, seed, task, "CPU-minutes") for seed in range(2)]
    page = adaptation.page(Result(records), ["source-only"], list("abc"), 2, "")
    [line] = [line for line in page.splitlines() if line.startswith("source-only")]
    assert line.split()[1] == "10.5"  # mean of 0, 10, 20 and of 1, 11, 21
    assert line.split()[-5:] == ["0.5", "10.5", "20.5", "-", "1.00"]


def test_the_choice_sees_no_target_label(folder):
    """With wrong target test labels everything but the oracle's choice and the measured numbers stays."""
    task = mnist_m.task(folder)
    known = adaptation.chosen(adaptation.compared_methods(SMALL, {}), ["DANN", "own statistics"])
    wrong = np.array(["1" if y == "0" else "0" for y in task.target_test.y["digit"]], object)
    lied = replace(task, target_test=task.target_test.replace(y={"digit": wrong}))
    said = [adaptation.judged(t, known, 0, epochs=2) for t in (task, lied)]
    for by in adaptation.CHOSEN_BY:
        [own], [other] = ([r for r in found if r.method.startswith(f"{by}: ")] for found in said)
        assert own.method == other.method
        assert own.value == pytest.approx(1 - other.value)
    best = [max(r.value for r in found if r.split == "target") for found in said]
    assert [next(r for r in f if r.method.startswith("target labels: ")).value for f in said] == best


def test_the_command_end_to_end(folder, tmp_path, monkeypatch):
    looks = {"colour": replace(SMALL, augment=mnist_m.COLOUR)}
    monkeypatch.setattr(mnist_m, "METHODS", adaptation.compared_methods(SMALL, looks))
    app = typer.Typer()
    app.command()(mnist_m.command)
    asked = ["--data", str(folder), "--seeds", "2", "--epochs", "1", "-o", str(tmp_path / "r.json")]
    asked += ["--method", "CDAN", "--method", "colour + mix", "--method", "trained on the target"]
    said = CliRunner().invoke(app, asked)
    assert said.exit_code == 0, said.output
    records = json.loads((tmp_path / "r.json").read_text())
    where = [(r["method"], r["split"], r["metric"], r["seed"]) for r in records]
    assert len(set(where)) == len(where)
    accuracies = {(r["method"], r["seed"]): r for r in records if r["split"] == "target"}
    assert len(accuracies) == 2 * 4
    assert {r["n"] for (method, _), r in accuracies.items()} == {40, 8}
    assert {r["n"] for (method, _), r in accuracies.items() if method == "trained on the target"} == {8}
    assert sum(r["split"] == "chosen" for r in records) == 2 * 4
    for name in ("CDAN", "colour + mix", "trained on the target", "method chosen by", "information", "target labels"):
        assert name in said.output


def test_refusals(folder, tmp_path):
    with pytest.raises(UsageError, match="no method 'DAN'; did you mean 'DANN'"):
        mnist_m.command(folder, methods=["DAN"])
    with pytest.raises(DataError, match=r"none/mnist_m.npz does not hold what this bench reads .* give --data FOLDER"):
        mnist_m.task(tmp_path / "none")
