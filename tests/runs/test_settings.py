"""What a caller says is what the run does: zeros overrule, nothing is dropped in silence."""

import numpy as np
import pytest

from bouba import CLIP, GatedFusion, NGrams, Run, Views
from bouba.errors import UsageError
from bouba.runs.composing import composed

pytest.importorskip("lancedb")
pytest.importorskip("plotly")

TABLE = {"words": ["red", "blue", "green", "pink"] * 30, "number": [float(i % 4) for i in range(120)]}


def test_zeros_overrule_a_recipe_and_what_nobody_said_does_not():
    recipe = {"read": {"strict": True, "text": "words"}, "fit": {"validation": 0.2}, "arguments": {"random_state": 3}}
    whole = composed(
        recipe,
        None,
        read={"strict": False, "text": None, "label": []},
        fit={"holdout": 0, "validation": 0, "target": None},
        fusion=None,
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


def test_objects_and_numbers_of_numpy_become_the_recipe(tmp_path):
    run = Run.fit(
        TABLE | {"kind": ["x", "y"] * 60},
        out=tmp_path / "run",
        method="classifier",
        read={"text": np.array(["words"]), "label": ("kind",)},
        towers={"words": NGrams()},
        fusion=GatedFusion(drop=0.2),
        baseline=False,
        epochs=np.int64(1),
        dim=np.int32(4),
        lr=np.float32(0.5),
    )
    assert run.model.towers == {"words": NGrams()}
    assert run.model.fusion == GatedFusion(drop=0.2)
    assert run.recipe["arguments"] == {"epochs": 1, "dim": 4, "lr": 0.5}
    assert run.recipe["read"] == {"text": ["words"], "label": ["kind"], "vector": ["number"]}


def test_what_a_recipe_cannot_say_is_refused_before_anything_is_written(tmp_path):
    views = Views({"a": np.eye(20), "b": np.eye(20)})
    with pytest.raises(UsageError, match="a recipe cannot hold Views"):
        Run.fit(views, out=tmp_path / "run", validation=views)
    with pytest.raises(UsageError, match="clip keeps views apart and takes no fusion"):
        Run.fit(views, out=tmp_path / "run", method=CLIP(fusion=GatedFusion()))
    with pytest.raises(UsageError, match=r"CLIP is a class; give an estimator, CLIP\(\)"):
        Run.fit(views, out=tmp_path / "run", method=CLIP)
    assert not list(tmp_path.iterdir())


def test_settings_that_are_refused_leave_nothing(tmp_path):
    with pytest.raises(UsageError, match="no domain 'shop'"):
        Run.fit(TABLE, out=tmp_path / "run", read={"text": "words"}, target="shop", epochs=1, dim=4)
    assert not list(tmp_path.iterdir())


def test_a_cut_off_run_goes_on_with_its_own_settings_only(tmp_path):
    def stop(line):
        raise KeyboardInterrupt

    options = {"out": tmp_path / "run", "read": {"text": "words"}, "epochs": 1}
    with pytest.raises(KeyboardInterrupt):
        Run.fit(TABLE, dim=4, say=stop, **options)
    written = (tmp_path / "run.part" / "recipe.toml").read_text()
    with pytest.raises(UsageError, match=r"has arguments.dim = 4, not 8; resume with the same"):
        Run.fit(TABLE, dim=8, resume=True, **options)
    assert (tmp_path / "run.part" / "recipe.toml").read_text() == written
    assert Run.fit(TABLE, dim=4, resume=True, **options).recipe["arguments"] == {"epochs": 1, "dim": 4}
