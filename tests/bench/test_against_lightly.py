"""The contest with lightly: our side meets the formulas that judge, and the judge sees an error."""

import pytest

from bouba.bench.against import lightly


@pytest.mark.parametrize("loss", lightly.FORMULAS)
def test_our_side_meets_the_formula(loss, monkeypatch):
    monkeypatch.setattr(lightly, "ROWS", 40)
    monkeypatch.setattr(lightly, "WIDTH", 6)
    arrays = lightly.batch(0, None, loss=loss)
    shown = {name: arrays[name] for name in ("z", "twin")}
    answers = lightly.ours(shown, loss=loss)
    assert lightly.error(arrays, answers) < 20
    assert lightly.error(arrays, answers | {"value": 1.001 * answers["value"]}) == pytest.approx(1000, rel=0.05)
    assert lightly.error(arrays, answers | {"gradient": 1.1 * answers["gradient"]}) == pytest.approx(1e5, rel=0.05)


def test_each_contest_has_a_function_on_their_side():
    theirs = (lightly.Path(lightly.__file__).parent / "theirs" / "lightly.py").read_text(encoding="utf-8")
    for contest in lightly.PEER.contests:
        assert f"\ndef {contest.function}(arrays)" in theirs
