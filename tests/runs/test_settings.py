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


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        ({"epochs": 0}, "epochs is a whole number from 1 to 1,000,000, got 0"),
        ({"epochs": "2"}, "epochs is a whole number from 1 to 1,000,000, got '2'"),
        ({"epochs": True}, "epochs is a whole number"),
        ({"epochs": 2.0}, "epochs is a whole number"),
        ({"epochs": 10**12}, "epochs is a whole number"),
        ({"dim": 0}, "dim is a whole number from 1 to 100,000, got 0"),
        ({"batch_size": 1}, "batch_size is a whole number from 2 to 100,000,000, got 1"),
        ({"lr": float("nan")}, "lr is a number above 0 and below 1,000, got nan"),
        ({"lr": float("inf")}, "lr is a number above 0"),
        ({"lr": -0.1}, "lr is a number above 0"),
        ({"random_state": -1}, "random_state is a whole number from 0 to 4,294,967,295, got -1"),
        ({"random_state": 2**64}, "random_state is a whole number"),
        ({"holdout": 1}, "holdout is a share from 0 to below 1, got 1"),
        ({"validation": "half"}, "validation is a share from 0 to below 1, got 'half'"),
        ({"recipe": {"arguments": {"lr": "fast"}}}, "lr of a recipe is a number above 0 and below 1,000, got 'fast'"),
        ({"recipe": {"arguments": 3}}, r"\[arguments\] of a recipe is a table of names and values, got 3"),
        ({"recipe": {"towers": ["MLP"]}}, r"\[towers\] of a recipe is a table of names and values, got \['MLP'\]"),
        ({"recipe": {"towers": {"words": "LSTM"}}}, r"\[towers.words\] of a recipe is a table of names"),
        ({"recipe": {"towers": {"words": {"size": 3}}}}, "a table of a recipe lacks encoder; there is CRNN, "),
        (
            {"recipe": {"towers": {"numbers": {"encoder": "MLP", "hidden": "x"}}}},
            "hidden in encoder MLP is a list",
        ),
        (
            {"recipe": {"towers": {"numbers": {"encoder": "MLP", "hidden": ["x"]}}}},
            "each of hidden in encoder MLP",
        ),
        ({"recipe": {"method": 3}}, "method in a recipe is a name in quotes, got 3"),
        ({"recipe": {"objective": {"term": "InfoNCE"}}}, r"objective in a recipe is tables, \[\[objective\]\]"),
        ({"recipe": {"method": "learner", "objective": []}}, r"needs a recipe with an \[\[objective\]\]"),
        (
            {"recipe": {"method": "learner", "objective": [{"term": "InfoNCE", "weight": "x"}]}},
            "weight in .*is a number",
        ),
        (
            {"recipe": {"method": "learner", "objective": [{"term": "InfoNCE", "temperature": "x"}]}},
            "temperature in",
        ),
        ({"recipe": {"fusion": "late"}}, r"\[fusion\] of a recipe is a table"),
        ({"recipe": {"read": {"image": 3}}}, r"image in \[read\] is the name of a column, or a list of names, got 3"),
        ({"recipe": {"fit": {"target": 3}}}, r"target in \[fit\] is the name of a domain, in quotes, got 3"),
        ({"recipe": {"arguments": {"verbose": "x"}}}, "verbose is true or false, got 'x'"),
        ({"recipe": {"arguments": {"towers": "x"}}}, r"towers stands in \[arguments\]"),
        ({"read": {"text": 3}}, "read names columns, and text is 3; give a name or a list of names"),
    ],
    ids=str,
)
def test_what_no_setting_can_be_is_refused_by_its_name_before_anything_is_written(wrong, expected, tmp_path):
    with pytest.raises(UsageError, match=expected):
        Run.fit(TABLE, out=tmp_path / "deep" / "run", **{"read": {"text": "words"}} | wrong)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"epochs = = 3", "is not TOML"),
        (b"\xff\xfe", "is damaged: byte 0 is no UTF-8"),
        (b"x = " + b"[" * 5000 + b"]" * 5000, "is not TOML"),
        (b"[arguments]\nepochs = " + b"9" * 5000, "is not TOML"),
        (b"[arguments]\nepochs = " + b"9" * 500, "epochs of a recipe is a whole number"),
    ],
    ids=["syntax", "not UTF-8", "nesting", "digits", "large"],
)
def test_files_that_are_no_recipe(content, expected, tmp_path):
    (tmp_path / "recipe.toml").write_bytes(content)
    with pytest.raises(UsageError, match=expected):
        Run.fit(TABLE, out=tmp_path / "run", recipe=tmp_path / "recipe.toml")
    with pytest.raises(UsageError, match="is a folder, not a file"):
        Run.fit(TABLE, out=tmp_path / "run", recipe=tmp_path)


def test_one_shrinkage_a_view_is_no_number_out_of_range(tmp_path):
    views = Views({"a": np.random.default_rng(0).normal(size=(30, 3)), "b": np.eye(30)[:, :2]})
    assert Run.fit(views, out=tmp_path / "run", method="cca", ridge=[0.1, 0.5], n_components=2).model.ridge == [
        0.1,
        0.5,
    ]


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
    with pytest.raises(UsageError, match=r"validation is a share from 0 to below 1, got Views\(20"):
        Run.fit(views, out=tmp_path / "run", validation=views)
    with pytest.raises(UsageError, match="clip takes no fusion"):
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
