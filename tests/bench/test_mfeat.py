"""The bench of multiple features: its folds, gaps and baselines are what they are called, in small."""

import numpy as np
import pytest

from bouba.bench import mfeat as bench
from bouba.bench.bits import packed, unpacked
from bouba.errors import DataError
from bouba.evaluation import interval
from bouba.evaluation.fingerprint import fingerprint


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


def test_the_command_measures_every_method(folder, kept_by, monkeypatch):
    arguments = ("--data", folder, "--seeds", 1, "--folds", 2, "--epochs", 3)
    kept = kept_by(bench, *arguments)
    assert kept.environment["data"] == fingerprint(*(folder / f"mfeat-{view}.csv" for view in bench.VIEWS))
    assert [line[0] for line in bench.tables(kept.measured)["accuracy"].lines] == list(bench.fits(1))
    monkeypatch.setattr(bench, "cross_validate", None)  # nothing is measured again
    assert kept_by(bench, *arguments).measured == kept.measured


def test_every_row_is_judged_once_and_gaps_once_a_draw(folder):
    x, y = bench.numerals(folder)
    right = bench.cross_validate(
        lambda x, y, seed: lambda x, present: np.zeros(len(present), int), x, y, folds=3, seed=0
    )
    np.testing.assert_array_equal(right[bench.ALL], [y == 0])
    np.testing.assert_array_equal(right[bench.GAPS], [y == 0] * bench.DRAWS)


def test_intervals_are_over_seeds_and_rows(again):
    """Seeds that agree are no proof of more than their rows."""

    def run(method, seed, share):
        random = np.random.default_rng(seed)
        hits = random.random((bench.DRAWS, 2000)) < share
        right = {bench.ALL: packed(hits[:1]), bench.GAPS: packed(hits)}
        return {"method": method, "seed": seed, "right": right, "draws": bench.DRAWS, "rows": 2000}

    figures = {
        "runs": [run(method, 0, share) | {"seed": s} for method, share in (("a", 0.9), ("b", 0.7)) for s in (0, 1)]
    }
    table = bench.tables(figures)["accuracy"]
    assert table == bench.tables(again(figures))["accuracy"]
    assert [cell.startswith("**") for cell in table.lines[0]] == [False, True, True]
    low, high = map(float, table.lines[0][1].strip("*]").partition(" [")[2].split(", "))
    expected = interval(unpacked(figures["runs"][0]["right"][bench.ALL], 2000).astype(float))
    assert [low, high] == pytest.approx([100 * end for end in expected], abs=0.06)
    mean = 100 * unpacked(figures["runs"][0]["right"][bench.GAPS], bench.DRAWS, 2000).mean()
    assert table.lines[0][2].startswith(f"**{mean:.1f} [")
