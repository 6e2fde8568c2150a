"""The bench of MNIST halves: its figures are what they are called, in small."""

import json

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from bouba.bench import mnist_halves as bench
from bouba.errors import DataError, UsageError


def write_images(path, n=600):
    """Pictures of 6 x 8 pixels in whose halves the same three numbers show, each in its own way."""
    random = np.random.default_rng(0)

    def images(n):
        shared = random.normal(size=(n, 3))
        sides = [shared @ np.random.default_rng(i).normal(size=(3, 24)) + random.normal(size=(n, 24)) for i in (1, 2)]
        left, right = (side.reshape(n, 6, 4) for side in sides)
        return np.clip(128 + 25 * np.concatenate([left, right], axis=2), 0, 255).astype(np.uint8)

    np.savez(path, train_x=images(n), test_x=images(200))
    return path


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_images(tmp_path_factory.mktemp("images") / "small.npz")


def run(*said):
    app = typer.Typer()
    app.command()(bench.command)
    return CliRunner().invoke(app, [*map(str, said)])


def test_halves_are_cut_in_the_middle(data):
    training, test = bench.halves(data)
    images = np.load(data)["test_x"]
    assert training.modalities == {"left": "vector", "right": "vector"}
    np.testing.assert_allclose(test["left"][3].reshape(6, 4), images[3, :, :4] / 255, atol=1e-7)
    np.testing.assert_allclose(test["right"][3].reshape(6, 4), images[3, :, 4:] / 255, atol=1e-7)


def test_validation_never_sees_the_test_images(data, monkeypatch):
    monkeypatch.setattr(bench, "HELD_OUT", 150)
    training, held_out = bench.halves(data, bench.Judge.validation)
    images = np.load(data)["train_x"]
    assert (len(training), len(held_out)) == (450, 150)
    np.testing.assert_allclose(held_out["left"][0].reshape(6, 4), images[450, :, :4] / 255, atol=1e-7)


def test_correlations_are_those_of_the_columns(data):
    training, test = bench.halves(data)
    model = bench.fit("linear", training, 3, epochs=1, seed=0)
    left, right = model.embed(test).values()
    each = [np.corrcoef(left[:, k], right[:, k])[0, 1] for k in range(3)]
    np.testing.assert_allclose(bench.correlations(model, test), each, atol=1e-5)


def test_command_writes_every_method(data, tmp_path, monkeypatch):
    monkeypatch.setattr(bench, "KERNEL", {**bench.KERNEL, "n_features": 60})
    monkeypatch.setattr(bench, "HIDDEN", (32,))
    out = tmp_path / "found.json"
    result = run("--data", data, "--components", 3, "--epochs", 2, "--out", out)
    assert result.exit_code == 0, result.output
    found = json.loads(out.read_text())
    assert set(found["methods"]) == {"linear", "kernel", "deep"}
    for row in found["methods"].values():
        assert {"held_out", "training", "paper", "cpu_s"} == set(row)
        assert row["paper"] is None, "the paper's are of 50 components"
        assert 0.5 < row["held_out"] < row["training"] + 0.5 < 3.5
    assert abs(found["chance"]) < 0.5
    assert "3 correlations" in result.output


def test_refusals(data, tmp_path):
    assert isinstance(run("--data", data, "--method", "kernal").exception, UsageError)
    with pytest.raises(DataError, match=r"none.npz is no .npz file with train_x and test_x"):
        bench.halves(tmp_path / "none.npz")
    np.savez(tmp_path / "other.npz", x=np.eye(2))
    with pytest.raises(DataError, match=r"other\.npz is no \.npz file with train_x and test_x"):
        bench.halves(tmp_path / "other.npz")
