"""The bench of multiple features: its folds, gaps and baselines are what they are called, in small."""

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from bouba.bench import mfeat as bench
from bouba.errors import DataError


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """120 rows of 3 classes; each view shows the class through noise of its own."""
    folder, random = tmp_path_factory.mktemp("mfeat"), np.random.default_rng(0)
    y = np.arange(120) % 3
    for view in bench.VIEWS:
        cells = np.eye(3)[y] + 0.5 * random.normal(size=(120, 3))
        np.savetxt(folder / f"mfeat-{view}.csv", np.c_[cells, y], delimiter=",", header="0,1,2,0", comments="")
    return folder


def test_the_files_are_read(folder, tmp_path):
    x, y = bench.numerals(folder)
    assert list(x) == list(bench.VIEWS)
    assert x["fac"].shape == (120, 3)
    assert y.tolist()[:4] == [0, 1, 2, 0]
    with pytest.raises(DataError, match="does not hold mfeat-"):
        bench.numerals(tmp_path)


def test_gaps_take_seven_tenths_and_leave_one():
    there = bench.gaps(20_000, np.random.default_rng(0))
    assert there.any(1).all()
    kept_at_random = 0.3 + 0.7**6 / 6  # one is put back where all were taken
    assert there.mean() == pytest.approx(kept_at_random, abs=0.01)


def test_missing_views_are_left_out_of_late_fusion_and_zero_in_the_other(folder):
    x, y = bench.numerals(folder)
    there = np.zeros((120, 6), bool)
    there[:, 2] = True
    late, zeros = bench._late(x, y, 0), bench._zeros(x, y, 0)
    spoilt = {view: cells if view == "kar" else np.full_like(cells, 7.0) for view, cells in x.items()}
    np.testing.assert_array_equal(late(spoilt, there), late(x, there))
    np.testing.assert_array_equal(zeros(spoilt, there), zeros(x, there))
    alone = bench._logistic().fit(x["kar"], y).predict(x["kar"])
    np.testing.assert_array_equal(late(x, there), alone)


def test_the_command_prints_every_method(folder):
    app = typer.Typer()
    app.command()(bench.command)
    said = CliRunner().invoke(app, ["--data", str(folder), "--seeds", "1", "--folds", "2", "--epochs", "3"])
    assert said.exit_code == 0, said.output
    for method in (*bench.fits(1), "all six views"):
        assert method in said.output
