"""The bench measures what it says, in small."""

import json

import numpy as np
import pytest
import typer
from made import twin_vectors
from typer.testing import CliRunner

from bouba.bench import semi_paired as bench
from bouba.errors import DataError

pytest.importorskip("ot")


def test_single_cells_have_no_partner_and_none_is_lost():
    views = twin_vectors(n=30, d=3)
    cut = bench.single_cells(views, 10, seed=0)
    present = np.stack([cut.present["left"], cut.present["right"]])
    assert present.sum(0).tolist() == [2] * 10 + [1] * 40
    for name in ("left", "right"):
        cells = np.stack([cut[name][row] for row in np.flatnonzero(cut.present[name])])
        before = np.stack([views[name][row] for row in range(30)])
        assert np.array_equal(cells[:10], before[:10])
        assert np.array_equal(np.sort(cells, axis=0), np.sort(before, axis=0))


def test_command_measures_both_halves(tmp_path, monkeypatch):
    monkeypatch.setattr(bench, "frozen_emoji", lambda: twin_vectors(n=150, d=6))
    app = typer.Typer()
    app.command()(bench.command)
    options = ["--pairs", "20", "--seeds", "1", "--rows", "40", "--out", str(tmp_path / "figures.json")]
    result = CliRunner().invoke(app, options)
    assert result.exit_code == 0, result.output
    assert "20 pairs, the rest unpaired" in result.output
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert figures["recall@10"].keys() == set(bench.METHODS)
    assert figures["foscttm"].keys() == {"SCOT", "GromovWasserstein"}
    assert all(0 <= values[0] <= 1 for values in figures["foscttm"].values())


def test_data_of_your_own(tmp_path):
    np.savez(tmp_path / "two.npz", first=np.zeros((20, 2, 3)), second=np.ones((20, 4)))
    a, b = bench.drawn(tmp_path / "two.npz", 15, seed=0)
    assert (a.shape, b.shape) == ((15, 6), (15, 4))
    np.savez(tmp_path / "three.npz", a=np.zeros((3, 2)), b=np.zeros((3, 2)), c=np.zeros((3, 2)))
    with pytest.raises(DataError, match="shall hold two arrays of the same rows"):
        bench.drawn(tmp_path / "three.npz", 2, seed=0)
    with pytest.raises(DataError, match=r"is no \.npz file"):
        bench.drawn(tmp_path / "none.npz", 2, seed=0)
