import numpy as np
import pytest

from bouba.bench import calibration as bench
from bouba.bench.calibration import measure, scored
from bouba.data import Views


def scores_of(strength, n=240):
    """Scores of n questions among n cells; that of the partner is so much larger."""
    return np.random.default_rng(0).normal(size=(n, n)) + strength * np.eye(n)


@pytest.mark.parametrize("sure", [0.8, 0.9])
@pytest.mark.parametrize("strength", [0.0, 2.0, 9.0])
def test_sets_hold_the_partner_as_often_as_promised_however_good_the_model(sure, strength):
    figures = measure(scores_of(strength), sure, splits=60, seed=0)
    assert figures["coverage"] == pytest.approx(sure, abs=0.03)
    assert figures["splits"] == 60
    assert figures["false alarm"] <= 1 - sure + 0.03
    if strength == 9:
        assert figures["AUROC"] > 0.99
        assert figures["set"] == 1
        assert figures["alarm"] > 0.99
        assert figures["confidence"] < 0.02
    if strength == 0:
        assert figures["AUROC"] == pytest.approx(0.5, abs=0.05)
        assert figures["set"] > 0.7 * sure * 240


def test_a_line_a_direction(monkeypatch, kept_by):
    monkeypatch.setattr(bench, "scored", lambda training, test: {"a->b": scores_of(3.0), "b->a": scores_of(2.0)})
    kept = kept_by(bench, "--sure", 0.8, "--splits", 4, "--seeds", 2)
    [(name, table)] = bench.tables(kept.measured).items()
    assert name == "calibration"
    assert [line[0] for line in table.lines] == ["a->b", "b->a"]
    coverage = np.mean([100 * seed["coverage"] for seed in kept.measured["directions"]["a->b"]])
    assert table.lines[0][1].startswith(f"{coverage:.1f} [")
    assert table.note.startswith("Sets of 80% among 240 cells. Means of 2 models")


def test_a_partner_stands_on_the_diagonal(monkeypatch):
    random = np.random.default_rng(0)
    z = random.normal(size=(120, 5))
    views = Views({"image": z, "en": z @ random.normal(size=(5, 6))})
    monkeypatch.setattr("bouba.bench.calibration.TOWERS", None)
    scores = scored(views[np.arange(80)], views[np.arange(80, 120)])
    assert set(scores) == {"image->en", "en->image"}
    assert (scores["image->en"].argmax(1) == np.arange(40)).mean() > 0.9
