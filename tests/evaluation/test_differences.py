"""Paired differences of a model and its rivals on the rows that both were judged on."""

import numpy as np
import pytest
from made import twin_vectors

from bouba.align import CCA, LinearBaseline
from bouba.errors import DataError
from bouba.evaluation import Difference, RowValues, evaluate, evaluate_predictions, paired_difference
from bouba.evaluation.differences import read_differences, write_differences
from bouba.fuse import FusionClassifier, FusionRegressor
from bouba.metrics import retrieval


def test_definition_by_retrieval_of_both():
    views = twin_vectors(150, noise=2.0).replace(key=np.arange(150) // 2)
    good, poor = CCA(6, ridge=0.1).fit(views[:60]), LinearBaseline(dim=1, ridge=0.9).fit(views[:60])
    kept, new = RowValues(), views[60:]
    for name, model in (("good", good), ("poor", poor)):
        evaluate(model, new, method=name, row_values=kept)
    [found] = [d for d in kept.differences("good") if d.direction == "left->right"]
    hits = []
    for model in (good, poor):
        z = model.embed(new)
        hits.append(retrieval(z["left"], z["right"], new.things, new.things)["recall@10"])
    expected = paired_difference(*hits, groups=new.things, bounds=(0, 1))
    assert (found.value, found.low, found.high, found.p) == pytest.approx(expected)
    assert (found.rival, found.metric, found.n) == ("poor", "recall@10", 90)
    mirrored = next(d for d in kept.differences("poor") if d.direction == "left->right")
    assert mirrored.value == -found.value


def test_definition_by_predictions_on_shared_rows():
    views = twin_vectors(120)
    size = np.stack(list(views["left"]))[:, 0]
    views = views.replace(y={"kind": np.where(size > 0, "a", "b"), "size": size})
    kept, new = RowValues(), views[80:]
    models = {
        "classifier": FusionClassifier(label="kind", epochs=1, dim=4).fit(views[:80]),
        "other": FusionClassifier(label="kind", epochs=4, dim=8, lr=0.01).fit(views[:80]),
    }
    evaluate_predictions(models["classifier"], new, method="classifier", row_values=kept)
    evaluate_predictions(models["other"], new[:30], method="other", row_values=kept)
    [found] = [d for d in kept.differences("classifier") if d.direction == "all"]
    right = {name: model.predict(new[:30]) == new[:30].y["kind"] for name, model in models.items()}
    assert found.value == pytest.approx(right["classifier"].mean() - right["other"].mean())
    assert (found.metric, found.n) == ("kind_accuracy", 30)
    numbers = RowValues()
    for name, epochs in (("one", 1), ("two", 6)):
        model = FusionRegressor(label="size", epochs=epochs, dim=4, lr=0.01).fit(views[:80])
        evaluate_predictions(model, new, method=name, row_values=numbers)
    [found] = [d for d in numbers.differences("two") if d.direction == "all"]
    assert found.metric == "size_mae"
    assert found.value < 0  # less error


def test_on_disk(tmp_path):
    written = [Difference("a", "b", "all", "x->y", "recall@10", 0.1, 0.0, 0.2, 0.04, 30)]
    write_differences(written, tmp_path / "d.json")
    assert read_differences(tmp_path / "d.json") == written
    (tmp_path / "d.json").write_text('[{"method": "a"}]')
    with pytest.raises(DataError, match=r"d\.json is no list of differences"):
        read_differences(tmp_path / "d.json")


def test_a_difference_reads_as_a_line():
    line = str(Difference("ours", "theirs", "photo", "x->y", "recall@10", 0.1, -0.02, 0.2, 0.0412, 30))
    assert line == "photo x->y recall@10: ours less theirs +0.100 [-0.020, +0.200], p = 0.041, n = 30"
