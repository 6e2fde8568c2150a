"""The bench of linear CCA: its floor is right, and its figures are about what they name."""

import numpy as np

from bouba.bench import cca as bench


def test_the_floor_is_cca():
    x, y = bench.views(400, 30)
    x0, y0 = x - x.mean(0), y - y.mean(0)
    (u, _, _), (v, _, _) = (np.linalg.svd(z, full_matrices=False) for z in (x0, y0))
    np.testing.assert_allclose(bench.floor(x, y, 5), np.linalg.svd(u.T @ v)[1][:5], atol=1e-10)


def test_all_agree_at_a_small_size(kept_by):
    kept = kept_by(bench, "--rows", 1500, "--columns", 25, "-k", 4, "--repeats", 1)
    libraries = kept.measured["libraries"]
    assert {"floor", "bouba", "scikit-learn"} <= set(libraries)
    assert libraries["bouba"]["differs_by"] < 1e-10
    assert libraries["scikit-learn"]["differs_by"] < 1e-3
    assert libraries["floor"]["ratio"] == 1
    assert kept.environment["data"] == "simulated"
    assert [line[0] for line in bench.tables(kept.measured)["libraries"].lines] == list(libraries)


def test_slow_libraries_are_left_out_and_named(monkeypatch):
    monkeypatch.setattr(bench, "peak_mb", lambda *_, **__: 0.0)
    monkeypatch.setattr(bench, "FITS", {name: bench.FITS[name] for name in ("floor", "scikit-learn")})
    monkeypatch.setitem(bench.MOST_CELLS, "scikit-learn", 100)
    found = bench.measure(rows=100, columns=4, components=2, repeats=1)
    assert found["left_out"] == {"scikit-learn": "too slow at this size"}
    assert bench.tables(found)["libraries"].note.endswith(" scikit-learn was left out: too slow at this size.")
