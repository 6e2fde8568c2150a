"""Both collections are shown alike, each way has its own source and target."""

from dataclasses import replace

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from bouba import ConvNet
from bouba.bench import adaptation, usps
from bouba.errors import DataError

SMALL = ConvNet(size=8, channels=2, augment=None)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """White on black; MNIST's bars lie within a margin, those of USPS fill the square."""
    random = np.random.default_rng(0)

    def bars(n, side, margin):
        y = np.arange(n) // 2 % 2
        x = np.zeros((n, side, side), np.uint8)
        for picture, lies in zip(x, y):
            at = random.integers(margin, side - margin - 1)
            (picture.T if lies else picture)[margin : side - margin, at : at + 2] = random.integers(
                200, 255, (side - 2 * margin, 2)
            )
        return x, y.astype(np.uint8)

    parts = {part: bars(n, 12, 2) for part, n in (("train", 90), ("test", 20))}
    np.savez(tmp_path / "mnist.npz", **{f"{p}_{a}": v for p, xy in parts.items() for a, v in zip("xy", xy)})
    parts = {part: bars(n, 8, 0) for part, n in (("train", 50), ("test", 16))}
    np.savez(tmp_path / "usps.npz", **{f"{a}_{p}": v for p, xy in parts.items() for a, v in zip("xy", xy)})
    monkeypatch.setattr(usps, "REHEARSED", 30)
    monkeypatch.setattr(usps, "REHEARSAL_TEST", 10)
    return tmp_path


def cells(views):
    return {np.asarray(cell).tobytes() for cell in views["image"]}


def test_both_ways_hide_target_labels_and_show_digits_alike(folder):
    task, rehearsal = usps.task(folder), usps.rehearsal(folder)
    assert (task.name, task.target) == ("MNIST -> USPS", "usps")
    assert (rehearsal.name, rehearsal.target) == ("USPS -> MNIST", "mnist")
    for one, targets, sources in ((task, 50, 50), (rehearsal, 30, 25)):
        is_target = one.training.domain == one.target
        assert (is_target.sum(), (~is_target).sum()) == (targets, sources)
        assert set(one.training.y["digit"][is_target]) == {None}
        assert set(one.training.y["digit"][~is_target]) == {"0", "1"}
        train, test = one.on_target(0)
        assert set(train.y["digit"]) == {"0", "1"}
        assert test is one.target_test
        shown = np.concatenate([np.ravel(cell) for cell in one.training["image"]])
        assert np.median(shown) == 255, "dark on white"
    assert (len(task.source_test), len(task.target_test)) == (20, 16)


def test_the_rehearsal_sees_no_row_that_judges_and_no_label_of_a_target_test(folder):
    task, rehearsal = usps.task(folder), usps.rehearsal(folder)
    judges = cells(task.target_test) | cells(task.source_test)
    for views in (rehearsal.training, rehearsal.source_test, rehearsal.target_test):
        assert not cells(views) & judges
    assert not cells(rehearsal.target_test) & cells(rehearsal.training)
    assert not cells(rehearsal.source_test) & cells(rehearsal.training)


def test_cropped_digits_of_both_fill_the_square(folder):
    encoder = usps.LOOKS["cropped, moved"].build({})
    for task in (usps.task(folder), usps.rehearsal(folder)):
        pixels = encoder.prepare(list(task.training["image"]))["pixels"]  # (n, 3, 28, 28)
        dark = pixels.float().mean(1) < 128
        assert (dark.any(1).sum(1).maximum(dark.any(2).sum(1)) >= 26).all()


def test_the_command_end_to_end(folder, monkeypatch):
    moved = replace(SMALL, augment=usps.MOVED)
    methods = usps.rehearsed_methods(SMALL, moved)
    few = {name: methods[name] for name in ("source only", "DANN 0.1", "moved + mix, adversary 0.1")}
    monkeypatch.setattr(usps, "rehearsed_methods", lambda: few)
    monkeypatch.setattr(usps, "METHODS", adaptation.compared_methods(SMALL, {"moved": moved}, ()))
    app = typer.Typer()
    app.command()(usps.command)
    ran = CliRunner().invoke(app, ["--data", str(folder), "--seeds", "1", "--epochs", "2"])
    assert ran.exit_code == 0, ran.output
    begins = [line.split("  ")[0] for line in ran.stdout.splitlines()]
    assert begins[0] == "USPS -> MNIST, one run"
    assert begins[1:4] == list(few)
    for name in (
        "MNIST -> USPS, one run",
        "MNIST -> USPS, chosen by",
        "MNIST -> USPS, percent",
        "trained on the target",
    ):
        assert name in begins


def test_refusals(folder):
    (folder / "usps.npz").unlink()
    with pytest.raises(DataError, match=r"usps.npz does not hold what this bench reads"):
        usps.task(folder)
