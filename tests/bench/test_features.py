"""The bench of closed-form alignment: what is counted, which rows go together, and data that somebody may have."""

import json

import numpy as np
import pytest
import typer
from scipy.io import savemat
from typer.testing import CliRunner

from bouba.bench import features
from bouba.bench.kept import Kept
from bouba.errors import DataError


def domain(seed, n=60, moved=0.0):
    random = np.random.default_rng(seed)
    y = np.arange(n) % 2
    return random.normal(size=(n, 4)) + 3 * y[:, None] * np.array([1, 0, 0, 0]) + moved, y.astype(str)


@pytest.fixture(autouse=True)
def few(monkeypatch):
    monkeypatch.setattr(features, "ALIGNERS", {"nothing": None, "TCA(2)": features.TCA(2)})
    monkeypatch.setattr(features, "SCALED_TOGETHER", {"scaled together": None})


def test_definition_each_domain_is_standardised_by_itself_and_target_labels_only_judge():
    source, (x, y) = domain(0), domain(1, moved=50.0)
    right = features.answers(source, (x, y))
    assert list(right)[:5] == ["nothing, SVM", "nothing, 1-NN", "TCA(2), SVM", "TCA(2), 1-NN", "scaled together, SVM"]
    assert right["nothing, SVM"].mean() > 0.9
    assert right["scaled together, SVM"].mean() < 0.6
    wrong = features.answers(source, (x, np.where(y == "0", "1", "0")))
    for name, rows in right.items():
        np.testing.assert_array_equal(wrong[name], ~rows)


def test_definition_of_the_table():
    """Two kinds: of one the tasks have rows of their own, of the other the same things, drawn together."""
    pairs = [(domain(0), domain(1)), (domain(2), domain(3))]
    apart, together = features.Kind("apart", pairs), features.Kind("together", pairs, same_things=True)
    figures = features.measure([apart, together])
    rows = [features.answers(*pair)["TCA(2), SVM"] for pair in pairs]
    for kind, values in (("apart", np.concatenate(rows)), ("together", np.mean(rows, 0))):
        mean, error = figures["TCA(2), SVM"][kind]["accuracy"]
        assert mean == pytest.approx(100 * values.mean())
        assert error == pytest.approx(100 * values.std(ddof=1) / np.sqrt(len(values)))
    table = features.tables(json.loads(json.dumps(figures)))["features"]
    assert table.header == ["accuracy, percent", "apart", "together", "mean", "ahead of nothing, SVM"]
    [line] = [line for line in table.lines if line[0] == "TCA(2), SVM"]
    assert float(line[3].split(" ")[0]) == pytest.approx(100 * np.mean(rows), abs=0.06)
    base = np.mean([features.answers(*pair)["nothing, SVM"] for pair in pairs])
    assert float(line[4].split(" ")[0]) == pytest.approx(100 * (np.mean(rows) - base), abs=0.06)
    assert table.lines[0][4] == ""


def test_office_caltech_is_read_where_somebody_has_it(tmp_path):
    folder = tmp_path / "office-caltech"
    assert features.office_caltech(folder) == []
    folder.mkdir()
    x, y = domain(0)
    savemat(folder / "amazon_SURF_L10.mat", {"fts": x, "labels": y.astype(int)[:, None]})
    np.savez(folder / "webcam.npz", fts=x[:8] + 1, labels=y[:8].astype(int))
    amazon, webcam = features.office_caltech(folder)
    np.testing.assert_allclose(amazon[0], x)
    assert amazon[1].tolist() == y.astype(int).tolist()
    assert webcam[0].shape == (8, 4)
    np.savez(folder / "x.npz", features=x)
    with pytest.raises(DataError, match=r"x.npz .*give --data FOLDER|x.npz has no features"):
        features.office_caltech(folder)


def test_spectrum_of_a_tone_stands_in_its_band():
    wave = 1000 * np.sin(2 * np.pi * np.arange(4000) * 1000 / 8000)
    bands = features.log_spectrum(wave).reshape(features.BANDS, features.TIMES)
    assert set(bands[:, 1:-1].argmax(0)) <= {7, 8}  # 1000 of 4000 Hz: the border between bands 7 and 8 of 32
    assert bands.shape == (32, 8)


def test_the_command_end_to_end(tmp_path, monkeypatch):
    monkeypatch.setattr(features, "kinds", lambda folder: [features.Kind("made", [(domain(0), domain(1))])])
    app = typer.Typer()
    app.command()(features.command)
    for name in features.FILES:
        (tmp_path / name).write_bytes(b"0")
    ran = CliRunner().invoke(app, ["--data", str(tmp_path), "--out", str(tmp_path / "f.json")])
    assert ran.exit_code == 0, ran.output
    held = Kept.read(tmp_path / "f.json")
    assert ran.output.rstrip() == features.tables(held.measured)["features"].text()
