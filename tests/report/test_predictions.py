"""What the page says of predictions: confusion, calibration, what views add, the surest mistakes."""

import importlib.util
import io
import re
import sys
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from bouba import ConvNet, FusionClassifier, MultitaskLearner, NGrams, Views
from bouba.data.views import Column
from bouba.fuse import explain
from bouba.report.build import OTHERS, Method
from bouba.report.headline import headline, lead
from bouba.report.prediction_charts import confusion_figure, contribution_figure, numbers_figure, reliability_figure
from bouba.report.predictions import CLASSES_SHOWN, cases, judged
from bouba.report.scores import read_rows
from bouba.report.wording import direction_words, measure_words, part_name


@pytest.fixture(scope="module")
def fitted():
    random = np.random.default_rng(0)
    codes = random.integers(0, 3, 300)
    truth = np.eye(3)[codes]
    columns = {
        name: Column.of(
            (truth * much + random.normal(size=(300, 3))).astype(np.float32), "vector", random.random(300) < 0.8
        )
        for name, much in (("a", 2.0), ("b", 1.0))
    }
    views = Views(
        columns, y={"kind": np.array(["ant", "bee", "cow"], object)[codes], "size": codes + random.random(300)}
    )
    return MultitaskLearner(epochs=8, dim=8).fit(views[:200]), views[200:]


def test_definition_of_what_is_told_of_classes(fitted):
    model, views = fitted
    kind, _ = judged(Method("mine", model), views, mistakes=5)
    views = views[views["a"].present | views["b"].present]
    p = model.predict_proba(views)["kind"]
    guess, truth = model.predict(views)["kind"], views.y["kind"]
    assert (kind.label, kind.method, list(kind.classes)) == ("kind", "mine", ["ant", "bee", "cow"])
    for i, is_ in enumerate(kind.classes):
        for j, called in enumerate(kind.classes):
            assert kind.counts[i][j] == sum(t == is_ and g == called for t, g in zip(truth, guess))
    assert sum(n for _, _, n in kind.reliability) == len(views)
    assert kind.error == pytest.approx(sum(n * abs(c - a) for c, a, n in kind.reliability) / len(views))
    wrong = sorted((row for row in range(len(views)) if guess[row] != truth[row]), key=lambda row: -p[row].max())[:5]
    assert [(m.truth, m.guess) for m in kind.cases] == [(truth[row], guess[row]) for row in wrong]
    assert [m.sure for m in kind.cases] == pytest.approx([p[row].max() for row in wrong], abs=1e-5)
    found = explain(model, views, label="kind")
    assert [(s.view, s.n) for s in found.shares()] == [(c.view, c.n) for c in kind.contributions]
    for mistake, row in zip(kind.cases, wrong):
        assert mistake.added == pytest.approx(found.row(row), abs=1e-5)
        assert [cell.view for cell in mistake.cells] == list(found.row(row))


def test_definition_of_what_is_told_of_numbers(fitted):
    model, views = fitted
    _, size = judged(Method("mine", model), views, mistakes=3)
    views = views[views["a"].present | views["b"].present]
    guess, truth = model.predict(views)["size"], views.y["size"].astype(float)
    np.testing.assert_allclose(size.points, np.c_[truth, guess], rtol=1e-5)
    far = np.sort(abs(truth - guess))[::-1][:3]
    assert [abs(float(m.truth) - float(m.guess)) for m in size.cases] == pytest.approx(far, abs=0.02)
    assert all(m.sure is None for m in size.cases)
    assert (size.unit, size.counts, size.error) == ("size", (), None)


def test_pixels_and_words_where_captum_is_there(monkeypatch):
    random = np.random.default_rng(0)
    codes = random.integers(0, 2, 24)
    pictures = [np.full((8, 8, 3), 40 + 160 * code, np.uint8) for code in codes]
    words = [("a dark thing", "a light thing")[code] for code in codes]
    views = Views({"photo": pictures, "words": words}, kinds={"photo": "image", "words": "text"})
    model = FusionClassifier({"photo": ConvNet(size=8, channels=2), "words": NGrams()}, epochs=1, dim=4).fit(
        views, codes
    )
    if importlib.util.find_spec("captum"):
        (case,) = cases(model, views[:1], "y")
        photo, text = case.cells
        assert Image.open(io.BytesIO(photo.heat)).size == (168, 168)
        assert [word for word, _ in text.words] == words[0].split()
        assert (case.truth, case.guess) == (None, str(model.predict(views[:1])[0]))
    monkeypatch.setitem(sys.modules, "captum.attr", None)
    (case,) = cases(model, views[:1], "y")
    assert [(cell.heat, cell.words) for cell in case.cells] == [(None, ()), (None, ())]


def test_rare_classes_and_those_training_never_had_share_a_place():
    random = np.random.default_rng(0)
    names = np.array([f"c{i:02}" for i in range(30)], object)
    codes = np.concatenate([np.arange(30), random.integers(0, 25, 270)])
    views = Views({"a": random.normal(size=(300, 4)).astype(np.float32)}, y={"kind": names[codes]})
    model = FusionClassifier(epochs=1, dim=4).fit(views)
    strange = views.replace(y={"kind": np.where(np.arange(300) < 3, "zebra", views.y["kind"]).astype(object)})
    (kind,) = judged(Method("mine", model), strange)
    assert len(kind.classes) == CLASSES_SHOWN + 1
    assert kind.classes[-1] == OTHERS
    assert np.sum(kind.counts) == 300
    assert sum(kind.counts[-1]) >= 3


def test_figures_are_valid_for_plotly(kind):
    go = pytest.importorskip("plotly.graph_objects")
    numbers = replace(kind, classes=(), counts=(), reliability=(), error=None, points=[(1.0, 1.2), (2.0, 1.9)])
    for draw, part in (
        (confusion_figure, kind),
        (reliability_figure, kind),
        (contribution_figure, kind),
        (contribution_figure, numbers),
        (numbers_figure, numbers),
    ):
        go.Figure(draw(part))  # raises for any unknown property
    assert confusion_figure(kind)["data"][0]["z"] == [[0.8, 0.2], [0.1, 0.9]]


def predicted(method, value, direction="all", metric="kind_accuracy", **more):
    fields = {"split": "test", "domain": "all", "direction": direction, "metric": metric, "chance": 0.4, "n": 90}
    return {"method": method, "value": value, "low": value - 0.03, "high": value + 0.03, **fields, **more}


def test_the_headline_says_how_often_it_is_right_and_beside_what(methods):
    records = [
        predicted("classifier", 0.93),
        predicted("classifier", 0.6, "only photo"),
        predicted("classifier", 0.3, metric="kind_log_loss"),
        predicted("late-fusion", 0.85),
    ]
    rows = read_rows(records)
    tiles = headline(rows)
    assert [(tile.row.metric, tile.row.direction) for tile in tiles] == [("kind_accuracy", "all")]
    assert lead(tiles, methods) == (
        "From whichever views a row has, classifier names the kind right in 93% of cases; Late fusion in 85%, "
        "always the commonest class in 40.0%."
    )
    number = headline(read_rows([predicted("regressor", 0.8, metric="price_r2", chance=-0.01)]))
    assert lead(number) == "Price: variance explained: regressor 80%; always the mean -1.0%."
    loss = next(row for row in rows if row.metric == "kind_log_loss")
    assert (loss.fraction, loss.show(0.3)) == (False, "0.3")


def test_words_for_directions_metrics_and_curves():
    assert [direction_words(d) for d in ("all", "only image", "without words", "a->b")] == [
        "all views",
        "pictures only",
        "without words",
        "a → b",
    ]
    assert measure_words("leaf_kind_accuracy")[0] == "Leaf kind named correctly"
    assert measure_words("price_mae") == (
        "Price: mean error",
        "mean distance from the truth, in the unit of price; lower is better",
    )
    assert measure_words("group_accuracy")[0] == "Group named correctly"
    assert part_name("Prediction.accuracy.kind") == "Kind: accuracy"
    assert re.match("Kind: accuracy", part_name("Prediction-2.accuracy.kind"))
