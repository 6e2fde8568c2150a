"""What the page says of translations: pictures that were made, and how that came about."""

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from bouba import ConditionalGAN, ConvNet, FlowTranslator, RegressionTranslator, Views
from bouba.data.views import Column
from bouba.report import Made, render
from bouba.report.build import Method
from bouba.report.headline import headline, lead
from bouba.report.scores import read_rows
from bouba.report.translations import FOLLOWED, Watch, made
from bouba.report.wording import measure_words, part_name

TINY = {"towers": {"drawn": ConvNet(size=4, thumbnail=4, channels=1, augment=None)}, "dim": 4, "hidden": 8}


def drawings(n=24):
    random = np.random.default_rng(0)
    names = [("red", "green", "blue")[i % 3] for i in range(n)]
    pictures = random.integers(0, 100, (n, 4, 4, 3)).astype(np.uint8)
    for i, picture in enumerate(pictures):
        picture[..., i % 3] += 150
    return Views({"name": names, "drawn": Column.of(list(pictures), "image")}, kinds={"name": "text"})


@pytest.mark.parametrize("method", [ConditionalGAN, FlowTranslator])
def test_watching_changes_nothing(method):
    views = drawings()
    given = TINY | ({"steps": 2} if method is FlowTranslator else {})
    alone = method("name", "drawn", epochs=3, **given).fit(views)
    model = method("name", "drawn", epochs=3, **given)
    watch = Watch(model, views[18:])
    model.fit(views, on_epoch=watch)
    ours, theirs = alone.module_.state_dict(), model.module_.state_dict()
    assert all((ours[name] == theirs[name]).all() for name in ours)
    assert [(row["loss"], row["epoch"]) for row in alone.history_] == [
        (row["loss"], row["epoch"]) for row in model.history_
    ]
    stages = watch.stages()
    assert [when for when, _ in stages] == ["epoch 1", "epoch 2", "as kept, epoch 3"]
    assert {len(pictures) for _, pictures in stages} == {FOLLOWED}
    assert stages[0][1] != stages[1][1] != stages[2][1]


def test_the_last_picture_says_which_epoch_was_kept():
    watch = Watch(ConditionalGAN("name", "drawn"), drawings())
    watch._draw = lambda: [b""]
    watch.pictures = {1: [b""], 2: [b""]}
    watch.model.history_ = [{"epoch": epoch, "validation": value} for epoch, value in ((1, 0.5), (2, 0.2), (3, 0.3))]
    assert [when for when, _ in watch.stages()] == ["epoch 1", "as kept, epoch 2"]


def test_definition_of_what_was_made():
    views = drawings()
    flow = FlowTranslator("name", "drawn", epochs=1, steps=2, **TINY).fit(views)
    mean = RegressionTranslator("name", "drawn", epochs=1, **TINY).fit(views)
    methods = [Method("flow", flow), Method("regression", mean)]
    found = made(methods, views, [5, 7], stages=[("epoch 1", [b"first"])])
    assert [(one.text, one.picture, one.name) for one in found] == [("blue", None, "blue"), ("green", None, "green")]
    assert [[len(drawn) for drawn in one.drawn.values()] for one in found] == [[2, 1], [2, 1]]  # the mean is one
    assert [one.stages for one in found] == [[("epoch 1", b"first")], []]
    assert np.array_equal(pixels(found[0].truth), flow.truth(views[[5]])[0])
    expected = flow.translate(views[[5, 7]].select("name"), 2)
    for one, items in zip(found, expected):
        assert all(np.array_equal(pixels(png), item) for png, item in zip(one.drawn["flow"], items))
    numbers = Views({"a": np.eye(6), "b": np.eye(6)})
    assert made([Method("r", RegressionTranslator(epochs=1, dim=4).fit(numbers))], numbers, [0, 1]) == []


def png_of(colour) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (4, 4), colour).save(out, "PNG")
    return out.getvalue()


def pixels(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)))


def test_the_page_shows_them(empty):
    red, green, blue = map(png_of, ((255, 0, 0), (0, 255, 0), (0, 0, 255)))
    assert '<section id="made">' not in render(empty)
    rows = [
        Made(
            "a <b>red</b> thing", None, "red", red, {"flow": [green, blue], "regression": [green]}, [("epoch 1", blue)]
        ),
        Made(None, red, "green", green, {"flow": [blue, red], "regression": [green]}),
    ]
    page = render(replace(empty, made=rows))
    assert page.count("Flow matching: red") == 4  # two draws, each with a label and a title
    assert page.count("Regression: green") == 2
    assert "a &lt;b&gt;red&lt;/b&gt; thing" in page
    assert page.count("As training went") == 1
    assert page.count("epoch 1: red") == 2
    assert "As training went" not in render(replace(empty, made=rows[1:]))


def record(method, metric, value, *interval, chance=None):
    low, high = interval or (None, None)
    base = {"split": "test", "domain": "all", "direction": "name->drawn", "n": 40}
    return base | {"method": method, "metric": metric, "value": value, "low": low, "high": high, "chance": chance}


def test_their_measures_differ_in_words_and_unit(methods):
    rows = read_rows(
        [
            record("flow", "r_precision@10", 0.4, 0.35, 0.45, chance=0.25),
            record("regression", "r_precision@10", 0.3, 0.27, 0.33, chance=0.25),
            record("flow", "frechet_distance", 0.5, chance=0.1),
            record("regression", "frechet_distance", 0.7, chance=0.1),
            record("flow", "diversity", 0.6, 0.5, 0.7),
            record("regression", "diversity", 0.0, 0.0, 0.0),
        ]
    )
    right, distance, spread = rows
    assert (right.winner, distance.winner, spread.winner) == ("flow", None, None)  # no interval; more is not better
    assert [score.method for score in distance.ranked] == ["flow", "regression"]  # nearer first
    assert (right.show(0.4), distance.show(0.5), spread.show(0.6)) == ("40.0%", "0.5", "0.6")
    tiles = headline(rows)
    assert [tile.row.metric for tile in tiles] == ["r_precision@10"]
    assert lead(tiles, methods) == (
        "Given name, Flow matching makes a drawn that has its true one among the 10 most like it in 40% of cases; "
        "Regression in 30%, blind choice in 25.0%."
    )
    for metric in ("r_precision@10", "frechet_distance", "diversity", "novelty"):
        name, explanation = measure_words(metric)
        assert explanation
        assert "_" not in name
    assert part_name("Adversarial.right") == "Critic: how often right"
