"""The benches of adaptation: what they share, and digits in colour. Their data sets are made here, and small."""

import json
from dataclasses import replace

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from bouba import ConvNet
from bouba.bench import adaptation, mnist_m
from bouba.bench import adaptation_tables as shown
from bouba.bench.adaptation import ON_TARGET, SOURCE_ONLY, Run
from bouba.bench.kept import Keeper, Kept
from bouba.errors import DataError, UsageError
from bouba.evaluation.fingerprint import fingerprint

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


def run(method, right, seed=0, task="a", adapts=False, information=0.0, n=20, source=0.9):
    """A run whose first `right` of n rows are right; every criterion says what `information` is."""
    scores = {"source": source, "entropy": information, "information": information, "proxy a-distance": 0.0}
    return Run(task, method, seed, 2, adapts, np.arange(n) < right, source, scores, 1.5)


def test_every_objective_sees_the_plain_tower_and_every_look_stands_alone_first():
    look = replace(SMALL, crop=True)
    known = adaptation.compared_methods(SMALL, {"cut": look}, ("DANN", "MMD"))
    alone = [SOURCE_ONLY, f"{SOURCE_ONLY}, BatchNorm"]
    assert list(known) == [*alone, "DANN", "MMD", "cut", "cut, BatchNorm", "cut + mix", ON_TARGET]
    assert [name for name, method in known.items() if method.adapts] == ["DANN", "MMD", "cut + mix"]
    assert [known[name].tower.norm for name in alone] == ["group", "batch"]
    assert {known[name].tower for name in ("DANN", "MMD", ON_TARGET)} == {SMALL}
    assert {replace(known[name].tower, norm="batch") for name in known if name.startswith("cut")} == {look}
    assert [name for name, method in known.items() if method.on_target] == [ON_TARGET]


def test_a_run_is_the_same_after_json():
    before = Run("a", "b", 3, 2, True, np.random.default_rng(0).random(21) < 0.5, 0.25, {"dev": 0.5}, 1.5)
    after = Run.from_dict(json.loads(json.dumps(before.to_dict())))
    np.testing.assert_array_equal(after.correct, before.correct)
    assert {**vars(after), "correct": 0} == {**vars(before), "correct": 0}


def test_what_one_run_takes_and_what_labels_of_the_target_would_have():
    runs = [run(SOURCE_ONLY, 5, information=-1), run("cut", 12, information=0.1), run("cut, BatchNorm", 13)]
    runs += [run("DANN", 15, adapts=True, information=0.2), run("mix", 14, adapts=True, information=0.3)]
    picks = shown.Picks.of(runs)
    assert picks == shown.Picks(chosen="mix", source_only=SOURCE_ONLY, preparation="cut, BatchNorm")
    stronger = [*runs, run(f"{SOURCE_ONLY}, BatchNorm", 6)]
    assert shown.Picks.of(stronger).source_only == f"{SOURCE_ONLY}, BatchNorm"
    assert picks.names == [SOURCE_ONLY, "cut, BatchNorm", "mix"]
    lines = {line[0]: line[1:] for line in shown.criteria_table(runs).lines}
    assert lines["information"] == ["0.80", "mix", "70.0", "5.0"]  # ranks 1 2 3 5 4 and 1 3 2 4 5
    assert lines["labels of the target"] == ["1.00", "DANN", "75.0", "0.0"]


def test_definition_of_the_measured_table():
    """The run with seed 0 chooses and is not shown; gains are over rows of the same seeds."""
    runs = [run(SOURCE_ONLY, 5), run("cut", 9), run("mix", 12, adapts=True, information=1.0)]
    for seed, (base, cut, mix) in enumerate([(4, 10, 16), (6, 10, 18)], 1):
        runs += [run(SOURCE_ONLY, base, seed), run("cut", cut, seed), run("mix", mix, seed, adapts=True)]
    runs.append(Run("a", ON_TARGET, 1, 2, False, np.ones(20, bool), None, None, 1.5))
    lines = {line[0]: line[1:] for line in shown.measured_table(runs, "a").lines}
    assert list(lines) == [SOURCE_ONLY, "cut", "mix", ON_TARGET]
    assert [cell.split(" [")[0] for cell in lines["mix"]] == ["85.0", "+60.0", "+35.0", "90.0", "1.5"]
    assert [cell.split(" [")[0] for cell in lines["cut"]] == ["50.0", "+25.0", "", "90.0", "1.5"]
    assert lines[ON_TARGET][0].startswith("100.0")
    assert lines["mix"][1].endswith("p < .001")


def test_definition_of_the_table_by_task():
    runs = []
    for place, task in enumerate("abc"):
        runs += [run(SOURCE_ONLY, 5 + place, task=task), run("cut", 10, task=task, information=place)]
        runs.append(run("cut + mix", 8 + 4 * place, task=task, adapts=True, information=1.5))
    lines = {line[0]: line[1:] for line in shown.by_task_table(runs).lines}
    assert lines["cut + mix"][2:] == ["40", "60", "80"]
    assert lines["cut + mix"][0].startswith("60.0 [")
    assert lines["cut + mix"][1].startswith("+30.0 [")
    assert lines["taken for each by information"][2:] == ["40", "60", "50"]  # mix, mix, cut


def test_the_choice_sees_no_target_label(folder):
    """With wrong target test labels nothing but what is right changes."""
    task = mnist_m.task(folder)
    wrong = np.array(["1" if y == "0" else "0" for y in task.target_test.y["digit"]], object)
    method = adaptation.compared_methods(SMALL, {}, ("DANN",))["DANN"]
    tasks = (task, replace(task, target_test=task.target_test.replace(y={"digit": wrong})))
    one, other = (adaptation.judged(task, "DANN", method, 0, 2) for task in tasks)
    assert one.scores == other.scores
    assert one.source == other.source
    np.testing.assert_array_equal(one.correct, ~other.correct)


def test_the_command_end_to_end_and_continued(folder, tmp_path, monkeypatch):
    looks = {"recoloured": replace(SMALL, augment=mnist_m.RECOLOURED)}
    monkeypatch.setattr(mnist_m, "METHODS", adaptation.compared_methods(SMALL, looks, ("CDAN",)))
    app = typer.Typer()
    app.command()(mnist_m.command)
    options = ["--data", str(folder), "--epochs", "4", "-o", str(tmp_path / "r.json")]
    first = CliRunner().invoke(app, [*options, "--seeds", "1"])
    assert first.exit_code == 0, first.output
    figures = Kept.read(tmp_path / "r.json").measured
    runs = adaptation.runs_in(figures)
    assert {run.epochs for run in runs if run.seed == 0} == {1}
    assert {run.epochs for run in runs if run.seed == 1} == {4}
    picks = shown.Picks.of([run for run in runs if run.seed == 0])
    assert {run.method for run in runs if run.seed == 1} == {*picks.names, ON_TARGET}
    assert [len(run.correct) for run in runs if run.method == ON_TARGET] == [8]
    text = "\n\n".join(table.text() for table in mnist_m.tables(figures).values())
    assert text in first.stdout
    monkeypatch.setattr(adaptation, "fitted", lambda *args: pytest.fail("trained again"))
    again = CliRunner().invoke(app, [*options, "--seeds", "1"])
    assert again.exit_code == 0, again.output
    assert text in again.stdout
    with pytest.raises(UsageError, match=r"r.json holds 'source only' after 1 epochs, not 2; name another with --out"):
        mnist_m.command(folder, seeds=0, epochs=8, out=tmp_path / "r.json")


def test_refusals(folder, tmp_path):
    with pytest.raises(DataError, match=r"none/mnist_m.npz does not hold what this bench reads .* give --data FOLDER"):
        mnist_m.task(tmp_path / "none")
    Keeper(tmp_path / "r.json", fingerprint).write({"rows": 3})
    with pytest.raises(DataError, match=r"r.json is no file of this bench \('runs'\); name another with --out"):
        adaptation.Trainer(tmp_path / "r.json", [])
