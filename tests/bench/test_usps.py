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
def folder(tmp_path):
    """White on black; MNIST's bars lie within a margin, those of USPS fill the square."""
    random = np.random.default_rng(0)

    def bars(n, side, margin):
        y = np.arange(n) % 2
        x = np.zeros((n, side, side), np.uint8)
        for picture, lies in zip(x, y):
            at = random.integers(margin, side - margin - 1)
            (picture.T if lies else picture)[margin : side - margin, at : at + 2] = random.integers(200, 255)
        return x, y.astype(np.uint8)

    parts = {part: bars(n, 12, 2) for part, n in (("train", 90), ("test", 20))}
    np.savez(tmp_path / "mnist.npz", **{f"{p}_{a}": v for p, xy in parts.items() for a, v in zip("xy", xy)})
    parts = {part: bars(n, 8, 0) for part, n in (("train", 50), ("test", 16))}
    np.savez(tmp_path / "usps.npz", **{f"{a}_{p}": v for p, xy in parts.items() for a, v in zip("xy", xy)})
    return tmp_path


def test_both_ways_have_as_many_rows_and_no_target_label(folder):
    there, back = usps.tasks(folder)
    assert (there.name, there.target, back.name, back.target) == ("MNIST -> USPS", "usps", "USPS -> MNIST", "mnist")
    for task in (there, back):
        is_target = task.training.domain == task.target
        assert is_target.sum() == (~is_target).sum() == 50
        assert set(task.training.y["digit"][is_target]) == {None}
        assert set(task.training.y["digit"][~is_target]) == {"0", "1"}
        train, test = task.on_target(0)
        assert set(train.y["digit"]) == {"0", "1"}
        assert test is task.target_test
    assert (
        (len(there.source_test), len(there.target_test)) == (len(back.target_test), len(back.source_test)) == (20, 16)
    )
    for task in (there, back):
        shown = np.concatenate([np.ravel(cell) for cell in task.training["image"]])
        assert np.median(shown) == 255, "dark on white"


def test_cropped_digits_of_both_fill_the_square(folder):
    encoder = usps.LOOKS["cropped"].build({})
    for task in usps.tasks(folder):
        pixels = encoder.prepare(list(task.training["image"]))["pixels"]  # (n, 3, 28, 28)
        dark = pixels.float().mean(1) < 128
        assert (dark.any(1).sum(1).maximum(dark.any(2).sum(1)) >= 26).all()


def test_the_command_end_to_end(folder, monkeypatch):
    looks = {"moved": replace(SMALL, augment=usps.MOVED)}
    monkeypatch.setattr(usps, "METHODS", adaptation.compared_methods(SMALL, looks))
    app = typer.Typer()
    app.command()(usps.command)
    asked = ["--data", str(folder), "--seeds", "1", "--epochs", "1", "--method", "moved + mix", "--method", "MMD"]
    said = CliRunner().invoke(app, asked)
    assert said.exit_code == 0, said.output
    [header] = [line for line in said.output.splitlines() if line.startswith("target accuracy, percent")]
    assert all(way in header for way in usps.WAYS)
    begins = [line.split("  ")[0] for line in said.output.splitlines()]
    assert [b for b in begins if b in usps.METHODS] == ["source-only", "MMD", "moved + mix"]


def test_refusals(folder):
    (folder / "usps.npz").unlink()
    with pytest.raises(DataError, match=r"usps.npz does not hold what this bench reads"):
        usps.tasks(folder)
