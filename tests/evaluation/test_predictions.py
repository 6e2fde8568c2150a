"""evaluate_predictions: any model that predicts labels from subsets of views, beside what it says without any."""

import numpy as np
import pytest
from sklearn.metrics import f1_score, log_loss, r2_score

from bouba import FusionClassifier, InfoNCE, Learner, Prediction, Views, evaluate
from bouba.data.views import Column
from bouba.errors import DataError
from bouba.evaluation import evaluate_predictions, interval, predicts
from bouba.metrics import expected_calibration_error

CLASSES = np.array(["ant", "bee", "cow"], object)
PRIOR = np.array([0.5, 0.3, 0.2])


class Foreign:
    """Somebody else's model: class scores and a number stand in its views and are added up where they are there."""

    labels_ = ("kind", "size")

    def outputs(self, X, subsets=None):
        scores, sizes = [], []
        for subset in subsets or [tuple(X.columns)]:
            z = sum(np.where(X[v].present[:, None], np.stack(list(X[v])), 0) for v in subset) if subset else 0
            p = np.exp(np.log(PRIOR) + np.zeros((len(X), 3)) + (z[:, :3] if subset else 0))
            scores.append(np.log(p / p.sum(1, keepdims=True)))
            sizes.append(z[:, 3] if subset else np.zeros(len(X)))
        return {"kind": np.stack(scores, 1), "size": np.stack(sizes, 1)}

    def classes(self, label):
        return CLASSES


def things(n=120, seed=0, **known):
    """Views a, b and c that know less and less, with holes; labels with holes. Scores are log likelihoods."""
    random = np.random.default_rng(seed)
    codes, size = random.choice(3, n, p=PRIOR), random.normal(size=n)
    truth = np.c_[np.eye(3)[codes], size]
    columns = {
        name: Column.of(much * (truth * much + random.normal(size=(n, 4))), "vector", random.random(n) < 0.8)
        for name, much in (("a", 2.0), ("b", 1.0), ("c", 0.2))
    }
    kind = np.where(random.random(n) < 0.8, CLASSES[codes], None)
    return Views(columns, y={"kind": kind, "size": np.where(random.random(n) < 0.8, size, np.nan)}, **known)


def test_definition_of_every_record():
    views, model = things(), Foreign()
    found = evaluate_predictions(model, views)
    directions = ["all", "only a", "only b", "only c", "without a", "without b", "without c"]
    assert list(dict.fromkeys(r.direction for r in found)) == directions
    for direction in directions:
        how, _, view = direction.partition(" ")
        subset = {"all": "abc", "only": view, "without": "abc".replace(view, "") if view else ""}[how]
        some = np.any([views[v].present for v in (view if how == "only" else "abc")], axis=0)
        out = model.outputs(views, [subset])
        rows = some & (views.y["kind"] != None)  # noqa: E711  elementwise
        y, p = views.y["kind"][rows].astype(str), np.exp(out["kind"][rows, 0])
        guess = CLASSES[p.argmax(1)].astype(str)
        record = lambda metric: found.value(direction=direction, metric=metric)  # noqa: E731, B023
        assert record("kind_accuracy").value == pytest.approx(np.mean(guess == y))
        assert record("kind_accuracy").chance == pytest.approx(np.mean(y == "ant"))
        assert record("kind_macro_f1").value == pytest.approx(f1_score(y, guess, average="macro"))
        assert record("kind_log_loss").value == pytest.approx(log_loss(y, p, labels=CLASSES.tolist()))
        assert record("kind_log_loss").chance == pytest.approx(
            log_loss(y, np.tile(PRIOR, (len(y), 1)), labels=CLASSES.tolist())
        )
        codes = np.searchsorted(CLASSES.astype(str), y)
        assert record("kind_calibration_error").value == pytest.approx(expected_calibration_error(codes, p))
        rows = some & ~np.isnan(views.y["size"].astype(float))
        size, guess = views.y["size"][rows].astype(float), out["size"][rows, 0]
        assert record("size_r2").value == pytest.approx(r2_score(size, guess))
        assert record("size_rmse").value == pytest.approx(np.sqrt(np.mean((size - guess) ** 2)))
        assert record("size_mae").chance == pytest.approx(np.mean(abs(size)))
        assert record("size_mae").n == rows.sum()
        assert (record("size_mae").low, record("size_mae").high) == pytest.approx(
            interval(abs(size - guess), groups=views.things[rows])
        )


def test_law_intervals_hold_the_value_and_more_rows_make_them_narrower():
    few, many = evaluate_predictions(Foreign(), things(100)), evaluate_predictions(Foreign(), things(1600))
    for a, b in zip(few, many):
        assert a.low <= a.value <= a.high
        assert b.high - b.low < a.high - a.low, (b.metric, b.direction)


def test_recovery_a_view_that_knows_more_is_missed_more():
    found = evaluate_predictions(Foreign(), things(1600)).where(metric="kind_log_loss")
    loss = {record.direction: record.value for record in found}
    assert loss["all"] < loss["without c"] < loss["without b"] < loss["without a"]
    assert loss["only a"] < loss["only b"] < loss["only c"]
    every = found.value(direction="all")
    assert every.high < every.chance


def test_classes_training_never_had_are_wrong_and_leave_the_log_loss_alone():
    views = things()
    y = views.y["kind"].copy()
    y[:20] = "dog"
    strange = evaluate_predictions(Foreign(), views.replace(y={"kind": y}))
    known = evaluate_predictions(Foreign(), views[20:].replace(y={"kind": y[20:]}))
    get = lambda result, metric: result.value(direction="all", metric=metric)  # noqa: E731
    a, b = get(strange, "kind_accuracy"), get(known, "kind_accuracy")
    assert a.value == pytest.approx(b.value * b.n / a.n)
    assert get(strange, "kind_log_loss").value == pytest.approx(get(known, "kind_log_loss").value)


def test_each_domain_is_judged_apart_and_keys_stand_together():
    views = things(domain=np.array(["x", "y"] * 60, object), key=np.repeat(np.arange(12), 10))
    found = evaluate_predictions(Foreign(), views)
    assert {r.domain for r in found} == {"x", "y"}
    whole = evaluate_predictions(Foreign(), views, by_domain=False).value(metric="size_mae", direction="all")
    alone = evaluate_predictions(Foreign(), things()).value(metric="size_mae", direction="all")
    assert whole.value == pytest.approx(alone.value)
    assert (whole.low, whole.high) != (alone.low, alone.high)


def test_one_view_has_no_subsets():
    assert {r.direction for r in evaluate_predictions(Foreign(), things().select("a"))} == {"all"}


def test_evaluate_judges_both_what_is_found_and_what_is_predicted():
    random = np.random.default_rng(0)
    z = random.normal(size=(80, 5)).astype(np.float32)
    views = Views({"left": z, "right": z + 0.1}, y={"kind": np.where(z[:, 0] > 0, "up", "down").astype(object)})
    both = Learner(objective=InfoNCE() + Prediction(), epochs=2, dim=4).fit(views)
    metrics = {r.metric for r in evaluate(both, views)}
    assert {"recall@1", "kind_accuracy", "kind_log_loss"} <= metrics
    aligner = Learner(objective=InfoNCE(), epochs=1, dim=4).fit(views)
    assert not predicts(aligner)
    assert not any(r.metric.startswith("kind_log") for r in evaluate(aligner, views))
    fuser = FusionClassifier(epochs=2, dim=4).fit(views)
    assert predicts(fuser)
    found = evaluate(fuser, views)
    assert {r.direction for r in found} == {"all", "only left", "only right"}
    assert not any(r.metric == "recall@1" for r in found)


def test_evaluate_judges_a_foreign_model_by_the_methods_it_has():
    views = things()
    assert evaluate(Foreign(), views).records == evaluate_predictions(Foreign(), views, labels=list(views.y)).records


def test_refusal():
    with pytest.raises(DataError, match="no label column 'knid'; did you mean 'kind'"):
        evaluate_predictions(Foreign(), things(), labels=["knid"])
    assert len(evaluate_predictions(Foreign(), things().replace(y={}))) == 0
