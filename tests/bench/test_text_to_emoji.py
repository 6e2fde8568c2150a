"""The bench holds concepts out, judges what was made by an aligner trained apart, and draws a grid."""

import numpy as np
import pytest
from PIL import Image

from bouba.bench import text_to_emoji
from bouba.bench.paired import SECONDS
from bouba.data import samples
from bouba.errors import UsageError
from bouba.evaluation import Record, Result

FEW = ("red heart", "cat face")


@pytest.fixture
def small(monkeypatch):
    """Some sixty concepts, one pass of every method, an aligner of them."""
    whole = samples.emoji

    def few(**given):
        views = whole(**given)
        name = views.meta["name_en"].astype(str)
        of_words = np.isin(views.group, views.group[np.isin(name, text_to_emoji.WORDS)])
        concepts = sorted(set(views.key[~of_words].tolist()))[::24]
        return views[np.isin(views.key, concepts) | np.isin(name, FEW)]

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
    assert not set(train.group) & set(test.group)
    assert set(FEW) <= set(test.meta["name"])
    assert len(test) / len(views) == pytest.approx(0.2, abs=0.1)


def test_every_method_is_judged_and_drawn(small, tmp_path, kept_by):
    result = kept_by(text_to_emoji, "--effort", 0.01, "--grid", tmp_path / "grid.png").measured
    assert {r.method for r in result} == set(text_to_emoji.METHODS)
    assert {r.metric for r in result} == {*text_to_emoji.METRICS, SECONDS}
    found = {(r.method, r.metric): r.value for r in result}
    assert found["regression", "diversity"] == pytest.approx(0, abs=1e-6)
    assert found["nearest", "novelty"] == pytest.approx(0, abs=1e-6)
    first = next(iter(result))
    assert first.chance == pytest.approx(10 / first.n)
    with Image.open(tmp_path / "grid.png") as grid:
        assert grid.size == (2 * 32 * len(FEW), 2 * 32 * 9)
    table = text_to_emoji.tables(result)["methods"]
    assert [line[0] for line in table.lines] == list(text_to_emoji.METHODS)
    assert not any("**" in cell for line in table.lines for cell in line), "one seed proves nothing"


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


def test_definition_of_the_table(again):
    def records(method, seed, **values):
        chance = {"r_precision@10": 0.1, "frechet_distance": 0.007}
        of = values | {SECONDS: 3.0}
        return [Record(method, "test", "s", "d", m, x, None, None, chance.get(m), 9, seed) for m, x in of.items()]

    names = dict(zip(("r", "f", "d", "n"), text_to_emoji.METRICS))
    values = lambda *numbers: dict(zip(names.values(), numbers))  # noqa: E731
    result = Result(records("gan", 0, **values(0.25, 0.04, 0.5, 2)))
    assert text_to_emoji.tables(result)["methods"].lines == [["gan", "25.0", "40.0", "0.50", "2.00", "3.00"]]
    result = result + Result(records("gan", 1, **values(0.27, 0.05, 0.5, 2)))
    result = result + Result(
        [r for s in (0, 1) for r in records("flow", s, **values(0.2 + 0.02 * s, 0.01 * s, 0.6, 3))]
    )
    assert text_to_emoji.tables(result) == text_to_emoji.tables(again(result))
    table = text_to_emoji.tables(result)["methods"]
    gan, flow = table.lines
    assert [cell.partition(" ")[0] for cell in gan[1:]] == ["**26.0", "45.0", "0.50", "2.00", "3.00"]
    assert [cell.partition(" ")[0] for cell in flow[1:]] == ["21.0", "**5.0", "0.60", "3.00", "3.00"]
    chances = "By chance R-precision is 10.0; real drawings of other concepts have a Frechet distance of 7.0"
    assert chances in table.note


def test_refusal_of_an_unknown_method():
    with pytest.raises(UsageError, match="no method 'gam'; did you mean 'gan'"):
        text_to_emoji.command(method=["gam"])
