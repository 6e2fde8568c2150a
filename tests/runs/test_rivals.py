"""What stands beside a model: something simple for every method, fitted without what is held out or hidden."""

import numpy as np
import pytest
from made import twin_vectors, write_things
from PIL import Image

from bouba import CLIP, Run, read
from bouba.data import Views
from bouba.evaluation import evaluate_predictions
from bouba.fuse import FusionClassifier
from bouba.runs.methods import LEARNER, METHODS, REGRESSOR, RIVALS
from bouba.runs.normed import with_target_statistics
from bouba.towers import ConvNet, NGrams
from bouba.towers.packages import PACKAGES

SMALL = {"epochs": 1, "dim": 4}


def numbers(n=60):
    """Two views of numbers with a class, a number and a domain each."""
    views = twin_vectors(n, d=24)
    left = np.stack(list(views["left"]))
    kind = np.where(left[:, 0] > 0, "high", "low")
    domain = np.array(["shop", "studio"] * (n // 2))
    return views.replace(y={"kind": kind, "price": 3 * left[:, 1]}, domain=domain)


@pytest.mark.parametrize("method", METHODS.values(), ids=list(METHODS))
def test_something_simple_stands_beside_every_method(method, tmp_path):
    """Or the table says why nothing does."""
    views = numbers()
    label = "price" if method is REGRESSOR else "kind"
    run = Run.fit(
        views.replace(y=views.y if method.several_labels else {label: views.y[label]}),
        method=method.name,
        out=tmp_path / "run",
        recipe={"objective": [{"term": "InfoNCE"}]} if method is LEARNER else None,
        target="shop" if method.needs_target else None,
        holdout=0.4,
        allow_duplicates=True,  # which no method and no rival takes for a setting of its own
        towers=None if method.solved else "scratch",
        **({} if method.solved else SMALL),
        **({"hidden": 8} if method.translates else {}),
    )
    beside = {record.method for record in run.result} - {method.name}
    assert bool(beside) is not bool(method.no_rival)
    assert beside <= {*RIVALS, *METHODS}
    own = {(r.domain, r.direction, r.metric) for r in run.result if r.method == method.name}
    for rival in beside:
        compared = {(r.domain, r.direction, r.metric) for r in run.result if r.method == rival}
        assert compared & own, rival


def test_no_baseline_leaves_them_all_out(tmp_path):
    for method in ("classifier", "cca"):
        options = {} if method == "cca" else SMALL
        run = Run.fit(
            numbers().replace(y={"kind": numbers().y["kind"]}),
            method=method,
            out=tmp_path / method,
            holdout=0.4,
            baseline=False,
            **options,
        )
        assert {record.method for record in run.result} == {method}


def test_a_simple_baseline_stands_beside_sounds(tmp_path):
    random = np.random.default_rng(0)
    high = random.random(60) < 0.5
    sounds = [np.sin(np.arange(4000) * (0.9 if h else 0.2)) + 0.1 * random.normal(size=4000) for h in high]
    views = Views(
        {"sound": [(sound.astype(np.float32), 8000) for sound in sounds], "numbers": random.normal(size=(60, 3))},
        kinds={"sound": "audio"},
        y={"kind": np.where(high, "high", "low")},
    )
    run = Run.fit(views, method="classifier", out=tmp_path / "run", holdout=0.4, **SMALL)
    [simple] = {r.method for r in run.result} & {"simple-logistic", "boosting"}
    assert run.result.value(method=simple, direction="only sound", metric="kind_accuracy").value == 1
    aligned = Run.fit(views.replace(y={}), method="clip", out=tmp_path / "clip", holdout=0.4, **SMALL)
    assert {"linear-cca", "few-pairs"} < {r.method for r in aligned.result}


def test_the_baseline_that_is_missing_is_said(tmp_path, monkeypatch):
    for name in ("efficientnet-lite0", "multilingual-e5-small"):
        monkeypatch.setattr(type(PACKAGES[name]), "installed", property(lambda self: False))
    run = Run.fit(write_things(tmp_path), method="classifier", out=tmp_path / "run", holdout=0.4, **SMALL)
    assert not any(record.method.startswith("frozen") for record in run.result)
    page = (run.path / "report.html").read_text()
    assert "multilingual-e5-small not installed here; pip install &#39;bouba[knows]&#39; brings" in page


def bright_domains(n=160):
    """Dark and light squares told apart by which half is brighter; the target is far brighter as a whole."""
    random = np.random.default_rng(0)
    left = random.random(n) < 0.5
    pixels = random.integers(20, 60, (n, 16, 16, 3))
    for picture, is_left in zip(pixels, left, strict=True):
        picture[:, :8] += 40 * is_left
        picture[:, 8:] += 40 * ~is_left
    of_target = np.arange(n) % 2 == 1
    pixels[of_target] = 255 - (255 - pixels[of_target]) // 6
    pictures = [Image.fromarray(picture.astype(np.uint8)) for picture in pixels]
    return Views(
        {"picture": pictures},
        kinds={"picture": "image"},
        y={"side": np.where(left, "left", "right")},
        domain=np.where(of_target, "light", "dark"),
    )


def test_batchnorm_of_the_source_is_no_straw_man():
    """Rows of the target are normalised by their own numbers; those of the source stay as they were to the bit."""
    views = bright_domains()
    dark, light = (views[np.flatnonzero(views.domain == name)] for name in ("dark", "light"))
    towers = {"picture": ConvNet(size=16, channels=8, augment=None)}
    model = FusionClassifier(towers, epochs=12, dim=8, lr=0.01, calibration=0.0).fit(dark[:60])
    hidden = views.replace(y={"side": np.where(views.domain == "light", None, views.y["side"])})
    normed = with_target_statistics(model, hidden, "light")
    before, after = (evaluate_predictions(each, light).value(metric="side_accuracy").value for each in (model, normed))
    assert after > before + 0.2
    np.testing.assert_array_equal(model.outputs(dark)["side"], normed.outputs(dark)["side"])
    plain = FusionClassifier(epochs=1, dim=4).fit(numbers().replace(y={"kind": numbers().y["kind"]})[:30])
    assert with_target_statistics(plain, numbers(), "shop") is None


def test_the_crop_of_the_method_is_that_of_the_baseline(tmp_path, monkeypatch):
    from bouba.runs import solved_rivals

    seen = []
    real = solved_rivals.LinearBaseline
    monkeypatch.setattr(solved_rivals, "LinearBaseline", lambda **k: seen.append(k) or real(**k))
    table = read(write_things(tmp_path))
    for place, crop in enumerate((True, False)):
        towers = {"photo": ConvNet(size=16, channels=4, crop=crop), "caption": NGrams()}
        Run.fit(table.replace(y={}), method=CLIP(towers, **SMALL), holdout=0.4, out=tmp_path / str(place))
    assert seen == [{"crop": True}, {"crop": False}]
