"""The bench of MNIST halves: its figures are what they are called, in small."""

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from bouba.bench import mnist_halves as bench
from bouba.errors import DataError, UsageError
from bouba.evaluation.fingerprint import fingerprint


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
    return write_images(tmp_path_factory.mktemp("images") / "mnist.npz")


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


def test_command_writes_every_method(data, kept_by, monkeypatch):
    monkeypatch.setattr(bench, "KERNEL", {**bench.KERNEL, "n_features": 60})
    monkeypatch.setattr(bench, "HIDDEN", (32,))
    kept = kept_by(bench, "--data", data.parent, "--components", 3, "--epochs", 2, "--seeds", 1)
    result = kept.measured
    assert kept.environment["data"] == fingerprint(data)
    assert {record.method for record in result} == {"linear", "kernel", "deep"}
    for method in bench.PAPER:
        held_out = result.value(method=method, metric=bench.HELD_OUT_SUM)
        assert 0.5 < held_out.value < result.value(method=method, metric=bench.TRAINING_SUM).value + 0.5 < 3.5
        assert abs(held_out.chance) < 0.5
        assert result.value(method=method, metric=bench.SECONDS).value > 0
    table = bench.tables(result)["correlations"]
    assert {line[3] for line in table.lines} == {"-"}, "the paper's are of 50 components"
    assert table.note.startswith("Sums of correlations, 3 components, 200 held-out images. One seed.")


def test_refusals(data, tmp_path):
    assert isinstance(run("--data", data.parent, "--method", "kernal").exception, UsageError)
    with pytest.raises(DataError, match=r"none.npz is no .npz file with train_x and test_x"):
        bench.halves(tmp_path / "none.npz")
    np.savez(tmp_path / "other.npz", x=np.eye(2))
    with pytest.raises(DataError, match=r"other\.npz is no \.npz file with train_x and test_x"):
        bench.halves(tmp_path / "other.npz")
