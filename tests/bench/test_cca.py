"""The bench of linear CCA: its floor is right, and its figures are about what they name."""

import numpy as np

from bouba.bench import cca as bench


def test_the_floor_is_cca():
    x, y = bench.views(400, 30)
    x0, y0 = x - x.mean(0), y - y.mean(0)
    (u, _, _), (v, _, _) = (np.linalg.svd(z, full_matrices=False) for z in (x0, y0))
    np.testing.assert_allclose(bench.floor(x, y, 5), np.linalg.svd(u.T @ v)[1][:5], atol=1e-10)


def test_all_agree_at_a_small_size():
    found = bench.measure(rows=1500, columns=25, components=4, repeats=1)
    assert {"floor", "bouba", "scikit-learn"} <= set(found["libraries"])
    assert found["libraries"]["bouba"]["differs_by"] < 1e-10
    assert found["libraries"]["scikit-learn"]["differs_by"] < 1e-3
    assert found["libraries"]["floor"]["ratio"] == 1


def test_slow_libraries_are_left_out_and_named(monkeypatch):
    monkeypatch.setattr(bench, "peak_mb", lambda *_, **__: 0.0)
    monkeypatch.setattr(bench, "FITS", {name: bench.FITS[name] for name in ("floor", "scikit-learn")})
    monkeypatch.setitem(bench.MOST_CELLS, "scikit-learn", 100)
    found = bench.measure(rows=100, columns=4, components=2, repeats=1)
    assert found["left_out"] == {"scikit-learn": "too slow at this size"}
