"""The bench measures what it says, in small."""

import numpy as np
import pytest
from made import twin_vectors

from bouba.bench import semi_paired as bench
from bouba.bench.paired import runs_of
from bouba.errors import DataError
from bouba.evaluation.fingerprint import fingerprint

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


def test_command_measures_both_halves(kept_by, monkeypatch):
    monkeypatch.setattr(bench, "frozen_emoji", lambda: twin_vectors(n=150, d=6))
    result = kept_by(bench, "--pairs", 20, "--seeds", 2, "--rows", 24).measured
    recall, far = result.where(metric=bench.RECALL), result.where(metric=bench.FAR)
    assert {(r.method, r.split) for r in recall} == {(name, "20 pairs") for name in bench.METHODS}
    assert {r.method for r in far} == {"SCOT", "GromovWasserstein"}
    assert all(0 <= r.value <= 1 for r in far)
    table = bench.tables(result)["pairs"]
    added = [np.mean([together - r.value for r in recall.where(method="FewPairs", seed=seed)]) for seed, together in
             runs_of(recall, method=bench.TOGETHER).items()]  # fmt: skip
    line = next(line for line in table.lines if line[0] == "FewPairs")
    assert line[2].strip("*").startswith(f"{np.mean(added):.1f} [")
    assert "20 pairs of drawings and captions, the rest unpaired" in table.note


def test_two_arrays_of_your_own_have_no_captions(kept_by, tmp_path):
    a, b = bench.tree(60, seed=3)
    np.savez(tmp_path / "two.npz", a=a, b=b)
    kept = kept_by(bench, "--data", tmp_path / "two.npz", "--seeds", 1, "--rows", 24)
    assert list(bench.tables(kept.measured)) == ["no pair"]
    assert kept.environment["data"] == fingerprint(tmp_path / "two.npz")
    assert {r.domain for r in kept.measured} == {"two"}


def test_data_of_your_own(tmp_path):
    np.savez(tmp_path / "two.npz", first=np.zeros((20, 2, 3)), second=np.ones((20, 4)))
    a, b = bench.drawn(tmp_path / "two.npz", 15, seed=0)
    assert (a.shape, b.shape) == ((15, 6), (15, 4))
    np.savez(tmp_path / "three.npz", a=np.zeros((3, 2)), b=np.zeros((3, 2)), c=np.zeros((3, 2)))
    with pytest.raises(DataError, match="shall hold two arrays of the same rows"):
        bench.drawn(tmp_path / "three.npz", 2, seed=0)
    with pytest.raises(DataError, match=r"is no \.npz file"):
        bench.drawn(tmp_path / "none.npz", 2, seed=0)
