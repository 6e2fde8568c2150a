"""What a caller says is what the run does: zeros overrule, nothing is dropped in silence."""

import pytest

from bouba import Run
from bouba.errors import UsageError
from bouba.runs.fitting import completed

pytest.importorskip("lancedb")
pytest.importorskip("plotly")

TABLE = {"words": ["red", "blue", "green", "pink"] * 30, "number": [float(i % 4) for i in range(120)]}


def test_zeros_overrule_a_recipe_and_what_nobody_said_does_not():
    recipe = {"read": {"strict": True, "text": "words"}, "fit": {"validation": 0.2}, "arguments": {"random_state": 3}}
    whole = completed(
        recipe,
        read={"strict": False, "text": None, "label": []},
        fit={"holdout": 0, "validation": 0, "target": None},
        arguments={"random_state": 0, "epochs": None},
    )
    assert whole["read"] == {"strict": False, "text": "words"}
    assert whole["fit"] == {"holdout": 0}
    assert whole["arguments"] == {"random_state": 0}


def test_no_row_is_held_out_when_the_share_is_zero(tmp_path):
    run = Run.fit(TABLE, out=tmp_path / "run", read={"text": "words"}, holdout=0, epochs=1, dim=4)
    assert run.result is None
    assert run.recipe["fit"] == {"holdout": 0}


@pytest.mark.parametrize("wrong", [{"epochs": 0}, {"batch_size": 0}])
def test_zeros_are_refused_where_they_mean_nothing(wrong, tmp_path):
    with pytest.raises(UsageError, match="epochs must be 1 or more and batch_size 2"):
        Run.fit(TABLE, out=tmp_path / "run", read={"text": "words"}, **{"epochs": 1, "dim": 4} | wrong)
