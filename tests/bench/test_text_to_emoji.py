"""The bench holds concepts out, judges what was made by an aligner trained apart, and draws a grid."""

import json

import numpy as np
import pytest
import typer
from PIL import Image
from typer.testing import CliRunner

from bouba.bench import text_to_emoji
from bouba.data import samples
from bouba.errors import UsageError
from bouba.evaluation import Record, Result

FEW = ("red heart", "cat face")


@pytest.fixture
def small(monkeypatch):
    """Sixty concepts, one pass of every method, an aligner of them."""
    whole = samples.emoji

    def few(**given):
        views = whole(**given)
        concepts = sorted(set(views.key.tolist()))[:60]
        return views[np.isin(views.key, concepts) | np.isin(views.meta["name_en"].astype(str), FEW)]

    monkeypatch.setattr(samples, "emoji", few)
    quick = {name: (method, own | ({"hidden": 16} if "hidden" in own else {})) for name, (method, own) in
             text_to_emoji.METHODS.items()}  # fmt: skip
    monkeypatch.setattr(text_to_emoji, "METHODS", quick)


def test_words_are_held_out_and_redrawn_rows_show_the_same_concept(small):
    views = text_to_emoji.pairs("openmoji", "noto")
    drawn, other = samples.emoji(styles="noto"), samples.emoji(styles="openmoji")
    assert views.modalities == {"source": "image", "image": "image"}
    for row in (0, 7, len(views) - 1):
        assert views["image"][row] == drawn["image"][row]
        assert views["source"][row] == other["image"][other.key.tolist().index(views.key[row])]
    train, test = text_to_emoji.cut(text_to_emoji.pairs(None, "noto"), 0)
    assert not set(train.key) & set(test.key)
    assert set(FEW) <= set(test.meta["name"])
    assert len(test) / len(views) == pytest.approx(0.2, abs=0.1)


def test_every_method_is_judged_and_drawn(small, tmp_path):
    app = typer.Typer()
    app.command()(text_to_emoji.command)
    given = ["--effort", "0.01", "--grid", str(tmp_path / "grid.png"), "-o", str(tmp_path / "out.json")]
    done = CliRunner().invoke(app, given)
    assert done.exit_code == 0, done.output
    records = json.loads((tmp_path / "out.json").read_text())
    assert {r["method"] for r in records} == set(text_to_emoji.METHODS)
    assert {r["metric"] for r in records} == set(text_to_emoji.METRICS)
    found = {(r["method"], r["metric"]): r["value"] for r in records}
    assert found["regression", "diversity"] == pytest.approx(0, abs=1e-6)
    assert found["nearest", "novelty"] == pytest.approx(0, abs=1e-6)
    assert records[0]["chance"] == pytest.approx(10 / records[0]["n"])
    with Image.open(tmp_path / "grid.png") as grid:
        assert grid.size == (2 * 32 * len(FEW), 2 * 32 * 9)
    assert "R-precision@10" in done.output


def test_a_judge_is_trained_once_and_read_from_its_folder(small, tmp_path):
    drawn = samples.emoji(styles="noto")[:6].select("image")
    first = text_to_emoji.aligner(1, tmp_path / "judge").embed(drawn)["image"]
    again = text_to_emoji.aligner(99, tmp_path / "judge")
    assert again.epochs == 1
    np.testing.assert_array_equal(again.embed(drawn)["image"], first)


def test_names_are_learnt_as_n_grams_and_drawings_are_told_as_they_are(small):
    for source, raw, dim in ((None, False, 128), ("openmoji", True, text_to_emoji.COMPONENTS)):
        train, _ = text_to_emoji.cut(text_to_emoji.pairs(source, "noto"), 0)
        model = text_to_emoji.fitted("regression", train, None, 0, 0.01)
        assert model.raw is raw
        given = text_to_emoji.COMPONENTS if raw else dim
        assert next(model.module_.state.parameters()).shape[1] == min(given, len(train) - 1 if raw else given)
        assert model.translate(train[:2].select("source")).shape == (2, 1, 32, 32, 3)


def test_definition_of_the_page():
    record = lambda metric, value, chance: Record("gan", "test", "s", "d", metric, value, None, None, chance, 9, 0)  # noqa: E731
    of = {
        "r_precision@10": (0.25, 0.1),
        "frechet_distance": (0.04, 0.007),
        "diversity": (0.5, None),
        "novelty": (2, None),
    }
    told = text_to_emoji.page(Result([record(name, *values) for name, values in of.items()]), ["gan"], 1)
    assert ["gan", "25.00", "40.00", "0.50", "2.00"] in [line.split() for line in told.splitlines()]
    assert "By chance R-precision is 10.0; real drawings of other concepts have a Frechet distance of 7.0" in told


def test_refusal_of_an_unknown_method():
    with pytest.raises(UsageError, match="no method 'gam'; did you mean 'gan'"):
        text_to_emoji.command(method=["gam"])
